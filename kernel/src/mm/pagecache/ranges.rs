//! Who has which part of the page-cache memory: contiguous ranges in size classes, so that a file's pages are one
//! mapping on the host.
//!
//! Address space is plentiful (tens of TiB) and costs nothing until touched. So ranges are cut once and go to the
//! free list of their class; they are never joined.

use super::memory;
use crate::sync::{Lock, Rank};
use std::sync::{Arc, LazyLock};

/// Sizes of the classes in bytes; each sixteen times the one before. Larger ranges are multiples of the last.
const CLASSES: [u64; 7] = [
    64 << 10,
    1 << 20,
    16 << 20,
    256 << 20,
    4 << 30,
    64 << 30,
    1 << 40,
];

/// The allocator: offsets only, no memory.
pub(super) struct Allocator {
    next: u64,
    end: u64,
    /// Free ranges: (size, offsets).
    free: Vec<(u64, Vec<u64>)>,
}

impl Allocator {
    pub(super) fn new(start: u64, end: u64) -> Allocator {
        Allocator {
            next: start,
            end,
            free: CLASSES.iter().map(|size| (*size, Vec::new())).collect(),
        }
    }

    /// The size that a range for `len` bytes gets.
    pub(super) fn class(len: u64) -> u64 {
        let largest = CLASSES[CLASSES.len() - 1];
        CLASSES
            .into_iter()
            .find(|size| *size >= len)
            .unwrap_or(len.div_ceil(largest).saturating_mul(largest))
    }

    /// An offset with room for `class(len)` bytes. None when the memory's offsets are used up.
    pub(super) fn allocate(&mut self, len: u64) -> Option<u64> {
        let size = Self::class(len);
        if let Some((_, free)) = self.free.iter_mut().find(|(s, _)| *s == size)
            && let Some(offset) = free.pop()
        {
            return Some(offset);
        }
        // Large ranges start at a multiple of 2 MiB for the host's page tables.
        let align = size.min(2 << 20);
        let offset = self.next.checked_next_multiple_of(align)?;
        let end = offset.checked_add(size)?;
        if end > self.end {
            return None;
        }
        self.keep(self.next, offset);
        self.next = end;
        Some(offset)
    }

    /// Puts what alignment leaves out to the free lists.
    fn keep(&mut self, mut from: u64, to: u64) {
        while to - from >= CLASSES[0] {
            let size = if from.is_multiple_of(CLASSES[1]) && to - from >= CLASSES[1] {
                CLASSES[1]
            } else {
                CLASSES[0]
            };
            self.release(from, size);
            from += size;
        }
    }

    /// Takes back what `allocate(len)` gave.
    pub(super) fn release(&mut self, offset: u64, len: u64) {
        let size = Self::class(len);
        match self.free.iter_mut().find(|(s, _)| *s == size) {
            Some((_, free)) => free.push(offset),
            None => self.free.push((size, vec![offset])),
        }
    }
}

/// The first MiB and the last are left to the platform.
static RANGES: LazyLock<Lock<Allocator>> = LazyLock::new(|| {
    Lock::new(
        Rank::LEAF,
        Allocator::new(1 << 20, memory().capacity() - (1 << 20)),
    )
});

/// A range of the page-cache memory, empty at first; gives its pages back to the host on drop.
#[derive(Debug)]
pub struct CacheRange {
    base: u64,
    len: u64,
}

impl CacheRange {
    /// A range of at least `len` bytes. None when offsets are used up.
    pub fn new(len: u64) -> Option<Arc<CacheRange>> {
        let base = RANGES.lock().allocate(len)?;
        Some(Arc::new(CacheRange {
            base,
            len: Allocator::class(len),
        }))
    }

    /// Offset in the page-cache memory.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for CacheRange {
    fn drop(&mut self) {
        memory().punch(self.base, self.len);
        RANGES.lock().release(self.base, self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_overlap() {
        let mut seed = 0x1234_5678_9abc_def1u64;
        let mut below = |n: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % n
        };
        let mut allocator = Allocator::new(1 << 20, 64 << 40);
        let mut live: Vec<(u64, u64)> = Vec::new();
        for _ in 0..4000 {
            if below(3) > 0 || live.is_empty() {
                let bits = 12 + below(22);
                let len = 1 + below(1 << bits);
                let offset = allocator.allocate(len).expect("room");
                let size = Allocator::class(len);
                assert!(size >= len && offset.is_multiple_of(size.min(2 << 20).min(64 << 10)));
                assert!(
                    live.iter()
                        .all(|&(o, l)| offset + size <= o || o + Allocator::class(l) <= offset),
                    "{offset:#x}+{size:#x} overlaps"
                );
                live.push((offset, len));
            } else {
                let (offset, len) = live.swap_remove(below(live.len() as u64) as usize);
                allocator.release(offset, len);
            }
        }
    }

    #[test]
    fn freed_ranges_come_again_and_ends_are_kept() {
        let mut allocator = Allocator::new(1 << 20, 4 << 20);
        let a = allocator.allocate(1 << 20).unwrap();
        let b = allocator.allocate(1 << 20).unwrap();
        let c = allocator.allocate(1 << 20).unwrap();
        assert_eq!(allocator.allocate(1 << 20), None);
        assert_eq!(allocator.allocate(16 << 20), None);
        allocator.release(b, 1 << 20);
        assert_eq!(allocator.allocate(600 << 10), Some(b));
        assert!(a != b && b != c);
        assert_eq!(Allocator::class(3 << 40), 3 << 40);
    }
}
