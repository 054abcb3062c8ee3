//! The page-cache memory: one sparse memfd that guests map and the kernel process sees whole.

use crate::AddressSpace;
use std::{io, os::fd::BorrowedFd};

/// The sparse memfd of page cache and tmpfs. Offsets and lengths are bytes; a range beyond [`capacity`](Self::capacity)
/// is a bug of the caller and panics.
pub struct PageCacheMemory(());

impl PageCacheMemory {
    /// Copies out. Holes read as zeros (and get memory on the host: avoid it).
    pub fn read(&self, _offset: u64, _buf: &mut [u8]) {
        todo!()
    }
    /// Copies in.
    pub fn write(&self, _offset: u64, _buf: &[u8]) {
        todo!()
    }
    /// Fills with zeros.
    pub fn zero(&self, _offset: u64, _len: u64) {
        todo!()
    }
    /// Copies inside; the ranges don't overlap.
    pub fn copy(&self, _from: u64, _to: u64, _len: u64) {
        todo!()
    }
    /// Gives whole pages back to the host, also from under guest mappings.
    pub fn punch(&self, _offset: u64, _len: u64) {
        todo!()
    }
    /// Size of the offset space.
    pub fn capacity(&self) -> u64 {
        todo!()
    }
    /// Bytes of host memory in use.
    pub fn allocated_bytes(&self) -> u64 {
        todo!()
    }
    /// `pread` straight into the memory; returns the bytes read, fewer at the file's end.
    pub fn read_from_fd(
        &self,
        _offset: u64,
        _len: usize,
        _fd: BorrowedFd,
        _file_off: u64,
    ) -> io::Result<usize> {
        todo!()
    }
    /// `pwrite` straight out of the memory; returns the bytes written.
    pub fn write_to_fd(
        &self,
        _offset: u64,
        _len: usize,
        _fd: BorrowedFd,
        _file_off: u64,
    ) -> io::Result<usize> {
        todo!()
    }
    /// Copies to guest memory; returns the bytes copied before the first fault.
    pub fn copy_to_guest(
        &self,
        _aspace: &AddressSpace,
        _offset: u64,
        _addr: u64,
        _len: usize,
    ) -> usize {
        todo!()
    }
    /// Copies from guest memory; returns the bytes copied before the first fault.
    pub fn copy_from_guest(
        &self,
        _aspace: &AddressSpace,
        _offset: u64,
        _addr: u64,
        _len: usize,
    ) -> usize {
        todo!()
    }
}
