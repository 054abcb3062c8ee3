//! The page-cache memory: one sparse memfd that guests map and the kernel process sees whole.

use crate::sys::{self, Dir, Mapping};
use crate::{AddressSpace, PAGE_SIZE};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The sparse memfd of page cache and tmpfs. Offsets and lengths are bytes; a range beyond [`capacity`](Self::capacity)
/// is a bug of the caller and panics. Guests may read and write what they map at any time: what is copied out is what was
/// there at some moment.
pub struct PageCacheMemory {
    map: Mapping,
    rw: OwnedFd,
    ro: OwnedFd,
}

/// Bytes that [`read_from_fd`](PageCacheMemory::read_from_fd) moves at a time: they stay in the CPU's cache.
const BUFFER_LEN: usize = 64 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_LEN]);
}

const MAX_CAPACITY: u64 = 64 << 40;
const MIN_CAPACITY: u64 = 1 << 30;

impl PageCacheMemory {
    pub(crate) fn new() -> io::Result<PageCacheMemory> {
        let rw = sys::memfd(c"umlaut-page-cache", false)?;
        let mut size = MAX_CAPACITY;
        let map = loop {
            let r = sys::set_len(&rw, size).and_then(|()| Mapping::shared(&rw, 0, size));
            match r {
                Ok(m) => break m,
                Err(e) if size <= MIN_CAPACITY => return Err(e),
                Err(_) => size /= 2,
            }
        };
        let ro = sys::reopen_read_only(&rw)?;
        Ok(PageCacheMemory { map, rw, ro })
    }

    pub(crate) fn read_only(&self) -> &OwnedFd {
        &self.ro
    }

    pub(crate) fn read_write(&self) -> &OwnedFd {
        &self.rw
    }

