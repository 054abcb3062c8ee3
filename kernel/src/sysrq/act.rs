//! The letters that do something.

use crate::log;
use crate::machine::{self, End};
use crate::mm::pressure;
use crate::signal::send_group;
use crate::task::{kernel_thread, pids};
use crate::vfs::{filesystem_type, mount};
use crate::{pr_info, pr_warn};
use abi::sched::{SCHED_FIFO, SCHED_NORMAL, SCHED_RR};
use abi::siginfo::Siginfo;
use abi::signal::{SIGKILL, SIGTERM};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the caller waits for what may sleep; it is finished all the same.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn loglevel(letter: char) {
    let level = letter.to_digit(10).unwrap_or(0) as u8;
    // Linux prints it while the level is still the default.
    let line = || pr_info!("sysrq: Loglevel set to {level}");
    let old = log::console_level();
    log::set_console_level(old.max(super::HEADER_LEVEL));
    line();
    log::set_console_level(level);
}

pub(super) fn reboot(_: char) {
    machine::request(End::Reboot);
}

pub(super) fn crash(_: char) {
    machine::panic("sysrq triggered crash");
}

pub(super) fn power_off(_: char) {
    machine::request(End::PowerOff);
}

/// drivers/tty/sysrq.c:send_sig_all(): init is spared.
fn signal_all(signo: i32) {
    for group in pids().groups() {
        if group.pid() != 1 && !group.is_zombie() {
            // One that has ended meanwhile needs no signal.
            let _gone = send_group(&group, Siginfo::kernel(signo));
        }
    }
}

pub(super) fn terminate(_: char) {
    signal_all(SIGTERM);
}

pub(super) fn kill(_: char) {
    signal_all(SIGKILL);
}

pub(super) fn oom_kill(_: char) {
    if !pressure::kill_largest() {
        pr_info!("OOM request ignored. No task eligible");
    }
}

/// No file system here can be frozen: there is nothing to thaw.
pub(super) fn thaw(_: char) {
    pr_warn!("Emergency Thaw complete");
}

/// kernel/sched/core.c:normalize_rt_tasks().
pub(super) fn nice(_: char) {
    for task in pids().tasks() {
        let policy = task.policy.load(Ordering::Relaxed);
        if matches!(policy, SCHED_FIFO | SCHED_RR) {
            task.policy.store(SCHED_NORMAL, Ordering::Relaxed);
            task.rt_priority.store(0, Ordering::Relaxed);
        } else if task.sched.nice() < 0 {
            task.sched.set_nice(0);
        }
    }
}

fn in_task(what: &str, body: fn()) {
    match kernel_thread::call("sysrq", PATIENCE, move |_| body()) {
        Ok(()) => pr_warn!("{what} complete"),
        Err(_) => pr_warn!("{what}: still under way"),
    }
}

pub(super) fn sync(_: char) {
    in_task("Emergency Sync", mount::sync_all);
}

/// fs/super.c:do_emergency_remount(): only what lies on a device.
pub(super) fn remount(_: char) {
    in_task("Emergency Remount", || {
        mount::sync_all();
        for superblock in mount::superblocks() {
            let on_device =
                filesystem_type(superblock.fs.name().as_bytes()).is_some_and(|kind| kind.needs_dev);
            if on_device {
                superblock.set_read_only(true);
            }
        }
    });
}

pub(super) fn replay(_: char) {
    log::replay();
}
