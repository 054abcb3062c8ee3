//! poll, ppoll, select, pselect6: the user side of `ipc::poll` (fs/select.c).

use super::Context;
use crate::error::{Result, err};
use crate::ipc::poll::{self, Watch};
use crate::signal;
use crate::sync::Deadline;
use crate::task::Task;
use crate::time;
use crate::user::UserPtr;
use crate::vfs::{File, PollEvents};
use abi::errno::Errno;
use abi::poll::{Pollfd, SELECT_EX, SELECT_IN, SELECT_OUT, fd_isset, fd_set, fd_set_bytes};
use abi::signal::SigSet;
use abi::task::{RLIMIT_NOFILE, STICKY_TIMEOUTS};
use abi::time::{NSEC_PER_SEC, Timespec, Timeval, USEC_PER_SEC};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The sigset argument of ppoll and its like: None for NULL. EINVAL for a wrong size, EFAULT.
pub(super) fn read_mask(mask: UserPtr<SigSet>, size: usize) -> Result<Option<SigSet>> {
    match mask.non_null() {
        None => Ok(None),
        Some(_) if size != size_of::<SigSet>() => err(Errno::EINVAL),
        Some(mask) => Ok(Some(mask.read()?)),
    }
}

/// When a call with this timeout ends. EINVAL when it isn't a valid time.
pub(super) fn deadline_after(timeout: Timespec) -> Result<Deadline> {
    if !timeout.is_valid() {
        return err(Errno::EINVAL);
    }
    Ok(match u64::try_from(timeout.to_nanos()).unwrap_or(0) {
        0 => Deadline(0),
        ns => Deadline::after(ns),
    })
}

/// A program's timeout and how its rest is stored back: fs/select.c:poll_select_finish().
#[derive(Clone, Copy)]
enum Timeout {
    None,
    Spec(UserPtr<Timespec>, Deadline),
    Val(UserPtr<Timeval>, Deadline),
}

impl Timeout {
    fn spec(ptr: UserPtr<Timespec>) -> Result<Timeout> {
        match ptr.non_null() {
            None => Ok(Timeout::None),
            Some(ptr) => Ok(Timeout::Spec(ptr, deadline_after(ptr.read()?)?)),
        }
    }

    fn val(ptr: UserPtr<Timeval>) -> Result<Timeout> {
        let Some(ptr) = ptr.non_null() else {
            return Ok(Timeout::None);
        };
        let value = ptr.read()?;
        let at = deadline_after(Timespec {
            tv_sec: value.tv_sec.saturating_add(value.tv_usec / USEC_PER_SEC),
            tv_nsec: (value.tv_usec % USEC_PER_SEC) * (NSEC_PER_SEC / USEC_PER_SEC),
        })?;
        Ok(Timeout::Val(ptr, at))
    }

    fn deadline(self) -> Option<Deadline> {
        match self {
            Timeout::None => None,
            Timeout::Spec(_, at) | Timeout::Val(_, at) => Some(at),
        }
    }

    /// Stores what is left. A call whose rest can't be stored isn't restarted.
    fn finish(self, task: &Task, result: Result<usize>) -> Result<usize> {
        let interrupted = |e: &crate::Error| e.errno() == Errno::ERESTARTNOHAND;
        let sticky = task.personality.load(Ordering::Relaxed) & STICKY_TIMEOUTS != 0;
        let stored = match self.deadline() {
            None => return result,
            Some(_) if sticky => false,
            Some(Deadline(0)) => return result,
            Some(at) => {
                let left = at.0.saturating_sub(time::monotonic_ns());
                let left = Timespec::from_nanos(i64::try_from(left).unwrap_or(i64::MAX));
                match self {
                    Timeout::None => true,
                    Timeout::Spec(ptr, _) => ptr.write(&left).is_ok(),
                    Timeout::Val(ptr, _) => ptr
                        .write(&Timeval {
                            tv_sec: left.tv_sec,
                            tv_usec: left.tv_nsec / (NSEC_PER_SEC / USEC_PER_SEC),
                        })
                        .is_ok(),
                }
            }
        };
        match result {
            Err(e) if interrupted(&e) && !stored => err(Errno::EINTR),
            other => other,
        }
    }
}

