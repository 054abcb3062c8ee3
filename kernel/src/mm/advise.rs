//! madvise(2).

use super::change::{Caller, Change};
use super::fault::Access;
use super::pagecache::{Mapping, PAGE};
use super::vma::{VmFlags, Vma};
use super::{Mm, pagecache};
use crate::error::{Error, Result, err};
use crate::vfs::File;
use abi::errno::Errno;
use abi::fs::FallocFlags;
use abi::mm::*;
use platform::MapOp;
use std::sync::Arc;

/// What is left to do without the `Mm` locked.
enum Later {
    Read(Arc<Mapping>, u64, u64),
    Punch(Arc<Mapping>, Option<Arc<File>>, u64, u64),
    /// Touch the pages of a file.
    Touch(u64, u64, Access),
}

/// Whether mm/madvise.c:madvise_behavior_valid() knows `advice`.
fn is_known(advice: i32) -> bool {
    matches!(
        advice,
        MADV_NORMAL..=MADV_DONTNEED
            | MADV_FREE..=MADV_DODUMP
            | MADV_WIPEONFORK..=MADV_DONTNEED_LOCKED
    ) || matches!(advice, MADV_GUARD_INSTALL | MADV_GUARD_REMOVE) && platform::has_guard_pages()
}

impl Mm {
    /// madvise(2). EINVAL, ENOMEM for holes, EACCES, EFAULT, the file's errors.
    pub fn madvise(&self, caller: &mut Caller<'_>, addr: u64, len: u64, advice: i32) -> Result<()> {
        if !is_known(advice) || !addr.is_multiple_of(PAGE) {
            return err(Errno::EINVAL);
        }
        let len = len.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 {
            return Ok(());
        }
        let mut change = self.change();
        let areas: Vec<Vma> = change.inner.vmas.touching(addr, end).cloned().collect();
        let whole = change.inner.vmas.covered(addr, end);
        let populate = matches!(advice, MADV_POPULATE_READ | MADV_POPULATE_WRITE);
        if populate && !whole {
            return err(Errno::ENOMEM);
        }
        let mut later = Vec::new();
        let mut result = Ok(());
        for vma in &areas {
            let (from, to) = (vma.start.max(addr), vma.end.min(end));
            result = change.advise(vma, from, to, advice, &mut later);
            if result.is_err() {
                break;
            }
        }
        let finished = if populate {
            change.finish_now()
        } else {
            change.finish(caller)
        };
        for job in later {
            self.do_later(job)?;
        }
        result.and(finished)?;
        if whole { Ok(()) } else { err(Errno::ENOMEM) }
    }

    fn do_later(&self, job: Later) -> Result<()> {
        match job {
            Later::Read(mapping, offset, len) => {
                // Reading ahead is a hint.
                let _ = mapping.ensure(offset, len);
                Ok(())
            }
            Later::Punch(mapping, file, offset, len) => punch(&mapping, file.as_ref(), offset, len),
            Later::Touch(from, to, access) => {
                let mut at = from;
                while at < to {
                    self.resolve(at, access)
                        .map_err(|_| Error::new(Errno::EFAULT))?;
                    at += PAGE;
                }
                Ok(())
            }
        }
    }
}

/// A hole in a file, as fallocate(2) makes it.
fn punch(mapping: &Mapping, file: Option<&Arc<File>>, offset: u64, len: u64) -> Result<()> {
    if let Some(file) = file {
        let mode = FallocFlags::FALLOC_FL_PUNCH_HOLE | FallocFlags::FALLOC_FL_KEEP_SIZE;
        match file.inode().fallocate(mode.bits(), offset, len) {
            Err(e) if e == Errno::EOPNOTSUPP && !mapping.has_source() => {}
            other => return other,
        }
    }
    mapping.punch(offset, len)
}

/// mm/madvise.c:can_madvise_modify(): a sealed area's content stays, unless it could be written anyway or is a file's.
fn may_discard(vma: &Vma, advice: i32) -> bool {
    let discards = matches!(
        advice,
        MADV_FREE
            | MADV_DONTNEED
            | MADV_DONTNEED_LOCKED
            | MADV_REMOVE
            | MADV_DONTFORK
            | MADV_WIPEONFORK
            | MADV_GUARD_INSTALL
    );
    !discards
        || !vma.flags.contains(VmFlags::SEALED)
        || !vma.is_anon()
        || vma.flags.contains(VmFlags::WRITE)
}

