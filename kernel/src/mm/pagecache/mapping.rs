//! One inode's pages: where they are, which are there, who maps them, and their size.

use super::accounting::{self, Quota};
use super::{CacheRange, PAGE, PageSource, memory};
use crate::error::{Result, err};
use crate::mm::rangeset::RangeSet;
use crate::mm::text::{Text, Texts};
use crate::sync::{Lock, Mutex, Rank, WaitQueue};
use abi::errno::Errno;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A file can't be larger: fs/libfs MAX_LFS_FILESIZE.
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

/// An address space that maps pages of a [`Mapping`]. Called in a task without the mapping's `fill` or `state`.
pub trait MapUser: Send + Sync {
    /// Takes pages `pages` of `mapping` out of the guest, so that it faults there; with `cows` private copies, too.
    fn unmap_pages(&self, mapping: &Mapping, pages: Range<u64>, cows: bool);
    /// Makes shared mappings of those pages fault on writes.
    fn write_protect(&self, mapping: &Mapping, pages: Range<u64>);
    /// The mapping is about to leave `old`: unmaps all of it, or keeps `old` for what has private copies.
    fn leave_range(&self, mapping: &Mapping, old: &Arc<CacheRange>);
}

struct User {
    id: u64,
    user: Weak<dyn MapUser>,
    pages: u64,
    /// Of these, in private vmas that may hold copies.
    cow: u64,
    /// Of these, in shared vmas that are or may become writable.
    shared_write: u64,
}

#[derive(Default)]
pub(super) struct ReadAhead {
    pub next: u64,
    pub window: u64,
}

pub(super) struct State {
    pub range: Option<Arc<CacheRange>>,
    /// Pages with content; without a source, pages that were written by the kernel.
    pub valid: RangeSet,
    pub dirty: RangeSet,
    users: Vec<User>,
    /// How many replace its range or take pages away: nobody may map pages meanwhile.
    moving: u32,
    /// Readers in the middle of a copy: no eviction.
    pub pins: u32,
    pub readahead: ReadAhead,
    pub used_at: u64,
    /// When the oldest dirty page got dirty, CLOCK_MONOTONIC nanoseconds; 0 when none is.
    dirtied_ns: u64,
    /// The inode stays while it has dirty pages: dropping it would lose them.
    keeper: Option<Arc<dyn PageSource>>,
}

/// The cached pages of one inode. Shared by the inode, its open files and the vmas that map it; the last drop frees
/// the pages.
pub struct Mapping {
    id: u64,
    me: Weak<Mapping>,
    pub(super) source: Option<Weak<dyn PageSource>>,
    pub(super) quota: Option<Arc<Quota>>,
    pub(super) size: AtomicU64,
    /// Guests could write to any page without the kernel seeing which.
    pub(super) guest_written: AtomicBool,
    /// Writers, truncation, moves.
    pub(super) io: Mutex<()>,
    /// Filling pages from the source.
    pub(super) fill: Mutex<()>,
    pub(super) write_back: Mutex<()>,
    pub(super) state: Lock<State>,
    settled: WaitQueue,
    /// Counts changes of the content.
    version: AtomicU64,
    /// Copies of program text.
    texts: Mutex<Texts>,
    is_text: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static TICK: AtomicU64 = AtomicU64::new(1);

/// Keeps a mapping's pages from being evicted.
pub(super) struct Pin<'a>(&'a Mapping);

/// A change of the content under way.
pub(super) struct Changing<'a>(&'a Mapping);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.version.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.0.state.lock().pins -= 1;
    }
}

pub(super) fn pages_of(offset: u64, len: u64) -> Range<u64> {
    offset / PAGE..offset.saturating_add(len).div_ceil(PAGE)
}

impl Mapping {
    /// Pages for a file of `size` bytes; `source: None` for a file that lives in memory only.
    pub fn new(source: Option<Weak<dyn PageSource>>, size: u64) -> Arc<Mapping> {
        Mapping::with_quota(source, size, None)
    }

