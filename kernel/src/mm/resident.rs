//! What of an address space is in memory, page by page: /proc/pid/smaps, smaps_rollup and pagemap.
//!
//! The host resolves faults of anonymous memory alone, so only the host knows; it is asked when a program asks. A page
//! that the host has swapped out counts as there: the guest has no swap. How many processes share a page isn't told,
//! only whether some do: what the host says of the address space as a whole is divided among its areas.

use super::pagecache::PAGE;
use super::rangeset::RangeSet;
use super::report::{letters, line};
use super::vma::{Backing, VmFlags, Vma};
use super::{Inner, Mm};
use crate::vfs::File;
use platform::{PageEntry, PageMap};
use std::fmt::Write;

/// Pages looked at in one go.
const CHUNK: u64 = 1 << 15;

/// Pages of an area that are in memory.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Census {
    /// Private memory and private copies, nobody else's.
    anon: u64,
    /// The same, still shared with a relative since a fork.
    anon_shared: u64,
    file_clean: u64,
    file_dirty: u64,
    /// Of these, other address spaces map.
    shared_clean: u64,
    shared_dirty: u64,
    /// How many address spaces map the file.
    users: u64,
    /// Anonymous pages that are parts of huge ones.
    huge: u64,
    /// Memory without a file: tmpfs, shared anonymous memory.
    shmem: bool,
    locked: bool,
}

/// Sums in bytes.
#[derive(Clone, Copy, Default)]
struct Sizes {
    rss: u64,
    pss_anon: u64,
    pss_file: u64,
    pss_shmem: u64,
    pss_dirty: u64,
    shared_clean: u64,
    shared_dirty: u64,
    private_clean: u64,
    private_dirty: u64,
    anonymous: u64,
    huge: u64,
    locked: u64,
}

impl Census {
    /// With no pages yet.
    fn of(vma: &Vma) -> Census {
        let mapping = vma.mapping().map(|(mapping, _)| mapping);
        Census {
            users: mapping.map_or(1, |m| m.users() as u64),
            shmem: mapping.is_some_and(|m| !m.has_source()),
            locked: vma.flags.contains(VmFlags::LOCKED),
            ..Census::default()
        }
    }

    /// `relatives`: among how many address spaces an anonymous page that isn't one's own alone is divided.
    fn sizes(&self, relatives: f64) -> Sizes {
        let divided = |pages: u64, by: f64| (pages as f64 * PAGE as f64 / by.max(1.0)) as u64;
        let users = self.users as f64;
        let own_clean = (self.file_clean - self.shared_clean) * PAGE;
        let own_dirty = (self.file_dirty - self.shared_dirty) * PAGE;
        let pss_anon = self.anon * PAGE + divided(self.anon_shared, relatives);
        let pss_dirty = own_dirty + divided(self.shared_dirty, users);
        let pss = own_clean + divided(self.shared_clean, users) + pss_dirty;
        let (pss_file, pss_shmem) = if self.shmem { (0, pss) } else { (pss, 0) };
        let anonymous = (self.anon + self.anon_shared) * PAGE;
        Sizes {
            rss: anonymous + (self.file_clean + self.file_dirty) * PAGE,
            pss_anon,
            pss_file,
            pss_shmem,
            pss_dirty: pss_anon + pss_dirty,
            shared_clean: self.shared_clean * PAGE,
            shared_dirty: (self.shared_dirty + self.anon_shared) * PAGE,
            private_clean: own_clean,
            private_dirty: own_dirty + self.anon * PAGE,
            anonymous,
            huge: self.huge * PAGE,
            locked: if self.locked { pss_anon + pss } else { 0 },
        }
    }
}

impl Sizes {
    fn add(&mut self, other: &Sizes) {
        self.rss += other.rss;
        self.pss_anon += other.pss_anon;
        self.pss_file += other.pss_file;
        self.pss_shmem += other.pss_shmem;
        self.pss_dirty += other.pss_dirty;
        self.shared_clean += other.shared_clean;
        self.shared_dirty += other.shared_dirty;
        self.private_clean += other.private_clean;
        self.private_dirty += other.private_dirty;
        self.anonymous += other.anonymous;
        self.huge += other.huge;
        self.locked += other.locked;
    }

