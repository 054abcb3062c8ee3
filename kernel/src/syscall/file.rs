//! read, write and their kin; positions.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::{File, Parts, Sink, Source, import_buffer, import_iovec};
use abi::errno::Errno;
use abi::fs::{Iovec, RwfFlags, SEEK_HOLE};
use std::sync::Arc;

/// The open file of a descriptor argument. EBADF, also for O_PATH.
pub fn file(cx: &Context, fd: Fd) -> Result<Arc<File>> {
    cx.task.files().get(fd.0)
}

fn sink(cx: &Context, parts: impl Into<Parts>) -> Result<Sink<'static>> {
    Ok(Sink::user(cx.task.mm().ok_or(Errno::EFAULT)?, parts))
}

fn source(cx: &Context, parts: impl Into<Parts>) -> Result<Source<'static>> {
    Ok(Source::user(cx.task.mm().ok_or(Errno::EFAULT)?, parts))
}

/// A read, in the task's accounts: fs/read_write.c:vfs_read().
fn counted_read(
    cx: &Context,
    file: &Arc<File>,
    sink: &mut Sink<'_>,
    at: Option<u64>,
) -> Result<usize> {
    let result = file.read(sink, at);
    cx.task.io.note_read(*result.as_ref().unwrap_or(&0));
    result
}

/// A write, in the task's accounts.
fn counted_write(
    cx: &Context,
    file: &Arc<File>,
    source: &mut Source<'_>,
    at: Option<u64>,
) -> Result<usize> {
    let result = file.write(source, at);
    cx.task.io.note_write(*result.as_ref().unwrap_or(&0));
    result
}

fn position(at: i64) -> Result<u64> {
    u64::try_from(at).map_err(|_| Errno::EINVAL.into())
}

pub fn read(cx: &mut Context, fd: Fd, buf: u64, len: usize) -> Result<usize> {
    let file = file(cx, fd)?;
    if !file.readable() {
        return err(Errno::EBADF);
    }
    let mut sink = sink(cx, import_buffer(buf, len)?)?;
    counted_read(cx, &file, &mut sink, None)
}

pub fn write(cx: &mut Context, fd: Fd, buf: u64, len: usize) -> Result<usize> {
    let file = file(cx, fd)?;
    if !file.writable() {
        return err(Errno::EBADF);
    }
    let mut source = source(cx, import_buffer(buf, len)?)?;
    counted_write(cx, &file, &mut source, None)
}

pub fn pread64(cx: &mut Context, fd: Fd, buf: u64, len: usize, at: i64) -> Result<usize> {
    let at = position(at)?;
    let (file, mut sink) = (file(cx, fd)?, sink(cx, import_buffer(buf, len)?)?);
    counted_read(cx, &file, &mut sink, Some(at))
}

pub fn pwrite64(cx: &mut Context, fd: Fd, buf: u64, len: usize, at: i64) -> Result<usize> {
    let at = position(at)?;
    let (file, mut source) = (file(cx, fd)?, source(cx, import_buffer(buf, len)?)?);
    counted_write(cx, &file, &mut source, Some(at))
}

pub fn readv(cx: &mut Context, fd: Fd, vector: UserPtr<Iovec>, count: usize) -> Result<usize> {
    let (file, mut sink) = (file(cx, fd)?, sink(cx, import_iovec(vector, count)?)?);
    counted_read(cx, &file, &mut sink, None)
}

pub fn writev(cx: &mut Context, fd: Fd, vector: UserPtr<Iovec>, count: usize) -> Result<usize> {
    let (file, mut source) = (file(cx, fd)?, source(cx, import_iovec(vector, count)?)?);
    counted_write(cx, &file, &mut source, None)
}

pub fn preadv(
    cx: &mut Context,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    at: i64,
) -> Result<usize> {
    let at = position(at)?;
    let (file, mut sink) = (file(cx, fd)?, sink(cx, import_iovec(vector, count)?)?);
    counted_read(cx, &file, &mut sink, Some(at))
}

pub fn pwritev(
    cx: &mut Context,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    at: i64,
) -> Result<usize> {
    let at = position(at)?;
    let (file, mut source) = (file(cx, fd)?, source(cx, import_iovec(vector, count)?)?);
    counted_write(cx, &file, &mut source, Some(at))
}

const RWF_KNOWN: RwfFlags = RwfFlags::RWF_HIPRI
    .union(RwfFlags::RWF_DSYNC)
    .union(RwfFlags::RWF_SYNC)
    .union(RwfFlags::RWF_APPEND)
    .union(RwfFlags::RWF_NOAPPEND);

/// fs/read_write.c:kiocb_set_rw_flags(). Files here don't promise not to wait, so RWF_NOWAIT is EOPNOTSUPP.
fn rw_flags(flags: u32) -> Result<RwfFlags> {
    let flags = RwfFlags::from_bits_retain(flags);
    if !RWF_KNOWN.contains(flags) {
        return err(Errno::EOPNOTSUPP);
    }
    if flags.contains(RwfFlags::RWF_APPEND | RwfFlags::RWF_NOAPPEND) {
        return err(Errno::EINVAL);
    }
    Ok(flags)
}

/// Position -1 is the file's own.
fn position2(at: i64) -> Result<Option<u64>> {
    if at == -1 {
        Ok(None)
    } else {
        position(at).map(Some)
    }
}

pub fn preadv2(
    cx: &mut Context,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    at: i64,
    _high: u64,
    flags: u32,
) -> Result<usize> {
    let at = position2(at)?;
    let file = file(cx, fd)?;
    rw_flags(flags)?;
    let mut sink = sink(cx, import_iovec(vector, count)?)?;
    counted_read(cx, &file, &mut sink, at)
}

pub fn pwritev2(
    cx: &mut Context,
    fd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    at: i64,
    _high: u64,
    flags: u32,
) -> Result<usize> {
    let at = position2(at)?;
    let file = file(cx, fd)?;
    let flags = rw_flags(flags)?;
    let mut source = source(cx, import_iovec(vector, count)?)?;
    source.set_append(
        flags
            .contains(RwfFlags::RWF_APPEND)
            .then_some(true)
            .or(flags.contains(RwfFlags::RWF_NOAPPEND).then_some(false)),
    );
    let done = counted_write(cx, &file, &mut source, at)?;
    if done != 0 && flags.intersects(RwfFlags::RWF_SYNC | RwfFlags::RWF_DSYNC) {
        file.sync(!flags.contains(RwfFlags::RWF_SYNC))?;
    }
    Ok(done)
}

pub fn lseek(cx: &mut Context, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
    let file = file(cx, fd)?;
    if whence > SEEK_HOLE {
        return err(Errno::EINVAL);
    }
    let Some(_held) = file.lock_position() else {
        // eventfd, epoll, signalfd, timerfd and inotify have noop_llseek().
        if file.path().mount.fs.name() == "anon_inodefs" {
            return Ok(file.position());
        }
        return err(Errno::ESPIPE);
    };
    let position = file.ops().seek(&file, offset, whence)?;
    file.set_position(position);
    Ok(position)
}
