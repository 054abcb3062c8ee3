//! Futexes (kernel/futex): waiting for a word of user memory.
//!
//! One table under one lock holds the waiters of each key. A waiter compares the word under that lock, so a waker that
//! changed the word before can't be missed. The kernel reaches guest memory by copying; where it must change a word
//! atomically it does so while no guest code runs ([`sched::with_guests_stopped`]).

mod ops;
mod pi;
mod robust;
mod table;
mod wait;
mod word;

pub use ops::{requeue, wake, wake_op};
pub use pi::{lock_pi, requeue_pi, unlock_pi, wait_requeue_pi};
pub use robust::exit_robust_list;
pub use wait::{Timeout, WaitEntry, wait, wait_many};

use crate::error::{Result, err};
use crate::mm::Mm;
use crate::task::Task;
use abi::errno::Errno;
use std::sync::Arc;
use table::Key;

/// Wakes one waiter of the futex at `addr`, as the end of a thread does for CLONE_CHILD_CLEARTID.
pub fn wake_one_at(mm: &Arc<Mm>, addr: u64) {
    if let Ok(key) = key_of(mm, addr, false) {
        ops::wake_key(key, 1, !0);
    }
}

/// Whether there can be a futex at `addr`. EINVAL, EFAULT.
pub fn check(task: &Task, addr: u64, private: bool) -> Result<()> {
    let mm = task.mm().ok_or(Errno::EFAULT)?;
    key_of(&mm, addr, private).map(|_| ())
}

/// EINVAL when misaligned, EFAULT when nothing can be there.
fn key_of(mm: &Arc<Mm>, addr: u64, private: bool) -> Result<Key> {
    if addr & 3 != 0 {
        return err(Errno::EINVAL);
    }
    if addr > platform::TASK_SIZE - 4 {
        return err(Errno::EFAULT);
    }
    mm.futex_key(addr, private)
}
