//! System calls on clocks and sleeping.

use crate::error::{Result, err};
use crate::sync::Deadline;
use crate::syscall::Context;
use crate::time::clock::{self, Clock, Use};
use crate::time::{self, sleep};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::task::CAP_SYS_TIME;
use abi::time::CLOCKFD;
use abi::time::{
    AdjModes, CLOCK_REALTIME, NSEC_PER_SEC, StaFlags, TIME_ERROR, TIME_OK, TIMER_ABSTIME, Timespec,
    Timeval, Timex, Timezone,
};
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

fn spec(ns: u64) -> Timespec {
    Timespec::from_nanos(ns.min(i64::MAX as u64) as i64)
}

pub fn clock_gettime(cx: &mut Context, id: i32, out: UserPtr<Timespec>) -> Result<()> {
    let clock = Clock::from_id(&cx.task, id, Use::Read)?;
    out.write(&spec(clock.now()))
}

pub fn clock_getres(cx: &mut Context, id: i32, out: UserPtr<Timespec>) -> Result<()> {
    Clock::from_id(&cx.task, id, Use::Read)?;
    match out.non_null() {
        Some(out) => out.write(&Timespec::from_nanos(clock::resolution_ns(id))),
        None => Ok(()),
    }
}

pub fn clock_settime(cx: &mut Context, id: i32, new: UserPtr<Timespec>) -> Result<()> {
    if id != CLOCK_REALTIME {
        if id < 0 && id & 7 != CLOCKFD {
            new.read()?;
        }
        // EPERM for CPU clocks that exist, as posix_cpu_clock_set() says.
        let clock = Clock::from_id(&cx.task, id, Use::Read)?;
        return err(if clock.is_cpu() && id < 0 {
            Errno::EPERM
        } else {
            Errno::EINVAL
        });
    }
    set_clock(cx, new.read()?)
}

fn set_clock(cx: &Context, new: Timespec) -> Result<()> {
    if !new.is_valid() {
        return err(Errno::EINVAL);
    }
    if !cx.task.capable(CAP_SYS_TIME) {
        return err(Errno::EPERM);
    }
    // The wall clock doesn't go before the start of the monotonic one: timespec64_valid_settod(), tk_set_wall_to_mono().
    if new.to_nanos() < time::monotonic_ns() as i64 {
        return err(Errno::EINVAL);
    }
    clock::set_realtime(new.to_nanos());
    Ok(())
}

static TIMEZONE: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];

pub fn gettimeofday(_cx: &mut Context, tv: UserPtr<Timeval>, tz: UserPtr<Timezone>) -> Result<()> {
    if let Some(tv) = tv.non_null() {
        tv.write(&Timeval::from_nanos(time::realtime_ns() as i64))?;
    }
    if let Some(tz) = tz.non_null() {
        tz.write(&Timezone {
            tz_minuteswest: TIMEZONE[0].load(Ordering::Relaxed),
            tz_dsttime: TIMEZONE[1].load(Ordering::Relaxed),
        })?;
    }
    Ok(())
}

pub fn settimeofday(cx: &mut Context, tv: UserPtr<Timeval>, tz: UserPtr<Timezone>) -> Result<()> {
    let tv = tv.non_null().map(UserPtr::read).transpose()?;
    let tz = tz.non_null().map(UserPtr::read).transpose()?;
    if tv.is_some_and(|tv| !tv.is_valid()) {
        return err(Errno::EINVAL);
    }
    if !cx.task.capable(CAP_SYS_TIME) {
        return err(Errno::EPERM);
    }
    if let Some(tz) = tz {
        if !(-15 * 60..=15 * 60).contains(&tz.tz_minuteswest) {
            return err(Errno::EINVAL);
        }
        TIMEZONE[0].store(tz.tz_minuteswest, Ordering::Relaxed);
        TIMEZONE[1].store(tz.tz_dsttime, Ordering::Relaxed);
    }
    match tv {
        Some(tv) => set_clock(cx, Timespec::from_nanos(tv.to_nanos())),
        None => Ok(()),
    }
}

pub fn time(_cx: &mut Context, out: UserPtr<i64>) -> Result<i64> {
    let seconds = (time::realtime_ns() / 1_000_000_000) as i64;
    if let Some(out) = out.non_null() {
        out.write(&seconds)?;
    }
    Ok(seconds)
}

pub fn nanosleep(
    cx: &mut Context,
    request: UserPtr<Timespec>,
    remain: UserPtr<Timespec>,
) -> Result<u64> {
    let request = request.read()?;
    if !request.is_valid() {
        return err(Errno::EINVAL);
    }
    let at = time::monotonic_ns().saturating_add(request.to_nanos() as u64);
    sleep_restartable(cx, Clock::Monotonic, at, remain)
}

