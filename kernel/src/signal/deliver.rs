//! Delivery: what a task does about its signals before it goes back to guest code.

use super::control::{complete, dequeue, recalc_locked, restore_saved};
use super::{begin_group_exit, fault, frame, restart, stop};
use crate::syscall::Context;
use crate::task::ExitStatus;
use abi::signal::{KernelSigaction, SIG_DFL, SIG_IGN, SIGKILL, SIGSTOP, SaFlags, SigSet, Siginfo};
use std::sync::atomic::Ordering;

enum Next {
    /// Nothing is left to deliver.
    Nothing,
    Handler(Siginfo, KernelSigaction),
    /// The process is ending.
    End,
}

/// Before the guest goes on: takes pending signals, sets up handlers, stops, or ends the task.
pub fn handle_work(cx: &mut Context) {
    cx.task.work.store(false, Ordering::SeqCst);
    loop {
        match next(cx) {
            Next::End => {
                cx.exiting = true;
                return;
            }
            Next::Handler(info, action) => handle(cx, &info, &action),
            Next::Nothing => break,
        }
    }
    restart::without_handler(cx.guest.regs_mut());
    restore_saved(&cx.task);
}

fn handle(cx: &mut Context, info: &Siginfo, action: &KernelSigaction) {
    let flags = action.sa_flags();
    restart::before_handler(cx.guest.regs_mut(), flags.contains(SaFlags::SA_RESTART));
    if frame::setup(cx, info, action).is_err() {
        fault::force_segv(cx, info.si_signo);
        return;
    }
    let mask = {
        let mut own = cx.task.signal.lock();
        own.saved_mask = None;
        let mut mask = own.blocked.union(action.mask);
        if !flags.contains(SaFlags::SA_NODEFER) {
            mask.add(info.si_signo);
        }
        mask
    };
    super::set_blocked(&cx.task, mask);
}

/// kernel/signal.c:get_signal().
fn next(cx: &mut Context) -> Next {
    let task = cx.task.clone();
    loop {
        if task.group.stopping.load(Ordering::SeqCst) != 0 {
            stop::participate(&task);
        }
        let taken = {
            let mut inner = task.group.inner.lock();
            let mut own = task.signal.lock();
            recalc_locked(&inner, &task, &own);
            if task.has_fatal_signal() {
                if own.pending.set.contains(SIGKILL) && inner.group_exit.is_none() {
                    drop(own);
                    drop(inner);
                    end(cx, SIGKILL);
                }
                return Next::End;
            }
            if task.group.stopping.load(Ordering::SeqCst) != 0 {
                continue;
            }
            let blocked = own.blocked;
            let taken = match own.pending.take_synchronous(blocked) {
                Some(fault) => Some(fault),
                None => dequeue(&mut inner, &mut own, blocked),
            };
            if let Some(taken) = &taken
                && SigSet::STOP.contains(taken.info.si_signo)
            {
                own.stop_dequeued = true;
            }
            recalc_locked(&inner, &task, &own);
            taken
        };
        let Some(taken) = taken else {
            return Next::Nothing;
        };
        let Some(info) = complete(taken) else {
            continue;
        };
        let signo = info.si_signo;
        let action = {
            let sighand = task.sighand();
            let mut actions = sighand.actions.lock();
            let action = actions[signo as usize - 1];
            if action.handler != SIG_DFL
                && action.handler != SIG_IGN
                && action.sa_flags().contains(SaFlags::SA_RESETHAND)
            {
                actions[signo as usize - 1].handler = SIG_DFL;
            }
            action
        };
        match action.handler {
            SIG_IGN => continue,
            SIG_DFL => {}
            _ => return Next::Handler(info, action),
        }
        if SigSet::DEFAULT_IGNORE.contains(signo) {
            continue;
        }
        if task.group.unkillable.load(Ordering::SeqCst) && !SigSet::UNBLOCKABLE.contains(signo) {
            continue;
        }
        if SigSet::STOP.contains(signo) {
            // Nobody could continue the members of an orphaned group.
            if signo == SIGSTOP || !stop::is_own_group_orphaned(&task) {
                stop::begin(&task, signo);
            }
            continue;
        }
        end(cx, signo);
        return Next::End;
    }
}

fn end(cx: &mut Context, signo: i32) {
    begin_group_exit(&cx.task.group, ExitStatus::Signal { signo, core: false });
    cx.exiting = true;
}

/// Ends the whole process by `signo`, from the calling task.
pub fn kill_group(cx: &mut Context, signo: i32) {
    end(cx, signo);
}
