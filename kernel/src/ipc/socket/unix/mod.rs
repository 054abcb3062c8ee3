//! Unix sockets (net/unix/af_unix.c): streams, datagrams and sequenced packets.
//!
//! A socket's own state (address, peer) is under a short lock of rank SOCKET, its queue of received packets under one of
//! rank SOCKET2: a sender reads its own state, then fills the queue of another. What conditions and `poll` look at is in
//! atomics. Readers of one socket take turns by a sleeping mutex, because copying to them may fault.

mod address;
mod connect;
mod datagram;
mod oob;
mod packet;
mod proc;
mod rights;
mod scm;
mod stream;

pub use proc::proc_net_unix;

use super::{Incoming, Options, Outgoing, Protocol, Socket};
use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Lock, LockGuard, Mutex, PollTable, Rank, WaitQueue};
use crate::syscall::Context;
use crate::task::pidfd;
use crate::user::UserPtr;
use crate::vfs::{File, PollEvents};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::net::*;
use address::Address;
use connect::PeerIdentity;
use packet::Packet;
use rights::Rights;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// net.unix.max_dgram_qlen: datagrams that wait for a receiver, less one.
pub static MAX_DGRAM_QLEN: AtomicUsize = AtomicUsize::new(10);

/// No more receiving.
const SHUT_RECEIVE: u8 = 1;
/// No more sending.
const SHUT_SEND: u8 = 2;
const SHUT_BOTH: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Stream,
    Datagram,
    Sequenced,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    /// Not connected, or no longer.
    Closed,
    Listening,
    Connected,
}

#[derive(Default)]
struct State {
    address: Option<Arc<Address>>,
    peer: Option<Arc<UnixSocket>>,
    /// Who the other side was when it connected or listened.
    peer_identity: Option<PeerIdentity>,
    /// Own credentials when it began to listen.
    listen_identity: Option<PeerIdentity>,
}

#[derive(Default)]
struct Queue {
    packets: VecDeque<Arc<Packet>>,
    /// The one of them that is an urgent byte, until it was read or passed.
    oob: Option<Arc<Packet>>,
    /// Packets that ever came.
    arrivals: u64,
    /// Connections to accept.
    pending: VecDeque<Arc<UnixSocket>>,
    /// Closed: nothing comes in any more.
    dead: bool,
}

/// A Unix socket.
pub struct UnixSocket {
    me: Weak<UnixSocket>,
    id: u64,
    /// Number of its file's inode; 0 while nobody has accepted it.
    inode: AtomicU64,
    file: OnceLock<Weak<File>>,
    kind: Kind,
    options: Options,
    state: Lock<State>,
    queue: Lock<Queue>,
    /// Keeps readers apart.
    reader: Mutex<()>,
    /// Keeps binders apart.
    binder: Mutex<()>,
    phase: AtomicU8,
    shut: AtomicU8,
    error: AtomicU16,
    dead: AtomicBool,
    /// Bytes sent and not yet read, as they count.
    sent: AtomicUsize,
    backlog: AtomicUsize,
    /// Its own readers and writers, and who polls it.
    wait: WaitQueue,
    /// Others that want to put something into its queue.
    peer_wait: WaitQueue,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static ALL: Lock<BTreeMap<u64, Weak<UnixSocket>>> = Lock::new(Rank::LEAF, BTreeMap::new());

/// socket(2) for AF_UNIX.
pub fn create(kind: u32, protocol: u32) -> Result<Socket> {
    if protocol != 0 && protocol != u32::from(AF_UNIX) {
        return err(Errno::EPROTONOSUPPORT);
    }
    let (number, kind) = match kind {
        SOCK_STREAM => (SOCK_STREAM, Kind::Stream),
        SOCK_DGRAM | SOCK_RAW => (SOCK_DGRAM, Kind::Datagram),
        SOCK_SEQPACKET => (SOCK_SEQPACKET, Kind::Sequenced),
        _ => return err(Errno::ESOCKTNOSUPPORT),
    };
    Ok(Socket {
        family: AF_UNIX,
        kind: number,
        protocol: 0,
        proto: UnixSocket::new(kind),
    })
}

/// The Unix socket behind an open file.
fn unix_of(file: &File) -> Option<Arc<UnixSocket>> {
    let socket = file.ops_as::<Socket>()?;
    let unix = socket.proto.as_any().downcast_ref::<UnixSocket>()?;
    unix.me.upgrade()
}

impl UnixSocket {
    fn new(kind: Kind) -> Arc<UnixSocket> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let socket = Arc::new_cyclic(|me| UnixSocket {
            me: me.clone(),
            id,
            inode: AtomicU64::new(0),
            file: OnceLock::new(),
            kind,
            options: Options::default(),
            state: Lock::new(Rank::SOCKET, State::default()),
            queue: Lock::new(Rank::SOCKET2, Queue::default()),
            reader: Mutex::new(()),
            binder: Mutex::new(()),
            phase: AtomicU8::new(Phase::Closed as u8),
            shut: AtomicU8::new(0),
            error: AtomicU16::new(0),
            dead: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
            backlog: AtomicUsize::new(MAX_DGRAM_QLEN.load(Ordering::Relaxed)),
            wait: WaitQueue::new(),
            peer_wait: WaitQueue::new(),
        });
        ALL.lock().insert(id, Arc::downgrade(&socket));
        socket
    }

