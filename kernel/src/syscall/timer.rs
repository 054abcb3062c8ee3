//! System calls on timers: interval timers, POSIX timers, timerfds.

use crate::error::{Error, Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::signal::Charge;
use crate::syscall::{Context, Fd};
use crate::task::pids;
use crate::time::clock::{Clock, Use};
use crate::time::cpu::{self, Which};
use crate::time::posix::{Notify, Setting};
use crate::time::timerfd::{self, TimerFdFile};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::signal::{SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD_ID, Sigevent, valid};
use abi::task::{CAP_WAKE_ALARM, RLIMIT_NOFILE, RLIMIT_SIGPENDING};
use abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, Itimerspec, Itimerval, TIMER_ABSTIME, TfdFlags,
    Timespec, Timeval,
};
use std::sync::Arc;

const NS: u64 = 1_000_000_000;

/// A timeval rounded up to microseconds, so that an armed timer never reads as 0.
fn val(ns: u64) -> Timeval {
    let us = ns.div_ceil(1000);
    Timeval {
        tv_sec: (us / 1_000_000) as i64,
        tv_usec: (us % 1_000_000) as i64,
    }
}

fn read_itimer(cx: &Context, which: i32) -> Result<(u64, u64)> {
    let group = &cx.task.group;
    match which {
        ITIMER_REAL => Ok(group.timers.real.get()),
        ITIMER_VIRTUAL => Ok(cpu::itimer(group, Which::Virtual)),
        ITIMER_PROF => Ok(cpu::itimer(group, Which::Prof)),
        _ => err(Errno::EINVAL),
    }
}

fn itimerval((value, interval): (u64, u64)) -> Itimerval {
    Itimerval {
        it_interval: val(interval),
        it_value: val(value),
    }
}

pub fn getitimer(cx: &mut Context, which: i32, out: UserPtr<Itimerval>) -> Result<()> {
    out.write(&itimerval(read_itimer(cx, which)?))
}

pub fn setitimer(
    cx: &mut Context,
    which: i32,
    new: UserPtr<Itimerval>,
    old: UserPtr<Itimerval>,
) -> Result<()> {
    // A null pointer disarms: kernel/time/itimer.c:setitimer().
    let new = match new.non_null() {
        Some(new) => new.read()?,
        None => Itimerval::default(),
    };
    if !new.it_value.is_valid() || !new.it_interval.is_valid() {
        return err(Errno::EINVAL);
    }
    let before = read_itimer(cx, which)?;
    let value = new.it_value.to_nanos() as u64;
    let interval = new.it_interval.to_nanos() as u64;
    let group = &cx.task.group;
    match which {
        ITIMER_REAL => group.timers.real.set(group, value, interval),
        ITIMER_VIRTUAL => cpu::set_itimer(group, Which::Virtual, value, interval),
        _ => cpu::set_itimer(group, Which::Prof, value, interval),
    }
    match old.non_null() {
        Some(old) => old.write(&itimerval(before)),
        None => Ok(()),
    }
}

pub fn alarm(cx: &mut Context, seconds: u32) -> Result<u64> {
    let group = &cx.task.group;
    let (left, _) = group.timers.real.get();
    group.timers.real.set(group, u64::from(seconds) * NS, 0);
    // Rounded to the nearest second, but not to 0 while armed.
    Ok(match left {
        0 => 0,
        left => ((left + NS / 2) / NS).max(1),
    })
}

fn read_setting(new: UserPtr<Itimerspec>) -> Result<Setting> {
    let new = new.read()?;
    if !new.it_value.is_valid() || !new.it_interval.is_valid() {
        return err(Errno::EINVAL);
    }
    Ok(Setting {
        value: new.it_value.to_nanos() as u64,
        interval: new.it_interval.to_nanos() as u64,
    })
}

fn itimerspec(setting: Setting) -> Itimerspec {
    let spec = |ns: u64| Timespec::from_nanos(ns.min(i64::MAX as u64) as i64);
    Itimerspec {
        it_interval: spec(setting.interval),
        it_value: spec(setting.value),
    }
}

