//! Extended attributes, memfds, and file handles (which no file system here gives).

use super::open::{install, read_extensible};
use super::stat::{lookup_flags, path_or_empty};
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::{LookupFlags, Path, lookup, xattr};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, AtFlags, XATTR_NAME_MAX, XATTR_SIZE_MAX, XattrArgs};

fn by_path(cx: &Context, path: UserPtr<u8>, follow: bool) -> Result<Path> {
    let flags = if follow {
        LookupFlags::FOLLOW
    } else {
        LookupFlags::empty()
    };
    lookup(&cx.task, AT_FDCWD, &path.read_path()?, flags)
}

fn by_fd(cx: &Context, fd: Fd) -> Result<Path> {
    Ok(cx.task.files().get(fd.0)?.path().clone())
}

fn by_at(cx: &Context, dirfd: Fd, path: UserPtr<u8>, flags: u32) -> Result<Path> {
    let flags = AtFlags::from_bits_retain(flags);
    if !(AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
        return err(Errno::EINVAL);
    }
    lookup(
        &cx.task,
        dirfd.0,
        &path_or_empty(path, flags)?,
        lookup_flags(flags),
    )
}

/// fs/xattr.c:import_xattr_name(): ERANGE for an empty or too long one.
fn name(ptr: UserPtr<u8>) -> Result<Vec<u8>> {
    match ptr.read_cstr(XATTR_NAME_MAX + 1) {
        Ok(name) if name.is_empty() => err(Errno::ERANGE),
        Err(e) if e == Errno::ENAMETOOLONG => err(Errno::ERANGE),
        other => other,
    }
}

