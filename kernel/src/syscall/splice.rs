//! splice, tee, vmsplice (fs/splice.c).

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::ipc::pipe;
use crate::task::Task;
use crate::user::UserPtr;
use crate::vfs::{File, Sink, Source, notify};
use abi::errno::Errno;
use abi::fs::{Iovec, MAX_RW_COUNT, OpenFlags, SpliceFlags};
use std::sync::Arc;

/// Most elements of an iovec (UIO_MAXIOV).
const IOV_MAX: usize = 1024;

fn known(flags: u32) -> Result<SpliceFlags> {
    let flags = SpliceFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    Ok(flags)
}

fn open_file(task: &Task, fd: Fd) -> Result<Arc<File>> {
    let file = task.files().get(fd.0)?;
    if file.is_path_only() {
        return err(Errno::EBADF);
    }
    Ok(file)
}

/// Both files, checked for their modes.
fn pair(task: &Task, input: Fd, output: Fd) -> Result<(Arc<File>, Arc<File>)> {
    let (input, output) = (open_file(task, input)?, open_file(task, output)?);
    if !input.readable() || !output.writable() {
        return err(Errno::EBADF);
    }
    Ok((input, output))
}

/// Runs `call` with the position given, or the file's own, and stores it back. EINVAL when a position is given for a
/// file without.
fn with_position(
    file: &File,
    given: UserPtr<i64>,
    call: impl FnOnce(&mut u64) -> Result<usize>,
) -> Result<usize> {
    let Some(given) = given.non_null() else {
        let _held = file.ops().seekable().then(|| file.position_lock.lock());
        let mut position = file.position();
        let done = call(&mut position)?;
        file.set_position(position);
        return Ok(done);
    };
    if !file.ops().seekable() {
        return err(Errno::EINVAL);
    }
    let mut position = u64::try_from(given.read()?).map_err(|_| Errno::EINVAL)?;
    let done = call(&mut position)?;
    given.write(&(position as i64))?;
    Ok(done)
}

pub fn splice(
    cx: &mut Context,
    input: Fd,
    in_offset: UserPtr<i64>,
    output: Fd,
    out_offset: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> Result<usize> {
    if len == 0 {
        return Ok(0);
    }
    let flags = known(flags)?;
    let (input, output) = pair(&cx.task, input, output)?;
    let len = len.min(MAX_RW_COUNT);
    let nonblock = flags.contains(SpliceFlags::SPLICE_F_NONBLOCK);
    match (pipe::is_pipe(&input), pipe::is_pipe(&output)) {
        (true, true) => {
            if !in_offset.is_null() || !out_offset.is_null() {
                return err(Errno::ESPIPE);
            }
            let nonblock = nonblock || input.nonblocking() || output.nonblocking();
            pipe::splice(&input, &output, len, nonblock)
        }
        (true, false) => {
            if !in_offset.is_null() {
                return err(Errno::ESPIPE);
            }
            if output.flags().contains(OpenFlags::O_APPEND) {
                return err(Errno::EINVAL);
            }
            let nonblock = nonblock || input.nonblocking();
            let done = with_position(&output, out_offset, |position| {
                pipe::splice_to_file(&input, &output, position, len, nonblock)
            })?;
            if done > 0 {
                notify::modified(&output);
            }
            Ok(done)
        }
        (false, true) => {
            if !out_offset.is_null() {
                return err(Errno::ESPIPE);
            }
            let nonblock = nonblock || output.nonblocking();
            let done = with_position(&input, in_offset, |position| {
                pipe::splice_from_file(&input, position, &output, len, nonblock)
            })?;
            if done > 0 {
                notify::accessed(&input);
            }
            Ok(done)
        }
        (false, false) => err(Errno::EINVAL),
    }
}

pub fn tee(cx: &mut Context, input: Fd, output: Fd, len: usize, flags: u32) -> Result<usize> {
    let flags = known(flags)?;
    if len == 0 {
        return Ok(0);
    }
    let (input, output) = pair(&cx.task, input, output)?;
    let nonblock = flags.contains(SpliceFlags::SPLICE_F_NONBLOCK)
        || input.nonblocking()
        || output.nonblocking();
    pipe::tee(&input, &output, len.min(MAX_RW_COUNT), nonblock)
}

pub fn vmsplice(
    cx: &mut Context,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    flags: u32,
) -> Result<usize> {
    let flags = known(flags)?;
    let file = open_file(&cx.task, fd)?;
    if !pipe::is_pipe(&file) || !(file.writable() || file.readable()) {
        return err(Errno::EBADF);
    }
    let parts = read_iovec(iov, count)?;
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    let nonblock = flags.contains(SpliceFlags::SPLICE_F_NONBLOCK);
    if file.writable() {
        pipe::splice_from_user(&file, &mut Source::user(mm, parts), nonblock)
    } else {
        pipe::splice_to_user(&file, &mut Sink::user(mm, parts), nonblock)
    }
}

/// An iovec argument as addresses and lengths, cut off at MAX_RW_COUNT: lib/iov_iter.c:import_iovec(). EINVAL, EFAULT.
pub(super) fn read_iovec(iov: UserPtr<Iovec>, count: usize) -> Result<Vec<(u64, usize)>> {
    if count > IOV_MAX {
        return err(Errno::EINVAL);
    }
    let mut total = 0;
    let mut parts = Vec::with_capacity(count);
    for part in iov.read_array(count)? {
        let len = usize::try_from(part.iov_len as i64).map_err(|_| Errno::EINVAL)?;
        check_range(part.iov_base, len)?;
        let len = len.min(MAX_RW_COUNT - total);
        total += len;
        parts.push((part.iov_base, len));
    }
    Ok(parts)
}

/// EFAULT when the range doesn't lie in user space (access_ok()).
pub(super) fn check_range(addr: u64, len: usize) -> Result<()> {
    match addr.checked_add(len as u64) {
        Some(end) if end <= platform::TASK_SIZE => Ok(()),
        _ => err(Errno::EFAULT),
    }
}
