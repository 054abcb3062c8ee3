//! The launcher: a small process that starts host programs for the kernel process, and ends them.
//!
//! The kernel process filters its own system calls and has threads, so it starts nothing itself. The launcher is forked
//! before both. Each request comes with one end of a socket, the program's *life*: when the kernel process closes its end,
//! or dies, the program is ended; when the program ends, the launcher says how and closes its end. So nothing outlives the
//! kernel process, whatever way that dies, and nobody needs process numbers.

use crate::apart;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex};

/// Bytes of a request: a program and its arguments.
const REQUEST: usize = 4096;
const START: u8 = b'S';
const WATCH: u8 = b'W';
/// First byte of what comes through a life: the program wasn't started (errno), ended (wait status), the window changed.
const FAILED: u8 = b'F';
const ENDED: u8 = b'E';
const CHANGED: u8 = b'C';
/// How long programs have to end in order when the machine ends, milliseconds.
const GRACE_MS: i64 = 500;

struct Launcher {
    socket: OwnedFd,
    pid: libc::pid_t,
}

static LAUNCHER: Mutex<Option<Launcher>> = Mutex::new(None);

/// A program that was started; dropping it ends the program.
pub struct Program {
    life: Arc<OwnedFd>,
}

/// What has become of it.
#[derive(Debug)]
pub enum News {
    /// Nothing to tell.
    Running,
    /// The window that it watches has another size.
    WindowChanged,
    /// It could not be started.
    Failed(io::Error),
    Ended(ExitStatus),
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Forks the launcher. Before the first thread, after [`crate::signals::block`].
pub fn start() -> io::Result<()> {
    let (ours, its) = pair()?;
    // SAFETY: there are no other threads yet, so the child may do what it wants; it never returns from here.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            serve(its)
        }
        pid => {
            let launcher = Launcher { socket: ours, pid };
            *LAUNCHER.lock().expect("nothing panics with it held") = Some(launcher);
            Ok(())
        }
    }
}

