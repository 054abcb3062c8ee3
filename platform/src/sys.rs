//! Thin, checked wrappers of the host calls that the platform makes itself.

use crate::{PAGE_SIZE, Used};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn check(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// FUTEX_WAIT; `shared` words are shared with other processes. Spurious returns are normal.
pub fn futex_wait(word: &AtomicU32, value: u32, shared: bool, timeout: Option<Duration>) {
    let ts = timeout.map(|d| libc::timespec {
        tv_sec: d.as_secs() as _,
        tv_nsec: d.subsec_nanos() as _,
    });
    let ts = ts.as_ref().map_or(std::ptr::null(), |t| t as *const _);
    let op = libc::FUTEX_WAIT | if shared { 0 } else { libc::FUTEX_PRIVATE_FLAG };
    // SAFETY: the word outlives the call, which only reads it; the timeout is null or valid.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, ts) };
}

/// FUTEX_WAKE of one waiter.
pub fn futex_wake(word: &AtomicU32, shared: bool) {
    let op = libc::FUTEX_WAKE | if shared { 0 } else { libc::FUTEX_PRIVATE_FLAG };
    // SAFETY: a wake doesn't access the word.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, 1) };
}

/// An executable memfd on hosts that ask, a plain one elsewhere.
pub fn memfd(name: &std::ffi::CStr, exec: bool) -> io::Result<OwnedFd> {
    const MFD_NOEXEC_SEAL: u32 = 8;
    const MFD_EXEC: u32 = 16;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    for extra in [if exec { MFD_EXEC } else { MFD_NOEXEC_SEAL }, 0] {
        // The page cache holds what guests execute: MFD_NOEXEC_SEAL only clears the file's x bits, mappings may exec.
        // SAFETY: the name is a C string; the call has no other pointer.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), flags | extra) };
        if fd >= 0 {
            // SAFETY: a fresh descriptor that nobody else owns.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        if errno() != libc::EINVAL {
            break;
        }
    }
    Err(io::Error::last_os_error())
}

/// A second, read-only description of the same file: shared mappings of it can never become writable.
pub fn reopen_read_only(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(std::fs::File::open(format!("/proc/self/fd/{}", fd.as_raw_fd()))?.into())
}

/// pread(2); starts again when interrupted.
pub fn pread(fd: BorrowedFd, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        // SAFETY: the buffer is valid for writes of its length.
        let n = unsafe {
            libc::pread(
                fd.as_raw_fd(),
                buf.as_mut_ptr().cast(),
                buf.len(),
                offset as i64,
            )
        };
        match usize::try_from(n) {
            Ok(n) => return Ok(n),
            Err(_) if errno() == libc::EINTR => (),
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
}

/// pwrite(2) of all of `buf`. On an error part of it may have been written.
pub fn pwrite_all(fd: BorrowedFd, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        // SAFETY: the buffer is valid for reads of its length.
        let n = unsafe {
            libc::pwrite(
                fd.as_raw_fd(),
                buf.as_ptr().cast(),
                buf.len(),
                offset as i64,
            )
        };
        match usize::try_from(n) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                buf = &buf[n..];
                offset += n as u64;
            }
            Err(_) if errno() == libc::EINTR => (),
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

pub fn set_len(fd: &OwnedFd, len: u64) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), len as i64) } as _).map(drop)
}

/// A shared mapping of a file's range, for the life of the value.
pub struct Mapping {
    base: *mut u8,
    len: u64,
}

// SAFETY: the value only stands for the range; all access goes through raw pointers or atomics whose users synchronise.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub fn shared(fd: &OwnedFd, offset: u64, len: u64) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the host's choice replaces nothing.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                fd.as_raw_fd(),
                offset as i64,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was just mapped. A child process of the kernel process has no business in it. A refusal does no harm.
        unsafe { libc::madvise(base, len as usize, libc::MADV_DONTFORK) };
        Ok(Mapping {
            base: base.cast(),
            len,
        })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Pointer to `offset`; panics when `len` bytes from there aren't inside.
    pub fn at(&self, offset: u64, len: u64) -> *mut u8 {
        assert!(
            offset <= self.len && len <= self.len - offset,
            "range outside of mapping"
        );
        // SAFETY: inside the mapping, just checked.
        unsafe { self.base.add(offset as usize) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own, and pointers into it don't outlive it.
        unsafe { libc::munmap(self.base.cast(), self.len as usize) };
    }
}

