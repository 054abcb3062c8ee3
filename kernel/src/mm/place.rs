//! Where a mapping goes when the program doesn't say: highest free place below the mmap base, or lowest above it
//! with ADDR_COMPAT_LAYOUT (arch/x86/mm/mmap.c, mm/mmap.c:generic_get_unmapped_area_topdown()).

use super::vma::{VmFlags, Vma, VmaTree};
use platform::TASK_SIZE;

/// Lowest address that may be mapped (vm.mmap_min_addr).
pub const MIN_ADDR: u64 = 0x1_0000;
/// Free space kept below a growing stack: 256 pages.
pub const STACK_GAP: u64 = 1 << 20;

/// Where an area begins for its lower neighbours.
fn gap_start(vma: &Vma) -> u64 {
    if vma.flags.contains(VmFlags::GROWSDOWN) {
        vma.start.saturating_sub(STACK_GAP)
    } else {
        vma.start
    }
}

/// Whether `[addr, addr + len)` is free and not in a stack's gap.
pub fn fits(tree: &VmaTree, addr: u64, len: u64) -> bool {
    let Some(end) = addr.checked_add(len) else {
        return false;
    };
    addr >= MIN_ADDR
        && end <= TASK_SIZE
        && tree.is_free(addr, end)
        && tree.find_next(end).is_none_or(|v| gap_start(v) >= end)
}

/// A memory of the last search from the top: no gap of `len` bytes lies between `from` and the base.
#[derive(Clone, Copy, Debug)]
pub struct TopDown {
    pub base: u64,
    from: u64,
    len: u64,
}

impl TopDown {
    pub fn new(base: u64) -> TopDown {
        TopDown {
            base,
            from: base,
            len: u64::MAX,
        }
    }

    /// A range that ends at `end` was unmapped: the gap there may be large enough now.
    pub fn freed(&mut self, tree: &VmaTree, end: u64) {
        if end > self.from {
            self.from = tree
                .find_next(end)
                .map_or(self.base, |v| v.start.min(self.base));
        }
    }

    /// Highest free place of `len` bytes below the base.
    pub fn find(&mut self, tree: &VmaTree, len: u64) -> Option<u64> {
        let start = if len >= self.len {
            self.from
        } else {
            self.base
        };
        // The upper end of the gap looked at: what lies above limits it, stack gap and all.
        let mut top = start;
        if let Some(above) = tree.find_next(start.saturating_sub(1)) {
            top = top.min(gap_start(above));
        }
        for vma in tree.down_from(start) {
            if vma.end <= top && top - vma.end >= len {
                break;
            }
            top = gap_start(vma);
        }
        let addr = top.checked_sub(len).filter(|a| *a >= MIN_ADDR)?;
        self.from = top;
        self.len = len;
        Some(addr)
    }
}

/// Lowest free place of `len` bytes in `[low, high)`.
pub fn bottom_up(tree: &VmaTree, len: u64, low: u64, high: u64) -> Option<u64> {
    let mut at = low.max(MIN_ADDR);
    for vma in tree.touching(at, high) {
        if gap_start(vma) >= at && gap_start(vma) - at >= len {
            break;
        }
        at = at.max(vma.end);
    }
    let end = at.checked_add(len)?;
    (end <= high && tree.find_next(at).is_none_or(|v| gap_start(v) >= end)).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::super::vma::Backing;
    use super::*;

    fn area(start: u64, end: u64, flags: VmFlags) -> Vma {
        Vma {
            start,
            end,
            flags,
            backing: Backing::Anon,
            name: None,
            kept: Vec::new(),
        }
    }

    #[test]
    fn places_below_each_other_and_reuses_gaps() {
        let base = 0x7000_0000_0000;
        let mut tree = VmaTree::default();
        let mut top = TopDown::new(base);
        for i in 1..=10u64 {
            let addr = top.find(&tree, 0x4000).unwrap();
            assert_eq!(addr, base - i * 0x4000);
            tree.insert(area(
                addr,
                addr + 0x4000,
                VmFlags::from_bits_retain(i as u32 & 3),
            ));
        }
        tree.remove(base - 0x10000, base - 0xc000);
        top.freed(&tree, base - 0xc000);
        assert_eq!(top.find(&tree, 0x8000), Some(base - 0x30000));
        assert_eq!(top.find(&tree, 0x2000), Some(base - 0xe000));
    }

    /// Remembering the last search never changes what is found.
    #[test]
    fn remembering_changes_nothing() {
        let base = 0x7000_0000_0000;
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut below = |n: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % n
        };
        let mut tree = VmaTree::default();
        let mut top = TopDown::new(base);
        let mut live: Vec<(u64, u64)> = Vec::new();
        for i in 0..3000u32 {
            if below(5) < 3 || live.is_empty() {
                let len = (1 + below(8)) * 0x1000;
                let found = top.find(&tree, len);
                assert_eq!(found, TopDown::new(base).find(&tree, len));
                let addr = found.unwrap();
                let flags = if below(20) == 0 {
                    VmFlags::GROWSDOWN
                } else {
                    VmFlags::from_bits_retain(i & 3)
                };
                tree.insert(area(addr, addr + len, flags));
                live.push((addr, len));
            } else {
                let (addr, len) = live.swap_remove(below(live.len() as u64) as usize);
                tree.remove(addr, addr + len);
                top.freed(&tree, addr + len);
            }
        }
    }

    #[test]
    fn keeps_away_from_stacks() {
        let base = 0x7000_0000_0000;
        let mut tree = VmaTree::default();
        tree.insert(area(base + 0x1000, base + 0x5000, VmFlags::GROWSDOWN));
        let mut top = TopDown::new(base);
        assert_eq!(
            top.find(&tree, 0x1000),
            Some(base + 0x1000 - STACK_GAP - 0x1000)
        );
        assert!(!fits(&tree, base - 0x1000, 0x1000));
        assert!(fits(&tree, base + 0x5000, 0x1000));
        assert_eq!(bottom_up(&tree, 0x1000, 0, base), Some(MIN_ADDR));
    }
}