/// Ends all programs and the launcher, and waits for it.
pub fn dismiss() {
    let launcher = LAUNCHER.lock().expect("nothing panics with it held").take();
    if let Some(launcher) = launcher {
        drop(launcher.socket);
        // SAFETY: waits for our own child; a null status is allowed.
        unsafe {
            while libc::waitpid(launcher.pid, std::ptr::null_mut(), 0) < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

fn request(kind: u8, words: &[&OsStr], extra: Option<BorrowedFd<'_>>) -> io::Result<Program> {
    let launcher = LAUNCHER.lock().expect("nothing panics with it held");
    let launcher = launcher.as_ref().ok_or(Errno::NOSYS)?;
    let (ours, its) = pair()?;
    let mut text = vec![kind];
    for word in words {
        text.extend(word.as_bytes());
        text.push(0);
    }
    if text.len() > REQUEST {
        return Err(Errno::TOOBIG.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(its.as_fd()).chain(extra).collect();
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let text = [IoSlice::new(&text)];
    sendmsg(&launcher.socket, &text, &mut control, SendFlags::NOSIGNAL)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok(Program {
        life: Arc::new(ours),
    })
}

/// Starts `words[0]`, looked for in PATH, with standard error as ours and nothing to read. ENOSYS without a launcher.
pub fn spawn(words: &[&OsStr]) -> io::Result<Program> {
    request(START, words, None)
}

/// Watches the size of a terminal's window, which must be nobody's controlling terminal. ENOSYS without a launcher.
pub fn watch_window(terminal: BorrowedFd<'_>) -> io::Result<Program> {
    request(WATCH, &[], Some(terminal))
}

impl Program {
    /// Readable when there is [`news`](Self::news).
    pub fn life(&self) -> &Arc<OwnedFd> {
        &self.life
    }

    /// What has happened, one thing at a time. Never blocks.
    pub fn news(&self) -> News {
        let mut message = [0; 5];
        match rustix::net::recv(&self.life, &mut message, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => News::Running,
            Ok((5, _)) => {
                let number = i32::from_ne_bytes([message[1], message[2], message[3], message[4]]);
                match message[0] {
                    FAILED => News::Failed(io::Error::from_raw_os_error(number)),
                    CHANGED => News::WindowChanged,
                    _ => News::Ended(ExitStatus::from_raw(number)),
                }
            }
            // The launcher itself was killed.
            _ => News::Ended(ExitStatus::from_raw(libc::SIGKILL)),
        }
    }
}

fn tell(life: &OwnedFd, what: u8, number: i32) -> bool {
    let n = number.to_ne_bytes();
    let message = [what, n[0], n[1], n[2], n[3]];
    rustix::net::send(life, &message, SendFlags::NOSIGNAL).is_ok()
}

struct Running {
    pid: libc::pid_t,
    life: OwnedFd,
    told_to_end: bool,
}

/// The launcher's life.
fn serve(socket: OwnedFd) -> ! {
    let children = become_launcher(&socket);
    let mut running: Vec<Running> = Vec::new();
    loop {
        let mut watched = vec![
            PollFd::new(&socket, PollFlags::IN),
            PollFd::new(&children, PollFlags::IN),
        ];
        let lives = running.iter().filter(|r| !r.told_to_end);
        watched.extend(lives.map(|r| PollFd::new(&r.life, PollFlags::empty())));
        if poll(&mut watched, None).is_err() {
            continue;
        }
        let (asked, ended) = (watched[0].revents(), watched[1].revents());
        if !ended.is_empty() {
            drain(&children);
        }
        reap(&mut running);
        for r in running.iter_mut().filter(|r| !r.told_to_end) {
            let mut life = [PollFd::new(&r.life, PollFlags::empty())];
            let now = rustix::event::Timespec::default();
            if poll(&mut life, Some(&now)).is_ok_and(|n| n > 0) {
                r.told_to_end = true;
                kill_group(r.pid, libc::SIGTERM);
            }
        }
        if !asked.is_empty() && !serve_one(&socket, &mut running) {
            end_all(&children);
        }
    }
}

fn drain(signals: &OwnedFd) {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(signals, &mut info).is_ok() {}
}

/// False when the kernel process is gone.
fn serve_one(socket: &OwnedFd, running: &mut Vec<Running>) -> bool {
    let mut text = [0; REQUEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = match recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut text)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    ) {
        Err(Errno::INTR | Errno::AGAIN) => return true,
        Ok(got) if got.bytes > 0 => got.bytes,
        _ => return false,
    };
    let mut fds = control
        .drain()
        .filter_map(|m| match m {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten();
    let Some(life) = fds.next() else { return true };
    let started = match (text[0], fds.next()) {
        (START, _) => program(&text[1..got]),
        (WATCH, Some(terminal)) => window_watcher(&terminal, &life),
        _ => Err(Errno::INVAL.into()),
    };
    match started {
        Ok(pid) => running.push(Running {
            pid,
            life,
            told_to_end: false,
        }),
        Err(e) => {
            // Whoever asked may be gone again.
            let _gone = tell(&life, FAILED, e.raw_os_error().unwrap_or(libc::EIO));
        }
    }
    true
}

fn program(text: &[u8]) -> io::Result<libc::pid_t> {
    let mut words = text.split(|b| *b == 0).map(OsStr::from_bytes);
    let mut command = Command::new(words.next().unwrap_or_default());
    let mut arguments: Vec<&OsStr> = words.collect();
    // What stands behind the last NUL.
    arguments.pop();
    command.args(arguments).process_group(0);
    let launcher = std::process::id();
    // SAFETY: the closure makes only async-signal-safe calls.
    unsafe { command.pre_exec(move || in_child(launcher)) };
    Ok(command.spawn()?.id() as libc::pid_t)
}

/// Between fork and exec. Async-signal-safe.
fn in_child(launcher: u32) -> io::Result<()> {
    crate::signals::unblock_in_child()?;
    die_with(launcher);
    Ok(())
}

fn die_with(launcher: u32) {
    // SAFETY: plain calls on the own process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != launcher as libc::pid_t {
            libc::_exit(1);
        }
    }
}

/// A process whose controlling terminal is `terminal`, so that the host tells it of changes of the window.
fn window_watcher(terminal: &OwnedFd, life: &OwnedFd) -> io::Result<libc::pid_t> {
    let launcher = std::process::id();
    // SAFETY: the launcher has one thread; the child only makes plain calls on descriptors it owns, and never returns.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => unsafe {
            die_with(launcher);
            let mut wanted = std::mem::zeroed();
            libc::sigemptyset(&mut wanted);
            libc::sigaddset(&mut wanted, libc::SIGWINCH);
            libc::sigaddset(&mut wanted, libc::SIGHUP);
            libc::sigaddset(&mut wanted, libc::SIGTERM);
            libc::sigprocmask(libc::SIG_BLOCK, &wanted, std::ptr::null_mut());
            libc::setsid();
            // It may have changed since the terminal was opened.
            if libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) != 0 || !tell(life, CHANGED, 0)
            {
                libc::_exit(1);
            }
            loop {
                match libc::sigwaitinfo(&wanted, std::ptr::null_mut()) {
                    libc::SIGWINCH if tell(life, CHANGED, 0) => {}
                    -1 => {}
                    _ => libc::_exit(0),
                }
            }
        },
        pid => Ok(pid),
    }
}

fn kill_group(pid: libc::pid_t, signal: i32) {
    // SAFETY: signals to a child that has not been waited for, and to its group if it leads one.
    unsafe {
        if libc::kill(-pid, signal) != 0 {
            libc::kill(pid, signal);
        }
    }
}

/// Waits for everything that has ended: programs, and what they left behind, which the host hands to us.
fn reap(running: &mut Vec<Running>) {
    loop {
        let mut status = 0;
        // SAFETY: waits for any child without blocking.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid <= 0 {
            return;
        }
        if let Some(at) = running.iter().position(|r| r.pid == pid) {
            let _gone = tell(&running.swap_remove(at).life, ENDED, status);
        }
    }
}

