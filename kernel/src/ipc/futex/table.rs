//! The table of waiters.

use crate::sync::{Lock, LockGuard, Rank};
use crate::task::Task;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

/// What identifies a futex word.
pub type Key = crate::mm::FutexKey;

/// A task that waits. Which key it waits for may change by requeueing.
pub struct Waiter {
    pub task: Arc<Task>,
    pub bitset: u32,
    /// Waits for a priority-inheriting lock: woken by being given it.
    pi: AtomicBool,
    /// The priority-inheriting lock that it is to be moved to (FUTEX_WAIT_REQUEUE_PI).
    pub target: Option<Key>,
    /// Address of the word, or of the lock that it is to be moved to, in the waiter's memory.
    pub addr: u64,
    key: Lock<Key>,
    woken: AtomicBool,
}

impl Waiter {
    pub fn new(task: Arc<Task>, key: Key, addr: u64, bitset: u32, pi: bool) -> Arc<Waiter> {
        Arc::new(Waiter {
            task,
            bitset,
            pi: AtomicBool::new(pi),
            target: None,
            addr,
            key: Lock::new(Rank::LEAF, key),
            woken: AtomicBool::new(false),
        })
    }

    /// One that waits for a word, to be moved to the lock `target`, whose word is at `addr`.
    pub fn to_be_moved(task: Arc<Task>, key: Key, target: Key, addr: u64) -> Arc<Waiter> {
        Arc::new(Waiter {
            task,
            bitset: !0,
            pi: AtomicBool::new(false),
            target: Some(target),
            addr,
            key: Lock::new(Rank::LEAF, key),
            woken: AtomicBool::new(false),
        })
    }

    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    pub fn is_pi(&self) -> bool {
        self.pi.load(Ordering::SeqCst)
    }

    /// Whether only the operations on priority-inheriting locks may wake or move it.
    pub fn is_reserved(&self) -> bool {
        self.is_pi() || self.target.is_some()
    }
}

/// The waiters of each key, oldest first.
#[derive(Default)]
pub struct Table {
    waiting: HashMap<Key, Vec<Arc<Waiter>>>,
    /// Who holds a priority-inheriting lock that others wait for, by thread number.
    pub owners: HashMap<Key, u32>,
}

static TABLE: LazyLock<Lock<Table>> = LazyLock::new(|| Lock::new(Rank::FUTEX, Table::default()));

pub fn lock() -> LockGuard<'static, Table> {
    TABLE.lock()
}

impl Table {
    pub fn add(&mut self, waiter: Arc<Waiter>) {
        let key = *waiter.key.lock();
        self.waiting.entry(key).or_default().push(waiter);
    }

    /// Takes `waiter` off. False: it was woken already.
    pub fn remove(&mut self, waiter: &Arc<Waiter>) -> bool {
        let key = *waiter.key.lock();
        let Some(list) = self.waiting.get_mut(&key) else {
            return false;
        };
        let Some(at) = list.iter().position(|w| Arc::ptr_eq(w, waiter)) else {
            return false;
        };
        list.remove(at);
        self.tidy(key);
        true
    }

    fn tidy(&mut self, key: Key) {
        if self.waiting.get(&key).is_some_and(Vec::is_empty) {
            self.waiting.remove(&key);
            self.owners.remove(&key);
        }
    }

    pub fn waiters(&self, key: Key) -> &[Arc<Waiter>] {
        self.waiting.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The priority-inheriting lock that thread `tid` waits for.
    pub fn waits_for(&self, tid: u32) -> Option<Key> {
        self.waiting
            .iter()
            .find(|(_, list)| list.iter().any(|w| w.is_pi() && w.task.tid() == tid))
            .map(|(key, _)| *key)
    }

    /// Wakes up to `count` waiters of `key` that match `bitset`; how many.
    pub fn wake(&mut self, key: Key, count: usize, bitset: u32) -> usize {
        let Some(list) = self.waiting.get_mut(&key) else {
            return 0;
        };
        let mut woken = 0;
        list.retain(|w| {
            let hit = woken < count && w.bitset & bitset != 0;
            if hit {
                woken += 1;
                finish(w);
            }
            !hit
        });
        self.tidy(key);
        woken
    }

    /// Wakes this one waiter.
    pub fn wake_one(&mut self, waiter: &Arc<Waiter>) {
        if self.remove(waiter) {
            finish(waiter);
        }
    }

    /// Makes `waiter`, taken off its word, one of those of the lock that it is to be moved to.
    pub fn move_to_lock(&mut self, waiter: &Arc<Waiter>, lock: Key) {
        self.remove(waiter);
        *waiter.key.lock() = lock;
        waiter.pi.store(true, Ordering::SeqCst);
        self.add(waiter.clone());
    }

    /// Moves up to `count` waiters from one key to another; how many.
    pub fn requeue(&mut self, from: Key, to: Key, count: usize) -> usize {
        let Some(list) = self.waiting.get_mut(&from) else {
            return 0;
        };
        let count = count.min(list.len());
        if from == to {
            return count;
        }
        let moved: Vec<_> = list.drain(..count).collect();
        self.tidy(from);
        for waiter in moved {
            *waiter.key.lock() = to;
            self.add(waiter);
        }
        count
    }
}

fn finish(waiter: &Arc<Waiter>) {
    waiter.woken.store(true, Ordering::SeqCst);
    crate::sched::unpark(&waiter.task);
}
