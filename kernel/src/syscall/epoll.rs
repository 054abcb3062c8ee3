//! epoll_create, epoll_ctl, epoll_wait and their variants (fs/eventpoll.c).

use super::poll::{deadline_after, read_mask};
use super::splice::check_range;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::ipc::epoll::{self, Change, EpollFile};
use crate::signal;
use crate::sync::Deadline;
use crate::task::Task;
use crate::user::UserPtr;
use crate::vfs::{self, File};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::poll::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EpollCreateFlags, EpollEvent, EpollEvents,
};
use abi::signal::SigSet;
use abi::task::RLIMIT_NOFILE;
use abi::time::Timespec;
use std::sync::Arc;

pub fn epoll_create(cx: &mut Context, size: i32) -> Result<Fd> {
    if size <= 0 {
        return err(Errno::EINVAL);
    }
    epoll_create1(cx, 0)
}

pub fn epoll_create1(cx: &mut Context, flags: u32) -> Result<Fd> {
    let flags = EpollCreateFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    check_file_max(&cx.task, 0)?;
    let file = vfs::anon_file("[eventpoll]", Box::new(EpollFile::new()), OpenFlags::O_RDWR);
    let limit = cx.task.group.rlimit(RLIMIT_NOFILE as usize);
    let cloexec = flags.contains(EpollCreateFlags::EPOLL_CLOEXEC);
    Ok(Fd(cx.task.files().install(file, cloexec, 0, limit)?))
}

fn open_file(task: &Task, fd: Fd) -> Result<Arc<File>> {
    let file = task.files().get(fd.0)?;
    if file.is_path_only() {
        return err(Errno::EBADF);
    }
    Ok(file)
}

pub fn epoll_ctl(
    cx: &mut Context,
    epfd: Fd,
    op: u32,
    fd: Fd,
    event: UserPtr<EpollEvent>,
) -> Result<()> {
    let event = if op == EPOLL_CTL_DEL {
        EpollEvent::default()
    } else {
        event.read()?
    };
    let epoll_file = open_file(&cx.task, epfd)?;
    let file = open_file(&cx.task, fd)?;
    let events = EpollEvents::from_bits_retain(event.events);
    let change = match op {
        EPOLL_CTL_ADD => Change::Add(events, event.data),
        EPOLL_CTL_MOD => Change::Modify(events, event.data),
        EPOLL_CTL_DEL => Change::Delete,
        _ => return err(Errno::EINVAL),
    };
    epoll::control(&epoll_file, fd.0, &file, change)
}

fn do_wait(
    task: &Task,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    deadline: Option<Deadline>,
) -> Result<usize> {
    let max = match usize::try_from(max) {
        Ok(max) if max > 0 && max <= i32::MAX as usize / size_of::<EpollEvent>() => max,
        _ => return err(Errno::EINVAL),
    };
    check_range(events.addr(), max * size_of::<EpollEvent>())?;
    let file = open_file(task, epfd)?;
    epoll::of(&file)?.wait(max, deadline, &mut |found| events.write_array(found))
}

fn deadline_ms(timeout: i32) -> Option<Deadline> {
    match u64::try_from(timeout) {
        Err(_) => None,
        Ok(0) => Some(Deadline(0)),
        Ok(ms) => Some(Deadline::after(ms * 1_000_000)),
    }
}

pub fn epoll_wait(
    cx: &mut Context,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout_ms: i32,
) -> Result<usize> {
    do_wait(&cx.task, epfd, events, max, deadline_ms(timeout_ms))
}

pub fn epoll_pwait(
    cx: &mut Context,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout_ms: i32,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    let mask = read_mask(mask, mask_size)?;
    let task = &cx.task;
    signal::with_temporary_mask(task, mask, || {
        do_wait(task, epfd, events, max, deadline_ms(timeout_ms))
    })
}

pub fn epoll_pwait2(
    cx: &mut Context,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    let deadline = match timeout.non_null() {
        None => None,
        Some(timeout) => Some(deadline_after(timeout.read()?)?),
    };
    let mask = read_mask(mask, mask_size)?;
    let task = &cx.task;
    signal::with_temporary_mask(task, mask, || do_wait(task, epfd, events, max, deadline))
}
