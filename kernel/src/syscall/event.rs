//! eventfd, eventfd2.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::ipc::eventfd::EventFd;
use crate::vfs;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::poll::EfdFlags;
use abi::task::RLIMIT_NOFILE;

pub fn eventfd(cx: &mut Context, count: u32) -> Result<Fd> {
    eventfd2(cx, count, 0)
}

pub fn eventfd2(cx: &mut Context, count: u32, flags: u32) -> Result<Fd> {
    let flags = EfdFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    let nonblock = if flags.contains(EfdFlags::EFD_NONBLOCK) {
        OpenFlags::O_NONBLOCK
    } else {
        OpenFlags::empty()
    };
    let event = EventFd::new(count, flags.contains(EfdFlags::EFD_SEMAPHORE));
    check_file_max(&cx.task, 0)?;
    let file = vfs::anon_file("[eventfd]", Box::new(event), OpenFlags::O_RDWR | nonblock);
    let limit = cx.task.group.rlimit(RLIMIT_NOFILE as usize);
    let cloexec = flags.contains(EfdFlags::EFD_CLOEXEC);
    Ok(Fd(cx.task.files().install(file, cloexec, 0, limit)?))
}