    fn arc(&self) -> Arc<UnixSocket> {
        self.me
            .upgrade()
            .expect("called through a living reference")
    }

    fn is(&self, other: &UnixSocket) -> bool {
        std::ptr::eq(self, other)
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            1 => Phase::Listening,
            2 => Phase::Connected,
            _ => Phase::Closed,
        }
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    fn is_shut(&self, how: u8) -> bool {
        self.shut.load(Ordering::SeqCst) & how != 0
    }

    fn peer(&self) -> Option<Arc<UnixSocket>> {
        self.state.lock().peer.clone()
    }

    fn address(&self) -> Option<Arc<Address>> {
        self.state.lock().address.clone()
    }

    fn fail_later(&self, errno: Errno) {
        self.error.store(errno.0, Ordering::SeqCst);
    }

    /// The pending error, taken.
    fn check_error(&self) -> Result<()> {
        if self.error.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        match self.error.swap(0, Ordering::SeqCst) {
            0 => Ok(()),
            errno => err(Errno(errno)),
        }
    }

    fn charge(&self, bytes: usize) {
        self.sent.fetch_add(bytes, Ordering::SeqCst);
    }

    /// A packet was read or dropped: unix_write_space().
    fn uncharge(&self, bytes: usize) {
        self.sent.fetch_sub(bytes, Ordering::SeqCst);
        if self.wait.is_occupied() && self.has_send_room() {
            self.wait.wake(PollEvents::WRITABLE | PollEvents::WRBAND);
        }
    }

    /// unix_writable(): no more than a quarter of the buffer is used.
    fn has_send_room(&self) -> bool {
        self.phase() != Phase::Listening
            && self.sent.load(Ordering::SeqCst) * 4 <= self.options.sndbuf.load(Ordering::Relaxed)
    }

    fn may_send_now(&self) -> bool {
        self.sent.load(Ordering::SeqCst) < self.options.sndbuf.load(Ordering::Relaxed)
    }

    fn queue_len(queue: &LockGuard<'_, Queue>) -> usize {
        queue.packets.len() + queue.pending.len()
    }

    /// unix_recvq_full(): datagrams, or connections to accept.
    fn is_crowded(&self) -> bool {
        Self::queue_len(&self.queue.lock()) > self.backlog.load(Ordering::Relaxed)
    }

    /// Who is at the other end. ENODATA when nobody ever was.
    fn identity(&self) -> Result<PeerIdentity> {
        let identity = self.state.lock().peer_identity.clone();
        identity.ok_or_else(|| Errno::ENODATA.into())
    }

    /// Bytes that a reader passes over (SO_PEEK_OFF).
    fn peek_skip(&self, message: &Incoming<'_>) -> usize {
        if message.flags.contains(MsgFlags::MSG_PEEK) {
            self.options.peek_offset().unwrap_or(0)
        } else {
            0
        }
    }

    fn has_input(&self) -> bool {
        let queue = self.queue.lock();
        !queue.packets.is_empty() || !queue.pending.is_empty()
    }

    /// Drops the first packet.
    fn pop(&self) {
        let first = self.queue.lock().packets.pop_front();
        drop(first);
    }

    /// Waits until there is room to send. EAGAIN, EPIPE, EINTR, ERESTARTSYS, a pending error.
    fn wait_for_send_room(&self, message: &Outgoing<'_>) -> Result<()> {
        let mut limit = None;
        loop {
            self.check_error()?;
            if self.is_shut(SHUT_SEND) {
                return err(Errno::EPIPE);
            }
            if self.may_send_now() {
                return Ok(());
            }
            if message.nonblock {
                return err(Errno::EAGAIN);
            }
            let timeout = self.options.sndtimeo.load(Ordering::Relaxed);
            let at = *limit.get_or_insert_with(|| super::deadline(false, timeout));
            super::wait(&self.wait, at, || {
                let go = self.may_send_now()
                    || self.is_shut(SHUT_SEND)
                    || self.error.load(Ordering::SeqCst) != 0;
                go.then_some(())
            })?;
        }
    }

    /// Tells readers and pollers that something came in.
    fn told_data(&self) {
        self.wait
            .wake(PollEvents::READABLE | PollEvents::RDBAND | PollEvents::PRI);
    }

