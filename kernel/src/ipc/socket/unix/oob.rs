//! Urgent bytes of streams (net/unix/af_unix.c, CONFIG_AF_UNIX_OOB).
//!
//! An urgent byte is a packet of its own in the queue; the newest is the mark, kept in `Queue::oob`. Read with MSG_OOB it
//! stays in the queue, empty, since readers stop in front of it all the same.

use super::packet::Packet;
use super::{Phase, UnixSocket};
use crate::error::{Result, err};
use crate::ipc::socket::Incoming;
use crate::ipc::socket::options::Flag;
use crate::vfs::{PollEvents, send_sigurg};
use abi::errno::Errno;
use abi::net::MsgFlags;
use std::sync::Arc;

/// What a reader of a stream meets.
pub enum Next {
    Packet(Arc<Packet>),
    /// The mark, which ends what was read so far.
    Mark,
    /// Nothing, after so many packets that ever came.
    None(u64),
}

impl UnixSocket {
    pub(super) fn has_oob(&self) -> bool {
        self.queue.lock().oob.is_some()
    }

    /// Puts an urgent byte into the queue: net/unix/af_unix.c:queue_oob(). EPIPE.
    pub(super) fn take_in_oob(&self, packet: Arc<Packet>) -> Result<()> {
        self.enqueue(packet, true)?;
        if let Some(file) = self.file.get().and_then(|file| file.upgrade())
            && send_sigurg(&file)
        {
            self.wait.wake(PollEvents::PRI);
        }
        self.told_data();
        Ok(())
    }

    /// recv(2) with MSG_OOB. EINVAL when there is no urgent byte, or it lies among the others (SO_OOBINLINE).
    pub(super) fn receive_oob(&self, message: &mut Incoming<'_>) -> Result<usize> {
        if self.phase() != Phase::Connected || self.options.get(Flag::OobInline) {
            return err(Errno::EINVAL);
        }
        let held = self.reader.lock();
        let (packet, before) = {
            let mut queue = self.queue.lock();
            let packet = queue.oob.clone().ok_or(Errno::EINVAL)?;
            let mut before = None;
            if !message.flags.contains(MsgFlags::MSG_PEEK) {
                queue.oob = None;
                let at = queue.packets.iter().position(|p| Arc::ptr_eq(p, &packet));
                // No two that were read follow each other.
                if let Some(at) = at.and_then(|at| at.checked_sub(1))
                    && queue.packets[at].is_read_oob()
                {
                    before = queue.packets.remove(at);
                }
            }
            (packet, before)
        };
        let copied = message.sink.write(packet.rest());
        if !message.flags.contains(MsgFlags::MSG_PEEK) {
            packet.advance(1);
        }
        drop(held);
        drop(before);
        if copied.unwrap_or(0) == 0 {
            return err(Errno::EFAULT);
        }
        message.out_flags |= MsgFlags::MSG_OOB;
        Ok(1)
    }

    /// SIOCATMARK: whether the next byte to read is behind the mark, or the mark's own.
    pub(super) fn is_at_mark(&self) -> bool {
        let _held = self.reader.lock();
        let queue = self.queue.lock();
        let Some(first) = queue.packets.front() else {
            return false;
        };
        let is_mark = |p: &Arc<Packet>| queue.oob.as_ref().is_some_and(|oob| Arc::ptr_eq(oob, p));
        let next_is_mark = || queue.packets.get(1).is_some_and(is_mark);
        is_mark(first) || first.is_read_oob() && (queue.oob.is_none() || next_is_mark())
    }

    /// The packet at `index`, whatever it is.
    pub(super) fn packet_at(&self, index: usize) -> Next {
        let queue = self.queue.lock();
        match queue.packets.get(index) {
            Some(packet) => Next::Packet(packet.clone()),
            None => Next::None(queue.arrivals),
        }
    }

    /// The packet at `index`, or behind it, that a reader gets: manage_oob(). Without `peek`, marks in the way go.
    /// `copied`: he has something already. Only by the holder of the reader mutex.
    pub(super) fn next_packet(&self, index: &mut usize, peek: bool, copied: bool) -> Next {
        let inline = self.options.get(Flag::OobInline);
        let mut dropped = Vec::new();
        let mut queue = self.queue.lock();
        let next = loop {
            let Some(packet) = queue.packets.get(*index).cloned() else {
                break None;
            };
            let is_mark = queue.oob.as_ref().is_some_and(|o| Arc::ptr_eq(o, &packet));
            if packet.is_read_oob() {
                if copied && queue.oob.is_none() {
                    break Some(Next::Mark);
                }
            } else if !is_mark {
                break Some(Next::Packet(packet));
            } else if copied {
                break Some(Next::Mark);
            } else {
                if !peek {
                    dropped.extend(queue.oob.take());
                }
                if inline {
                    break Some(Next::Packet(packet));
                }
            }
            if peek {
                *index += 1;
            } else {
                dropped.extend(queue.packets.remove(*index));
            }
        };
        let next = next.unwrap_or(Next::None(queue.arrivals));
        drop(queue);
        drop(dropped);
        next
    }
}
