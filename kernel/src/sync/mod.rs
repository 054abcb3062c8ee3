//! Locks with a written order, wait queues and sleeping mutexes.
//!
//! Two kinds of lock. [`Lock`] and [`RwLock`] are held for a few instructions by a host thread, never across a
//! task switch, and are taken in the order of [`Rank`]. [`Mutex`] belongs to a task and may be
//! held across a switch; its waiters sleep. Test builds check the order and that nothing is held at a switch.

mod lock;
mod mutex;
mod wait;

pub use lock::{Lock, LockGuard, Rank, ReadGuard, RwLock, WriteGuard, assert_none_held};
pub use mutex::{Mutex, MutexGuard};
pub use wait::{Deadline, PollTable, WaitQueue, Waiter, Wake};
