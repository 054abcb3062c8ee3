//! CPU time: of threads and processes, and the timers, limits and sleeps that count it
//! (kernel/time/posix-cpu-timers.c).
//!
//! Nothing counts while guest code runs: whoever waits for CPU time has the process looked at again when the time could
//! have passed at the earliest. A process that used none since the last look is left alone until it runs again.

use super::clock::Clock;
use crate::error::Result;
use crate::signal;
use crate::sync::{Deadline, Lock, Rank, WaitQueue};
use crate::task::{Task, ThreadGroup};
use abi::signal::{SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU, Siginfo};
use abi::task::RLIMIT_CPU;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Nanoseconds in guest code and in the kernel.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CpuTimes {
    pub user_ns: u64,
    pub system_ns: u64,
}

impl CpuTimes {
    pub fn total(self) -> u64 {
        self.user_ns + self.system_ns
    }
}

/// What a thread has used, up to this moment.
pub fn task_times(task: &Task) -> CpuTimes {
    let (user_ns, system_ns) = task.sched.times();
    CpuTimes { user_ns, system_ns }
}

/// What a process has used, threads that have ended included (thread_group_cputime()).
pub fn group_times(group: &ThreadGroup) -> CpuTimes {
    let inner = group.inner.lock();
    let mut sum = CpuTimes {
        user_ns: inner.dead_threads.utime_ns,
        system_ns: inner.dead_threads.stime_ns,
    };
    for thread in &inner.threads {
        let times = task_times(thread);
        sum.user_ns += times.user_ns;
        sum.system_ns += times.system_ns;
    }
    sum
}

/// Something that is due when a CPU clock reaches a value.
pub trait CpuEvent: Send + Sync {
    /// Clock and value; None: nothing any more.
    fn next(&self) -> Option<(Clock, u64)>;
    /// The value was reached. No locks held.
    fn reached(&self);
}

/// An interval timer on CPU time: `at` 0 is disarmed; nanoseconds.
#[derive(Clone, Copy, Default, Debug)]
pub struct CpuItimer {
    pub at: u64,
    pub interval: u64,
}

#[derive(Default)]
struct State {
    virtual_timer: CpuItimer,
    prof: CpuItimer,
    events: Vec<Weak<dyn CpuEvent>>,
    /// CPU time in nanoseconds at which RLIMIT_CPU sends SIGXCPU next.
    limit_next: Option<u64>,
    used_at_check: u64,
    check: Option<super::timer::Timer>,
}

/// What counts a process's CPU time.
pub struct CpuTimers {
    state: Lock<State>,
    /// To be armed again when a thread of the process runs.
    dormant: AtomicBool,
}

impl Default for CpuTimers {
    fn default() -> CpuTimers {
        CpuTimers {
            state: Lock::new(Rank::TIMER, State::default()),
            dormant: AtomicBool::new(false),
        }
    }
}

impl CpuTimers {
    /// A new process has RLIMIT_CPU of `seconds`.
    pub fn inherit_limit(&self, seconds: u64) {
        if seconds != u64::MAX {
            self.state.lock().limit_next = Some(seconds.saturating_mul(NS));
            self.dormant.store(true, Ordering::SeqCst);
        }
    }
}

/// Shortest time between two looks, nanoseconds.
const MIN_CHECK_NS: u64 = 100_000;
const NS: u64 = 1_000_000_000;

/// ITIMER_VIRTUAL and ITIMER_PROF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Virtual,
    Prof,
}

/// Value (time left, 0 when disarmed) and interval of an interval timer.
pub fn itimer(group: &ThreadGroup, which: Which) -> (u64, u64) {
    let now = itimer_now(group, which);
    let state = group.timers.cpu.state.lock();
    let timer = match which {
        Which::Virtual => state.virtual_timer,
        Which::Prof => state.prof,
    };
    let left = match timer.at {
        0 => 0,
        at => at.saturating_sub(now).max(1000),
    };
    (left, timer.interval)
}

fn itimer_now(group: &ThreadGroup, which: Which) -> u64 {
    let times = group_times(group);
    match which {
        Which::Virtual => times.user_ns,
        Which::Prof => times.total(),
    }
}

/// Arms an interval timer `value` nanoseconds of CPU time from now; 0 disarms.
pub fn set_itimer(group: &Arc<ThreadGroup>, which: Which, value: u64, interval: u64) {
    let now = itimer_now(group, which);
    {
        let mut state = group.timers.cpu.state.lock();
        let timer = CpuItimer {
            at: if value == 0 { 0 } else { now + value },
            interval,
        };
        match which {
            Which::Virtual => state.virtual_timer = timer,
            Which::Prof => state.prof = timer,
        }
    }
    check(group);
}

/// Has `event` told when its clock reaches its value. It is dropped when it asks for nothing any more.
pub fn watch(group: &Arc<ThreadGroup>, event: &Arc<dyn CpuEvent>) {
    let known = {
        let mut state = group.timers.cpu.state.lock();
        let is_it = |e: &Weak<dyn CpuEvent>| e.upgrade().is_some_and(|e| Arc::ptr_eq(&e, event));
        let known = state.events.iter().any(is_it);
        if !known {
            state.events.push(Arc::downgrade(event));
        }
        known
    };
    if known {
        // Perhaps called from check(): not again from here.
        group.timers.cpu.dormant.store(true, Ordering::SeqCst);
        resumed(group);
    } else {
        check(group);
    }
}

