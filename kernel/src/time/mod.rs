//! Time: the clocks as the kernel reads them, and timers.

pub mod cpu;
pub mod timer;

/// CLOCK_MONOTONIC in nanoseconds; what the vDSO also tells.
pub fn monotonic_ns() -> u64 {
    platform::clock::monotonic_ns()
}

/// CLOCK_REALTIME in nanoseconds since 1970, as the guest has set it.
pub fn realtime_ns() -> u64 {
    platform::clock::realtime_ns()
}

/// CLOCK_REALTIME as inode time stamps have it.
pub fn now() -> abi::time::Timespec {
    let ns = realtime_ns();
    abi::time::Timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    }
}

/// A process's interval timers.
#[derive(Default)]
pub struct ItimerSlots {}
