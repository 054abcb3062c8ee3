//! Copies between guest memory and the kernel. Pages that aren't there yet are brought in on a short transfer.

use super::fault::with_retry;
use super::pagecache::PAGE;
use super::vma::{Backing, VmFlags};
use super::{Mm, pagecache};
use crate::sched;
use platform::{AHEAD_MAX, LATER_MAX};

impl Mm {
    /// Copies from guest memory; returns the bytes before the first fault.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> usize {
        if buf.len() <= AHEAD_MAX && self.peek(addr, buf) == buf.len() {
            return buf.len();
        }
        with_retry(self, addr, buf.len(), false, |at| {
            self.address_space().read(addr + at as u64, &mut buf[at..])
        })
    }

    /// Bytes at `addr` that the calling thread brought with its system call, as many as there are and fit.
    pub fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        self.address_space().peek(sched::guest_slot(), addr, buf)
    }

    /// Writes at once what was left to threads to write on their way back: before another thread looks.
    pub fn settle(&self) {
        self.address_space().settle();
    }

    /// Whether all of a range is private memory that may be written and whose faults the host resolves alone.
    fn is_plain(&self, addr: u64, len: usize) -> bool {
        let inner = self.inner.lock();
        let Some(vma) = inner.vmas.find(addr) else {
            return false;
        };
        let end = addr + len as u64;
        if end > vma.end
            || !vma.flags.contains(VmFlags::WRITE)
            || vma.flags.contains(VmFlags::SHARED)
        {
            return false;
        }
        match vma.backing {
            Backing::Anon => {
                inner.guards.is_empty()
                    || inner.guards.count_in(addr / PAGE..end.div_ceil(PAGE)) == 0
            }
            Backing::File { .. } => {
                (addr / PAGE..end.div_ceil(PAGE)).all(|page| inner.mapped.contains(page))
            }
            Backing::Kernel { .. } => false,
        }
    }

    /// Leaves a copy to the stopped thread in `slot`, if it is small and to memory where that makes no difference.
    pub(super) fn write_by(&self, slot: u32, addr: u64, buf: &[u8]) -> bool {
        buf.len() <= LATER_MAX
            && self.is_plain(addr, buf.len())
            && self.address_space().write_later(slot, addr, buf)
    }

    /// Copies to guest memory; returns the bytes before the first fault.
    pub fn write(&self, addr: u64, buf: &[u8]) -> usize {
        if self.write_by(sched::guest_slot(), addr, buf) {
            return buf.len();
        }
        with_retry(self, addr, buf.len(), true, |at| {
            self.address_space().write(addr + at as u64, &buf[at..])
        })
    }

    /// Copies page-cache memory at `offset` to the guest; returns the bytes before the first fault.
    pub fn write_from_cache(&self, addr: u64, offset: u64, len: usize) -> usize {
        if len <= LATER_MAX {
            let mut bytes = [0; LATER_MAX];
            pagecache::memory().read(offset, &mut bytes[..len]);
            return self.write(addr, &bytes[..len]);
        }
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
