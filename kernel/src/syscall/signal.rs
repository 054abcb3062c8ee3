//! System calls on signals.

use crate::error::{Error, Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::sched;
use crate::signal::signalfd::{self, SignalFd};
use crate::signal::{self, TemporaryMask};
use crate::sync::{Deadline, WaitQueue};
use crate::syscall::Context;
use crate::task::{Task, pids};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::signal::{
    KernelSigaction, MINSIGSTKSZ, SI_TKILL, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGSET_SIZE,
    SaFlags, SfdFlags, SigSet, SigStack, Siginfo, valid,
};
use abi::task::RLIMIT_NOFILE;
use abi::time::Timespec;
use std::sync::Arc;

fn check_size(size: usize) -> Result<()> {
    if size == SIGSET_SIZE {
        Ok(())
    } else {
        err(Errno::EINVAL)
    }
}

/// Flags of an action that the kernel knows; others are cleared so that programs can tell (UAPI_SA_FLAGS).
const KNOWN_FLAGS: SaFlags = SaFlags::all().difference(SaFlags::SA_UNSUPPORTED);

pub fn rt_sigaction(
    cx: &mut Context,
    signo: i32,
    new: UserPtr<KernelSigaction>,
    old: UserPtr<KernelSigaction>,
    size: usize,
) -> Result<()> {
    check_size(size)?;
    let new = new.non_null().map(UserPtr::read).transpose()?;
    if !valid(signo) || (new.is_some() && SigSet::UNBLOCKABLE.contains(signo)) {
        return err(Errno::EINVAL);
    }
    let before = cx.task.sighand().action(signo);
    if let Some(mut new) = new {
        new.flags &= KNOWN_FLAGS.bits();
        new.mask = new.mask.difference(SigSet::UNBLOCKABLE);
        signal::set_action(&cx.task, signo, new);
    }
    if let Some(old) = old.non_null() {
        old.write(&before)?;
    }
    Ok(())
}

pub fn rt_sigprocmask(
    cx: &mut Context,
    how: i32,
    new: UserPtr<SigSet>,
    old: UserPtr<SigSet>,
    size: usize,
) -> Result<()> {
    check_size(size)?;
    let before = cx.task.signal.lock().blocked;
    if let Some(new) = new.non_null() {
        let set = new.read()?.difference(SigSet::UNBLOCKABLE);
        let mask = match how {
            SIG_BLOCK => before.union(set),
            SIG_UNBLOCK => before.difference(set),
            SIG_SETMASK => set,
            _ => return err(Errno::EINVAL),
        };
        signal::set_blocked(&cx.task, mask);
    }
    if let Some(old) = old.non_null() {
        old.write(&before)?;
    }
    Ok(())
}

pub fn rt_sigpending(cx: &mut Context, set: UserPtr<u8>, size: usize) -> Result<()> {
    if size > SIGSET_SIZE {
        return err(Errno::EINVAL);
    }
    let pending = signal::pending(&cx.task).0.to_ne_bytes();
    set.write_bytes(&pending[..size])
}

/// Sleeps until a signal is to be handled.
fn wait_for_signal(task: &Task) {
    while !task.has_signal() {
        sched::park(true);
    }
}

pub fn pause(cx: &mut Context) -> Result<()> {
    wait_for_signal(&cx.task);
    err(Errno::ERESTARTNOHAND)
}

pub fn rt_sigsuspend(cx: &mut Context, mask: UserPtr<SigSet>, size: usize) -> Result<()> {
    check_size(size)?;
    let mask = mask.read()?;
    let temporary = TemporaryMask::begin(&cx.task, Some(mask));
    wait_for_signal(&cx.task);
    temporary.end(true);
    err(Errno::ERESTARTNOHAND)
}

pub fn rt_sigtimedwait(
    cx: &mut Context,
    set: UserPtr<SigSet>,
    info: UserPtr<Siginfo>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> Result<i32> {
    check_size(size)?;
    let set = set.read()?;
    let timeout = timeout.non_null().map(UserPtr::read).transpose()?;
    if timeout.is_some_and(|t| !t.is_valid()) {
        return err(Errno::EINVAL);
    }
    let taken = await_signal(&cx.task, set, timeout)?;
    if let Some(info) = info.non_null() {
        info.write(&taken)?;
    }
    Ok(taken.si_signo)
}

fn await_signal(task: &Arc<Task>, set: SigSet, timeout: Option<Timespec>) -> Result<Siginfo> {
    if let Some(info) = signal::take_awaited(task, set) {
        return Ok(info);
    }
    let deadline = timeout.map(|t| Deadline::after(t.to_nanos() as u64));
    if timeout.is_some_and(|t| t.to_nanos() == 0) {
        return err(Errno::EAGAIN);
    }
    task.signal.lock().awaited = set.difference(SigSet::UNBLOCKABLE);
    signal::recalc(task);
    let woken = WaitQueue::new().wait_deadline(deadline, || signal::take_awaited(task, set));
    task.signal.lock().awaited = SigSet::EMPTY;
    signal::recalc(task);
    match woken {
        Ok(Some(info)) => Ok(info),
        // What made the wait end may be what was awaited.
        other => match signal::take_awaited(task, set) {
            Some(info) => Ok(info),
            None if other.is_ok() => err(Errno::EAGAIN),
            None => err(Errno::EINTR),
        },
    }
}

fn find(tid: i32) -> Result<Arc<Task>> {
    u32::try_from(tid)
        .ok()
        .and_then(|tid| pids().task(tid))
        .ok_or_else(|| Error::new(Errno::ESRCH))
}

fn own_info(task: &Task, signo: i32) -> Siginfo {
    Siginfo::kill(signo, task.pid() as i32, task.cred().uid)
}

pub fn kill(cx: &mut Context, pid: i32, signo: i32) -> Result<()> {
    let info = own_info(&cx.task, signo);
    match pid {
        1.. => signal::send_checked(&cx.task, &find(pid)?, true, info),
        0 => kill_group(&cx.task, cx.task.group.pgid(), info),
        -1 => kill_all(&cx.task, info),
        i32::MIN => err(Errno::ESRCH),
        _ => kill_group(&cx.task, pid.unsigned_abs(), info),
    }
}

/// Success when one member could be signalled (__kill_pgrp_info()).
fn kill_group(from: &Task, pgid: u32, info: Siginfo) -> Result<()> {
    let mut result = err(Errno::ESRCH);
    let mut success = false;
    for group in pids().process_group(pgid) {
        if let Some(leader) = group.leader() {
            result = signal::send_checked(from, &leader, true, info);
            success |= result.is_ok();
        }
    }
    if success { Ok(()) } else { result }
}

/// Everybody but init and the caller (kill_something_info()).
fn kill_all(from: &Task, info: Siginfo) -> Result<()> {
    let mut result = err(Errno::ESRCH);
    for group in pids().groups() {
        if group.pid() <= 1 || group.pid() == from.pid() {
            continue;
        }
        if let Some(leader) = group.leader() {
            let sent = signal::send_checked(from, &leader, true, info);
            let refused = matches!(&sent, Err(e) if e.errno() == Errno::EPERM);
            if !refused {
                result = sent;
            } else if matches!(&result, Err(e) if e.errno() == Errno::ESRCH) {
                result = Ok(());
            }
        }
    }
    result
}

fn send_thread(from: &Task, tgid: Option<i32>, tid: i32, info: Siginfo) -> Result<()> {
    let target = find(tid)?;
    if tgid.is_some_and(|tgid| target.pid() as i32 != tgid) {
        return err(Errno::ESRCH);
    }
    signal::send_checked(from, &target, false, info)
}

pub fn tgkill(cx: &mut Context, tgid: i32, tid: i32, signo: i32) -> Result<()> {
    if tgid <= 0 || tid <= 0 {
        return err(Errno::EINVAL);
    }
    let info = Siginfo::tgkill(signo, cx.task.pid() as i32, cx.task.cred().uid);
    send_thread(&cx.task, Some(tgid), tid, info)
}

pub fn tkill(cx: &mut Context, tid: i32, signo: i32) -> Result<()> {
    if tid <= 0 {
        return err(Errno::EINVAL);
    }
    let info = Siginfo::tgkill(signo, cx.task.pid() as i32, cx.task.cred().uid);
    send_thread(&cx.task, None, tid, info)
}

/// A siginfo that a program made up; what the kernel doesn't keep of it is cleared. `signo`: if not the one it names.
/// E2BIG when that isn't zero although nobody knows its meaning (kernel/signal.c:post_copy_siginfo_from_user()).
pub fn copy_info(info: UserPtr<Siginfo>, signo: Option<i32>) -> Result<Siginfo> {
    /// Words that `kernel_siginfo_t` has of the union.
    const KEPT: usize = 4;
    let mut info = info.read()?;
    if let Some(signo) = signo {
        info.si_signo = signo;
    }
    let rest = &mut info.words[KEPT..];
    if rest.iter().any(|word| *word != 0) && !is_known_layout(info.si_signo, info.si_code) {
        return err(Errno::E2BIG);
    }
    rest.fill(0);
    info._pad = 0;
    Ok(info)
}

/// kernel/signal.c:known_siginfo_layout().
fn is_known_layout(signo: i32, code: i32) -> bool {
    use abi::signal::{SI_ASYNCNL, SI_DETHREAD, SI_KERNEL, SI_USER};
    use abi::signal::{SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    const NSIGPOLL: i32 = 6;
    let most = match signo {
        SIGILL => 11,
        SIGFPE => 15,
        SIGSEGV => 10,
        SIGBUS => 5,
        SIGTRAP | SIGCHLD => 6,
        SIGSYS => 2,
        _ => NSIGPOLL,
    };
    match code {
        SI_KERNEL | SI_ASYNCNL => true,
        code if code > SI_USER => code <= most,
        code => code >= SI_DETHREAD,
    }
}

/// A siginfo for another process: a program can't pretend to be the kernel or kill(2) towards others.
fn check_info(from: &Task, target_pid: i32, info: Siginfo) -> Result<Siginfo> {
    if (info.si_code >= 0 || info.si_code == SI_TKILL) && from.pid() as i32 != target_pid {
        return err(Errno::EPERM);
    }
    Ok(info)
}

pub fn rt_sigqueueinfo(
    cx: &mut Context,
    pid: i32,
    signo: i32,
    info: UserPtr<Siginfo>,
) -> Result<()> {
    let info = check_info(&cx.task, pid, copy_info(info, Some(signo))?)?;
    signal::send_checked(&cx.task, &find(pid)?, true, info)
}

pub fn rt_tgsigqueueinfo(
    cx: &mut Context,
    tgid: i32,
    tid: i32,
    signo: i32,
    info: UserPtr<Siginfo>,
) -> Result<()> {
    let info = copy_info(info, Some(signo))?;
    if tgid <= 0 || tid <= 0 {
        return err(Errno::EINVAL);
    }
    let info = check_info(&cx.task, tid, info)?;
    send_thread(&cx.task, Some(tgid), tid, info)
}

pub fn rt_sigreturn(cx: &mut Context) -> Result<u64> {
    Ok(signal::sigreturn(cx))
}

pub fn sigaltstack(cx: &mut Context, new: UserPtr<SigStack>, old: UserPtr<SigStack>) -> Result<()> {
    let new = new.non_null().map(UserPtr::read).transpose()?;
    let sp = cx.guest.regs().rsp;
    let before = {
        let mut own = cx.task.signal.lock();
        let before = own.altstack;
        if let Some(new) = new {
            signal::replace_altstack(&mut own.altstack, new, sp, MINSIGSTKSZ)?;
        }
        signal::describe_altstack(&before, sp)
    };
    if let Some(old) = old.non_null() {
        old.write(&before)?;
    }
    Ok(())
}

pub fn restart_syscall(cx: &mut Context) -> Result<u64> {
    let block = cx.task.restart.lock().take();
    match block {
        Some(block) => block(cx),
        None => err(Errno::EINTR),
    }
}

pub fn signalfd4(
    cx: &mut Context,
    fd: i32,
    mask: UserPtr<SigSet>,
    size: usize,
    flags: u32,
) -> Result<i32> {
    check_size(size)?;
    let mask = mask.read()?;
    let flags = SfdFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    let files = cx.task.files();
    if fd == -1 {
        let status = OpenFlags::from_bits_retain((flags & SfdFlags::SFD_NONBLOCK).bits());
        check_file_max(&cx.task, 0)?;
        let file = signalfd::open(mask, OpenFlags::O_RDWR | status);
        let limit = cx.task.group.rlimit(RLIMIT_NOFILE as usize);
        return files.install(file, flags.contains(SfdFlags::SFD_CLOEXEC), 0, limit);
    }
    match files.get(fd)?.ops_as::<SignalFd>() {
        Some(signalfd) => signalfd.set_mask(mask),
        None => return err(Errno::EINVAL),
    }
    Ok(fd)
}

pub fn signalfd(cx: &mut Context, fd: i32, mask: UserPtr<SigSet>, size: usize) -> Result<i32> {
    signalfd4(cx, fd, mask, size, 0)
}