/// Field `n` of /proc/pid/stat, from 3 on as proc(5) counts: those behind the name, which may hold anything.
fn stat_field(stat: &str, n: usize) -> Option<&str> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(n - 3)
}

/// Whether a thread sleeps (rather than runs, or waits for a CPU or for the host's disk), and its CPU time in nanoseconds;
/// `None` when it is gone.
pub fn thread_activity(pid: i32, tid: i32) -> Option<(bool, u64)> {
    let read = |what| std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/{what}")).ok();
    let stat = read("stat")?;
    let state = stat_field(&stat, 3)?.chars().next()?;
    let number = |n| stat_field(&stat, n)?.parse::<u64>().ok();
    // Without CONFIG_SCHED_INFO: user and system time in ticks of 10 ms.
    let ticks = || Some((number(14)? + number(15)?) * 10_000_000);
    let ran = read("schedstat")
        .and_then(|s| s.split(' ').next()?.parse().ok())
        .or_else(ticks)?;
    Some((state == 'S', ran))
}

/// CPU time of the calling thread, and how often it lost the CPU to another.
pub fn own_activity() -> (Duration, i64) {
    // SAFETY: both structures may be all zeros and are valid for the calls, which fill them in.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time);
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        let ran = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        (ran, usage.ru_nivcsw)
    }
}

/// Bytes in a set of CPUs.
const MASK: usize = 1024;

/// Pins a host thread (0: the caller) to one CPU.
pub fn set_affinity(tid: i32, cpu: usize) -> io::Result<()> {
    let mut set = [0u64; MASK / 8];
    set[(cpu / 64) % (MASK / 8)] = 1 << (cpu % 64);
    // SAFETY: the kernel reads MASK bytes from `set`.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, MASK, set.as_ptr()) }).map(drop)
}

/// Ends the calling thread's restartable sequences, which the C library registers and the host would look after at each
/// context switch: some two per cent of a hand-off. The C library then asks the host for its CPU number.
pub fn leave_rseq() {
    const UNREGISTER: libc::c_long = 1;
    const SIGNATURE: libc::c_long = 0x5305_3053;
    // SAFETY: the symbols, where the C library has them (2.35), are a ptrdiff_t and an unsigned int; the area they describe is
    // the calling thread's own. A refusal leaves things as they are.
    unsafe {
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        if offset.is_null() || size.is_null() || *size == 0 {
            return;
        }
        let thread: usize;
        std::arch::asm!("mov {}, fs:[0]", out(reg) thread, options(nostack, readonly));
        let area = thread.wrapping_add_signed(*offset);
        for len in [32, *size as libc::c_long] {
            if libc::syscall(libc::SYS_rseq, area, len, UNREGISTER, SIGNATURE) == 0 {
                return;
            }
        }
    }
}

pub fn gettid() -> i32 {
    // SAFETY: no pointers.
    unsafe { libc::gettid() }
}

/// The CPUs the caller may run on.
pub fn affinity() -> Vec<usize> {
    let mut set = [0u64; MASK / 8];
    // SAFETY: the kernel writes at most MASK bytes to `set`.
    unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, MASK, set.as_mut_ptr()) };
    let cpus: Vec<_> = (0..MASK * 8)
        .filter(|c| (set[c / 64] >> (c % 64)) & 1 == 1)
        .collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

pub fn tgkill(pid: i32, tid: i32, signo: i32) -> Result<(), i32> {
    // SAFETY: no pointers; the ids are of children that this process hasn't reaped.
    match unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signo) } {
        0 => Ok(()),
        _ => Err(errno()),
    }
}

