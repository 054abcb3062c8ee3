//! Kernel timers: callbacks at moments of CLOCK_MONOTONIC, on one host thread that sleeps until the next.
//!
//! A callback runs on the timer thread, outside any task: it may wake tasks, send signals and re-arm, and never blocks.

use crate::sync::{Deadline, Wake};
use crate::vfs::PollEvents;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Callback = Box<dyn FnOnce() + Send>;

struct Timers {
    queue: Mutex<BTreeMap<(u64, u64), Callback>>,
    changed: Condvar,
}

static TIMERS: Timers = Timers {
    queue: Mutex::new(BTreeMap::new()),
    changed: Condvar::new(),
};
static NEXT: AtomicU64 = AtomicU64::new(1);

/// An armed timer; dropping it disarms it (a callback that has begun is not waited for).
#[must_use]
pub struct Timer {
    key: (u64, u64),
}

/// Runs `callback` once, at `at` or soon after.
pub fn call_at(at: Deadline, callback: impl FnOnce() + Send + 'static) -> Timer {
    let key = (at.0, NEXT.fetch_add(1, Ordering::Relaxed));
    let mut queue = TIMERS.queue.lock();
    queue.insert(key, Box::new(callback));
    if queue.keys().next() == Some(&key) {
        TIMERS.changed.notify_one();
    }
    Timer { key }
}

/// Wakes `target` at `at`.
pub fn wake_at(at: Deadline, target: Arc<dyn Wake>) -> Timer {
    call_at(at, move || {
        target.wake(PollEvents::empty());
    })
}

impl Timer {
    /// Lets the timer run although the handle goes away.
    pub fn detach(self) {
        std::mem::forget(self);
    }

    /// Whether its moment has passed, by the clock or because the callback has begun. Who sleeps for it must ask this and
    /// not the clock alone: there is no second callback should the clock have been seen earlier here than there.
    pub fn is_over(&self) -> bool {
        self.deadline().passed() || !TIMERS.queue.lock().contains_key(&self.key)
    }

    /// When it will run, or would have run.
    pub fn deadline(&self) -> Deadline {
        Deadline(self.key.0)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let callback = TIMERS.queue.lock().remove(&self.key);
        drop(callback);
    }
}

/// Stops time: no timer fires until [`go_on`]. No guest may be running.
pub fn stop() {
    platform::clock::stop();
}

/// Time goes on, CLOCK_MONOTONIC where it stopped and CLOCK_REALTIME where the host's is.
pub fn go_on() {
    platform::clock::go_on();
    super::clock::tell();
    // Taken, so that the thread is either before its look at the clock or asleep.
    drop(TIMERS.queue.lock());
    TIMERS.changed.notify_one();
}

/// When the pending timers are due, in nanoseconds, the next first.
pub fn pending() -> Vec<u64> {
    TIMERS.queue.lock().keys().map(|key| key.0).collect()
}

/// Starts the timer thread. Once, at boot.
pub fn start() {
    std::thread::Builder::new()
        .name("timer".into())
        .spawn(run)
        .expect("the host has a thread for the timers");
}

fn run() {
    let mut queue = TIMERS.queue.lock();
    loop {
        let now = super::monotonic_ns();
        match queue.keys().next().copied() {
            Some(key) if key.0 <= now => {
                let callback = queue.remove(&key).expect("key was just read");
                parking_lot::MutexGuard::unlocked(&mut queue, callback);
            }
            Some(_) if platform::clock::stands_still() => TIMERS.changed.wait(&mut queue),
            Some(key) => {
                TIMERS
                    .changed
                    .wait_for(&mut queue, Duration::from_nanos(key.0 - now));
            }
            None => TIMERS.changed.wait(&mut queue),
        }
    }
}
