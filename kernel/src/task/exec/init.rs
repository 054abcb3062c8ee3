//! The first process.

use super::{kernel_execute, stack};
use crate::error::Result;
use crate::mm::Mm;
use crate::sched;
use crate::signal::SigHand;
use crate::task::{
    Context, Cred, FsContext, KERNEL_STACK, Task, TaskParts, family, kernel_thread, pids, run_user,
};
use crate::vfs::{self, FdTable};
use abi::errno::Errno;
use abi::signal::SigSet;
use platform::ThreadState;
use std::sync::Arc;

/// Makes pid 1 and runs `body` in it, as the kernel's own code; when that returns true, what it has executed goes on.
/// Errors of the host (EAGAIN, ENOMEM). Once, when the scheduler has started.
pub fn start_init(
    fs: Arc<FsContext>,
    files: Arc<FdTable>,
    body: impl FnOnce(&mut Context) -> bool + Send + 'static,
) -> Result<Arc<Task>> {
    stack::init();
    let mm = Mm::new_empty()?;
    let guest = mm
        .address_space()
        .spawn(&ThreadState::default())
        .map_err(|_| Errno::EAGAIN)?;
    let pid = pids().allocate().ok_or(Errno::EAGAIN)?;
    assert_eq!(pid, 1, "init is the first task");
    let task = Task::new(TaskParts {
        tid: pid,
        group: kernel_thread::new_group(1),
        cred: Arc::new(Cred::root()),
        fs,
        files,
        mm: Some(mm),
        sighand: SigHand::new(),
        blocked: SigSet::EMPTY,
        comm: *b"swapper\0\0\0\0\0\0\0\0\0",
        nice: 0,
        allowed: u64::MAX >> (64 - sched::ncpus().min(64)),
    });
    {
        let _family = family();
        let mut inner = task.group.inner.lock();
        inner.threads.push(task.clone());
        inner.leader = Some(task.clone());
        drop(inner);
        pids().insert(&task);
        pids().enter(&task.group, 0, 0);
    }
    let mut cx = Context::new(task.clone(), guest);
    sched::spawn(&task, KERNEL_STACK, move || {
        if body(&mut cx) {
            run_user(cx);
        }
    });
    Ok(task)
}

/// Starts a task that is the kernel's own: it has no memory, no number and no descriptors, and `body` never sees a guest.
pub fn start_kernel_task(name: &[u8], body: impl FnOnce() + Send + 'static) {
    // No place in the tree either: it would keep a mount busy.
    let nowhere = vfs::new_pseudo(vfs::Pseudo::Anon, 0o040_000);
    let fs = FsContext::new(nowhere.clone(), nowhere, 0);
    kernel_thread::start(name, fs, |_| body());
}

/// Starts pid 1 with the program at `path`; a failure to execute it is a kernel panic.
pub fn exec_init(
    fs: Arc<FsContext>,
    files: Arc<FdTable>,
    path: Vec<u8>,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
) -> Result<Arc<Task>> {
    start_init(fs, files, move |cx| {
        let args: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let env: Vec<&[u8]> = envp.iter().map(Vec::as_slice).collect();
        match kernel_execute(cx, &path, &args, &env) {
            Ok(()) => true,
            Err(e) => {
                crate::machine::panic(&format!(
                    "Requested init {} failed (error {}).",
                    String::from_utf8_lossy(&path),
                    -i32::from(e.errno().0)
                ));
                false
            }
        }
    })
}
