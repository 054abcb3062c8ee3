//! Descriptors that the command line names by number, opened anew where possible.
//!
//! O_NONBLOCK belongs to the open file description, which the user's shell shares with us: setting it there would break the
//! shell. A terminal or a pipe opened once more through /proc/self/fd is a description of our own.

use rustix::fs::{FileType, Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

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

impl Descriptor {
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
