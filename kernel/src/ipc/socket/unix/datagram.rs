//! Datagrams and sequenced packets: messages with boundaries.

use super::packet::Packet;
use super::{Kind, Phase, SHUT_RECEIVE, UnixSocket, rights, scm};
use crate::error::{Result, err};
use crate::ipc::socket::{Incoming, Outgoing, deadline, wait};
use crate::sched;
use crate::task::Task;
use abi::errno::Errno;
use abi::net::MsgFlags;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl UnixSocket {
    /// net/unix/af_unix.c:unix_dgram_sendmsg().
    pub(super) fn send_datagram(&self, message: &mut Outgoing<'_>) -> Result<usize> {
        let task = sched::current();
        let mut attached = scm::parse(&task, &message.control)?;
        let named = match message.name.take() {
            Some(addr) => Some(self.find_destination(&addr)?),
            None => None,
        };
        let len = message.source.remaining();
        if len
            > self
                .options
                .sndbuf
                .load(Ordering::Relaxed)
                .saturating_sub(32)
        {
            return err(Errno::EMSGSIZE);
        }
        self.send_one(message, &task, named, len, &mut attached)
    }

    fn send_one(
        &self,
        message: &mut Outgoing<'_>,
        task: &Task,
        named: Option<Arc<UnixSocket>>,
        len: usize,
        attached: &mut scm::Attached,
    ) -> Result<usize> {
        self.wait_for_send_room(message)?;
        let mut data = vec![0; len].into_boxed_slice();
        if message.source.read(&mut data)? < len {
            return err(Errno::EFAULT);
        }
        let is_named = named.is_some();
        let other = match named {
            Some(other) => other,
            None => self.peer().ok_or(Errno::ENOTCONN)?,
        };
        let creds = attached.creds_for(task, self, &other);
        let rights = attached.take_rights(task)?;
        let packet = Arc::new(Packet::new(data, &self.arc(), creds, rights));
        let timeout = self.options.sndtimeo.load(Ordering::Relaxed);
        let at = deadline(message.nonblock, timeout);
        loop {
            if !self.may_send_to(&other) {
                return err(Errno::EPERM);
            }
            if other.dead.load(Ordering::SeqCst) {
                return self.refused(&other, is_named);
            }
            if other.is_shut(SHUT_RECEIVE) {
                return err(Errno::EPIPE);
            }
            if !other.is(self) && !self.is_peer_of(&other) && other.is_crowded() {
                if message.nonblock {
                    return err(Errno::EAGAIN);
                }
                wait(&other.peer_wait, at, || {
                    let go = !other.is_crowded()
                        || other.dead.load(Ordering::SeqCst)
                        || other.is_shut(SHUT_RECEIVE);
                    go.then_some(())
                })?;
                continue;
            }
            match other.take_in(packet.clone()) {
                Ok(()) => return Ok(len),
                // It was closed meanwhile: say what that means here.
                Err(_) if other.dead.load(Ordering::SeqCst) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The receiver is closed: a connection to it ends.
    fn refused(&self, other: &Arc<UnixSocket>, named: bool) -> Result<usize> {
        if self.kind == Kind::Sequenced {
            return err(Errno::EPIPE);
        }
        let old = {
            let mut state = self.state.lock();
            if state.peer.as_ref().is_some_and(|peer| peer.is(other)) {
                self.set_phase(Phase::Closed);
                state.peer.take()
            } else {
                None
            }
        };
        if old.is_some() {
            let packets = std::mem::take(&mut self.queue.lock().packets);
            drop(packets);
            return err(Errno::ECONNREFUSED);
        }
        err(if named {
            Errno::ECONNREFUSED
        } else {
            Errno::ECONNRESET
        })
    }

    /// Waits for a packet, holding off other readers only while it looks; None at the end.
    fn wait_for_packet(&self, message: &Incoming<'_>) -> Result<Option<Arc<Packet>>> {
        let skip = self.peek_skip(message);
        if let Some((packet, _)) = self.packet_behind(skip) {
            return Ok(Some(packet));
        }
        self.check_error()?;
        let ended = || self.is_shut(SHUT_RECEIVE);
        if ended() && (self.kind == Kind::Sequenced || !message.nonblock) {
            return Ok(None);
        }
        if message.nonblock {
            return err(Errno::EAGAIN);
        }
        let at = deadline(false, self.options.rcvtimeo.load(Ordering::Relaxed));
        wait(&self.wait, at, || {
            let go = self.packet_behind(skip).is_some()
                || ended()
                || self.error.load(Ordering::SeqCst) != 0;
            go.then_some(())
        })?;
        self.check_error()?;
        Ok(self.packet_behind(skip).map(|(packet, _)| packet))
    }

    /// The packet behind the first `skip` bytes of the queue, and how many of it they cover: __skb_try_recv_from_queue().
    fn packet_behind(&self, mut skip: usize) -> Option<(Arc<Packet>, usize)> {
        let queue = self.queue.lock();
        for packet in &queue.packets {
            let len = packet.rest().len();
            if skip == 0 || skip < len {
                return Some((packet.clone(), skip));
            }
            skip -= len;
        }
        None
    }

    /// net/unix/af_unix.c:__unix_dgram_recvmsg().
    pub(super) fn receive_datagram(&self, message: &mut Incoming<'_>) -> Result<usize> {
        let peek = message.flags.contains(MsgFlags::MSG_PEEK);
        let (packet, skip, files) = loop {
            match self.wait_for_packet(message)? {
                None if self.is_shut(SHUT_RECEIVE) => return Ok(0),
                None => continue,
                Some(_) => {}
            }
            let _held = self.reader.lock();
            let taken = if peek {
                self.packet_behind(self.peek_skip(message))
            } else {
                self.queue.lock().packets.pop_front().map(|p| (p, 0))
            };
            // Another reader was faster.
            let Some((packet, skip)) = taken else {
                continue;
            };
            let files = if peek {
                rights::peek(&packet.rights)
            } else {
                packet.land_rights()
            };
            break (packet, skip, files);
        };
        if !peek && self.peer_wait.is_occupied() {
            self.peer_wait.wake_all();
        }
        if let Some(address) = packet.sender.address() {
            message.name = address.sockaddr();
        }
        let data = &packet.rest()[skip..];
        let len = data.len().min(message.sink.remaining());
        let moved = if peek { len } else { data.len() };
        self.options.move_peek_offset(peek, moved);
        if len < data.len() {
            message.out_flags |= MsgFlags::MSG_TRUNC;
        }
        if message.sink.write(&data[..len])? < len {
            return err(Errno::EFAULT);
        }
        scm::deliver_time(self, message, packet.sent_ns);
        scm::deliver(self, message, packet.creds, files);
        Ok(if message.flags.contains(MsgFlags::MSG_TRUNC) {
            data.len()
        } else {
            len
        })
    }
}
