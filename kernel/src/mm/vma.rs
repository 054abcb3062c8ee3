//! Virtual memory areas and the tree that keeps them: ranges of guest addresses with one protection and one backing.
//!
//! The tree knows nothing of the host; `map`, `remap` and `fault` make the host agree with it.

use super::pagecache::{CacheRange, Mapping, PAGE};
use crate::vfs::File;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

bitflags::bitflags! {
    /// What an area allows and how it was made; Linux's VM_*.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct VmFlags: u32 {
        const READ = 1;
        const WRITE = 2;
        const EXEC = 4;
        const SHARED = 8;
        const MAYREAD = 0x10;
        const MAYWRITE = 0x20;
        const MAYEXEC = 0x40;
        /// Made with MAP_SHARED, although perhaps never writable.
        const MAYSHARE = 0x80;
        const GROWSDOWN = 0x100;
        const LOCKED = 0x200;
        const LOCKONFAULT = 0x400;
        const NORESERVE = 0x800;
        const DONTFORK = 0x1000;
        const WIPEONFORK = 0x2000;
        const DONTDUMP = 0x4000;
        const HUGEPAGE = 0x8000;
        const NOHUGEPAGE = 0x1_0000;
        const SEQUENTIAL = 0x2_0000;
        const RANDOM = 0x4_0000;
        /// Counts towards the commit limit: private and was writable.
        const ACCOUNT = 0x8_0000;
        /// Private file pages that were writable at some time: the host may hold copies.
        const COW = 0x10_0000;
        const DONTEXPAND = 0x20_0000;
        const MERGEABLE = 0x40_0000;
        /// The kernel's own: not told of, not counted.
        const HIDDEN = 0x80_0000;
        /// mseal(2): neither unmapped nor changed any more.
        const SEALED = 0x100_0000;
    }
}

impl VmFlags {
    pub const ACCESS: VmFlags = VmFlags::READ.union(VmFlags::WRITE).union(VmFlags::EXEC);

    /// The host's protection for it.
    pub fn prot(self) -> platform::Prot {
        platform::Prot {
            read: self.contains(VmFlags::READ),
            write: self.contains(VmFlags::WRITE),
            exec: self.contains(VmFlags::EXEC),
        }
    }
}

/// Where an area's pages come from.
#[derive(Clone)]
pub enum Backing {
    /// Private zero pages, the host's.
    Anon,
    /// A file's pages. `offset`: of the area's first byte in the file.
    File {
        mapping: Arc<Mapping>,
        /// The open file; None for shared anonymous memory and the kernel's own images.
        file: Option<Arc<File>>,
        offset: u64,
    },
    /// Pages of the page-cache memory that are no file's: the vDSO's data.
    Kernel { offset: u64 },
}

/// One area.
#[derive(Clone)]
pub struct Vma {
    pub start: u64,
    pub end: u64,
    pub flags: VmFlags,
    pub backing: Backing,
    /// A name for /proc/pid/maps: `[vdso]`, `[anon:...]`.
    pub name: Option<Arc<str>>,
    /// Ranges that the mapping has left but that pages here still show.
    pub kept: Vec<Arc<CacheRange>>,
}

impl Vma {
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn is_anon(&self) -> bool {
        matches!(self.backing, Backing::Anon)
    }

    pub fn pages(&self) -> Range<u64> {
        self.start / PAGE..self.end / PAGE
    }

    /// The file pages and offset, if it maps a file.
    pub fn mapping(&self) -> Option<(&Arc<Mapping>, u64)> {
        match &self.backing {
            Backing::File {
                mapping, offset, ..
            } => Some((mapping, *offset)),
            _ => None,
        }
    }

    pub fn file(&self) -> Option<&Arc<File>> {
        match &self.backing {
            Backing::File { file, .. } => file.as_ref(),
            _ => None,
        }
    }

    /// Whether writes must be seen by the kernel, because the file behind has to be told.
    pub fn tracks_dirty(&self) -> bool {
        self.flags.contains(VmFlags::SHARED) && self.mapping().is_some_and(|(m, _)| m.has_source())
    }

    /// The part `[start, end)` of it.
    pub fn part(&self, start: u64, end: u64) -> Vma {
        let mut part = self.clone();
        part.start = start;
        part.end = end;
        match &mut part.backing {
            Backing::File { offset, .. } | Backing::Kernel { offset } => {
                *offset = offset.wrapping_add(start.wrapping_sub(self.start));
            }
            Backing::Anon => {}
        }
        part
    }

