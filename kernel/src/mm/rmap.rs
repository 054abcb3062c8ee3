//! The way back from a mapping to the address spaces that map it: truncation, eviction, moves and write-back.

use super::Mm;
use super::change::Change;
use super::pagecache::{CacheRange, MapUser, Mapping, PAGE};
use super::vma::{VmFlags, Vma};
use platform::MapOp;
use std::ops::Range;
use std::sync::{Arc, Weak};

/// Tells the mapping of a file's vma that `mm` maps it.
pub(super) fn link(mm: &Mm, vma: &Vma) {
    if let Some((mapping, _)) = vma.mapping() {
        let user: Weak<dyn MapUser> = mm.me.clone();
        mapping.add_user(
            mm.id,
            &user,
            vma.len() / PAGE,
            vma.flags.contains(VmFlags::COW),
            vma.flags.contains(VmFlags::SHARED | VmFlags::MAYWRITE),
        );
    }
}

/// Takes [`link`] back.
pub(super) fn unlink(mm_id: u64, vma: &Vma) {
    if let Some((mapping, _)) = vma.mapping() {
        mapping.remove_user(
            mm_id,
            vma.len() / PAGE,
            vma.flags.contains(VmFlags::COW),
            vma.flags.contains(VmFlags::SHARED | VmFlags::MAYWRITE),
        );
    }
}

impl Mm {
    /// Calls `each` with every area of `mapping` and its addresses that show `pages`.
    fn for_pages(
        &self,
        mapping: &Mapping,
        pages: Range<u64>,
        mut each: impl FnMut(&mut Change<'_>, &Vma, Range<u64>),
    ) {
        let mut change = self.change();
        let areas: Vec<(Vma, Range<u64>)> = change
            .inner
            .vmas
            .iter()
            .filter_map(|vma| {
                let (m, offset) = vma.mapping()?;
                if !std::ptr::eq(&**m, mapping) {
                    return None;
                }
                let first = offset / PAGE;
                let from = pages.start.max(first);
                let to = pages.end.min(first + vma.len() / PAGE);
                let at = |page: u64| vma.start + (page - first) * PAGE;
                (from < to).then(|| (vma.clone(), at(from)..at(to)))
            })
            .collect();
        for (vma, range) in &areas {
            each(&mut change, vma, range.clone());
        }
        if let Err(e) = change.finish_now() {
            crate::pr_warn!("pages could not be unmapped: {e:?}");
        }
    }
}

fn unmap(change: &mut Change<'_>, vma: &Vma, range: Range<u64>) {
    for part in change.on_host(vma, range.start, range.end) {
        change.ops.push(MapOp::Unmap {
            addr: part.start,
            len: part.end - part.start,
        });
    }
    let pages = range.start / PAGE..range.end / PAGE;
    change.inner.mapped.remove(pages.clone());
    change.inner.writable.remove(pages);
}

impl MapUser for Mm {
    fn unmap_pages(&self, mapping: &Mapping, pages: Range<u64>, cows: bool) {
        // A hole of a file in memory shows zeros by itself.
        if !cows && !mapping.has_source() {
            return;
        }
        self.for_pages(mapping, pages, |change, vma, range| {
            if cows || !vma.flags.contains(VmFlags::COW) {
                unmap(change, vma, range);
            }
        });
    }

    fn write_protect(&self, mapping: &Mapping, pages: Range<u64>) {
        self.for_pages(mapping, pages, |change, vma, range| {
            if vma.tracks_dirty() {
                let pages = range.start / PAGE..range.end / PAGE;
                let runs: Vec<_> = change.inner.writable.runs(pages.clone()).collect();
                change.inner.writable.remove(pages);
                let mut prot = vma.flags.prot();
                prot.write = false;
                for run in runs {
                    change.ops.push(MapOp::Protect {
                        addr: run.start * PAGE,
                        len: (run.end - run.start) * PAGE,
                        prot,
                    });
                }
            }
        });
    }

    fn leave_range(&self, mapping: &Mapping, old: &Arc<CacheRange>) {
        self.for_pages(mapping, 0..u64::MAX / PAGE, |change, vma, range| {
            if vma.flags.contains(VmFlags::COW) {
                change.inner.vmas.update(vma.start, vma.end, |v| {
                    if !v.kept.iter().any(|k| Arc::ptr_eq(k, old)) {
                        v.kept.push(old.clone());
                    }
                });
            } else {
                unmap(change, vma, range);
            }
        });
    }
}
