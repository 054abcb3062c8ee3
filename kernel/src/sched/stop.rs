//! Holding the whole machine: no guest code runs, no timer fires, and the guest's clocks stand still.
//!
//! Tasks are held where they would enter guest code. What is in the middle of a system call goes on until it ends or sleeps,
//! so locks and half-written metadata aren't held for the length of a stop, and the kernel's own work (a sync, say) can
//! still be done.

use super::vcpu;
use crate::sync::WaitQueue;
use crate::task::Task;
use crate::time;
use parking_lot::Mutex;
use platform::Registers;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Who asked for the gate to be closed; the order of requests.
static HELD: Mutex<bool> = Mutex::new(false);
static GO: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);

/// How long system calls under way may take before the stop counts as done without them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks whether the vCPUs have stopped: nothing tells of it, and a stop is rare.
const LOOK: Duration = Duration::from_millis(1);

/// Stops the machine; returns when no guest code runs any more. False: it is stopped already. From host threads that are no
/// vCPU's.
pub fn stop() -> bool {
    let mut held = HELD.lock();
    if std::mem::replace(&mut *held, true) {
        return false;
    }
    close();
    time::timer::stop();
    // Not needed for the stop, but whoever copies a disk wants what was being written.
    wait_until(PATIENCE, vcpu::all_idle);
    true
}

/// The machine goes on. False: it isn't stopped. As [`stop`].
pub fn go() -> bool {
    let mut held = HELD.lock();
    if !std::mem::replace(&mut *held, false) {
        return false;
    }
    time::timer::go_on();
    open();
    true
}

pub fn is_stopped() -> bool {
    *HELD.lock()
}

/// Runs `look` while no guest runs, so that the registers of tasks in guest code can be seen.
pub fn with_guests_held<R>(look: impl FnOnce() -> R) -> R {
    let held = HELD.lock();
    if *held {
        return look();
    }
    close();
    // Those that were in guest code are a moment away from the gate.
    wait_until(Duration::from_millis(50), vcpu::all_idle);
    let result = look();
    open();
    result
}

fn close() {
    vcpu::close_gate();
    while vcpu::any_in_guest() {
        std::thread::sleep(LOOK);
    }
}

fn open() {
    vcpu::open_gate();
    GO.wake_all();
}

fn wait_until(patience: Duration, done: fn() -> bool) {
    let end = Instant::now() + patience;
    while !done() && Instant::now() < end {
        std::thread::sleep(LOOK);
    }
}

/// The current task waits until the gate is open.
pub(super) fn wait_at_gate(task: &Task, registers: &Registers) {
    *task.sched.held.lock() = Some(Box::new(*registers));
    GO.wait_uninterruptible(|| (!vcpu::gate_is_closed()).then_some(()));
    *task.sched.held.lock() = None;
}
