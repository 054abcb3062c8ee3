//! The socket: who may ask, and answers that wait for their readers without holding up anybody.
//!
//! Replies are sent without blocking. The host queues some ten datagrams for a receiver; what doesn't fit waits here and is tried
//! again, in order, until the receiver has taken nothing for [`PATIENCE`].

use super::command::{self, Answer};
use mconsole::{BadRequest, MAX_DATAGRAM, Request, VERSION_0_ANSWER, replies};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrAny,
    SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a receiver may take nothing before the rest of its answers is dropped.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries, in nanoseconds: the host tells nobody when a receiver has room again.
const RETRY_NS: i64 = 2_000_000;
/// Bytes and receivers that may wait; beyond that an answer is lost.
const WAITING_BYTES: usize = 4 << 20;
const WAITING_RECEIVERS: usize = 64;

/// Datagrams for one receiver.
struct Outbox {
    to: SocketAddrAny,
    datagrams: VecDeque<Vec<u8>>,
    progress: Instant,
}

struct Server {
    socket: OwnedFd,
    uid: u32,
    outboxes: Vec<Outbox>,
}

/// Binds the socket, for the owner only, and starts the thread.
pub fn start(path: &Path) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    // The name gets the socket's own mode, so there is no moment at which others could connect.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    sockopt::set_socket_passcred(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    let mut server = Server {
        socket,
        uid: rustix::process::geteuid().as_raw(),
        outboxes: Vec::new(),
    };
    std::thread::Builder::new()
        .name("mconsole".into())
        .stack_size(1 << 20)
        .spawn(move || server.run())?;
    Ok(())
}

/// What came in one datagram.
struct Received {
    len: usize,
    from: Option<SocketAddrAny>,
    uid: Option<u32>,
}

impl Server {
    fn run(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            self.wait();
            self.flush();
            while let Some(received) = self.receive(&mut buffer) {
                self.answer(&buffer[..received.len], &received);
            }
        }
    }

    fn wait(&self) {
        let retry = Timespec {
            tv_sec: 0,
            tv_nsec: RETRY_NS,
        };
        let timeout = (!self.outboxes.is_empty()).then_some(&retry);
        // Whatever woke it, the socket is looked at.
        let _woken = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], timeout);
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<Received> {
        // No room for descriptors: the host drops those that come.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let got = match got {
            Ok(got) => got,
            Err(_) => return None,
        };
        let uid = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.uid.as_raw()),
            _ => None,
        });
        Some(Received {
            len: got.bytes,
            from: got.address,
            uid,
        })
    }

    fn answer(&mut self, datagram: &[u8], received: &Received) {
        let from = received.from.as_ref();
        if received.uid != Some(self.uid) && received.uid != Some(0) {
            let text = b"Permission denied: only the machine's owner may";
            let eperm = -Errno::PERM.raw_os_error();
            self.send(from, encode(&Answer::text(eperm, text.as_slice())));
            return;
        }
        match Request::parse(datagram) {
            Ok(request) => {
                let answer = command::run(request.command);
                self.send(from, encode(&answer));
                if let Some(then) = answer.then {
                    then();
                }
            }
            Err(BadRequest::NoMagic) => self.send(from, vec![VERSION_0_ANSWER.to_vec()]),
            Err(bad) => self.send(from, encode(&Answer::text(1, bad.to_string()))),
        }
    }

    /// Sends or queues; without an address there is nobody to answer.
    fn send(&mut self, to: Option<&SocketAddrAny>, datagrams: Vec<Vec<u8>>) {
        let Some(to) = to.filter(|to| to.addr_len() > 2) else {
            return;
        };
        let waiting: usize = self
            .outboxes
            .iter()
            .flat_map(|o| &o.datagrams)
            .map(Vec::len)
            .sum();
        if waiting >= WAITING_BYTES {
            return;
        }
        let receivers = self.outboxes.len();
        match self.outboxes.iter_mut().find(|outbox| outbox.to == *to) {
            Some(outbox) => outbox.datagrams.extend(datagrams),
            None if receivers < WAITING_RECEIVERS => self.outboxes.push(Outbox {
                to: to.clone(),
                datagrams: datagrams.into(),
                progress: Instant::now(),
            }),
            None => return,
        }
        self.flush();
    }

    fn flush(&mut self) {
        let socket = &self.socket;
        self.outboxes.retain_mut(|outbox| outbox.flush(socket));
    }
}

impl Outbox {
    /// Sends what the receiver takes; false when nothing is left to do.
    fn flush(&mut self, socket: &OwnedFd) -> bool {
        while let Some(datagram) = self.datagrams.front() {
            match rustix::net::sendto(socket, datagram, SendFlags::NOSIGNAL, &self.to) {
                Ok(_) => {
                    self.datagrams.pop_front();
                    self.progress = Instant::now();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => {
                    return self.progress.elapsed() < PATIENCE;
                }
                // The receiver is gone.
                Err(_) => return false,
            }
        }
        false
    }
}

fn encode(answer: &Answer) -> Vec<Vec<u8>> {
    let packets = answer
        .parts
        .iter()
        .flat_map(|part| replies(part.err, &part.text, part.more));
    packets.map(|packet| packet.encode()).collect()
}
