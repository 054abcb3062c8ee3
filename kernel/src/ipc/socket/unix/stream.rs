//! Streams: bytes without boundaries, but for those of credentials and descriptors.

use super::oob::Next;
use super::packet::Packet;
use super::{Phase, SHUT_RECEIVE, SHUT_SEND, UnixSocket, rights, scm};
use crate::error::{Result, err};
use crate::ipc::broken_pipe;
use crate::ipc::socket::{Incoming, Outgoing, deadline, wait};
use crate::sched;
use crate::vfs::File;
use abi::errno::Errno;
use abi::net::{MsgFlags, Ucred};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most bytes of one packet: SKB_MAX_ALLOC + UNIX_SKB_FRAGS_SZ.
const PIECE_MAX: usize = 16_064 + 32_768;

impl UnixSocket {
    fn stream_peer(&self, message: &Outgoing<'_>) -> Result<Arc<UnixSocket>> {
        if message.name.is_some() {
            return err(if self.phase() == Phase::Connected {
                Errno::EISCONN
            } else {
                Errno::EOPNOTSUPP
            });
        }
        self.peer().ok_or_else(|| Errno::ENOTCONN.into())
    }

    /// net/unix/af_unix.c:unix_stream_sendmsg().
    pub(super) fn send_stream(&self, message: &mut Outgoing<'_>) -> Result<usize> {
        let task = sched::current();
        let mut attached = scm::parse(&task, &message.control)?;
        let urgent = usize::from(message.flags.contains(MsgFlags::MSG_OOB));
        if message.source.remaining() < urgent {
            return err(Errno::EOPNOTSUPP);
        }
        let peer = self.stream_peer(message)?;
        let me = self.arc();
        let mut sent = 0;
        let mut result = Ok(());
        if message.source.remaining() == 0 && self.is_shut(SHUT_SEND) {
            result = err(Errno::EPIPE);
        }
        while message.source.remaining() > 0 {
            let piece = if self.is_shut(SHUT_SEND) {
                err(Errno::EPIPE)
            } else {
                self.wait_for_send_room(message)
            };
            result = piece.and_then(|()| {
                let half = self.options.sndbuf.load(Ordering::Relaxed) / 2;
                let is_urgent = message.source.remaining() == urgent;
                let len = (message.source.remaining() - urgent).max(urgent);
                let len = len.min(half.saturating_sub(64).max(1)).min(PIECE_MAX);
                let mut data = vec![0; len].into_boxed_slice();
                if message.source.read(&mut data)? < len {
                    return err(Errno::EFAULT);
                }
                let creds = attached.creds_for(&task, self, &peer);
                let rights = attached.take_rights(&task)?;
                let packet = Arc::new(Packet::new(data, &me, creds, rights));
                if is_urgent {
                    peer.take_in_oob(packet)?;
                } else {
                    peer.take_in(packet)?;
                }
                sent += len;
                Ok(())
            });
            if result.is_err() {
                break;
            }
        }
        match result {
            Err(e) if sent == 0 => {
                if e.errno() == Errno::EPIPE && !message.flags.contains(MsgFlags::MSG_NOSIGNAL) {
                    broken_pipe();
                }
                Err(e)
            }
            _ => Ok(sent),
        }
    }

    /// Puts a packet into the queue and tells the reader. EPIPE when nothing is read here any more.
    pub(super) fn take_in(&self, packet: Arc<Packet>) -> Result<()> {
        self.enqueue(packet, false)?;
        self.told_data();
        Ok(())
    }

    /// [`take_in`](Self::take_in) without telling anybody. `urgent`: it is the mark now.
    pub(super) fn enqueue(&self, packet: Arc<Packet>, urgent: bool) -> Result<()> {
        let old = {
            let mut queue = self.queue.lock();
            if queue.dead || self.is_shut(SHUT_RECEIVE) {
                drop(queue);
                return err(Errno::EPIPE);
            }
            queue.arrivals += 1;
            queue.packets.push_back(packet.clone());
            urgent.then(|| queue.oob.replace(packet))
        };
        drop(old);
        Ok(())
    }

