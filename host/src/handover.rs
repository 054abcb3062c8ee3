//! A terminal handed from process to process through a Unix socket: what `port-helper` does, and what waits for it.
//!
//! A message is the sender's process number (four bytes) with one descriptor. The number is believed only when the host
//! confirms it, and only messages of our own user count: the sender is killed later.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recvmsg,
    sendmsg, socket_with, sockopt,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A datagram socket with a name in the file system, which goes when this is dropped.
pub struct Receiver {
    pub fd: Arc<OwnedFd>,
    path: PathBuf,
}

/// What came.
pub struct Handed {
    pub fd: OwnedFd,
    pub sender: Option<Sender>,
}

/// The process that handed a descriptor over and stays for it; dropping this ends it.
pub struct Sender {
    pid: OwnedFd,
}

impl Drop for Sender {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = pidfd_send_signal(&self.pid, Signal::KILL);
    }
}

impl Receiver {
    /// Binds `<prefix>` and six letters, for our own user only.
    pub fn bind(prefix: &str) -> io::Result<Receiver> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_passcred(&fd, true)?;
        // The mode of the socket becomes that of its name.
        rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
        for _ in 0..32 {
            let path = PathBuf::from(format!("{prefix}{}", letters()?));
            match bind(&fd, &SocketAddrUnix::new(&path)?) {
                Ok(()) => {
                    let mut bound = BOUND.lock().expect("nothing panics with it held");
                    bound.push(path.clone());
                    return Ok(Receiver {
                        fd: Arc::new(fd),
                        path,
                    });
                }
                Err(Errno::ADDRINUSE) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next descriptor. `Ok(None)`: none now, or what came was no such message.
    pub fn receive(&self) -> io::Result<Option<Handed>> {
        let mut payload = [0; 4];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = match recvmsg(
            &self.fd,
            &mut [IoSliceMut::new(&mut payload)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        ) {
            Ok(got) => got.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let (mut fd, mut credentials) = (None, None);
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fd = fds.next(),
                RecvAncillaryMessage::ScmCredentials(who) => credentials = Some(who),
                _ => {}
            }
        }
        let (Some(fd), Some(who), 4) = (fd, credentials, got) else {
            return Ok(None);
        };
        if who.uid != rustix::process::geteuid() && !who.uid.is_root() {
            return Ok(None);
        }
        let said = i32::from_ne_bytes(payload);
        let confirmed = Pid::from_raw(said).filter(|pid| *pid == who.pid);
        let sender = confirmed
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .map(|pid| Sender { pid });
        Ok(Some(Handed { fd, sender }))
    }
}

/// Names that are bound now: a process that ends without dropping everything takes them away itself.
static BOUND: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the names of all receivers. At the end of the process.
pub fn unbind_all() {
    for path in BOUND.lock().expect("nothing panics with it held").drain(..) {
        let _gone = std::fs::remove_file(path);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut bound = BOUND.lock().expect("nothing panics with it held");
        bound.retain(|path| *path != self.path);
        // Somebody may have tidied up before us.
        let _gone = std::fs::remove_file(&self.path);
    }
}

fn letters() -> io::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()]))
        .collect())
}

/// A socket joined to the receiver at `path`; ours is named by NUL and our process number in five columns.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let own = format!("{:5}", std::process::id());
    bind(&fd, &SocketAddrUnix::new_abstract_name(own.as_bytes())?)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd)
}

/// Sends our process number and `fd` to the other end of `socket`.
pub fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let pid = (std::process::id() as i32).to_ne_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(
        socket,
        &[IoSlice::new(&pid)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Descriptor `number` of this process. EBADF when it isn't open.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number; a number that isn't open is refused by it before anything is borrowed.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and only borrowed for the time of this call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(borrowed, 3)?)
}

/// Gives up `fd` as the controlling terminal. ENOTTY when it isn't.
pub fn give_up_terminal(fd: impl AsFd) -> io::Result<()> {
    // SAFETY: TIOCNOTTY has no argument.
    match unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCNOTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Hang-ups no longer end this process.
pub fn ignore_hangups() {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
    }
}

/// Sleeps until terminal `fd` is hung up.
pub fn wait_for_hangup(fd: impl AsFd) {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        let mut watched = [PollFd::new(&fd, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().is_empty() => {}
            Err(Errno::INTR) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_goes_over_with_its_sender() {
        let receiver = Receiver::bind("/tmp/umlaut-handover-test").unwrap();
        let path = receiver.path().to_owned();
        assert!(receiver.receive().unwrap().is_none());
        let socket = connect(&path).unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        send(socket.as_fd(), write.as_fd()).unwrap();
        let mut handed = receiver.receive().unwrap().expect("a descriptor");
        // The sender is this very process: it must not be ended.
        std::mem::forget(handed.sender.take().expect("confirmed"));
        rustix::io::write(&handed.fd, b"x").unwrap();
        let mut byte = [0];
        assert_eq!(rustix::io::read(&read, &mut byte).unwrap(), 1);
        drop(receiver);
        assert!(!path.exists());
    }

    #[test]
    fn other_messages_are_nothing() {
        let receiver = Receiver::bind("/tmp/umlaut-handover-test").unwrap();
        let fd = socket_with(
            AddressFamily::UNIX,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        rustix::net::connect(&fd, &SocketAddrUnix::new(receiver.path()).unwrap()).unwrap();
        for text in [&b"abcd"[..], b"", b"TIOCNOTTY failed in port-helper"] {
            rustix::net::send(&fd, text, SendFlags::empty()).unwrap();
            assert!(receiver.receive().unwrap().is_none());
        }
    }
}
