//! How much memory there is, how much of it programs were promised, and whether they may have more
//! (mm/util.c:__vm_enough_memory()).

use super::pagecache::PAGE;
use super::vma::Counts;
use crate::error::{Result, err};
use crate::task::pids;
use abi::errno::Errno;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Most areas an address space may have (vm.max_map_count).
pub const MAX_MAP_COUNT: usize = 65530;

static TOTAL: AtomicU64 = AtomicU64::new(1 << 18);
static COMMITTED: AtomicU64 = AtomicU64::new(0);
static TOUCHABLE: AtomicU64 = AtomicU64::new(0);
static MODE: AtomicU32 = AtomicU32::new(0);
static RATIO: AtomicU32 = AtomicU32::new(50);

/// vm.overcommit_memory and vm.overcommit_ratio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overcommit {
    /// 0: refuse what is obviously too much; 1: never refuse; 2: within the commit limit.
    pub mode: u32,
    /// Percent of memory in the commit limit.
    pub ratio: u32,
}

/// The machine's memory in pages (`mem=`).
pub fn total_pages() -> u64 {
    TOTAL.load(Ordering::Relaxed)
}

/// Sets the machine's memory in bytes, and with it the bound of page cache and tmpfs.
pub fn set_total(bytes: u64) {
    TOTAL.store(bytes / PAGE, Ordering::Relaxed);
    super::pagecache::set_limit(bytes);
    super::pressure::consider();
}

/// Pages that the kernel itself uses: its heap, and the stacks of its tasks.
pub fn kernel_pages() -> u64 {
    /// What a task's stack has touched, about.
    const STACK_PAGES: u64 = 3;
    platform::heap::bytes() / PAGE + pids().count() as u64 * STACK_PAGES
}

/// Whether the kernel's own memory is so large a part of the machine's that file systems in memory take no more names.
pub fn kernel_is_large() -> bool {
    platform::heap::bytes() / PAGE > total_pages() / 3
}

/// Pages promised to programs (Committed_AS).
pub fn committed_pages() -> u64 {
    COMMITTED.load(Ordering::Relaxed)
}

/// The commit limit in pages (CommitLimit).
pub fn commit_limit() -> u64 {
    total_pages() * u64::from(RATIO.load(Ordering::Relaxed)) / 100
}

pub fn overcommit() -> Overcommit {
    Overcommit {
        mode: MODE.load(Ordering::Relaxed),
        ratio: RATIO.load(Ordering::Relaxed),
    }
}

/// EINVAL for a mode that isn't there.
pub fn set_overcommit(new: Overcommit) -> Result<()> {
    if new.mode > 2 {
        return err(Errno::EINVAL);
    }
    MODE.store(new.mode, Ordering::Relaxed);
    RATIO.store(new.ratio, Ordering::Relaxed);
    Ok(())
}

/// Private pages that programs could touch, in pages: the most that anonymous memory can come to.
pub(super) fn touchable_pages() -> u64 {
    TOUCHABLE.load(Ordering::Relaxed)
}

/// An address space's sizes changed.
pub(super) fn commit(before: Counts, after: Counts) {
    let change = |sum: &AtomicU64, before: u64, after: u64| {
        sum.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    };
    change(&COMMITTED, before.committed, after.committed);
    let (old, new) = (before.data + before.stack, after.data + after.stack);
    change(&TOUCHABLE, old, new);
    if new > old {
        super::pressure::consider();
    }
}

/// Whether `pages` more may be promised. ENOMEM.
pub(super) fn may_commit(pages: u64) -> Result<()> {
    let allowed = match overcommit().mode {
        0 => pages <= total_pages(),
        1 => true,
        _ => committed_pages().saturating_add(pages) <= commit_limit(),
    };
    if allowed { Ok(()) } else { err(Errno::ENOMEM) }
}
