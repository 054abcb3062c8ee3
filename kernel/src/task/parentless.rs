//! Processes that nobody forked: init, and what the kernel starts by itself.

use super::{Context, Cred, FsContext, Pid, Task, TaskParts, ThreadGroup, family, pids};
use crate::error::Result;
use crate::mm::Mm;
use crate::sched;
use crate::signal::SigHand;
use crate::vfs::FdTable;
use abi::errno::Errno;
use abi::signal::SigSet;
use platform::ThreadState;
use std::sync::Arc;

/// Makes the one thread of the process that `group` makes, root's, with an empty memory. It isn't queued yet.
/// Errors of the host (EAGAIN, ENOMEM).
pub fn new_process(
    group: impl FnOnce(Pid) -> Arc<ThreadGroup>,
    fs: Arc<FsContext>,
    files: Arc<FdTable>,
) -> Result<(Arc<Task>, Context)> {
    let mm = Mm::new_empty()?;
    let guest = mm
        .address_space()
        .spawn(&ThreadState::default())
        .map_err(|_| Errno::EAGAIN)?;
    let pid = pids().allocate().ok_or(Errno::EAGAIN)?;
    let task = Task::new(TaskParts {
        tid: pid,
        group: group(pid),
        cred: Arc::new(Cred::root()),
        fs,
        files,
        mm: Some(mm),
        sighand: SigHand::new(),
        blocked: SigSet::EMPTY,
        comm: [0; 16],
        nice: 0,
        allowed: sched::every_vcpu(),
    });
    {
        let _family = family();
        let (pgid, sid) = {
            let mut inner = task.group.inner.lock();
            inner.threads.push(task.clone());
            inner.leader = Some(task.clone());
            (inner.pgid, inner.sid)
        };
        pids().insert(&task);
        pids().enter(&task.group, pgid, sid);
    }
    let cx = Context::new(task.clone(), guest);
    Ok((task, cx))
}
