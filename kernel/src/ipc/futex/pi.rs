//! Priority-inheriting locks: the word holds the owner's thread number, the kernel passes the lock on.
//!
//! Waiters get the lock in the order of their nice values, then of arrival. The owner is not run sooner because somebody
//! waits: all policies share the CPU fairly here, so no owner starves.

use super::table::{self, Key, Table, Waiter};
use super::wait::{Timeout, WaitEntry, enqueue, sleep};
use super::{key_of, word};
use crate::error::{Error, Result, err};
use crate::mm::Mm;
use crate::task::{Task, pids};
use abi::errno::Errno;
use abi::futex::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use std::sync::Arc;

enum Attempt {
    Taken,
    Owned(u32),
}

/// Takes the lock or sleeps until it is passed on. EAGAIN (`only_try`, or the owner is ending), EDEADLK, ESRCH, ETIMEDOUT,
/// ERESTARTNOINTR.
pub fn lock_pi(
    task: &Arc<Task>,
    addr: u64,
    private: bool,
    timeout: Option<&Timeout>,
    only_try: bool,
) -> Result<()> {
    let mm = task.mm().ok_or_else(|| Error::new(Errno::EFAULT))?;
    let key = key_of(&mm, addr, private)?;
    for _ in 0..word::MAX_TRIES {
        let waiter = {
            let mut table = table::lock();
            match attempt(&table, &mm, addr, key, task.tid()) {
                Some(Attempt::Taken) => {
                    if !table.waiters(key).is_empty() {
                        table.owners.insert(key, task.tid());
                    }
                    return Ok(());
                }
                Some(Attempt::Owned(owner)) => {
                    check_owner(&table, task, owner)?;
                    if only_try {
                        return err(Errno::EAGAIN);
                    }
                    let waiter = Waiter::new(task.clone(), key, addr, !0, true);
                    table.owners.insert(key, owner);
                    table.add(waiter.clone());
                    Some(waiter)
                }
                None => None,
            }
        };
        match waiter {
            Some(waiter) => return wait_for_lock(task, timeout, &waiter),
            None => word::fault_in(&mm, addr, true)?,
        }
    }
    err(Errno::EFAULT)
}

/// Takes a free lock, or marks a held one as waited for. None: the page must be brought in.
fn attempt(table: &Table, mm: &Mm, addr: u64, key: Key, tid: u32) -> Option<Attempt> {
    let waiting = !table.waiters(key).is_empty();
    let old = word::update(mm, addr, |old| {
        let owner = old & FUTEX_TID_MASK;
        if owner == tid {
            None
        } else if owner == 0 {
            let waiters = if waiting { FUTEX_WAITERS } else { 0 };
            Some(tid | (old & FUTEX_OWNER_DIED) | waiters)
        } else {
            Some(old | FUTEX_WAITERS)
        }
    })?;
    Some(match old & FUTEX_TID_MASK {
        0 => Attempt::Taken,
        owner => Attempt::Owned(owner),
    })
}

/// The owner must live, and must not wait for the caller.
fn check_owner(table: &Table, task: &Task, owner: u32) -> Result<()> {
    let mut next = owner;
    loop {
        if next == task.tid() {
            return err(Errno::EDEADLK);
        }
        match table
            .waits_for(next)
            .and_then(|key| table.owners.get(&key).copied())
        {
            Some(further) if further != next => next = further,
            _ => break,
        }
    }
    match pids().task(owner) {
        Some(owner) if owner.mm().is_some() => Ok(()),
        _ => err(Errno::ESRCH),
    }
}

/// After a wait that fails the lock stays marked as waited for, as in Linux: its unlock enters the kernel once.
fn wait_for_lock(task: &Arc<Task>, timeout: Option<&Timeout>, waiter: &Arc<Waiter>) -> Result<()> {
    match sleep(task, timeout, || waiter.is_woken().then_some(())) {
        Err(_) if !table::lock().remove(waiter) => Ok(()),
        Err(e) if e == Errno::ERESTARTSYS => err(Errno::ERESTARTNOINTR),
        other => other,
    }
}

/// FUTEX_WAIT_REQUEUE_PI: waits for the word at `entry`, then for the lock at `lock` that [`requeue_pi`] moves it to. EINVAL,
/// EAGAIN (another value, or a signal after the move), ETIMEDOUT, ERESTARTNOINTR.
pub fn wait_requeue_pi(
    task: &Arc<Task>,
    entry: WaitEntry,
    lock: u64,
    timeout: Option<&Timeout>,
) -> Result<()> {
    if entry.addr == lock {
        return err(Errno::EINVAL);
    }
    let mm = task.mm().ok_or_else(|| Error::new(Errno::EFAULT))?;
    let target = key_of(&mm, lock, entry.private)?;
    if key_of(&mm, entry.addr, entry.private)? == target {
        return err(Errno::EINVAL);
    }
    let new = |key| Waiter::to_be_moved(task.clone(), key, target, lock);
    let waiters = enqueue(task, &[entry], new)?.map_err(|_| Error::new(Errno::EAGAIN))?;
    let waiter = &waiters[0];
    let Err(e) = sleep(task, timeout, || waiter.is_woken().then_some(())) else {
        return Ok(());
    };
    if !table::lock().remove(waiter) {
        return Ok(());
    }
    match e.errno() {
        // The word's wait is over; to start again would be to wait for it once more.
        Errno::ERESTARTSYS if waiter.is_pi() => err(Errno::EAGAIN),
        Errno::ERESTARTSYS => err(Errno::ERESTARTNOINTR),
        _ => Err(e),
    }
}