/// How madvise changes an area's flags: what to set and what to clear.
fn new_flags(vma: &Vma, advice: i32) -> Result<Option<(VmFlags, VmFlags)>> {
    let none = VmFlags::empty();
    Ok(Some(match advice {
        MADV_NORMAL => (none, VmFlags::RANDOM | VmFlags::SEQUENTIAL),
        MADV_RANDOM => (VmFlags::RANDOM, VmFlags::SEQUENTIAL),
        MADV_SEQUENTIAL => (VmFlags::SEQUENTIAL, VmFlags::RANDOM),
        MADV_DONTFORK => (VmFlags::DONTFORK, none),
        MADV_DOFORK => (none, VmFlags::DONTFORK),
        MADV_WIPEONFORK => {
            if !vma.is_anon() {
                return err(Errno::EINVAL);
            }
            (VmFlags::WIPEONFORK, none)
        }
        MADV_KEEPONFORK => (none, VmFlags::WIPEONFORK),
        MADV_DONTDUMP => (VmFlags::DONTDUMP, none),
        MADV_DODUMP => {
            if vma.flags.contains(VmFlags::DONTEXPAND) {
                return err(Errno::EINVAL);
            }
            (none, VmFlags::DONTDUMP)
        }
        MADV_MERGEABLE => (VmFlags::MERGEABLE, none),
        MADV_UNMERGEABLE => (none, VmFlags::MERGEABLE),
        MADV_HUGEPAGE => (VmFlags::HUGEPAGE, VmFlags::NOHUGEPAGE),
        MADV_NOHUGEPAGE => (VmFlags::NOHUGEPAGE, VmFlags::HUGEPAGE),
        _ => return Ok(None),
    }))
}

