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
    if !timeout.is_null() && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME {
        return err(Errno::EINVAL);
    }
    let at = read_timeout(timeout)?;
    let timeout = absolute(clock == CLOCK_REALTIME, at);
    let mut entries = Vec::with_capacity(count);
    for waiter in waiters.read_array(count)? {
        let flags = Futex2Flags::from_bits_retain(waiter.flags);
        let size = flags.difference(Futex2Flags::FUTEX2_PRIVATE);
        if size != Futex2Flags::FUTEX2_SIZE_U32 || waiter._reserved != 0 {
            return err(Errno::EINVAL);
        }
        let Ok(value) = u32::try_from(waiter.val) else {
            return err(Errno::EINVAL);
        };
        entries.push(WaitEntry {
            addr: waiter.uaddr,
            private: flags.contains(Futex2Flags::FUTEX2_PRIVATE),
            value,
        });
    }
    futex::wait_many(&cx.task, &entries, timeout.as_ref())
}
