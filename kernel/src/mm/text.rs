//! Program text as guests map it: a file's pages with patched call sites, and the trampolines that go before them.
//!
//! The file's own pages must stay as they are: read(2) shows them, write-back stores them. So executable private mappings show
//! another [`Mapping`], a copy that is filled from the file page by page and patched on the way ([`platform::patch`]), one for all
//! processes. It is of one version of the file: whatever changes the file makes the next mapping begin anew.
//!
//! Trampolines are reached by relative jumps, so they must lie right before the place of the file's first byte. Where that
//! place is taken, the process gets the file's own pages, whose calls trap.

use super::change::Change;
use super::pagecache::{CacheRange, Mapping, PAGE, PageSource, memory};
use super::place::MIN_ADDR;
use super::vma::{Backing, VmFlags, Vma};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use crate::vfs::Sink;
use abi::errno::Errno;
use platform::MapOp;
use platform::patch::{CONTEXT, Code, SLOT};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// One page of trampolines for so many bytes of a file, at least one and at most `GAP_MAX` bytes.
const BYTES_A_PAGE: u64 = 256 << 10;
const GAP_MAX: u64 = 1 << 20;

/// The patched copy of one version of a file.
pub struct Text {
    file: Weak<Mapping>,
    version: u64,
    mapping: Arc<Mapping>,
    trampolines: Arc<CacheRange>,
    /// Bytes of trampolines.
    gap: u64,
    /// Slots by the file offset of their site; a page that is filled again gets the same ones.
    slots: Lock<HashMap<u64, u64>>,
}

impl Text {
    fn new(file: &Arc<Mapping>, version: u64) -> Option<Arc<Text>> {
        let size = file.size();
        let pages = size.div_ceil(BYTES_A_PAGE);
        let gap = (pages * PAGE).clamp(PAGE, GAP_MAX);
        let trampolines = CacheRange::new(gap)?;
        Some(Arc::new_cyclic(|me: &Weak<Text>| Text {
            file: Arc::downgrade(file),
            version,
            mapping: Mapping::new_text(me.clone(), size),
            trampolines,
            gap,
            slots: Lock::new(Rank::LEAF, HashMap::new()),
        }))
    }

    fn slot(&self, site: u64) -> Option<u64> {
        let mut slots = self.slots.lock();
        let next = slots.len() as u64;
        if let Some(slot) = slots.get(&site) {
            return Some(*slot);
        }
        if next == self.gap / SLOT {
            return None;
        }
        slots.insert(site, next);
        Some(next)
    }

    /// Its pages.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

impl PageSource for Text {
    fn fill(&self, start: u64, len: u64, cache_offset: u64) -> Result<()> {
        let file = self.file.upgrade().ok_or(Errno::EIO)?;
        let (mut from, mut to) = (start, start + len);
        let direct = file.fill_elsewhere(start, len, cache_offset)?;
        if !direct {
            from = start.saturating_sub(CONTEXT);
            to += CONTEXT;
        }
        let mut bytes = vec![0; (to - from) as usize];
        if direct {
            memory().read(cache_offset, &mut bytes);
        } else {
            // Of a file that was cut meanwhile the rest is zero.
            file.read(&mut Sink::kernel(&mut bytes), from)?;
        }
        let base = self.trampolines.base();
        Code {
            bytes: &mut bytes,
            start: from,
            window: start..start + len,
            gap: self.gap,
        }
        .patch(
            |site| self.slot(site),
            |slot, code| memory().write(base + slot * SLOT, &code),
        );
        let skip = (start - from) as usize;
        memory().write(cache_offset, &bytes[skip..skip + len as usize]);
        Ok(())
    }

