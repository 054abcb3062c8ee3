//! Processes kept ready for programs to come: clones of the zygote with a thread that waits. They are made by a thread of their
//! own on a host CPU that no vCPU wants, so that an execve which needs a new process (after vfork, or with more rights than
//! before) only has to map the program. Without such a CPU there are none.

use crate::aspace::Born;
use crate::beside::Spin;
use crate::machine::Machine;
use crate::{ThreadState, sys, vcpu};
use std::io;
use std::sync::{Arc, Condvar, Mutex, Weak};

/// Processes kept.
const KEPT: usize = 2;
/// Bytes of stack of the thread that makes them.
const STACK: usize = 64 << 10;

/// Those that are ready, and the thread that makes them.
#[derive(Default)]
pub struct Nursery {
    state: Mutex<State>,
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    ready: Vec<Born>,
    /// Home of a vCPU that has asked for one since the thread last looked.
    asked: Option<usize>,
    ended: bool,
}

impl Nursery {
    /// Starts the thread for `machine`, which ends with it.
    pub fn start(machine: &Arc<Machine>) -> io::Result<()> {
        if machine.config.spin == Spin::Off || machine.cpus.len() < 2 {
            return Ok(());
        }
        let (nursery, weak) = (machine.nursery.clone(), Arc::downgrade(machine));
        std::thread::Builder::new()
            .name("nursery".into())
            .stack_size(STACK)
            .spawn(move || nursery.run(&weak))?;
        Ok(())
    }

    /// Takes one, if there is one, for the vCPU that asks. Another is made in its place.
    pub fn take(&self) -> Option<Born> {
        let (_, home) = vcpu::current()?;
        let mut state = self.state.lock().unwrap();
        let taken = state.ready.pop();
        if state.asked.replace(home).is_none() {
            self.wanted.notify_one();
        }
        taken
    }

    /// Ends the thread; those that are ready are the machine's to end.
    pub fn end(&self) {
        let mut state = self.state.lock().unwrap();
        state.ended = true;
        state.ready.clear();
        self.wanted.notify_one();
    }

    fn run(&self, machine: &Weak<Machine>) {
        let mut state = self.state.lock().unwrap();
        while !state.ended {
            let home = match state.asked.take() {
                Some(home) => home,
                None => {
                    state = self.wanted.wait(state).unwrap();
                    continue;
                }
            };
            while !state.ended && state.ready.len() < KEPT {
                drop(state);
                let made = machine.upgrade().and_then(|machine| make(&machine, home));
                state = self.state.lock().unwrap();
                match made {
                    Some(born) if !state.ended => state.ready.push(born),
                    _ => break,
                }
            }
        }
    }
}

/// Makes one on a CPU that nobody wants but, perhaps, the vCPU at `home`.
fn make(machine: &Arc<Machine>, home: usize) -> Option<Born> {
    let cpu = machine.claims.free(home, 0, false)?;
    // A refusal (a CPU set changed from outside) costs speed only.
    let _ = sys::set_affinity(0, cpu);
    Born::from_zygote(machine, Some(cpu), &[], Some(&ThreadState::default())).ok()
}
