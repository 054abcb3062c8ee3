//! Descriptors: open, close, dup.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::user::UserPtr;
use crate::vfs::{self, Actor, FdTable, How, dirfd_path};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, CloseRangeFlags, OpenFlags, OpenHow, ResolveFlags};
use abi::task::RLIMIT_NOFILE;
use std::sync::Arc;

/// RLIMIT_NOFILE of the caller.
pub fn nofile(cx: &Context) -> u64 {
    cx.task.group.rlimit(RLIMIT_NOFILE as usize)
}

/// Gives `file`, a new one, the lowest free descriptor. EMFILE, ENFILE.
pub fn install(cx: &Context, file: Arc<vfs::File>, flags: OpenFlags) -> Result<Fd> {
    let cloexec = flags.contains(OpenFlags::O_CLOEXEC);
    check_file_max(&cx.task, 1)?;
    cx.task
        .files()
        .install(file, cloexec, 0, nofile(cx))
        .map(Fd)
}

fn do_open(cx: &mut Context, dirfd: i32, path: UserPtr<u8>, how: How) -> Result<Fd> {
    let path = path.read_path()?;
    let start = if path.first() == Some(&b'/') {
        None
    } else {
        dirfd_path(&cx.task, dirfd)?
    };
    check_file_max(&cx.task, 0)?;
    let file = vfs::open_at(&Actor::of(&cx.task), start.as_ref(), &path, how)?;
    install(cx, file, how.flags)
}

/// open(2) and its kin: unknown flags don't count, and files of any size may be opened.
fn legacy(flags: OpenFlags, mode: u32) -> Result<How> {
    How::new(flags | OpenFlags::O_LARGEFILE, mode, ResolveFlags::empty())
}

pub fn open(cx: &mut Context, path: UserPtr<u8>, flags: OpenFlags, mode: u32) -> Result<Fd> {
    do_open(cx, AT_FDCWD, path, legacy(flags, mode)?)
}

pub fn openat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: OpenFlags,
    mode: u32,
) -> Result<Fd> {
    do_open(cx, dirfd.0, path, legacy(flags, mode)?)
}

pub fn creat(cx: &mut Context, path: UserPtr<u8>, mode: u32) -> Result<Fd> {
    let flags = OpenFlags::O_CREAT | OpenFlags::O_WRONLY | OpenFlags::O_TRUNC;
    do_open(cx, AT_FDCWD, path, legacy(flags, mode)?)
}

/// Reads a struct that may be shorter or longer than ours: kernel/include/linux/uaccess.h:copy_struct_from_user().
/// E2BIG when bytes that we don't know are set.
pub fn read_extensible<T>(ptr: UserPtr<T>, size: usize, minimum: usize) -> Result<T>
where
    T: zerocopy::FromBytes + zerocopy::IntoBytes,
{
    if size < minimum {
        return err(Errno::EINVAL);
    }
    if size > 4096 {
        return err(Errno::E2BIG);
    }
    let bytes = ptr.cast::<u8>().read_array(size)?;
    let mut value = T::new_zeroed();
    let known = size.min(size_of::<T>());
    value.as_mut_bytes()[..known].copy_from_slice(&bytes[..known]);
    if bytes[known..].iter().any(|b| *b != 0) {
        return err(Errno::E2BIG);
    }
    Ok(value)
}

pub fn openat2(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    how: UserPtr<OpenHow>,
    size: usize,
) -> Result<Fd> {
    let how = read_extensible(how, size, size_of::<OpenHow>())?;
    let flags = OpenFlags::from_bits_retain(u32::try_from(how.flags).map_err(|_| Errno::EINVAL)?);
    let resolve = ResolveFlags::from_bits_retain(how.resolve);
    if flags.unknown_bits() != 0 || resolve.unknown_bits() != 0 || how.mode & !0o7777 != 0 {
        return err(Errno::EINVAL);
    }
    if resolve.contains(ResolveFlags::RESOLVE_BENEATH | ResolveFlags::RESOLVE_IN_ROOT) {
        return err(Errno::EINVAL);
    }
    let makes = flags.contains(OpenFlags::O_CREAT) || flags.bits() & 0o20000000 != 0;
    if !makes && how.mode != 0 {
        return err(Errno::EINVAL);
    }
    let path_flags =
        OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW | OpenFlags::O_PATH | OpenFlags::O_CLOEXEC;
    if flags.contains(OpenFlags::O_PATH) && !path_flags.contains(flags) {
        return err(Errno::EINVAL);
    }
    if resolve.contains(ResolveFlags::RESOLVE_CACHED) {
        // Nothing here promises not to ask the file system.
        return err(Errno::EAGAIN);
    }
    do_open(
        cx,
        dirfd.0,
        path,
        How::new(flags, how.mode as u32, resolve)?,
    )
}

pub fn close(cx: &mut Context, fd: Fd) -> Result<()> {
    let files = cx.task.files();
    let file = files.remove(fd.0)?;
    match files.closed(file) {
        // The descriptor is gone, so the call can't be repeated: fs/open.c:close().
        Err(e) if e == Errno::ERESTARTSYS => err(Errno::EINTR),
        other => other,
    }
}

pub fn close_range(cx: &mut Context, first: u32, last: u32, flags: u32) -> Result<()> {
    let flags = CloseRangeFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 || first > last {
        return err(Errno::EINVAL);
    }
    let mut files = cx.task.files();
    if flags.contains(CloseRangeFlags::CLOSE_RANGE_UNSHARE) && Arc::strong_count(&files) > 2 {
        let own: Arc<FdTable> = files.duplicate();
        drop(cx.task.set_files(Some(own.clone())));
        files = own;
    }
    let within = |fd: i32| u32::try_from(fd).is_ok_and(|fd| fd >= first && fd <= last);
    if flags.contains(CloseRangeFlags::CLOSE_RANGE_CLOEXEC) {
        files.mark_cloexec(within);
        return Ok(());
    }
    for file in files.remove_where(|fd, _| within(fd)) {
        // As in fs/file.c:__range_close(), what flushing says is nobody's business here.
        let _ = files.closed(file);
    }
    Ok(())
}

pub fn dup(cx: &mut Context, fd: Fd) -> Result<Fd> {
    let file = cx.task.files().get_any(fd.0)?;
    cx.task.files().install(file, false, 0, nofile(cx)).map(Fd)
}

fn dup_to(cx: &mut Context, old: Fd, new: Fd, cloexec: bool) -> Result<Fd> {
    let files = cx.task.files();
    let limit = nofile(cx);
    if u64::try_from(new.0).map_or(true, |n| n >= limit) {
        return err(Errno::EBADF);
    }
    let file = files.get_any(old.0)?;
    if let Some(replaced) = files.replace(new.0, file, cloexec, limit)? {
        let _ = files.closed(replaced);
    }
    Ok(new)
}

pub fn dup2(cx: &mut Context, old: Fd, new: Fd) -> Result<Fd> {
    if old == new {
        cx.task.files().get_any(old.0)?;
        return Ok(new);
    }
    dup_to(cx, old, new, false)
}

pub fn dup3(cx: &mut Context, old: Fd, new: Fd, flags: OpenFlags) -> Result<Fd> {
    if !OpenFlags::O_CLOEXEC.contains(flags) || old == new {
        return err(Errno::EINVAL);
    }
    dup_to(cx, old, new, flags.contains(OpenFlags::O_CLOEXEC))
}