pub fn timer_create(
    cx: &mut Context,
    clock: i32,
    event: UserPtr<Sigevent>,
    id: UserPtr<i32>,
) -> Result<()> {
    let event = event.non_null().map(UserPtr::read).transpose()?;
    let clock = (Clock::from_id(&cx.task, clock, Use::Timer)?, clock);
    let group = &cx.task.group;
    let (notify, signo, value) = match event {
        None => {
            let process = Notify::Process(Arc::downgrade(group));
            ((process, SIGEV_SIGNAL), SIGALRM, None)
        }
        Some(event) => {
            let notify = match event.sigev_notify {
                SIGEV_NONE => Notify::Nobody,
                SIGEV_SIGNAL => Notify::Process(Arc::downgrade(group)),
                n if n == SIGEV_SIGNAL | SIGEV_THREAD_ID => {
                    let thread = u32::try_from(event.sigev_notify_thread_id)
                        .ok()
                        .and_then(|tid| pids().task(tid))
                        .filter(|thread| thread.pid() == cx.task.pid())
                        .ok_or_else(|| Error::new(Errno::EINVAL))?;
                    Notify::Thread(Arc::downgrade(&thread))
                }
                // SIGEV_THREAD is the C library's: to the kernel it is a plain signal.
                2 => Notify::Process(Arc::downgrade(group)),
                _ => return err(Errno::EINVAL),
            };
            if event.sigev_notify != SIGEV_NONE && !valid(event.sigev_signo) {
                return err(Errno::EINVAL);
            }
            let how = event.sigev_notify;
            ((notify, how), event.sigev_signo, Some(event.sigev_value))
        }
    };
    let limit = group.rlimit(RLIMIT_SIGPENDING as usize);
    let Some(charge) = Charge::new(cx.task.cred().uid, limit, false) else {
        return err(Errno::EAGAIN);
    };
    let timer = group
        .timers
        .posix
        .create(group, clock, notify, signo, value, charge);
    if let Err(e) = id.write(&timer.id) {
        let _ = group.timers.posix.delete(timer.id);
        return Err(e);
    }
    Ok(())
}

pub fn timer_settime(
    cx: &mut Context,
    id: i32,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> Result<()> {
    if new.is_null() {
        return err(Errno::EINVAL);
    }
    let new = read_setting(new)?;
    let timer = cx.task.group.timers.posix.get(id)?;
    let before = timer.set(new, flags & TIMER_ABSTIME != 0);
    match old.non_null() {
        Some(old) => old.write(&itimerspec(before)),
        None => Ok(()),
    }
}

pub fn timer_gettime(cx: &mut Context, id: i32, out: UserPtr<Itimerspec>) -> Result<()> {
    let timer = cx.task.group.timers.posix.get(id)?;
    out.write(&itimerspec(timer.setting()))
}

pub fn timer_getoverrun(cx: &mut Context, id: i32) -> Result<i32> {
    Ok(cx.task.group.timers.posix.get(id)?.overrun())
}

pub fn timer_delete(cx: &mut Context, id: i32) -> Result<()> {
    cx.task.group.timers.posix.delete(id)
}

pub fn timerfd_create(cx: &mut Context, id: i32, flags: u32) -> Result<Fd> {
    let flags = TfdFlags::from_bits_retain(flags);
    let allowed = TfdFlags::TFD_NONBLOCK | TfdFlags::TFD_CLOEXEC;
    let clock = match id {
        CLOCK_REALTIME | CLOCK_REALTIME_ALARM => Clock::Realtime,
        CLOCK_MONOTONIC => Clock::Monotonic,
        CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => Clock::Boottime,
        _ => return err(Errno::EINVAL),
    };
    if !allowed.contains(flags) {
        return err(Errno::EINVAL);
    }
    let wakes = matches!(id, CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM);
    if wakes && !cx.task.capable(CAP_WAKE_ALARM) {
        return err(Errno::EPERM);
    }
    check_file_max(&cx.task, 0)?;
    let file = timerfd::open(
        clock,
        id,
        OpenFlags::O_RDWR
            | OpenFlags::from_bits_retain(flags.bits() & TfdFlags::TFD_NONBLOCK.bits()),
    );
    let limit = cx.task.group.rlimit(RLIMIT_NOFILE as usize);
    let cloexec = flags.contains(TfdFlags::TFD_CLOEXEC);
    cx.task.files().install(file, cloexec, 0, limit).map(Fd)
}

pub fn timerfd_settime(
    cx: &mut Context,
    fd: Fd,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> Result<()> {
    let new = read_setting(new)?;
    let known = TfdFlags::TFD_TIMER_ABSTIME | TfdFlags::TFD_TIMER_CANCEL_ON_SET;
    if flags & !known.bits() != 0 {
        return err(Errno::EINVAL);
    }
    let file = cx.task.files().get(fd.0)?;
    let Some(timer) = file.ops_as::<TimerFdFile>() else {
        return err(Errno::EINVAL);
    };
    let set = TfdFlags::from_bits_retain(flags);
    let before = timer.0.set(
        new,
        set.contains(TfdFlags::TFD_TIMER_ABSTIME),
        set.contains(TfdFlags::TFD_TIMER_CANCEL_ON_SET),
        flags,
    );
    match old.non_null() {
        Some(old) => old.write(&itimerspec(before)),
        None => Ok(()),
    }
}

pub fn timerfd_gettime(cx: &mut Context, fd: Fd, out: UserPtr<Itimerspec>) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    let Some(timer) = file.ops_as::<TimerFdFile>() else {
        return err(Errno::EINVAL);
    };
    out.write(&itimerspec(timer.0.setting()))
}
