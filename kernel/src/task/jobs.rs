//! Job control: process groups, sessions, orphans.

use super::{Pid, Task, ThreadGroup, family, pids};
use crate::error::{Result, err};
use crate::signal;
use abi::errno::Errno;
use std::sync::Arc;

/// Whether `group`'s process group loses its last tie to its session by `group`'s end (`dies`), or by the end of its
/// parent `parent`; then stopped members are told (kernel/exit.c:kill_orphaned_pgrp()). Under [`family`].
pub(super) fn orphan_check(group: &Arc<ThreadGroup>, parent: &Arc<ThreadGroup>, dies: bool) {
    let (pgid, sid) = {
        let inner = group.inner.lock();
        (inner.pgid, inner.sid)
    };
    let (parent_pgid, parent_sid) = {
        let inner = parent.inner.lock();
        (inner.pgid, inner.sid)
    };
    if parent_pgid != pgid
        && parent_sid == sid
        && signal::is_orphaned(pgid, dies.then(|| group.pid()))
    {
        signal::signal_orphaned_group(pgid);
    }
}

/// setpgid(2).
pub fn set_process_group(task: &Task, pid: i32, pgid: i32) -> Result<()> {
    let pid = if pid == 0 { task.pid() as i32 } else { pid };
    let pgid = if pgid == 0 { pid } else { pgid };
    if pgid < 0 {
        return err(Errno::EINVAL);
    }
    let (pid, pgid) = (pid as Pid, pgid as Pid);
    let _family = family();
    let target = pids().task(pid).ok_or(Errno::ESRCH)?;
    let group = target.group.clone();
    if group.pid() != pid {
        return err(Errno::EINVAL);
    }
    let own_sid = task.group.sid();
    let (sid, did_exec, parent) = {
        let inner = group.inner.lock();
        (inner.sid, inner.did_exec, inner.parent.upgrade())
    };
    if parent.is_some_and(|p| Arc::ptr_eq(&p, &task.group)) {
        if sid != own_sid {
            return err(Errno::EPERM);
        }
        if did_exec {
            return err(Errno::EACCES);
        }
    } else if !Arc::ptr_eq(&group, &task.group) {
        return err(Errno::ESRCH);
    }
    if sid == pid {
        return err(Errno::EPERM);
    }
    if pgid != pid {
        let members = pids().process_group(pgid);
        if !members.iter().any(|member| member.sid() == own_sid) {
            return err(Errno::EPERM);
        }
    }
    pids().regroup(&group, pgid, sid);
    Ok(())
}

/// setsid(2): the new session's number.
pub fn new_session(task: &Task) -> Result<Pid> {
    let _family = family();
    let group = &task.group;
    let pid = group.pid();
    if group.is_session_leader() || !pids().process_group(pid).is_empty() {
        return err(Errno::EPERM);
    }
    pids().regroup(group, pid, pid);
    let tty = group.inner.lock().tty.take();
    drop(tty);
    Ok(pid)
}

/// The process that `pid` names, 0 for the caller's own. ESRCH.
pub fn group_of(task: &Task, pid: i32) -> Result<Arc<ThreadGroup>> {
    if pid == 0 {
        return Ok(task.group.clone());
    }
    let pid = Pid::try_from(pid).map_err(|_| Errno::ESRCH)?;
    Ok(pids().task(pid).ok_or(Errno::ESRCH)?.group.clone())
}
