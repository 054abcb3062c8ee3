//! Masks and wake-ups: who must look at signals, and when.

use super::{Queued, SigHand};
use crate::error::Result;
use crate::sched;
use crate::task::{GroupInner, Task, TaskSignal};
use abi::signal::{KernelSigaction, SIGKILL, SigSet, Siginfo};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Makes `task` look at its signals: ends an interruptible sleep, or calls it back from guest code.
pub fn kick(task: &Arc<Task>) {
    task.signal_pending.store(true, Ordering::SeqCst);
    sched::unpark(task);
    sched::kick_task(task);
}

/// As [`kick`], ending killable sleeps too.
pub(super) fn kick_fatal(task: &Arc<Task>) {
    task.fatal_pending.store(true, Ordering::SeqCst);
    kick(task);
}

/// What `task` has to look at: fatal, and at all (recalc_sigpending_tsk()).
pub(super) fn due(inner: &GroupInner, task: &Task, own: &TaskSignal) -> (bool, bool) {
    let fatal = inner.group_exit.is_some()
        || inner.exec_by.is_some_and(|by| by != task.tid())
        || own.pending.set.contains(SIGKILL);
    let closed = own.blocked.difference(own.awaited);
    let open = own.pending.set.union(inner.pending.set).difference(closed);
    let stop =
        task.group.stopping.load(Ordering::SeqCst) != 0 && !task.job_stopped.load(Ordering::SeqCst);
    (fatal, fatal || stop || !open.is_empty())
}

/// Brings `signal_pending` and `fatal_pending` up to date. Called by another task it only ever sets them.
pub fn recalc(task: &Task) {
    let inner = task.group.inner.lock();
    let own = task.signal.lock();
    recalc_locked(&inner, task, &own);
}

pub(super) fn recalc_locked(inner: &GroupInner, task: &Task, own: &TaskSignal) {
    let (fatal, any) = due(inner, task, own);
    let own_call = sched::try_current().is_some_and(|t| std::ptr::eq(&*t, task));
    if any || own_call {
        task.signal_pending.store(any, Ordering::SeqCst);
    }
    if fatal || own_call {
        task.fatal_pending.store(fatal, Ordering::SeqCst);
    }
}

/// Sets the calling task's blocked mask (never SIGKILL and SIGSTOP) and finds other threads for shared signals that it
/// takes no more (set_current_blocked()).
pub fn set_blocked(task: &Task, mask: SigSet) {
    let mask = mask.difference(SigSet::UNBLOCKABLE);
    let inner = task.group.inner.lock();
    let newly = {
        let mut own = task.signal.lock();
        let newly = mask.difference(own.blocked);
        own.blocked = mask;
        recalc_locked(&inner, task, &own);
        newly
    };
    retarget(&inner, task, newly);
}

/// Lets other threads look at shared signals of `which` that `task` won't take (retarget_shared_pending()).
pub(super) fn retarget(inner: &GroupInner, task: &Task, which: SigSet) {
    let mut left = inner.pending.set.intersection(which);
    if left.is_empty() || inner.threads.len() < 2 {
        return;
    }
    for other in &inner.threads {
        if std::ptr::eq(&**other, task) || other.exiting.load(Ordering::SeqCst) {
            continue;
        }
        let open = {
            let own = other.signal.lock();
            left.difference(own.blocked.difference(own.awaited))
        };
        if open.is_empty() {
            continue;
        }
        kick(other);
        left = left.difference(open);
        if left.is_empty() {
            return;
        }
    }
}

/// The signals that are pending for `task` or its process and blocked: sigpending(2).
pub fn pending(task: &Task) -> SigSet {
    let inner = task.group.inner.lock();
    let own = task.signal.lock();
    own.pending
        .set
        .union(inner.pending.set)
        .intersection(own.blocked)
}

/// Whether a signal of `set` is pending for `task` or its process.
pub fn any_pending(task: &Task, set: SigSet) -> bool {
    let inner = task.group.inner.lock();
    let own = task.signal.lock();
    own.pending.set.union(inner.pending.set).intersects(set)
}

