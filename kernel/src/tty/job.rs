//! Job control: controlling terminals, foreground groups, hang-ups (drivers/tty/tty_jobctrl.c, tty_io.c).
//!
//! A session and its terminal know each other: `Inner::session` of the terminal and `GroupInner::tty` of each process.
//! The terminal's lock is taken before a process's.

use super::Tty;
use crate::error::{Result, err};
use crate::sched;
use crate::signal;
use crate::sync::{Lock, Rank};
use crate::task::{Pid, Task, ThreadGroup, pids};
use abi::errno::Errno;
use abi::signal::{SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, Siginfo};
use abi::task::CAP_SYS_ADMIN;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::terminal::Kind;

/// Foreground groups at the moment of a hang-up, by session leader: they get SIGHUP when the leader ends
/// (`signal->tty_old_pgrp`).
static OLD_GROUPS: Lock<BTreeMap<Pid, Pid>> = Lock::new(Rank::LEAF, BTreeMap::new());

/// The controlling terminal of a process.
pub fn controlling(group: &ThreadGroup) -> Option<Arc<Tty>> {
    group.inner.lock().tty.clone()
}

fn is_controlled_by(tty: &Tty, group: &ThreadGroup) -> bool {
    controlling(group).is_some_and(|own| std::ptr::eq(&*own, tty))
}

fn is_leader(group: &ThreadGroup) -> bool {
    group.sid() == group.pid()
}

fn send(pgrp: Pid, signo: i32) {
    // A group that has just gone needs no signal.
    let _gone = signal::send_pgrp(pgrp, Siginfo::kernel(signo));
}

/// Makes `tty` the controlling terminal of the session that `group` leads (__proc_set_tty()).
pub fn set_controlling(tty: &Arc<Tty>, group: &Arc<ThreadGroup>) {
    let old = tty.run(|inner, _| {
        let mut process = group.inner.lock();
        inner.session = Some(process.sid);
        inner.pgrp = Some(process.pgid);
        process.tty.replace(tty.clone())
    });
    drop(old);
    OLD_GROUPS.lock().remove(&group.pid());
}

/// An open without O_NOCTTY by a session leader that has no terminal yet.
pub(super) fn take_if_free(tty: &Arc<Tty>, readable: bool) {
    let Some(task) = sched::try_current() else {
        return;
    };
    let free = tty.session().is_none();
    if readable && free && is_leader(&task.group) && controlling(&task.group).is_none() {
        set_controlling(tty, &task.group);
    }
}

fn clear_session(sid: Pid) {
    for group in pids().session(sid) {
        let old = group.inner.lock().tty.take();
        drop(old);
    }
}

/// TIOCSCTTY. EPERM.
pub(super) fn acquire(tty: &Arc<Tty>, task: &Task, readable: bool, steal: bool) -> Result<()> {
    let group = &task.group;
    let session = tty.session();
    if is_leader(group) && session == Some(group.sid()) {
        return Ok(());
    }
    if !is_leader(group) || controlling(group).is_some() {
        return err(Errno::EPERM);
    }
    if let Some(session) = session {
        if !steal || !task.capable(CAP_SYS_ADMIN) {
            return err(Errno::EPERM);
        }
        clear_session(session);
    }
    if !readable && !task.capable(CAP_SYS_ADMIN) {
        return err(Errno::EPERM);
    }
    set_controlling(tty, group);
    Ok(())
}

/// TIOCNOTTY. ENOTTY when `tty` isn't the caller's.
pub(super) fn give_up(tty: &Tty, task: &Task) -> Result<()> {
    if !is_controlled_by(tty, &task.group) {
        return err(Errno::ENOTTY);
    }
    disassociate(&task.group, false);
    let old = task.group.inner.lock().tty.take();
    drop(old);
    Ok(())
}

/// The process ends: when it leads a session, its terminal is hung up and the session loses it.
pub fn session_leader_exit(group: &Arc<ThreadGroup>) {
    disassociate(group, true);
    let old = group.inner.lock().tty.take();
    drop(old);
}

/// disassociate_ctty(): only a session leader's leaving means anything.
fn disassociate(group: &Arc<ThreadGroup>, exiting: bool) {
    if !is_leader(group) {
        return;
    }
    let old = OLD_GROUPS.lock().remove(&group.pid());
    match controlling(group) {
        Some(tty) if exiting && tty.kind() != Kind::Pty => hangup_session(&tty, true),
        Some(tty) => {
            if let Some(pgrp) = tty.pgrp() {
                send(pgrp, SIGHUP);
                if !exiting {
                    send(pgrp, SIGCONT);
                }
            }
            tty.run(|inner, _| {
                inner.session = None;
                inner.pgrp = None;
            });
        }
        None if exiting => {
            if let Some(pgrp) = old {
                send(pgrp, SIGHUP);
                send(pgrp, SIGCONT);
            }
        }
        None => {}
    }
    clear_session(group.sid());
}

