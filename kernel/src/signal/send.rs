//! Generation: a signal is sent to a thread or a process, and somebody is chosen to take it.

use super::control::{kick, kick_fatal};
use super::queue::{Charge, Queued, SignalSource};
use super::{SigHand, stop};
use crate::error::{Result, err};
use crate::sched::RunState;
use crate::task::{ExitStatus, GroupInner, Pid, Task, ThreadGroup, pids};
use crate::vfs::PollEvents;
use abi::errno::Errno;
use abi::signal::{
    self as sig, SIG_IGN, SIGCHLD, SIGCONT, SIGKILL, SIGRTMIN, SaFlags, SigSet, Siginfo,
};
use abi::task::RLIMIT_SIGPENDING;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Sends to one thread. EAGAIN when a real-time signal doesn't fit into RLIMIT_SIGPENDING.
pub fn send_task(task: &Arc<Task>, info: Siginfo) -> Result<()> {
    send(task, false, info, false, None).map(drop)
}

/// Sends to a process: one of its threads that doesn't block the signal takes it. Errors as [`send_task`].
pub fn send_group(group: &Arc<ThreadGroup>, info: Siginfo) -> Result<()> {
    match group.leader() {
        Some(leader) => send(&leader, true, info, false, None).map(drop),
        None => Ok(()),
    }
}

/// Sends to every process of process group `pgid`, without permission checks. ESRCH when there is none.
pub fn send_pgrp(pgid: Pid, info: Siginfo) -> Result<()> {
    let members = pids().process_group(pgid);
    if members.is_empty() {
        return err(Errno::ESRCH);
    }
    for group in members {
        send_group(&group, info)?;
    }
    Ok(())
}

/// Sends a timer's signal to `task`, or its whole process; queued once at most. False: it is ignored and thrown away
/// (posixtimer_send_sigqueue()).
pub fn send_source(
    task: &Arc<Task>,
    whole: bool,
    info: Siginfo,
    source: &Arc<dyn SignalSource>,
) -> bool {
    send(task, whole, info, false, Some(source)).unwrap_or(false)
}

/// Takes back the queued signals of a timer.
pub fn remove_source(group: &ThreadGroup, source: &Arc<dyn SignalSource>) {
    let mut gone = Vec::new();
    {
        let mut inner = group.inner.lock();
        gone.extend(inner.pending.remove_source(source));
        for thread in &inner.threads {
            gone.extend(thread.signal.lock().pending.remove_source(source));
        }
    }
    drop(gone);
}

/// What is left to do when the locks are released.
#[derive(Default)]
struct After {
    gone: Vec<Queued>,
    notify: Option<stop::Notice>,
}

/// `force`: also reaches an unkillable process. `Ok(false)`: thrown away.
pub(super) fn send(
    target: &Arc<Task>,
    whole: bool,
    info: Siginfo,
    force: bool,
    source: Option<&Arc<dyn SignalSource>>,
) -> Result<bool> {
    let group = &target.group;
    let sighand = target.sighand();
    let signo = info.si_signo;
    let uid = target.cred().uid;
    let mut after = After::default();
    let result = {
        let mut inner = group.inner.lock();
        if prepare(&mut inner, target, &sighand, signo, force, &mut after) {
            queue(&mut inner, target, whole, info, uid, source).map(|queued| {
                if queued {
                    choose(&mut inner, target, &sighand, signo, whole);
                }
                true
            })
        } else {
            Ok(false)
        }
    };
    drop(after.gone);
    if let Some(notice) = after.notify {
        notice.deliver(group);
    }
    sighand.arrival.wake_all_events(PollEvents::IN);
    result
}

/// The effects of stop and continue signals on each other, whatever becomes of the signal. False: it is thrown away
/// (prepare_signal()).
fn prepare(
    inner: &mut GroupInner,
    target: &Arc<Task>,
    sighand: &SigHand,
    signo: i32,
    force: bool,
    after: &mut After,
) -> bool {
    if inner.group_exit.is_some() || inner.zombie.is_some() {
        return false;
    }
    if SigSet::STOP.contains(signo) {
        flush_all(inner, SigSet::of(&[SIGCONT]), after);
    } else if signo == SIGCONT {
        flush_all(inner, SigSet::STOP, after);
        after.notify = stop::resume(inner, &target.group);
    }
    !ignored(target, sighand, signo, force)
}

fn flush_all(inner: &mut GroupInner, mask: SigSet, after: &mut After) {
    after.gone.extend(inner.pending.flush(mask));
    for thread in &inner.threads {
        after.gone.extend(thread.signal.lock().pending.flush(mask));
    }
}

/// Whether `signo` would be thrown away at once (sig_ignored()).
fn ignored(target: &Task, sighand: &SigHand, signo: i32, force: bool) -> bool {
    if target.signal.lock().blocked.contains(signo) {
        return false;
    }
    let unkillable = target.group.unkillable.load(Ordering::SeqCst);
    if unkillable && SigSet::UNBLOCKABLE.contains(signo) {
        return true;
    }
    if unkillable && sighand.action(signo).handler == sig::SIG_DFL && !force {
        return true;
    }
    sighand.ignores(signo)
}

