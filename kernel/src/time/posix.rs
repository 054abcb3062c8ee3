//! POSIX timers: timer_create(2) and its kin (kernel/time/posix-timers.c).
//!
//! A periodic timer's signal is queued once; when it is taken, the periods that passed meanwhile become its overrun count
//! and the timer is armed for the next one. So a timer costs nothing while nobody takes its signals.

use super::clock::{self, Clock, OnSet};
use super::cpu::{self, CpuEvent};
use super::timer::{self, Timer};
use crate::error::{Error, Result};
use crate::signal::{self, Charge, SignalSource};
use crate::sync::{Lock, Rank};
use crate::task::{Task, ThreadGroup};
use abi::errno::Errno;
use abi::signal::{SIGEV_THREAD_ID, Siginfo};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Who gets the signal.
#[derive(Clone)]
pub enum Notify {
    Nobody,
    Process(Weak<ThreadGroup>),
    Thread(Weak<Task>),
}

#[derive(Default)]
struct State {
    /// Moment of its clock at which it fires next, or fired last while its signal is queued; 0: disarmed.
    at: u64,
    /// Nanoseconds; 0: once.
    interval: u64,
    /// Set with TIMER_ABSTIME, so that setting the clock moves it.
    absolute: bool,
    /// Its signal is queued; not armed.
    queued: bool,
    deleted: bool,
    /// Periods missed, counted while the signal waits; and what was told with the last signal.
    overrun: u64,
    overrun_told: i32,
    armed: Option<Timer>,
}

/// One timer.
pub struct PosixTimer {
    me: Weak<PosixTimer>,
    pub id: i32,
    clock: Clock,
    /// The number that the program named it by.
    clock_id: i32,
    group: Weak<ThreadGroup>,
    notify: Notify,
    /// SIGEV_* as the program gave it.
    how: i32,
    signo: i32,
    value: u64,
    state: Lock<State>,
    _charge: Charge,
}

/// Time left until it fires (0: disarmed) and interval, nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Setting {
    pub value: u64,
    pub interval: u64,
}

/// The timers of a process.
pub struct Table(Lock<TableInner>);

#[derive(Default)]
struct TableInner {
    next: i32,
    timers: BTreeMap<i32, Arc<PosixTimer>>,
}

impl Default for Table {
    fn default() -> Table {
        Table(Lock::new(Rank::TIMER, TableInner::default()))
    }
}

impl Table {
    /// EINVAL when there is no timer `id`.
    pub fn get(&self, id: i32) -> Result<Arc<PosixTimer>> {
        let timer = self.0.lock().timers.get(&id).cloned();
        timer.ok_or_else(|| Error::new(Errno::EINVAL))
    }

    /// Makes a disarmed timer; `value`: passed on with the signal, None for the timer's number.
    pub fn create(
        &self,
        group: &Arc<ThreadGroup>,
        (clock, clock_id): (Clock, i32),
        (notify, how): (Notify, i32),
        signo: i32,
        value: Option<u64>,
        charge: Charge,
    ) -> Arc<PosixTimer> {
        let timer = {
            let mut table = self.0.lock();
            while table.timers.contains_key(&table.next) {
                table.next = table.next.checked_add(1).unwrap_or(0);
            }
            let id = table.next;
            table.next = table.next.checked_add(1).unwrap_or(0);
            let timer = Arc::new_cyclic(|me| PosixTimer {
                me: me.clone(),
                id,
                clock,
                clock_id,
                group: Arc::downgrade(group),
                notify,
                how,
                signo,
                value: value.unwrap_or(id as u64),
                state: Lock::new(Rank::TIMER, State::default()),
                _charge: charge,
            });
            table.timers.insert(id, timer.clone());
            timer
        };
        if timer.clock.is_wall() {
            let listener: Arc<dyn OnSet> = timer.clone();
            clock::listen(&listener);
        }
        timer
    }

    /// EINVAL when there is no timer `id`.
    pub fn delete(&self, id: i32) -> Result<()> {
        let timer = self.0.lock().timers.remove(&id);
        timer.ok_or_else(|| Error::new(Errno::EINVAL))?.delete();
        Ok(())
    }

    pub fn clear(&self) {
        let timers = std::mem::take(&mut self.0.lock().timers);
        for timer in timers.values() {
            timer.delete();
        }
    }

    /// All timers, by number: /proc/pid/timers.
    pub fn all(&self) -> Vec<Arc<PosixTimer>> {
        self.0.lock().timers.values().cloned().collect()
    }
}

impl PosixTimer {
    fn delete(&self) {
        let old = {
            let mut state = self.state.lock();
            state.deleted = true;
            state.at = 0;
            state.armed.take()
        };
        drop(old);
    }

    /// Its lines of /proc/pid/timers: fs/proc/base.c:show_timer().
    pub fn show(&self) -> String {
        let kinds = ["signal", "none", "thread"];
        let kind = kinds.get((self.how & !SIGEV_THREAD_ID) as usize);
        let (whom, id) = match &self.notify {
            Notify::Thread(task) => ("tid", task.upgrade().map(|t| t.tid())),
            _ => ("pid", self.group.upgrade().map(|g| g.pid())),
        };
        format!(
            "ID: {}\nsignal: {}/{:016x}\nnotify: {}/{whom}.{}\nClockID: {}\n",
            self.id,
            self.signo,
            self.value,
            kind.unwrap_or(&"?"),
            id.unwrap_or(0),
            self.clock_id,
        )
    }

    /// Overruns of the signal taken last.
    pub fn overrun(&self) -> i32 {
        self.state.lock().overrun_told
    }

