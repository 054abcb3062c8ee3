//! Memory of other processes: process_vm_readv(2), process_vm_writev(2), process_madvise(2).

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::mm::{Caller, Mm};
use crate::task::pidfd::{self, PidFd};
use crate::task::{Acting, Pid, may_inspect, pids};
use crate::user::UserPtr;
use crate::vfs::{Sink, Source, import_iovec};
use abi::errno::Errno;
use abi::fs::Iovec;
use abi::mm::{MADV_COLD, MADV_COLLAPSE, MADV_PAGEOUT, MADV_WILLNEED};
use std::sync::Arc;

/// Bytes copied at a time.
const CHUNK: usize = 256 << 10;
/// Most elements of a vector (UIO_MAXIOV).
const MAX_PARTS: usize = 1024;

struct Transfer {
    here: Arc<Mm>,
    there: Arc<Mm>,
    local: Vec<(u64, usize)>,
    remote: Vec<(u64, usize)>,
}

fn prepare(
    cx: &mut Context,
    pid: Pid,
    local: (UserPtr<Iovec>, usize),
    remote: (UserPtr<Iovec>, usize),
    flags: u64,
) -> Result<Transfer> {
    if flags != 0 || local.1 > MAX_PARTS || remote.1 > MAX_PARTS {
        return err(Errno::EINVAL);
    }
    let local = import_iovec(local.0, local.1)?;
    let remote = remote
        .0
        .read_array(remote.1)?
        .into_iter()
        .map(|p| {
            Ok((
                p.iov_base,
                usize::try_from(p.iov_len).map_err(|_| Errno::EINVAL)?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    let target = pids().task(pid).ok_or(Errno::ESRCH)?;
    if !may_inspect(&cx.task, &target, Acting::Real) {
        return err(Errno::EPERM);
    }
    Ok(Transfer {
        here: cx.task.mm().ok_or(Errno::EFAULT)?,
        there: target.mm().ok_or(Errno::ESRCH)?,
        local,
        remote,
    })
}

/// The remote vector in pieces of at most [`CHUNK`], never across an element.
fn pieces(parts: &[(u64, usize)]) -> impl Iterator<Item = (u64, usize)> + '_ {
    parts.iter().flat_map(|&(addr, len)| {
        (0..len)
            .step_by(CHUNK)
            .map(move |at| (addr.wrapping_add(at as u64), (len - at).min(CHUNK)))
    })
}

fn result(done: usize, stopped: bool) -> Result<usize> {
    if done == 0 && stopped {
        return err(Errno::EFAULT);
    }
    Ok(done)
}

pub fn process_vm_readv(
    cx: &mut Context,
    pid: Pid,
    local: UserPtr<Iovec>,
    local_count: usize,
    remote: UserPtr<Iovec>,
    remote_count: usize,
    flags: u64,
) -> Result<usize> {
    let t = prepare(cx, pid, (local, local_count), (remote, remote_count), flags)?;
    let mut sink = Sink::user(t.here, t.local);
    let mut buf = vec![0; CHUNK];
    for (addr, len) in pieces(&t.remote) {
        let want = len.min(sink.remaining());
        if want == 0 {
            break;
        }
        let got = t.there.read(addr, &mut buf[..want]);
        let put = if got > 0 { sink.write(&buf[..got])? } else { 0 };
        if put < want {
            return result(sink.done(), true);
        }
    }
    result(sink.done(), false)
}

pub fn process_vm_writev(
    cx: &mut Context,
    pid: Pid,
    local: UserPtr<Iovec>,
    local_count: usize,
    remote: UserPtr<Iovec>,
    remote_count: usize,
    flags: u64,
) -> Result<usize> {
    let t = prepare(cx, pid, (local, local_count), (remote, remote_count), flags)?;
    let mut source = Source::user(t.here, t.local);
    let mut buf = vec![0; CHUNK];
    let mut done = 0;
    for (addr, len) in pieces(&t.remote) {
        let want = len.min(source.remaining());
        if want == 0 {
            break;
        }
        let got = match source.read(&mut buf[..want]) {
            Ok(got) => got,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        };
        let put = t.there.write(addr, &buf[..got]);
        done += put;
        if put < want {
            return result(done, true);
        }
    }
    result(done, false)
}

pub fn process_madvise(
    cx: &mut Context,
    pidfd: Fd,
    vector: UserPtr<Iovec>,
    count: usize,
    advice: i32,
    flags: u32,
) -> Result<usize> {
    if flags != 0 {
        return err(Errno::EINVAL);
    }
    let parts = import_iovec(vector, count)?;
    let file = pidfd::get(&cx.task, pidfd.0)?;
    let of = file.ops_as::<PidFd>().ok_or(Errno::EBADF)?;
    if of.is_gone() {
        return err(Errno::ESRCH);
    }
    let target = of.task.clone();
    let own = Arc::ptr_eq(&target.group, &cx.task.group);
    let mm = target.mm().ok_or(Errno::ESRCH)?;
    if !may_inspect(&cx.task, &target, Acting::FileSystem) {
        return err(Errno::EACCES);
    }
    let harmless = [MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLLAPSE];
    if !own && !harmless.contains(&advice) {
        return err(Errno::EINVAL);
    }
    if !own && !cx.task.capable(abi::cap::CAP_SYS_NICE) {
        return err(Errno::EPERM);
    }
    let mut done = 0;
    for (addr, len) in parts {
        match mm.madvise(
            &mut Caller::kernel(target.clone()),
            addr,
            len as u64,
            advice,
        ) {
            Ok(()) => done += len,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
    }
    Ok(done)
}