impl Change<'_> {
    fn advise(
        &mut self,
        vma: &Vma,
        from: u64,
        to: u64,
        advice: i32,
        later: &mut Vec<Later>,
    ) -> Result<()> {
        if !may_discard(vma, advice) {
            return err(Errno::EPERM);
        }
        let locked = vma.flags.contains(VmFlags::LOCKED);
        let (addr, len) = (from, to - from);
        let pages = from / PAGE..to / PAGE;
        if let Some((set, clear)) = new_flags(vma, advice)? {
            self.update(from, to, |v| v.flags = (v.flags - clear) | set);
            if vma.is_anon() && matches!(advice, MADV_HUGEPAGE | MADV_NOHUGEPAGE) {
                self.ops.push(MapOp::Advise { addr, len, advice });
            }
            return Ok(());
        }
        match advice {
            MADV_WILLNEED => {
                if let Some((mapping, offset)) = vma.mapping() {
                    later.push(Later::Read(
                        mapping.clone(),
                        offset + (from - vma.start),
                        len,
                    ));
                }
            }
            MADV_DONTNEED if locked => return err(Errno::EINVAL),
            // Shared pages stay in the cache anyway.
            MADV_DONTNEED | MADV_DONTNEED_LOCKED
                if vma.is_anon() || vma.flags.contains(VmFlags::COW) =>
            {
                for part in self.on_host(vma, from, to) {
                    self.ops.push(MapOp::Advise {
                        addr: part.start,
                        len: part.end - part.start,
                        advice: MADV_DONTNEED,
                    });
                }
            }
            MADV_FREE if !vma.is_anon() => return err(Errno::EINVAL),
            MADV_FREE => self.ops.push(MapOp::Advise { addr, len, advice }),
            // Guard pages are the host's, and it knows nothing of the pages of files that aren't mapped there.
            MADV_GUARD_INSTALL | MADV_GUARD_REMOVE if !vma.is_anon() => {
                return err(Errno::EINVAL);
            }
            MADV_GUARD_INSTALL if locked => return err(Errno::EINVAL),
            MADV_GUARD_INSTALL => {
                self.inner.guards.insert(pages);
                self.ops.push(MapOp::Advise { addr, len, advice });
            }
            MADV_GUARD_REMOVE => {
                self.inner.guards.remove(pages);
                self.ops.push(MapOp::Advise { addr, len, advice });
            }
            MADV_COLD | MADV_PAGEOUT if locked => return err(Errno::EINVAL),
            MADV_REMOVE => {
                let Some((mapping, offset)) = vma.mapping() else {
                    return err(Errno::EINVAL);
                };
                if locked {
                    return err(Errno::EINVAL);
                }
                if !vma.flags.contains(VmFlags::SHARED | VmFlags::MAYWRITE) {
                    return err(Errno::EACCES);
                }
                let offset = offset + (from - vma.start);
                later.push(Later::Punch(
                    mapping.clone(),
                    vma.file().cloned(),
                    offset,
                    len,
                ));
            }
            MADV_POPULATE_READ | MADV_POPULATE_WRITE => {
                let write = advice == MADV_POPULATE_WRITE;
                let wanted = if write {
                    VmFlags::WRITE
                } else {
                    VmFlags::ACCESS
                };
                if !vma.flags.intersects(wanted) {
                    return err(Errno::EINVAL);
                }
                if self.inner.guards.count_in(pages) > 0 {
                    return err(Errno::EFAULT);
                }
                if vma.is_anon() {
                    self.ops.push(MapOp::Advise { addr, len, advice });
                } else {
                    let access = if write { Access::Write } else { Access::Read };
                    later.push(Later::Touch(from, to, access));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Mm {
    /// mseal(2). ENOMEM for holes.
    pub fn seal(&self, addr: u64, end: u64) -> Result<()> {
        let mut change = self.change();
        if !change.inner.vmas.covered(addr, end) {
            return err(Errno::ENOMEM);
        }
        change.update(addr, end, |v| v.flags |= VmFlags::SEALED);
        change.finish_now()
    }

    /// mincore(2): a byte for each page of `[addr, addr + len)`, 1 when it is in memory.
    /// ENOMEM when nothing is mapped there.
    pub fn mincore(&self, addr: u64, pages: u64) -> Result<Vec<u8>> {
        let end = addr + pages * PAGE;
        let inner = self.inner.lock();
        if !inner.vmas.covered(addr, end) {
            return err(Errno::ENOMEM);
        }
        let map = self.address_space().page_map();
        let mut out = match map.and_then(|map| map.entries(addr, pages as usize)) {
            Some(entries) => entries.iter().map(|e| u8::from(e.is_present())).collect(),
            None => vec![1; pages as usize],
        };
        for vma in inner.vmas.touching(addr, end) {
            let Some((mapping, offset)) = vma.mapping() else {
                continue;
            };
            let (from, to) = (vma.start.max(addr), vma.end.min(end));
            let first = (from - vma.start + offset) / pagecache::PAGE;
            let at = (from - addr) / PAGE;
            let count = (to - from) / PAGE;
            for run in mapping.resident_runs(first..first + count) {
                let run = (run.start - first + at) as usize..(run.end - first + at) as usize;
                out[run].fill(1);
            }
        }
        Ok(out)
    }

    /// msync(2): writes dirty pages back. EBUSY for locked memory with `invalidate`, ENOMEM for holes.
    pub fn msync(&self, addr: u64, len: u64, sync: bool, invalidate: bool) -> Result<()> {
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        let mut todo = Vec::new();
        let whole = {
            let inner = self.inner.lock();
            for vma in inner.vmas.touching(addr, end) {
                if invalidate && vma.flags.contains(VmFlags::LOCKED) {
                    return err(Errno::EBUSY);
                }
                if let (Some((mapping, offset)), true) = (vma.mapping(), vma.tracks_dirty()) {
                    let (from, to) = (vma.start.max(addr), vma.end.min(end));
                    todo.push((mapping.clone(), offset + (from - vma.start), to - from));
                }
            }
            inner.vmas.covered(addr, end)
        };
        if sync {
            for (mapping, offset, len) in todo {
                mapping.sync(offset, len)?;
            }
        }
        if whole { Ok(()) } else { err(Errno::ENOMEM) }
    }
}
