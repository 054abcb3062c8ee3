//! Contents as a whole: syncing, allocation, advice, copying between files.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::perm::{MAY_WRITE, inode_permission, is_owner};
use crate::vfs::{
    File, Inode, InodeKind, Sink, Source, flags as inode_flags, limit_size, lock_inode, mount,
    notify,
};
use abi::errno::Errno;
use abi::fs::{
    Cachestat, CachestatRange, FallocFlags, MAX_RW_COUNT, OpenFlags, POSIX_FADV_DONTNEED,
    POSIX_FADV_NOREUSE, SyncRangeFlags,
};
use platform::PAGE_SIZE;
use std::sync::Arc;

/// Bytes that copying between files moves at a time.
const CHUNK: usize = 1 << 17;

fn sync_file(file: &File, data_only: bool) -> Result<()> {
    match file.inode().kind() {
        InodeKind::Regular | InodeKind::Directory | InodeKind::BlockDevice
            if file.ops().seekable() =>
        {
            file.sync(data_only)
        }
        _ => err(Errno::EINVAL),
    }
}

pub fn fsync(cx: &mut Context, fd: Fd) -> Result<()> {
    sync_file(&*cx.task.files().get(fd.0)?, false)
}

pub fn fdatasync(cx: &mut Context, fd: Fd) -> Result<()> {
    sync_file(&*cx.task.files().get(fd.0)?, true)
}

pub fn sync(_cx: &mut Context) -> Result<()> {
    mount::sync_all();
    Ok(())
}

pub fn syncfs(cx: &mut Context, fd: Fd) -> Result<()> {
    cx.task.files().get(fd.0)?.path().mount.fs.sync()
}

fn range(offset: i64, len: i64) -> Result<(u64, u64)> {
    let end = offset.checked_add(len).filter(|end| *end >= 0);
    if offset < 0 || len < 0 || end.is_none() {
        return err(Errno::EINVAL);
    }
    Ok((offset as u64, len as u64))
}

pub fn sync_file_range(cx: &mut Context, fd: Fd, offset: i64, len: i64, flags: u32) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    let (offset, len) = range(offset, len)?;
    let flags = SyncRangeFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    match file.inode().kind() {
        InodeKind::Regular | InodeKind::BlockDevice | InodeKind::Directory | InodeKind::Symlink => {
        }
        _ => return err(Errno::ESPIPE),
    }
    match file.inode().mapping() {
        Some(mapping) if !flags.is_empty() => {
            let len = if len == 0 {
                mapping.size().saturating_sub(offset)
            } else {
                len
            };
            mapping.sync(offset, len)
        }
        _ => Ok(()),
    }
}

pub fn fallocate(cx: &mut Context, fd: Fd, mode: u32, offset: i64, len: i64) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    if offset < 0 || len <= 0 {
        return err(Errno::EINVAL);
    }
    let flags = FallocFlags::from_bits_retain(mode);
    if flags.unknown_bits() != 0 || flags.contains(FallocFlags::FALLOC_FL_NO_HIDE_STALE) {
        return err(Errno::EOPNOTSUPP);
    }
    let keep = flags.contains(FallocFlags::FALLOC_FL_KEEP_SIZE);
    let what = flags.difference(FallocFlags::FALLOC_FL_KEEP_SIZE);
    if what.bits().count_ones() > 1 || what == FallocFlags::FALLOC_FL_PUNCH_HOLE && !keep {
        return err(Errno::EOPNOTSUPP);
    }
    if !file.writable() {
        return err(Errno::EBADF);
    }
    let inode: &dyn Inode = &**file.inode();
    if !what.is_empty() && inode_flags::is_append(inode) || inode_flags::is_immutable(inode) {
        return err(Errno::EPERM);
    }
    match file.inode().kind() {
        InodeKind::Regular => {}
        InodeKind::Fifo => return err(Errno::ESPIPE),
        InodeKind::Directory => return err(Errno::EISDIR),
        _ => return err(Errno::ENODEV),
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)? as u64;
    let (offset, len) = (offset as u64, len as u64);
    if !keep {
        limit_size(file.inode(), end)?;
    }
    let inode = file.inode();
    crate::vfs::memfd::check_seals(inode, what == FallocFlags::FALLOC_FL_PUNCH_HOLE, end)?;
    let _writers = lock_inode(inode);
    match inode.fallocate(mode, offset, len) {
        Err(e) if e == Errno::EOPNOTSUPP => {}
        other => {
            other?;
            notify::modified(&file);
            return Ok(());
        }
    }
    // What a page cache without anything behind it can do itself: mm/shmem.c:shmem_fallocate().
    let Some(mapping) = inode.mapping().filter(|m| !m.has_source()) else {
        return err(Errno::EOPNOTSUPP);
    };
    if what == FallocFlags::FALLOC_FL_PUNCH_HOLE {
        mapping.punch(offset, len)?;
    } else if what.is_empty() {
        if !keep && end > mapping.size() {
            mapping.set_size(end)?;
        }
        let inside = end.min(mapping.size());
        if inside > offset {
            mapping.allocate(offset, inside - offset)?;
        }
    } else {
        return err(Errno::EOPNOTSUPP);
    }
    inode.touch_modified();
    notify::modified(&file);
    Ok(())
}

