//! The one table of system calls: a row for each number that is there. Numbers without a row are ENOSYS.
//!
//! `docs/syscalls.md` is made from it.

use super::{
    Context, Handler, attr, cred, data, dir, exec, file, limits, membarrier, mempolicy, mm, open,
    path, pidfd, prctl, process, process_vm, signal, stat, system, wait,
};
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
const FILE: &[Row] = rows! {
    SYS_READ => file::read, Full;
    SYS_WRITE => file::write, Full;
    SYS_PREAD64 => file::pread64, Full;
    SYS_PWRITE64 => file::pwrite64, Full;
    SYS_READV => file::readv, Full;
    SYS_WRITEV => file::writev, Full;
    SYS_PREADV => file::preadv, Full;
    SYS_PWRITEV => file::pwritev, Full;
    SYS_PREADV2 => file::preadv2, Full;
    SYS_PWRITEV2 => file::pwritev2, Full;
    SYS_LSEEK => file::lseek, Full;
    SYS_OPEN => open::open, Full;
    SYS_OPENAT => open::openat, Full;
    SYS_OPENAT2 => open::openat2, Full;
    SYS_CREAT => open::creat, Full;
    SYS_CLOSE => open::close, Full;
    SYS_CLOSE_RANGE => open::close_range, Full;
    SYS_DUP => open::dup, Full;
    SYS_DUP2 => open::dup2, Full;
    SYS_DUP3 => open::dup3, Full;
    SYS_FCNTL => super::fcntl::fcntl, Partial, "no directory notification";
    SYS_FLOCK => super::fcntl::flock, Full;
    SYS_IOCTL => super::fcntl::ioctl, Full;
    SYS_FSYNC => data::fsync, Full;
    SYS_FDATASYNC => data::fdatasync, Full;
    SYS_SYNC => data::sync, Full;
    SYS_SYNCFS => data::syncfs, Full;
    SYS_SYNC_FILE_RANGE => data::sync_file_range, Full;
    SYS_FALLOCATE => data::fallocate, Full;
    SYS_FADVISE64 => data::fadvise64, Full;
    SYS_READAHEAD => data::readahead, Full;
    SYS_SENDFILE => data::sendfile, Full;
    SYS_COPY_FILE_RANGE => data::copy_file_range, Full;
};

