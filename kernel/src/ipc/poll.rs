//! poll and select: look at every file, sleep until one of their queues tells, look again (fs/select.c).

use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Deadline, PollTable, Wake};
use crate::task::Task;
use crate::time::timer;
use crate::vfs::{File, PollEvents};
use abi::errno::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A sleeper that remembers having been told, so that sleeping inside a `poll` method (on a mutex) loses nothing:
/// Linux's `poll_wqueues.triggered`.
pub struct Sleeper {
    task: Arc<Task>,
    told: AtomicBool,
}

impl Sleeper {
    /// For the calling task.
    pub fn new() -> Arc<Sleeper> {
        Arc::new(Sleeper {
            task: sched::current(),
            told: AtomicBool::new(false),
        })
    }

    /// Runs `scan` until it gives a value, sleeping in between until told. None when `deadline` passes (after a last
    /// scan). `interrupted` when a signal is to be handled.
    pub fn wait<T>(
        self: &Arc<Self>,
        deadline: Option<Deadline>,
        interrupted: Errno,
        mut scan: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        let mut alarm = None;
        loop {
            self.told.store(false, Ordering::SeqCst);
            if let Some(value) = scan() {
                return Ok(Some(value));
            }
            if self.task.has_signal() {
                return err(interrupted);
            }
            if let Some(at) = deadline {
                let arm = || timer::wake_at(at, self.clone());
                if at.passed() || alarm.get_or_insert_with(arm).is_over() {
                    return Ok(None);
                }
            }
            while !self.told.load(Ordering::SeqCst) && !self.task.has_signal() {
                sched::park(true);
            }
        }
    }
}

impl Wake for Sleeper {
    fn wake(&self, _events: PollEvents) -> bool {
        self.told.store(true, Ordering::SeqCst);
        sched::unpark(&self.task);
        true
    }
}

/// Events that are reported asked for or not.
pub const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);

/// One file to watch. Events other than those asked for, ERR and HUP are not reported.
pub struct Watch {
    pub file: Arc<File>,
    pub events: PollEvents,
    pub revents: PollEvents,
}

/// Waits until a watched file has an event, at the latest until `deadline` (None: for ever), and returns how many have
/// one. `ready`: how many answers there are anyway (bad descriptors); with any this only looks.
/// ERESTARTNOHAND when a signal is to be handled.
pub fn wait(watches: &mut [Watch], ready: usize, deadline: Option<Deadline>) -> Result<usize> {
    let deadline = if ready > 0 {
        Some(Deadline(0))
    } else {
        deadline
    };
    wait_for(watches, deadline, |_, events| !events.is_empty())
}

/// As [`wait`] where `counts` says whether the events of the watch with this index are an answer.
pub fn wait_for(
    watches: &mut [Watch],
    deadline: Option<Deadline>,
    counts: impl Fn(usize, PollEvents) -> bool,
) -> Result<usize> {
    if deadline == Some(Deadline(0)) {
        return Ok(scan(watches, None, &counts));
    }
    let sleeper = Sleeper::new();
    let mut table = PollTable::new(sleeper.clone());
    let mut first = true;
    let found = sleeper.wait(deadline, Errno::ERESTARTNOHAND, || {
        let table = std::mem::take(&mut first).then_some(&mut table);
        match scan(watches, table, &counts) {
            0 => None,
            found => Some(found),
        }
    })?;
    Ok(found.unwrap_or(0))
}

fn scan(
    watches: &mut [Watch],
    mut table: Option<&mut PollTable>,
    counts: &impl Fn(usize, PollEvents) -> bool,
) -> usize {
    let mut found = 0;
    for (index, watch) in watches.iter_mut().enumerate() {
        let wanted = watch.events | ALWAYS;
        watch.revents = watch.file.ops().poll(&watch.file, table.as_deref_mut()) & wanted;
        if counts(index, watch.revents) {
            found += 1;
            table = None;
        }
    }
    found
}