/// Our children, by the host's list.
fn listed_children() -> Vec<libc::pid_t> {
    let own = std::process::id();
    let list = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
    list.unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn end_all(children: &OwnedFd) -> ! {
    listed_children()
        .iter()
        .for_each(|pid| kill_group(*pid, libc::SIGTERM));
    let mut patience = GRACE_MS;
    let mut none = Vec::new();
    while !listed_children().is_empty() && patience > 0 {
        let step = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        patience -= 20;
        let mut watched = [PollFd::new(children, PollFlags::IN)];
        // A timeout is as good: the list is looked at again.
        let _either = poll(&mut watched, Some(&step));
        drain(children);
        reap(&mut none);
    }
    loop {
        let left = listed_children();
        if left.is_empty() {
            // SAFETY: ends the process without running what the parent registered for its exit.
            unsafe { libc::_exit(0) }
        }
        left.iter().for_each(|pid| kill_group(*pid, libc::SIGKILL));
        // SAFETY: waits for any child; a null status is allowed.
        unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
    }
}

/// Leaves the terminal's session, keeps only the socket and standard error; gives a descriptor that tells of children's ends.
fn become_launcher(socket: &OwnedFd) -> OwnedFd {
    apart::set_apart(c"umlaut-launcher", 3, socket);
    // SAFETY: plain calls on the own process, whose standard input and output nobody uses; the signalfd is new.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        libc::dup2(null, 0);
        libc::dup2(null, 1);
        libc::close(null);
        let mut ends = std::mem::zeroed();
        libc::sigemptyset(&mut ends);
        libc::sigaddset(&mut ends, libc::SIGCHLD);
        let fd = libc::signalfd(-1, &ends, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        assert!(fd >= 0, "a signalfd");
        OwnedFd::from_raw_fd(fd)
    }
}
