//! What happens when guests and page cache together want more than the machine has (`mem=`).
//!
//! The host gives anonymous memory without asking us, so it is sampled: only while what programs may touch and the cache
//! together exceed the machine's memory, and more often the less is free. The kernel's own heap counts too. Over the limit,
//! dirty pages are written back, clean ones and unused names dropped; when that isn't enough the largest process is
//! killed (mm/oom_kill.c).

use super::pagecache::{self, PAGE};
use super::{Mm, sizes};
use crate::sched;
use crate::sync::Deadline;
use crate::task::{Task, pids};
use crate::time::timer;
use abi::siginfo::Siginfo;
use abi::signal::SIGKILL;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A sample is to be taken by the next task that is about to enter the guest.
static DUE: AtomicBool = AtomicBool::new(false);
/// A timer for the next sample runs, or one is due.
static ARMED: AtomicBool = AtomicBool::new(false);
/// The process killed last, until it is gone; 0 for none.
static VICTIM: AtomicU32 = AtomicU32::new(0);

/// Samples are this far apart, in nanoseconds.
const SOONEST: u64 = 5_000_000;
const LATEST: u64 = 1_000_000_000;
/// Bytes a nanosecond that guests are thought to fill at most.
const FILL_RATE: u64 = 4;
/// Names looked at each time to find unused ones.
const NAMES: usize = 4096;
/// oom_score_adj of processes that are never chosen.
const NEVER: i32 = -1000;

/// Whether the limit could be reached at all.
fn possible() -> bool {
    sizes::touchable_pages() + pagecache::allocated_pages() + sizes::kernel_pages()
        > sizes::total_pages()
}

/// The kernel's heap at which it is looked at again, bytes.
static LOOK: AtomicU64 = AtomicU64::new(0);
/// Growth of the heap between looks, bytes.
const LOOK_STEP: u64 = 1 << 20;

/// The heap may have grown.
fn look_at_heap() {
    let heap = platform::heap::bytes();
    if heap > LOOK.load(Ordering::Relaxed) {
        LOOK.store(heap + LOOK_STEP, Ordering::Relaxed);
        consider();
    }
}

/// Programs may touch more memory than before, or the cache grew.
pub(super) fn consider() {
    if possible() && !ARMED.swap(true, Ordering::SeqCst) {
        arm(SOONEST);
    }
}

fn arm(ns: u64) {
    timer::call_at(Deadline::after(ns), || {
        DUE.store(true, Ordering::SeqCst);
        for vcpu in 0..sched::ncpus() {
            sched::mark_resched(vcpu);
        }
    })
    .detach();
}

/// Takes a sample if one is due, and relieves. In a task, without locks.
pub fn check() {
    look_at_heap();
    if !DUE.load(Ordering::Relaxed) || !DUE.swap(false, Ordering::SeqCst) {
        return;
    }
    if !possible() {
        ARMED.store(false, Ordering::SeqCst);
        return;
    }
    LOOK.store(platform::heap::bytes() + LOOK_STEP, Ordering::Relaxed);
    let total = sizes::total_pages();
    let mut used = Usage::sample(Mm::resident);
    if used.pages() > total {
        // Pages shared by fork count once.
        used = Usage::sample(Mm::proportional);
    }
    if used.pages() > total {
        crate::vfs::dcache::shrink(NAMES);
        pagecache::relieve(used.pages().saturating_sub(total));
        if used.pages() > total {
            used.kill();
        }
    }
    let free = total.saturating_sub(used.pages()) * PAGE;
    arm((free / FILL_RATE).clamp(SOONEST, LATEST));
}

/// Kills the process with the worst score now, however much memory is free. False: there is none.
pub fn kill_largest() -> bool {
    Usage::sample(Mm::resident).kill()
}

impl Mm {
    fn resident(&self) -> u64 {
        self.address_space().resident_bytes() / PAGE
    }

    fn proportional(&self) -> u64 {
        match self.address_space().proportional_bytes() {
            Some(bytes) => bytes / PAGE,
            None => self.resident(),
        }
    }
}

/// What the kernel keeps for a task's open files: Linux charges that to memory cgroups only, but a victim must be found
/// that gives the memory back.
fn kernel_pages_of(task: &Task) -> u64 {
    let files = task.files().entries();
    let bytes: usize = files.iter().map(|(_, file, _)| file.kernel_bytes()).sum();
    bytes as u64 / PAGE
}

/// mm/oom_kill.c:oom_badness() in pages, for a task whose memory is `pages`; None: it is never killed.
fn badness(task: &Task, pages: u64) -> Option<i64> {
    let total = sizes::total_pages() as i64;
    let adj = task.group.oom_score_adj.load(Ordering::Relaxed);
    (adj != NEVER && task.pid() != 1)
        .then(|| (pages + kernel_pages_of(task)) as i64 + i64::from(adj) * total / 1000)
}

/// fs/proc/base.c:proc_oom_score(), from 0 to 2000.
pub fn oom_score(task: &Task) -> u64 {
    let Some(mm) = task.mm() else {
        return 0;
    };
    let total = (sizes::total_pages() as i64).max(1);
    match badness(task, mm.resident()) {
        Some(pages) => ((1000 + pages * 1000 / total) * 2 / 3).max(0) as u64,
        None => 0,
    }
}

struct Usage {
    anon: u64,
    /// Pages of each address space, with a process that has it.
    each: Vec<(Arc<Task>, u64)>,
}

impl Usage {
    fn sample(size: fn(&Mm) -> u64) -> Usage {
        let mut spaces: BTreeMap<u64, (Arc<Task>, Arc<Mm>)> = BTreeMap::new();
        for task in pids().tasks() {
            if let Some(mm) = task.mm() {
                spaces.entry(mm.id()).or_insert((task, mm));
            }
        }
        let each: Vec<(Arc<Task>, u64)> = spaces
            .into_values()
            .map(|(task, mm)| (task, size(&mm)))
            .collect();
        Usage {
            anon: each.iter().map(|e| e.1).sum(),
            each,
        }
    }

    fn pages(&self) -> u64 {
        self.anon + pagecache::allocated_pages() + sizes::kernel_pages()
    }

    /// Kills the process with the worst score, unless one is on its way already: mm/oom_kill.c:oom_badness(). False: there is
    /// none that may be killed.
    fn kill(&self) -> bool {
        let last = VICTIM.load(Ordering::Relaxed);
        if last != 0 {
            // What it had may have come back since this sample was taken: the next one tells.
            if pids().group(last).is_none_or(|g| g.is_zombie()) {
                VICTIM.store(0, Ordering::Relaxed);
            }
            return true;
        }
        let worst = self
            .each
            .iter()
            .filter_map(|(task, pages)| Some((badness(task, *pages)?, task, pages)))
            .max_by_key(|w| w.0);
        let Some((_, task, pages)) = worst else {
            return false;
        };
        crate::pr_warn!(
            "Out of memory: Killed process {} ({}) anon-rss:{}kB",
            task.pid(),
            String::from_utf8_lossy(&task.comm()),
            pages * PAGE / 1024
        );
        VICTIM.store(task.pid(), Ordering::Relaxed);
        let _ = crate::signal::send_group(&task.group, Siginfo::kernel(SIGKILL));
        true
    }
}
