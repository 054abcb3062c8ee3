//! Process descriptors, and comparing what tasks share.

use super::signal::copy_info;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::fs::pseudo::PseudoInode;
use crate::ipc::epoll;
use crate::signal;
use crate::task::pidfd::{self, PidFd};
use crate::task::{Acting, Pid, Task, may_inspect, pids};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::signal::{SI_TKILL, Siginfo, valid};
use abi::task::*;
use std::sync::Arc;

pub fn pidfd_open(cx: &mut Context, pid: i32, flags: u32) -> Result<i32> {
    let flags = PidfdFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 || pid <= 0 {
        return err(Errno::EINVAL);
    }
    let thread = flags.contains(PidfdFlags::PIDFD_THREAD);
    let task = pids().task(pid as Pid).ok_or(Errno::ESRCH)?;
    if !thread && task.group.pid() != pid as Pid {
        return err(Errno::ENOENT);
    }
    let mut open = OpenFlags::empty();
    open.set(
        OpenFlags::O_NONBLOCK,
        flags.contains(PidfdFlags::PIDFD_NONBLOCK),
    );
    pidfd::install(&cx.task, &task, thread, open)
}

pub fn pidfd_send_signal(
    cx: &mut Context,
    fd: Fd,
    signo: i32,
    info: UserPtr<Siginfo>,
    flags: u32,
) -> Result<()> {
    let scope = PidfdSignalFlags::from_bits_retain(flags);
    if scope.unknown_bits() != 0 || scope.bits().count_ones() > 1 {
        return err(Errno::EINVAL);
    }
    if matches!(fd.0, PIDFD_SELF_THREAD | PIDFD_SELF_THREAD_GROUP) {
        let of = PidFd {
            task: cx.task.clone(),
            thread: fd.0 == PIDFD_SELF_THREAD,
        };
        return send(cx, &of, signo, info, scope);
    }
    let file = cx.task.files().get(fd.0)?;
    let directory = PseudoInode::process(&**file.inode()).map(|task| PidFd {
        task,
        thread: false,
    });
    let of = file
        .ops_as::<PidFd>()
        .or(directory.as_ref())
        .ok_or(Errno::EBADF)?;
    send(cx, of, signo, info, scope)
}

fn send(
    cx: &Context,
    of: &PidFd,
    signo: i32,
    info: UserPtr<Siginfo>,
    scope: PidfdSignalFlags,
) -> Result<()> {
    let target = of.task.clone();
    let thread =
        scope.contains(PidfdSignalFlags::PIDFD_SIGNAL_THREAD) || (scope.is_empty() && of.thread);
    let told = match info.non_null() {
        Some(info) => {
            let told = copy_info(info, None)?;
            if told.si_signo != signo {
                return err(Errno::EINVAL);
            }
            let own = target.pid() == cx.task.pid();
            if !own && (told.si_code >= 0 || told.si_code == SI_TKILL) {
                return err(Errno::EPERM);
            }
            told
        }
        None => {
            let (pid, uid) = (cx.task.pid() as i32, cx.task.cred().uid);
            if thread {
                Siginfo::tgkill(signo, pid, uid)
            } else {
                Siginfo::kill(signo, pid, uid)
            }
        }
    };
    if signo != 0 && !valid(signo) {
        return err(Errno::EINVAL);
    }
    if of.is_gone() {
        return err(Errno::ESRCH);
    }
    signal::check_kill(&cx.task, &target, signo)?;
    if signo == 0 {
        return Ok(());
    }
    if scope.contains(PidfdSignalFlags::PIDFD_SIGNAL_PROCESS_GROUP) {
        signal::send_pgrp(target.group.pgid(), told)
    } else if thread {
        signal::send_task(&target, told)
    } else {
        signal::send_group(&target.group, told)
    }
}