/// An open file that can be waited for; O_PATH descriptors can't.
fn watchable(task: &Task, fd: i32) -> Option<Arc<File>> {
    let file = task.files().get(fd).ok()?;
    (!file.is_path_only()).then_some(file)
}

fn do_poll(
    task: &Task,
    fds: UserPtr<Pollfd>,
    count: u32,
    deadline: Option<Deadline>,
) -> Result<usize> {
    if u64::from(count) > task.group.rlimit(RLIMIT_NOFILE as usize) {
        return err(Errno::EINVAL);
    }
    let mut entries = fds.read_array(count as usize)?;
    let mut watches = Vec::with_capacity(entries.len());
    let mut indices = Vec::with_capacity(entries.len());
    let mut bad = 0;
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.revents = 0;
        if entry.fd < 0 {
            continue;
        }
        match watchable(task, entry.fd) {
            Some(file) => {
                watches.push(Watch {
                    file,
                    events: PollEvents::from_bits_retain(entry.events.into()),
                    revents: PollEvents::empty(),
                });
                indices.push(index);
            }
            None => {
                entry.revents = PollEvents::NVAL.bits() as u16;
                bad += 1;
            }
        }
    }
    let found = poll::wait(&mut watches, bad, deadline)?;
    for (watch, index) in watches.iter().zip(indices) {
        entries[index].revents = watch.revents.bits() as u16;
    }
    for (index, entry) in entries.iter().enumerate() {
        fds.index(index)
            .byte_add(std::mem::offset_of!(Pollfd, revents) as u64)
            .cast::<u16>()
            .write(&entry.revents)?;
    }
    Ok(bad + found)
}

fn poll_until(
    cx: &mut Context,
    fds: UserPtr<Pollfd>,
    count: u32,
    deadline: Option<Deadline>,
) -> Result<usize> {
    let result = do_poll(&cx.task, fds, count, deadline);
    match result {
        Err(e) if e.errno() == Errno::ERESTARTNOHAND => {
            let again = move |cx: &mut Context| {
                poll_until(cx, fds, count, deadline).map(|found| found as u64)
            };
            *cx.task.restart.lock() = Some(Box::new(again));
            err(Errno::ERESTART_RESTARTBLOCK)
        }
        other => other,
    }
}

pub fn poll(cx: &mut Context, fds: UserPtr<Pollfd>, count: u32, timeout_ms: i32) -> Result<usize> {
    let deadline = u64::try_from(timeout_ms).ok().map(|ms| match ms {
        0 => Deadline(0),
        ms => Deadline::after(ms * 1_000_000),
    });
    poll_until(cx, fds, count, deadline)
}

pub fn ppoll(
    cx: &mut Context,
    fds: UserPtr<Pollfd>,
    count: u32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    let timeout = Timeout::spec(timeout)?;
    let mask = read_mask(mask, mask_size)?;
    let task = &cx.task;
    signal::with_temporary_mask(task, mask, || {
        let result = do_poll(task, fds, count, timeout.deadline());
        timeout.finish(task, result)
    })
}

/// Highest number of descriptors that select looks at, whatever is asked: the table has no more.
const MOST_FDS: usize = 1 << 20;

struct Sets {
    read: Vec<u64>,
    write: Vec<u64>,
    except: Vec<u64>,
}

fn read_set(ptr: UserPtr<u64>, words: usize) -> Result<Vec<u64>> {
    match ptr.non_null() {
        Some(ptr) => ptr.read_array(words),
        None => Ok(vec![0; words]),
    }
}

