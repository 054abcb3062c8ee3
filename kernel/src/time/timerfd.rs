//! timerfd: expirations as reads (fs/timerfd.c). A periodic one is counted when somebody looks, not while nobody does.

use super::clock::{self, Clock, OnSet};
use super::posix::{Setting, forward};
use super::timer::{self, Timer};
use crate::error::{Result, err};
use crate::sync::{Lock, PollTable, Rank, WaitQueue};
use crate::syscall::Context;
use crate::user::UserPtr;
use crate::vfs::{self, File, FileOps, PollEvents, Sink};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::time::TFD_IOC_SET_TICKS;
use std::any::Any;
use std::sync::{Arc, Weak};

#[derive(Default)]
struct State {
    /// Moment of its clock at which it expires next; 0: disarmed.
    at: u64,
    /// Nanoseconds; 0: once.
    interval: u64,
    /// Expirations not read yet.
    ticks: u64,
    /// Has expired and is not armed: the periods since are counted when somebody looks.
    expired: bool,
    absolute: bool,
    /// TFD_TIMER_CANCEL_ON_SET: how often the clock had been set when this was last told.
    cancel: Option<u64>,
    flags: u32,
    armed: Option<Timer>,
}

/// The timer behind a descriptor.
pub struct TimerFd {
    me: Weak<TimerFd>,
    clock: Clock,
    clock_id: i32,
    state: Lock<State>,
    queue: WaitQueue,
}

impl TimerFd {
    fn new(clock: Clock, clock_id: i32) -> Arc<TimerFd> {
        let timer = Arc::new_cyclic(|me| TimerFd {
            me: me.clone(),
            clock,
            clock_id,
            state: Lock::new(Rank::TIMER, State::default()),
            queue: WaitQueue::new(),
        });
        if timer.clock.is_wall() {
            let listener: Arc<dyn OnSet> = timer.clone();
            clock::listen(&listener);
        }
        timer
    }

    /// Time left and interval.
    pub fn setting(&self) -> Setting {
        let now = self.clock.now();
        let setting = {
            let mut state = self.state.lock();
            state.catch_up(now);
            Setting {
                value: match state.at {
                    0 => 0,
                    _ if state.expired => 0,
                    at => at.saturating_sub(now).max(1),
                },
                interval: state.interval,
            }
        };
        self.arm();
        setting
    }

    /// As timerfd_settime(2); the old setting. `cancel`: reads fail when the clock is set. `flags` are for fdinfo.
    pub fn set(&self, new: Setting, absolute: bool, cancel: bool, flags: u32) -> Setting {
        let before = self.setting();
        let now = self.clock.now();
        let old = {
            let mut state = self.state.lock();
            state.ticks = 0;
            state.expired = false;
            state.absolute = absolute;
            state.flags = flags;
            state.cancel =
                (cancel && absolute && self.clock.is_wall()).then(|| clock::settings().0);
            state.interval = new.interval;
            state.at = match (new.value, absolute) {
                (0, _) => 0,
                (at, true) => at,
                (value, false) => now.saturating_add(value),
            };
            state.armed.take()
        };
        drop(old);
        let at = self.state.lock().at;
        if at != 0 && at <= self.clock.now() {
            self.fire();
        } else {
            self.arm();
        }
        before
    }

    fn arm(&self) {
        let at = {
            let state = self.state.lock();
            if state.at == 0 || state.expired || state.armed.is_some() {
                return;
            }
            state.at
        };
        let me = self.me.clone();
        let timer = timer::call_at(self.clock.deadline(at), move || {
            if let Some(timer) = me.upgrade() {
                timer.fire();
            }
        });
        let spare = {
            let mut state = self.state.lock();
            if state.at == at && !state.expired && state.armed.is_none() {
                state.armed = Some(timer);
                None
            } else {
                Some(timer)
            }
        };
        drop(spare);
    }

    fn fire(&self) {
        let now = self.clock.now();
        let due = {
            let mut state = self.state.lock();
            state.armed = None;
            let due = state.at != 0 && state.at <= now && !state.expired;
            if due {
                state.expired = true;
                state.ticks += 1;
            }
            due
        };
        if due {
            self.queue.wake_all_events(PollEvents::IN);
        } else {
            self.arm();
        }
    }

