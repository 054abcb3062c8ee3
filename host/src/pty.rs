//! Pseudo terminals of the host, seen from the master's side.

use crate::descriptor::{Descriptor, Kind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The master's side, nonblocking, and the path of the terminal that others open.
pub struct Master {
    pub descriptor: Descriptor,
    pub slave: String,
}

fn master(fd: OwnedFd, slave: String) -> Master {
    Master {
        descriptor: Descriptor {
            fd: Arc::new(fd),
            kind: Kind::Nonblocking,
        },
        slave,
    }
}

/// A new pair by way of /dev/ptmx.
pub fn unix98() -> io::Result<Master> {
    let fd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&fd)?;
    unlockpt(&fd)?;
    let name = ptsname(&fd, Vec::new())?;
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(master(fd, name.to_string_lossy().into_owned()))
}

/// The first free pair of the BSD kind, /dev/ptyp0 and up. ENOENT where there is none.
pub fn bsd() -> io::Result<Master> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for bank in 'p'..='s' {
        for place in "0123456789abcdef".chars() {
            let slave = format!("/dev/tty{bank}{place}");
            match rustix::fs::open(format!("/dev/pty{bank}{place}"), flags, Mode::empty()) {
                Ok(fd) if rustix::fs::access(&slave, both_ways()).is_ok() => {
                    return Ok(master(fd, slave));
                }
                // Banks are complete: where the first is missing, all are.
                Err(Errno::NOENT) if place == '0' => break,
                _ => {}
            }
        }
    }
    Err(Errno::NOENT.into())
}

fn both_ways() -> rustix::fs::Access {
    rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK
}

/// Makes a terminal raw for as long as it lives: bytes pass both ways as they are. By either side of a pair.
pub fn make_raw(fd: impl AsFd) -> io::Result<()> {
    let mut settings = tcgetattr(&fd)?;
    settings.make_raw();
    tcsetattr(&fd, OptionalActions::Now, &settings)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_passes_bytes_as_they_are() {
        let pair = unix98().unwrap();
        make_raw(&pair.descriptor.fd).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let slave = rustix::fs::open(&pair.slave, flags, Mode::empty()).unwrap();
        pair.descriptor.write(b"\x03a\n").unwrap();
        let mut got = [0; 8];
        let n = rustix::io::read(&slave, &mut got).unwrap();
        assert_eq!(&got[..n], b"\x03a\n");
        rustix::io::write(&slave, b"x\n").unwrap();
        assert_eq!(pair.descriptor.read(&mut got).unwrap(), Some(2));
        assert_eq!(&got[..2], b"x\n");
    }
}