    /// Copies out. Holes read as zeros (and get memory on the host: avoid it).
    pub fn read(&self, offset: u64, buf: &mut [u8]) {
        let from = self.map.at(offset, buf.len() as u64);
        // SAFETY: `at` checked the range; the buffer is Rust's own and can't overlap a mapping nobody borrows from. Guests
        // may write at the same time; the bytes are plain data.
        unsafe { std::ptr::copy_nonoverlapping(from, buf.as_mut_ptr(), buf.len()) }
    }
    /// Copies in.
    pub fn write(&self, offset: u64, buf: &[u8]) {
        let to = self.map.at(offset, buf.len() as u64);
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy_nonoverlapping(buf.as_ptr(), to, buf.len()) }
    }
    /// Fills with zeros.
    pub fn zero(&self, offset: u64, len: u64) {
        let to = self.map.at(offset, len);
        // SAFETY: `at` checked the range.
        unsafe { std::ptr::write_bytes(to, 0, len as usize) }
    }
    /// Copies inside; the ranges may overlap.
    pub fn copy(&self, from: u64, to: u64, len: u64) {
        let (from, to) = (self.map.at(from, len), self.map.at(to, len));
        // SAFETY: `at` checked both ranges.
        unsafe { std::ptr::copy(from, to, len as usize) }
    }
    /// Gives whole pages back to the host, also from under guest mappings.
    pub fn punch(&self, offset: u64, len: u64) {
        self.map.at(offset, len);
        let start = offset.next_multiple_of(PAGE_SIZE);
        let end = (offset + len) / PAGE_SIZE * PAGE_SIZE;
        if start < end {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: no pointers. It can't fail on a memfd of this process but for a bug.
            let r = unsafe {
                libc::fallocate(
                    self.rw.as_raw_fd(),
                    mode,
                    start as i64,
                    (end - start) as i64,
                )
            };
            assert!(
                r == 0,
                "cannot punch a hole: {}",
                io::Error::last_os_error()
            );
        }
    }
    /// Size of the offset space. (Behind it lies one more page, the vvar's.)
    pub fn capacity(&self) -> u64 {
        self.map.len() - PAGE_SIZE
    }
    /// The parts of `[start, end)` that have host memory, by address; everything else is a hole.
    pub fn data_runs(&self, start: u64, end: u64) -> Vec<std::ops::Range<u64>> {
        let seek = |at: u64, whence| {
            // SAFETY: no pointers. Nobody uses the file's position.
            let r = unsafe { libc::lseek(self.rw.as_raw_fd(), at as i64, whence) };
            u64::try_from(r).ok()
        };
        let mut runs = Vec::new();
        let mut at = start;
        while at < end {
            let Some(data) = seek(at, libc::SEEK_DATA).filter(|d| *d < end) else {
                break;
            };
            at = seek(data, libc::SEEK_HOLE).unwrap_or(end).min(end);
            runs.push(data..at);
        }
        runs
    }
    /// Bytes of host memory in use.
    pub fn allocated_bytes(&self) -> u64 {
        // SAFETY: stat may be all zeros, and the call fills it in.
        unsafe {
            let mut st: libc::stat = std::mem::zeroed();
            libc::fstat(self.rw.as_raw_fd(), &mut st);
            st.st_blocks as u64 * 512
        }
    }
    /// Fills the memory from a file; returns the bytes read, fewer at the file's end.
    ///
    /// By way of a small buffer: pages that are written whole with `pwrite` need no fault here and aren't zeroed first,
    /// which costs more than the second copy out of a warm cache.
    // Never inlined, so that no fiber keeps the address of this thread's buffer.
    #[inline(never)]
    pub fn read_from_fd(
        &self,
        offset: u64,
        len: usize,
        fd: BorrowedFd,
        file_off: u64,
    ) -> io::Result<usize> {
        self.map.at(offset, len as u64);
        BUFFER.with_borrow_mut(|buffer| {
            let mut done = 0;
            while done < len {
                let part = &mut buffer[..(len - done).min(BUFFER_LEN)];
                let got = match sys::pread(fd, part, file_off + done as u64) {
                    Ok(0) => break,
                    Ok(got) => got,
                    Err(_) if done > 0 => break,
                    Err(e) => return Err(e),
                };
                sys::pwrite_all(self.rw.as_fd(), &part[..got], offset + done as u64)?;
                done += got;
            }
            Ok(done)
        })
    }
    /// `pwrite` straight out of the memory; returns the bytes written.
    pub fn write_to_fd(
        &self,
        offset: u64,
        len: usize,
        fd: BorrowedFd,
        file_off: u64,
    ) -> io::Result<usize> {
        let from = self.map.at(offset, len as u64);
        let mut done = 0;
        while done < len {
            let at = (file_off + done as u64) as i64;
            // SAFETY: `at` checked the range.
            let n = unsafe { libc::pwrite(fd.as_raw_fd(), from.add(done).cast(), len - done, at) };
            match n {
                0 => break,
                n if n > 0 => done += n as usize,
                _ if sys::errno() == libc::EINTR => (),
                _ if done > 0 => break,
                _ => return Err(io::Error::last_os_error()),
            }
        }
        Ok(done)
    }
    /// Copies to guest memory; returns the bytes copied before the first fault.
    pub fn copy_to_guest(
        &self,
        aspace: &AddressSpace,
        offset: u64,
        addr: u64,
        len: usize,
    ) -> usize {
        let local = [libc::iovec {
            iov_base: self.map.at(offset, len as u64).cast(),
            iov_len: len,
        }];
        // SAFETY: `at` checked the local range.
        unsafe { aspace.copy(Dir::ToGuest, &local, addr, len) }
    }
    /// Copies from guest memory; returns the bytes copied before the first fault.
    pub fn copy_from_guest(
        &self,
        aspace: &AddressSpace,
        offset: u64,
        addr: u64,
        len: usize,
    ) -> usize {
        let local = [libc::iovec {
            iov_base: self.map.at(offset, len as u64).cast(),
            iov_len: len,
        }];
        // SAFETY: `at` checked the local range.
        unsafe { aspace.copy(Dir::FromGuest, &local, addr, len) }
    }
}
