//! Job control: group stops, continuation, what parents are told, orphaned process groups.

use super::control::{kick, recalc_locked, retarget};
use super::send::{send_group, send_pgrp};
use crate::sched;
use crate::task::{GroupInner, Pid, Task, ThreadGroup, family, pids};
use abi::signal::{self as sig, SIG_IGN, SIGCHLD, SIGCONT, SIGHUP, SaFlags, SigSet, Siginfo};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A change of state that the parent is told of when no lock is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notice {
    Stopped(i32),
    Continued,
}

impl Notice {
    /// do_notify_parent_cldstop().
    pub(super) fn deliver(self, group: &Arc<ThreadGroup>) {
        let (Some(parent), Some(leader)) = (group.parent(), group.leader()) else {
            return;
        };
        let (code, status) = match self {
            Notice::Stopped(signo) => (sig::CLD_STOPPED, signo),
            Notice::Continued => (sig::CLD_CONTINUED, SIGCONT),
        };
        if let Some(taker) = parent.leader() {
            let action = taker.sighand().action(SIGCHLD);
            if action.handler != SIG_IGN && !action.sa_flags().contains(SaFlags::SA_NOCLDSTOP) {
                let info = child_info(&leader, SIGCHLD, code, status);
                let _ = send_group(&parent, info);
            }
        }
        parent.child_wait.wake_all();
    }
}

/// What a parent is told about a child; times in clock ticks.
pub(super) fn child_info(leader: &Task, signo: i32, code: i32, status: i32) -> Siginfo {
    let times = crate::time::cpu::group_times(&leader.group);
    let ticks = |ns: u64| ns / (1_000_000_000 / abi::time::USER_HZ);
    Siginfo::chld_with_signal(
        signo,
        code,
        leader.pid() as i32,
        leader.cred().uid,
        status,
        ticks(times.user_ns),
        ticks(times.system_ns),
    )
}

/// SIGCONT arrived: ends a stop, done or under way, and wakes every thread. What the parent is to be told.
pub(super) fn resume(inner: &mut GroupInner, group: &ThreadGroup) -> Option<Notice> {
    let stopping = group.stopping.swap(0, Ordering::SeqCst);
    for thread in &inner.threads {
        thread.signal.lock().stop_dequeued = false;
        if stopping != 0 {
            sched::unpark(thread);
        }
    }
    if inner.stopped.take().is_some() {
        inner.stop_report = None;
        inner.continue_report = true;
        Some(Notice::Continued)
    } else if stopping != 0 {
        inner.stop_report = None;
        Some(Notice::Stopped(stopping))
    } else {
        None
    }
}

/// The calling task took stop signal `signo`: stops the whole process, unless SIGCONT came meanwhile
/// (do_signal_stop()).
pub(super) fn begin(task: &Arc<Task>, signo: i32) {
    let inner = task.group.inner.lock();
    if !task.signal.lock().stop_dequeued || inner.group_exit.is_some() {
        return;
    }
    if task.group.stopping.load(Ordering::SeqCst) != 0 {
        return;
    }
    task.group.stopping.store(signo, Ordering::SeqCst);
    for thread in &inner.threads {
        if !Arc::ptr_eq(thread, task) {
            kick(thread);
        }
    }
}

/// Whether every living thread has stopped; then the stop is complete and the parent is told once.
fn complete(inner: &mut GroupInner, group: &ThreadGroup) -> Option<Notice> {
    let signo = group.stopping.load(Ordering::SeqCst);
    let all = inner
        .threads
        .iter()
        .all(|t| t.job_stopped.load(Ordering::SeqCst) || t.exiting.load(Ordering::SeqCst));
    if signo == 0 || inner.stopped.is_some() || !all {
        return None;
    }
    inner.stopped = Some(signo);
    inner.stop_report = Some(signo);
    inner.continue_report = false;
    Some(Notice::Stopped(signo))
}

/// Stays here while the process is stopped.
pub(super) fn participate(task: &Arc<Task>) {
    let group = &task.group;
    let over = |inner: &GroupInner| {
        group.stopping.load(Ordering::SeqCst) == 0
            || inner.group_exit.is_some()
            || inner.exec_by.is_some_and(|by| by != task.tid())
    };
    let notice = {
        let mut inner = group.inner.lock();
        if over(&inner) {
            return;
        }
        task.job_stopped.store(true, Ordering::SeqCst);
        complete(&mut inner, group)
    };
    if let Some(notice) = notice {
        notice.deliver(group);
    }
    loop {
        let done = over(&group.inner.lock());
        if done {
            break;
        }
        sched::park(true);
    }
    task.job_stopped.store(false, Ordering::SeqCst);
}

/// The task takes no more signals: others get the shared ones, a stop goes on without it. The start of exit
/// (kernel/signal.c:exit_signals()).
pub fn exit_signals(task: &Arc<Task>) {
    let notice = {
        let mut inner = task.group.inner.lock();
        task.exiting.store(true, Ordering::SeqCst);
        let open = {
            let own = task.signal.lock();
            recalc_locked(&inner, task, &own);
            !own.blocked
        };
        if inner.group_exit.is_none() {
            retarget(&inner, task, open.difference(SigSet::UNBLOCKABLE));
            complete(&mut inner, &task.group)
        } else {
            None
        }
    };
    if let Some(notice) = notice {
        notice.deliver(&task.group);
    }
}

/// Whether process group `pgid` has no member whose parent is in another group of the same session
/// (will_become_orphaned_pgrp()). `except`: a process that is about to leave, by pid. Under [`family`].
pub fn is_orphaned(pgid: Pid, except: Option<Pid>) -> bool {
    !pids()
        .process_group(pgid)
        .iter()
        .filter(|member| Some(member.pid()) != except && !member.is_zombie())
        .any(|member| {
            member.parent().is_some_and(|parent| {
                parent.pid() != 1 && parent.pgid() != pgid && parent.sid() == member.sid()
            })
        })
}

/// Whether the calling task's process group is orphaned (is_current_pgrp_orphaned()).
pub fn is_own_group_orphaned(task: &Task) -> bool {
    // Not while one that ends has told the group but is still in it.
    let _family = family();
    is_orphaned(task.group.pgid(), None)
}

/// SIGHUP and SIGCONT to the process group `pgid` when it has a stopped member. The caller has found that the group has
/// just become orphaned (kernel/exit.c:kill_orphaned_pgrp()).
pub fn signal_orphaned_group(pgid: Pid) {
    let stopped = pids()
        .process_group(pgid)
        .iter()
        .any(|member| member.inner.lock().stopped.is_some());
    if stopped {
        let _ = send_pgrp(pgid, Siginfo::kernel(SIGHUP));
        let _ = send_pgrp(pgid, Siginfo::kernel(SIGCONT));
    }
}
