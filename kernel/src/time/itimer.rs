//! ITIMER_REAL and alarm(2): SIGALRM to the process.

use super::timer::{self, Timer};
use crate::signal;
use crate::sync::{Deadline, Lock, Rank};
use crate::task::ThreadGroup;
use abi::signal::{SIGALRM, Siginfo};
use std::sync::{Arc, Weak};

struct State {
    /// Nanoseconds; 0: once.
    interval: u64,
    armed: Option<Timer>,
}

/// A process's ITIMER_REAL.
pub struct RealTimer(Lock<State>);

impl Default for RealTimer {
    fn default() -> RealTimer {
        RealTimer(Lock::new(
            Rank::TIMER,
            State {
                interval: 0,
                armed: None,
            },
        ))
    }
}

/// Shortest time between two signals of a timer, nanoseconds: less would only cost.
const MIN_INTERVAL_NS: u64 = 20_000;

impl RealTimer {
    /// Time left (0: disarmed) and interval, nanoseconds.
    pub fn get(&self) -> (u64, u64) {
        let state = self.0.lock();
        let left = match &state.armed {
            // A timer that is about to fire has not stopped: at least a microsecond.
            Some(timer) => (timer.deadline().0)
                .saturating_sub(super::monotonic_ns())
                .max(1000),
            None => 0,
        };
        (left, state.interval)
    }

    /// Arms `value` nanoseconds from now; 0 disarms.
    pub fn set(&self, group: &Arc<ThreadGroup>, value: u64, interval: u64) {
        let old = {
            let mut state = self.0.lock();
            state.interval = if value == 0 { 0 } else { interval };
            let new = (value != 0).then(|| arm(Arc::downgrade(group), Deadline::after(value)));
            std::mem::replace(&mut state.armed, new)
        };
        drop(old);
    }
}

fn arm(group: Weak<ThreadGroup>, at: Deadline) -> Timer {
    timer::call_at(at, move || {
        if let Some(group) = group.upgrade() {
            fire(&group, at);
        }
    })
}

fn fire(group: &Arc<ThreadGroup>, at: Deadline) {
    {
        let mut state = group.timers.real.0.lock();
        if state.armed.as_ref().map(Timer::deadline) != Some(at) {
            return;
        }
        state.armed = (state.interval != 0).then(|| {
            let step = state.interval.max(MIN_INTERVAL_NS);
            let missed = super::monotonic_ns().saturating_sub(at.0) / step;
            arm(
                Arc::downgrade(group),
                Deadline(at.0.saturating_add(step.saturating_mul(missed + 1))),
            )
        });
    }
    let _ = signal::send_group(group, Siginfo::kernel(SIGALRM));
}