    /// Whether `next`, which starts where this ends, can be one area with it.
    fn joins(&self, next: &Vma) -> bool {
        if self.end != next.start || self.flags != next.flags || self.name != next.name {
            return false;
        }
        match (&self.backing, &next.backing) {
            (Backing::Anon, Backing::Anon) => true,
            (
                Backing::File {
                    mapping: m1,
                    file: f1,
                    offset: o1,
                },
                Backing::File {
                    mapping: m2,
                    file: f2,
                    offset: o2,
                },
            ) => {
                let same_file = match (f1, f2) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, None) => true,
                    _ => false,
                };
                Arc::ptr_eq(m1, m2) && same_file && o1 + self.len() == *o2
            }
            _ => false,
        }
    }

    fn counts(&self) -> Counts {
        if self.flags.contains(VmFlags::HIDDEN) {
            return Counts::default();
        }
        let pages = self.len() / PAGE;
        let when = |on: bool| if on { pages } else { 0 };
        let f = self.flags;
        let private_write = f.contains(VmFlags::WRITE) && !f.contains(VmFlags::SHARED);
        Counts {
            total: pages,
            data: when(private_write && !f.contains(VmFlags::GROWSDOWN)),
            stack: when(f.contains(VmFlags::GROWSDOWN)),
            exec: when(f.contains(VmFlags::EXEC) && !f.contains(VmFlags::WRITE)),
            locked: when(f.contains(VmFlags::LOCKED)),
            committed: when(f.contains(VmFlags::ACCOUNT)),
        }
    }
}

/// Sums over a tree, in pages.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    pub total: u64,
    /// Private, writable, not a stack (RLIMIT_DATA).
    pub data: u64,
    pub stack: u64,
    pub exec: u64,
    pub locked: u64,
    pub committed: u64,
}

impl Counts {
    fn change(&mut self, by: Counts, sign: fn(u64, u64) -> u64) {
        self.total = sign(self.total, by.total);
        self.data = sign(self.data, by.data);
        self.stack = sign(self.stack, by.stack);
        self.exec = sign(self.exec, by.exec);
        self.locked = sign(self.locked, by.locked);
        self.committed = sign(self.committed, by.committed);
    }
}

/// The areas of an address space, by start; they never overlap.
#[derive(Clone, Default)]
pub struct VmaTree {
    map: BTreeMap<u64, Vma>,
    counts: Counts,
}

