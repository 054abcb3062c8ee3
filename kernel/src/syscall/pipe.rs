//! pipe, pipe2.

use super::Context;
use crate::error::{Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::ipc::pipe;
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::task::RLIMIT_NOFILE;

pub fn pipe(cx: &mut Context, fds: UserPtr<[i32; 2]>) -> Result<()> {
    pipe2(cx, fds, OpenFlags::empty())
}

pub fn pipe2(cx: &mut Context, fds: UserPtr<[i32; 2]>, flags: OpenFlags) -> Result<()> {
    let allowed = OpenFlags::O_CLOEXEC | OpenFlags::O_NONBLOCK | OpenFlags::O_DIRECT;
    // O_EXCL asks for a notification pipe, which a kernel without CONFIG_WATCH_QUEUE answers so.
    if flags.contains(OpenFlags::O_EXCL) {
        return err(Errno::ENOPKG);
    }
    if !(flags - allowed).is_empty() {
        return err(Errno::EINVAL);
    }
    let (read, write) = pipe::create(flags);
    check_file_max(&cx.task, 1)?;
    let files = cx.task.files();
    let limit = cx.task.group.rlimit(RLIMIT_NOFILE as usize);
    let cloexec = flags.contains(OpenFlags::O_CLOEXEC);
    let read_fd = files.install(read, cloexec, 0, limit)?;
    let undo = |fd| drop(files.remove(fd));
    let write_fd = files
        .install(write, cloexec, 0, limit)
        .inspect_err(|_| undo(read_fd))?;
    fds.write(&[read_fd, write_fd]).inspect_err(|_| {
        undo(read_fd);
        undo(write_fd);
    })
}
