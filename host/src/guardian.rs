//! The guardian: a tiny process that gives terminals their attributes back when the kernel process dies, whatever way.
//!
//! It is forked before threads exist, in a session of its own so that no terminal's signals reach it, and holds nothing but
//! its end of a socket and the terminals it was given. End of file on the socket is the death of the kernel process. A terminal
//! is only restored while it still has the attributes that we gave it: whoever took it over since has set his own.

use crate::apart;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::Mutex;

/// Terminals that it guards at most.
const TERMINALS: usize = 64;

struct Guardian {
    socket: OwnedFd,
    pid: libc::pid_t,
}

static GUARDIAN: Mutex<Option<Guardian>> = Mutex::new(None);

/// Attributes as the C library has them.
#[derive(Clone, Copy)]
pub struct Attributes(libc::termios);

impl Attributes {
    /// Of terminal `fd`. ENOTTY.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Attributes> {
        // SAFETY: termios is plain data; tcgetattr fills it or fails.
        unsafe {
            let mut value = std::mem::zeroed();
            if libc::tcgetattr(fd.as_raw_fd(), &mut value) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Attributes(value))
        }
    }

    /// Gives them to terminal `fd`, at once.
    pub fn apply(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the struct was filled by tcgetattr.
        match unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &self.0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The raw mode that goes with them: bytes pass both ways as they are.
    pub fn raw(&self) -> Attributes {
        let mut value = self.0;
        // SAFETY: changes fields of an initialised struct.
        unsafe { libc::cfmakeraw(&mut value) };
        Attributes(value)
    }

    /// Whether both mean the same mode.
    pub fn same(&self, other: &Attributes) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a.c_iflag, a.c_oflag, a.c_cflag, a.c_lflag) == (b.c_iflag, b.c_oflag, b.c_cflag, b.c_lflag)
            && a.c_cc == b.c_cc
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: termios is plain data without padding that matters: it is only read back by our own child.
        unsafe {
            std::slice::from_raw_parts(
                std::ptr::from_ref(&self.0).cast(),
                size_of::<libc::termios>(),
            )
        }
    }

    fn from_bytes(bytes: &[u8]) -> Attributes {
        assert_eq!(bytes.len(), size_of::<libc::termios>());
        // SAFETY: the length is that of the plain-data struct, any content of which is valid.
        Attributes(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
    }
}

/// Forks the guardian. Before the first thread.
pub fn start() -> io::Result<()> {
    let (ours, its) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: there are no other threads yet, so the child may do what it wants; it never returns from here.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            guard(&its)
        }
        pid => {
            let guardian = Guardian { socket: ours, pid };
            *GUARDIAN.lock().expect("nothing panics with it held") = Some(guardian);
            Ok(())
        }
    }
}

/// Entrusts a terminal: at our death it goes from attributes `ours` back to `saved`. Nothing without a guardian.
pub fn watch(fd: BorrowedFd<'_>, saved: &Attributes, ours: &Attributes) {
    let guardian = GUARDIAN.lock().expect("nothing panics with it held");
    if let Some(guardian) = &*guardian {
        let message = [IoSlice::new(saved.bytes()), IoSlice::new(ours.bytes())];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        // A guardian that was killed guards no more.
        let _gone = sendmsg(
            &guardian.socket,
            &message,
            &mut control,
            SendFlags::NOSIGNAL,
        );
    }
}

/// The terminal with this device number has its attributes back: the guardian lets go of it. Nothing without a guardian.
pub fn forget(device: u64) {
    let guardian = GUARDIAN.lock().expect("nothing panics with it held");
    if let Some(guardian) = &*guardian {
        let message = device.to_ne_bytes();
        // As above.
        let _gone = rustix::net::send(&guardian.socket, &message, SendFlags::NOSIGNAL);
    }
}

/// All terminals are restored: the guardian ends, and is waited for.
pub fn dismiss() {
    let guardian = GUARDIAN.lock().expect("nothing panics with it held").take();
    if let Some(guardian) = guardian {
        // When it is gone already there is nobody to tell.
        let _gone = rustix::net::send(&guardian.socket, b"q", SendFlags::NOSIGNAL);
        drop(guardian.socket);
        // SAFETY: waits for our own child; a null status is allowed.
        unsafe {
            while libc::waitpid(guardian.pid, std::ptr::null_mut(), 0) < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

/// The guardian's life.
fn guard(socket: &OwnedFd) -> ! {
    become_guardian(socket);
    let mut terminals: Vec<(OwnedFd, Attributes, Attributes)> = Vec::with_capacity(TERMINALS);
    let size = size_of::<libc::termios>();
    let mut message = [0u8; 2 * size_of::<libc::termios>()];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut message)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        match received {
            Err(rustix::io::Errno::INTR) => {}
            Ok(got) if got.bytes == 2 * size => {
                let fd = control.drain().find_map(|m| match m {
                    RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                    _ => None,
                });
                if let (Some(fd), true) = (fd, terminals.len() < TERMINALS) {
                    terminals.retain(|(old, ..)| device(old) != device(&fd));
                    let saved = Attributes::from_bytes(&message[..size]);
                    let ours = Attributes::from_bytes(&message[size..]);
                    terminals.push((fd, saved, ours));
                }
            }
            Ok(got) if got.bytes == size_of::<u64>() => {
                let mut number = [0; size_of::<u64>()];
                number.copy_from_slice(&message[..size_of::<u64>()]);
                terminals.retain(|(fd, ..)| device(fd) != Some(u64::from_ne_bytes(number)));
            }
            Ok(got) if got.bytes == 1 => break,
            _ => {
                for (fd, saved, ours) in &terminals {
                    if Attributes::of(fd.as_fd()).is_ok_and(|now| now.same(ours)) {
                        // The terminal may be gone as well.
                        let _gone = saved.apply(fd.as_fd());
                    }
                }
                break;
            }
        }
    }
    // SAFETY: ends the process without running what the parent registered for its exit.
    unsafe { libc::_exit(0) }
}

fn device(fd: &OwnedFd) -> Option<u64> {
    rustix::fs::fstat(fd).ok().map(|stat| stat.st_rdev)
}

fn become_guardian(socket: &OwnedFd) {
    apart::set_apart(c"umlaut-guardian", 0, socket);
    // SAFETY: a plain call on the own process.
    unsafe {
        libc::chdir(c"/".as_ptr());
    }
}