pub fn pidfd_getfd(cx: &mut Context, fd: Fd, which: Fd, flags: u32) -> Result<i32> {
    if flags != 0 {
        return err(Errno::EINVAL);
    }
    let file = pidfd::get(&cx.task, fd.0)?;
    let of = file.ops_as::<PidFd>().ok_or(Errno::EBADF)?;
    if of.is_gone() || of.task.mm().is_none() {
        return err(Errno::ESRCH);
    }
    if !may_inspect(&cx.task, &of.task, Acting::Real) {
        return err(Errno::EPERM);
    }
    let found = of.task.files().get(which.0)?;
    let limit = cx.task.group.rlimit(RLIMIT_NOFILE as usize);
    cx.task.files().install(found, true, 0, limit)
}

/// Waits until the memory of a process that was killed is given back: mm/oom_kill.c.
pub fn process_mrelease(cx: &mut Context, fd: Fd, flags: u32) -> Result<()> {
    if flags != 0 {
        return err(Errno::EINVAL);
    }
    let file = pidfd::get(&cx.task, fd.0)?;
    let of = file.ops_as::<PidFd>().ok_or(Errno::EBADF)?;
    let group = of.task.group.clone();
    let has_memory = || group.threads().iter().any(|t| t.mm().is_some());
    if of.is_gone() || !has_memory() {
        return err(Errno::ESRCH);
    }
    if group.inner.lock().group_exit.is_none() {
        return err(Errno::EINVAL);
    }
    let me = cx.task.clone();
    group.exit_wait.wait_uninterruptible(|| {
        (group.is_zombie() || !has_memory() || me.has_fatal_signal()).then_some(())
    });
    if has_memory() {
        err(Errno::EINTR)
    } else {
        Ok(())
    }
}

fn address<T: ?Sized>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).cast::<()>() as usize
}

/// Order of two objects: 0 equal, 1 less, 2 greater. Addresses are mixed so that they don't leak.
fn order(a: usize, b: usize) -> u32 {
    static COOKIE: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| crate::random::u64() | 1);
    let mix = |v: usize| (v as u64 ^ *COOKIE).wrapping_mul(*COOKIE);
    match mix(a).cmp(&mix(b)) {
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Less => 1,
        std::cmp::Ordering::Greater => 2,
    }
}

pub fn kcmp(
    cx: &mut Context,
    pid1: i32,
    pid2: i32,
    kind: u32,
    index1: u64,
    index2: u64,
) -> Result<u32> {
    let find = |pid: i32| -> Result<Arc<Task>> {
        let pid = Pid::try_from(pid).map_err(|_| Errno::ESRCH)?;
        Ok(pids().task(pid).ok_or(Errno::ESRCH)?)
    };
    let (a, b) = (find(pid1)?, find(pid2)?);
    if !may_inspect(&cx.task, &a, Acting::Real) || !may_inspect(&cx.task, &b, Acting::Real) {
        return err(Errno::EPERM);
    }
    let file = |task: &Task, fd: u64| task.files().get(i32::try_from(fd).unwrap_or(-1));
    Ok(match kind {
        KCMP_FILE => order(address(&file(&a, index1)?), address(&file(&b, index2)?)),
        KCMP_VM => {
            let of = |task: &Task| task.mm().map_or(0, |mm| address(&mm));
            order(of(&a), of(&b))
        }
        KCMP_FILES => order(address(&a.files()), address(&b.files())),
        KCMP_FS => order(address(&a.fs()), address(&b.fs())),
        KCMP_SIGHAND => order(address(&a.sighand()), address(&b.sighand())),
        // Nobody has an I/O context or semaphore adjustments of his own.
        KCMP_IO | KCMP_SYSVSEM => 0,
        KCMP_EPOLL_TFD => {
            let slot = UserPtr::<KcmpEpollSlot>::new(index2).read()?;
            let watched = file(&a, index1)?;
            let epoll = file(&b, u64::from(slot.efd))?;
            let target = epoll::watched(&epoll, slot.tfd as i32, slot.toff as usize)?;
            order(address(&watched), address(&target))
        }
        _ => return err(Errno::EINVAL),
    })
}
