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
mod resident;
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
    /// Who may look into it: see [`Mm::is_dumpable`].
    pub dumpable: AtomicU32,
    /// The process that its host process was made for, whose faults the host counts: 0 for none.
    pub owner: AtomicU32,
    /// Programs that have been loaded here one after the other.
    images: AtomicU64,
}

/// One program's memory as somebody else knows it: not kept alive, and gone when another program takes its place.
#[derive(Clone)]
pub struct MmRef {
    mm: Weak<Mm>,
    image: u64,
}

impl MmRef {
    pub fn get(&self) -> Option<Arc<Mm>> {
        let mm = self.mm.upgrade()?;
        (mm.images.load(Ordering::Relaxed) == self.image).then_some(mm)
    }
}

/// The guarded part.
struct Inner {
    vmas: VmaTree,
    /// Pages of file vmas that the host maps.
    mapped: RangeSet,
    /// Of these, pages of vmas with dirty tracking that the host lets the guest write.
    writable: RangeSet,
    /// Pages of vmas that mmap left for later, since more of the like may follow: the host gets them with the next call that
    /// isn't mmap, or when they are touched, all in one request.
    pending: RangeSet,
    /// Pages of anonymous memory that MADV_GUARD_INSTALL took from everybody; the host has them marked.
    guards: RangeSet,
    top: TopDown,
    /// Bottom-up placement from here.
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

/// SUID_DUMP_USER of [`Mm::dumpable`]; 0 is SUID_DUMP_DISABLE, 2 SUID_DUMP_ROOT.
pub const DUMP_USER: u32 = 1;

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
            dumpable: AtomicU32::new(DUMP_USER),
            owner: AtomicU32::new(0),
            images: AtomicU64::new(0),
        })
    }

    /// Whether those with the same ids may look into it; else only with CAP_SYS_PTRACE, and /proc shows it as root's
    /// (fs/exec.c:set_dumpable()).
    pub fn is_dumpable(&self) -> bool {
        self.dumpable.load(Ordering::Relaxed) == DUMP_USER
    }

    pub fn address_space(&self) -> &AddressSpace {
        self.aspace.get().expect("the program is loaded")
    }

    /// The program that is loaded now.
    pub fn reference(&self) -> MmRef {
        MmRef {
            mm: self.me.clone(),
            image: self.images.load(Ordering::Relaxed),
        }
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
            pending: RangeSet::new(),
            guards: RangeSet::new(),
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
