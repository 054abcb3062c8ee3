//! The page cache: each inode's pages are a contiguous range of the machine's page-cache memory.

use platform::PageCacheMemory;
use std::sync::OnceLock;

static MEMORY: OnceLock<platform::Platform> = OnceLock::new();

/// Tells which memory to use. Once, at boot.
pub fn init(platform: &platform::Platform) {
    assert!(
        MEMORY.set(platform.clone()).is_ok(),
        "the page cache starts once"
    );
}

/// The machine's page-cache memory.
pub fn memory() -> &'static PageCacheMemory {
    MEMORY
        .get()
        .expect("the page cache has started")
        .page_cache()
}

/// The cached pages of one inode.
pub struct Mapping {}
