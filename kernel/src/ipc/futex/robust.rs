//! Robust futexes: what a thread that ends leaves locked is marked, and a waiter is told (exit_robust_list()).

use super::{key_of, ops, pi, word};
use crate::mm::Mm;
use crate::task::Task;
use abi::futex::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_LIST_LIMIT};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use zerocopy::{FromBytes, IntoBytes};

use abi::futex::RobustListHead;

/// Walks the list that the thread has registered, then gives up the priority-inheriting locks others wait for.
pub fn exit_robust_list(task: &Arc<Task>) {
    let head = task.robust_list.load(Ordering::Relaxed);
    if let Some(mm) = task.mm()
        && head != 0
    {
        walk(task, &mm, head);
    }
    pi::give_up_all(task);
}

fn read<T: FromBytes + IntoBytes>(mm: &Mm, addr: u64) -> Option<T> {
    let mut value = T::new_zeroed();
    let bytes = value.as_mut_bytes();
    (mm.read(addr, bytes) == bytes.len()).then_some(value)
}

fn walk(task: &Task, mm: &Arc<Mm>, at: u64) -> Option<()> {
    let head: RobustListHead = read(mm, at)?;
    let pending = head.list_op_pending;
    let word_of = |entry: u64| (entry & !1).wrapping_add_signed(head.futex_offset);
    let mut entry = head.list.next;
    // A ring without the head changes nothing the second time round; Linux walks it to the limit, which costs it less.
    let mut seen = 0;
    for step in 0..ROBUST_LIST_LIMIT {
        if entry & !1 == at || entry & !1 == seen {
            break;
        }
        if (step as u64).is_power_of_two() {
            seen = entry & !1;
        }
        let next: Option<u64> = read(mm, entry & !1);
        if entry & !1 != pending & !1 {
            died(task, mm, word_of(entry), entry & 1 != 0, false)?;
        }
        entry = next?;
    }
    if pending & !1 != 0 {
        died(task, mm, word_of(pending), pending & 1 != 0, true)?;
    }
    Some(())
}

/// handle_futex_death(). None on a fault: the list isn't followed further.
fn died(task: &Task, mm: &Arc<Mm>, addr: u64, is_pi: bool, pending: bool) -> Option<()> {
    let wake = || {
        if let Ok(key) = key_of(mm, addr, false) {
            ops::wake_key(key, 1, !0);
        }
    };
    if addr & 3 != 0 {
        return None;
    }
    let tid = task.tid();
    let owned = |word: u32| word & FUTEX_TID_MASK == tid;
    let old = word::update_sleeping(mm, addr, |word| {
        owned(word).then_some(word & FUTEX_WAITERS | FUTEX_OWNER_DIED)
    })
    .ok()?;
    if !owned(old) {
        // Unlocked, but the waiter it was to wake wasn't told yet.
        if pending && !is_pi && old == 0 {
            wake();
        }
    } else if !is_pi && old & FUTEX_WAITERS != 0 {
        wake();
    }
    Some(())
}
