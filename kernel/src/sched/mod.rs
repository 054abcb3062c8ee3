//! The scheduler: tasks are fibers, vCPUs are host threads that resume them, fairly by virtual run time.
//!
//! A task is parked, queued, running or dead. [`park`] and [`unpark`] form a token: an unpark that comes before or during
//! the park is not lost, it makes the park return at once. So a waker never needs to know how far the sleeper got.
//! After a fiber has suspended, its vCPU settles its new state; before that nobody else resumes it.

mod entity;
pub mod stop;
mod vcpu;

pub use entity::{Entity, RunState};
pub use vcpu::{
    Reason, SLICE_NS, busy_ns, current, every_vcpu, guest_slot, idle_ns, in_task, kick_task,
    mark_resched, migrate, move_to_allowed, ncpus, nr_running, park, preempt_if_needed, run_guest,
    spawn, start, this_vcpu, tick, try_current, unpark, with_guests_stopped, yield_now,
};