    /// Whether the clock was set since this was last told; tells it once.
    fn canceled(&self) -> bool {
        let mut state = self.state.lock();
        let settings = clock::settings().0;
        match state.cancel {
            Some(seen) if seen != settings => {
                state.cancel = Some(settings);
                true
            }
            _ => false,
        }
    }

    fn take(&self) -> Option<Result<u64>> {
        if self.canceled() {
            self.state.lock().ticks = 0;
            return Some(err(Errno::ECANCELED));
        }
        let now = self.clock.now();
        let ticks = {
            let mut state = self.state.lock();
            if state.ticks == 0 {
                return None;
            }
            state.catch_up(now);
            std::mem::take(&mut state.ticks)
        };
        self.arm();
        Some(Ok(ticks))
    }
}

impl State {
    /// Counts the periods since it expired and moves on to the next one.
    fn catch_up(&mut self, now: u64) {
        if self.expired && self.interval != 0 {
            let (at, steps) = forward(self.at, self.interval, now);
            self.ticks += steps.saturating_sub(1);
            self.at = at;
            self.expired = false;
        }
    }
}

impl OnSet for TimerFd {
    fn clock_was_set(&self) {
        let (absolute, cancels) = {
            let mut state = self.state.lock();
            if state.absolute {
                state.armed = None;
            }
            (state.absolute, state.cancel.is_some())
        };
        if absolute {
            self.arm();
        }
        if cancels {
            self.queue.wake_all_events(PollEvents::IN);
        }
    }
}

/// The open file of a timerfd.
pub struct TimerFdFile(pub Arc<TimerFd>);

/// A new disarmed timerfd.
pub fn open(clock: Clock, clock_id: i32, flags: OpenFlags) -> Arc<File> {
    let timer = TimerFd::new(clock, clock_id);
    vfs::anon_file("[timerfd]", Box::new(TimerFdFile(timer)), flags)
}

impl FileOps for TimerFdFile {
    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        if sink.remaining() < 8 {
            return err(Errno::EINVAL);
        }
        let ticks = match self.0.take() {
            Some(result) => result?,
            None if file.nonblocking() => return err(Errno::EAGAIN),
            None => self.0.queue.wait_until(|| self.0.take())??,
        };
        sink.write(&ticks.to_ne_bytes())
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.0.queue);
        }
        let state = self.0.state.lock();
        let canceled = state.cancel.is_some_and(|seen| seen != clock::settings().0);
        if state.ticks > 0 || canceled {
            PollEvents::IN
        } else {
            PollEvents::empty()
        }
    }

    fn ioctl(&self, _file: &File, _cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        if cmd != TFD_IOC_SET_TICKS {
            return err(Errno::ENOTTY);
        }
        let ticks: u64 = UserPtr::new(arg).read()?;
        if ticks == 0 {
            return err(Errno::EINVAL);
        }
        self.0.state.lock().ticks = ticks;
        self.0.queue.wake_all_events(PollEvents::IN);
        Ok(0)
    }

    fn fdinfo(&self, _file: &File) -> String {
        let setting = self.0.setting();
        let (ticks, flags) = {
            let state = self.0.state.lock();
            (state.ticks, state.flags)
        };
        let pair = |ns: u64| format!("({}, {})", ns / 1_000_000_000, ns % 1_000_000_000);
        format!(
            "clockid: {}\nticks: {ticks}\nsettime flags: 0{flags:o}\nit_value: {}\nit_interval: {}\n",
            self.0.clock_id,
            pair(setting.value),
            pair(setting.interval)
        )
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_counted_when_somebody_looks() {
        let mut state = State {
            at: 1000,
            interval: 100,
            ticks: 1,
            expired: true,
            ..State::default()
        };
        state.catch_up(1250);
        assert_eq!((state.ticks, state.at, state.expired), (3, 1300, false));
        state.catch_up(1400);
        assert_eq!((state.ticks, state.at), (3, 1300));
    }
}