/// RLIMIT_CPU of the process was set.
pub fn limit_changed(group: &Arc<ThreadGroup>) {
    let limit = group.rlimit(RLIMIT_CPU as usize);
    group.timers.cpu.state.lock().limit_next =
        (limit != u64::MAX).then(|| limit.saturating_mul(NS));
    check(group);
}

struct Sleeper {
    clock: Clock,
    at: u64,
    queue: WaitQueue,
}

impl CpuEvent for Sleeper {
    fn next(&self) -> Option<(Clock, u64)> {
        Some((self.clock.clone(), self.at))
    }
    fn reached(&self) {
        self.queue.wake_all();
    }
}

/// Sleeps until CPU clock `clock` shows `at`. ERESTARTSYS.
pub(super) fn sleep(task: &Arc<Task>, clock: &Clock, at: u64) -> Result<()> {
    let queue = WaitQueue::new();
    let event: Arc<dyn CpuEvent> = Arc::new(Sleeper {
        clock: clock.clone(),
        at,
        queue: queue.clone(),
    });
    let group = match clock {
        Clock::Process(group, _) => group.clone(),
        Clock::Thread(thread, _) => thread.group.clone(),
        _ => task.group.clone(),
    };
    watch(&group, &event);
    queue.wait_until(|| (clock.now() >= at).then_some(()))
}

fn take_due(timer: &mut CpuItimer, now: u64) -> bool {
    if timer.at == 0 || now < timer.at {
        return false;
    }
    timer.at = match timer.interval {
        0 => 0,
        interval => timer.at + interval * ((now - timer.at) / interval + 1),
    };
    true
}

/// Fires what is due of the process and looks again when the next thing could be.
fn check(group: &Arc<ThreadGroup>) {
    let times = group_times(group);
    let (hard_limit, running) = {
        let inner = group.inner.lock();
        if inner.zombie.is_some() {
            return;
        }
        let running = inner.threads.iter().filter(|t| t.sched.is_running());
        (
            inner.rlimits[RLIMIT_CPU as usize].rlim_max,
            running.count().max(1) as u64,
        )
    };
    let mut signals = Vec::new();
    let mut events = Vec::new();
    let mut next = u64::MAX;
    {
        let mut state = group.timers.cpu.state.lock();
        if take_due(&mut state.virtual_timer, times.user_ns) {
            signals.push(SIGVTALRM);
        }
        if take_due(&mut state.prof, times.total()) {
            signals.push(SIGPROF);
        }
        if let Some(at) = state.limit_next {
            if times.total() >= hard_limit.saturating_mul(NS) {
                signals.push(SIGKILL);
                state.limit_next = None;
            } else if times.total() >= at {
                signals.push(SIGXCPU);
                state.limit_next = Some(at + NS);
            }
        }
        let mut left = |at: u64, now: u64| next = next.min(at.saturating_sub(now));
        if state.virtual_timer.at != 0 {
            left(state.virtual_timer.at, times.user_ns);
        }
        if state.prof.at != 0 {
            left(state.prof.at, times.total());
        }
        if let Some(at) = state.limit_next {
            left(at, times.total());
        }
        state.events.retain(|e| e.strong_count() > 0);
        events.extend(state.events.iter().filter_map(Weak::upgrade));
    }
    for signo in signals {
        let _ = signal::send_group(group, Siginfo::kernel(signo));
    }
    for event in events {
        if let Some((clock, at)) = event.next() {
            if clock.now() >= at {
                event.reached();
            }
            if let Some((clock, at)) = event.next() {
                next = next.min(at.saturating_sub(clock.now()));
            }
        }
    }
    rearm(group, next, times.total(), running);
}

fn rearm(group: &Arc<ThreadGroup>, next: u64, used: u64, running: u64) {
    let weak = Arc::downgrade(group);
    let mut state = group.timers.cpu.state.lock();
    let moved = used != state.used_at_check;
    state.used_at_check = used;
    let old = state.check.take();
    if next != u64::MAX {
        if moved {
            let wait = (next / running).max(MIN_CHECK_NS);
            state.check = Some(super::timer::call_at(Deadline::after(wait), move || {
                if let Some(group) = weak.upgrade() {
                    check(&group);
                }
            }));
        } else {
            group.timers.cpu.dormant.store(true, Ordering::SeqCst);
        }
    }
    drop(state);
    drop(old);
    // A thread that was switched in meanwhile didn't see the mark.
    let runs = |group: &ThreadGroup| {
        let inner = group.inner.lock();
        inner.threads.iter().any(|t| t.sched.is_running())
    };
    if !moved && next != u64::MAX && runs(group) {
        resumed(group);
    }
}

/// A thread of the process was switched in; called by its vCPU.
pub fn resumed(group: &Arc<ThreadGroup>) {
    if group.timers.cpu.dormant.load(Ordering::Relaxed)
        && group.timers.cpu.dormant.swap(false, Ordering::SeqCst)
    {
        let weak = Arc::downgrade(group);
        let timer = super::timer::call_at(Deadline::after(MIN_CHECK_NS), move || {
            if let Some(group) = weak.upgrade() {
                check(&group);
            }
        });
        let old = group.timers.cpu.state.lock().check.replace(timer);
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_itimers_keep_their_grid() {
        let mut timer = CpuItimer {
            at: 100,
            interval: 30,
        };
        assert!(!take_due(&mut timer, 99));
        assert!(take_due(&mut timer, 165));
        assert_eq!(timer.at, 190);
        let mut once = CpuItimer {
            at: 100,
            interval: 0,
        };
        assert!(take_due(&mut once, 100));
        assert_eq!(once.at, 0);
        assert!(!take_due(&mut once, 1000));
    }
}
