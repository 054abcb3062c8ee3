//! splice, tee and vmsplice (fs/splice.c): moving bytes between pipes and files inside the kernel.
//!
//! Data is copied once, from or into the ring. As in Linux the pipe stays locked while the file is read or written.

use super::{Pipe, PipeEnd, Ring, drain, end, fill};
use crate::error::{Result, err};
use crate::ipc::broken_pipe;
use crate::sync::MutexGuard;
use crate::vfs::{File, Sink, Source};
use abi::errno::Errno;
use std::sync::Arc;

/// The pipe behind `file`, if it is one.
fn pipe_of(file: &File) -> Option<&Arc<Pipe>> {
    file.ops_as::<PipeEnd>().map(|e| &e.pipe)
}

/// Waits until there is something to take; None at the end of the data. EAGAIN, ERESTARTSYS.
fn lock_with_data(pipe: &Pipe, nonblock: bool) -> Result<Option<MutexGuard<'_, Ring>>> {
    loop {
        let ring = pipe.lock();
        if !ring.is_empty() {
            return Ok(Some(ring));
        }
        if !pipe.has_writers() {
            return Ok(None);
        }
        if nonblock {
            return err(Errno::EAGAIN);
        }
        drop(ring);
        pipe.read_wait
            .wait_until(|| pipe.is_readable().then_some(()))?;
    }
}

/// Waits until there is room. EPIPE (with SIGPIPE), EAGAIN, ERESTARTSYS.
fn lock_with_room(pipe: &Pipe, nonblock: bool) -> Result<MutexGuard<'_, Ring>> {
    loop {
        let ring = pipe.lock();
        if !pipe.has_readers() {
            drop(ring);
            broken_pipe();
            return err(Errno::EPIPE);
        }
        if !ring.is_full() {
            return Ok(ring);
        }
        if nonblock {
            return err(Errno::EAGAIN);
        }
        drop(ring);
        pipe.write_wait
            .wait_until(|| pipe.is_writable().then_some(()))?;
    }
}

/// Lets go of a ring that bytes were put into.
fn put_done(pipe: &Pipe, ring: MutexGuard<'_, Ring>) {
    pipe.publish(&ring);
    drop(ring);
    pipe.wake_readers();
}

/// Lets go of a ring that bytes were taken from.
fn take_done(pipe: &Pipe, ring: MutexGuard<'_, Ring>) {
    pipe.publish(&ring);
    drop(ring);
    pipe.wake_writers();
}

/// Both rings, locked in the order of their addresses.
fn lock_both<'a>(from: &'a Pipe, to: &'a Pipe) -> (MutexGuard<'a, Ring>, MutexGuard<'a, Ring>) {
    if std::ptr::from_ref(from) < std::ptr::from_ref(to) {
        let from = from.lock();
        (from, to.lock())
    } else {
        let to = to.lock();
        (from.lock(), to)
    }
}

/// Waits until one ring has data and the other one room, and locks both; None at the end of the data.
fn lock_ready<'a>(
    from: &'a Pipe,
    to: &'a Pipe,
    nonblock: bool,
) -> Result<Option<(MutexGuard<'a, Ring>, MutexGuard<'a, Ring>)>> {
    loop {
        if lock_with_data(from, nonblock)?.is_none() {
            return Ok(None);
        }
        drop(lock_with_room(to, nonblock)?);
        let (a, b) = lock_both(from, to);
        if !a.is_empty() && !b.is_full() {
            return Ok(Some((a, b)));
        }
    }
}

/// Copies up to `len` bytes from one ring to the other, keeping packets; `take` removes them.
fn copy(from: &mut Ring, to: &mut Ring, len: usize, take: bool) -> usize {
    let mut done = 0;
    while done < len && !to.is_full() {
        let skip = if take { 0 } else { done };
        let (data, packet) = from.data_at(skip, len - done);
        if data.is_empty() {
            break;
        }
        let room = to.room(data.len());
        let step = room.len();
        room.copy_from_slice(&data[..step]);
        to.filled(step, packet);
        if take {
            from.consume(step);
        }
        done += step;
    }
    done
}

