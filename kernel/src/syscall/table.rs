//! The one table of system calls: a row for each number that is there. Numbers without a row are ENOSYS.
//!
//! `docs/syscalls.md` is made from it.

use super::{Context, Handler, exec, process, signal, wait};
use crate::error::Result;
use crate::task::Task;
use abi::nr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much of Linux's call is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Full,
    /// The row's note says what is missing.
    Partial,
}

/// One system call.
pub struct Row {
    pub nr: u64,
    /// `module::function` of the handler.
    pub handler: &'static str,
    pub support: Support,
    pub note: &'static str,
    pub call: fn(&mut Context, &[u64; 6]) -> Result<u64>,
}

fn invoke<H: Handler<A>, A>(handler: H, cx: &mut Context, args: &[u64; 6]) -> Result<u64> {
    handler.call(cx, args)
}

macro_rules! rows {
    ($($nr:ident => $handler:path, $support:ident $(, $note:literal)?;)*) => {
        &[$(Row {
            nr: nr::$nr,
            handler: stringify!($handler),
            support: Support::$support,
            note: concat!("" $(, $note)?),
            call: |cx, args| invoke($handler, cx, args),
        }),*]
    };
}

// Files and descriptors
const FILE: &[Row] = rows! {};

// Paths, directories, mounts
const PATH: &[Row] = rows! {};

// Processes, identity, limits
const PROCESS: &[Row] = rows! {
    SYS_CLONE => process::clone, Full, "no namespaces";
    SYS_CLONE3 => process::clone3, Full, "no namespaces, no cgroups";
    SYS_FORK => process::fork, Full;
    SYS_VFORK => process::vfork, Full;
    SYS_EXECVE => exec::execve, Full;
    SYS_EXECVEAT => exec::execveat, Full;
    SYS_EXIT => process::exit, Full;
    SYS_EXIT_GROUP => process::exit_group, Full;
    SYS_WAIT4 => wait::wait4, Full;
    SYS_WAITID => wait::waitid, Full;
    SYS_GETPID => process::getpid, Full;
    SYS_GETTID => process::gettid, Full;
    SYS_GETPPID => process::getppid, Full;
    SYS_SET_TID_ADDRESS => process::set_tid_address, Full;
    SYS_GETPGID => process::getpgid, Full;
    SYS_GETPGRP => process::getpgrp, Full;
    SYS_SETPGID => process::setpgid, Full;
    SYS_GETSID => process::getsid, Full;
    SYS_SETSID => process::setsid, Full;
    SYS_UNSHARE => process::unshare, Partial, "no namespaces";
    SYS_SETNS => process::setns, Partial, "no namespaces";
    SYS_GET_ROBUST_LIST => process::get_robust_list, Full;
    SYS_SET_ROBUST_LIST => process::set_robust_list, Full;
};

// Signals
const SIGNAL: &[Row] = rows! {
    SYS_RESTART_SYSCALL => signal::restart_syscall, Full;
    SYS_RT_SIGACTION => signal::rt_sigaction, Full;
    SYS_RT_SIGPROCMASK => signal::rt_sigprocmask, Full;
    SYS_RT_SIGRETURN => signal::rt_sigreturn, Full;
    SYS_RT_SIGPENDING => signal::rt_sigpending, Full;
    SYS_RT_SIGTIMEDWAIT => signal::rt_sigtimedwait, Full;
    SYS_RT_SIGQUEUEINFO => signal::rt_sigqueueinfo, Full;
    SYS_RT_TGSIGQUEUEINFO => signal::rt_tgsigqueueinfo, Full;
    SYS_RT_SIGSUSPEND => signal::rt_sigsuspend, Full;
    SYS_SIGALTSTACK => signal::sigaltstack, Full;
    SYS_PAUSE => signal::pause, Full;
    SYS_KILL => signal::kill, Full;
    SYS_TKILL => signal::tkill, Full;
    SYS_TGKILL => signal::tgkill, Full;
};

// Memory
const MEMORY: &[Row] = rows! {};

// Time and timers
const TIME: &[Row] = rows! {};

// Futexes and scheduling
const SCHED: &[Row] = rows! {};

// Pipes, events, polling
const EVENT: &[Row] = rows! {
    SYS_PIPE => super::pipe::pipe, Full;
    SYS_PIPE2 => super::pipe::pipe2, Full, "O_NOTIFICATION_PIPE is ENOPKG";
    SYS_EVENTFD => super::event::eventfd, Full;
    SYS_EVENTFD2 => super::event::eventfd2, Full;
    SYS_EPOLL_CREATE => super::epoll::epoll_create, Full;
    SYS_EPOLL_CREATE1 => super::epoll::epoll_create1, Full;
    SYS_EPOLL_CTL => super::epoll::epoll_ctl, Full, "EPOLLWAKEUP has no effect";
    SYS_EPOLL_WAIT => super::epoll::epoll_wait, Full;
    SYS_EPOLL_PWAIT => super::epoll::epoll_pwait, Full;
    SYS_EPOLL_PWAIT2 => super::epoll::epoll_pwait2, Full;
    SYS_POLL => super::poll::poll, Full;
    SYS_PPOLL => super::poll::ppoll, Full;
    SYS_SELECT => super::poll::select, Full;
    SYS_PSELECT6 => super::poll::pselect6, Full;
    SYS_SPLICE => super::splice::splice, Full;
    SYS_TEE => super::splice::tee, Full;
    SYS_VMSPLICE => super::splice::vmsplice, Full, "copies, also with SPLICE_F_GIFT";
};

// Sockets
const SOCKET: &[Row] = rows! {};

// The system: names, log, random, sysinfo, reboot
const SYSTEM: &[Row] = rows! {};

const FAMILIES: &[&[Row]] = &[
    FILE, PATH, PROCESS, SIGNAL, MEMORY, TIME, SCHED, EVENT, SOCKET, SYSTEM,
];

const SIZE: usize = 512;

static BY_NUMBER: LazyLock<[Option<&'static Row>; SIZE]> = LazyLock::new(|| {
    let mut table = [None; SIZE];
    for row in FAMILIES.iter().flat_map(|family| family.iter()) {
        let slot: &mut Option<&'static Row> = &mut table[row.nr as usize];
        assert!(slot.is_none(), "system call {} has two rows", row.nr);
        *slot = Some(row);
    }
    table
});

/// The row of number `nr`.
pub fn row(nr: u64) -> Option<&'static Row> {
    *BY_NUMBER.get(usize::try_from(nr).ok()?)?
}

/// All rows, by number.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    BY_NUMBER.iter().flatten().copied()
}

static LOGGED: [AtomicU64; SIZE / 64] = [const { AtomicU64::new(0) }; SIZE / 64];

/// Logs, once a number, that a program asked for a call that isn't there.
pub fn log_missing(nr: u64, task: &Task) {
    let Some(word) = LOGGED.get((nr / 64) as usize) else {
        return;
    };
    if word.fetch_or(1 << (nr % 64), Ordering::Relaxed) & (1 << (nr % 64)) == 0 {
        let comm = task.comm();
        let name = nr::name(nr).unwrap_or("unknown");
        crate::pr_info!(
            "{}[{}]: system call {nr} ({name}) is not implemented",
            String::from_utf8_lossy(&comm),
            task.tid()
        );
    }
}