    /// As [`new`](Self::new) with a bound on its pages.
    pub fn with_quota(
        source: Option<Weak<dyn PageSource>>,
        size: u64,
        quota: Option<Arc<Quota>>,
    ) -> Arc<Mapping> {
        Arc::new_cyclic(|me| Mapping {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            me: me.clone(),
            source,
            quota,
            size: AtomicU64::new(size),
            guest_written: AtomicBool::new(false),
            io: Mutex::new(()),
            fill: Mutex::new(()),
            write_back: Mutex::new(()),
            state: Lock::new(
                Rank::MAPPING,
                State {
                    range: None,
                    valid: RangeSet::new(),
                    dirty: RangeSet::new(),
                    users: Vec::new(),
                    moving: 0,
                    pins: 0,
                    readahead: ReadAhead::default(),
                    used_at: 0,
                    dirtied_ns: 0,
                    keeper: None,
                },
            ),
            settled: WaitQueue::new(),
            version: AtomicU64::new(0),
            texts: Mutex::new(Texts::default()),
            is_text: AtomicBool::new(false),
        })
    }

    /// Unique among all mappings of the machine's life; names shared futexes.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::SeqCst)
    }

    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// The content changes while the value lives: copies of text made meanwhile are used no longer than that.
    pub(super) fn changing(&self) -> Changing<'_> {
        self.version.fetch_add(1, Ordering::SeqCst);
        Changing(self)
    }

    /// The copy of the current content with patched call sites. None for what guests may write to unseen.
    pub fn text(self: &Arc<Mapping>) -> Option<Arc<Text>> {
        if self.guest_written.load(Ordering::SeqCst) {
            return None;
        }
        let version = self.version.load(Ordering::SeqCst);
        self.texts.lock().get(self, version)
    }

    /// As [`new`](Self::new), for the pages of such a copy.
    pub fn new_text(source: Weak<dyn PageSource>, size: u64) -> Arc<Mapping> {
        let mapping = Mapping::new(Some(source), size);
        mapping.is_text.store(true, Ordering::Relaxed);
        mapping
    }

    /// Whether it is such a copy.
    pub fn is_text(&self) -> bool {
        self.is_text.load(Ordering::Relaxed)
    }

    /// Pages that hold content. Without a source these are the allocated ones (st_blocks, statfs).
    pub fn resident_pages(&self) -> u64 {
        let mut state = self.state.lock();
        self.learn(&mut state, 0..u64::MAX);
        state.valid.count()
    }

    /// Notes which of `pages` guests have made through shared mappings of a file without source.
    pub(super) fn learn(&self, state: &mut State, pages: Range<u64>) {
        if self.source.is_some() || !self.guest_written.load(Ordering::Relaxed) {
            return;
        }
        let Some(range) = &state.range else { return };
        let limit = self.size().div_ceil(PAGE).min(range.len() / PAGE);
        let pages = pages.start..pages.end.min(limit);
        if pages.is_empty() || state.valid.covers(pages.clone()) {
            return;
        }
        let base = range.base();
        let mut new = 0;
        for run in memory().data_runs(base + pages.start * PAGE, base + pages.end * PAGE) {
            new += state
                .valid
                .insert((run.start - base) / PAGE..(run.end - base).div_ceil(PAGE));
        }
        accounting::charge_anyway(self.quota.as_deref(), new);
    }

    /// Pages that wait to be written back.
    pub fn dirty_pages(&self) -> u64 {
        self.state.lock().dirty.count()
    }

    /// Pages of `pages` that are in memory, as runs (mincore, cachestat).
    pub fn resident_runs(&self, pages: Range<u64>) -> Vec<Range<u64>> {
        let mut state = self.state.lock();
        self.learn(&mut state, pages.clone());
        state.valid.runs(pages).collect()
    }

    /// Pages of `pages` that are to be written back.
    pub fn dirty_in(&self, pages: Range<u64>) -> u64 {
        self.state.lock().dirty.count_in(pages)
    }

    pub(super) fn pin(&self) -> Pin<'_> {
        let mut state = self.state.lock();
        state.pins += 1;
        state.used_at = TICK.fetch_add(1, Ordering::Relaxed);
        Pin(self)
    }

    pub(super) fn used_at(&self) -> u64 {
        self.state.lock().used_at
    }

    /// Calls `each` with every address space that maps it, also with those that a fork adds meanwhile: they inherit
    /// what the parent had mapped then.
    fn for_users(&self, mut each: impl FnMut(&dyn MapUser)) {
        let mut seen = Vec::new();
        loop {
            let new: Vec<(u64, Option<Arc<dyn MapUser>>)> = self
                .state
                .lock()
                .users
                .iter()
                .filter(|u| !seen.contains(&u.id))
                .map(|u| (u.id, u.user.upgrade()))
                .collect();
            if new.is_empty() {
                return;
            }
            for (id, user) in new {
                seen.push(id);
                if let Some(user) = user {
                    each(&*user);
                }
            }
        }
    }

    /// Whether any address space maps it.
    pub fn is_mapped(&self) -> bool {
        !self.state.lock().users.is_empty()
    }

    /// Whether a shared mapping exists that is or may become writable (F_SEAL_WRITE: mapping_deny_writable()).
    pub fn is_mapped_writable(&self) -> bool {
        self.state.lock().users.iter().any(|u| u.shared_write > 0)
    }

    /// Address spaces that map it.
    pub fn users(&self) -> usize {
        self.state.lock().users.len()
    }

    /// Counts `pages` more of the address space `id`. `cow`: private and writable. `shared_write`: guests may write
    /// to the pages themselves.
    pub fn add_user(
        &self,
        id: u64,
        user: &Weak<dyn MapUser>,
        pages: u64,
        cow: bool,
        shared_write: bool,
    ) {
        if shared_write {
            self.guest_written.store(true, Ordering::Relaxed);
        }
        let cow = if cow { pages } else { 0 };
        let shared_write = if shared_write { pages } else { 0 };
        let mut state = self.state.lock();
        match state.users.iter_mut().find(|u| u.id == id) {
            Some(u) => {
                u.pages += pages;
                u.cow += cow;
                u.shared_write += shared_write;
            }
            None => state.users.push(User {
                id,
                user: user.clone(),
                pages,
                cow,
                shared_write,
            }),
        }
    }

    /// Takes back `pages` of an [`add_user`](Self::add_user).
    pub fn remove_user(&self, id: u64, pages: u64, cow: bool, shared_write: bool) {
        let mut state = self.state.lock();
        if let Some(at) = state.users.iter().position(|u| u.id == id) {
            let user = &mut state.users[at];
            user.pages -= pages;
            user.cow -= if cow { pages } else { 0 };
            user.shared_write -= if shared_write { pages } else { 0 };
            if user.pages == 0 {
                state.users.swap_remove(at);
            }
        }
    }

    /// Where pages `pages` can be mapped from: runs of pages with the offset of each in the page-cache memory. Pages
    /// that aren't filled are left out. None while the mapping moves: [`settle`](Self::settle) without the `Mm`, then retry.
    pub fn mappable(&self, pages: Range<u64>) -> Option<Vec<(Range<u64>, u64)>> {
        let mut state = self.state.lock();
        if state.moving > 0 {
            return None;
        }
        state.used_at = TICK.fetch_add(1, Ordering::Relaxed);
        let end = pages.end.min(self.size().div_ceil(PAGE));
        let Some(range) = &state.range else {
            return Some(Vec::new());
        };
        let (base, end) = (range.base(), end.min(range.len() / PAGE));
        if pages.start >= end {
            return Some(Vec::new());
        }
        let place = |r: Range<u64>| (r.clone(), base + r.start * PAGE);
        Some(if self.source.is_none() {
            vec![place(pages.start..end)]
        } else {
            state.valid.runs(pages.start..end).map(place).collect()
        })
    }

    /// Waits for a move to end and gives the file room for pages below `end` (bytes). Without the `Mm` held. ENOMEM.
    pub fn settle(&self, end: u64) -> Result<()> {
        self.settled
            .wait_uninterruptible(|| (self.state.lock().moving == 0).then_some(()));
        let size = self.size().next_multiple_of(PAGE);
        // With a source there is always room for the whole file: it is filled in windows of any place.
        let end = if self.source.is_some() {
            size
        } else {
            end.min(size)
        };
        let enough = |state: &State| state.range.as_ref().is_some_and(|r| r.len() >= end);
        if end > 0 && !enough(&self.state.lock()) {
            let _io = self.io.lock();
            self.cover(end)?;
        }
        Ok(())
    }

    /// Marks pages dirty that a guest is about to write.
    pub fn mark_dirty(&self, pages: Range<u64>) {
        if self.source.is_some() {
            self.note_dirty(&mut self.state.lock(), pages);
        }
    }

    /// Adds to the dirty pages of a file that has a source.
    pub(super) fn note_dirty(&self, state: &mut State, pages: Range<u64>) {
        let more = state.dirty.insert(pages);
        accounting::dirtied(more);
        if let Some(task) = crate::sched::try_current() {
            task.io.note_stored_dirtied(more * PAGE);
        }
        if state.dirtied_ns == 0 && !state.dirty.is_empty() {
            state.dirtied_ns = crate::time::monotonic_ns().max(1);
            state.keeper = self.source.as_ref().and_then(Weak::upgrade);
        }
    }

    /// Takes from the dirty pages. What it returns is dropped without locks.
    #[must_use]
    fn note_clean(state: &mut State, pages: Range<u64>) -> Option<Arc<dyn PageSource>> {
        accounting::cleaned(state.dirty.remove(pages));
        if !state.dirty.is_empty() {
            return None;
        }
        state.dirtied_ns = 0;
        state.keeper.take()
    }

    /// Since when it has pages to write back, CLOCK_MONOTONIC nanoseconds; None without any.
    pub(super) fn dirty_since(&self) -> Option<u64> {
        Some(self.state.lock().dirtied_ns).filter(|ns| *ns != 0)
    }

    /// Makes the range hold at least `end` bytes. With `io`. ENOSPC.
    pub(super) fn cover(&self, end: u64) -> Result<Arc<CacheRange>> {
        let old = self.state.lock().range.clone();
        match old {
            Some(range) if range.len() >= end => Ok(range),
            None => {
                let new = CacheRange::new(end.max(1)).ok_or(Errno::ENOSPC)?;
                let mut state = self.state.lock();
                // A fill may have been faster.
                match &state.range {
                    Some(range) if range.len() >= end => Ok(range.clone()),
                    Some(_) => {
                        drop(state);
                        self.cover(end)
                    }
                    None => {
                        state.range = Some(new.clone());
                        drop(state);
                        if self.source.is_some() {
                            accounting::register(&self.me);
                        }
                        Ok(new)
                    }
                }
            }
            Some(old) => self.relocate(&old, end),
        }
    }

    fn relocate(&self, old: &Arc<CacheRange>, len: u64) -> Result<Arc<CacheRange>> {
        let new = CacheRange::new(len).ok_or(Errno::ENOSPC)?;
        self.state.lock().moving += 1;
        self.for_users(|user| user.leave_range(self, old));
        {
            let _fill = self.fill.lock();
            let runs: Vec<_> = {
                let mut state = self.state.lock();
                self.learn(&mut state, 0..u64::MAX);
                state.valid.runs(0..old.len() / PAGE).collect()
            };
            for run in runs {
                let (start, len) = (run.start * PAGE, (run.end - run.start) * PAGE);
                memory().copy(old.base() + start, new.base() + start, len);
            }
            let mut state = self.state.lock();
            state.range = Some(new.clone());
            state.moving -= 1;
        }
        self.settled.wake_all();
        Ok(new)
    }

    /// Truncates or extends to `new` bytes (ftruncate): pages beyond go, guests that touch them get SIGBUS, the rest of
    /// the last page is zero. EFBIG, ENOSPC.
    pub fn set_size(&self, new: u64) -> Result<()> {
        if new > MAX_SIZE {
            return err(Errno::EFBIG);
        }
        let _io = self.io.lock();
        let _changing = self.changing();
        let old = self.size();
        if new > old {
            self.zero_tail(old);
            let grown = self.source.is_some() && self.state.lock().range.is_some();
            if grown {
                self.cover(new)?;
            }
            self.size.store(new, Ordering::SeqCst);
        } else if new < old {
            self.size.store(new, Ordering::SeqCst);
            let gone = new.div_ceil(PAGE)..u64::MAX / PAGE;
            self.for_users(|user| user.unmap_pages(self, gone.clone(), true));
            self.discard(gone);
            self.zero_tail(new);
        }
        Ok(())
    }

    /// Zeroes what lies behind `size` in the page of the last byte.
    pub(super) fn zero_tail(&self, size: u64) {
        let tail = size % PAGE;
        if tail == 0 {
            return;
        }
        let state = self.state.lock();
        let Some(range) = &state.range else { return };
        if state.valid.contains(size / PAGE)
            || (self.guest_written.load(Ordering::Relaxed) && size < range.len())
        {
            memory().zero(range.base() + size, PAGE - tail);
        }
    }

    /// Drops pages, dirty or not, and gives their memory back.
    fn discard(&self, pages: Range<u64>) {
        let fill = self.fill.lock();
        let mut state = self.state.lock();
        let freed = state.valid.remove(pages.clone());
        let keeper = Self::note_clean(&mut state, pages.clone());
        if let Some(range) = &state.range
            && (freed > 0 || self.guest_written.load(Ordering::Relaxed))
        {
            let start = pages.start.saturating_mul(PAGE).min(range.len());
            let end = pages.end.saturating_mul(PAGE).min(range.len());
            if start < end {
                memory().punch(range.base() + start, end - start);
            }
        }
        drop(state);
        drop(fill);
        accounting::uncharge(self.quota.as_deref(), freed);
        drop(keeper);
    }

    /// Makes a hole (FALLOC_FL_PUNCH_HOLE): `[offset, offset + len)` reads as zeros; whole pages go. The size stays.
    /// With a source, the source has made the hole already.
    pub fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let _io = self.io.lock();
        let _changing = self.changing();
        let end = offset
            .saturating_add(len)
            .min(self.size().next_multiple_of(PAGE));
        if offset >= end {
            return Ok(());
        }
        let whole = offset.div_ceil(PAGE)..end / PAGE;
        if whole.start > whole.end {
            self.zero_partial(offset, end - offset);
            return Ok(());
        }
        self.zero_partial(offset, whole.start * PAGE - offset);
        self.zero_partial(whole.end * PAGE, end - whole.end * PAGE);
        if !whole.is_empty() {
            self.for_users(|user| user.unmap_pages(self, whole.clone(), false));
            self.discard(whole);
        }
        Ok(())
    }

    /// Zeroes bytes of one page, if it is there.
    fn zero_partial(&self, offset: u64, len: u64) {
        let state = self.state.lock();
        if let Some(range) = &state.range
            && len > 0
            && offset + len <= range.len()
            && (state.valid.contains(offset / PAGE) || self.guest_written.load(Ordering::Relaxed))
        {
            memory().zero(range.base() + offset, len);
        }
    }

    /// Forgets clean pages because the file behind changed; the next access reads anew. Pages that private writable
    /// mappings show stay.
    pub fn invalidate(&self) {
        drop(self.changing());
        self.evict(true);
    }

    /// Drops clean pages; returns how many. Nothing while readers copy or private copies hang on the pages. With
    /// `mapped` (only without any `Mm` held) also pages that guests map: they fault again.
    pub(super) fn evict(&self, mapped: bool) -> u64 {
        {
            let mut state = self.state.lock();
            if state.pins > 0
                || state.moving > 0
                || state.valid.count() <= state.dirty.count()
                || state.users.iter().any(|u| u.cow > 0)
                || (!mapped && !state.users.is_empty())
            {
                return 0;
            }
            // Nobody maps pages until they are gone.
            state.moving += 1;
        }
        if mapped {
            self.for_users(|user| user.unmap_pages(self, 0..u64::MAX / PAGE, false));
        }
        let freed = match self.fill.try_lock() {
            Some(_fill) => self.drop_clean(),
            None => 0,
        };
        self.state.lock().moving -= 1;
        self.settled.wake_all();
        accounting::uncharge(self.quota.as_deref(), freed);
        freed
    }

    /// With `fill` and `moving`.
    fn drop_clean(&self) -> u64 {
        let mut state = self.state.lock();
        if state.pins > 0 || state.users.iter().any(|u| u.cow > 0) {
            return 0;
        }
        let Some(range) = state.range.clone() else {
            return 0;
        };
        let mut freed = 0;
        for run in state.dirty.gaps(0..state.valid.end()) {
            let n = state.valid.remove(run.clone());
            if n > 0 {
                memory().punch(
                    range.base() + run.start * PAGE,
                    (run.end - run.start) * PAGE,
                );
                freed += n;
            }
        }
        freed
    }

    /// Writes dirty pages of `[offset, offset + len)` back. The source's errors; the pages stay dirty then.
    pub fn sync(&self, offset: u64, len: u64) -> Result<()> {
        let Some(source) = self.source() else {
            return Ok(());
        };
        let _write_back = self.write_back.lock();
        let pages = pages_of(offset, len);
        let (runs, range, _keeper) = {
            let mut state = self.state.lock();
            let runs: Vec<_> = state.dirty.runs(pages.clone()).collect();
            let keeper = Self::note_clean(&mut state, pages.clone());
            (runs, state.range.clone(), keeper)
        };
        let (Some(range), false) = (range, runs.is_empty()) else {
            return Ok(());
        };
        self.for_users(|user| user.write_protect(self, pages.clone()));
        let source = source?;
        let _pin = self.pin();
        for (done, run) in runs.iter().enumerate() {
            let start = run.start * PAGE;
            let end = (run.end * PAGE).min(self.size());
            if start >= end {
                continue;
            }
            if let Err(e) = source.write_back(start, end - start, range.base() + start) {
                let mut state = self.state.lock();
                for run in &runs[done..] {
                    self.note_dirty(&mut state, run.clone());
                }
                return Err(e);
            }
        }
        Ok(())
    }

    /// The source, if the file has one; EIO when its inode is gone.
    pub(super) fn source(&self) -> Option<Result<Arc<dyn PageSource>>> {
        let source = self.source.as_ref()?;
        Some(source.upgrade().ok_or_else(|| Errno::EIO.into()))
    }

    /// First byte from `offset` on that isn't in a hole. ENXIO at or beyond the end, or when only a hole follows.
    pub fn seek_data(&self, offset: u64) -> Result<u64> {
        let size = self.size();
        if offset >= size {
            return err(Errno::ENXIO);
        }
        if let Some(source) = self.source() {
            // What is being written back is neither dirty nor stored.
            let _write_back = self.write_back.lock();
            let dirty = self.state.lock().dirty.next_in(offset / PAGE);
            let dirty = dirty.map(|page| offset.max(page * PAGE));
            let stored = source?.seek(offset, false)?;
            let first = dirty.into_iter().chain(stored).min();
            return first.filter(|at| *at < size).ok_or(Errno::ENXIO.into());
        }
        let mut state = self.state.lock();
        self.learn(&mut state, 0..u64::MAX);
        match state.valid.next_in(offset / PAGE) {
            Some(page) if page * PAGE < size => Ok(offset.max(page * PAGE)),
            _ => err(Errno::ENXIO),
        }
    }

    /// First byte from `offset` on that is in a hole; the end counts as one. ENXIO at or beyond the end.
    pub fn seek_hole(&self, offset: u64) -> Result<u64> {
        let size = self.size();
        if offset >= size {
            return err(Errno::ENXIO);
        }
        if let Some(source) = self.source() {
            let source = source?;
            let _write_back = self.write_back.lock();
            let mut at = offset;
            while at < size {
                let clean = self.state.lock().dirty.next_out(at / PAGE) * PAGE;
                if clean > at {
                    at = clean;
                    continue;
                }
                match source.seek(at, true)? {
                    Some(hole) if hole > at => at = hole,
                    Some(_) => break,
                    None => at = size,
                }
            }
            return Ok(at.min(size));
        }
        let mut state = self.state.lock();
        self.learn(&mut state, 0..u64::MAX);
        let page = state.valid.next_out(offset / PAGE);
        Ok(size.min(offset.max(page * PAGE)))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (pages, dirty) = {
            let state = self.state.lock();
            (state.valid.count(), state.dirty.count())
        };
        accounting::uncharge(self.quota.as_deref(), pages);
        accounting::cleaned(dirty);
    }
}
