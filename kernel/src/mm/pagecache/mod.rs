//! The page cache: each inode's pages are a contiguous range of the machine's page-cache memory, so that a file is
//! mapped by one host call whatever its size.
//!
//! A [`Mapping`] is the content of one inode. With a [`PageSource`] its pages are filled on demand and written back
//! when dirty; without one (tmpfs, memfd, shared anonymous memory) the memory itself is the file and holes have no
//! pages. Order of the sleeping locks: a mapping's `io`, then the `Mm`, then its `fill`; the short `state` lock last.
//! Whoever holds an `Mm` may fill and map pages but not move or truncate a mapping.

mod accounting;
mod mapping;
mod ranges;
mod transfer;
pub mod writeback;

pub use accounting::{
    Quota, allocated_pages, dirty_pages, limit_bytes, memory_only_pages, reclaim, relieve,
    set_limit, used_bytes,
};
pub use mapping::{MapUser, Mapping};
pub use ranges::CacheRange;

use crate::error::Result;
use platform::PageCacheMemory;
use std::sync::OnceLock;

/// Bytes in a page.
pub const PAGE: u64 = platform::PAGE_SIZE;

static MEMORY: OnceLock<platform::Platform> = OnceLock::new();

/// Tells which memory to use. Once, at boot.
pub fn init(platform: &platform::Platform) {
    assert!(
        MEMORY.set(platform.clone()).is_ok(),
        "the page cache starts once"
    );
}

/// The host side of the machine.
pub fn platform() -> &'static platform::Platform {
    MEMORY.get().expect("the page cache has started")
}

/// The machine's page-cache memory.
pub fn memory() -> &'static PageCacheMemory {
    platform().page_cache()
}

/// Where the pages of a mapping come from and go to. Called in a task, without short locks; may sleep.
pub trait PageSource: Send + Sync {
    /// Puts bytes `[start, start + len)` of the file to [`memory`] at `cache_offset`, which is zero before. `start`
    /// is page-aligned. Bytes beyond the file's end stay zero. EIO and host errors.
    fn fill(&self, start: u64, len: u64, cache_offset: u64) -> Result<()>;

    /// Stores bytes `[start, start + len)` of the file from [`memory`] at `cache_offset`.
    fn write_back(&self, start: u64, len: u64, cache_offset: u64) -> Result<()>;

    /// The first byte from `offset` on that is in a hole, or that isn't, as stored; None when there is none. `offset` may
    /// be beyond the end. Sources that know no holes have data without end.
    fn seek(&self, offset: u64, hole: bool) -> Result<Option<u64>> {
        Ok((!hole).then_some(offset))
    }
}