/// Moves bytes from pipe to pipe. EINVAL when they are the same or one is no pipe.
pub fn splice(input: &File, output: &File, len: usize, nonblock: bool) -> Result<usize> {
    between(input, output, len, nonblock, true)
}

/// Copies bytes from pipe to pipe without taking them. EINVAL when they are the same or one is no pipe.
pub fn tee(input: &File, output: &File, len: usize, nonblock: bool) -> Result<usize> {
    between(input, output, len, nonblock, false)
}

fn between(input: &File, output: &File, len: usize, nonblock: bool, take: bool) -> Result<usize> {
    let (Some(from), Some(to)) = (pipe_of(input), pipe_of(output)) else {
        return err(Errno::EINVAL);
    };
    if Arc::ptr_eq(from, to) {
        return err(Errno::EINVAL);
    }
    let Some((mut source, mut target)) = lock_ready(from, to, nonblock)? else {
        return Ok(0);
    };
    let done = copy(&mut source, &mut target, len, take);
    put_done(to, target);
    if take {
        take_done(from, source);
    }
    Ok(done)
}

/// Reads up to `len` bytes of `input` at `*offset` into the pipe; also the pipe side of sendfile(2).
/// EBADF when `output` is no pipe, EPIPE, EAGAIN, ERESTARTSYS, and what the file's read gives.
pub fn splice_from_file(
    input: &File,
    offset: &mut u64,
    output: &File,
    len: usize,
    nonblock: bool,
) -> Result<usize> {
    let pipe = &end(output)?.pipe;
    let mut ring = lock_with_room(pipe, nonblock)?;
    let room = ring.room(len);
    let done = input.ops().read(input, &mut Sink::kernel(room), offset)?;
    ring.filled(done, false);
    put_done(pipe, ring);
    Ok(done)
}

/// Writes up to `len` bytes of the pipe to `output` at `*offset`. EBADF when `input` is no pipe, EAGAIN, ERESTARTSYS,
/// and what the file's write gives.
pub fn splice_to_file(
    input: &File,
    output: &File,
    offset: &mut u64,
    len: usize,
    nonblock: bool,
) -> Result<usize> {
    let pipe = &end(input)?.pipe;
    let Some(mut ring) = lock_with_data(pipe, nonblock)? else {
        return Ok(0);
    };
    let mut done = 0;
    let mut result = Ok(());
    while done < len && !ring.is_empty() {
        let (data, _) = ring.data(len - done);
        let want = data.len();
        let step = match output
            .ops()
            .write(output, &mut Source::kernel(data), offset)
        {
            Ok(step) => step,
            Err(e) => {
                result = Err(e);
                break;
            }
        };
        ring.consume(step);
        done += step;
        if step < want {
            break;
        }
    }
    take_done(pipe, ring);
    match result {
        Err(e) if done == 0 => Err(e),
        _ => Ok(done),
    }
}

/// vmsplice(2) into a pipe: as much as there is room for. EPIPE, EAGAIN, EFAULT, ERESTARTSYS.
pub fn splice_from_user(output: &File, source: &mut Source<'_>, nonblock: bool) -> Result<usize> {
    let pipe = &end(output)?.pipe;
    if source.remaining() == 0 {
        return Ok(0);
    }
    let mut ring = lock_with_room(pipe, nonblock)?;
    let mut result = Ok(());
    while result.is_ok() && source.remaining() > 0 && !ring.is_full() {
        result = fill(&mut ring, source, false);
    }
    put_done(pipe, ring);
    match result {
        Err(e) if source.done() == 0 => Err(e),
        _ => Ok(source.done()),
    }
}

/// vmsplice(2) out of a pipe. EAGAIN, EFAULT, ERESTARTSYS.
pub fn splice_to_user(input: &File, sink: &mut Sink<'_>, nonblock: bool) -> Result<usize> {
    let pipe = &end(input)?.pipe;
    if sink.remaining() == 0 {
        return Ok(0);
    }
    let Some(mut ring) = lock_with_data(pipe, nonblock)? else {
        return Ok(0);
    };
    let result = drain(&mut ring, sink);
    take_done(pipe, ring);
    result
}
