//! The kernel process's own signals: blocked in all threads, taken by the event loop through a signalfd.
//!
//! [`block`] comes first in `main`, before any other thread: threads inherit the mask. Programs that are started from
//! here must get an empty mask back ([`unblock_in_child`]).

use crate::event::{EventLoop, Interest, Watch};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;

/// A signal that the machine answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Hang-up of the terminal.
    Hup,
    Int,
    Term,
    Quit,
    /// The user's terminal wants its job back.
    Stop,
    /// The job goes on in the foreground or the background.
    Continue,
    WindowChanged,
}

const ALL: [(i32, Signal); 7] = [
    (libc::SIGHUP, Signal::Hup),
    (libc::SIGINT, Signal::Int),
    (libc::SIGTERM, Signal::Term),
    (libc::SIGQUIT, Signal::Quit),
    (libc::SIGTSTP, Signal::Stop),
    (libc::SIGCONT, Signal::Continue),
    (libc::SIGWINCH, Signal::WindowChanged),
];

fn set() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data that sigemptyset initialises; the signal numbers are valid.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for (number, _) in ALL {
            libc::sigaddset(&mut set, number);
        }
        // A background job that sets its terminal's attributes does so instead of being stopped.
        libc::sigaddset(&mut set, libc::SIGTTOU);
        set
    }
}

/// Blocks the signals that [`handle`] answers, and SIGTTOU; ignores SIGPIPE. Before the first thread.
pub fn block() -> io::Result<()> {
    // SAFETY: the set is initialised; a null old set is allowed. SIG_IGN is a valid disposition.
    let result = unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set(), std::ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(result))
    }
}

/// In a child before exec: nothing blocked, SIGPIPE as usual. Async-signal-safe.
pub fn unblock_in_child() -> io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset; both calls are async-signal-safe.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
    Ok(())
}

/// Calls `handler`, on the loop's thread, for each signal that comes, until the watch is dropped. After [`block`].
pub fn handle(
    events: &EventLoop,
    mut handler: impl FnMut(Signal) + Send + 'static,
) -> io::Result<Watch> {
    let mask = set();
    // SAFETY: the set is initialised; -1 asks for a new descriptor, which nobody else owns.
    let fd = unsafe {
        let fd = libc::signalfd(-1, &mask, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Arc::new(OwnedFd::from_raw_fd(fd))
    };
    let from = fd.clone();
    events.watch(fd, Interest::READ, move |_| {
        while let Some(number) = next(&from) {
            if let Some((_, signal)) = ALL.iter().find(|(n, _)| *n == number) {
                handler(*signal);
            }
        }
        Interest::READ
    })
}

fn next(fd: &OwnedFd) -> Option<i32> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(fd, &mut info) {
        Ok(n) if n == info.len() => {
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            i32::try_from(number).ok()
        }
        _ => None,
    }
}

/// Stops this process, as SIGTSTP would have; returns when it is continued.
pub fn stop_self() {
    // SAFETY: sends a signal to the own process; SIGSTOP has no handler.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGSTOP);
    }
}
