//! Resource limits, usage, priorities.

use super::Context;
use crate::error::{Result, err};
use crate::task::{Accounting, Cred, Pid, Task, exit, limits, pids};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::task::*;
use abi::time::{RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, Rusage, Tms, USER_HZ};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What the calls that name a process by 0 or its number mean.
fn target(cx: &Context, pid: i32) -> Result<Arc<Task>> {
    match pid {
        0 => Ok(cx.task.clone()),
        1.. => Ok(pids().task(pid as Pid).ok_or(Errno::ESRCH)?),
        _ => err(Errno::ESRCH),
    }
}

pub fn getrlimit(cx: &mut Context, resource: u32, old: UserPtr<Rlimit>) -> Result<()> {
    let now = limits::change(&cx.task, &cx.task.group, resource, None)?;
    old.write(&now)
}

pub fn setrlimit(cx: &mut Context, resource: u32, new: UserPtr<Rlimit>) -> Result<()> {
    let new = new.read()?;
    limits::change(&cx.task, &cx.task.group, resource, Some(new))?;
    Ok(())
}

pub fn prlimit64(
    cx: &mut Context,
    pid: i32,
    resource: u32,
    new: UserPtr<Rlimit>,
    old: UserPtr<Rlimit>,
) -> Result<()> {
    let new = new.non_null().map(UserPtr::read).transpose()?;
    let target = target(cx, pid)?;
    limits::check_permission(&cx.task, &target)?;
    let before = limits::change(&cx.task, &target.group, resource, new)?;
    if !old.is_null() {
        old.write(&before)?;
    }
    Ok(())
}

pub fn getrusage(cx: &mut Context, who: i32, usage: UserPtr<Rusage>) -> Result<()> {
    let group = &cx.task.group;
    let mut used = match who {
        RUSAGE_SELF => group.accounting(),
        RUSAGE_CHILDREN => group.children_accounting(),
        RUSAGE_THREAD => Accounting::of_task(&cx.task),
        _ => return err(Errno::EINVAL),
    };
    if who != RUSAGE_CHILDREN
        && let Some(mm) = cx.task.mm()
    {
        used.max_rss_kib = used.max_rss_kib.max(exit::resident_kib(&mm));
        if who == RUSAGE_SELF || group.live_threads() == 1 {
            used.minor_faults += exit::host_faults(group, &mm);
        }
    }
    usage.write(&used.rusage())
}

/// The time since boot in clock ticks.
pub fn times(cx: &mut Context, buf: UserPtr<Tms>) -> Result<u64> {
    let ticks = |ns: u64| ns / (1_000_000_000 / USER_HZ);
    if !buf.is_null() {
        let own = cx.task.group.accounting_of_threads();
        let children = cx.task.group.inner.lock().waited_children;
        buf.write(&Tms {
            tms_utime: ticks(own.utime_ns) as i64,
            tms_stime: ticks(own.stime_ns) as i64,
            tms_cutime: ticks(children.utime_ns) as i64,
            tms_cstime: ticks(children.stime_ns) as i64,
        })?;
    }
    Ok(ticks(crate::time::monotonic_ns()))
}

/// The tasks that a getpriority or ioprio call names. ESRCH, EINVAL.
fn chosen(cx: &Context, kind: i32, who: i32) -> Result<Vec<Arc<Task>>> {
    let all: Vec<Arc<Task>> = match kind {
        PRIO_PROCESS => vec![target(cx, who)?],
        PRIO_PGRP => {
            let pgid = if who == 0 {
                cx.task.group.pgid()
            } else {
                who as Pid
            };
            pids()
                .process_group(pgid)
                .iter()
                .flat_map(|group| group.threads())
                .collect()
        }
        PRIO_USER => {
            let uid = if who == 0 {
                cx.task.cred().uid
            } else {
                who as u32
            };
            pids()
                .tasks()
                .into_iter()
                .filter(|t| t.cred().uid == uid)
                .collect()
        }
        _ => return err(Errno::EINVAL),
    };
    if all.is_empty() {
        err(Errno::ESRCH)
    } else {
        Ok(all)
    }
}

