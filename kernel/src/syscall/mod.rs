//! The gate: a trapped system call becomes typed arguments, runs its handler, and its result goes back negated.

mod args;
pub mod attr;
pub mod cred;
pub mod data;
pub mod dir;
pub mod epoll;
pub mod event;
pub mod exec;
pub mod fcntl;
pub mod file;
pub mod futex;
pub mod inotify;
pub mod limits;
pub mod membarrier;
pub mod mempolicy;
pub mod message;
pub mod mm;
pub mod mount;
pub mod mount_api;
pub mod open;
pub mod path;
pub mod pidfd;
pub mod pipe;
pub mod poll;
pub mod prctl;
mod prctl_mm;
pub mod process;
pub mod process_vm;
pub mod sched;
pub mod signal;
pub mod socket;
pub mod splice;
pub mod stat;
pub mod system;
pub mod table;
pub mod time;
pub mod timer;
pub mod wait;
pub mod xattr;

pub use crate::task::Context;
pub use args::{Fd, FromArg, Handler, IntoRet};

use crate::error::Result;
use abi::errno::Errno;
use abi::nr::SYS_MMAP;
use std::sync::atomic::Ordering;

/// How an interrupted call goes on when the guest calls restart_syscall(2).
pub type RestartBlock = Box<dyn FnOnce(&mut Context) -> Result<u64> + Send>;

/// Answers the system call that the guest thread trapped with.
pub fn dispatch(cx: &mut Context) {
    let regs = cx.guest.regs();
    let nr = regs.orig_rax;
    let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    for (word, value) in cx
        .task
        .syscall_words
        .iter()
        .zip(args.into_iter().chain([regs.rsp, regs.rip]))
    {
        word.store(value, Ordering::Relaxed);
    }
    cx.task.in_syscall.store(nr, Ordering::Relaxed);
    if cx.maps_pending && nr != SYS_MMAP {
        cx.maps_pending = false;
        if let Some(mm) = cx.task.mm() {
            mm.map_pending();
        }
    }
    let result = match table::row(nr) {
        Some(row) => (row.call)(cx, &args),
        None => {
            table::log_missing(nr, &cx.task);
            Err(Errno::ENOSYS.into())
        }
    };
    cx.task.in_syscall.store(u64::MAX, Ordering::Relaxed);
    match result {
        Ok(value) => cx.guest.set_result(value),
        Err(e) => {
            // A restart code must not reach the guest, even if the signal behind it is gone.
            if e.errno().is_restart() {
                cx.task.work.store(true, Ordering::SeqCst);
            }
            cx.guest.set_result(e.errno().as_syscall_result() as u64);
        }
    }
}
