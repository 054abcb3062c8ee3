//! What the life of a task asks of rooms above it: set once at boot by their owners.

use super::{Task, ThreadGroup};
use crate::mm::Mm;
use std::sync::{Arc, OnceLock};

/// Called when a session leader ends or leaves its terminal: hang-up, and the session loses the terminal
/// (drivers/tty/tty_jobctrl.c:disassociate_ctty()).
pub static LEAVE_TERMINAL: OnceLock<fn(&Arc<ThreadGroup>)> = OnceLock::new();

/// Walks a thread's robust futexes when it ends or execs (kernel/futex/core.c:futex_exec_release()).
pub static EXIT_ROBUST_LIST: OnceLock<fn(&Arc<Task>)> = OnceLock::new();

/// Wakes one waiter of the futex at an address: CLONE_CHILD_CLEARTID.
pub static WAKE_FUTEX: OnceLock<fn(&Arc<Mm>, u64)> = OnceLock::new();
