//! Inter-process communication and events: pipes, eventfd, poll and epoll, sockets.
//!
//! Everything here is a [`FileOps`](crate::vfs::FileOps) whose readiness is told through wait queues. Contents that are
//! copied to and from guests lie under sleeping mutexes, because a copy may fault; what conditions and `poll` look at is
//! in atomics or short locks.

pub mod epoll;
pub mod eventfd;
pub mod futex;
pub mod pipe;
pub mod poll;
pub mod socket;

use crate::{sched, signal, vfs};
use abi::siginfo::Siginfo;
use abi::signal::SIGPIPE;

/// Registers what other subsystems call through hooks. Once, at boot.
pub fn init() {
    vfs::set_fifo_open(pipe::fifo_open);
}

/// SIGPIPE for the caller, who wrote to something that nobody reads.
fn broken_pipe() {
    let task = sched::current();
    let info = Siginfo::kill(SIGPIPE, task.pid() as i32, task.cred().uid);
    // It fails only for a task that ends anyway.
    let _ = signal::send_task(&task, info);
}
