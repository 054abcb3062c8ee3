//! System calls on futexes.

use crate::error::{Result, err};
use crate::ipc::futex::{self, Timeout, WaitEntry};
use crate::syscall::Context;
use crate::time::clock::Clock;
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::futex as f;
use abi::futex::{Futex2Flags, FutexFlags, FutexWaitv};
use abi::time::{CLOCK_MONOTONIC, CLOCK_REALTIME, Timespec};

fn read_timeout(timeout: UserPtr<Timespec>) -> Result<Option<u64>> {
    match timeout.non_null() {
        None => Ok(None),
        Some(timeout) => {
            let timeout = timeout.read()?;
            if !timeout.is_valid() {
                return err(Errno::EINVAL);
            }
            Ok(Some(timeout.to_nanos() as u64))
        }
    }
}

fn absolute(realtime: bool, at: Option<u64>) -> Option<Timeout> {
    let clock = if realtime {
        Clock::Realtime
    } else {
        Clock::Monotonic
    };
    at.map(|at| Timeout { clock, at })
}

pub fn futex(
    cx: &mut Context,
    addr: u64,
    op: u32,
    value: u32,
    timeout: u64,
    addr2: u64,
    value3: u32,
) -> Result<u64> {
    let flags = FutexFlags::from_bits_retain(op & !f::FUTEX_CMD_MASK);
    let private = flags.contains(FutexFlags::FUTEX_PRIVATE_FLAG);
    let realtime = flags.contains(FutexFlags::FUTEX_CLOCK_REALTIME);
    let command = op & f::FUTEX_CMD_MASK;
    let with_clock = [
        f::FUTEX_WAIT_BITSET,
        f::FUTEX_WAIT_REQUEUE_PI,
        f::FUTEX_LOCK_PI2,
    ];
    if realtime && !with_clock.contains(&command) {
        return err(Errno::ENOSYS);
    }
    let value2 = timeout as i32;
    let task = cx.task.clone();
    let count = |n: usize| Ok(n as u64);
    match command {
        f::FUTEX_WAIT => {
            let timeout = read_timeout(UserPtr::new(timeout))?.map(|ns| Timeout {
                clock: Clock::Monotonic,
                at: Clock::Monotonic.now().saturating_add(ns),
            });
            wait(cx, addr, private, value, !0, timeout)
        }
        f::FUTEX_WAIT_BITSET => {
            let at = read_timeout(UserPtr::new(timeout))?;
            wait(cx, addr, private, value, value3, absolute(realtime, at))
        }
        f::FUTEX_WAKE => count(futex::wake(&task, addr, private, value as i32, !0)?),
        f::FUTEX_WAKE_BITSET => count(futex::wake(&task, addr, private, value as i32, value3)?),
        f::FUTEX_REQUEUE => count(futex::requeue(
            &task,
            addr,
            addr2,
            private,
            value as i32,
            value2,
            None,
        )?),
        f::FUTEX_CMP_REQUEUE => count(futex::requeue(
            &task,
            addr,
            addr2,
            private,
            value as i32,
            value2,
            Some(value3),
        )?),
        f::FUTEX_WAKE_OP => count(futex::wake_op(
            &task,
            addr,
            addr2,
            private,
            value as i32,
            value2,
            value3,
        )?),
        f::FUTEX_LOCK_PI | f::FUTEX_LOCK_PI2 => {
            let at = read_timeout(UserPtr::new(timeout))?;
            let realtime = realtime || command == f::FUTEX_LOCK_PI;
            let timeout = absolute(realtime, at);
            futex::lock_pi(&task, addr, private, timeout.as_ref(), false)?;
            Ok(0)
        }
        f::FUTEX_WAIT_REQUEUE_PI => {
            let at = read_timeout(UserPtr::new(timeout))?;
            let entry = WaitEntry {
                addr,
                private,
                value,
            };
            let timeout = absolute(realtime, at);
            futex::wait_requeue_pi(&task, entry, addr2, timeout.as_ref()).map(|()| 0)
        }
        f::FUTEX_CMP_REQUEUE_PI => count(futex::requeue_pi(
            &task,
            addr,
            addr2,
            private,
            value as i32,
            value2,
            value3,
        )?),
        f::FUTEX_TRYLOCK_PI => futex::lock_pi(&task, addr, private, None, true).map(|()| 0),
        f::FUTEX_UNLOCK_PI => futex::unlock_pi(&task, addr, private).map(|()| 0),
        _ => err(Errno::ENOSYS),
    }
}

