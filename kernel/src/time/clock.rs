//! Clocks: what a clock number means, how it reads, and who is told when the wall clock is set.

use super::cpu;
use crate::error::{Error, Result, err};
use crate::sync::{Deadline, Lock, Rank, WaitQueue};
use crate::task::{Pid, Task, ThreadGroup, pids};
use abi::errno::Errno;
use abi::time as t;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// What a CPU clock counts (CPUCLOCK_PROF, _VIRT, _SCHED).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuKind {
    /// User and system time.
    Total,
    User,
}

/// A clock that programs can name.
#[derive(Clone)]
pub enum Clock {
    Realtime,
    Monotonic,
    Boottime,
    Tai,
    Process(Arc<ThreadGroup>, CpuKind),
    Thread(Arc<Task>, CpuKind),
}

/// Which uses a clock number is good for, beside reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    Read,
    Sleep,
    Timer,
}

static OFFSET: AtomicI64 = AtomicI64::new(0);
static TAI: AtomicI32 = AtomicI32::new(0);
static SETTINGS: AtomicU64 = AtomicU64::new(0);
static SET: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);
static LISTENERS: Lock<Vec<Weak<dyn OnSet>>> = Lock::new(Rank::LEAF, Vec::new());

/// A coarse clock's step: a tick of 4 ms.
const COARSE_NS: i64 = 4_000_000;

impl Clock {
    /// The clock that number `id` names for `task`. EINVAL when there is none, EOPNOTSUPP when it is of no use for `what`.
    pub fn from_id(task: &Arc<Task>, id: i32, what: Use) -> Result<Clock> {
        let only_read = |clock: Clock| {
            if what == Use::Read {
                Ok(clock)
            } else {
                err(Errno::EOPNOTSUPP)
            }
        };
        match id {
            t::CLOCK_REALTIME => Ok(Clock::Realtime),
            t::CLOCK_MONOTONIC => Ok(Clock::Monotonic),
            t::CLOCK_BOOTTIME => Ok(Clock::Boottime),
            t::CLOCK_TAI => Ok(Clock::Tai),
            t::CLOCK_REALTIME_COARSE => only_read(Clock::Realtime),
            t::CLOCK_MONOTONIC_COARSE | t::CLOCK_MONOTONIC_RAW => only_read(Clock::Monotonic),
            // There is no device that could wake the machine: kernel/time/alarmtimer.c without one.
            t::CLOCK_REALTIME_ALARM | t::CLOCK_BOOTTIME_ALARM if what == Use::Read => {
                err(Errno::EINVAL)
            }
            t::CLOCK_REALTIME_ALARM | t::CLOCK_BOOTTIME_ALARM => err(Errno::EOPNOTSUPP),
            t::CLOCK_PROCESS_CPUTIME_ID => Ok(Clock::Process(task.group.clone(), CpuKind::Total)),
            t::CLOCK_THREAD_CPUTIME_ID if what == Use::Sleep => err(Errno::EOPNOTSUPP),
            t::CLOCK_THREAD_CPUTIME_ID => Ok(Clock::Thread(task.clone(), CpuKind::Total)),
            // A clock device behind a descriptor: there is none (kernel/time/posix-clock.c).
            _ if id < 0 && id & 7 == t::CLOCKFD => err(if what == Use::Read {
                Errno::EINVAL
            } else {
                Errno::EOPNOTSUPP
            }),
            _ if id < 0 => cpu_clock(task, id, what),
            _ => err(Errno::EINVAL),
        }
    }

    /// Its time in nanoseconds.
    pub fn now(&self) -> u64 {
        let pick = |times: cpu::CpuTimes, kind| match kind {
            CpuKind::Total => times.total(),
            CpuKind::User => times.user_ns,
        };
        match self {
            Clock::Realtime => super::realtime_ns(),
            Clock::Monotonic | Clock::Boottime => super::monotonic_ns(),
            Clock::Tai => {
                let tai = i64::from(TAI.load(Ordering::Relaxed)) * t::NSEC_PER_SEC;
                super::realtime_ns().saturating_add_signed(tai)
            }
            Clock::Process(group, kind) => pick(cpu::group_times(group), *kind),
            Clock::Thread(task, kind) => pick(cpu::task_times(task), *kind),
        }
    }

