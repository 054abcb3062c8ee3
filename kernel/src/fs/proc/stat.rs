//! /proc/pid/stat and statm: fs/proc/array.c:do_task_stat().

use super::global::ticks;
use crate::error::Result;
use crate::mm::MemoryCounts;
use crate::sched::RunState;
use crate::task::{Task, exit};
use abi::sched::{SCHED_FIFO, SCHED_RR};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The letter that ps shows.
pub(super) fn state(task: &Task) -> (char, &'static str) {
    let (zombie, stopped) = {
        let inner = task.group.inner.lock();
        let ended = || !inner.threads.iter().any(|t| std::ptr::eq(&**t, task));
        // A leader that has ended before the others; the last one is a zombie when waits and polls see it.
        let leader = !inner.threads.is_empty() && ended();
        // From when it may count for a parent that waits for the stop, until it is continued.
        let stops = task.job_stopped.load(Relaxed) && task.group.stopping.load(Relaxed) != 0;
        let stopped = stops && inner.group_exit.is_none();
        (inner.zombie.is_some() || leader, stopped)
    };
    if zombie {
        return ('Z', "zombie");
    }
    if stopped {
        return ('T', "stopped");
    }
    match task.sched.run_state() {
        RunState::Dead => ('X', "dead"),
        RunState::Queued | RunState::Running => ('R', "running"),
        RunState::Parked { .. } if task.sched.held_registers().is_some() => ('R', "running"),
        RunState::Parked {
            interruptible: true,
        } => ('S', "sleeping"),
        RunState::Parked {
            interruptible: false,
        } => ('D', "disk sleep"),
    }
}

pub(super) fn stat(task: &Arc<Task>, process: bool) -> Result<Vec<u8>> {
    let group = &task.group;
    let threads = if process {
        group.threads()
    } else {
        vec![task.clone()]
    };
    if group.is_zombie() {
        group.settle_own_memory();
        group.settle_waited_memory();
    }
    let (pgid, sid, tty, dead, children, exit) = {
        let inner = group.inner.lock();
        let dead = if process {
            inner.dead_threads
        } else {
            Default::default()
        };
        let exit = inner.zombie.map_or(0, |status| status.wait_status());
        (
            inner.pgid,
            inner.sid,
            inner.tty.clone(),
            dead,
            inner.waited_children,
            exit,
        )
    };
    let sum = |of: fn(&Task) -> u64| threads.iter().map(|t| of(t)).sum::<u64>();
    let utime = dead.utime_ns + sum(|t| t.sched.utime_ns.load(Relaxed));
    let stime = dead.stime_ns + sum(|t| t.sched.stime_ns.load(Relaxed));
    let (tty_nr, tpgid) = tty.map_or((0, -1i64), |tty| {
        (tty.rdev(), tty.pgrp().map_or(-1, i64::from))
    });
    let mm = task.mm();
    let sizes = mm.as_ref().map(|mm| mm.memory_counts()).unwrap_or_default();
    let whole = process || group.live_threads() == 1;
    let host_faults = match &mm {
        Some(mm) if whole => exit::host_faults(group, mm),
        _ => 0,
    };
    let layout = mm.as_ref().map(|mm| mm.layout()).unwrap_or_default();
    let start = ticks(task.start_ns.saturating_sub(crate::boot::start_ns()));
    let (pending, blocked) = {
        let signal = task.signal.lock();
        (signal.pending.set.0, signal.blocked.0)
    };
    let (ignored, caught) = super::status::dispositions(task);
    let mut text = format!("{} (", task.tid()).into_bytes();
    text.extend(task.comm());
    let nice = task.sched.nice();
    let rest = format!(
        ") {} {} {pgid} {sid} {tty_nr} {tpgid} 4194304 {} {} {} {} {} {} {} {} {} {nice} {} 0 {start} {} {} {} \
         {} {} {} 0 0 {pending} {blocked} {ignored} {caught} 0 0 0 {} {} {} {} 0 0 0 {} {} {} {} {} {} {} {exit}\n",
        state(task).0,
        group.ppid(),
        dead.minor_faults + sum(|t| t.minor_faults.load(Relaxed)) + host_faults,
        children.minor_faults,
        dead.major_faults + sum(|t| t.major_faults.load(Relaxed)),
        children.major_faults,
        ticks(utime),
        ticks(stime),
        ticks(children.utime_ns),
        ticks(children.stime_ns),
        priority(task),
        group.threads().len().max(1),
        sizes.total * 4096,
        resident(&sizes),
        group.rlimit(abi::task::RLIMIT_RSS as usize),
        layout.start_code,
        layout.end_code,
        layout.start_stack,
        if process {
            group.inner.lock().exit_signal
        } else {
            -1
        },
        task.sched.last_vcpu(),
        task.rt_priority.load(Relaxed),
        task.policy.load(Relaxed),
        layout.start_data,
        layout.end_data,
        layout.start_brk,
        layout.arg_start,
        layout.arg_end,
        layout.env_start,
        layout.env_end,
    );
    text.extend(rest.into_bytes());
    Ok(text)
}

fn resident(counts: &MemoryCounts) -> u64 {
    counts.resident_anon + counts.resident_file + counts.resident_shared
}

/// Pages: total, resident, shared, code, 0, data and stack, 0.
pub(super) fn statm(task: &Arc<Task>) -> Result<Vec<u8>> {
    let sizes = task.mm().map(|mm| mm.memory_counts()).unwrap_or_default();
    let mut text = String::new();
    let _infallible = writeln!(
        text,
        "{} {} {} {} 0 {} 0",
        sizes.total,
        resident(&sizes),
        sizes.resident_file + sizes.resident_shared,
        sizes.text,
        sizes.data + sizes.stack
    );
    Ok(text.into_bytes())
}

/// What ps shows as PRI, turned round: below zero for the real-time policies (kernel/sched/core.c:task_prio()).
pub(super) fn priority(task: &Task) -> i32 {
    match task.policy.load(Relaxed) {
        SCHED_FIFO | SCHED_RR => -1 - task.rt_priority.load(Relaxed) as i32,
        _ => 20 + task.sched.nice(),
    }
}