pub fn fadvise64(cx: &mut Context, fd: Fd, _offset: i64, len: i64, advice: i32) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    if file.inode().kind() == InodeKind::Fifo {
        return err(Errno::ESPIPE);
    }
    if len < 0 || !(0..=POSIX_FADV_NOREUSE).contains(&advice) {
        return err(Errno::EINVAL);
    }
    if advice == POSIX_FADV_DONTNEED
        && let Some(mapping) = file.inode().mapping().filter(|m| m.has_source())
    {
        mapping.sync(0, mapping.size())?;
    }
    Ok(())
}

pub fn readahead(cx: &mut Context, fd: Fd, offset: i64, count: usize) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    if !file.readable() {
        return err(Errno::EBADF);
    }
    let Some(mapping) = file
        .inode()
        .mapping()
        .filter(|_| file.inode().kind() == InodeKind::Regular)
    else {
        return err(Errno::EINVAL);
    };
    // Nothing is there to be read ahead.
    let Ok(offset) = u64::try_from(offset) else {
        return Ok(());
    };
    let len = mapping
        .size()
        .saturating_sub(offset)
        .min(count as u64)
        .min(2 << 20);
    if len > 0 {
        mapping.ensure(offset, len)
    } else {
        Ok(())
    }
}

/// Copies up to `count` bytes: `from` at `*input` to `to` at `*output` (its position when None). Stops early at the
/// end, at a short write, or at a signal when something was done.
fn copy(
    cx: &Context,
    from: &Arc<File>,
    to: &Arc<File>,
    input: &mut u64,
    output: &mut Option<u64>,
    count: usize,
) -> Result<usize> {
    let mut buffer = vec![0; count.min(CHUNK)];
    let mut done = 0;
    while done < count {
        let want = (count - done).min(CHUNK);
        let mut at = *input;
        let step = copy_step(from, to, &mut buffer[..want], &mut at, *output);
        match step {
            Ok((0, _)) => break,
            Ok((got, moved)) => {
                done += moved;
                *input += moved as u64;
                if let Some(output) = output {
                    *output += moved as u64;
                }
                if moved < got || cx.task.has_signal() {
                    break;
                }
            }
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
    }
    if done != 0 {
        notify::accessed(from);
    }
    Ok(done)
}

/// Reads a piece and writes it: how many bytes were read, and how many of them written.
fn copy_step(
    from: &File,
    to: &File,
    buffer: &mut [u8],
    input: &mut u64,
    output: Option<u64>,
) -> Result<(usize, usize)> {
    let got = from.ops().read(from, &mut Sink::kernel(buffer), input)?;
    if got == 0 {
        return Ok((0, 0));
    }
    Ok((got, to.write(&mut Source::kernel(&buffer[..got]), output)?))
}

pub fn sendfile(
    cx: &mut Context,
    out: Fd,
    input: Fd,
    offset: UserPtr<i64>,
    count: usize,
) -> Result<usize> {
    let files = cx.task.files();
    let from = files.get(input.0)?;
    if !from.readable() {
        return err(Errno::EBADF);
    }
    let given = match offset.non_null() {
        Some(offset) => {
            if !from.ops().seekable() {
                return err(Errno::ESPIPE);
            }
            Some(u64::try_from(offset.read()?).map_err(|_| Errno::EINVAL)?)
        }
        None => None,
    };
    let to = files.get(out.0)?;
    if !to.writable() {
        return err(Errno::EBADF);
    }
    let device = from.inode().kind() == InodeKind::CharDevice;
    if !(from.ops().seekable() || device)
        || from.inode().kind() == InodeKind::Directory
        || to.flags().contains(OpenFlags::O_APPEND)
    {
        return err(Errno::EINVAL);
    }
    let count = count.min(MAX_RW_COUNT);
    if let Some(mut at) = given {
        let done = copy(cx, &from, &to, &mut at, &mut None, count)?;
        note_copy(cx, done);
        offset.write(&(at as i64))?;
        return Ok(done);
    }
    let mut at = from.position();
    let done = copy(cx, &from, &to, &mut at, &mut None, count)?;
    note_copy(cx, done);
    from.set_position(at);
    Ok(done)
}

/// A copy counts as a read and as a write.
fn note_copy(cx: &Context, done: usize) {
    cx.task.io.note_read(done);
    cx.task.io.note_write(done);
}

pub fn copy_file_range(
    cx: &mut Context,
    input: Fd,
    in_offset: UserPtr<i64>,
    out: Fd,
    out_offset: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> Result<usize> {
    if flags != 0 {
        return err(Errno::EINVAL);
    }
    let files = cx.task.files();
    let from = files.get(input.0)?;
    let to = files.get(out.0)?;
    let place = |given: UserPtr<i64>, file: &File| -> Result<u64> {
        match given.non_null() {
            Some(at) => Ok(u64::try_from(at.read()?).map_err(|_| Errno::EINVAL)?),
            None => Ok(file.position()),
        }
    };
    let mut at = place(in_offset, &from)?;
    let to_at = place(out_offset, &to)?;
    let kinds = [from.inode().kind(), to.inode().kind()];
    if kinds.contains(&InodeKind::Directory) {
        return err(Errno::EISDIR);
    }
    if kinds != [InodeKind::Regular; 2] {
        return err(Errno::EINVAL);
    }
    if !from.readable() || !to.writable() || to.flags().contains(OpenFlags::O_APPEND) {
        return err(Errno::EBADF);
    }
    if !Arc::ptr_eq(from.path().mount.superblock(), to.path().mount.superblock()) {
        return err(Errno::EXDEV);
    }
    let len = len.min(MAX_RW_COUNT);
    let ends = (at.checked_add(len as u64), to_at.checked_add(len as u64));
    let (Some(in_end), Some(out_end)) = ends else {
        return err(Errno::EOVERFLOW);
    };
    if Arc::ptr_eq(from.inode(), to.inode()) && at < out_end && to_at < in_end {
        return err(Errno::EINVAL);
    }
    let mut output = Some(to_at);
    let done = copy(cx, &from, &to, &mut at, &mut output, len)?;
    match in_offset.non_null() {
        Some(given) => given.write(&(at as i64))?,
        None => from.set_position(at),
    }
    let end = output.unwrap_or(to_at);
    match out_offset.non_null() {
        Some(given) => given.write(&(end as i64))?,
        None => to.set_position(end),
    }
    Ok(done)
}

/// mm/filemap.c:cachestat(). EBADF, EFAULT; EPERM for files that the caller neither owns nor may write.
pub fn cachestat(
    cx: &mut Context,
    fd: Fd,
    range: UserPtr<CachestatRange>,
    counts: UserPtr<Cachestat>,
    flags: u32,
) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    let range = range.read()?;
    let cred = cx.task.cred();
    let inode = file.inode();
    let may = file.writable()
        || is_owner(&cred, &inode.metadata()?)
        || inode_permission(&cred, &**inode, MAY_WRITE).is_ok();
    if !may {
        return err(Errno::EPERM);
    }
    if flags != 0 {
        return err(Errno::EINVAL);
    }
    let first = range.off / PAGE_SIZE;
    let end = match range.len {
        0 => u64::MAX,
        len => range.off.wrapping_add(len).wrapping_sub(1) / PAGE_SIZE + 1,
    };
    let mut told = Cachestat::default();
    if let Some(mapping) = inode.mapping().filter(|_| first < end) {
        let end = end.min(mapping.size().div_ceil(PAGE_SIZE));
        if first < end {
            let runs = mapping.resident_runs(first..end);
            told.nr_cache = runs.iter().map(|run| run.end - run.start).sum();
            told.nr_dirty = mapping.dirty_in(first..end);
        }
    }
    counts.write(&told)
}