/// FUTEX_CMP_REQUEUE_PI: gives the lock at `lock` to the first waiter of the word at `from` if it is free, and moves up to
/// `moved` others to it. How many. EAGAIN when the word doesn't hold `expected`, EINVAL, EFAULT, EDEADLK, ESRCH.
pub fn requeue_pi(
    task: &Task,
    from: u64,
    lock: u64,
    private: bool,
    wake: i32,
    moved: i32,
    expected: u32,
) -> Result<usize> {
    if wake != 1 || moved < 0 || from == lock {
        return err(Errno::EINVAL);
    }
    let mm = task.mm().ok_or_else(|| Error::new(Errno::EFAULT))?;
    let (from_key, lock_key) = (key_of(&mm, from, private)?, key_of(&mm, lock, private)?);
    if from_key == lock_key {
        return err(Errno::EINVAL);
    }
    let limit = (moved as usize).saturating_add(1);
    let mut done = 0;
    for _ in 0..word::MAX_TRIES {
        let missing = {
            let mut table = table::lock();
            match word::peek(&mm, from) {
                Some(now) if now == expected => {
                    let keys = (from_key, lock_key);
                    if move_all(&mut table, &mm, lock, keys, limit, &mut done)? {
                        return Ok(done);
                    }
                    (lock, true)
                }
                Some(_) => return err(Errno::EAGAIN),
                None => (from, false),
            }
        };
        word::fault_in(&mm, missing.0, missing.1)?;
    }
    err(Errno::EFAULT)
}

/// Moves waiters until `done` is `limit`. False: the lock's page must be brought in.
fn move_all(
    table: &mut Table,
    mm: &Mm,
    lock: u64,
    (from, to): (Key, Key),
    limit: usize,
    done: &mut usize,
) -> Result<bool> {
    while *done < limit {
        let Some(waiter) = table.waiters(from).first().cloned() else {
            break;
        };
        if waiter.target != Some(to) || waiter.is_pi() {
            return err(Errno::EINVAL);
        }
        match attempt(table, mm, lock, to, waiter.task.tid()) {
            Some(Attempt::Taken) => {
                if !table.waiters(to).is_empty() {
                    table.owners.insert(to, waiter.task.tid());
                }
                table.wake_one(&waiter);
            }
            Some(Attempt::Owned(owner)) => {
                check_owner(table, &waiter.task, owner)?;
                table.owners.insert(to, owner);
                table.move_to_lock(&waiter, to);
            }
            None => return Ok(false),
        }
        *done += 1;
    }
    Ok(true)
}

/// Gives the lock to the next waiter, or frees it. EPERM when the caller doesn't own it.
pub fn unlock_pi(task: &Arc<Task>, addr: u64, private: bool) -> Result<()> {
    let mm = task.mm().ok_or_else(|| Error::new(Errno::EFAULT))?;
    let key = key_of(&mm, addr, private)?;
    for _ in 0..word::MAX_TRIES {
        {
            let mut table = table::lock();
            match pass_on(&mut table, &mm, addr, key, task.tid(), 0) {
                Some(true) => return Ok(()),
                Some(false) => return err(Errno::EPERM),
                None => {}
            }
        }
        word::fault_in(&mm, addr, true)?;
    }
    err(Errno::EFAULT)
}

/// Some(false): `tid` isn't the owner. None: the page must be brought in.
fn pass_on(table: &mut Table, mm: &Mm, addr: u64, key: Key, tid: u32, died: u32) -> Option<bool> {
    let next = table
        .waiters(key)
        .iter()
        .min_by_key(|w| w.task.sched.nice())
        .cloned();
    let more = table.waiters(key).len() > 1;
    let old = word::update(mm, addr, |old| {
        let owner = old & FUTEX_TID_MASK;
        if owner != tid && (died == 0 || owner != 0) {
            return None;
        }
        Some(match &next {
            None => died,
            Some(next) => next.task.tid() | died | if more { FUTEX_WAITERS } else { 0 },
        })
    })?;
    let owner = old & FUTEX_TID_MASK;
    if owner != tid && (died == 0 || owner != 0) {
        return Some(false);
    }
    if let Some(next) = next {
        table.wake_one(&next);
        if more {
            table.owners.insert(key, next.task.tid());
        }
    }
    Some(true)
}

/// A thread ends: locks that it holds and others wait for go to the next waiter, marked (exit_pi_state_list()).
pub(super) fn give_up_all(task: &Task) {
    let tid = task.tid();
    let held: Vec<(Key, Arc<Waiter>)> = {
        let table = table::lock();
        table
            .owners
            .iter()
            .filter(|(_, owner)| **owner == tid)
            .filter_map(|(key, _)| Some((*key, table.waiters(*key).first()?.clone())))
            .collect()
    };
    for (key, waiter) in held {
        // The dying thread's own mapping of the word may be gone: a waiter's isn't.
        let Some(mm) = waiter.task.mm() else {
            continue;
        };
        for _ in 0..word::MAX_TRIES {
            let done = {
                let mut table = table::lock();
                pass_on(&mut table, &mm, waiter.addr, key, tid, FUTEX_OWNER_DIED)
            };
            if done.is_some() || word::fault_in(&mm, waiter.addr, true).is_err() {
                break;
            }
        }
    }
}
