//! The zygote: the stub program exec'd from a memfd, made ready through its own agent. All address spaces are its clones.

use crate::agent::{Agent, Caller, Op};
use crate::control::Control;
use crate::{filter, small, sys};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use stub::layout::{fd, req};

/// The signal that interrupts a guest thread. A standard one: any number of kicks is one pending signal.
pub const PREEMPT: i32 = stub::layout::mb::PREEMPT;
const _: () = assert!(PREEMPT == libc::SIGUSR1 && stub::layout::mb::SIGTRAP == libc::SIGTRAP);

const HANDLED: [i32; 7] = [
    libc::SIGSYS,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    PREEMPT,
];

/// What [`fsgsbase`] says.
static FSGSBASE: AtomicBool = AtomicBool::new(false);

/// Whether user code may write the FS and GS bases, and it is to make use of that. Known from `use_fsgsbase` on.
#[inline]
pub fn fsgsbase() -> bool {
    FSGSBASE.load(Ordering::Relaxed)
}

/// Decides that: what the host says (AT_HWCAP2 bit 1) if it is allowed to.
pub fn use_fsgsbase(allowed: bool) {
    // SAFETY: no pointers.
    let can = unsafe { libc::getauxval(libc::AT_HWCAP2) & 2 != 0 };
    FSGSBASE.store(can && allowed, Ordering::Relaxed);
}

/// Starts the zygote and returns its agent. The calling thread must live as long as the process.
pub fn start(
    control: &Control,
    callers: &[Mutex<Caller>],
    cache_ro: &OwnedFd,
    cache_rw: &OwnedFd,
) -> io::Result<Agent> {
    let image = image()?;
    let mut fds = vec![
        (control.fd.as_raw_fd(), fd::CONTROL),
        (image.as_raw_fd(), fd::IMAGE),
        (cache_ro.as_raw_fd(), fd::CACHE_RO),
        (cache_rw.as_raw_fd(), fd::CACHE_RW),
    ];
    for c in callers {
        fds.extend(c.lock().unwrap().descriptors());
    }
    let page = control.request(0);
    let secret = sys::random()?;
    page.put(req::SECRET, secret);
    let pid = exec(&image, &fds)?;
    let mut agent = Agent { page, pid, seq: 0 };
    let r = prepare(&mut agent, &mut callers[0].lock().unwrap(), secret);
    page.put(req::SECRET, 0);
    if let Err(e) = r {
        let never_ran = sys::has_ended(pid);
        sys::kill(pid);
        sys::reap(pid, true);
        let why = if never_ran {
            "the host refused to execute it from memory (see vm.memfd_noexec)".to_string()
        } else {
            e.to_string()
        };
        return Err(io::Error::new(
            e.kind(),
            format!("cannot start the stub process: {why}"),
        ));
    }
    Ok(agent)
}

/// The executable in a memfd, read-only: nobody can write to it any more.
fn image() -> io::Result<OwnedFd> {
    let rw = sys::memfd(c"umlaut-stub", true)?;
    for (i, p) in stub::image(small::AHEAD).iter().enumerate() {
        // SAFETY: a page of plain bytes.
        let n =
            unsafe { libc::pwrite(rw.as_raw_fd(), p.as_ptr().cast(), p.len(), i as i64 * 4096) };
        if n != p.len() as isize {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: no pointers.
    unsafe { libc::fchmod(rw.as_raw_fd(), 0o500) };
    sys::reopen_read_only(&rw)
}

fn exec(image: &OwnedFd, fds: &[(i32, u32)]) -> io::Result<i32> {
    let parent = std::process::id() as i32;
    let high = fds.iter().map(|f| f.1).max().unwrap_or(0) as i32 + 1;
    let argv = [c"umlaut-stub".as_ptr(), std::ptr::null()];
    let envp: [*const libc::c_char; 1] = [std::ptr::null()];
    let image = image.as_raw_fd();
    // SAFETY: the child only makes system calls (no allocation, no locks) until it execs or exits.
    unsafe {
        let pid = libc::fork();
        if pid != 0 {
            return if pid < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(pid)
            };
        }
        // Not setsid(): the host's scheduler would weigh guests against the kernel process (autogroup).
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            libc::_exit(1);
        }
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        // First away from the target numbers, then onto them.
        let above = |f: i32| libc::fcntl(f, libc::F_DUPFD_CLOEXEC, high);
        let exec_fd = above(image);
        let mut copies = [0i32; 1024];
        if fds.len() > copies.len() {
            libc::_exit(1);
        }
        for (i, f) in fds.iter().enumerate() {
            copies[i] = above(f.0);
        }
        for (i, f) in fds.iter().enumerate() {
            if libc::dup2(copies[i], f.1 as i32) < 0 {
                libc::_exit(1);
            }
        }
        libc::syscall(libc::SYS_close_range, high, exec_fd - 1, 0);
        libc::syscall(libc::SYS_close_range, exec_fd + 1, u32::MAX, 0);
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        libc::syscall(
            libc::SYS_execveat,
            exec_fd,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        libc::_exit(127);
    }
}

/// Signal handlers, the filter, the name: done by the agent itself, with data in its request page.
fn prepare(agent: &mut Agent, caller: &mut Caller, secret: u64) -> io::Result<()> {
    let data = stub::layout::REQUEST_ADDR + req::DATA;
    let fast = fsgsbase();
    let handler = if fast {
        stub::handler()
    } else {
        stub::syscall_handler()
    };
    let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | 0x0400_0000; // SA_RESTORER
    // The handler never returns to its restorer: it makes the call itself.
    for (i, v) in [handler, flags as u64, handler, u64::MAX]
        .into_iter()
        .enumerate()
    {
        agent.page.put(req::DATA + 8 * i as u64, v);
    }
    let (all, name) = (data + 24, data + 32);
    agent.page.write(req::DATA + 32, b"umlaut-stub\0");
    let mut ops = vec![Op::plain(
        libc::SYS_rt_sigprocmask,
        &[libc::SIG_SETMASK as u64, all, 0, 8],
    )];
    for s in HANDLED {
        ops.push(Op::plain(libc::SYS_rt_sigaction, &[s as u64, data, 0, 8]));
    }
    ops.push(Op::plain(
        libc::SYS_prctl,
        &[libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0],
    ));
    ops.push(Op::plain(
        libc::SYS_prctl,
        &[libc::PR_SET_NAME as u64, name],
    ));
    caller.call(agent, &ops).result()?;

    // The program is longer than the room behind the operations, so it takes that of unused operations too.
    let code = filter::build(secret, fast);
    let at = req::OPS + 4 * req::OP_SIZE;
    assert!(at + 16 + 8 * code.len() as u64 <= stub::layout::REQUEST_SIZE);
    agent.page.put(at, code.len() as u64);
    agent.page.put(at + 8, stub::layout::REQUEST_ADDR + at + 16);
    for (i, c) in code.iter().enumerate() {
        let v = c.code as u64 | (c.jt as u64) << 16 | (c.jf as u64) << 24 | (c.k as u64) << 32;
        agent.page.put(at + 16 + 8 * i as u64, v);
    }
    let prog = stub::layout::REQUEST_ADDR + at;
    let op = Op::plain(
        libc::SYS_seccomp,
        &[libc::SECCOMP_SET_MODE_FILTER as u64, 0, prog],
    );
    let r = caller.call(agent, &[op]).result();
    // The secret was in the program.
    for i in 0..=code.len() + 1 {
        agent
            .page
            .u64(at + 8 * i as u64)
            .store(0, Ordering::Relaxed);
    }
    r.map(drop)
}
