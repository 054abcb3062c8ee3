//! Guest memory: the vma tree of an address space, faults, the page cache.
//!
//! Anonymous memory is the host's; files are ranges of the page-cache memory. The tree here says what should be
//! mapped; `platform` makes it so.

pub mod exec;
pub mod fault;
pub mod pagecache;
pub mod rangeset;

use crate::syscall::Context;
use platform::AddressSpace;
use std::sync::Arc;

/// An address space with its vmas: what CLONE_VM shares.
pub struct Mm {
    aspace: AddressSpace,
}

impl Mm {
    /// Around an empty address space.
    pub fn new(aspace: AddressSpace) -> Arc<Mm> {
        Arc::new(Mm { aspace })
    }

    pub fn address_space(&self) -> &AddressSpace {
        &self.aspace
    }

    /// Copies from guest memory; returns the bytes before the first fault. Pages that aren't there yet are brought in.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> usize {
        fault::with_retry(self, addr, buf.len(), false, |at| {
            self.aspace.read(addr + at as u64, &mut buf[at..])
        })
    }

    /// Copies to guest memory; returns the bytes before the first fault.
    pub fn write(&self, addr: u64, buf: &[u8]) -> usize {
        fault::with_retry(self, addr, buf.len(), true, |at| {
            self.aspace.write(addr + at as u64, &buf[at..])
        })
    }

    /// Copies page-cache memory at `offset` to the guest.
    pub fn write_from_cache(&self, addr: u64, offset: u64, len: usize) -> usize {
        fault::with_retry(self, addr, len, true, |at| {
            pagecache::memory().copy_to_guest(
                &self.aspace,
                offset + at as u64,
                addr + at as u64,
                len - at,
            )
        })
    }

    /// Copies guest memory to page-cache memory at `offset`.
    pub fn read_to_cache(&self, addr: u64, offset: u64, len: usize) -> usize {
        fault::with_retry(self, addr, len, false, |at| {
            pagecache::memory().copy_from_guest(
                &self.aspace,
                offset + at as u64,
                addr + at as u64,
                len - at,
            )
        })
    }
}

/// A memory operation queued for the guest thread failed on the host.
pub fn operation_failed(cx: &mut Context, index: usize, errno: i32) {
    crate::pr_warn!("memory operation {index} failed on the host with errno {errno}");
    crate::signal::kill_group(cx, abi::signal::SIGKILL);
}