    pub fn is_cpu(&self) -> bool {
        matches!(self, Clock::Process(..) | Clock::Thread(..))
    }

    /// Whether setting the wall clock moves it.
    pub fn is_wall(&self) -> bool {
        matches!(self, Clock::Realtime | Clock::Tai)
    }

    /// The moment of CLOCK_MONOTONIC at which this clock, not a CPU clock, will show `at`, as it is set now.
    pub fn deadline(&self, at: u64) -> Deadline {
        match self {
            Clock::Monotonic | Clock::Boottime => Deadline(at),
            _ => {
                let left = i128::from(at) - i128::from(self.now());
                let mono = i128::from(super::monotonic_ns()) + left;
                Deadline(mono.clamp(0, i128::from(u64::MAX)) as u64)
            }
        }
    }
}

/// kernel/time/posix-cpu-timers.c: the pid and kind that a negative clock number holds.
fn cpu_clock(task: &Arc<Task>, id: i32, what: Use) -> Result<Clock> {
    let pid = !(id >> 3) as Pid;
    let kind = match id & 3 {
        0 | 2 => CpuKind::Total,
        1 => CpuKind::User,
        _ => return err(Errno::EINVAL),
    };
    let gone = || Error::new(Errno::EINVAL);
    if id & 4 != 0 {
        if what == Use::Sleep && (pid == 0 || pid == task.tid()) {
            return err(Errno::EINVAL);
        }
        let thread = match pid {
            0 => task.clone(),
            _ => pids().task(pid).ok_or_else(gone)?,
        };
        if thread.pid() != task.pid() {
            return err(Errno::EINVAL);
        }
        return Ok(Clock::Thread(thread, kind));
    }
    let group = match pid {
        0 => task.group.clone(),
        _ if what == Use::Read && pid == task.tid() => task.group.clone(),
        _ => pids().group(pid).ok_or_else(gone)?,
    };
    Ok(Clock::Process(group, kind))
}

/// Resolution of clock `id`, which exists, in nanoseconds.
pub fn resolution_ns(id: i32) -> i64 {
    match id {
        t::CLOCK_REALTIME_COARSE | t::CLOCK_MONOTONIC_COARSE => COARSE_NS,
        _ => 1,
    }
}

/// Told, without locks held, that the wall clock was set.
pub trait OnSet: Send + Sync {
    fn clock_was_set(&self);
}

/// Has `listener` told of every setting of the wall clock while it lives.
pub fn listen(listener: &Arc<dyn OnSet>) {
    let mut all = LISTENERS.lock();
    all.retain(|l| l.strong_count() > 0);
    all.push(Arc::downgrade(listener));
}

/// How often the wall clock was set, and the queue that is told when it is.
pub fn settings() -> (u64, &'static WaitQueue) {
    (SETTINGS.load(Ordering::SeqCst), &SET)
}

/// Sets CLOCK_REALTIME to `ns` since 1970.
pub fn set_realtime(ns: i64) {
    let host = super::realtime_ns() as i64 - OFFSET.load(Ordering::SeqCst);
    set_offset(ns.saturating_sub(host));
}

/// Moves CLOCK_REALTIME by `ns`.
pub fn step_realtime(ns: i64) {
    set_offset(OFFSET.load(Ordering::SeqCst).saturating_add(ns));
}

fn set_offset(offset: i64) {
    OFFSET.store(offset, Ordering::SeqCst);
    platform::clock::set_realtime_offset(offset);
    tell();
}

/// The wall clock has jumped: it was set, or time has stood still for a while.
pub(super) fn tell() {
    SETTINGS.fetch_add(1, Ordering::SeqCst);
    SET.wake_all();
    let all: Vec<_> = LISTENERS.lock().iter().filter_map(Weak::upgrade).collect();
    for listener in all {
        listener.clock_was_set();
    }
}

/// Seconds by which TAI is ahead of UTC.
pub fn tai_offset() -> i32 {
    TAI.load(Ordering::Relaxed)
}

pub fn set_tai_offset(seconds: i32) {
    TAI.store(seconds, Ordering::Relaxed);
}