/// A wait with a timeout goes on by restart_syscall(2), to the same moment.
fn wait(
    cx: &mut Context,
    addr: u64,
    private: bool,
    value: u32,
    bitset: u32,
    timeout: Option<Timeout>,
) -> Result<u64> {
    match futex::wait(&cx.task, addr, private, value, bitset, timeout.as_ref()) {
        Err(e) if e == Errno::ERESTARTSYS && timeout.is_some() => {
            *cx.task.restart.lock() = Some(Box::new(move |cx| {
                wait(cx, addr, private, value, bitset, timeout)
            }));
            err(Errno::ERESTART_RESTARTBLOCK)
        }
        other => other.map(|()| 0),
    }
}

pub fn futex_waitv(
    cx: &mut Context,
    waiters: UserPtr<FutexWaitv>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> Result<usize> {
    let count = count as usize;
    if flags != 0 || count == 0 || count > f::FUTEX_WAITV_MAX || waiters.is_null() {
        return err(Errno::EINVAL);
    }
    let timeout = read_absolute(timeout, clock)?;
    let entries = read_entries(waiters, count)?;
    let words: Vec<_> = entries.into_iter().map(|(word, _)| word).collect();
    futex::wait_many(&cx.task, &words, timeout.as_ref())
}

/// A moment of CLOCK_MONOTONIC or CLOCK_REALTIME; other clocks are EINVAL.
fn read_absolute(timeout: UserPtr<Timespec>, clock: i32) -> Result<Option<Timeout>> {
    if timeout.is_null() {
        return Ok(None);
    }
    if clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME {
        return err(Errno::EINVAL);
    }
    Ok(absolute(clock == CLOCK_REALTIME, read_timeout(timeout)?))
}

/// Whether a word of these flags is private. EINVAL but for words of 32 bits on no node of choice.
fn check_flags(flags: Futex2Flags) -> Result<bool> {
    if flags.difference(Futex2Flags::FUTEX2_PRIVATE) != Futex2Flags::FUTEX2_SIZE_U32 {
        return err(Errno::EINVAL);
    }
    Ok(flags.contains(Futex2Flags::FUTEX2_PRIVATE))
}

/// Values and masks are as wide as the word. EINVAL.
fn narrow(value: u64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Errno::EINVAL.into())
}

/// kernel/futex/syscalls.c:futex_parse_waitv().
fn read_entries(
    waiters: UserPtr<FutexWaitv>,
    count: usize,
) -> Result<Vec<(WaitEntry, Futex2Flags)>> {
    let mut entries = Vec::with_capacity(count);
    for waiter in waiters.read_array(count)? {
        let flags = Futex2Flags::from_bits_retain(waiter.flags);
        let private = check_flags(flags)?;
        if waiter._reserved != 0 {
            return err(Errno::EINVAL);
        }
        let word = WaitEntry {
            addr: waiter.uaddr,
            private,
            value: narrow(waiter.val)?,
        };
        entries.push((word, flags));
    }
    Ok(entries)
}

pub fn futex_wake(cx: &mut Context, addr: u64, mask: u64, count: i32, flags: u32) -> Result<usize> {
    let private = check_flags(Futex2Flags::from_bits_retain(flags))?;
    let mask = narrow(mask)?;
    if count == 0 && mask != 0 {
        // Here none means none; FUTEX_WAKE wakes one.
        return futex::check(&cx.task, addr, private).map(|()| 0);
    }
    futex::wake(&cx.task, addr, private, count, mask)
}

pub fn futex_wait(
    cx: &mut Context,
    addr: u64,
    value: u64,
    mask: u64,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> Result<()> {
    let private = check_flags(Futex2Flags::from_bits_retain(flags))?;
    let (value, mask) = (narrow(value)?, narrow(mask)?);
    let timeout = read_absolute(timeout, clock)?;
    futex::wait(&cx.task, addr, private, value, mask, timeout.as_ref())
}

pub fn futex_requeue(
    cx: &mut Context,
    waiters: UserPtr<FutexWaitv>,
    flags: u32,
    wake: i32,
    moved: i32,
) -> Result<usize> {
    if flags != 0 || waiters.is_null() {
        return err(Errno::EINVAL);
    }
    let entries = read_entries(waiters, 2)?;
    let ((from, flags), (to, others)) = (entries[0], entries[1]);
    if flags != others {
        return err(Errno::EINVAL);
    }
    let expected = Some(from.value);
    let task = cx.task.clone();
    futex::requeue(
        &task,
        from.addr,
        to.addr,
        from.private,
        wake,
        moved,
        expected,
    )
}
