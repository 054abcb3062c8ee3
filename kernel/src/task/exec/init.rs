//! The first process.

use super::{kernel_execute, stack};
use crate::error::Result;
use crate::sched;
use crate::task::{Context, FsContext, KERNEL_STACK, Task, kernel_thread, parentless, run_user};
use crate::vfs::{self, FdTable};
use std::sync::Arc;

/// Makes pid 1 and runs `body` in it, as the kernel's own code; when that returns true, what it has executed goes on.
/// Errors of the host (EAGAIN, ENOMEM). Once, when the scheduler has started.
pub fn start_init(
    fs: Arc<FsContext>,
    files: Arc<FdTable>,
    body: impl FnOnce(&mut Context) -> bool + Send + 'static,
) -> Result<Arc<Task>> {
    stack::init();
    let (task, mut cx) = parentless::new_process(kernel_thread::new_group, fs, files)?;
    assert_eq!(task.tid(), 1, "init is the first task");
    task.set_comm(b"swapper");
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