impl VmaTree {
    /// How many areas.
    pub fn area_count(&self) -> usize {
        self.map.len()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The area that `addr` is in.
    pub fn find(&self, addr: u64) -> Option<&Vma> {
        let (_, vma) = self.map.range(..=addr).next_back()?;
        (addr < vma.end).then_some(vma)
    }

    /// The area that `addr` is in, or else the next above: Linux's `find_vma`.
    pub fn find_next(&self, addr: u64) -> Option<&Vma> {
        self.find(addr)
            .or_else(|| self.map.range(addr..).next().map(|(_, v)| v))
    }

    /// The last area that ends at or below `addr`.
    pub fn find_before(&self, addr: u64) -> Option<&Vma> {
        self.map
            .range(..addr)
            .next_back()
            .map(|(_, v)| v)
            .filter(|v| v.end <= addr)
            .or_else(|| {
                let start = self.find(addr)?.start;
                self.map.range(..start).next_back().map(|(_, v)| v)
            })
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Vma> {
        self.map.values()
    }

    /// The areas that touch `[start, end)`.
    pub fn touching(&self, start: u64, end: u64) -> impl Iterator<Item = &Vma> {
        let first = self.find(start).map_or(start, |v| v.start);
        self.map
            .range(first..end.max(first))
            .map(|(_, v)| v)
            .filter(move |v| v.end > start)
    }

    /// The areas below `below`, from the highest down.
    pub fn down_from(&self, below: u64) -> impl Iterator<Item = &Vma> {
        self.map.range(..below).rev().map(|(_, v)| v)
    }

    pub fn is_free(&self, start: u64, end: u64) -> bool {
        self.touching(start, end).next().is_none()
    }

    /// Whether areas cover `[start, end)` without a hole.
    pub fn covered(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        for vma in self.touching(start, end) {
            if vma.start > at {
                return false;
            }
            at = vma.end;
        }
        at >= end
    }

    fn put(&mut self, vma: Vma) {
        debug_assert!(vma.start < vma.end);
        self.counts.change(vma.counts(), |a, b| a + b);
        self.map.insert(vma.start, vma);
    }

    fn take(&mut self, start: u64) -> Option<Vma> {
        let vma = self.map.remove(&start)?;
        self.counts.change(vma.counts(), |a, b| a - b);
        Some(vma)
    }

    /// Makes `addr` a boundary.
    fn split(&mut self, addr: u64) {
        let Some(vma) = self.find(addr) else { return };
        let start = vma.start;
        if start < addr
            && let Some(vma) = self.take(start)
        {
            self.put(vma.part(start, addr));
            self.put(vma.part(addr, vma.end));
        }
    }

    /// How many more areas there would be if `[start, end)` were cut out.
    pub fn splits(&self, start: u64, end: u64) -> usize {
        let inside = |addr| self.find(addr).is_some_and(|v| v.start < addr);
        usize::from(inside(start)) + usize::from(inside(end))
    }

    /// Takes everything in `[start, end)` out and returns it.
    pub fn remove(&mut self, start: u64, end: u64) -> Vec<Vma> {
        self.split(start);
        self.split(end);
        let starts: Vec<u64> = self
            .map
            .range(start..end.max(start))
            .map(|(s, _)| *s)
            .collect();
        starts.into_iter().filter_map(|s| self.take(s)).collect()
    }

    /// Adds an area to a free place and joins it with its neighbours.
    pub fn insert(&mut self, vma: Vma) {
        debug_assert!(self.is_free(vma.start, vma.end));
        let (start, end) = (vma.start, vma.end);
        self.put(vma);
        self.join(start, end);
    }

    /// Joins what can be joined in `[start, end]`.
    fn join(&mut self, start: u64, end: u64) {
        let Some(first) = self
            .map
            .range(..start)
            .next_back()
            .map(|(s, _)| *s)
            .or(Some(start))
        else {
            return;
        };
        let mut at = first;
        while at <= end {
            let Some(vma) = self.map.get(&at) else {
                match self.map.range(at..).next() {
                    Some((next, _)) => at = *next,
                    None => return,
                }
                continue;
            };
            let next = vma.end;
            match self.map.get(&next) {
                Some(after) if vma.joins(after) => {
                    if let (Some(mut a), Some(b)) = (self.take(at), self.take(next)) {
                        a.end = b.end;
                        for range in b.kept {
                            if !a.kept.iter().any(|k| Arc::ptr_eq(k, &range)) {
                                a.kept.push(range);
                            }
                        }
                        self.put(a);
                    }
                }
                _ => at = next,
            }
        }
    }

    /// Changes every area's part in `[start, end)` by `change`, splitting and joining as needed.
    pub fn update(&mut self, start: u64, end: u64, mut change: impl FnMut(&mut Vma)) {
        for mut vma in self.remove(start, end) {
            change(&mut vma);
            self.put(vma);
        }
        self.join(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);
    impl Random {
        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    fn area(start: u64, end: u64, flags: u32) -> Vma {
        Vma {
            start: start * PAGE,
            end: end * PAGE,
            flags: VmFlags::from_bits_retain(flags),
            backing: Backing::Anon,
            name: None,
            kept: Vec::new(),
        }
    }

    /// The tree against an array of pages.
    #[test]
    fn agrees_with_an_array() {
        const PAGES: u64 = 48;
        for seed in 1..80u64 {
            let mut rng = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut tree = VmaTree::default();
            let mut model: Vec<Option<u32>> = vec![None; PAGES as usize];
            for _ in 0..200 {
                let a = rng.below(PAGES);
                let b = (a + 1 + rng.below(10)).min(PAGES);
                let flags = rng.below(4) as u32;
                let slots = a as usize..b as usize;
                match rng.below(3) {
                    0 => {
                        tree.remove(a * PAGE, b * PAGE);
                        tree.insert(area(a, b, flags));
                        model[slots].fill(Some(flags));
                    }
                    1 => {
                        let removed: u64 =
                            tree.remove(a * PAGE, b * PAGE).iter().map(Vma::len).sum();
                        let expected = model[slots.clone()].iter().flatten().count() as u64;
                        assert_eq!(removed, expected * PAGE);
                        model[slots].fill(None);
                    }
                    _ => {
                        tree.update(a * PAGE, b * PAGE, |v| {
                            v.flags = VmFlags::from_bits_retain(flags);
                        });
                        for slot in model[slots].iter_mut().flatten() {
                            *slot = flags;
                        }
                    }
                }
                check(&tree, &model);
            }
        }
    }

    fn check(tree: &VmaTree, model: &[Option<u32>]) {
        for (page, slot) in model.iter().enumerate() {
            let addr = page as u64 * PAGE;
            assert_eq!(tree.find(addr).map(|v| v.flags.bits()), *slot);
            let next = model[page..].iter().position(Option::is_some);
            assert_eq!(
                tree.find_next(addr).map(|v| v.start.max(addr)),
                next.map(|n| addr + n as u64 * PAGE)
            );
        }
        let mut runs = 0;
        let mut last = None;
        for slot in model {
            if slot.is_some() && *slot != last {
                runs += 1;
            }
            last = *slot;
        }
        assert_eq!(tree.area_count(), runs, "neighbours are joined");
        let writable = model.iter().flatten().filter(|f| **f & 2 != 0).count() as u64;
        assert_eq!(tree.counts().data, writable);
        assert_eq!(tree.counts().total, model.iter().flatten().count() as u64);
    }

    #[test]
    fn parts_keep_their_offsets() {
        let mut tree = VmaTree::default();
        let mut vma = area(10, 20, 1);
        vma.backing = Backing::Kernel { offset: 0 };
        tree.insert(vma);
        tree.remove(12 * PAGE, 14 * PAGE);
        let Backing::Kernel { offset } = tree.find(14 * PAGE).unwrap().backing else {
            panic!("backing kept");
        };
        assert_eq!(offset, 4 * PAGE);
        assert!(tree.covered(14 * PAGE, 20 * PAGE));
        assert!(!tree.covered(11 * PAGE, 15 * PAGE));
        assert_eq!(tree.splits(11 * PAGE, 15 * PAGE), 2);
    }
}
