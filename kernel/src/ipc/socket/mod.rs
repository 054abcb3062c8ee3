//! Sockets: what is the same for all address families (net/socket.c, net/core/sock.c).
//!
//! A [`Socket`] is the open file; behind it a [`Protocol`] does the work. Families make themselves known with
//! [`register_family`]; Unix sockets are built in.

pub mod message;
pub mod options;
pub mod unix;

pub use message::{Incoming, Outgoing};
pub use options::Options;

use crate::error::{Result, err};
use crate::sync::{Deadline, Lock, PollTable, Rank, WaitQueue};
use crate::syscall::Context;
use crate::vfs::{self, File, FileOps, PollEvents, Sink, Source};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::net::{AF_MAX, AF_UNIX, MsgFlags, SOCK_PACKET, SOCK_SEQPACKET};
use std::any::Any;
use std::sync::Arc;

/// What one kind of socket does: Linux's `proto_ops`. Addresses are as programs give them, family first.
pub trait Protocol: Send + Sync + Any {
    fn options(&self) -> &Options;

    /// Bytes of kernel memory in flight: data sent and not yet received, and files that wait to be received.
    fn in_flight(&self) -> usize {
        0
    }

    fn bind(&self, _addr: &[u8]) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    fn connect(&self, _addr: &[u8], _nonblock: bool) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    fn listen(&self, _backlog: u32) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    /// The next connection. EAGAIN, EINVAL when not listening.
    fn accept(&self, _nonblock: bool) -> Result<Arc<dyn Protocol>> {
        err(Errno::EOPNOTSUPP)
    }

    /// Connects two new sockets with each other (socketpair).
    fn pair(&self, _other: &dyn Protocol) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    /// The own address, or the peer's. ENOTCONN.
    fn name(&self, peer: bool) -> Result<Vec<u8>>;

    /// Sends; returns the bytes taken. SIGPIPE is raised by the protocol, but for MSG_NOSIGNAL.
    fn send(&self, message: &mut Outgoing<'_>) -> Result<usize>;

    /// Receives; returns the bytes given (all of a datagram with MSG_TRUNC).
    fn receive(&self, message: &mut Incoming<'_>) -> Result<usize>;

    /// `how`: bit 0 no more receiving, bit 1 no more sending.
    fn shutdown(&self, how: u32) -> Result<()>;

    fn poll(&self, table: Option<&mut PollTable>) -> PollEvents;

    /// ENOIOCTLCMD-like: None when the command is not the protocol's.
    fn ioctl(&self, _cx: &mut Context, _cmd: u32, _arg: u64) -> Option<Result<u64>> {
        None
    }

    /// Options of levels other than SOL_SOCKET.
    fn set_option(&self, _level: u32, _name: u32, _value: &[u8]) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    /// Options of levels other than SOL_SOCKET, and of SOL_SOCKET those that the common layer doesn't know.
    fn get_option(&self, level: u32, _name: u32, _len: usize) -> Result<Vec<u8>> {
        err(if level == abi::net::SOL_SOCKET {
            Errno::ENOPROTOOPT
        } else {
            Errno::EOPNOTSUPP
        })
    }

    /// Listens (SO_ACCEPTCONN).
    fn is_listening(&self) -> bool {
        false
    }

    /// Takes the pending error (SO_ERROR).
    fn take_error(&self) -> Option<Errno> {
        None
    }

    /// It got its open file.
    fn opened(&self, _file: &Arc<File>) {}

    /// The open file is gone.
    fn release(&self);

    fn as_any(&self) -> &dyn Any;
}

/// A socket as an open file.
pub struct Socket {
    pub family: u16,
    /// SOCK_*.
    pub kind: u32,
    pub protocol: u32,
    pub proto: Arc<dyn Protocol>,
}

/// Makes a socket of `kind` (SOCK_*) and `protocol`. ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM.
pub type Creator = fn(kind: u32, protocol: u32) -> Result<Socket>;

static FAMILIES: Lock<[Option<Creator>; AF_MAX as usize]> =
    Lock::new(Rank::LEAF, [None; AF_MAX as usize]);

/// Makes socket(2) know an address family.
pub fn register_family(family: u16, creator: Creator) {
    FAMILIES.lock()[usize::from(family)] = Some(creator);
}

/// socket(2) without the descriptor. EAFNOSUPPORT, EINVAL, and what the family says.
pub fn create(family: u32, kind: u32, protocol: u32) -> Result<Socket> {
    if family >= u32::from(AF_MAX) {
        return err(Errno::EAFNOSUPPORT);
    }
    if kind > SOCK_PACKET {
        return err(Errno::EINVAL);
    }
    if family == u32::from(AF_UNIX) {
        return unix::create(kind, protocol);
    }
    let creator = FAMILIES.lock()[family as usize];
    match creator {
        Some(creator) => creator(kind, protocol),
        None => err(Errno::EAFNOSUPPORT),
    }
}

impl Socket {
    /// Its open file.
    pub fn into_file(self, nonblock: bool) -> Arc<File> {
        let place = vfs::new_pseudo(vfs::Pseudo::Socket, 0o140_777);
        let nonblock = if nonblock {
            OpenFlags::O_NONBLOCK
        } else {
            OpenFlags::empty()
        };
        let proto = self.proto.clone();
        let file = File::new(place, Box::new(self), OpenFlags::O_RDWR | nonblock);
        proto.opened(&file);
        file
    }

    /// accept(2) without the descriptor.
    pub fn accept(&self, nonblock: bool) -> Result<Socket> {
        Ok(Socket {
            family: self.family,
            kind: self.kind,
            protocol: self.protocol,
            proto: self.proto.accept(nonblock)?,
        })
    }
}

/// The socket behind `file`. ENOTSOCK.
pub fn of(file: &File) -> Result<&Socket> {
    file.ops_as().ok_or_else(|| Errno::ENOTSOCK.into())
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.proto.release();
    }
}

impl FileOps for Socket {
    fn kernel_bytes(&self) -> usize {
        self.proto.in_flight()
    }

    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut message = Incoming::new(sink, MsgFlags::empty(), file.nonblocking());
        self.proto.receive(&mut message)
    }

    fn write(&self, file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        let flags = if self.kind == SOCK_SEQPACKET {
            MsgFlags::MSG_EOR
        } else {
            MsgFlags::empty()
        };
        let mut message = Outgoing::new(source, flags, file.nonblocking());
        self.proto.send(&mut message)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        self.proto.poll(table)
    }

    fn ioctl(&self, _file: &File, cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        match self.proto.ioctl(cx, cmd, arg) {
            Some(answer) => answer,
            None => options::device_ioctl(cmd, arg),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Sleeps on `queue` until `cond` gives a value: EAGAIN when `deadline` passes first, and on a signal ERESTARTSYS without
/// a deadline, EINTR with one (sock_intr_errno()).
pub fn wait<T>(
    queue: &WaitQueue,
    deadline: Option<Deadline>,
    cond: impl FnMut() -> Option<T>,
) -> Result<T> {
    match queue.wait_deadline(deadline, cond) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => err(Errno::EAGAIN),
        Err(_) if deadline.is_some() => err(Errno::EINTR),
        Err(e) => Err(e),
    }
}

/// When an operation with `timeout_ns` (0: none) gives up.
pub fn deadline(nonblock: bool, timeout_ns: u64) -> Option<Deadline> {
    match (nonblock, timeout_ns) {
        (true, _) => Some(Deadline(0)),
        (false, 0) => None,
        (false, ns) => Some(Deadline::after(ns)),
    }
}
