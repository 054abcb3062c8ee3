//! Signals that the kernel forces on a thread: faults, bad frames. They can be neither blocked nor ignored.

use super::send;
use crate::sync::{Lock, Rank};
use crate::syscall::Context;
use crate::task::Task;
use abi::signal::{self as sig, SIG_DFL, SIG_IGN, SIGSEGV, Siginfo};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The last fault of a thread, as its signal frames tell it.
#[derive(Clone, Copy, Default, Debug)]
pub struct FaultRecord {
    /// Exception number, error code, address of a page fault.
    pub trapno: u64,
    pub error_code: u64,
    pub cr2: u64,
}

/// A fault of the current instruction: delivered even if blocked or ignored (force_sig_fault()).
pub fn force_fault(
    cx: &mut Context,
    signo: i32,
    code: i32,
    addr: u64,
    trapno: u64,
    error_code: u64,
) {
    const PAGE_FAULT: u64 = 14;
    {
        let mut own = cx.task.signal.lock();
        own.fault.trapno = trapno;
        own.fault.error_code = error_code;
        if trapno == PAGE_FAULT {
            own.fault.cr2 = addr;
        }
    }
    if unhandled(&cx.task, signo) {
        log_fault(cx, signo, addr, trapno, error_code);
    }
    let info = if code == sig::SI_KERNEL {
        Siginfo::kernel(signo)
    } else {
        Siginfo::fault(signo, code, addr)
    };
    force_signal(&cx.task, info);
}

/// Delivers `info` to the calling task even if blocked or ignored: then the default action is taken
/// (force_sig_info()).
pub fn force_signal(task: &Arc<Task>, info: Siginfo) {
    let signo = info.si_signo;
    let sighand = task.sighand();
    let default = {
        let _inner = task.group.inner.lock();
        let mut own = task.signal.lock();
        let blocked = own.blocked.contains(signo);
        let mut actions = sighand.actions.lock();
        let action = &mut actions[signo as usize - 1];
        if blocked || action.handler == SIG_IGN {
            action.handler = SIG_DFL;
            own.blocked.del(signo);
        }
        action.handler == SIG_DFL
    };
    if default {
        task.group.unkillable.store(false, Ordering::SeqCst);
    }
    let _ = send::send(task, false, info, true, None);
}

/// A signal frame couldn't be written, or the frame given to rt_sigreturn is bad (force_sigsegv(), signal_fault()).
pub(super) fn force_segv(cx: &mut Context, because_of: i32) {
    if because_of == SIGSEGV {
        // Its own handler can't be run: the default action it is.
        let sighand = cx.task.sighand();
        let _inner = cx.task.group.inner.lock();
        sighand.actions.lock()[SIGSEGV as usize - 1].handler = SIG_DFL;
    }
    force_signal(&cx.task, Siginfo::kernel(SIGSEGV));
}

/// Whether nobody handles the signal, so that the log tells (unhandled_signal()).
fn unhandled(task: &Task, signo: i32) -> bool {
    let handler = task.sighand().action(signo).handler;
    task.pid() == 1 || handler == SIG_DFL || handler == SIG_IGN
}

/// Lines logged in the present window, and when it began in nanoseconds: ten in five seconds (printk_ratelimit()).
static WINDOW: Lock<(u32, u64)> = Lock::new(Rank::LEAF, (0, 0));
const WINDOW_NS: u64 = 5_000_000_000;
const WINDOW_LINES: u32 = 10;

fn may_log() -> bool {
    let now = crate::time::monotonic_ns();
    let mut window = WINDOW.lock();
    if now.saturating_sub(window.1) > WINDOW_NS {
        *window = (0, now);
    }
    window.0 += 1;
    window.0 <= WINDOW_LINES
}

/// The file that `ip` lies in (print_vma_addr()): ` in name[offset,start+length]`.
fn place(task: &Task, ip: u64) -> Option<String> {
    let areas = task.mm()?.areas();
    let area = areas.iter().find(|a| (a.start..a.end).contains(&ip))?;
    let (_, offset) = area.mapping()?;
    let name = area.file()?.path().dentry.name();
    Some(format!(
        " in {}[{:x},{:x}+{:x}]",
        String::from_utf8_lossy(&name),
        ip - area.start + offset,
        area.start,
        area.len()
    ))
}

/// arch/x86/mm/fault.c:show_signal_msg(), arch/x86/kernel/traps.c:show_signal().
fn log_fault(cx: &mut Context, signo: i32, addr: u64, trapno: u64, error: u64) {
    let what = match (trapno, signo) {
        (14, SIGSEGV) => "segfault",
        (0, _) => "divide error",
        (6, _) => "invalid opcode",
        (13, _) => "general protection fault",
        (16, _) => "fpu exception",
        (17, _) => "alignment check",
        (19, _) => "simd exception",
        (1 | 3 | 14, _) => return,
        _ => "trap",
    };
    if !may_log() {
        return;
    }
    let regs = cx.guest.regs();
    let comm = cx.task.comm();
    let comm = String::from_utf8_lossy(&comm);
    let (tid, ip, sp) = (cx.task.tid(), regs.rip, regs.rsp);
    let place = place(&cx.task, ip).unwrap_or_default();
    if what == "segfault" {
        let cpu = crate::sched::this_vcpu();
        crate::pr_info!(
            "{comm}[{tid}]: segfault at {addr:x} ip {ip:016x} sp {sp:016x} error {error:x}{place} likely on CPU {cpu} \
             (core {cpu}, socket 0)"
        );
    } else {
        crate::pr_info!("traps: {comm}[{tid}] {what} ip:{ip:x} sp:{sp:x} error:{error:x}{place}");
    }
}
