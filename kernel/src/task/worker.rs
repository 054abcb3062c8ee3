//! Workers: tasks that run the kernel's own code only. They have root's rights and init's root directory, no address
//! space and no number: they are in no table, and no program sees them (Linux's have numbers below kthreadd's).

use super::{Cred, GroupInner, KERNEL_STACK, Task, TaskParts, ThreadGroup, limits, pids};
use crate::error::Result;
use crate::sched;
use crate::signal::SigHand;
use crate::vfs::FdTable;
use abi::errno::Errno;
use abi::signal::SigSet;
use std::sync::Arc;

/// Runs `body` as a task of its own that signals don't reach. ESRCH before init has started.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Arc<Task>> {
    let init = pids().task(1).ok_or(Errno::ESRCH)?;
    let task = Task::new(TaskParts {
        tid: 0,
        group: ThreadGroup::new(0, GroupInner::parentless(0, 0, limits::initial())),
        cred: Arc::new(Cred::root()),
        fs: init.fs().duplicate(),
        files: FdTable::new(),
        mm: None,
        sighand: SigHand::new(),
        blocked: SigSet::FULL,
        comm: [0; 16],
        nice: 0,
        allowed: u64::MAX >> (64 - sched::ncpus().min(64)),
    });
    task.set_comm(name.as_bytes());
    sched::spawn(&task, KERNEL_STACK, body);
    Ok(task)
}
