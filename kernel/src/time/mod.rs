//! Time: the clocks as the kernel reads them, and timers.

pub mod clock;
pub mod cpu;
pub mod itimer;
pub mod load;
pub mod posix;
pub mod sleep;
pub mod timer;
pub mod timerfd;

use crate::task::ThreadGroup;
use std::sync::Arc;

/// CLOCK_MONOTONIC in nanoseconds; what the vDSO also tells. Stands still while the machine is stopped.
pub fn monotonic_ns() -> u64 {
    platform::clock::guest_monotonic_ns()
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

/// A process's interval timers. Not inherited by fork; execve keeps the itimers.
#[derive(Default)]
pub struct GroupTimers {
    pub real: itimer::RealTimer,
    pub cpu: cpu::CpuTimers,
    pub posix: posix::Table,
}

/// The process has ended: nothing fires any more.
pub fn exit_timers(group: &Arc<ThreadGroup>) {
    group.timers.real.set(group, 0, 0);
    group.timers.posix.clear();
}

/// The process executes a new program: POSIX timers go (exit_itimers() in begin_new_exec()).
pub fn exec_timers(group: &Arc<ThreadGroup>) {
    group.timers.posix.clear();
}