fn set(
    cx: &Context,
    place: &Path,
    key: UserPtr<u8>,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<()> {
    if flags & !3 != 0 {
        return err(Errno::EINVAL);
    }
    let key = name(key)?;
    if size > XATTR_SIZE_MAX {
        return err(Errno::E2BIG);
    }
    xattr::set(
        &cx.task.cred(),
        place,
        &key,
        &value.read_array(size)?,
        flags,
    )
}

/// Gives `value` to a buffer of `size` bytes; 0 asks for the size. ERANGE.
fn give(value: &[u8], buf: UserPtr<u8>, size: usize) -> Result<usize> {
    if size != 0 {
        if value.len() > size {
            return err(Errno::ERANGE);
        }
        buf.write_bytes(value)?;
    }
    Ok(value.len())
}

fn get(
    cx: &Context,
    place: &Path,
    key: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    give(&xattr::get(&cx.task.cred(), place, &name(key)?)?, buf, size)
}

fn list(cx: &Context, place: &Path, buf: UserPtr<u8>, size: usize) -> Result<usize> {
    give(&xattr::list(&cx.task.cred(), place)?, buf, size)
}

fn remove(cx: &Context, place: &Path, key: UserPtr<u8>) -> Result<()> {
    xattr::remove(&cx.task.cred(), place, &name(key)?)
}

pub fn setxattr(
    cx: &mut Context,
    path: UserPtr<u8>,
    key: UserPtr<u8>,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<()> {
    set(cx, &by_path(cx, path, true)?, key, value, size, flags)
}

pub fn lsetxattr(
    cx: &mut Context,
    path: UserPtr<u8>,
    key: UserPtr<u8>,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<()> {
    set(cx, &by_path(cx, path, false)?, key, value, size, flags)
}

pub fn fsetxattr(
    cx: &mut Context,
    fd: Fd,
    key: UserPtr<u8>,
    value: UserPtr<u8>,
    size: usize,
    flags: u32,
) -> Result<()> {
    set(cx, &by_fd(cx, fd)?, key, value, size, flags)
}

pub fn getxattr(
    cx: &mut Context,
    path: UserPtr<u8>,
    key: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    get(cx, &by_path(cx, path, true)?, key, buf, size)
}

pub fn lgetxattr(
    cx: &mut Context,
    path: UserPtr<u8>,
    key: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    get(cx, &by_path(cx, path, false)?, key, buf, size)
}

pub fn fgetxattr(
    cx: &mut Context,
    fd: Fd,
    key: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    get(cx, &by_fd(cx, fd)?, key, buf, size)
}

pub fn listxattr(
    cx: &mut Context,
    path: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    list(cx, &by_path(cx, path, true)?, buf, size)
}

pub fn llistxattr(
    cx: &mut Context,
    path: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    list(cx, &by_path(cx, path, false)?, buf, size)
}

pub fn flistxattr(cx: &mut Context, fd: Fd, buf: UserPtr<u8>, size: usize) -> Result<usize> {
    list(cx, &by_fd(cx, fd)?, buf, size)
}

pub fn removexattr(cx: &mut Context, path: UserPtr<u8>, key: UserPtr<u8>) -> Result<()> {
    remove(cx, &by_path(cx, path, true)?, key)
}

pub fn lremovexattr(cx: &mut Context, path: UserPtr<u8>, key: UserPtr<u8>) -> Result<()> {
    remove(cx, &by_path(cx, path, false)?, key)
}

pub fn fremovexattr(cx: &mut Context, fd: Fd, key: UserPtr<u8>) -> Result<()> {
    remove(cx, &by_fd(cx, fd)?, key)
}

pub fn setxattrat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: u32,
    key: UserPtr<u8>,
    args: UserPtr<XattrArgs>,
    size: usize,
) -> Result<()> {
    let args = read_extensible(args, size, size_of::<XattrArgs>())?;
    let place = by_at(cx, dirfd, path, flags)?;
    set(
        cx,
        &place,
        key,
        UserPtr::new(args.value),
        args.size as usize,
        args.flags,
    )
}

pub fn getxattrat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: u32,
    key: UserPtr<u8>,
    args: UserPtr<XattrArgs>,
    size: usize,
) -> Result<usize> {
    let args = read_extensible(args, size, size_of::<XattrArgs>())?;
    if args.flags != 0 {
        return err(Errno::EINVAL);
    }
    let place = by_at(cx, dirfd, path, flags)?;
    get(
        cx,
        &place,
        key,
        UserPtr::new(args.value),
        args.size as usize,
    )
}

pub fn listxattrat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: u32,
    buf: UserPtr<u8>,
    size: usize,
) -> Result<usize> {
    list(cx, &by_at(cx, dirfd, path, flags)?, buf, size)
}

pub fn removexattrat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: u32,
    key: UserPtr<u8>,
) -> Result<()> {
    remove(cx, &by_at(cx, dirfd, path, flags)?, key)
}

pub fn memfd_create(cx: &mut Context, label: UserPtr<u8>, flags: u32) -> Result<Fd> {
    let label = match label.read_cstr(crate::vfs::memfd::NAME_MAX + 1) {
        Err(e) if e == Errno::ENAMETOOLONG => return err(Errno::EINVAL),
        other => other?,
    };
    let flags = abi::mm::MfdFlags::from_bits_retain(flags);
    let (file, open) = crate::vfs::memfd::create(&label, flags)?;
    install(cx, file, open)
}

/// No file system here gives handles: fs/fhandle.c:do_sys_name_to_handle() without export operations.
pub fn name_to_handle_at(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    _handle: u64,
    _mount_id: u64,
    flags: u32,
) -> Result<()> {
    let flags = AtFlags::from_bits_retain(flags);
    let mut look = LookupFlags::empty();
    look.set(
        LookupFlags::FOLLOW,
        flags.contains(AtFlags::AT_SYMLINK_FOLLOW),
    );
    look.set(LookupFlags::EMPTY, flags.contains(AtFlags::AT_EMPTY_PATH));
    lookup(&cx.task, dirfd.0, &path_or_empty(path, flags)?, look)?;
    err(Errno::EOPNOTSUPP)
}
