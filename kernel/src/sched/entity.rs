//! What the scheduler keeps of a task.

use crate::sync::{Lock, Rank};
use abi::sched::{SCHED_FIFO, SCHED_IDLE, SCHED_RR};
use platform::Registers;
use platform::fiber::Fiber;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Where a task is in its life on the vCPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunState {
    /// Not on any queue; only [`unpark`](super::unpark) brings it back.
    Parked {
        interruptible: bool,
    },
    /// On a queue, or on the way there.
    Queued,
    Running,
    Dead,
}

pub(super) struct State {
    pub run: RunState,
    /// An unpark came while it was running.
    pub token: bool,
    /// Nanoseconds of CPU scaled by weight, by the clock of vCPU `clock`'s queue.
    pub vruntime: u64,
    pub clock: usize,
}

/// A task's part in the scheduler.
pub struct Entity {
    pub(super) state: Lock<State>,
    pub(super) fiber: parking_lot::Mutex<Option<Fiber<super::Reason>>>,
    /// vCPU it runs on or ran on last.
    pub(super) vcpu: AtomicUsize,
    /// Bit n: may run on vCPU n (at most 64 vCPUs).
    pub(super) allowed: AtomicU64,
    pub(super) in_guest: AtomicBool,
    /// Up to when its time is accounted, while it is on a vCPU; 0 when it is not.
    pub(super) accounted_ns: AtomicU64,
    nice: AtomicI32,
    /// Nanoseconds in guest code and in the kernel.
    pub utime_ns: AtomicU64,
    pub stime_ns: AtomicU64,
    pub voluntary_switches: AtomicU64,
    pub involuntary_switches: AtomicU64,
    /// Number of its guest thread as of when that last ran.
    pub guest_slot: AtomicU32,
    /// The guest's registers while it waits for [`stop::go`](super::stop::go).
    pub(super) held: Lock<Option<Box<Registers>>>,
}

/// kernel/sched/core.c:sched_prio_to_weight[], from nice -20 to 19.
const WEIGHTS: [u64; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];

/// kernel/sched/sched.h:WEIGHT_IDLEPRIO, and what stands for real-time priority.
const IDLE_WEIGHT: u64 = 3;
const REAL_TIME_WEIGHT: u64 = 1024 * 128;

impl Entity {
    pub fn new(nice: i32, allowed: u64) -> Entity {
        Entity {
            state: Lock::new(
                Rank::SCHED,
                State {
                    // On its way to its first queue: signals may come before `spawn`, and find nothing to wake.
                    run: RunState::Queued,
                    token: false,
                    vruntime: 0,
                    clock: 0,
                },
            ),
            fiber: parking_lot::Mutex::new(None),
            vcpu: AtomicUsize::new(0),
            allowed: AtomicU64::new(allowed),
            in_guest: AtomicBool::new(false),
            accounted_ns: AtomicU64::new(0),
            nice: AtomicI32::new(nice),
            utime_ns: AtomicU64::new(0),
            stime_ns: AtomicU64::new(0),
            voluntary_switches: AtomicU64::new(0),
            involuntary_switches: AtomicU64::new(0),
            guest_slot: AtomicU32::new(u32::MAX),
            held: Lock::new(Rank::LEAF, None),
        }
    }

    pub fn nice(&self) -> i32 {
        self.nice.load(Ordering::Relaxed)
    }

    /// `nice` is clamped to -20..=19.
    pub fn set_nice(&self, nice: i32) {
        self.nice.store(nice.clamp(-20, 19), Ordering::Relaxed);
    }

    pub fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Bit n: vCPU n. Takes effect at the next switch.
    pub fn set_allowed(&self, mask: u64) {
        self.allowed.store(mask, Ordering::Relaxed);
    }

    /// The vCPU it runs on or ran on last.
    pub fn last_vcpu(&self) -> usize {
        self.vcpu.load(Ordering::Relaxed)
    }

    pub fn run_state(&self) -> RunState {
        self.state.lock().run
    }

    /// CPU time that counts for its turn, nanoseconds scaled by weight.
    pub fn vruntime(&self) -> u64 {
        self.state.lock().vruntime
    }

    /// The guest's registers, when the task is held at the way into guest code.
    pub fn held_registers(&self) -> Option<Registers> {
        self.held.lock().as_deref().copied()
    }

    /// Words of the kernel stack, innermost first, at most `most`; None while the task is on a vCPU or dead.
    pub fn stack_words(&self, most: usize) -> Option<Vec<usize>> {
        Some(self.fiber.lock().as_ref()?.stack_words(most))
    }

    /// Whether it is on a vCPU at this moment.
    pub fn is_running(&self) -> bool {
        self.accounted_ns.load(Ordering::Relaxed) != 0
    }

    /// Nanoseconds in guest code and in the kernel, up to this moment.
    pub fn times(&self) -> (u64, u64) {
        let mut user = self.utime_ns.load(Ordering::Relaxed);
        let mut system = self.stime_ns.load(Ordering::Relaxed);
        let since = self.accounted_ns.load(Ordering::Relaxed);
        if since != 0 {
            let more = crate::time::monotonic_ns().saturating_sub(since);
            if self.in_guest.load(Ordering::Relaxed) {
                user += more;
            } else {
                system += more;
            }
        }
        (user, system)
    }

    /// Accounts the time since the last call to `to`; only its own vCPU does.
    pub(super) fn account(&self, now: u64, to: &AtomicU64) {
        let since = self.accounted_ns.swap(now, Ordering::Relaxed);
        let more = now.saturating_sub(since);
        to.store(to.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    /// Virtual run time of `ns` nanoseconds under policy SCHED_*. Real-time tasks are ahead of all others for a hundred
    /// times their share, so that they don't starve the machine as Linux's throttling sees to.
    pub(super) fn weigh(&self, ns: u64, policy: u32) -> u64 {
        let weight = match policy {
            SCHED_FIFO | SCHED_RR => REAL_TIME_WEIGHT,
            SCHED_IDLE => IDLE_WEIGHT,
            _ => WEIGHTS[(self.nice() + 20) as usize],
        };
        if weight == 1024 {
            ns
        } else {
            ns.saturating_mul(1024) / weight
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_nice_and_policy() {
        let entity = Entity::new(0, 1);
        assert_eq!(entity.weigh(1_000_000, 0), 1_000_000);
        let idle = entity.weigh(1_000_000, SCHED_IDLE);
        let real_time = entity.weigh(1_000_000, SCHED_FIFO);
        entity.set_nice(5);
        let nice = entity.weigh(1_000_000, 0);
        assert!(real_time < 10_000 && nice > 3_000_000 && idle > 300_000_000);
    }
}
