//! Directories: records, the working directory, chroot, umask.

use super::stat::may_enter;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::{InodeKind, LookupFlags, Path, Reach, lookup, notify, path_names};
use abi::cap::CAP_SYS_CHROOT;
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, DirentWriter};
use std::cell::Cell;
use std::sync::atomic::Ordering;

/// Bytes of records that one call gives at most.
const MAX_RECORDS: usize = 1 << 17;

thread_local! {
    static SPACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

// Never inlined: the task may go on on another host thread in between.
#[inline(never)]
fn take_space() -> Vec<u8> {
    SPACE.take()
}

#[inline(never)]
fn keep_space(space: Vec<u8>) {
    SPACE.set(space);
}

fn records(cx: &mut Context, fd: Fd, buf: UserPtr<u8>, size: u32, old: bool) -> Result<usize> {
    let file = cx.task.files().get(fd.0)?;
    if file.inode().kind() != InodeKind::Directory {
        return err(Errno::ENOTDIR);
    }
    // Kept for the next call: zeroing it each time would cost more than most directories.
    let mut space = take_space();
    space.resize((size as usize).min(MAX_RECORDS), 0);
    let mut writer = if old {
        DirentWriter::new_old(&mut space)
    } else {
        DirentWriter::new(&mut space)
    };
    let _held = file.position_lock.lock();
    if file.path().dentry.is_unlinked() {
        return err(Errno::ENOENT);
    }
    let mut position = file.position();
    let mut full = false;
    file.ops().read_dir(&file, position, &mut |entry| {
        let taken = !full && writer.push(entry.ino, entry.next as i64, entry.kind.0, entry.name);
        if taken {
            position = entry.next;
        } else {
            full = true;
        }
        taken
    })?;
    let written = writer.written();
    if full && written == 0 {
        return err(Errno::EINVAL);
    }
    buf.write_bytes(&space[..written])?;
    file.set_position(position);
    keep_space(space);
    file.touch_accessed();
    notify::accessed(&file);
    Ok(written)
}

pub fn getdents64(cx: &mut Context, fd: Fd, buf: UserPtr<u8>, size: u32) -> Result<usize> {
    records(cx, fd, buf, size, false)
}

pub fn getdents(cx: &mut Context, fd: Fd, buf: UserPtr<u8>, size: u32) -> Result<usize> {
    records(cx, fd, buf, size, true)
}

pub fn getcwd(cx: &mut Context, buf: UserPtr<u8>, size: usize) -> Result<usize> {
    let fs = cx.task.fs();
    let (root, cwd) = (fs.root(), fs.cwd());
    if cwd.dentry.is_unlinked() {
        return err(Errno::ENOENT);
    }
    let (names, reach) = path_names(&cwd, &root);
    let mut text = if reach == Reach::Root {
        Vec::new()
    } else {
        b"(unreachable)".to_vec()
    };
    text.extend_from_slice(&names);
    text.push(0);
    if text.len() > size {
        return err(Errno::ERANGE);
    }
    buf.write_bytes(&text)?;
    Ok(text.len())
}

fn enter(cx: &Context, place: Path) -> Result<()> {
    may_enter(cx, &place)?;
    let old = std::mem::replace(&mut cx.task.fs().inner.write().cwd, place);
    drop(old);
    Ok(())
}

pub fn chdir(cx: &mut Context, path: UserPtr<u8>) -> Result<()> {
    let flags = LookupFlags::FOLLOW | LookupFlags::DIRECTORY;
    let place = lookup(&cx.task, AT_FDCWD, &path.read_path()?, flags)?;
    enter(cx, place)
}

pub fn fchdir(cx: &mut Context, fd: Fd) -> Result<()> {
    let file = cx.task.files().get_any(fd.0)?;
    if file.inode().kind() != InodeKind::Directory {
        return err(Errno::ENOTDIR);
    }
    enter(cx, file.path().clone())
}

pub fn chroot(cx: &mut Context, path: UserPtr<u8>) -> Result<()> {
    let flags = LookupFlags::FOLLOW | LookupFlags::DIRECTORY;
    let place = lookup(&cx.task, AT_FDCWD, &path.read_path()?, flags)?;
    may_enter(cx, &place)?;
    if !cx.task.capable(CAP_SYS_CHROOT) {
        return err(Errno::EPERM);
    }
    let old = std::mem::replace(&mut cx.task.fs().inner.write().root, place);
    drop(old);
    Ok(())
}

pub fn umask(cx: &mut Context, mask: u32) -> Result<u32> {
    Ok(cx.task.fs().umask.swap(mask & 0o777, Ordering::Relaxed))
}
