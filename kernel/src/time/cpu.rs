//! CPU time: of threads and processes, and the limits and timers that count it.

use crate::task::{Task, ThreadGroup};
use std::sync::atomic::Ordering;

/// Nanoseconds in guest code and in the kernel.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CpuTimes {
    pub user_ns: u64,
    pub system_ns: u64,
}

impl CpuTimes {
    pub fn total(self) -> u64 {
        self.user_ns + self.system_ns
    }
}

/// What a thread has used.
pub fn task_times(task: &Task) -> CpuTimes {
    CpuTimes {
        user_ns: task.sched.utime_ns.load(Ordering::Relaxed),
        system_ns: task.sched.stime_ns.load(Ordering::Relaxed),
    }
}

/// What a process has used, threads that have ended included (thread_group_cputime()).
pub fn group_times(group: &ThreadGroup) -> CpuTimes {
    let inner = group.inner.lock();
    let mut sum = CpuTimes {
        user_ns: inner.dead_threads.utime_ns,
        system_ns: inner.dead_threads.stime_ns,
    };
    for thread in &inner.threads {
        let times = task_times(thread);
        sum.user_ns += times.user_ns;
        sum.system_ns += times.system_ns;
    }
    sum
}

/// Timers and RLIMIT_CPU of the calling task's process that are due.
pub fn check_limits(_task: &Task) {}
