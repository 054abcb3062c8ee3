//! What lies in a socket's queue: bytes with who sent them, and descriptors in flight.

use super::UnixSocket;
use super::rights::Rights;
use crate::sync::{Lock, Rank};
use crate::time;
use crate::vfs::File;
use abi::net::Ucred;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One `sk_buff`. Counts against its sender's buffer until it is dropped, which must happen without locks held.
pub struct Packet {
    data: Box<[u8]>,
    /// Bytes read already.
    offset: AtomicUsize,
    pub sender: Arc<UnixSocket>,
    charge: usize,
    /// Of the sender, where one of both sides has SO_PASSCRED.
    pub creds: Option<Ucred>,
    pub rights: Lock<Option<Rights>>,
    /// When it was sent, CLOCK_REALTIME nanoseconds.
    pub sent_ns: u64,
}

/// What a packet of `len` bytes counts for, as Linux's `truesize`: a linear part up to most of a page, and pages.
pub fn charge_for(len: usize) -> usize {
    const PAGE: usize = 4096;
    const HEAD_MAX: usize = PAGE - SHARED_INFO;
    const SHARED_INFO: usize = 320;
    const SK_BUFF: usize = 256;
    let paged = len.saturating_sub(HEAD_MAX).next_multiple_of(PAGE).min(len);
    let head = (len - paged + SHARED_INFO).next_power_of_two().max(512);
    SK_BUFF + head + paged.next_multiple_of(PAGE)
}

impl Packet {
    pub fn new(
        data: Box<[u8]>,
        sender: &Arc<UnixSocket>,
        creds: Option<Ucred>,
        rights: Option<Rights>,
    ) -> Packet {
        let charge = charge_for(data.len());
        sender.charge(charge);
        Packet {
            data,
            offset: AtomicUsize::new(0),
            sender: sender.clone(),
            charge,
            creds,
            rights: Lock::new(Rank::LEAF, rights),
            sent_ns: time::realtime_ns(),
        }
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &[u8] {
        &self.data[self.offset.load(Ordering::Relaxed)..]
    }

    /// An urgent byte that was read out of turn: nothing else stays in a stream's queue empty.
    pub fn is_read_oob(&self) -> bool {
        !self.data.is_empty() && self.rest().is_empty()
    }

    /// Marks bytes as read; whether that was all. Only by the one who holds the socket's reader mutex.
    pub fn advance(&self, bytes: usize) -> bool {
        self.offset.fetch_add(bytes, Ordering::Relaxed) + bytes >= self.data.len()
    }

    /// Takes its descriptors out of flight.
    pub fn land_rights(&self) -> Vec<Arc<File>> {
        let rights = self.rights.lock().take();
        rights.map_or_else(Vec::new, Rights::land)
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        self.sender.uncharge(self.charge);
    }
}

#[cfg(test)]
mod tests {
    use super::charge_for;

    #[test]
    fn charges() {
        assert_eq!(charge_for(0), 768);
        assert_eq!(charge_for(1), 768);
        assert_eq!(charge_for(192), 768);
        assert_eq!(charge_for(193), 1280);
        assert!(charge_for(65536) > 65536 && charge_for(65536) < 80_000);
    }
}
