//! Tasks: making and ending them, their numbers, groups and sessions.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::task::{Acting, CloneRequest, ExitStatus, Pid};
use crate::task::{clone_task, exit, jobs, may_inspect, pidfd, pids};
use crate::user::UserPtr;
use crate::vfs::nsfs;
use abi::errno::Errno;
use abi::signal::{SIGCHLD, valid};
use abi::task::{CLONE_ARGS_SIZE_VER0, CLONE_ARGS_SIZE_VER2, CSIGNAL, CloneArgs, CloneFlags};
use std::sync::atomic::Ordering;

/// The flags that clone(2) has no room for.
const CLONE3_ONLY: CloneFlags =
    CloneFlags::CLONE_CLEAR_SIGHAND.union(CloneFlags::CLONE_INTO_CGROUP);

pub fn fork(cx: &mut Context) -> Result<Pid> {
    clone_task(
        cx,
        &CloneRequest {
            exit_signal: SIGCHLD,
            ..CloneRequest::default()
        },
    )
}

pub fn vfork(cx: &mut Context) -> Result<Pid> {
    clone_task(
        cx,
        &CloneRequest {
            flags: CloneFlags::CLONE_VFORK | CloneFlags::CLONE_VM,
            exit_signal: SIGCHLD,
            ..CloneRequest::default()
        },
    )
}

/// `flags` is 32 bits wide; its low byte is the exit signal.
pub fn clone(
    cx: &mut Context,
    flags: u32,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
) -> Result<Pid> {
    let raw = u64::from(flags);
    clone_task(
        cx,
        &CloneRequest {
            flags: CloneFlags::from_bits_retain(raw & !CSIGNAL) - CLONE3_ONLY,
            exit_signal: (raw & CSIGNAL) as i32,
            stack,
            parent_tid,
            child_tid,
            pidfd: parent_tid,
            tls,
            set_tid: None,
        },
    )
}

