//! What the page cache uses, what it may use (`mem=`), and which pages go when it is too much.

use super::{Mapping, PAGE};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

static USED: AtomicU64 = AtomicU64::new(0);
/// Of these, pages that wait to be written back.
static DIRTY: AtomicU64 = AtomicU64::new(0);
static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
/// Mappings whose pages could be read again.
static SOURCED: Lock<Vec<Weak<Mapping>>> = Lock::new(Rank::LEAF, Vec::new());

/// A bound on pages that several mappings share: a tmpfs's `size=`.
#[derive(Debug)]
pub struct Quota {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Quota {
    /// At most `limit` pages; `u64::MAX` for no bound.
    pub fn new(limit: u64) -> Arc<Quota> {
        Arc::new(Quota {
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
        })
    }

    /// In pages.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// In pages. May be below what is used: then nothing more is given.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// In pages.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes up to `pages` and returns how many.
    fn take(&self, pages: u64) -> u64 {
        let limit = self.limit();
        let mut granted = 0;
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                granted = pages.min(limit.saturating_sub(used));
                Some(used + granted)
            });
        granted
    }

    fn give(&self, pages: u64) {
        self.used.fetch_sub(pages, Ordering::Relaxed);
    }
}

/// Bounds the page cache and tmpfs together, in bytes.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes / PAGE, Ordering::Relaxed);
}

/// The bound in bytes; about `u64::MAX` when there is none.
pub fn limit_bytes() -> u64 {
    LIMIT.load(Ordering::Relaxed).saturating_mul(PAGE)
}

/// Pages in use by all mappings.
pub fn allocated_pages() -> u64 {
    USED.load(Ordering::Relaxed)
}

/// Bytes of pages in use.
pub fn used_bytes() -> u64 {
    USED.load(Ordering::Relaxed) * PAGE
}

/// Takes pages for `quota` and the machine, after reclaiming others if need be. Returns how many, at least one. ENOSPC.
pub(super) fn charge(quota: Option<&Quota>, pages: u64) -> Result<u64> {
    if pages == 0 {
        return Ok(0);
    }
    let mut granted = quota.map_or(pages, |q| q.take(pages));
    if granted == 0 {
        return err(Errno::ENOSPC);
    }
    let limit = LIMIT.load(Ordering::Relaxed);
    let used = USED.fetch_add(granted, Ordering::Relaxed) + granted;
    if used > limit {
        reclaim(used - limit);
        let over = USED.load(Ordering::Relaxed).saturating_sub(limit);
        let back = over.min(granted);
        if back > 0 {
            uncharge(quota, back);
            granted -= back;
        }
        if granted == 0 {
            return err(Errno::ENOSPC);
        }
    }
    Ok(granted)
}

/// Counts pages that guests made without asking.
pub(super) fn charge_anyway(quota: Option<&Quota>, pages: u64) {
    USED.fetch_add(pages, Ordering::Relaxed);
    if let Some(quota) = quota {
        quota.used.fetch_add(pages, Ordering::Relaxed);
    }
}

pub(super) fn uncharge(quota: Option<&Quota>, pages: u64) {
    if pages > 0 {
        USED.fetch_sub(pages, Ordering::Relaxed);
        if let Some(quota) = quota {
            quota.give(pages);
        }
    }
}

/// Makes a mapping a candidate for [`reclaim`].
pub(super) fn register(mapping: &Weak<Mapping>) {
    let mut all = SOURCED.lock();
    if all.len() == all.capacity() {
        all.retain(|m| m.strong_count() > 0);
    }
    all.push(mapping.clone());
}

/// Takes pages for filling from a source: over the limit, others are dropped soon.
pub(super) fn charge_fill(quota: Option<&Quota>, pages: u64) {
    charge_anyway(quota, pages);
    let over = USED
        .load(Ordering::Relaxed)
        .saturating_sub(LIMIT.load(Ordering::Relaxed));
    if over > 0 {
        reclaim(over);
        crate::mm::pressure::consider();
    }
}

fn sourced() -> Vec<Arc<Mapping>> {
    SOURCED.lock().iter().filter_map(Weak::upgrade).collect()
}

/// Pages that exist in memory only: tmpfs, memfds, shared anonymous memory (Shmem of /proc/meminfo).
pub fn memory_only_pages() -> u64 {
    let files: u64 = sourced().iter().map(|m| m.resident_pages()).sum();
    allocated_pages().saturating_sub(files)
}

/// Pages that wait to be written back.
pub fn dirty_pages() -> u64 {
    DIRTY.load(Ordering::Relaxed)
}

pub(super) fn dirtied(pages: u64) {
    if pages > 0 {
        DIRTY.fetch_add(pages, Ordering::Relaxed);
        super::writeback::wanted();
    }
}

pub(super) fn cleaned(pages: u64) {
    DIRTY.fetch_sub(pages, Ordering::Relaxed);
}

/// Whether writers have to write back themselves: vm.dirty_ratio, 20 per cent.
pub(super) fn much_dirty() -> bool {
    dirty_pages() > LIMIT.load(Ordering::Relaxed) / 5
}

/// Drops clean pages so that `pages` more fit, if that can be had.
pub(super) fn make_room(pages: u64) {
    let limit = LIMIT.load(Ordering::Relaxed);
    let over = (allocated_pages() + pages).saturating_sub(limit);
    if over > 0 {
        reclaim(over);
    }
}

/// Writes back files whose oldest dirty page is at least `age_ns` old. Host errors go to the log; the pages stay dirty.
pub(super) fn write_back_older(age_ns: u64) {
    let now = crate::time::monotonic_ns();
    for mapping in sourced() {
        if mapping
            .dirty_since()
            .is_some_and(|at| now.saturating_sub(at) >= age_ns)
            && let Err(e) = mapping.sync(0, u64::MAX)
        {
            crate::pr_warn!("writing back a file failed: {e:?}");
        }
    }
}

fn candidates() -> Vec<Arc<Mapping>> {
    let mut all = sourced();
    all.sort_by_cached_key(|m| m.used_at());
    all
}

fn drop_clean(pages: u64, mapped: bool) -> u64 {
    let mut freed = 0;
    // Some more than asked for, so that the next page doesn't come here again.
    let target = pages.saturating_add(256);
    for mapping in candidates() {
        if freed >= target {
            break;
        }
        freed += mapping.evict(mapped);
    }
    freed
}

/// Drops clean pages that can be read again and that nobody maps, least recently used files first, until `pages` are
/// free. Returns how many were freed. For callers that hold an address space.
pub fn reclaim(pages: u64) -> u64 {
    drop_clean(pages, false)
}

/// As [`reclaim`], also pages that are mapped, and dirty ones after writing them back. In a task, without locks.
pub fn relieve(pages: u64) -> u64 {
    let freed = drop_clean(pages, false);
    if freed >= pages {
        return freed;
    }
    for mapping in candidates() {
        if mapping.dirty_pages() > 0 {
            // What can't be written stays dirty and is not dropped.
            let _ = mapping.sync(0, u64::MAX);
        }
    }
    freed + drop_clean(pages - freed, true)
}