// Paths, directories, mounts
const PATH: &[Row] = rows! {
    SYS_STAT => stat::stat, Full;
    SYS_LSTAT => stat::lstat, Full;
    SYS_FSTAT => stat::fstat, Full;
    SYS_NEWFSTATAT => stat::newfstatat, Full;
    SYS_STATX => stat::statx, Full;
    SYS_STATFS => stat::statfs, Full;
    SYS_FSTATFS => stat::fstatfs, Full;
    SYS_ACCESS => stat::access, Full;
    SYS_FACCESSAT => stat::faccessat, Full;
    SYS_FACCESSAT2 => stat::faccessat2, Full;
    SYS_MKDIR => path::mkdir, Full;
    SYS_MKDIRAT => path::mkdirat, Full;
    SYS_MKNOD => path::mknod, Full;
    SYS_MKNODAT => path::mknodat, Full;
    SYS_SYMLINK => path::symlink, Full;
    SYS_SYMLINKAT => path::symlinkat, Full;
    SYS_LINK => path::link, Full;
    SYS_LINKAT => path::linkat, Full;
    SYS_UNLINK => path::unlink, Full;
    SYS_UNLINKAT => path::unlinkat, Full;
    SYS_RMDIR => path::rmdir, Full;
    SYS_RENAME => path::rename, Full;
    SYS_RENAMEAT => path::renameat, Full;
    SYS_RENAMEAT2 => path::renameat2, Full;
    SYS_READLINK => path::readlink, Full;
    SYS_READLINKAT => path::readlinkat, Full;
    SYS_CHMOD => attr::chmod, Full;
    SYS_FCHMOD => attr::fchmod, Full;
    SYS_FCHMODAT => attr::fchmodat, Full;
    SYS_FCHMODAT2 => attr::fchmodat2, Full;
    SYS_CACHESTAT => data::cachestat, Full;
    SYS_CHOWN => attr::chown, Full;
    SYS_LCHOWN => attr::lchown, Full;
    SYS_FCHOWN => attr::fchown, Full;
    SYS_FCHOWNAT => attr::fchownat, Full;
    SYS_UTIME => attr::utime, Full;
    SYS_UTIMES => attr::utimes, Full;
    SYS_FUTIMESAT => attr::futimesat, Full;
    SYS_UTIMENSAT => attr::utimensat, Full;
    SYS_TRUNCATE => attr::truncate, Full;
    SYS_FTRUNCATE => attr::ftruncate, Full;
    SYS_GETDENTS => dir::getdents, Full;
    SYS_GETDENTS64 => dir::getdents64, Full;
    SYS_GETCWD => dir::getcwd, Full;
    SYS_CHDIR => dir::chdir, Full;
    SYS_FCHDIR => dir::fchdir, Full;
    SYS_CHROOT => dir::chroot, Full;
    SYS_UMASK => dir::umask, Full;
    SYS_SETXATTR => super::xattr::setxattr, Full;
    SYS_LSETXATTR => super::xattr::lsetxattr, Full;
    SYS_FSETXATTR => super::xattr::fsetxattr, Full;
    SYS_GETXATTR => super::xattr::getxattr, Full;
    SYS_LGETXATTR => super::xattr::lgetxattr, Full;
    SYS_FGETXATTR => super::xattr::fgetxattr, Full;
    SYS_LISTXATTR => super::xattr::listxattr, Full;
    SYS_LLISTXATTR => super::xattr::llistxattr, Full;
    SYS_FLISTXATTR => super::xattr::flistxattr, Full;
    SYS_REMOVEXATTR => super::xattr::removexattr, Full;
    SYS_LREMOVEXATTR => super::xattr::lremovexattr, Full;
    SYS_FREMOVEXATTR => super::xattr::fremovexattr, Full;
    SYS_SETXATTRAT => super::xattr::setxattrat, Full;
    SYS_GETXATTRAT => super::xattr::getxattrat, Full;
    SYS_LISTXATTRAT => super::xattr::listxattrat, Full;
    SYS_REMOVEXATTRAT => super::xattr::removexattrat, Full;
    SYS_INOTIFY_INIT => super::inotify::inotify_init, Full;
    SYS_INOTIFY_INIT1 => super::inotify::inotify_init1, Full;
    SYS_INOTIFY_ADD_WATCH => super::inotify::inotify_add_watch, Full;
    SYS_INOTIFY_RM_WATCH => super::inotify::inotify_rm_watch, Full;
    SYS_MEMFD_CREATE => super::xattr::memfd_create, Partial, "no huge pages";
    SYS_NAME_TO_HANDLE_AT => super::xattr::name_to_handle_at, Partial, "no file system gives handles";
    SYS_MOUNT => super::mount::mount, Partial, "no sync, dirsync and lazytime";
    SYS_UMOUNT2 => super::mount::umount2, Full;
    SYS_OPEN_TREE => super::mount_api::open_tree, Full;
    SYS_MOVE_MOUNT => super::mount_api::move_mount, Full;
    SYS_MOUNT_SETATTR => super::mount_api::mount_setattr, Partial, "no idmapped mounts";
    SYS_FSOPEN => super::mount_api::fsopen, Full;
    SYS_FSCONFIG => super::mount_api::fsconfig, Partial, "no file system takes files or bytes as parameters";
    SYS_FSMOUNT => super::mount_api::fsmount, Full;
    SYS_FSPICK => super::mount_api::fspick, Full;
    SYS_PIVOT_ROOT => super::mount::pivot_root, Full;
};

