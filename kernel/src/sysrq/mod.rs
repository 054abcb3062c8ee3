//! Magic SysRq: what a letter does and says (drivers/tty/sysrq.c). For /proc/sysrq-trigger, in a task, and for the
//! management console, on its host thread; the output is in the kernel log, and [`log::captured`](crate::log::captured)
//! gives it to the caller.
//!
//! Letters of keyboards, lock debugging and tracers (d, k, r, z and those of other architectures) aren't there, as in a
//! Linux without them.

mod act;
mod show;

pub use show::{show_task, stack};

use crate::log;
use crate::pr_info;
use std::sync::atomic::{AtomicI64, Ordering};

/// /proc/sys/kernel/sysrq: 0 off, 1 all, else a set of [`Key::mask`] bits.
pub static ENABLED: AtomicI64 = AtomicI64::new(1);

/// CONSOLE_LOGLEVEL_DEFAULT.
const HEADER_LEVEL: u8 = 7;

struct Key {
    letters: &'static str,
    /// As the help calls it.
    help: &'static str,
    /// Printed before it is done.
    action: &'static str,
    /// include/linux/sysrq.h:SYSRQ_ENABLE_*.
    mask: i64,
    run: fn(char),
}

const LOG: i64 = 0x2;
const DUMP: i64 = 0x8;
const SYNC: i64 = 0x10;
const REMOUNT: i64 = 0x20;
const SIGNAL: i64 = 0x40;
const BOOT: i64 = 0x80;
const RTNICE: i64 = 0x100;

macro_rules! keys {
    ($($letters:literal $help:literal $action:literal $mask:ident $run:path;)*) => {
        &[$(Key {
            letters: $letters,
            help: $help,
            action: $action,
            mask: $mask,
            run: $run,
        }),*]
    };
}

/// In the order of the help.
static KEYS: &[Key] = keys! {
    "0123456789" "loglevel(0-9)" "Changing Loglevel" LOG act::loglevel;
    "b" "reboot(b)" "Resetting" BOOT act::reboot;
    "c" "crash(c)" "Trigger a crash" DUMP act::crash;
    "e" "terminate-all-tasks(e)" "Terminate All Tasks" SIGNAL act::terminate;
    "f" "memory-full-oom-kill(f)" "Manual OOM execution" SIGNAL act::oom_kill;
    "i" "kill-all-tasks(i)" "Kill All Tasks" SIGNAL act::kill;
    "j" "thaw-filesystems(j)" "Emergency Thaw of all frozen filesystems" SIGNAL act::thaw;
    "l" "show-backtrace-all-active-cpus(l)" "Show backtrace of all active CPUs" DUMP show::cpus;
    "m" "show-memory-usage(m)" "Show Memory" DUMP show::memory;
    "n" "nice-all-RT-tasks(n)" "Nice All RT Tasks" RTNICE act::nice;
    "o" "poweroff(o)" "Power Off" BOOT act::power_off;
    "p" "show-registers(p)" "Show Regs" DUMP show::registers;
    "q" "show-all-timers(q)" "Show clockevent devices & pending hrtimers (no others)" DUMP show::timers;
    "s" "sync(s)" "Emergency Sync" SYNC act::sync;
    "t" "show-task-states(t)" "Show State" DUMP show::tasks;
    "u" "unmount(u)" "Emergency Remount R/O" REMOUNT act::remount;
    "w" "show-blocked-tasks(w)" "Show Blocked State" DUMP show::blocked;
    "R" "replay-kernel-logs(R)" "Replay kernel logs on consoles" DUMP act::replay;
};

/// Does what `letter` stands for. `checked`: only if /proc/sys/kernel/sysrq allows it; root in the guest isn't asked.
pub fn handle(letter: char, checked: bool) {
    let enabled = ENABLED.load(Ordering::Relaxed);
    if checked && enabled == 0 {
        return;
    }
    let level = log::console_level();
    log::set_console_level(HEADER_LEVEL);
    let Some(key) = KEYS.iter().find(|key| key.letters.contains(letter)) else {
        let known: String = KEYS.iter().map(|key| format!("{} ", key.help)).collect();
        pr_info!("sysrq: HELP : {known}");
        log::set_console_level(level);
        return;
    };
    let allowed = !checked || enabled == 1 || enabled & key.mask != 0;
    if allowed {
        pr_info!("sysrq: {}", key.action);
    } else {
        pr_info!("sysrq: This sysrq operation is disabled.");
    }
    log::set_console_level(level);
    if allowed {
        (key.run)(letter);
    }
}
