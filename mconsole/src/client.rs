//! A client: one request at a time, and the packets of its reply within a bounded wait.

use crate::packet::{MAX_DATAGRAM, Packet, Request};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// How long to wait for a packet, where nothing asks for another time.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A whole reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// 0, 1 or a negative errno.
    pub err: i32,
    /// The texts of all packets, one after the other.
    pub text: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum Failure {
    /// The machine can't be reached.
    Unreachable(io::Error),
    /// No packet came in time; with what came before.
    Silent(Vec<u8>),
    /// What came is no reply.
    Malformed,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable(e) => f.write_str(&plain(e)),
            Failure::Silent(_) => f.write_str("no (complete) answer in time"),
            Failure::Malformed => f.write_str("the answer is no management console's"),
        }
    }
}

/// A host error as programs in C print it, without the number that `std` puts behind.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl std::error::Error for Failure {}

/// A socket with a name that the machine can answer to, which takes packets from that machine only. A machine that starts
/// again needs a new one.
pub struct Client(UnixDatagram);

impl Client {
    /// Connects to the management console at `socket`.
    pub fn connect(socket: &Path) -> io::Result<Client> {
        let fd = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        // Linux gives it an abstract name: unix(7), autobind.
        rustix::net::bind(&fd, &SocketAddrUnix::new_unnamed())?;
        let socket_fd = UnixDatagram::from(fd);
        socket_fd.connect(socket)?;
        Ok(Client(socket_fd))
    }

    /// Sends a command and gathers the reply, waiting for each packet at most `patience`.
    pub fn request(&self, command: &[u8], patience: Duration) -> Result<Reply, Failure> {
        self.send(command, &[])?;
        self.gather(patience, |_| {})
    }

    /// As [`request`](Self::request), handing over descriptors with the command, and `each` packet as it comes.
    pub fn request_with(
        &self,
        command: &[u8],
        fds: &[BorrowedFd<'_>],
        patience: Duration,
        each: impl FnMut(&Packet),
    ) -> Result<Reply, Failure> {
        self.send(command, fds)?;
        self.gather(patience, each)
    }

    fn send(&self, command: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Failure> {
        // What is left of an earlier reply is none to this command.
        let mut stale = [0; MAX_DATAGRAM];
        self.set_blocking(false)?;
        while self.0.recv(&mut stale).is_ok() {}
        self.set_blocking(true)?;
        let datagram = Request { command }.encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Failure::Unreachable(
                io::ErrorKind::ArgumentListTooLong.into(),
            ));
        }
        rustix::net::sendmsg(
            &self.0,
            &[IoSlice::new(&datagram)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .map_err(|e| Failure::Unreachable(e.into()))?;
        Ok(())
    }

    fn set_blocking(&self, blocking: bool) -> Result<(), Failure> {
        self.0
            .set_nonblocking(!blocking)
            .map_err(Failure::Unreachable)
    }

    fn gather(&self, patience: Duration, mut each: impl FnMut(&Packet)) -> Result<Reply, Failure> {
        let patience = patience.max(Duration::from_millis(1));
        self.0
            .set_read_timeout(Some(patience))
            .map_err(Failure::Unreachable)?;
        let mut reply: Option<Reply> = None;
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            let got = match self.0.recv(&mut buffer) {
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Failure::Silent(reply.map_or_else(Vec::new, |r| r.text)));
                }
                Err(e) => return Err(Failure::Unreachable(e)),
            };
            let packet = Packet::parse(&buffer[..got]).map_err(|_| Failure::Malformed)?;
            each(&packet);
            let so_far = reply.get_or_insert_with(|| Reply {
                err: packet.err,
                text: Vec::new(),
            });
            so_far.text.extend(&packet.text);
            if !packet.more {
                break;
            }
        }
        reply.ok_or(Failure::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::replies;
    use std::path::PathBuf;

    fn server(name: &str, answer: impl Fn(&[u8]) -> Vec<Packet> + Send + 'static) -> PathBuf {
        let path = std::env::temp_dir().join(format!("mconsole-{name}-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; MAX_DATAGRAM];
            while let Ok((got, from)) = socket.recv_from(&mut buffer) {
                let command = Request::parse(&buffer[..got]).unwrap().command.to_vec();
                for packet in answer(&command) {
                    socket.send_to_addr(&packet.encode(), &from).unwrap();
                }
            }
        });
        path
    }

    #[test]
    fn gathers_a_reply_and_waits_in_bounds() {
        let path = server("client", |command| match command {
            b"silence" => Vec::new(),
            b"half" => replies(0, b"half", true),
            _ => replies(-16, &[b'x'; 600], false),
        });
        let client = Client::connect(&path).unwrap();
        let mut packets = 0;
        let reply = client
            .request_with(b"long", &[], PATIENCE, |_| packets += 1)
            .unwrap();
        assert_eq!((reply.err, reply.text.len(), packets), (-16, 600, 2));
        let short = Duration::from_millis(20);
        assert!(
            matches!(client.request(b"silence", short), Err(Failure::Silent(text)) if text.is_empty())
        );
        assert!(
            matches!(client.request(b"half", short), Err(Failure::Silent(text)) if text == b"half")
        );
        assert_eq!(client.request(b"long", PATIENCE).unwrap().err, -16);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn nobody_there() {
        let refused = Client::connect(Path::new("/nonexistent/mconsole"));
        assert_eq!(
            refused.err().map(|e| e.kind()),
            Some(io::ErrorKind::NotFound)
        );
    }
}