    /// fs/proc/task_mmu.c:__show_smap().
    fn show(&self, rollup: bool) -> String {
        let mut text = String::new();
        let mut field = |name: &str, bytes: u64| {
            let _infallible = writeln!(text, "{:<16}{:>8} kB", format!("{name}:"), bytes / 1024);
        };
        field("Rss", self.rss);
        field("Pss", self.pss_anon + self.pss_file + self.pss_shmem);
        field("Pss_Dirty", self.pss_dirty);
        if rollup {
            field("Pss_Anon", self.pss_anon);
            field("Pss_File", self.pss_file);
            field("Pss_Shmem", self.pss_shmem);
        }
        field("Shared_Clean", self.shared_clean);
        field("Shared_Dirty", self.shared_dirty);
        field("Private_Clean", self.private_clean);
        field("Private_Dirty", self.private_dirty);
        field("Referenced", self.rss);
        field("Anonymous", self.anonymous);
        field("KSM", 0);
        field("LazyFree", 0);
        field("AnonHugePages", self.huge);
        field("ShmemPmdMapped", 0);
        field("FilePmdMapped", 0);
        field("Shared_Hugetlb", 0);
        field("Private_Hugetlb", 0);
        field("Swap", 0);
        field("SwapPss", 0);
        field("Locked", self.locked);
        text
    }
}

/// The areas as they were at one moment, and what is in memory of each.
struct Survey {
    areas: Vec<Vma>,
    counts: Vec<Census>,
    relatives: f64,
}

/// Counts an area's pages. `dirty`: pages that the host lets the guest write, of a file that is written back.
fn count(map: &PageMap, vma: &Vma, dirty: &RangeSet) -> Option<Census> {
    let mut census = Census::of(vma);
    if matches!(vma.backing, Backing::Kernel { .. }) {
        return Some(census);
    }
    for region in map.regions(vma.start..vma.end) {
        if region.zero {
            continue;
        }
        let mut at = region.range.start;
        while at < region.range.end {
            let pages = ((region.range.end - at) / PAGE).min(CHUNK);
            for (i, entry) in map.entries(at, pages as usize)?.iter().enumerate() {
                if entry.is_there() {
                    let dirty = census.shmem || dirty.contains(at / PAGE + i as u64);
                    census.page(*entry, region.huge, dirty);
                }
            }
            at += pages * PAGE;
        }
    }
    Some(census)
}

impl Census {
    fn page(&mut self, entry: PageEntry, huge: bool, dirty: bool) {
        if !entry.is_file() {
            self.huge += u64::from(huge);
            if entry.is_exclusive() {
                self.anon += 1;
            } else {
                self.anon_shared += 1;
            }
            return;
        }
        let shared = u64::from(self.users > 1 && !entry.is_exclusive());
        if dirty {
            self.file_dirty += 1;
            self.shared_dirty += shared;
        } else {
            self.file_clean += 1;
            self.shared_clean += shared;
        }
    }
}

/// What is known without the host: the pages of files that it was told to map.
fn estimate(inner: &Inner, vma: &Vma) -> Census {
    let empty = Census::of(vma);
    let mapped = inner.mapped.count_in(vma.pages());
    Census {
        file_clean: mapped,
        shared_clean: if empty.users > 1 { mapped } else { 0 },
        ..empty
    }
}

impl Mm {
    fn survey(&self) -> Survey {
        let map = self.address_space().page_map();
        let (areas, estimates, dirty) = {
            let inner = self.inner.lock();
            let areas = inner.known_areas();
            let estimates: Vec<_> = areas.iter().map(|vma| estimate(&inner, vma)).collect();
            (areas, estimates, inner.writable.clone())
        };
        let counts: Vec<_> = areas
            .iter()
            .zip(estimates)
            .map(|(vma, estimate)| {
                let counted = map.as_ref().and_then(|map| count(map, vma, &dirty));
                counted.unwrap_or(estimate)
            })
            .collect();
        let own = counts.iter().map(|c| c.anon).sum::<u64>() * PAGE;
        let shared = counts.iter().map(|c| c.anon_shared).sum::<u64>() * PAGE;
        let relatives = match shared {
            0 => 1.0,
            _ => match self.address_space().proportional_bytes() {
                Some(pss) => shared as f64 / pss.saturating_sub(own).max(PAGE) as f64,
                None => 1.0,
            },
        };
        Survey {
            areas,
            counts,
            relatives,
        }
    }

