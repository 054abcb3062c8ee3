//! The first process.

use super::{kernel_execute, stack};
use crate::error::Result;
use crate::mm::Mm;
use crate::sched;
use crate::signal::SigHand;
use crate::task::{
    Accounting, Context, Cred, FsContext, GroupInner, KERNEL_STACK, Pid, Task, TaskParts,
    ThreadGroup, family, limits, pids, run_user,
};
use crate::vfs::{self, FdTable};
use abi::errno::Errno;
use abi::signal::SigSet;
use platform::ThreadState;
use std::sync::{Arc, Weak};

/// A group without relatives.
fn lone_group(pid: Pid) -> Arc<ThreadGroup> {
    ThreadGroup::new(
        pid,
        GroupInner {
            threads: Vec::new(),
            leader: None,
            parent: Weak::new(),
            parent_tid: 0,
            children: Vec::new(),
            pgid: 0,
            sid: 0,
            tty: None,
            pending: Default::default(),
            group_exit: None,
            exec_by: None,
            stopped: None,
            stop_report: None,
            continue_report: false,
            zombie: None,
            exit_signal: abi::signal::SIGCHLD,
            rlimits: limits::initial(),
            dead_threads: Accounting::default(),
            waited_children: Accounting::default(),
            did_exec: false,
            child_subreaper: false,
        },
    )
}

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
        group: lone_group(1),
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
    let task = Task::new(TaskParts {
        tid: 0,
        group: lone_group(0),
        cred: Arc::new(Cred::root()),
        fs,
        files: FdTable::new(),
        mm: None,
        sighand: SigHand::new(),
        blocked: SigSet::EMPTY,
        comm: *b"kworker\0\0\0\0\0\0\0\0\0",
        nice: 0,
        allowed: u64::MAX >> (64 - sched::ncpus().min(64)),
    });
    task.set_comm(name);
    sched::spawn(&task, KERNEL_STACK, body);
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
