//! Sleeping by a clock.

use super::clock::{self, Clock};
use crate::error::Result;
use crate::sync::{Deadline, WaitQueue};
use crate::task::Task;
use std::sync::Arc;

/// Sleeps until the monotonic moment `deadline`. ERESTARTSYS when a signal is to be handled first.
pub fn until(deadline: Deadline) -> Result<()> {
    WaitQueue::new()
        .wait_deadline(Some(deadline), || None::<()>)
        .map(drop)
}

/// Sleeps until `clock` shows `at` or later, also when it is set meanwhile. ERESTARTSYS as [`until`].
pub fn until_clock(task: &Arc<Task>, clock: &Clock, at: u64) -> Result<()> {
    while clock.now() < at {
        if clock.is_cpu() {
            super::cpu::sleep(task, clock, at)?;
        } else if clock.is_wall() {
            let (before, queue) = clock::settings();
            let changed = || (clock::settings().0 != before).then_some(());
            queue.wait_deadline(Some(clock.deadline(at)), changed)?;
        } else {
            until(clock.deadline(at))?;
        }
    }
    Ok(())
}
