//! The heap of the kernel process, counted: what a guest makes the kernel keep is memory of the machine.
//!
//! `linux` names [`Counting`] as its global allocator. Threads count for themselves and add up in steps, so the common
//! allocation touches no shared memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// What a thread may have allocated or freed before it tells, bytes.
const STEP: i64 = 64 << 10;

static BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static UNTOLD: Cell<i64> = const { Cell::new(0) };
}

/// Bytes allocated and not freed, up to 64 KiB a thread off. 0 where [`Counting`] isn't the allocator.
pub fn bytes() -> u64 {
    BYTES.load(Ordering::Relaxed).max(0) as u64
}

// Never inlined: a fiber that allocates may go on in another host thread, whose thread-local data is elsewhere.
#[inline(never)]
fn count(change: i64) {
    let told = UNTOLD.try_with(|untold| {
        let sum = untold.get() + change;
        if sum.abs() < STEP {
            untold.set(sum);
        } else {
            untold.set(0);
            BYTES.fetch_add(sum, Ordering::Relaxed);
        }
    });
    if told.is_err() {
        BYTES.fetch_add(change, Ordering::Relaxed);
    }
}

/// The system's allocator with a count.
pub struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as the caller promised us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as the caller promised us.
        unsafe { System.realloc(memory, layout, size) }
    }
}