    fn write_back(&self, _start: u64, _len: u64, _cache_offset: u64) -> Result<()> {
        err(Errno::EROFS)
    }
}

/// A file's patched copies, kept by its [`Mapping`]: the current one, and older ones that are still mapped.
#[derive(Default)]
pub struct Texts(Vec<Arc<Text>>);

impl Texts {
    /// The copy for `version` of `file`. None when there is no room for one.
    pub fn get(&mut self, file: &Arc<Mapping>, version: u64) -> Option<Arc<Text>> {
        if let Some(text) = self.0.iter().find(|t| t.version == version) {
            return Some(text.clone());
        }
        self.0.retain(|text| text.mapping.is_mapped());
        let text = Text::new(file, version)?;
        self.0.push(text.clone());
        Some(text)
    }
}

/// The patched copy for an area that maps program text, if the area is one.
pub(super) fn for_area(flags: VmFlags, backing: &Backing) -> Option<Arc<Text>> {
    let text = flags.contains(VmFlags::EXEC)
        && !flags.intersects(VmFlags::WRITE | VmFlags::MAYSHARE | VmFlags::COW);
    match backing {
        Backing::File {
            mapping,
            file: Some(_),
            ..
        } if text => mapping.text(),
        _ => None,
    }
}

/// Where an area's trampolines are: `gap` bytes before the place of its file's first byte.
fn trampolines_at(vma: &Vma, gap: u64) -> Option<u64> {
    let (_, offset) = vma.mapping()?;
    vma.start
        .checked_sub(offset)?
        .checked_sub(gap)
        .filter(|at| *at >= MIN_ADDR)
}

impl Change<'_> {
    /// Maps `vma`, replacing what is there; as patched text if that is given and its trampolines have a place, which
    /// `reserved` may refuse.
    pub fn install_text(
        &mut self,
        mut vma: Vma,
        text: Option<Arc<Text>>,
        reserved: impl Fn(u64, u64) -> bool,
    ) {
        let Some(text) = text else {
            return self.install(vma);
        };
        let Some(at) = trampolines_at(&vma, text.gap) else {
            return self.install(vma);
        };
        let there = self.has_trampolines(at, &text.trampolines);
        let end = at + text.gap;
        let overlaps = vma.start < end && at < vma.end;
        if !there && (overlaps || !self.inner.vmas.is_free(at, end) || reserved(at, end)) {
            return self.install(vma);
        }
        if let Backing::File { mapping, .. } = &mut vma.backing {
            *mapping = text.mapping.clone();
        }
        vma.kept.push(text.trampolines.clone());
        self.install(vma);
        if !self.has_trampolines(at, &text.trampolines) {
            self.install(Vma {
                start: at,
                end,
                flags: VmFlags::READ
                    | VmFlags::EXEC
                    | VmFlags::MAYREAD
                    | VmFlags::MAYEXEC
                    | VmFlags::DONTEXPAND
                    | VmFlags::DONTDUMP
                    | VmFlags::HIDDEN,
                backing: Backing::Kernel {
                    offset: text.trampolines.base(),
                },
                name: None,
                kept: vec![text.trampolines.clone()],
            });
        }
    }

    fn has_trampolines(&self, at: u64, range: &CacheRange) -> bool {
        self.inner.vmas.find(at).is_some_and(|vma| {
            vma.start == at
                && matches!(vma.backing, Backing::Kernel { offset } if offset == range.base())
        })
    }

    /// Takes away the trampolines of text that was removed, when nothing else in this address space uses them.
    pub(super) fn drop_trampolines(&mut self, removed: &[Vma]) {
        for vma in removed {
            let Some((mapping, offset)) = vma.mapping() else {
                continue;
            };
            let base = vma.start - offset;
            let mut users = self.inner.vmas.touching(base, base + mapping.size());
            let used = users.any(|other| {
                other
                    .mapping()
                    .is_some_and(|(m, at)| Arc::ptr_eq(m, mapping) && other.start - at == base)
            });
            drop(users);
            let below = self.inner.vmas.find_before(base).cloned();
            if let Some(t) = below
                && !used
                && t.end == base
                && vma.kept.iter().any(|range| {
                    matches!(t.backing, Backing::Kernel { offset } if offset == range.base())
                })
                && self.cut(t.start, t.end)
            {
                self.ops.push(MapOp::Unmap {
                    addr: t.start,
                    len: t.len(),
                });
            }
        }
    }

    /// Before areas are moved, since trampolines don't move along, or made writable: what is patched text there becomes
    /// the file's own pages. The trampolines stay: some thread may be in the middle of one.
    pub(super) fn leave_text(&mut self, start: u64, end: u64) {
        let areas: Vec<Vma> = self.inner.vmas.touching(start, end).cloned().collect();
        for vma in areas {
            let is_text = vma.mapping().is_some_and(|(m, _)| m.is_text());
            let plain = vma.file().filter(|_| is_text);
            let Some(Ok(plain)) = plain.map(|file| file.ops().mapping(file)) else {
                continue;
            };
            let mut vma = vma.part(vma.start.max(start), vma.end.min(end));
            if let Backing::File { mapping, .. } = &mut vma.backing {
                *mapping = plain;
            }
            vma.kept.clear();
            self.cut_alone(vma.start, vma.end);
            self.map_on_host(&vma, true);
            self.put(vma);
        }
    }
}
