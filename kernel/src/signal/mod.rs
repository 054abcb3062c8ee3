//! Signals: queues, actions, generation and delivery (kernel/signal.c, arch/x86/kernel/signal_64.c).
//!
//! Locks: a process's shared queue and stop state lie under its GROUP lock, a thread's queue and masks under its TASK
//! lock, the actions under SIGHAND; taken in this order, and never two of one kind. `Task::signal_pending` is set
//! by anybody who makes a signal deliverable and cleared only by the task itself, so a wake-up can't be lost.

mod altstack;
mod control;
mod deliver;
mod fault;
mod frame;
mod permission;
mod queue;
mod restart;
mod send;
pub mod signalfd;
mod stop;

use crate::sync::{Lock, Rank, WaitQueue};
use abi::signal::{KernelSigaction, SIG_DFL, SIG_IGN, SigSet};
use std::sync::Arc;

pub use altstack::{describe as describe_altstack, replace as replace_altstack};
pub use control::{
    TemporaryMask, any_pending, kick, pending, recalc, set_action, set_blocked, take_awaited,
    with_temporary_mask,
};
pub use deliver::{handle_work, kill_group};
pub use fault::{FaultRecord, force_fault, force_signal};
pub use frame::sigreturn;
pub use permission::{check_kill, send_checked};
pub use queue::{Charge, Queued, SigQueue, SignalSource, charged};
pub use send::{
    begin_exec, begin_group_exit, notify_parent_of_exit, remove_source, send_group, send_pgrp,
    send_source, send_task,
};
pub use stop::{exit_signals, is_orphaned, is_own_group_orphaned, signal_orphaned_group};

/// What CLONE_SIGHAND shares: the actions, by signal number minus 1.
pub struct SigHand {
    pub actions: Lock<[KernelSigaction; 64]>,
    /// Told when a signal arrives: signalfds of the processes.
    pub arrival: WaitQueue,
}

impl SigHand {
    /// All default.
    pub fn new() -> Arc<SigHand> {
        SigHand::with([KernelSigaction::default(); 64])
    }

    fn with(actions: [KernelSigaction; 64]) -> Arc<SigHand> {
        Arc::new(SigHand {
            actions: Lock::new(Rank::SIGHAND, actions),
            arrival: WaitQueue::new(),
        })
    }

    /// What fork copies.
    pub fn duplicate(&self) -> Arc<SigHand> {
        SigHand::with(*self.actions.lock())
    }

    /// What execve (and CLONE_CLEAR_SIGHAND) leaves: ignored signals stay ignored, all else is default
    /// (flush_signal_handlers()).
    pub fn duplicate_for_exec(&self) -> Arc<SigHand> {
        let old = *self.actions.lock();
        SigHand::with(old.map(|action| KernelSigaction {
            handler: if action.handler == SIG_IGN {
                SIG_IGN
            } else {
                SIG_DFL
            },
            ..KernelSigaction::default()
        }))
    }

    /// The action of `signo`, 1 to 64.
    pub fn action(&self, signo: i32) -> KernelSigaction {
        self.actions.lock()[signo as usize - 1]
    }

    /// Whether `signo` is thrown away by this action (sig_handler_ignored()).
    fn ignores(&self, signo: i32) -> bool {
        let handler = self.action(signo).handler;
        handler == SIG_IGN || handler == SIG_DFL && SigSet::DEFAULT_IGNORE.contains(signo)
    }

    /// Whether `signo` ends the process (sig_fatal()).
    fn fatal(&self, signo: i32) -> bool {
        self.action(signo).handler == SIG_DFL
            && !SigSet::DEFAULT_IGNORE.contains(signo)
            && !SigSet::STOP.contains(signo)
    }
}