/// Takes a pending signal of `set`, blocked or not: sigtimedwait(2), signalfd(2). None when there is none.
pub fn take_awaited(task: &Task, set: SigSet) -> Option<Siginfo> {
    let closed = !set.difference(SigSet::UNBLOCKABLE);
    loop {
        let taken = {
            let mut inner = task.group.inner.lock();
            let mut own = task.signal.lock();
            let taken = dequeue(&mut inner, &mut own, closed);
            recalc_locked(&inner, task, &own);
            taken?
        };
        if let Some(info) = complete(taken) {
            return Some(info);
        }
    }
}

/// The next signal outside of `closed`: the thread's own first, then the process's (dequeue_signal()).
pub(super) fn dequeue(
    inner: &mut GroupInner,
    own: &mut TaskSignal,
    closed: SigSet,
) -> Option<Queued> {
    if let Some(signo) = own.pending.next(closed) {
        return Some(own.pending.take(signo));
    }
    let signo = inner.pending.next(closed)?;
    Some(inner.pending.take(signo))
}

/// What is told of a taken signal; None when its timer was deleted meanwhile. No locks held.
pub(super) fn complete(taken: Queued) -> Option<Siginfo> {
    let mut info = taken.info;
    match &taken.source {
        Some(source) if !source.taken(&mut info) => None,
        _ => Some(info),
    }
}

/// Replaces the action of `signo` and drops pending signals that it makes ignored: sigaction(2).
pub fn set_action(task: &Task, signo: i32, new: KernelSigaction) {
    let sighand: Arc<SigHand> = task.sighand();
    let mut gone = Vec::new();
    {
        let mut inner = task.group.inner.lock();
        sighand.actions.lock()[signo as usize - 1] = new;
        if sighand.ignores(signo) {
            let mask = SigSet::of(&[signo]);
            gone.extend(inner.pending.flush(mask));
            for thread in &inner.threads {
                gone.extend(thread.signal.lock().pending.flush(mask));
            }
        }
    }
    drop(gone);
}

/// A mask in force for one system call: ppoll, pselect, epoll_pwait, sigsuspend (set_user_sigmask()).
///
/// [`end`](TemporaryMask::end) puts the old one back, unless the call was interrupted: then delivery does, after it has
/// chosen the handler under the temporary mask.
#[must_use]
pub struct TemporaryMask<'a> {
    task: &'a Arc<Task>,
    active: bool,
}

impl<'a> TemporaryMask<'a> {
    /// `None` leaves the mask as it is.
    pub fn begin(task: &'a Arc<Task>, mask: Option<SigSet>) -> TemporaryMask<'a> {
        if let Some(mask) = mask {
            {
                let mut own = task.signal.lock();
                own.saved_mask = Some(own.blocked);
            }
            set_blocked(task, mask);
        }
        TemporaryMask {
            task,
            active: mask.is_some(),
        }
    }

    /// `interrupted`: the call ends with EINTR or a restart code.
    pub fn end(self, interrupted: bool) {
        if !self.active {
            return;
        }
        if interrupted {
            self.task.work.store(true, Ordering::SeqCst);
        } else {
            restore_saved(self.task);
        }
    }
}

/// Goes back to the mask that a temporary one replaced (restore_saved_sigmask()).
pub(super) fn restore_saved(task: &Task) {
    let saved = task.signal.lock().saved_mask.take();
    if let Some(mask) = saved {
        set_blocked(task, mask);
    }
}

/// Runs `call` under a temporary mask; see [`TemporaryMask`].
pub fn with_temporary_mask<R>(
    task: &Arc<Task>,
    mask: Option<SigSet>,
    call: impl FnOnce() -> Result<R>,
) -> Result<R> {
    let temporary = TemporaryMask::begin(task, mask);
    let result = call();
    let interrupted = matches!(&result, Err(e) if e.errno() == abi::errno::Errno::EINTR || e.errno().is_restart());
    temporary.end(interrupted);
    result
}
