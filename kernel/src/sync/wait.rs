//! Wait queues. Blocking is `wait_until(condition)`; signals and deadlines are layered on it here, once.
//!
//! A queue holds [`Wake`] targets: tasks that sleep, and epoll items that are told. A wake-up is a hint: the sleeper
//! checks its condition again. Whoever changes the condition changes it first and wakes afterwards.

use super::{Lock, Rank};
use crate::error::{Result, err};
use crate::sched;
use crate::time;
use crate::time::timer::Timer;
use crate::vfs::PollEvents;
use abi::errno::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Something that a wait queue can tell. Called without locks of the queue held, from any host thread.
pub trait Wake: Send + Sync {
    /// `events`: what happened, empty when unknown. Returns whether an exclusive wake-up is used up by this.
    fn wake(&self, events: PollEvents) -> bool;
}

/// A moment of CLOCK_MONOTONIC, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline(pub u64);

impl Deadline {
    /// `ns` nanoseconds from now.
    pub fn after(ns: u64) -> Deadline {
        Deadline(time::monotonic_ns().saturating_add(ns))
    }

    pub fn passed(&self) -> bool {
        time::monotonic_ns() >= self.0
    }
}

struct Entry {
    id: u64,
    exclusive: bool,
    wake: Arc<dyn Wake>,
}

struct Inner {
    occupied: AtomicBool,
    entries: Lock<Vec<Entry>>,
}

/// Where tasks wait for a condition. A handle: clones are the same queue.
#[derive(Clone)]
pub struct WaitQueue(Arc<Inner>);

/// A place in a queue, left on drop.
pub struct Waiter {
    queue: WaitQueue,
    id: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl WaitQueue {
    pub fn new() -> WaitQueue {
        WaitQueue(Arc::new(Inner {
            occupied: AtomicBool::new(false),
            entries: Lock::new(Rank::WAIT, Vec::new()),
        }))
    }

    /// Puts `wake` on the queue. Exclusive entries are told one at a time by [`wake_one`](Self::wake_one) and
    /// [`wake`](Self::wake), behind all others.
    pub fn enter(&self, wake: Arc<dyn Wake>, exclusive: bool) -> Waiter {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        self.0.entries.lock().push(Entry {
            id,
            exclusive,
            wake,
        });
        self.0.occupied.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Waiter {
            queue: self.clone(),
            id,
        }
    }

    /// Whether anybody waits.
    pub fn is_occupied(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.occupied.load(Ordering::SeqCst)
    }

    /// Tells all non-exclusive waiters and one exclusive one; Linux's `wake_up_poll(events)`.
    pub fn wake(&self, events: PollEvents) {
        self.tell(events, 1);
    }

    /// As [`wake`](Self::wake) without saying what happened.
    pub fn wake_one(&self) {
        self.tell(PollEvents::empty(), 1);
    }

    /// Tells every waiter.
    pub fn wake_all(&self) {
        self.tell(PollEvents::empty(), usize::MAX);
    }

    /// Tells every waiter, exclusive or not, what happened.
    pub fn wake_all_events(&self, events: PollEvents) {
        self.tell(events, usize::MAX);
    }

    fn tell(&self, events: PollEvents, mut exclusive: usize) {
        if !self.is_occupied() {
            return;
        }
        let single = {
            let entries = self.0.entries.lock();
            match entries.as_slice() {
                [] => return,
                [only] => Some(only.wake.clone()),
                _ => None,
            }
        };
        if let Some(only) = single {
            only.wake(events);
            return;
        }
        let all: Vec<(bool, Arc<dyn Wake>)> = self
            .0
            .entries
            .lock()
            .iter()
            .map(|e| (e.exclusive, e.wake.clone()))
            .collect();
        for (_, wake) in all.iter().filter(|(exclusive, _)| !exclusive) {
            wake.wake(events);
        }
        for (_, wake) in all.iter().filter(|(exclusive, _)| *exclusive) {
            if exclusive == 0 {
                break;
            }
            if wake.wake(events) {
                exclusive -= 1;
            }
        }
    }

    /// Sleeps until `cond` gives a value. ERESTARTSYS when a signal is to be handled first.
    pub fn wait_until<T>(&self, cond: impl FnMut() -> Option<T>) -> Result<T> {
        match self.sleep(None, true, false, cond)? {
            Some(value) => Ok(value),
            None => err(Errno::ETIMEDOUT),
        }
    }

    /// As [`wait_until`](Self::wait_until), taking wake-ups that go to one waiter only.
    pub fn wait_until_exclusive<T>(&self, cond: impl FnMut() -> Option<T>) -> Result<T> {
        match self.sleep(None, true, true, cond)? {
            Some(value) => Ok(value),
            None => err(Errno::ETIMEDOUT),
        }
    }

    /// As [`wait_until`](Self::wait_until); `Ok(None)` when the deadline passes first. No deadline: for ever.
    pub fn wait_deadline<T>(
        &self,
        deadline: Option<Deadline>,
        cond: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        self.sleep(deadline, true, false, cond)
    }

    /// As [`wait_deadline`](Self::wait_deadline), taking wake-ups that go to one waiter only.
    pub fn wait_deadline_exclusive<T>(
        &self,
        deadline: Option<Deadline>,
        cond: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        self.sleep(deadline, true, true, cond)
    }

    /// Sleeps until `cond` gives a value, whatever signals come.
    pub fn wait_uninterruptible<T>(&self, cond: impl FnMut() -> Option<T>) -> T {
        match self.sleep(None, false, true, cond) {
            Ok(Some(value)) => value,
            _ => unreachable!("no deadline and no signals"),
        }
    }

    fn sleep<T>(
        &self,
        deadline: Option<Deadline>,
        interruptible: bool,
        exclusive: bool,
        mut cond: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        if let Some(value) = cond() {
            return Ok(Some(value));
        }
        let task = sched::current();
        let _place = self.enter(task.clone(), exclusive);
        let alarm = deadline.map(|at| time::timer::wake_at(at, task.clone()));
        loop {
            if let Some(value) = cond() {
                return Ok(Some(value));
            }
            if alarm.as_ref().is_some_and(Timer::is_over) {
                return Ok(None);
            }
            if interruptible && task.has_signal() {
                if exclusive {
                    self.wake_one();
                }
                return err(Errno::ERESTARTSYS);
            }
            sched::park(interruptible);
        }
    }
}

impl Default for WaitQueue {
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut entries = self.queue.0.entries.lock();
        if let Some(at) = entries.iter().position(|e| e.id == self.id) {
            entries.remove(at);
        }
        if entries.is_empty() {
            self.queue.0.occupied.store(false, Ordering::SeqCst);
        }
    }
}

/// What a `poll` method registers with: every queue that may make the answer change tells `wake`.
pub struct PollTable {
    wake: Arc<dyn Wake>,
    exclusive: bool,
    places: Vec<Waiter>,
}

impl PollTable {
    pub fn new(wake: Arc<dyn Wake>) -> PollTable {
        PollTable {
            wake,
            exclusive: false,
            places: Vec::new(),
        }
    }

    /// For EPOLLEXCLUSIVE.
    pub fn exclusive(wake: Arc<dyn Wake>) -> PollTable {
        PollTable {
            wake,
            exclusive: true,
            places: Vec::new(),
        }
    }

    /// Registers with `queue` until the table is dropped.
    pub fn register(&mut self, queue: &WaitQueue) {
        self.places
            .push(queue.enter(self.wake.clone(), self.exclusive));
    }
}
