//! Tasks of the kernel's own: code that may sleep, for callers on host threads that may not. They have no memory and no
//! process id, and root's credentials.

use super::{Cred, FsContext, GroupInner, KERNEL_STACK, Task, TaskParts, ThreadGroup};
use crate::error::Result;
use crate::fs::proc;
use crate::sched;
use crate::signal::SigHand;
use crate::vfs::{FdTable, Mount, Path, Superblock};
use abi::errno::Errno;
use abi::mount::MountFlags;
use abi::signal::SigSet;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Runs `body` in a kernel thread with procfs as its root directory, and waits for its result, `patience` at most; then it goes on alone: ETIMEDOUT. A caller
/// that is a task runs it itself.
pub fn call<R: Send + 'static>(
    name: &str,
    patience: Duration,
    body: impl FnOnce(&Arc<Task>) -> R + Send + 'static,
) -> Result<R> {
    if sched::in_task() {
        return Ok(body(&sched::current()));
    }
    let (tell, told) = mpsc::sync_channel(1);
    let root = proc_root();
    let fs = FsContext::new(root.clone(), root, 0o022);
    start(name.as_bytes(), fs, move |task| {
        // Nobody listens any more when the patience has ended.
        let _late = tell.send(body(task));
    });
    Ok(told.recv_timeout(patience).map_err(|_| Errno::ETIMEDOUT)?)
}

/// The root directory of a mount of procfs that is nowhere in the tree.
fn proc_root() -> Path {
    static ROOT: OnceLock<Path> = OnceLock::new();
    ROOT.get_or_init(|| {
        let superblock = Superblock::of(proc::instance(), false);
        let dentry = superblock.root.clone();
        Path {
            mount: Mount::new(superblock, dentry.clone(), MountFlags::empty(), "proc"),
            dentry,
        }
    })
    .clone()
}

/// Starts a kernel thread. From any host thread.
pub fn start(name: &[u8], fs: Arc<FsContext>, body: impl FnOnce(&Arc<Task>) + Send + 'static) {
    let task = Task::new(TaskParts {
        tid: 0,
        group: new_group(0),
        cred: Arc::new(Cred::root()),
        fs,
        files: FdTable::new(),
        mm: None,
        sighand: SigHand::new(),
        blocked: SigSet::FULL,
        comm: [0; 16],
        nice: 0,
        allowed: sched::every_vcpu(),
    });
    task.set_comm(name);
    let own = task.clone();
    sched::spawn(&task, KERNEL_STACK, move || body(&own));
}

/// A process with nothing in it yet, as the first process and kernel threads start with.
pub(in crate::task) fn new_group(pid: super::Pid) -> Arc<ThreadGroup> {
    ThreadGroup::new(pid, GroupInner::parentless(0, 0, super::limits::initial()))
}