    /// Tells everybody that the connection changed.
    fn told_change(&self) {
        self.wait.wake_all();
    }

    /// Calls `visit` with the descriptors of each packet here and in connections not accepted yet.
    fn each_rights(&self, visit: &mut dyn FnMut(&mut Option<Rights>)) {
        let pending: Vec<Arc<UnixSocket>> = {
            let queue = self.queue.lock();
            for packet in &queue.packets {
                visit(&mut packet.rights.lock());
            }
            queue.pending.iter().cloned().collect()
        };
        for embryo in pending {
            let queue = embryo.queue.lock();
            for packet in &queue.packets {
                visit(&mut packet.rights.lock());
            }
        }
    }

    /// unix_release_sock(). `accepted`: a program had it, as opposed to a connection that nobody accepted.
    fn close(&self, accepted: bool) {
        self.set_phase(Phase::Closed);
        self.shut.store(SHUT_BOTH, Ordering::SeqCst);
        self.dead.store(true, Ordering::SeqCst);
        let (packets, pending) = {
            let mut queue = self.queue.lock();
            queue.dead = true;
            queue.oob = None;
            (
                std::mem::take(&mut queue.packets),
                std::mem::take(&mut queue.pending),
            )
        };
        let (peer, address) = {
            let mut state = self.state.lock();
            (state.peer.take(), state.address.clone())
        };
        if let Some(address) = address {
            address.unbind(self);
        }
        if let Some(peer) = peer
            && self.kind != Kind::Datagram
        {
            peer.shut.store(SHUT_BOTH, Ordering::SeqCst);
            // One urgent byte that was read and still lies in front doesn't count.
            let read = usize::from(packets.front().is_some_and(|first| first.is_read_oob()));
            if packets.len() > read || !accepted {
                peer.fail_later(Errno::ECONNRESET);
            }
            peer.told_change();
        }
        self.told_change();
        self.peer_wait.wake_all();
        drop(packets);
        for embryo in pending {
            embryo.close(false);
        }
    }

    /// Bytes to read (SIOCINQ).
    fn input_bytes(&self) -> Result<usize> {
        if self.phase() == Phase::Listening {
            return err(Errno::EINVAL);
        }
        let queue = self.queue.lock();
        Ok(match self.kind {
            Kind::Datagram => queue.packets.front().map_or(0, |p| p.rest().len()),
            _ => queue.packets.iter().map(|p| p.rest().len()).sum(),
        })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        ALL.lock().remove(&self.id);
    }
}

