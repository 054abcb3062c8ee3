//! Names: mkdir, mknod, symlink, link, unlink, rename, readlink.

use super::stat::path_or_empty;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::{
    Actor, InodeKind, LookupFlags, Path, RenameFlags, Walk, create, dirfd_path, lookup, remove,
    touch_atime,
};
use abi::cap::CAP_DAC_READ_SEARCH;
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, AtFlags, ResolveFlags, S_IFMT};

/// A path argument with the place it starts from.
struct Named {
    start: Option<Path>,
    text: Vec<u8>,
}

fn named(cx: &Context, dirfd: i32, path: UserPtr<u8>) -> Result<Named> {
    let text = path.read_path()?;
    let start = if text.first() == Some(&b'/') {
        None
    } else {
        dirfd_path(&cx.task, dirfd)?
    };
    Ok(Named { start, text })
}

pub fn mkdir(cx: &mut Context, path: UserPtr<u8>, mode: u32) -> Result<()> {
    mkdirat(cx, Fd(AT_FDCWD), path, mode)
}

pub fn mkdirat(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, mode: u32) -> Result<()> {
    let name = named(cx, dirfd.0, path)?;
    create::mkdir(&Actor::of(&cx.task), name.start.as_ref(), &name.text, mode).map(drop)
}

pub fn mknod(cx: &mut Context, path: UserPtr<u8>, mode: u32, dev: u32) -> Result<()> {
    mknodat(cx, Fd(AT_FDCWD), path, mode, dev)
}

pub fn mknodat(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, mode: u32, dev: u32) -> Result<()> {
    let kind = match mode & S_IFMT {
        0 => InodeKind::Regular,
        _ => match InodeKind::from_mode(mode) {
            Some(InodeKind::Directory) => return err(Errno::EPERM),
            Some(InodeKind::Symlink) | None => return err(Errno::EINVAL),
            Some(kind) => kind,
        },
    };
    let name = named(cx, dirfd.0, path)?;
    create::mknod(
        &Actor::of(&cx.task),
        name.start.as_ref(),
        &name.text,
        kind,
        mode,
        u64::from(dev),
    )
    .map(drop)
}

pub fn symlink(cx: &mut Context, target: UserPtr<u8>, path: UserPtr<u8>) -> Result<()> {
    symlinkat(cx, target, Fd(AT_FDCWD), path)
}

pub fn symlinkat(
    cx: &mut Context,
    target: UserPtr<u8>,
    dirfd: Fd,
    path: UserPtr<u8>,
) -> Result<()> {
    let target = target.read_path()?;
    let name = named(cx, dirfd.0, path)?;
    create::symlink(
        &Actor::of(&cx.task),
        name.start.as_ref(),
        &name.text,
        &target,
    )
    .map(drop)
}

pub fn link(cx: &mut Context, old: UserPtr<u8>, new: UserPtr<u8>) -> Result<()> {
    linkat(cx, Fd(AT_FDCWD), old, Fd(AT_FDCWD), new, 0)
}

pub fn linkat(
    cx: &mut Context,
    old_fd: Fd,
    old: UserPtr<u8>,
    new_fd: Fd,
    new: UserPtr<u8>,
    flags: u32,
) -> Result<()> {
    let flags = AtFlags::from_bits_retain(flags);
    if !(AtFlags::AT_SYMLINK_FOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
        return err(Errno::EINVAL);
    }
    let mut look = LookupFlags::empty();
    look.set(
        LookupFlags::FOLLOW,
        flags.contains(AtFlags::AT_SYMLINK_FOLLOW),
    );
    look.set(LookupFlags::EMPTY, flags.contains(AtFlags::AT_EMPTY_PATH));
    let text = old.read_path()?;
    if text.is_empty() && look.contains(LookupFlags::EMPTY) && !cx.task.capable(CAP_DAC_READ_SEARCH)
    {
        return err(Errno::ENOENT);
    }
    let old = lookup(&cx.task, old_fd.0, &text, look)?;
    let name = named(cx, new_fd.0, new)?;
    create::link(&Actor::of(&cx.task), &old, name.start.as_ref(), &name.text).map(drop)
}

