//! Tasks (threads), thread groups (processes), their identities and the tables that find them.
//!
//! Who owns what: a [`Task`] is a thread and has what Linux's `task_struct` has; a [`ThreadGroup`] is a process and has
//! what `signal_struct` has. Sharing by clone flags is sharing of `Arc`s: `mm`, `files`, `fs`, `sighand`.

pub mod account;
mod cred;
pub mod exec;
pub mod exit;
mod fork;
mod group;
pub mod helper;
pub mod identity;
mod io;
pub mod jobs;
pub mod kernel_thread;
pub mod limits;
mod parentless;
pub mod pidfd;
mod pids;
mod thread;
mod user_loop;
pub mod wait;

pub use cred::{Acting, CapSet, Cred, may_inspect};
pub use fork::{CloneRequest, clone_task};
pub use group::{Accounting, ExitStatus, GroupInner, LastMemory, ThreadGroup};
pub use io::{Io, IoCounts};
pub use pids::{PID_MAX, Pid, PidTable, family, pids};
pub use thread::{FsContext, FsPaths, Task, TaskParts, TaskSignal};
pub use user_loop::{Context, KERNEL_STACK, run_user};