pub fn kill(pid: i32) {
    // SAFETY: no pointers; the id is of a child that this process hasn't reaped.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// `struct rusage` in KiB and counts, as the host gives it with the end of a child.
fn wait_id(pid: i32, flags: i32) -> Option<Used> {
    // SAFETY: both may be all zeros, and the call fills them in.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::__WALL | flags;
    loop {
        // SAFETY: `info` and `usage` are valid for the call. (The C library's wrapper leaves the latter out.)
        let r = unsafe {
            let (info, usage) = (&raw mut info, &raw mut usage);
            libc::syscall(libc::SYS_waitid, libc::P_PID, pid, info, flags, usage)
        };
        if r < 0 && errno() == libc::EINTR {
            continue;
        }
        // SAFETY: waitid sets si_pid (zero when nothing ended).
        return (r < 0 || unsafe { info.si_pid() } == pid).then_some(Used {
            peak_bytes: usage.ru_maxrss as u64 * 1024,
            minor_faults: usage.ru_minflt as u64,
        });
    }
}

/// Reaps a child if it has ended (`block`: waits for that). Says what it used when it is gone.
pub fn reap(pid: i32, block: bool) -> Option<Used> {
    wait_id(pid, if block { 0 } else { libc::WNOHANG })
}

/// What a living process has resident, and its faults so far: zeros when the host doesn't tell.
pub fn memory_used(pid: i32) -> Used {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let field = |n| {
        stat_field(&text, n)
            .and_then(|v| v.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Used {
        peak_bytes: field(24) * PAGE_SIZE,
        minor_faults: field(10),
    }
}

/// Whether a child has ended, without reaping it.
pub fn has_ended(pid: i32) -> bool {
    wait_id(pid, libc::WNOHANG | libc::WNOWAIT).is_some()
}

pub fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is fresh.
    unsafe {
        let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC) as _)? as RawFd;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Waits until the descriptor is readable; false after `ms` milliseconds.
pub fn wait_readable(fd: RawFd, ms: i32) -> bool {
    let mut p = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut p, 1, ms) > 0 }
}

/// Adds to an eventfd's count.
pub fn eventfd_add(fd: RawFd, n: u64) {
    // SAFETY: eight bytes to read.
    unsafe { libc::write(fd, (&raw const n).cast(), 8) };
}

/// Takes an eventfd's count, waiting for one; zero when a signal came first.
pub fn eventfd_take(fd: RawFd) -> u64 {
    let mut n = 0u64;
    // SAFETY: eight bytes of room.
    let r = unsafe { libc::read(fd, (&raw mut n).cast(), 8) };
    if r == 8 { n } else { 0 }
}

pub fn file_position(fd: RawFd) -> u64 {
    // SAFETY: no pointers.
    unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) as u64 }
}

/// Which way [`vm_copy`] copies.
#[derive(Clone, Copy, PartialEq)]
pub enum Dir {
    FromGuest,
    ToGuest,
}

/// `process_vm_readv` or `process_vm_writev`: bytes moved before the first fault.
///
/// # Safety
/// The local ranges are valid for writes (`FromGuest`) or reads (`ToGuest`).
pub unsafe fn vm_copy(dir: Dir, pid: i32, local: &[libc::iovec], remote: &[libc::iovec]) -> usize {
    let nr = match dir {
        Dir::FromGuest => libc::SYS_process_vm_readv,
        Dir::ToGuest => libc::SYS_process_vm_writev,
    };
    // SAFETY: the caller vouches for the local ranges; the remote ones are the host's to check.
    let r = unsafe {
        libc::syscall(
            nr,
            pid,
            local.as_ptr(),
            local.len(),
            remote.as_ptr(),
            remote.len(),
            0usize,
        )
    };
    r.max(0) as usize
}

pub fn random() -> io::Result<u64> {
    let mut v = 0u64;
    // SAFETY: eight bytes of room.
    let r = unsafe { libc::getrandom((&raw mut v).cast(), 8, 0) };
    if r == 8 {
        Ok(v)
    } else {
        Err(io::Error::last_os_error())
    }
}
