//! FUTEX_WAIT and futex_waitv: compare and sleep.

use super::table::{self, Key, Waiter};
use super::{key_of, word};
use crate::error::{Error, Result, err};
use crate::sched;
use crate::sync::Deadline;
use crate::task::Task;
use crate::time::clock::{self, Clock};
use crate::time::timer::{self, Timer};
use abi::errno::Errno;
use std::sync::Arc;

/// Until when to wait: a moment of a clock.
#[derive(Clone)]
pub struct Timeout {
    pub clock: Clock,
    pub at: u64,
}

/// Sleeps until `done` gives a value. ETIMEDOUT; ERESTARTSYS when a signal is to be handled first.
pub(super) fn sleep<T>(
    task: &Arc<Task>,
    timeout: Option<&Timeout>,
    mut done: impl FnMut() -> Option<T>,
) -> Result<T> {
    let wall = timeout.is_some_and(|t| t.clock.is_wall());
    let _told = wall.then(|| clock::settings().1.enter(task.clone(), false));
    let mut alarm: Option<Timer> = None;
    let mut armed_for = None;
    loop {
        if let Some(value) = done() {
            return Ok(value);
        }
        if let Some(timeout) = timeout {
            if timeout.clock.now() >= timeout.at {
                return err(Errno::ETIMEDOUT);
            }
            let setting = clock::settings().0;
            // Over, but the clock isn't there yet: the host's was set back.
            if armed_for != Some(setting) || alarm.as_ref().is_some_and(Timer::is_over) {
                let deadline: Deadline = timeout.clock.deadline(timeout.at);
                alarm = Some(timer::wake_at(deadline, task.clone()));
                armed_for = Some(setting);
            }
        }
        if task.has_signal() {
            drop(alarm);
            return err(Errno::ERESTARTSYS);
        }
        sched::park(true);
    }
}

/// Waits for the word at `addr` to be woken, if it holds `value`. EAGAIN when it doesn't, ETIMEDOUT, ERESTARTSYS, EINVAL,
/// EFAULT.
pub fn wait(
    task: &Arc<Task>,
    addr: u64,
    private: bool,
    value: u32,
    bitset: u32,
    timeout: Option<&Timeout>,
) -> Result<()> {
    if bitset == 0 {
        return err(Errno::EINVAL);
    }
    let entry = WaitEntry {
        addr,
        private,
        value,
    };
    let new = |key| Waiter::new(task.clone(), key, addr, bitset, false);
    let waiters = enqueue(task, &[entry], new)?.map_err(|_| Error::new(Errno::EAGAIN))?;
    let result = sleep(task, timeout, || waiters[0].is_woken().then_some(()));
    match result {
        Err(_) if !table::lock().remove(&waiters[0]) => Ok(()),
        other => other,
    }
}

/// One word of futex_waitv(2).
#[derive(Clone, Copy, Debug)]
pub struct WaitEntry {
    pub addr: u64,
    pub private: bool,
    pub value: u32,
}

/// Waits for any of the words; which one was woken. Errors as [`wait`].
pub fn wait_many(
    task: &Arc<Task>,
    entries: &[WaitEntry],
    timeout: Option<&Timeout>,
) -> Result<usize> {
    let new = |key| Waiter::new(task.clone(), key, 0, !0, false);
    let waiters = match enqueue(task, entries, new)? {
        Ok(waiters) => waiters,
        Err(Some(woken)) => return Ok(woken),
        Err(None) => return err(Errno::EAGAIN),
    };
    let first = || waiters.iter().position(|w| w.is_woken());
    let result = sleep(task, timeout, first);
    let mut table = table::lock();
    let mut woken = None;
    for (i, waiter) in waiters.iter().enumerate() {
        if !table.remove(waiter) {
            woken = Some(i);
        }
    }
    woken.map_or(result, Ok)
}

/// Compares every word and queues a waiter for each under one hold of the table. `Err(None)`: a word differs.
pub(super) fn enqueue(
    task: &Arc<Task>,
    entries: &[WaitEntry],
    new: impl Fn(Key) -> Arc<Waiter>,
) -> Result<Result<Vec<Arc<Waiter>>, Option<usize>>> {
    let mm = task.mm().ok_or_else(|| Error::new(Errno::EFAULT))?;
    for _ in 0..word::MAX_TRIES {
        let mut waiters = Vec::with_capacity(entries.len());
        for e in entries {
            let key = key_of(&mm, e.addr, e.private)?;
            waiters.push(new(key));
        }
        let missing = {
            let mut table = table::lock();
            let mut missing = None;
            for e in entries {
                match word::peek(&mm, e.addr) {
                    Some(now) if now == e.value => {}
                    Some(_) => return Ok(Err(None)),
                    None => {
                        missing = Some(e.addr);
                        break;
                    }
                }
            }
            if missing.is_none() {
                for waiter in &waiters {
                    table.add(waiter.clone());
                }
            }
            missing
        };
        match missing {
            None => return Ok(Ok(waiters)),
            Some(addr) => word::fault_in(&mm, addr, false)?,
        }
    }
    err(Errno::EFAULT)
}
