//! A vCPU: a host thread that runs kernel fibers and, one at a time, guest threads.

use crate::Platform;
use std::sync::Arc;

/// One virtual CPU. Shared with whoever may kick it.
pub struct Vcpu(());

impl Vcpu {
    /// vCPU number `index` of `platform`, on a host CPU chosen among those this process may use.
    pub fn new(_index: usize, _platform: &Platform) -> Arc<Vcpu> {
        todo!()
    }
    /// Makes the calling host thread this vCPU's: pins it to the host CPU.
    pub fn enter(&self) {
        todo!()
    }
    /// The number it was made with.
    pub fn index(&self) -> usize {
        todo!()
    }
    /// The host CPU it runs on now.
    pub fn host_cpu(&self) -> usize {
        todo!()
    }
    /// Sleeps until [`kick`](Self::kick) or the deadline (nanoseconds of CLOCK_MONOTONIC). A kick since the last
    /// `idle` or `run` returned makes it return at once.
    pub fn idle(&self, _deadline_ns: Option<u64>) {
        todo!()
    }
    /// From any thread: interrupts a running guest, ends `idle`, or makes the next `run` or `idle` return at once.
    pub fn kick(&self) {
        todo!()
    }
    /// Whether a guest thread is running on it at this moment.
    pub fn in_guest(&self) -> bool {
        todo!()
    }
}
