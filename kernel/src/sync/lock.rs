//! Short locks with a rank. A thread may take a lock only if its rank is above every rank it holds.
//!
//! ```text
//! MOUNT < DENTRY < INODE < MAPPING < MM < FILES < FILE < TTY < INFLIGHT < SOCKET < PIPE < FUTEX < FAMILY < TASKS < GROUP
//!   < TASK < SIGHAND
//!   < EPOLL < TIMER < WAIT < SCHED < RUNQ < LOG
//! ```

use std::ops::{Deref, DerefMut};

/// Position in the lock order; smaller is taken first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank(pub u8);

impl Rank {
    pub const SUPER: Rank = Rank(5);
    pub const MOUNT: Rank = Rank(10);
    pub const DENTRY: Rank = Rank(20);
    pub const INODE: Rank = Rank(30);
    /// A second inode of a pair, the lower layer of a stacked file system.
    pub const INODE2: Rank = Rank(32);
    pub const MAPPING: Rank = Rank(40);
    pub const MM: Rank = Rank(50);
    pub const FILES: Rank = Rank(60);
    pub const FILE: Rank = Rank(65);
    pub const TTY: Rank = Rank(70);
    pub const TTY2: Rank = Rank(72);
    /// Descriptors that lie in the queues of Unix sockets.
    pub const INFLIGHT: Rank = Rank(78);
    pub const SOCKET: Rank = Rank(80);
    pub const SOCKET2: Rank = Rank(82);
    pub const PIPE: Rank = Rank(90);
    pub const FUTEX: Rank = Rank(95);
    /// Who is whose child, in which group and session; Linux's tasklist_lock.
    pub const FAMILY: Rank = Rank(98);
    pub const TASKS: Rank = Rank(100);
    pub const GROUP: Rank = Rank(110);
    pub const TASK: Rank = Rank(120);
    pub const SIGHAND: Rank = Rank(130);
    pub const EPOLL: Rank = Rank(140);
    pub const TIMER: Rank = Rank(150);
    pub const WAIT: Rank = Rank(160);
    pub const SCHED: Rank = Rank(170);
    pub const RUNQ: Rank = Rank(180);
    pub const LOG: Rank = Rank(250);
    /// Unordered leaf data: nothing else is taken while it is held.
    pub const LEAF: Rank = Rank(255);
}

#[cfg(debug_assertions)]
mod order {
    use super::Rank;
    use std::cell::RefCell;
    thread_local!(static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) });

    #[inline(never)]
    #[track_caller]
    pub fn take(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            if let Some(top) = held.iter().max() {
                assert!(
                    *top < rank,
                    "lock order: {rank:?} wanted while {held:?} are held"
                );
            }
            held.push(rank);
        });
    }

    #[inline(never)]
    pub fn drop(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            let at = held
                .iter()
                .rposition(|r| *r == rank)
                .expect("released lock was held");
            held.remove(at);
        });
    }

    #[inline(never)]
    #[track_caller]
    pub fn none() {
        HELD.with_borrow(|held| assert!(held.is_empty(), "locks {held:?} held across a switch"));
    }
}

#[cfg(not(debug_assertions))]
mod order {
    use super::Rank;
    pub fn take(_: Rank) {}
    pub fn drop(_: Rank) {}
    pub fn none() {}
}

/// Panics in test builds when the calling thread holds any short lock.
#[track_caller]
pub fn assert_none_held() {
    order::none();
}

/// A short mutual-exclusion lock.
pub struct Lock<T: ?Sized> {
    rank: Rank,
    inner: parking_lot::Mutex<T>,
}

/// The held [`Lock`]; released on drop.
pub struct LockGuard<'a, T: ?Sized> {
    rank: Rank,
    inner: parking_lot::MutexGuard<'a, T>,
}

impl<T> Lock<T> {
    pub const fn new(rank: Rank, value: T) -> Lock<T> {
        Lock {
            rank,
            inner: parking_lot::Mutex::new(value),
        }
    }

    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Lock<T> {
    #[track_caller]
    pub fn lock(&self) -> LockGuard<'_, T> {
        order::take(self.rank);
        LockGuard {
            rank: self.rank,
            inner: self.inner.lock(),
        }
    }
}

impl<T: ?Sized> Drop for LockGuard<'_, T> {
    fn drop(&mut self) {
        order::drop(self.rank);
    }
}

impl<T: ?Sized> Deref for LockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// A short lock with shared readers.
pub struct RwLock<T: ?Sized> {
    rank: Rank,
    inner: parking_lot::RwLock<T>,
}

/// Shared access to an [`RwLock`].
pub struct ReadGuard<'a, T: ?Sized> {
    rank: Rank,
    inner: parking_lot::RwLockReadGuard<'a, T>,
}

/// Exclusive access to an [`RwLock`].
pub struct WriteGuard<'a, T: ?Sized> {
    rank: Rank,
    inner: parking_lot::RwLockWriteGuard<'a, T>,
}

impl<T> RwLock<T> {
    pub const fn new(rank: Rank, value: T) -> RwLock<T> {
        RwLock {
            rank,
            inner: parking_lot::RwLock::new(value),
        }
    }
}

impl<T: ?Sized> RwLock<T> {
    #[track_caller]
    pub fn read(&self) -> ReadGuard<'_, T> {
        order::take(self.rank);
        ReadGuard {
            rank: self.rank,
            inner: self.inner.read(),
        }
    }

    #[track_caller]
    pub fn write(&self) -> WriteGuard<'_, T> {
        order::take(self.rank);
        WriteGuard {
            rank: self.rank,
            inner: self.inner.write(),
        }
    }
}

impl<T: ?Sized> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        order::drop(self.rank);
    }
}

impl<T: ?Sized> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        order::drop(self.rank);
    }
}

impl<T: ?Sized> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "lock order")]
    fn wrong_order_is_caught() {
        let outer = Lock::new(Rank::MM, ());
        let inner = Lock::new(Rank::INODE, ());
        let _held = outer.lock();
        let _wrong = inner.lock();
    }

    #[test]
    #[should_panic(expected = "held across a switch")]
    fn held_at_a_switch_is_caught() {
        let lock = Lock::new(Rank::MM, ());
        let _held = lock.lock();
        assert_none_held();
    }
}