/// Puts the signal on its queue. False when it was pending already and changes nothing (__send_signal_locked()).
fn queue(
    inner: &mut GroupInner,
    target: &Task,
    whole: bool,
    info: Siginfo,
    uid: u32,
    source: Option<&Arc<dyn SignalSource>>,
) -> Result<bool> {
    let signo = info.si_signo;
    let limit = inner.rlimits[RLIMIT_SIGPENDING as usize].rlim_cur;
    let mut own = target.signal.lock();
    let queue = if whole {
        &mut inner.pending
    } else {
        &mut own.pending
    };
    if let Some(source) = source {
        if queue.has_source(source) {
            return Ok(false);
        }
        queue.push(Queued::from_source(info, source.clone()));
        return Ok(true);
    }
    if queue.merges(signo) {
        return Ok(false);
    }
    if signo == SIGKILL {
        queue.set.add(signo);
        return Ok(true);
    }
    let override_limit = signo < SIGRTMIN && info.si_code >= 0;
    match Charge::new(uid, limit, override_limit) {
        Some(charge) => queue.push(Queued::new(info, Some(charge))),
        // Details are lost, the signal isn't, unless the sender counts on its value.
        None if signo < SIGRTMIN || info.si_code >= sig::SI_USER => queue.set.add(signo),
        None => return err(Errno::EAGAIN),
    }
    Ok(true)
}

/// Whether `task` would take `signo` soon (wants_signal()).
fn wants(task: &Task, signo: i32) -> bool {
    if task.exiting.load(Ordering::SeqCst) {
        return false;
    }
    {
        let own = task.signal.lock();
        if own.blocked.difference(own.awaited).contains(signo) {
            return false;
        }
    }
    if signo == SIGKILL {
        return true;
    }
    !task.job_stopped.load(Ordering::SeqCst)
        && (!task.has_signal() || task.sched.run_state() == RunState::Running)
}

/// Finds a thread that takes the signal and wakes it; starts the end of the process at once when the signal is fatal
/// (complete_signal()).
fn choose(inner: &mut GroupInner, target: &Arc<Task>, sighand: &SigHand, signo: i32, whole: bool) {
    let group = &target.group;
    let chosen = if wants(target, signo) {
        target.clone()
    } else if !whole {
        return;
    } else {
        let count = inner.threads.len();
        let start = group.signal_turn.load(Ordering::Relaxed) as usize;
        let Some(turn) = (0..count)
            .map(|i| (start + i) % count)
            .find(|&i| wants(&inner.threads[i], signo))
        else {
            return;
        };
        group.signal_turn.store(turn as u32, Ordering::Relaxed);
        inner.threads[turn].clone()
    };
    let blocked = chosen.signal.lock().blocked.contains(signo);
    let fatal = signo == SIGKILL
        || (sighand.fatal(signo)
            && !blocked
            && !SigSet::DEFAULT_CORE.contains(signo)
            && !group.unkillable.load(Ordering::SeqCst));
    if fatal {
        end_group(inner, group, ExitStatus::Signal { signo, core: false });
    } else {
        kick(&chosen);
    }
}

/// Marks the process as ending with `status` (the first one counts) and calls every thread to its end.
fn end_group(inner: &mut GroupInner, group: &ThreadGroup, status: ExitStatus) {
    inner.group_exit.get_or_insert(status);
    // Whoever dies has nothing else to tell any more (SIGNAL_GROUP_EXIT replaces the other flags).
    inner.stop_report = None;
    inner.continue_report = false;
    group.stopping.store(0, Ordering::SeqCst);
    inner.stopped = None;
    for thread in &inner.threads {
        kick_fatal(thread);
    }
}

/// Makes every thread of the process end with `status`, unless it is ending already: exit_group(2), fatal signals
/// (do_group_exit()). Returns the status that counts.
pub fn begin_group_exit(group: &ThreadGroup, status: ExitStatus) -> ExitStatus {
    let mut inner = group.inner.lock();
    end_group(&mut inner, group, status);
    inner.group_exit.unwrap_or(status)
}

/// Calls every thread but `by` to its end, for execve (de_thread()). False when the process is ending, or another
/// thread was first.
pub fn begin_exec(group: &ThreadGroup, by: &Task) -> bool {
    let mut inner = group.inner.lock();
    if inner.group_exit.is_some() || inner.exec_by.is_some() {
        return false;
    }
    inner.exec_by = Some(by.tid());
    for thread in &inner.threads {
        if !std::ptr::eq(&**thread, by) {
            kick_fatal(thread);
        }
    }
    true
}

/// Sends the exit signal of `child`, which has ended with `status`, to its parent and wakes waiters. True: nobody will
/// wait for it, so it is to be reaped at once (do_notify_parent()).
pub fn notify_parent_of_exit(child: &Arc<ThreadGroup>, status: ExitStatus) -> bool {
    let (Some(parent), Some(leader)) = (child.parent(), child.leader()) else {
        return true;
    };
    let exit_signal = child.inner.lock().exit_signal;
    let mut reap = false;
    let mut send = sig::valid(exit_signal);
    if exit_signal == SIGCHLD
        && let Some(taker) = parent.leader()
    {
        let action = taker.sighand().action(SIGCHLD);
        let ignored = action.handler == SIG_IGN;
        reap = ignored || action.sa_flags().contains(SaFlags::SA_NOCLDWAIT);
        send &= !ignored;
    }
    if send {
        let (code, word) = match status {
            ExitStatus::Code(code) => (sig::CLD_EXITED, i32::from(code)),
            ExitStatus::Signal { signo, core: false } => (sig::CLD_KILLED, signo),
            ExitStatus::Signal { signo, core: true } => (sig::CLD_DUMPED, signo),
        };
        let info = stop::child_info(&leader, exit_signal, code, word);
        let _ = send_group(&parent, info);
    }
    parent.child_wait.wake_all();
    reap
}
