//! Tasks (threads), thread groups (processes), their identities and the tables that find them.
//!
//! Who owns what: a [`Task`] is a thread and has what Linux's `task_struct` has; a [`ThreadGroup`] is a process and has
//! what `signal_struct` has. Sharing by clone flags is sharing of `Arc`s: `mm`, `files`, `fs`, `sighand`.

mod cred;
pub mod exit;
mod group;
mod pids;
mod task;
mod user_loop;

pub use cred::{CapSet, Cred};
pub use group::{Accounting, ExitStatus, GroupInner, ThreadGroup};
pub use pids::{Pid, PidTable, pids};
pub use task::{FsContext, FsPaths, Task, TaskParts, TaskSignal};
pub use user_loop::{Context, run_user};