/// kernel/fork.c:copy_clone_args_from_user().
fn read_clone_args(args: UserPtr<u8>, size: usize) -> Result<CloneArgs> {
    if size > 4096 {
        return err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_SIZE_VER0 {
        return err(Errno::EINVAL);
    }
    let mut bytes = vec![0; size.max(CLONE_ARGS_SIZE_VER2)];
    args.read_bytes(&mut bytes[..size])?;
    if bytes[CLONE_ARGS_SIZE_VER2..].iter().any(|b| *b != 0) {
        return err(Errno::E2BIG);
    }
    let bytes = &bytes[..CLONE_ARGS_SIZE_VER2];
    zerocopy::FromBytes::read_from_bytes(bytes).map_err(|_| Errno::EINVAL.into())
}

pub fn clone3(cx: &mut Context, args: UserPtr<u8>, size: usize) -> Result<Pid> {
    let args = read_clone_args(args, size)?;
    let flags = CloneFlags::from_bits_retain(args.flags);
    if args.set_tid_size > 32
        || (args.set_tid == 0) != (args.set_tid_size == 0)
        || args.exit_signal & !CSIGNAL != 0
        || (args.exit_signal != 0 && !valid(args.exit_signal as i32))
        || (flags.contains(CloneFlags::CLONE_INTO_CGROUP)
            && (size < CLONE_ARGS_SIZE_VER2 || args.cgroup > i32::MAX as u64))
    {
        return err(Errno::EINVAL);
    }
    if flags.unknown_bits() != 0
        || flags.contains(CloneFlags::CLONE_DETACHED)
        || args.flags & (CSIGNAL & !CloneFlags::CLONE_NEWTIME.bits()) != 0
        || flags.contains(CloneFlags::CLONE_SIGHAND | CloneFlags::CLONE_CLEAR_SIGHAND)
        || (flags.intersects(CloneFlags::CLONE_THREAD | CloneFlags::CLONE_PARENT)
            && args.exit_signal != 0)
        || (args.stack == 0) != (args.stack_size == 0)
    {
        return err(Errno::EINVAL);
    }
    if flags.contains(CloneFlags::CLONE_INTO_CGROUP) {
        // No descriptor here is a cgroup's.
        return err(Errno::EBADF);
    }
    let stack = args.stack.wrapping_add(args.stack_size);
    if args.stack != 0 && (stack < args.stack || stack > platform::TASK_SIZE) {
        return err(Errno::EINVAL);
    }
    let set_tid = match args.set_tid_size {
        0 => None,
        1 => {
            let tid = UserPtr::<i32>::new(args.set_tid).read()?;
            match Pid::try_from(tid) {
                Ok(tid) if (1..crate::task::PID_MAX).contains(&tid) => Some(tid),
                _ => return err(Errno::EINVAL),
            }
        }
        _ => return err(Errno::EINVAL),
    };
    clone_task(
        cx,
        &CloneRequest {
            flags,
            exit_signal: args.exit_signal as i32,
            stack,
            parent_tid: args.parent_tid,
            child_tid: args.child_tid,
            pidfd: args.pidfd,
            tls: args.tls,
            set_tid,
        },
    )
}

pub fn exit(cx: &mut Context, code: i32) -> Result<u64> {
    exit::exit_thread(cx, code);
    Ok(0)
}

pub fn exit_group(cx: &mut Context, code: i32) -> Result<u64> {
    exit::exit_process(cx, ExitStatus::Code(code as u8));
    Ok(0)
}

pub fn getpid(cx: &mut Context) -> Result<Pid> {
    Ok(cx.task.pid())
}

pub fn gettid(cx: &mut Context) -> Result<Pid> {
    Ok(cx.task.tid())
}

pub fn getppid(cx: &mut Context) -> Result<Pid> {
    Ok(cx.task.group.ppid())
}

pub fn set_tid_address(cx: &mut Context, at: u64) -> Result<Pid> {
    cx.task.clear_child_tid.store(at, Ordering::Relaxed);
    Ok(cx.task.tid())
}

pub fn getpgid(cx: &mut Context, pid: i32) -> Result<Pid> {
    Ok(jobs::group_of(&cx.task, pid)?.pgid())
}

pub fn getpgrp(cx: &mut Context) -> Result<Pid> {
    Ok(cx.task.group.pgid())
}

pub fn setpgid(cx: &mut Context, pid: i32, pgid: i32) -> Result<()> {
    jobs::set_process_group(&cx.task, pid, pgid)
}

pub fn getsid(cx: &mut Context, pid: i32) -> Result<Pid> {
    Ok(jobs::group_of(&cx.task, pid)?.sid())
}

pub fn setsid(cx: &mut Context) -> Result<Pid> {
    jobs::new_session(&cx.task)
}

/// No namespaces but that of mounts are there; the parts of a task that clone shares can be unshared.
pub fn unshare(cx: &mut Context, flags: u64) -> Result<()> {
    use CloneFlags as F;
    let task = cx.task.clone();
    let wanted = F::from_bits_retain(flags);
    let namespaces = F::CLONE_NEWCGROUP
        | F::CLONE_NEWUTS
        | F::CLONE_NEWIPC
        | F::CLONE_NEWUSER
        | F::CLONE_NEWPID
        | F::CLONE_NEWNET
        | F::CLONE_NEWTIME;
    let own = F::CLONE_THREAD
        | F::CLONE_FS
        | F::CLONE_NEWNS
        | F::CLONE_SIGHAND
        | F::CLONE_VM
        | F::CLONE_FILES
        | F::CLONE_SYSVSEM;
    if !(own | namespaces).contains(wanted) {
        return err(Errno::EINVAL);
    }
    if wanted.intersects(namespaces) {
        let admin = task.capable(abi::task::CAP_SYS_ADMIN);
        let only_user = (wanted & namespaces) == F::CLONE_NEWUSER;
        return err(if admin || only_user {
            Errno::EINVAL
        } else {
            Errno::EPERM
        });
    }
    if wanted.intersects(F::CLONE_THREAD | F::CLONE_SIGHAND | F::CLONE_VM) {
        let alone = task.group.threads().len() == 1;
        let shared_mm = task
            .mm()
            .is_some_and(|mm| std::sync::Arc::strong_count(&mm) > 2);
        let shared_actions = std::sync::Arc::strong_count(&task.sighand()) > 2;
        if !alone
            || (wanted.intersects(F::CLONE_SIGHAND | F::CLONE_VM) && shared_actions)
            || (wanted.contains(F::CLONE_VM) && shared_mm)
        {
            return err(Errno::EINVAL);
        }
    }
    if wanted.contains(F::CLONE_NEWNS) {
        if !task.capable(abi::task::CAP_SYS_ADMIN) {
            return err(Errno::EPERM);
        }
        task.set_fs(task.fs().unshare_mounts()?);
    } else if wanted.contains(F::CLONE_FS) {
        task.set_fs(task.fs().duplicate());
    }
    if wanted.contains(F::CLONE_FILES) {
        drop(task.set_files(Some(task.files().duplicate())));
    }
    Ok(())
}

/// The mount namespace of a file of /proc/<pid>/ns or of a process behind a pidfd.
pub fn setns(cx: &mut Context, fd: Fd, kind: u32) -> Result<()> {
    let task = &cx.task;
    let file = task.files().get(fd.0)?;
    let kind = CloneFlags::from_bits_retain(u64::from(kind));
    let process = file.ops_as::<pidfd::PidFd>();
    let fits = kind == CloneFlags::CLONE_NEWNS || (kind.is_empty() && process.is_none());
    if !fits {
        return err(Errno::EINVAL);
    }
    let fs = task.fs();
    let joined = match process {
        Some(process) => {
            let other = pids().task(process.pid()?).ok_or(Errno::ESRCH)?;
            if !may_inspect(task, &other, Acting::Real) {
                return err(Errno::EPERM);
            }
            nsfs::join(&fs, &other.fs())?
        }
        None => nsfs::enter(&fs, &file)?,
    };
    if !task.capable(abi::task::CAP_SYS_ADMIN) || !task.capable(abi::task::CAP_SYS_CHROOT) {
        return err(Errno::EPERM);
    }
    // This function and the task have one reference each.
    if std::sync::Arc::strong_count(&fs) > 2 {
        return err(Errno::EINVAL);
    }
    task.set_fs(joined);
    Ok(())
}

pub fn get_robust_list(
    cx: &mut Context,
    pid: i32,
    head: UserPtr<u64>,
    len: UserPtr<u64>,
) -> Result<()> {
    let target = if pid == 0 {
        cx.task.clone()
    } else {
        let pid = Pid::try_from(pid).map_err(|_| Errno::ESRCH)?;
        pids().task(pid).ok_or(Errno::ESRCH)?
    };
    if !may_inspect(&cx.task, &target, Acting::Real) {
        return err(Errno::EPERM);
    }
    len.write(&24)?;
    head.write(&target.robust_list.load(Ordering::Relaxed))
}

pub fn set_robust_list(cx: &mut Context, head: u64, len: usize) -> Result<()> {
    if len != 24 {
        return err(Errno::EINVAL);
    }
    cx.task.robust_list.store(head, Ordering::Relaxed);
    Ok(())
}

pub fn vhangup(cx: &mut Context) -> Result<()> {
    if !cx.task.capable(abi::task::CAP_SYS_TTY_CONFIG) {
        return err(Errno::EPERM);
    }
    crate::tty::vhangup(&cx.task);
    Ok(())
}
