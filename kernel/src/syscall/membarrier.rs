//! membarrier(2): a barrier in all other running threads (kernel/sched/membarrier.c).
//!
//! What doesn't run has been switched out, which is a barrier; what runs in the guest is interrupted.

use super::Context;
use crate::error::{Result, err};
use crate::sched;
use abi::errno::Errno;
use abi::task::{MEMBARRIER_CMD_FLAG_CPU, MEMBARRIER_CMD_QUERY, Membarrier};
use std::sync::atomic::Ordering;

/// Which registration a private command needs.
fn registration(command: Membarrier) -> Option<Membarrier> {
    let pairs = [
        (
            Membarrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED,
            Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
        ),
        (
            Membarrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
            Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
        ),
        (
            Membarrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
            Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
        ),
    ];
    pairs.iter().find(|p| p.0 == command).map(|p| p.1)
}

const REGISTER: Membarrier = Membarrier::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
    .union(Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    .union(Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
    .union(Membarrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);

pub fn membarrier(cx: &mut Context, command: u32, flags: u32, _cpu: i32) -> Result<u32> {
    let rseq = Membarrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
    let allowed = if command == rseq.bits() {
        MEMBARRIER_CMD_FLAG_CPU
    } else {
        0
    };
    if flags & !allowed != 0 {
        return err(Errno::EINVAL);
    }
    if command == MEMBARRIER_CMD_QUERY {
        return Ok(Membarrier::all().bits());
    }
    let command = Membarrier::from_bits_retain(command);
    let registered = &cx.task.mm().ok_or(Errno::EINVAL)?.membarrier;
    if let Some(needed) = registration(command) {
        if registered.load(Ordering::Relaxed) & needed.bits() == 0 {
            return err(Errno::EPERM);
        }
        sched::with_guests_stopped(|| ());
        return Ok(0);
    }
    match command {
        Membarrier::MEMBARRIER_CMD_GLOBAL | Membarrier::MEMBARRIER_CMD_GLOBAL_EXPEDITED => {
            sched::with_guests_stopped(|| ());
            Ok(0)
        }
        Membarrier::MEMBARRIER_CMD_GET_REGISTRATIONS => Ok(registered.load(Ordering::Relaxed)),
        c if c.bits().is_power_of_two() && REGISTER.contains(c) => {
            registered.fetch_or(c.bits(), Ordering::Relaxed);
            Ok(0)
        }
        _ => err(Errno::EINVAL),
    }
}
