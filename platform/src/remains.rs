//! What the host tells of an address space's process when that has ended.

use crate::machine::Machine;
use crate::{AddressSpace, sys};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

/// Time between two looks at a process that is ending: a blocking wait could catch another one with its id.
const LOOK: Duration = Duration::from_micros(50);

/// What a process used of memory, by the host's count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The most that was resident, bytes; of a process that lives, what is resident.
    pub peak_bytes: u64,
    /// Faults that the host resolved without reading anything.
    pub minor_faults: u64,
}

/// Holds on to what will be known of an address space after its end: asking the host before would cost a tenth of a small
/// program's life.
#[derive(Clone)]
pub struct Remains {
    obituary: Arc<Obituary>,
    machine: Weak<Machine>,
}

/// Of one stub process.
pub(crate) struct Obituary {
    pid: i32,
    /// Whether it has been killed: its id is true as long as this lock is held on a false.
    buried: Mutex<bool>,
    used: OnceLock<Used>,
}

impl Obituary {
    pub fn new(pid: i32) -> Arc<Obituary> {
        Arc::new(Obituary {
            pid,
            buried: Mutex::new(false),
            used: OnceLock::new(),
        })
    }

    /// It is about to be killed.
    pub fn bury(&self) {
        *self.buried.lock().unwrap() = true;
    }

    /// It has been reaped.
    pub fn write(&self, used: Used) {
        let _ = self.used.set(used);
    }
}

impl AddressSpace {
    /// What can be asked after its end.
    pub fn remains(&self) -> Remains {
        Remains {
            obituary: self.0.obituary.clone(),
            machine: Arc::downgrade(&self.0.machine),
        }
    }
}

impl Remains {
    /// What it used, if that is known already.
    pub fn known(&self) -> Option<Used> {
        self.obituary.used.get().copied()
    }

    /// What it used; waits for a process that is ending. Of one that somebody else still uses, what it has used so far.
    pub fn used(&self) -> Used {
        loop {
            if let Some(used) = self.known() {
                return used;
            }
            let buried = self.obituary.buried.lock().unwrap();
            if !*buried {
                return sys::memory_used(self.obituary.pid);
            }
            drop(buried);
            let Some(machine) = self.machine.upgrade() else {
                return Used::default();
            };
            machine.reap();
            if machine.has_ended() {
                return self.known().unwrap_or_default();
            }
            if self.known().is_none() {
                std::thread::sleep(LOOK);
            }
        }
    }
}
