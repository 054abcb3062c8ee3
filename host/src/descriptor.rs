//! Descriptors that the command line names by number, opened anew where possible.
//!
//! O_NONBLOCK belongs to the open file description, which the user's shell shares with us: setting it there would break the
//! shell. A terminal or a pipe opened once more through /proc/self/fd is a description of our own.

use rustix::fs::{FileType, Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The descriptors that we were started with.
static INHERITED: OnceLock<Vec<RawFd>> = OnceLock::new();

/// Notes which descriptors the user has given us: no others can be had by number. First thing in `main`.
pub fn note_inherited() {
    let list = std::fs::read_dir("/proc/self/fd").map(|dir| {
        dir.flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|fd| is_kept(*fd))
            .collect()
    });
    // Without /proc: what everybody has.
    let _first = INHERITED.set(list.unwrap_or_else(|_| vec![0, 1, 2]));
}

/// Whether it came through exec: what we open ourselves (the directory of descriptors too) would not.
fn is_kept(fd: RawFd) -> bool {
    // SAFETY: fcntl takes any number.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// What kind of descriptor it is, which decides how to read and write without blocking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Of our own and nonblocking: pipe or terminal.
    Nonblocking,
    /// Shared and blocking; calls say MSG_DONTWAIT.
    Socket,
    /// Regular file, /dev/null: never waits long.
    Plain,
    /// A pipe or terminal that can't be opened anew (another user's): needs a thread that may block.
    Blocking,
}

/// A descriptor to read from or to write to.
pub struct Descriptor {
    pub fd: Arc<OwnedFd>,
    pub kind: Kind,
}

/// Which way data go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    In,
    Out,
}

/// Takes descriptor `number` of this process. EBADF when it isn't open, or not in this direction.
pub fn by_number(number: RawFd, direction: Direction) -> io::Result<Descriptor> {
    if INHERITED.get().is_some_and(|all| !all.contains(&number)) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: fcntl takes any number, and fails with EBADF when it is not open.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let refused = match direction {
        Direction::In => libc::O_WRONLY,
        Direction::Out => libc::O_RDONLY,
    };
    if flags & libc::O_ACCMODE == refused {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is open, and stays so: descriptors given on the command line are never closed.
    let shared = unsafe { BorrowedFd::borrow_raw(number) };
    open_anew(shared, direction)
}

/// Whether `number` is one of the user's descriptors and a terminal.
pub fn is_terminal(number: RawFd) -> bool {
    let ours = INHERITED.get().is_none_or(|all| all.contains(&number));
    // SAFETY: isatty takes any number.
    ours && unsafe { libc::isatty(number) == 1 }
}

/// Opens the terminal at `path` for a direction, or for both. ENOTTY.
pub fn terminal(path: &Path, direction: Option<Direction>) -> io::Result<Descriptor> {
    let access = match direction {
        Some(Direction::In) => OFlags::RDONLY,
        Some(Direction::Out) => OFlags::WRONLY,
        None => OFlags::RDWR,
    };
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    if !rustix::termios::isatty(&fd) {
        return Err(io::Error::from_raw_os_error(libc::ENOTTY));
    }
    Ok(Descriptor {
        fd: Arc::new(fd),
        kind: Kind::Nonblocking,
    })
}

/// Descriptor `number` of this process once more, closed on exec. EBADF when it isn't open.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number, and fails with EBADF when it is not open.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the host has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn open_anew(shared: BorrowedFd<'_>, direction: Direction) -> io::Result<Descriptor> {
    let stat = rustix::fs::fstat(shared)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let keep = |kind| -> io::Result<Descriptor> {
        let fd = rustix::io::fcntl_dupfd_cloexec(shared, 3)?;
        Ok(Descriptor {
            fd: Arc::new(fd),
            kind,
        })
    };
    match kind {
        FileType::Socket => return keep(Kind::Socket),
        FileType::Fifo => {}
        FileType::CharacterDevice if rustix::termios::isatty(shared) => {}
        _ => return keep(Kind::Plain),
    }
    let access = match direction {
        Direction::In => OFlags::RDONLY,
        Direction::Out => OFlags::WRONLY,
    };
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&shared));
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(Descriptor {
            fd: Arc::new(fd),
            kind: Kind::Nonblocking,
        }),
        Err(_) => keep(Kind::Blocking),
    }
}

/// The same open file by another number: the event loop watches a number once.
pub fn duplicate(fd: &OwnedFd) -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(rustix::io::fcntl_dupfd_cloexec(fd, 3)?))
}

/// Something that wakes [`Descriptor::wait`] for good, once written to.
pub fn waker() -> io::Result<OwnedFd> {
    let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
    Ok(rustix::event::eventfd(0, flags)?)
}

/// Wakes whoever waits with `waker`.
pub fn wake(waker: &OwnedFd) {
    // A full counter wakes as well.
    let _full = rustix::io::write(waker, &1u64.to_ne_bytes());
}

impl Descriptor {
    /// Of our own, nonblocking from now on.
    pub fn nonblocking(fd: OwnedFd) -> io::Result<Descriptor> {
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        Ok(Descriptor {
            fd: Arc::new(fd),
            kind: Kind::Nonblocking,
        })
    }

    /// Whether the event loop can watch it.
    pub fn is_watchable(&self) -> bool {
        matches!(self.kind, Kind::Nonblocking | Kind::Socket)
    }

    /// Waits until it can be read or written, or `wake` is readable. For threads of [`Kind::Blocking`].
    pub fn wait(&self, direction: Direction, wake: &OwnedFd) {
        use rustix::event::{PollFd, PollFlags, poll};
        let flags = match direction {
            Direction::In => PollFlags::IN,
            Direction::Out => PollFlags::OUT,
        };
        let mut watched = [
            PollFd::new(&self.fd, flags),
            PollFd::new(wake, PollFlags::IN),
        ];
        // Whatever it says, the caller looks.
        let _either = poll(&mut watched, None);
    }

    /// Reads what is there. `Ok(None)`: nothing now; `Ok(Some(0))`: the end.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let result = match self.kind {
            Kind::Socket => {
                rustix::net::recv(&self.fd, &mut *buf, rustix::net::RecvFlags::DONTWAIT)
                    .map(|(n, _)| n)
            }
            _ => rustix::io::read(&self.fd, buf),
        };
        settle(result)
    }

    /// Writes what has room. `Ok(None)`: none now.
    pub fn write(&self, buf: &[u8]) -> io::Result<Option<usize>> {
        let result = match self.kind {
            Kind::Socket => {
                let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
                rustix::net::send(&self.fd, buf, flags)
            }
            _ => rustix::io::write(&self.fd, buf),
        };
        settle(result)
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn settle(result: rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