// Processes, identity, limits
const PROCESS: &[Row] = rows! {
    SYS_CLONE => process::clone, Full, "no namespaces but mounts";
    SYS_CLONE3 => process::clone3, Full, "no namespaces but mounts, no cgroups";
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
    SYS_UNSHARE => process::unshare, Partial, "no namespaces but mounts";
    SYS_SETNS => process::setns, Partial, "no namespaces but mounts";
    SYS_VHANGUP => process::vhangup, Full;
    SYS_GET_ROBUST_LIST => process::get_robust_list, Full;
    SYS_SET_ROBUST_LIST => process::set_robust_list, Full;
    SYS_RSEQ => system::not_there, Partial, "ENOSYS, as a kernel without it: C libraries do without";
    SYS_PTRACE => system::not_there, Partial, "ENOSYS";
    SYS_PIDFD_OPEN => pidfd::pidfd_open, Full;
    SYS_PIDFD_SEND_SIGNAL => pidfd::pidfd_send_signal, Full;
    SYS_PROCESS_MRELEASE => pidfd::process_mrelease, Full;
    SYS_PIDFD_GETFD => pidfd::pidfd_getfd, Full;
    SYS_KCMP => pidfd::kcmp, Partial, "no I/O contexts, no semaphore adjustments";
    SYS_GETUID => cred::getuid, Full;
    SYS_GETEUID => cred::geteuid, Full;
    SYS_GETGID => cred::getgid, Full;
    SYS_GETEGID => cred::getegid, Full;
    SYS_SETUID => cred::setuid, Full;
    SYS_SETGID => cred::setgid, Full;
    SYS_SETREUID => cred::setreuid, Full;
    SYS_SETREGID => cred::setregid, Full;
    SYS_SETRESUID => cred::setresuid, Full;
    SYS_GETRESUID => cred::getresuid, Full;
    SYS_SETRESGID => cred::setresgid, Full;
    SYS_GETRESGID => cred::getresgid, Full;
    SYS_SETFSUID => cred::setfsuid, Full;
    SYS_SETFSGID => cred::setfsgid, Full;
    SYS_GETGROUPS => cred::getgroups, Full;
    SYS_SETGROUPS => cred::setgroups, Full;
    SYS_CAPGET => cred::capget, Full;
    SYS_CAPSET => cred::capset, Full;
    SYS_PRCTL => prctl::prctl, Partial, "no seccomp, no PR_SET_VMA";
    SYS_ARCH_PRCTL => prctl::arch_prctl, Partial, "no shadow stacks, no CPUID faulting, no XCOMP permissions";
    SYS_PERSONALITY => prctl::personality, Full;
    SYS_GETRLIMIT => limits::getrlimit, Full;
    SYS_SETRLIMIT => limits::setrlimit, Full;
    SYS_PRLIMIT64 => limits::prlimit64, Full;
    SYS_GETRUSAGE => limits::getrusage, Full;
    SYS_TIMES => limits::times, Full;
    SYS_GETPRIORITY => limits::getpriority, Full;
    SYS_SETPRIORITY => limits::setpriority, Full;
    SYS_IOPRIO_SET => limits::ioprio_set, Full;
    SYS_IOPRIO_GET => limits::ioprio_get, Full;
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
    SYS_SIGNALFD => signal::signalfd, Full;
    SYS_SIGNALFD4 => signal::signalfd4, Full;
    SYS_KILL => signal::kill, Full;
    SYS_TKILL => signal::tkill, Full;
    SYS_TGKILL => signal::tgkill, Full;
};

// Memory
const MEMORY: &[Row] = rows! {
    SYS_MMAP => mm::mmap, Full, "no huge pages";
    SYS_MUNMAP => mm::munmap, Full;
    SYS_MPROTECT => mm::mprotect, Full;
    SYS_MREMAP => mm::mremap, Full;
    SYS_BRK => mm::brk, Full;
    SYS_MADVISE => mm::madvise, Full, "no huge pages to collapse to; guard pages in anonymous memory only";
    SYS_MINCORE => mm::mincore, Full;
    SYS_MSYNC => mm::msync, Full;
    SYS_MLOCK => mm::mlock, Full;
    SYS_MSEAL => mm::mseal, Full;
    SYS_MLOCK2 => mm::mlock2, Full;
    SYS_MUNLOCK => mm::munlock, Full;
    SYS_MLOCKALL => mm::mlockall, Full;
    SYS_MUNLOCKALL => mm::munlockall, Full;
    SYS_REMAP_FILE_PAGES => mm::remap_file_pages, Full;
    SYS_PKEY_ALLOC => mm::pkey_alloc, Full, "as on CPUs without protection keys";
    SYS_PKEY_FREE => mm::pkey_free, Full;
    SYS_PKEY_MPROTECT => mm::pkey_mprotect, Full;
    SYS_MEMBARRIER => membarrier::membarrier, Full;
    SYS_SET_MEMPOLICY => mempolicy::set_mempolicy, Partial, "one node; checked, not kept";
    SYS_GET_MEMPOLICY => mempolicy::get_mempolicy, Partial, "one node; always the default policy";
    SYS_MBIND => mempolicy::mbind, Partial, "one node; checked, not kept";
    SYS_PROCESS_VM_READV => process_vm::process_vm_readv, Full;
    SYS_PROCESS_VM_WRITEV => process_vm::process_vm_writev, Full;
    SYS_PROCESS_MADVISE => process_vm::process_madvise, Full;
};