pub fn clock_nanosleep(
    cx: &mut Context,
    id: i32,
    flags: u32,
    request: UserPtr<Timespec>,
    remain: UserPtr<Timespec>,
) -> Result<u64> {
    let clock = Clock::from_id(&cx.task, id, Use::Sleep)?;
    let request = request.read()?;
    if !request.is_valid() {
        return err(Errno::EINVAL);
    }
    let ns = request.to_nanos() as u64;
    if flags & TIMER_ABSTIME != 0 {
        return match sleep::until_clock(&cx.task, &clock, ns) {
            Err(e) if e == Errno::ERESTARTSYS => err(Errno::ERESTARTNOHAND),
            other => other.map(|()| 0),
        };
    }
    // A relative sleep isn't moved by setting the clock: hrtimer_nanosleep() of CLOCK_REALTIME.
    let clock = if clock.is_wall() {
        Clock::Monotonic
    } else {
        clock
    };
    let at = clock.now().saturating_add(ns);
    sleep_restartable(cx, clock, at, remain)
}

/// Sleeps until `clock` shows `at`. When interrupted, tells what is left in `remain` and goes on by restart_syscall(2).
fn sleep_restartable(
    cx: &mut Context,
    clock: Clock,
    at: u64,
    remain: UserPtr<Timespec>,
) -> Result<u64> {
    let slept = match clock {
        Clock::Monotonic => sleep::until(Deadline(at)),
        _ => sleep::until_clock(&cx.task, &clock, at),
    };
    match slept {
        Err(e) if e == Errno::ERESTARTSYS => {}
        other => return other.map(|()| 0),
    }
    let left = at.saturating_sub(clock.now());
    if left == 0 {
        return Ok(0);
    }
    if let Some(remain) = remain.non_null() {
        remain.write(&spec(left))?;
    }
    *cx.task.restart.lock() = Some(Box::new(move |cx| sleep_restartable(cx, clock, at, remain)));
    err(Errno::ERESTART_RESTARTBLOCK)
}

static STATUS: AtomicI32 = AtomicI32::new(StaFlags::STA_UNSYNC.bits() as i32);
static MAX_ERROR: AtomicI64 = AtomicI64::new(16_000_000);
static EST_ERROR: AtomicI64 = AtomicI64::new(16_000_000);
static CONSTANT: AtomicI64 = AtomicI64::new(2);
/// Bits of the status that programs can't change (STA_RONLY).
const STATUS_READ_ONLY: i32 = 0xff00;

pub fn adjtimex(cx: &mut Context, timex: UserPtr<Timex>) -> Result<i32> {
    let mut value = timex.read()?;
    let state = adjust(cx, &mut value)?;
    timex.write(&value)?;
    Ok(state)
}

pub fn clock_adjtime(cx: &mut Context, id: i32, timex: UserPtr<Timex>) -> Result<i32> {
    if id == CLOCK_REALTIME {
        return adjtimex(cx, timex);
    }
    timex.read()?;
    if id >= 0 || id & 7 == CLOCKFD {
        Clock::from_id(&cx.task, id, Use::Read)?;
    }
    // Clocks of processes too, also of those that aren't there.
    err(Errno::EOPNOTSUPP)
}

/// Ticks a second, for ADJ_TICK.
const HZ: i64 = abi::time::USER_HZ as i64;

/// Largest frequency that doesn't overflow: LLONG_MAX / PPM_SCALE.
const FREQUENCY_MAX: i64 = i64::MAX / (1000 << 16);

/// What is asked for makes sense, and the caller may: kernel/time/timekeeping.c:timekeeping_validate_timex(). EINVAL, EPERM.
fn validate(cx: &Context, modes: AdjModes, tx: &Timex) -> Result<()> {
    let may = cx.task.capable(CAP_SYS_TIME);
    if modes.contains(AdjModes::ADJ_ADJTIME) {
        if !modes.contains(AdjModes::ADJ_OFFSET) {
            return err(Errno::EINVAL);
        }
        if !modes.contains(AdjModes::ADJ_NANO) && !may {
            return err(Errno::EPERM);
        }
    } else {
        if !modes.is_empty() && !may {
            return err(Errno::EPERM);
        }
        let tick_is_odd = !(900_000 / HZ..=1_100_000 / HZ).contains(&tx.tick);
        if modes.contains(AdjModes::ADJ_TICK) && tick_is_odd {
            return err(Errno::EINVAL);
        }
    }
    if modes.contains(AdjModes::ADJ_SETOFFSET) {
        if !may {
            return err(Errno::EPERM);
        }
        if !(0..unit(modes)).contains(&tx.time.tv_usec) {
            return err(Errno::EINVAL);
        }
    }
    let frequency = -FREQUENCY_MAX..=FREQUENCY_MAX;
    if modes.contains(AdjModes::ADJ_FREQUENCY) && !frequency.contains(&tx.freq) {
        return err(Errno::EINVAL);
    }
    Ok(())
}