    /// Waits for more than the first `seen` packets; false at the end of the stream.
    fn wait_for_stream(&self, message: &Incoming<'_>, seen: u64) -> Result<bool> {
        let more = || self.queue.lock().arrivals != seen;
        if more() {
            return Ok(true);
        }
        self.check_error()?;
        if self.is_shut(SHUT_RECEIVE) {
            return Ok(false);
        }
        if message.nonblock {
            return err(Errno::EAGAIN);
        }
        let at = deadline(false, self.options.rcvtimeo.load(Ordering::Relaxed));
        wait(&self.wait, at, || {
            let go = more() || self.is_shut(SHUT_RECEIVE) || self.error.load(Ordering::SeqCst) != 0;
            go.then_some(())
        })?;
        Ok(true)
    }

    /// net/unix/af_unix.c:unix_stream_read_generic().
    pub(super) fn receive_stream(&self, message: &mut Incoming<'_>) -> Result<usize> {
        if self.phase() != Phase::Connected {
            return err(Errno::EINVAL);
        }
        let wanted = message.sink.remaining();
        let target = if message.flags.contains(MsgFlags::MSG_WAITALL) {
            wanted
        } else {
            wanted.min(self.options.rcvlowat.load(Ordering::Relaxed))
        };
        let mut read = Progress::default();
        let mut result = Ok(());
        loop {
            let held = self.reader.lock();
            let more = self.read_packets(message, &mut read);
            drop(held);
            match more {
                Ok(true) if read.copied < target.max(1) => {}
                Ok(_) => break,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
            match self.wait_for_stream(message, read.seen) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        scm::deliver(self, message, read.creds.flatten(), read.files);
        match result {
            Err(e) if read.copied == 0 => Err(e),
            _ => Ok(read.copied),
        }
    }

    /// Copies packets out until the sink is full, the queue is empty (true: more may come), or a boundary is met.
    fn read_packets(&self, message: &mut Incoming<'_>, read: &mut Progress) -> Result<bool> {
        let peek = message.flags.contains(MsgFlags::MSG_PEEK);
        let check = scm::asks_for_sender(self);
        let mut skip = self.peek_skip(message);
        let mut index = 0;
        let mut skipping = false;
        loop {
            let next = if skipping {
                self.packet_at(index)
            } else {
                self.next_packet(&mut index, peek, read.copied > 0)
            };
            let packet = match next {
                Next::Packet(packet) => packet,
                Next::Mark => return Ok(false),
                Next::None(seen) => {
                    read.seen = seen;
                    return Ok(!(peek && read.copied > 0));
                }
            };
            if check && read.creds.is_some_and(|creds| creds != packet.creds) {
                return Ok(false);
            }
            let rest = packet.rest();
            if peek && skip > 0 && skip >= rest.len() {
                skip -= rest.len();
                index += 1;
                skipping = true;
                continue;
            }
            skipping = false;
            read.creds = Some(packet.creds);
            if message.name.is_empty()
                && let Some(address) = packet.sender.address()
            {
                message.name = address.sockaddr();
            }
            let rest = &rest[skip..];
            skip = 0;
            let len = rest.len().min(message.sink.remaining());
            let copied = message.sink.write(&rest[..len])?;
            self.options.move_peek_offset(peek, copied);
            read.copied += copied;
            let fault = copied < len;
            if peek {
                read.files = rights::peek(&packet.rights);
                if fault || !read.files.is_empty() {
                    return Ok(false);
                }
                index += 1;
            } else {
                read.files = packet.land_rights();
                let done = packet.advance(copied);
                if done {
                    self.pop();
                }
                if !done || fault || !read.files.is_empty() {
                    return Ok(false);
                }
            }
            if message.sink.remaining() == 0 {
                return Ok(false);
            }
        }
    }
}

#[derive(Default)]
struct Progress {
    copied: usize,
    /// Packets that had ever come when the queue was found empty.
    seen: u64,
    /// Of the packets read so far.
    creds: Option<Option<Ucred>>,
    files: Vec<Arc<File>>,
}
