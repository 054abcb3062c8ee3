//! Signals: queues, actions, generation and delivery (kernel/signal.c, arch/x86/kernel/signal_64.c).

use crate::sync::{Lock, Rank};
use crate::syscall::Context;
use abi::signal::{KernelSigaction, SigSet, Siginfo};
use std::collections::VecDeque;
use std::sync::Arc;

/// Pending signals of a thread or a process: one entry per standard signal, all of the real-time ones.
#[derive(Default)]
pub struct SigQueue {
    pub set: SigSet,
    pub queue: VecDeque<Siginfo>,
}

/// What CLONE_SIGHAND shares: the actions, by signal number minus 1.
pub struct SigHand {
    pub actions: Lock<[KernelSigaction; 64]>,
}

impl SigHand {
    pub fn new() -> Arc<SigHand> {
        Arc::new(SigHand {
            actions: Lock::new(Rank::SIGHAND, [KernelSigaction::default(); 64]),
        })
    }
}

/// Before the guest goes on: takes pending signals, sets up handlers, stops, or ends the task.
pub fn handle_work(_cx: &mut Context) {}

/// A fault of the current instruction: delivered even if blocked or ignored (force_sig_fault()).
pub fn force_fault(
    cx: &mut Context,
    signo: i32,
    _code: i32,
    _addr: u64,
    _trapno: u64,
    _error_code: u64,
) {
    kill_group(cx, signo);
}

/// Ends the whole process by `signo`, from the calling task.
pub fn kill_group(cx: &mut Context, _signo: i32) {
    cx.exiting = true;
}