/// Whether a process of a background group may do what `signo` (SIGTTIN, SIGTTOU) guards; sends the signal and
/// gives ERESTARTSYS when not, EIO when nobody could continue it (__tty_check_change()).
pub(super) fn check(tty: &Tty, signo: i32) -> Result<()> {
    let Some(task) = sched::try_current() else {
        return Ok(());
    };
    if !is_controlled_by(tty, &task.group) {
        return Ok(());
    }
    let own = task.group.pgid();
    match tty.pgrp() {
        Some(foreground) if foreground != own => {}
        _ => return Ok(()),
    }
    let ignored = task.signal.lock().blocked.contains(signo)
        || task.sighand().action(signo).handler == SIG_IGN;
    if ignored {
        return if signo == SIGTTIN {
            err(Errno::EIO)
        } else {
            Ok(())
        };
    }
    if signal::is_own_group_orphaned(&task) {
        return err(Errno::EIO);
    }
    send(own, signo);
    signal::recalc(&task);
    err(Errno::ERESTARTSYS)
}

/// [`check`] for changes of the terminal.
pub(super) fn check_change(tty: &Tty) -> Result<()> {
    check(tty, SIGTTOU)
}

/// TIOCGPGRP; 0 when there is none. `master`: asked through the other side of a pty. ENOTTY.
pub(super) fn foreground(tty: &Tty, task: &Task, master: bool) -> Result<Pid> {
    if !master && !is_controlled_by(tty, &task.group) {
        return err(Errno::ENOTTY);
    }
    Ok(tty.pgrp().unwrap_or(0))
}

/// TIOCGSID. ENOTTY.
pub(super) fn session_id(tty: &Tty, task: &Task, master: bool) -> Result<Pid> {
    if !master && !is_controlled_by(tty, &task.group) {
        return err(Errno::ENOTTY);
    }
    tty.session().ok_or_else(|| Errno::ENOTTY.into())
}

/// TIOCSPGRP. ENOTTY, EINVAL, ESRCH, EPERM.
pub(super) fn set_foreground(tty: &Tty, task: &Task, pgrp: i32) -> Result<()> {
    match check_change(tty) {
        Err(e) if e == Errno::EIO => return err(Errno::ENOTTY),
        other => other?,
    }
    let sid = task.group.sid();
    if !is_controlled_by(tty, &task.group) || tty.session() != Some(sid) {
        return err(Errno::ENOTTY);
    }
    let pgrp = Pid::try_from(pgrp).map_err(|_| Errno::EINVAL)?;
    let members = pids().process_group(pgrp);
    let member = members.first().ok_or(Errno::ESRCH)?;
    if member.sid() != sid {
        return err(Errno::EPERM);
    }
    tty.run(|inner, _| inner.pgrp = Some(pgrp));
    Ok(())
}

/// Hangs up: open files read end of file and fail to write, the session's leader gets SIGHUP and SIGCONT, the session
/// loses the terminal. `exiting`: because the leader ends, so the foreground group gets SIGHUP too (__tty_hangup()).
pub(super) fn hangup_session(tty: &Tty, exiting: bool) {
    let (session, pgrp) = tty.run(|inner, driver| {
        inner.generation += 1;
        inner.ldisc.reset();
        inner.flush_input();
        inner.resume_input();
        driver.hangup();
        (inner.session.take(), inner.pgrp.take())
    });
    if let Some(session) = session {
        for group in pids().session(session) {
            {
                let mut inner = group.inner.lock();
                if inner
                    .tty
                    .as_ref()
                    .is_some_and(|own| std::ptr::eq(&**own, tty))
                {
                    inner.tty = None;
                }
            }
            if is_leader(&group) {
                for signo in [SIGHUP, SIGCONT] {
                    let _gone = signal::send_group(&group, Siginfo::kernel(signo));
                }
                if let (Some(pgrp), false) = (pgrp, exiting) {
                    OLD_GROUPS.lock().insert(group.pid(), pgrp);
                }
            }
        }
    }
    if let (Some(pgrp), true) = (pgrp, exiting) {
        send(pgrp, SIGHUP);
    }
    tty.read_wait.wake_all();
    tty.write_wait.wake_all();
}

impl Tty {
    /// The line was lost: everybody who has the terminal open is hung up (tty_hangup(), vhangup(2)).
    pub fn hangup(&self) {
        hangup_session(self, false);
    }
}

/// vhangup(2): hangs up the caller's controlling terminal. The caller has checked CAP_SYS_TTY_CONFIG.
pub fn vhangup(task: &Task) {
    if let Some(tty) = controlling(&task.group) {
        tty.hangup();
    }
}

/// The last file of a terminal is closed: its session lets go of it (tty_release()).
pub(super) fn release_session(tty: &Tty) {
    let session = tty.run(|inner, _| {
        inner.pgrp = None;
        inner.session.take()
    });
    if let Some(session) = session {
        clear_session(session);
    }
}