fn events(bits: abi::poll::PollEvents) -> PollEvents {
    PollEvents::from_bits_retain(bits.bits().into())
}

fn do_select(
    task: &Task,
    n: i32,
    ptrs: [UserPtr<u64>; 3],
    deadline: Option<Deadline>,
) -> Result<usize> {
    let n = usize::try_from(n).map_err(|_| Errno::EINVAL)?;
    let n = n.min(task.files().capacity()).min(MOST_FDS);
    let words = fd_set_bytes(n) / 8;
    let wanted = Sets {
        read: read_set(ptrs[0], words)?,
        write: read_set(ptrs[1], words)?,
        except: read_set(ptrs[2], words)?,
    };
    let (mut watches, mut fds) = (Vec::new(), Vec::new());
    for fd in 0..n {
        let mut mask = PollEvents::empty();
        if fd_isset(&wanted.read, fd) {
            mask |= events(SELECT_IN);
        }
        if fd_isset(&wanted.write, fd) {
            mask |= events(SELECT_OUT);
        }
        if fd_isset(&wanted.except, fd) {
            mask |= events(SELECT_EX);
        }
        if mask.is_empty() {
            continue;
        }
        let file = watchable(task, fd as i32).ok_or(Errno::EBADF)?;
        watches.push(Watch {
            file,
            events: mask,
            revents: PollEvents::empty(),
        });
        fds.push(fd);
    }
    select_wait(&mut watches, &wanted, &fds, deadline)?;
    let mut got = Sets {
        read: vec![0; words],
        write: vec![0; words],
        except: vec![0; words],
    };
    let mut found = 0;
    for (watch, &fd) in watches.iter().zip(&fds) {
        let sets = [
            (&wanted.read, &mut got.read, SELECT_IN),
            (&wanted.write, &mut got.write, SELECT_OUT),
            (&wanted.except, &mut got.except, SELECT_EX),
        ];
        for (asked, answer, bits) in sets {
            if fd_isset(asked, fd) && watch.revents.intersects(events(bits)) {
                fd_set(answer, fd);
                found += 1;
            }
        }
    }
    for (ptr, set) in ptrs.into_iter().zip([&got.read, &got.write, &got.except]) {
        if let Some(ptr) = ptr.non_null() {
            ptr.write_array(set)?;
        }
    }
    Ok(found)
}

/// Waits until one of the sets has an answer. A hang-up counts only where the read set asks, so a watch that
/// has nothing else isn't an answer.
fn select_wait(
    watches: &mut [Watch],
    wanted: &Sets,
    fds: &[usize],
    deadline: Option<Deadline>,
) -> Result<()> {
    poll::wait_for(watches, deadline, |index, revents| {
        let fd = fds[index];
        (fd_isset(&wanted.read, fd) && revents.intersects(events(SELECT_IN)))
            || (fd_isset(&wanted.write, fd) && revents.intersects(events(SELECT_OUT)))
            || (fd_isset(&wanted.except, fd) && revents.intersects(events(SELECT_EX)))
    })?;
    Ok(())
}

pub fn select(
    cx: &mut Context,
    n: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<Timeval>,
) -> Result<usize> {
    let timeout = Timeout::val(timeout)?;
    let result = do_select(&cx.task, n, [read, write, except], timeout.deadline());
    timeout.finish(&cx.task, result)
}

pub fn pselect6(
    cx: &mut Context,
    n: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<[u64; 2]>,
) -> Result<usize> {
    let [mask, size] = match mask.non_null() {
        Some(pair) => pair.read()?,
        None => [0, 0],
    };
    let timeout = Timeout::spec(timeout)?;
    let mask = read_mask(UserPtr::new(mask), size as usize)?;
    let task = &cx.task;
    signal::with_temporary_mask(task, mask, || {
        let result = do_select(task, n, [read, write, except], timeout.deadline());
        timeout.finish(task, result)
    })
}
