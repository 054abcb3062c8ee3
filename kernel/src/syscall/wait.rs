//! Waiting for children.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::task::pidfd::PidFd;
use crate::task::wait::{Who, wait};
use crate::task::{Pid, pidfd};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::signal::{SIGCHLD, Siginfo};
use abi::task::{P_ALL, P_PGID, P_PID, P_PIDFD, WaitFlags};
use abi::time::Rusage;

pub fn wait4(
    cx: &mut Context,
    pid: i32,
    status: UserPtr<i32>,
    options: u32,
    rusage: UserPtr<Rusage>,
) -> Result<Pid> {
    let options = WaitFlags::from_bits_retain(options);
    let allowed = WaitFlags::WNOHANG
        | WaitFlags::WUNTRACED
        | WaitFlags::WCONTINUED
        | WaitFlags::__WNOTHREAD
        | WaitFlags::__WCLONE
        | WaitFlags::__WALL;
    if !allowed.contains(options) {
        return err(Errno::EINVAL);
    }
    let who = match pid {
        i32::MIN => return err(Errno::ESRCH),
        -1 => Who::Any,
        0 => Who::Group(cx.task.group.pgid()),
        1.. => Who::Pid(pid as Pid),
        _ => Who::Group(pid.unsigned_abs()),
    };
    let Some(report) = wait(
        &cx.task,
        &who,
        options | WaitFlags::WEXITED,
        !rusage.is_null(),
    )?
    else {
        return Ok(0);
    };
    if !status.is_null() {
        status.write(&report.word)?;
    }
    if !rusage.is_null() {
        rusage.write(&report.rusage)?;
    }
    Ok(report.pid)
}

pub fn waitid(
    cx: &mut Context,
    which: u32,
    id: i32,
    info: UserPtr<Siginfo>,
    options: u32,
    rusage: UserPtr<Rusage>,
) -> Result<()> {
    let mut options = WaitFlags::from_bits_retain(options);
    let states = WaitFlags::WEXITED | WaitFlags::WSTOPPED | WaitFlags::WCONTINUED;
    let allowed = states
        | WaitFlags::WNOHANG
        | WaitFlags::WNOWAIT
        | WaitFlags::__WNOTHREAD
        | WaitFlags::__WCLONE
        | WaitFlags::__WALL;
    if !allowed.contains(options) || !options.intersects(states) {
        return err(Errno::EINVAL);
    }
    let mut nonblocking_pidfd = false;
    let who = match (which, id) {
        (P_ALL, _) => Who::Any,
        (P_PID, 1..) => Who::Pid(id as Pid),
        (P_PGID, 0) => Who::Group(cx.task.group.pgid()),
        (P_PGID, 1..) => Who::Group(id as Pid),
        (P_PIDFD, 0..) => {
            let file = pidfd::get(&cx.task, Fd(id).0)?;
            nonblocking_pidfd = file.nonblocking() && !options.contains(WaitFlags::WNOHANG);
            if nonblocking_pidfd {
                options |= WaitFlags::WNOHANG;
            }
            let ops = file.ops_as::<PidFd>().ok_or(Errno::EBADF)?;
            Who::Process(ops.task.group.clone())
        }
        _ => return err(Errno::EINVAL),
    };
    let report = wait(&cx.task, &who, options, !rusage.is_null())?;
    if report.is_none() && nonblocking_pidfd {
        return err(Errno::EAGAIN);
    }
    if let Some(report) = &report
        && !rusage.is_null()
    {
        rusage.write(&report.rusage)?;
    }
    if !info.is_null() {
        // Only the first members are written, as in Linux.
        let told = report.map_or([0i32; 7], |r| {
            [SIGCHLD, 0, r.code, 0, r.pid as i32, r.uid as i32, r.status]
        });
        info.cast::<i32>().write_array(&told[..3])?;
        info.cast::<i32>().index(4).write_array(&told[4..])?;
    }
    Ok(())
}