    /// /proc/pid/smaps_rollup: the whole address space as one area (fs/proc/task_mmu.c:show_smaps_rollup()).
    pub fn smaps_rollup(&self) -> Vec<u8> {
        let survey = self.survey();
        let mut all = Sizes::default();
        for census in &survey.counts {
            all.add(&census.sizes(survey.relatives));
        }
        let start = survey.areas.first().map_or(0, |v| v.start);
        let end = survey.areas.last().map_or(0, |v| v.end);
        let mut text = format!("{start:08x}-{end:08x} ---p 00000000 00:00 0 ");
        while text.len() < 73 {
            text.push(' ');
        }
        text.push_str("[rollup]\n");
        text.push_str(&all.show(true));
        text.into_bytes()
    }

    /// /proc/pid/smaps.
    pub fn smaps(&self, path: impl Fn(&File) -> Vec<u8>) -> Vec<u8> {
        let layout = self.layout();
        let survey = self.survey();
        let mut out = Vec::new();
        for (vma, census) in survey.areas.iter().zip(&survey.counts) {
            line(&mut out, vma, &layout, &path);
            let mut text = String::new();
            for (name, bytes) in [
                ("Size:", vma.len()),
                ("KernelPageSize:", PAGE),
                ("MMUPageSize:", PAGE),
            ] {
                let _infallible = writeln!(text, "{name:<16}{:>8} kB", bytes / 1024);
            }
            text.push_str(&census.sizes(survey.relatives).show(false));
            let _infallible = writeln!(text, "VmFlags: {}", letters(vma.flags));
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// Entries of /proc/pid/pagemap for `pages` pages from `addr` on: fs/proc/task_mmu.c:pagemap_read() without page
    /// frame numbers, which a guest has none of.
    pub fn pagemap(&self, addr: u64, pages: usize) -> Vec<u64> {
        let mut out = vec![0; pages];
        let end = addr + pages as u64 * PAGE;
        let areas: Vec<_> = {
            let inner = self.inner.lock();
            let known = inner.vmas.touching(addr, end);
            known
                .filter(|v| !v.flags.contains(VmFlags::HIDDEN))
                .map(|v| (v.start.max(addr), v.end.min(end)))
                .collect()
        };
        let Some(map) = self.address_space().page_map() else {
            return out;
        };
        for (from, to) in areas {
            let first = ((from - addr) / PAGE) as usize;
            let entries = map.entries(from, ((to - from) / PAGE) as usize);
            for (i, entry) in entries.into_iter().flatten().enumerate() {
                let bit = |on: bool, bit: u64| if on { bit } else { 0 };
                out[first + i] = bit(entry.is_there(), PageEntry::PRESENT)
                    | bit(entry.is_file(), PageEntry::FILE)
                    | bit(entry.is_guard(), PageEntry::GUARD)
                    | bit(entry.is_exclusive(), PageEntry::EXCLUSIVE);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_pages_count_in_parts() {
        let census = Census {
            anon: 3,
            anon_shared: 4,
            file_clean: 6,
            shared_clean: 4,
            users: 2,
            ..Census::default()
        };
        let sizes = census.sizes(2.0);
        assert_eq!(sizes.rss, 13 * PAGE);
        assert_eq!(sizes.pss_anon, 5 * PAGE);
        assert_eq!(sizes.pss_file, 4 * PAGE);
        assert_eq!(sizes.shared_dirty, 4 * PAGE);
        assert_eq!(sizes.private_clean, 2 * PAGE);
        assert_eq!(sizes.private_dirty, 3 * PAGE);
    }
}