/// Units of a second in which a step's fraction is given.
fn unit(modes: AdjModes) -> i64 {
    if modes.contains(AdjModes::ADJ_NANO) {
        NSEC_PER_SEC
    } else {
        1_000_000
    }
}

/// Whether the clock would run at another rate than the host's: it doesn't.
fn changes_rate(modes: AdjModes, tx: &Timex) -> bool {
    if modes.contains(AdjModes::ADJ_ADJTIME) {
        // ADJ_OFFSET_SS_READ only asks what is left of the last adjtime(3): nothing.
        return !modes.contains(AdjModes::ADJ_NANO) && tx.offset != 0;
    }
    let mut status = STATUS.load(Ordering::Relaxed);
    if modes.contains(AdjModes::ADJ_STATUS) {
        status = tx.status;
    }
    let locked = status & StaFlags::STA_PLL.bits() as i32 != 0;
    modes.contains(AdjModes::ADJ_TICK) && tx.tick != TICK
        || modes.contains(AdjModes::ADJ_FREQUENCY) && tx.freq != 0
        || modes.contains(AdjModes::ADJ_OFFSET) && locked && tx.offset != 0
}

/// Microseconds of a tick at the host's rate.
const TICK: i64 = 1_000_000 / HZ;

/// kernel/time/timekeeping.c:do_adjtimex(). The clock can be stepped, but its rate is the host's business: EOPNOTSUPP, which
/// Linux never says here, for changing it.
fn adjust(cx: &Context, tx: &mut Timex) -> Result<i32> {
    let modes = AdjModes::from_bits_retain(tx.modes);
    validate(cx, modes, tx)?;
    if changes_rate(modes, tx) {
        return err(Errno::EOPNOTSUPP);
    }
    if modes.contains(AdjModes::ADJ_SETOFFSET) {
        let fraction = tx.time.tv_usec * (NSEC_PER_SEC / unit(modes));
        clock::step_realtime(
            tx.time
                .tv_sec
                .saturating_mul(NSEC_PER_SEC)
                .saturating_add(fraction),
        );
    }
    if !modes.contains(AdjModes::ADJ_ADJTIME) {
        store_status(modes, tx);
    }
    let status = STATUS.load(Ordering::Relaxed);
    let nano = status & StaFlags::STA_NANO.bits() as i32 != 0;
    let now = time::now();
    tx.offset = 0;
    tx.freq = 0;
    tx.maxerror = MAX_ERROR.load(Ordering::Relaxed);
    tx.esterror = EST_ERROR.load(Ordering::Relaxed);
    tx.status = status;
    tx.constant = CONSTANT.load(Ordering::Relaxed);
    tx.precision = 1;
    tx.tolerance = 32_768_000;
    tx.tick = TICK;
    tx.tai = clock::tai_offset();
    tx.time.tv_sec = now.tv_sec;
    tx.time.tv_usec = if nano {
        now.tv_nsec
    } else {
        now.tv_nsec / 1000
    };
    let unsynchronised = StaFlags::STA_UNSYNC | StaFlags::STA_CLOCKERR;
    Ok(if status & unsynchronised.bits() as i32 != 0 {
        TIME_ERROR
    } else {
        TIME_OK
    })
}

fn store_status(modes: AdjModes, tx: &Timex) {
    if modes.contains(AdjModes::ADJ_STATUS) {
        let keep = STATUS.load(Ordering::Relaxed) & STATUS_READ_ONLY;
        STATUS.store(keep | (tx.status & !STATUS_READ_ONLY), Ordering::Relaxed);
    }
    let nano = StaFlags::STA_NANO.bits() as i32;
    if modes.contains(AdjModes::ADJ_NANO) {
        STATUS.fetch_or(nano, Ordering::Relaxed);
    }
    if modes.contains(AdjModes::ADJ_MICRO) {
        STATUS.fetch_and(!nano, Ordering::Relaxed);
    }
    let limit = 16_000_000;
    if modes.contains(AdjModes::ADJ_MAXERROR) {
        MAX_ERROR.store(tx.maxerror.clamp(0, limit), Ordering::Relaxed);
    }
    if modes.contains(AdjModes::ADJ_ESTERROR) {
        EST_ERROR.store(tx.esterror.clamp(0, limit), Ordering::Relaxed);
    }
    if modes.contains(AdjModes::ADJ_TIMECONST) {
        CONSTANT.store(tx.constant.clamp(0, 10), Ordering::Relaxed);
    }
    if modes.contains(AdjModes::ADJ_TAI) && (0..=0x7fff).contains(&tx.constant) {
        clock::set_tai_offset(tx.constant as i32);
    }
}
