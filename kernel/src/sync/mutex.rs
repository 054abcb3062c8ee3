//! A mutex whose holder may sleep: inode contents, mount tree changes, address-space changes.
//!
//! The data lies in a host mutex that only the owner of the `held` flag locks, so that lock is never
//! contended and being held across a switch harms nobody.

use super::{Lock, Rank, WaitQueue};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

/// A sleeping mutual-exclusion lock. Not ranked: take outer before inner by the order in `vfs` and `mm`.
pub struct Mutex<T> {
    held: Lock<bool>,
    /// Made by the first who has to wait.
    waiters: OnceLock<WaitQueue>,
    data: parking_lot::Mutex<T>,
}

/// The held [`Mutex`].
pub struct MutexGuard<'a, T> {
    owner: &'a Mutex<T>,
    data: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Mutex<T> {
        Mutex {
            held: Lock::new(Rank::LEAF, false),
            waiters: OnceLock::new(),
            data: parking_lot::Mutex::new(value),
        }
    }

    /// Sleeps, uninterruptibly, until the mutex is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if !self.try_take() {
            self.waiters
                .get_or_init(WaitQueue::new)
                .wait_uninterruptible(|| self.try_take().then_some(()));
        }
        MutexGuard {
            owner: self,
            data: Some(self.data.lock()),
        }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.try_take().then(|| MutexGuard {
            owner: self,
            data: Some(self.data.lock()),
        })
    }

    fn try_take(&self) -> bool {
        !std::mem::replace(&mut *self.held.lock(), true)
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.data = None;
        *self.owner.held.lock() = false;
        if let Some(waiters) = self.owner.waiters.get() {
            waiters.wake_one();
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.data.as_ref().expect("held until drop")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_mut().expect("held until drop")
    }
}