// Time and timers
const TIME: &[Row] = rows! {
    SYS_NANOSLEEP => super::time::nanosleep, Full;
    SYS_CLOCK_NANOSLEEP => super::time::clock_nanosleep, Full;
    SYS_CLOCK_GETTIME => super::time::clock_gettime, Full;
    SYS_CLOCK_GETRES => super::time::clock_getres, Full;
    SYS_CLOCK_SETTIME => super::time::clock_settime, Full;
    SYS_GETTIMEOFDAY => super::time::gettimeofday, Full;
    SYS_SETTIMEOFDAY => super::time::settimeofday, Full;
    SYS_TIME => super::time::time, Full;
    SYS_ADJTIMEX => super::time::adjtimex, Partial, "the clock's rate is the host's";
    SYS_CLOCK_ADJTIME => super::time::clock_adjtime, Partial, "the clock's rate is the host's";
    SYS_GETITIMER => super::timer::getitimer, Full;
    SYS_SETITIMER => super::timer::setitimer, Full;
    SYS_ALARM => super::timer::alarm, Full;
    SYS_TIMER_CREATE => super::timer::timer_create, Full;
    SYS_TIMER_SETTIME => super::timer::timer_settime, Full;
    SYS_TIMER_GETTIME => super::timer::timer_gettime, Full;
    SYS_TIMER_GETOVERRUN => super::timer::timer_getoverrun, Full;
    SYS_TIMER_DELETE => super::timer::timer_delete, Full;
    SYS_TIMERFD_CREATE => super::timer::timerfd_create, Full;
    SYS_TIMERFD_SETTIME => super::timer::timerfd_settime, Full;
    SYS_TIMERFD_GETTIME => super::timer::timerfd_gettime, Full;
};

// Futexes and scheduling
const SCHED: &[Row] = rows! {
    SYS_SCHED_YIELD => super::sched::sched_yield, Full;
    SYS_SCHED_SETAFFINITY => super::sched::sched_setaffinity, Full;
    SYS_SCHED_GETAFFINITY => super::sched::sched_getaffinity, Full;
    SYS_SCHED_SETSCHEDULER => super::sched::sched_setscheduler, Partial, "real-time tasks share the CPU like others";
    SYS_SCHED_GETSCHEDULER => super::sched::sched_getscheduler, Full;
    SYS_SCHED_SETPARAM => super::sched::sched_setparam, Full;
    SYS_SCHED_GETPARAM => super::sched::sched_getparam, Full;
    SYS_SCHED_SETATTR => super::sched::sched_setattr, Partial, "no SCHED_DEADLINE, no utilisation clamps";
    SYS_SCHED_GETATTR => super::sched::sched_getattr, Full;
    SYS_SCHED_GET_PRIORITY_MAX => super::sched::sched_get_priority_max, Full;
    SYS_SCHED_GET_PRIORITY_MIN => super::sched::sched_get_priority_min, Full;
    SYS_SCHED_RR_GET_INTERVAL => super::sched::sched_rr_get_interval, Full;
    SYS_FUTEX => super::futex::futex, Partial, "no priority boost of lock owners";
    SYS_FUTEX_WAITV => super::futex::futex_waitv, Full;
    SYS_FUTEX_WAKE => super::futex::futex_wake, Full;
    SYS_FUTEX_WAIT => super::futex::futex_wait, Full;
    SYS_FUTEX_REQUEUE => super::futex::futex_requeue, Full;
};

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
const SOCKET: &[Row] = rows! {
    SYS_SOCKET => super::socket::socket, Partial, "AF_UNIX";
    SYS_SOCKETPAIR => super::socket::socketpair, Full;
    SYS_BIND => super::socket::bind, Full;
    SYS_CONNECT => super::socket::connect, Full;
    SYS_LISTEN => super::socket::listen, Full;
    SYS_ACCEPT => super::socket::accept, Full;
    SYS_ACCEPT4 => super::socket::accept4, Full;
    SYS_GETSOCKNAME => super::socket::getsockname, Full;
    SYS_GETPEERNAME => super::socket::getpeername, Full;
    SYS_SHUTDOWN => super::socket::shutdown, Full;
    SYS_SETSOCKOPT => super::socket::setsockopt, Partial, "no filters";
    SYS_GETSOCKOPT => super::socket::getsockopt, Partial, "no SO_MEMINFO";
    SYS_SENDTO => super::message::sendto, Full;
    SYS_RECVFROM => super::message::recvfrom, Full;
    SYS_SENDMSG => super::message::sendmsg, Full;
    SYS_RECVMSG => super::message::recvmsg, Full;
    SYS_SENDMMSG => super::message::sendmmsg, Full;
    SYS_RECVMMSG => super::message::recvmmsg, Full;
};

// The system: names, log, random, sysinfo, reboot
const SYSTEM: &[Row] = rows! {
    SYS_UNAME => system::uname, Full;
    SYS_SETHOSTNAME => system::sethostname, Full;
    SYS_SETDOMAINNAME => system::setdomainname, Full;
    SYS_SYSINFO => system::sysinfo, Full;
    SYS_GETCPU => system::getcpu, Full;
    SYS_GETRANDOM => system::getrandom, Full;
    SYS_REBOOT => system::reboot, Partial, "no kexec, no suspend";
    SYS_SYSLOG => system::syslog, Full;
};

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
