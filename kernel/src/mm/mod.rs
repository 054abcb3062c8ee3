//! Guest memory: the vma tree of an address space, faults, the page cache.
//!
//! Anonymous memory is the host's; files are ranges of the page-cache memory. The tree here says what should be
//! mapped; [`change`] makes the host agree, in one request for each system call. Of a file only pages that the cache
//! holds are mapped on the host; [`Inner::mapped`] knows which, and `fault` adds the rest. The `Mm`'s lock is a sleeping
//! one, taken after a mapping's `io` and before its `fill`; files are dropped only when it is released.

mod access;
mod advise;
mod brk;
mod change;
pub mod exec;
pub mod fault;
mod fork;
mod lock;
mod map;
pub mod pagecache;
mod place;
pub mod pressure;
mod protect;
pub mod rangeset;
mod remap;
mod report;
mod rmap;
mod sizes;
mod text;
mod vma;

pub use change::{Caller, flush, operation_failed};
pub use exec::Layout;
pub use map::MapRequest;
pub use report::{FutexKey, MemoryCounts};
pub use sizes::{
    Overcommit, commit_limit, committed_pages, kernel_is_large, kernel_pages, overcommit,
    set_overcommit, set_total, total_pages,
};
pub use vma::{Backing, VmFlags, Vma};

use crate::sync::Mutex;
use crate::vfs::File;
use pagecache::PAGE;
use place::TopDown;
use platform::{AddressSpace, MapOp};
use rangeset::RangeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use vma::{Counts, VmaTree};

/// An address space with its vmas: what CLONE_VM shares.
pub struct Mm {
    id: u64,
    me: Weak<Mm>,
    /// The host's side; only a program that is being loaded has none yet, and its `inner` is locked.
    aspace: OnceLock<AddressSpace>,
    inner: Mutex<Inner>,
    /// Commands that membarrier(2) was registered for.
    pub membarrier: AtomicU32,
    /// PR_MDWE_* of prctl(2).
    pub mdwe: AtomicU32,
}

/// The guarded part.
struct Inner {
    vmas: VmaTree,
    /// Pages of file vmas that the host maps.
    mapped: RangeSet,
    /// Of these, pages of vmas with dirty tracking that the host lets the guest write.
    writable: RangeSet,
    top: TopDown,
    /// Bottom-up placement from here (unlimited stack).
    legacy_base: Option<u64>,
    layout: Layout,
    /// The program (/proc/pid/exe).
    exe: Option<Arc<File>>,
    /// The auxiliary vector, ended by AT_NULL.
    auxv: Vec<(u64, u64)>,
    /// What the guest thread was given to do, to know what failed.
    queued: Vec<MapOp>,
    /// LOCKED and LOCKONFAULT of areas to come (mlockall MCL_FUTURE).
    future: VmFlags,
    /// Peak of total pages and of resident pages, for /proc.
    peak_total: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Mm {
    /// Around an empty address space.
    pub fn new(aspace: AddressSpace) -> Arc<Mm> {
        Mm::with(aspace.into(), Inner::empty())
    }

    fn with(aspace: OnceLock<AddressSpace>, inner: Inner) -> Arc<Mm> {
        sizes::commit(Counts::default(), inner.vmas.counts());
        Arc::new_cyclic(|me| Mm {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            me: me.clone(),
            aspace,
            inner: Mutex::new(inner),
            membarrier: AtomicU32::new(0),
            mdwe: AtomicU32::new(0),
        })
    }

    pub fn address_space(&self) -> &AddressSpace {
        self.aspace.get().expect("the program is loaded")
    }

    /// Unique among all address spaces of the machine's life; names private futexes.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Inner {
    fn empty() -> Inner {
        Inner {
            vmas: VmaTree::default(),
            mapped: RangeSet::new(),
            writable: RangeSet::new(),
            top: TopDown::new(platform::TASK_SIZE - PAGE),
            legacy_base: None,
            layout: Layout::default(),
            exe: None,
            auxv: Vec::new(),
            queued: Vec::new(),
            future: VmFlags::empty(),
            peak_total: 0,
        }
    }
}

impl Drop for Mm {
    fn drop(&mut self) {
        let Some(inner) = self.inner.try_lock() else {
            return;
        };
        for vma in inner.vmas.iter() {
            rmap::unlink(self.id, vma);
        }
        sizes::commit(inner.vmas.counts(), Counts::default());
    }
}
