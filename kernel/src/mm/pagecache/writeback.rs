//! Periodic write-back: dirty pages reach their file some 30 seconds after they were written, without anybody asking
//! (Linux's flusher threads).
//!
//! A kernel task sleeps until a timer finds it due; the timer is armed only while pages are dirty, so an idle machine
//! stays idle.

use super::accounting;
use crate::fs::proc::sys::Knob;
use crate::sync::{Deadline, WaitQueue};
use crate::time::timer;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// vm.dirty_expire_centisecs: age at which pages are written back.
pub static EXPIRE: Knob = Knob::new(3_000, 0, i32::MAX as i64);
/// vm.dirty_writeback_centisecs: how often that is looked at; 0 is never.
pub static INTERVAL: Knob = Knob::new(500, 0, i32::MAX as i64);

static ARMED: AtomicBool = AtomicBool::new(false);
static DUE: AtomicBool = AtomicBool::new(false);
static QUEUE: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);

/// Nanoseconds of a setting in hundredths of a second.
fn nanoseconds(centiseconds: i64) -> u64 {
    centiseconds.unsigned_abs().saturating_mul(10_000_000)
}

/// Pages have become dirty.
pub(super) fn wanted() {
    if !ARMED.swap(true, Ordering::SeqCst) {
        arm();
    }
}

fn arm() {
    let interval = match INTERVAL.get() {
        // Looked at again in a while, for the day it is set.
        0 => 500,
        set => set,
    };
    timer::call_at(Deadline::after(nanoseconds(interval)), || {
        DUE.store(true, Ordering::SeqCst);
        QUEUE.wake_all();
    })
    .detach();
}

/// The body of the kernel task that writes back.
pub fn run() {
    loop {
        QUEUE.wait_uninterruptible(|| DUE.swap(false, Ordering::SeqCst).then_some(()));
        if INTERVAL.get() != 0 {
            accounting::write_back_older(nanoseconds(EXPIRE.get()));
        }
        if accounting::dirty_pages() > 0 {
            arm();
            continue;
        }
        ARMED.store(false, Ordering::SeqCst);
        if accounting::dirty_pages() > 0 {
            wanted();
        }
    }
}
