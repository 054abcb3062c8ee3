//! The life of a task that runs guest code: run, see why it came back, answer, deliver signals, run on.

use super::Task;
use crate::{mm, sched, signal, syscall};
use abi::signal as sig;
use platform::{GuestThread, Trap};
use std::sync::Arc;

/// What a system call works with: the calling task and its guest thread.
pub struct Context {
    pub task: Arc<Task>,
    pub guest: GuestThread,
    /// The task ends when the call returns; set by exit and by fatal signals.
    pub exiting: bool,
    /// Its calls of mmap left the host's part for later: for the next call that isn't one.
    pub maps_pending: bool,
}

impl Context {
    pub fn new(task: Arc<Task>, guest: GuestThread) -> Context {
        Context {
            task,
            guest,
            exiting: false,
            maps_pending: false,
        }
    }
}

/// Bytes of a task's kernel stack.
pub const KERNEL_STACK: usize = 128 * 1024;

/// The body of a user task's fiber. Returns when the task has ended.
pub fn run_user(mut cx: Context) {
    loop {
        if cx.task.has_fatal_signal() && super::exit::must_die(&cx.task) {
            break;
        }
        if cx.task.has_work() {
            mm::flush(&mut cx);
            signal::handle_work(&mut cx);
        }
        if cx.exiting {
            break;
        }
        mm::pressure::check();
        sched::preempt_if_needed();
        let trap = sched::run_guest(&cx.task.clone(), &mut cx.guest);
        handle(&mut cx, trap);
        if cx.exiting {
            break;
        }
    }
    super::exit::finish(cx);
}

fn handle(cx: &mut Context, trap: Trap) {
    match trap {
        Trap::Syscall => syscall::dispatch(cx),
        Trap::PageFault {
            addr,
            write,
            exec,
            present,
        } => mm::fault::handle(cx, addr, write, exec, present),
        Trap::Exception {
            signo,
            code,
            addr,
            trapno,
            error_code,
        } => {
            signal::force_fault(cx, signo, code, addr, trapno, error_code);
        }
        // A call gate that isn't there is a general protection fault: arch/x86/kernel/traps.c:exc_general_protection().
        Trap::ForeignSyscall => signal::force_fault(cx, sig::SIGSEGV, sig::SI_KERNEL, 0, 13, 0),
        Trap::Interrupted => {}
        Trap::OpFailed { index, errno } => mm::operation_failed(cx, index, errno),
        Trap::Dead => {
            crate::machine::hold_when_ending();
            crate::pr_warn!(
                "{}[{}]: lost its host thread; killed",
                String::from_utf8_lossy(&cx.task.comm()),
                cx.task.tid()
            );
            signal::kill_group(cx, sig::SIGKILL);
        }
    }
}