/// 40 to 1 for nice values -20 to 19.
pub fn getpriority(cx: &mut Context, which: i32, who: i32) -> Result<i32> {
    let all = chosen(cx, which, who)?;
    let best = all.iter().map(|t| 20 - t.sched.nice()).max();
    Ok(best.ok_or(Errno::ESRCH)?)
}

fn may_change(cred: &Cred, target: &Task) -> bool {
    let other = target.cred();
    other.uid == cred.euid || other.euid == cred.euid || cred.capable(CAP_SYS_NICE)
}

/// kernel/sched/syscalls.c:can_nice().
fn can_nice(caller: &Task, target: &Task, nice: i32) -> bool {
    let limit = target.group.rlimit(RLIMIT_NICE as usize);
    (20 - nice) as u64 <= limit || caller.capable(CAP_SYS_NICE)
}

pub fn setpriority(cx: &mut Context, which: i32, who: i32, nice: i32) -> Result<()> {
    if !(PRIO_PROCESS..=PRIO_USER).contains(&which) {
        return err(Errno::EINVAL);
    }
    let nice = nice.clamp(-20, 19);
    let cred = cx.task.cred();
    let mut outcome = Ok(());
    for target in chosen(cx, which, who)? {
        if !may_change(&cred, &target) {
            outcome = err(Errno::EPERM);
        } else if nice < target.sched.nice() && !can_nice(&cx.task, &target, nice) {
            outcome = err(Errno::EACCES);
        } else {
            target.sched.set_nice(nice);
        }
    }
    outcome
}

fn ioprio_kind(which: i32) -> Result<i32> {
    match which {
        IOPRIO_WHO_PROCESS => Ok(PRIO_PROCESS),
        IOPRIO_WHO_PGRP => Ok(PRIO_PGRP),
        IOPRIO_WHO_USER => Ok(PRIO_USER),
        _ => err(Errno::EINVAL),
    }
}

pub fn ioprio_set(cx: &mut Context, which: i32, who: i32, value: i32) -> Result<()> {
    let value = value as u32;
    let (class, level) = (value >> IOPRIO_CLASS_SHIFT, value & 7);
    match class {
        IOPRIO_CLASS_RT if !cx.task.capable(CAP_SYS_ADMIN) && !cx.task.capable(CAP_SYS_NICE) => {
            return err(Errno::EPERM);
        }
        IOPRIO_CLASS_RT | IOPRIO_CLASS_BE | IOPRIO_CLASS_IDLE => {}
        IOPRIO_CLASS_NONE if level == 0 => {}
        _ => return err(Errno::EINVAL),
    }
    let cred = cx.task.cred();
    for target in chosen(cx, ioprio_kind(which)?, who)? {
        let other = target.cred();
        if other.uid != cred.euid && other.uid != cred.uid && !cred.capable(CAP_SYS_NICE) {
            return err(Errno::EPERM);
        }
        target.ioprio.store(value, Relaxed);
    }
    Ok(())
}

/// A task's I/O priority; without one of its own, best effort at the level its nice value gives.
fn ioprio_of(task: &Task) -> u32 {
    match task.ioprio.load(Relaxed) {
        own if own >> IOPRIO_CLASS_SHIFT != IOPRIO_CLASS_NONE => own,
        _ => IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT | ((task.sched.nice() + 20) / 5) as u32,
    }
}

pub fn ioprio_get(cx: &mut Context, which: i32, who: i32) -> Result<u32> {
    let kind = ioprio_kind(which)?;
    let all = chosen(cx, kind, who)?;
    if kind == PRIO_PROCESS {
        // Unset priorities read as "none" for a single process: block/ioprio.c:get_task_raw_ioprio().
        return Ok(all.first().map_or(0, |t| t.ioprio.load(Relaxed)));
    }
    Ok(all.iter().map(|t| ioprio_of(t)).min().unwrap_or(0))
}