impl Protocol for UnixSocket {
    fn in_flight(&self) -> usize {
        self.sent.load(Ordering::Relaxed) + rights::bytes_held(self)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn bind(&self, addr: &[u8]) -> Result<()> {
        self.do_bind(addr)
    }

    fn connect(&self, addr: &[u8], nonblock: bool) -> Result<()> {
        match self.kind {
            Kind::Datagram => self.connect_datagram(addr, nonblock),
            _ => self.connect_stream(addr, nonblock),
        }
    }

    fn listen(&self, backlog: u32) -> Result<()> {
        self.do_listen(backlog)
    }

    fn accept(&self, nonblock: bool) -> Result<Arc<dyn Protocol>> {
        Ok(self.do_accept(nonblock)?)
    }

    fn pair(&self, other: &dyn Protocol) -> Result<()> {
        match other.as_any().downcast_ref::<UnixSocket>() {
            Some(other) => {
                self.do_pair(other);
                Ok(())
            }
            None => err(Errno::EOPNOTSUPP),
        }
    }

    fn name(&self, peer: bool) -> Result<Vec<u8>> {
        let address = if peer {
            self.peer().ok_or(Errno::ENOTCONN)?.address()
        } else {
            self.address()
        };
        Ok(address.map_or_else(|| AF_UNIX.to_ne_bytes().to_vec(), |a| a.sockaddr()))
    }

    fn send(&self, message: &mut Outgoing<'_>) -> Result<usize> {
        if message.flags.contains(MsgFlags::MSG_OOB) && self.kind != Kind::Stream {
            return err(Errno::EOPNOTSUPP);
        }
        match self.kind {
            Kind::Stream => self.send_stream(message),
            Kind::Datagram => self.send_datagram(message),
            Kind::Sequenced => {
                self.check_error()?;
                if self.phase() != Phase::Connected {
                    return err(Errno::ENOTCONN);
                }
                message.name = None;
                self.send_datagram(message)
            }
        }
    }

    fn receive(&self, message: &mut Incoming<'_>) -> Result<usize> {
        if message.flags.contains(MsgFlags::MSG_ERRQUEUE) && self.kind != Kind::Stream {
            return err(Errno::EAGAIN);
        }
        if message.flags.contains(MsgFlags::MSG_OOB) {
            return match self.kind {
                Kind::Stream => self.receive_oob(message),
                _ => err(Errno::EOPNOTSUPP),
            };
        }
        match self.kind {
            Kind::Stream => self.receive_stream(message),
            Kind::Datagram => self.receive_datagram(message),
            Kind::Sequenced if self.phase() != Phase::Connected => err(Errno::ENOTCONN),
            Kind::Sequenced => self.receive_datagram(message),
        }
    }

    fn shutdown(&self, how: u32) -> Result<()> {
        let how = (how as u8) & SHUT_BOTH;
        let peer = {
            let state = self.state.lock();
            self.shut.fetch_or(how, Ordering::SeqCst);
            state.peer.clone()
        };
        self.told_change();
        if let Some(peer) = peer
            && self.kind != Kind::Datagram
        {
            let swapped = (how & SHUT_RECEIVE) << 1 | (how & SHUT_SEND) >> 1;
            peer.shut.fetch_or(swapped, Ordering::SeqCst);
            peer.told_change();
        }
        Ok(())
    }

    fn poll(&self, table: Option<&mut PollTable>) -> PollEvents {
        let peer = match self.kind {
            Kind::Stream => None,
            _ => self.peer().filter(|peer| !self.is_peer_of(peer)),
        };
        if let Some(table) = table {
            table.register(&self.wait);
            if let Some(peer) = &peer {
                table.register(&peer.peer_wait);
            }
        }
        let mut events = PollEvents::empty();
        if self.error.load(Ordering::SeqCst) != 0 {
            events |= PollEvents::ERR;
        }
        if self.is_shut(SHUT_RECEIVE) {
            events |= PollEvents::RDHUP | PollEvents::READABLE;
        }
        if self.shut.load(Ordering::SeqCst) == SHUT_BOTH {
            events |= PollEvents::HUP;
        }
        if self.has_input() {
            events |= PollEvents::READABLE;
        }
        if self.has_oob() {
            events |= PollEvents::PRI;
        }
        if self.kind != Kind::Datagram && self.phase() == Phase::Closed {
            events |= PollEvents::HUP;
        }
        if self.has_send_room() && !peer.is_some_and(|peer| peer.is_crowded()) {
            events |= PollEvents::WRITABLE | PollEvents::WRBAND;
        }
        events
    }

    fn ioctl(&self, _cx: &mut Context, cmd: u32, arg: u64) -> Option<Result<u64>> {
        let bytes = match cmd {
            SIOCOUTQ => Ok(self.sent.load(Ordering::Relaxed)),
            SIOCINQ => self.input_bytes(),
            SIOCATMARK if self.kind != Kind::Stream => err(Errno::EOPNOTSUPP),
            SIOCATMARK => Ok(usize::from(self.is_at_mark())),
            _ => return None,
        };
        Some(bytes.and_then(|bytes| {
            UserPtr::<u32>::new(arg).write(&(bytes as u32))?;
            Ok(0)
        }))
    }

    fn get_option(&self, level: u32, name: u32, _len: usize) -> Result<Vec<u8>> {
        use zerocopy::IntoBytes;
        match (level, name) {
            (SOL_SOCKET, SO_PEERCRED) => {
                let state = self.state.lock();
                let cred = state.peer_identity.as_ref().map_or(
                    Ucred {
                        pid: 0,
                        uid: u32::MAX,
                        gid: u32::MAX,
                    },
                    |peer| peer.cred,
                );
                Ok(cred.as_bytes().to_vec())
            }
            (SOL_SOCKET, SO_PEERGROUPS) => {
                let groups = self.identity()?.groups;
                Ok(groups.as_bytes().to_vec())
            }
            (SOL_SOCKET, SO_PEERPIDFD) => {
                let leader = self.identity()?.leader.upgrade();
                let leader = leader.ok_or(Errno::ESRCH)?;
                let fd = pidfd::install(&sched::current(), &leader, false, OpenFlags::empty())?;
                Ok(fd.as_bytes().to_vec())
            }
            (SOL_SOCKET, _) => err(Errno::ENOPROTOOPT),
            _ => err(Errno::EOPNOTSUPP),
        }
    }

    fn is_listening(&self) -> bool {
        self.phase() == Phase::Listening
    }

    fn take_error(&self) -> Option<Errno> {
        match self.error.swap(0, Ordering::SeqCst) {
            0 => None,
            errno => Some(Errno(errno)),
        }
    }

    fn opened(&self, file: &Arc<File>) {
        if let Ok(meta) = file.inode().metadata() {
            self.inode.store(meta.ino, Ordering::Relaxed);
        }
        self.file.get_or_init(|| Arc::downgrade(file));
    }

    fn release(&self) {
        self.close(true);
        rights::collect();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