pub fn unlink(cx: &mut Context, path: UserPtr<u8>) -> Result<()> {
    unlinkat(cx, Fd(AT_FDCWD), path, 0)
}

pub fn rmdir(cx: &mut Context, path: UserPtr<u8>) -> Result<()> {
    unlinkat(cx, Fd(AT_FDCWD), path, AtFlags::AT_REMOVEDIR.bits())
}

pub fn unlinkat(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, flags: u32) -> Result<()> {
    let flags = AtFlags::from_bits_retain(flags);
    if !AtFlags::AT_REMOVEDIR.contains(flags) {
        return err(Errno::EINVAL);
    }
    let name = named(cx, dirfd.0, path)?;
    let actor = Actor::of(&cx.task);
    if flags.contains(AtFlags::AT_REMOVEDIR) {
        remove::rmdir(&actor, name.start.as_ref(), &name.text)
    } else {
        remove::unlink(&actor, name.start.as_ref(), &name.text)
    }
}

pub fn rename(cx: &mut Context, old: UserPtr<u8>, new: UserPtr<u8>) -> Result<()> {
    renameat2(
        cx,
        Fd(AT_FDCWD),
        old,
        Fd(AT_FDCWD),
        new,
        RenameFlags::empty(),
    )
}

pub fn renameat(
    cx: &mut Context,
    old_fd: Fd,
    old: UserPtr<u8>,
    new_fd: Fd,
    new: UserPtr<u8>,
) -> Result<()> {
    renameat2(cx, old_fd, old, new_fd, new, RenameFlags::empty())
}

pub fn renameat2(
    cx: &mut Context,
    old_fd: Fd,
    old: UserPtr<u8>,
    new_fd: Fd,
    new: UserPtr<u8>,
    flags: RenameFlags,
) -> Result<()> {
    let one_way = RenameFlags::RENAME_NOREPLACE | RenameFlags::RENAME_WHITEOUT;
    if flags.unknown_bits() != 0
        || flags.contains(RenameFlags::RENAME_EXCHANGE) && flags.intersects(one_way)
    {
        return err(Errno::EINVAL);
    }
    let old = named(cx, old_fd.0, old)?;
    let new = named(cx, new_fd.0, new)?;
    let actor = Actor::of(&cx.task);
    remove::rename(
        &actor,
        (old.start.as_ref(), &old.text),
        (new.start.as_ref(), &new.text),
        flags,
    )
}

pub fn readlink(cx: &mut Context, path: UserPtr<u8>, buf: UserPtr<u8>, size: i32) -> Result<usize> {
    readlinkat(cx, Fd(AT_FDCWD), path, buf, size)
}

pub fn readlinkat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    buf: UserPtr<u8>,
    size: i32,
) -> Result<usize> {
    let size = usize::try_from(size)
        .ok()
        .filter(|s| *s > 0)
        .ok_or(Errno::EINVAL)?;
    let text = path_or_empty(path, AtFlags::empty())?;
    let start = if text.first() == Some(&b'/') {
        None
    } else {
        dirfd_path(&cx.task, dirfd.0)?
    };
    let actor = Actor::of(&cx.task);
    // An empty path reads the link that an O_PATH | O_NOFOLLOW descriptor is.
    if text.is_empty() && start.is_none() {
        return err(Errno::ENOENT);
    }
    let place = Walk::new(
        &actor,
        start.as_ref(),
        &text,
        LookupFlags::EMPTY,
        ResolveFlags::empty(),
    )?
    .finish()?;
    let inode = place.inode();
    if inode.kind() != InodeKind::Symlink {
        return err(if text.is_empty() {
            Errno::ENOENT
        } else {
            Errno::EINVAL
        });
    }
    touch_atime(&place, &inode);
    let target = inode.read_link()?;
    let len = target.len().min(size);
    buf.write_bytes(&target[..len])?;
    Ok(len)
}
