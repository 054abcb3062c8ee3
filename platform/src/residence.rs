//! What of a guest's memory is there: the host is asked when somebody wants to know, by way of /proc of the stub process.

use crate::{AddressSpace, PAGE_SIZE, sys};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// A page's entry of the host's /proc/pid/pagemap, without what only the host's root may see: PM_* of
/// fs/proc/task_mmu.c.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageEntry(u64);

impl PageEntry {
    pub const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    pub const FILE: u64 = 1 << 61;
    pub const GUARD: u64 = 1 << 58;
    pub const EXCLUSIVE: u64 = 1 << 56;

    /// It is in the host's memory, or in the host's swap.
    pub fn is_there(self) -> bool {
        self.0 & (PageEntry::PRESENT | PageEntry::SWAPPED) != 0 && !self.is_guard()
    }

    pub fn is_present(self) -> bool {
        self.0 & PageEntry::PRESENT != 0
    }

    /// A page of the page cache, not a private copy.
    pub fn is_file(self) -> bool {
        self.0 & PageEntry::FILE != 0
    }

    /// No other process maps it.
    pub fn is_exclusive(self) -> bool {
        self.0 & PageEntry::EXCLUSIVE != 0
    }

    /// MADV_GUARD_INSTALL was here.
    pub fn is_guard(self) -> bool {
        self.0 & PageEntry::GUARD != 0
    }
}

/// Pages of one kind that lie together.
#[derive(Clone, Debug)]
pub struct Region {
    pub range: Range<u64>,
    /// The page of zeroes that reading untouched memory shows.
    pub zero: bool,
    /// Of a huge page.
    pub huge: bool,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// _IOWR('f', 16, struct pm_scan_arg)
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
const PAGE_IS_HUGE: u64 = 1 << 6;
/// Regions that one call asks for.
const REGIONS: usize = 256;

/// The host's file about the pages of an address space.
pub struct PageMap(File);

impl PageMap {
    /// Entries of `pages` pages from `addr` on; None when the host doesn't tell.
    pub fn entries(&self, addr: u64, pages: usize) -> Option<Vec<PageEntry>> {
        let mut bytes = vec![0; pages * 8];
        let at = addr / PAGE_SIZE * 8;
        self.0.read_exact_at(&mut bytes, at).ok()?;
        let (entries, _) = bytes.as_chunks();
        let entry = |e: &[u8; 8]| PageEntry(u64::from_ne_bytes(*e));
        Some(entries.iter().map(entry).collect())
    }

    /// Pages in `range` that are there, by address; the whole as one on hosts before Linux 6.7.
    pub fn regions(&self, range: Range<u64>) -> Vec<Region> {
        let mut found = Vec::new();
        let mut start = range.start;
        let mut regions = [PageRegion::default(); REGIONS];
        while start < range.end {
            let mut arg = ScanArg {
                size: size_of::<ScanArg>() as u64,
                start,
                end: range.end,
                vec: regions.as_mut_ptr() as u64,
                vec_len: REGIONS as u64,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                return_mask: PAGE_IS_PFNZERO | PAGE_IS_HUGE | PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                ..ScanArg::default()
            };
            // SAFETY: needed because nothing safe makes this call. `arg` is what the request number stands for, and
            // names `regions` with their count, where the host stores at most that many.
            let got = unsafe { libc::ioctl(self.0.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
            let Ok(got) = usize::try_from(got) else {
                found.push(Region {
                    range: start..range.end,
                    zero: false,
                    huge: false,
                });
                break;
            };
            found.extend(regions[..got.min(REGIONS)].iter().map(|r| Region {
                range: r.start..r.end,
                zero: r.categories & PAGE_IS_PFNZERO != 0,
                huge: r.categories & PAGE_IS_HUGE != 0,
            }));
            if arg.walk_end <= start {
                break;
            }
            start = arg.walk_end;
        }
        found
    }
}

/// Whether the host has guard pages: [`MapOp::Advise`](crate::MapOp::Advise) takes MADV_GUARD_INSTALL and
/// MADV_GUARD_REMOVE for anonymous memory then.
pub fn has_guard_pages() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let (len, prot) = (PAGE_SIZE as usize, libc::PROT_READ);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: needed because nothing safe asks the host for this. The page is new, known to nobody, and goes again.
        unsafe {
            let page = libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0);
            if page == libc::MAP_FAILED {
                return false;
            }
            let has = libc::madvise(page, len, crate::filter::GUARD_INSTALL) == 0;
            libc::munmap(page, len);
            has
        }
    })
}

impl AddressSpace {
    fn proc_file(&self, name: &str) -> Option<File> {
        File::open(format!("/proc/{}/{name}", self.0.pid)).ok()
    }

    /// What tells of single pages; None when the host doesn't.
    pub fn page_map(&self) -> Option<PageMap> {
        Some(PageMap(self.proc_file("pagemap")?))
    }

    /// Faults that the host has resolved without reading anything, of all threads that there have been; 0 when it
    /// doesn't tell.
    pub fn minor_faults(&self) -> u64 {
        sys::memory_used(self.0.pid).minor_faults
    }

    /// Bytes of anonymous memory that the host holds for this address space; 0 when it doesn't tell.
    pub fn resident_bytes(&self) -> u64 {
        let Some(mut file) = self.proc_file("statm") else {
            return 0;
        };
        let mut text = [0; 128];
        let len = std::io::Read::read(&mut file, &mut text).unwrap_or(0);
        let mut f = str::from_utf8(&text[..len])
            .unwrap_or_default()
            .split(' ')
            .skip(1)
            .map(|v| v.parse::<u64>().unwrap_or(0));
        let (resident, shared) = (f.next().unwrap_or(0), f.next().unwrap_or(0));
        resident.saturating_sub(shared) * PAGE_SIZE
    }

    /// As [`resident_bytes`](Self::resident_bytes), pages shared with other address spaces by fork divided among them.
    /// Costs the host a walk of the page tables. None when it doesn't tell.
    pub fn proportional_bytes(&self) -> Option<u64> {
        let mut text = String::new();
        let mut file = self.proc_file("smaps_rollup")?;
        std::io::Read::read_to_string(&mut file, &mut text).ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix("Pss_Anon:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}
