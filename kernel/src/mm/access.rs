//! Copies between guest memory and the kernel. Pages that aren't there yet are brought in on a short transfer.

use super::fault::with_retry;
use super::{Mm, pagecache};

impl Mm {
    /// Copies from guest memory; returns the bytes before the first fault.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> usize {
        with_retry(self, addr, buf.len(), false, |at| {
            self.address_space().read(addr + at as u64, &mut buf[at..])
        })
    }

    /// Copies to guest memory; returns the bytes before the first fault.
    pub fn write(&self, addr: u64, buf: &[u8]) -> usize {
        with_retry(self, addr, buf.len(), true, |at| {
            self.address_space().write(addr + at as u64, &buf[at..])
        })
    }

    /// Copies page-cache memory at `offset` to the guest; returns the bytes before the first fault.
    pub fn write_from_cache(&self, addr: u64, offset: u64, len: usize) -> usize {
        with_retry(self, addr, len, true, |at| {
            let offset = offset + at as u64;
            pagecache::memory().copy_to_guest(
                self.address_space(),
                offset,
                addr + at as u64,
                len - at,
            )
        })
    }

    /// Copies guest memory to page-cache memory at `offset`; returns the bytes before the first fault.
    pub fn read_to_cache(&self, addr: u64, offset: u64, len: usize) -> usize {
        with_retry(self, addr, len, false, |at| {
            let offset = offset + at as u64;
            pagecache::memory().copy_from_guest(
                self.address_space(),
                offset,
                addr + at as u64,
                len - at,
            )
        })
    }
}