    pub fn setting(&self) -> Setting {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let silent = matches!(self.notify, Notify::Nobody);
        if state.interval != 0 && state.at != 0 && (silent || state.queued) {
            let (at, missed) = forward(state.at, state.interval, now);
            state.at = at;
            if !silent {
                state.overrun += missed;
            }
        }
        Setting {
            value: match state.at {
                0 => 0,
                // Expired once and over, or about to be signalled: common_timer_get().
                at if at <= now => u64::from(!silent && !state.queued),
                at => at - now,
            },
            interval: state.interval,
        }
    }

    /// Arms the timer `value` nanoseconds from now, or (`absolute`) when its clock shows `value`; 0 disarms. Returns the
    /// old setting.
    pub fn set(&self, new: Setting, absolute: bool) -> Setting {
        let before = self.setting();
        let now = self.clock.now();
        let old = {
            let mut state = self.state.lock();
            state.overrun = 0;
            state.overrun_told = 0;
            state.queued = false;
            state.interval = if new.value == 0 { 0 } else { new.interval };
            state.absolute = absolute;
            state.at = match (new.value, absolute) {
                (0, _) => 0,
                (at, true) => at,
                (value, false) => now.saturating_add(value),
            };
            state.armed.take()
        };
        drop(old);
        self.flush_queued();
        self.arm();
        before
    }

    /// Takes back a signal that the old setting has queued.
    fn flush_queued(&self) {
        let (Some(group), Some(me)) = (self.group.upgrade(), self.me.upgrade()) else {
            return;
        };
        let source: Arc<dyn SignalSource> = me;
        signal::remove_source(&group, &source);
    }

    fn arm(&self) {
        if matches!(self.notify, Notify::Nobody) {
            return;
        }
        let at = self.state.lock().at;
        if at == 0 {
            return;
        }
        if self.clock.is_cpu() {
            if let (Some(group), Some(me)) = (self.group.upgrade(), self.me.upgrade()) {
                let event: Arc<dyn CpuEvent> = me;
                cpu::watch(&group, &event);
            }
            return;
        }
        let me = self.me.clone();
        let timer = timer::call_at(self.clock.deadline(at), move || {
            if let Some(timer) = me.upgrade() {
                timer.expired();
            }
        });
        let old = {
            let mut state = self.state.lock();
            if state.deleted || state.at != at || state.queued {
                Some(timer)
            } else {
                state.armed.replace(timer)
            }
        };
        drop(old);
    }

    fn expired(&self) {
        let now = self.clock.now();
        let due = {
            let mut state = self.state.lock();
            let due = state.at != 0 && state.at <= now && !state.queued && !state.deleted;
            if due {
                state.queued = true;
                state.armed = None;
            }
            due
        };
        if !due {
            // The wall clock was set back, or this is an old setting's callback.
            let wait = {
                let state = self.state.lock();
                state.at != 0 && !state.queued && !state.deleted
            };
            if wait && !self.clock.is_cpu() {
                self.arm();
            }
            return;
        }
        if !self.send() {
            self.rearm();
        }
    }

    fn send(&self) -> bool {
        let Some(me) = self.me.upgrade() else {
            return false;
        };
        let source: Arc<dyn SignalSource> = me;
        let info = Siginfo::timer(self.signo, self.id, 0, self.value);
        match &self.notify {
            Notify::Nobody => false,
            Notify::Process(group) => group
                .upgrade()
                .and_then(|group| group.leader())
                .is_some_and(|leader| signal::send_source(&leader, true, info, &source)),
            Notify::Thread(task) => task
                .upgrade()
                .is_some_and(|task| signal::send_source(&task, false, info, &source)),
        }
    }

    /// The signal was taken or thrown away: counts missed periods and arms the next one (posixtimer_rearm()).
    fn rearm(&self) {
        let now = self.clock.now();
        {
            let mut state = self.state.lock();
            state.queued = false;
            if state.interval == 0 {
                state.at = 0;
                state.overrun_told = 0;
                return;
            }
            let (at, missed) = forward(state.at, state.interval, now);
            state.at = at;
            let overrun = (state.overrun + missed).saturating_sub(1);
            state.overrun_told = i32::try_from(overrun).unwrap_or(i32::MAX);
            state.overrun = 0;
        }
        self.arm();
    }
}

/// The first moment of the grid after `now`, and how many periods that is from `at` (hrtimer_forward()).
pub(super) fn forward(at: u64, interval: u64, now: u64) -> (u64, u64) {
    if now < at {
        return (at, 0);
    }
    let steps = (now - at) / interval + 1;
    (at.saturating_add(steps.saturating_mul(interval)), steps)
}

impl SignalSource for PosixTimer {
    fn taken(&self, info: &mut Siginfo) -> bool {
        if self.state.lock().deleted {
            return false;
        }
        self.rearm();
        info.set_overrun(self.overrun());
        true
    }
}

impl CpuEvent for PosixTimer {
    fn next(&self) -> Option<(Clock, u64)> {
        let state = self.state.lock();
        (state.at != 0 && !state.queued && !state.deleted).then(|| (self.clock.clone(), state.at))
    }

    fn reached(&self) {
        self.expired();
    }
}

impl OnSet for PosixTimer {
    fn clock_was_set(&self) {
        let absolute = {
            let state = self.state.lock();
            state.absolute && state.at != 0
        };
        if absolute {
            self.arm();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarding_counts_periods() {
        assert_eq!(forward(100, 10, 99), (100, 0));
        assert_eq!(forward(100, 10, 100), (110, 1));
        assert_eq!(forward(100, 10, 135), (140, 4));
    }
}
