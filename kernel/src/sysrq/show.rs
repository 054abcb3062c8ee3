//! The letters that show something, and the kernel stack of a task.

use crate::fs::proc::{self, state_letter};
use crate::log::{self, Level};
use crate::machine::register_lines;
use crate::mm;
use crate::sched::{self, stop};
use crate::syscall::table;
use crate::task::{Task, pids};
use crate::time::{self, timer};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Words of a stack that are looked at for return addresses.
const STACK_WORDS: usize = 4096;
/// Lines of a trace.
const TRACE_LINES: usize = 64;

fn line(text: &str) {
    log::write(Level::Info, format_args!("{text}"));
}

/// State, system call, registers if they are known, and kernel stack of a task. kernel/sched/core.c:sched_show_task(),
/// arch/um/kernel/sysrq.c:show_stack().
///
/// Return addresses are found by looking through the stack's words, so each has Linux's question mark. A task on a vCPU
/// has no stack to be looked at.
pub fn show_task(task: &Arc<Task>) {
    let comm = task.comm();
    line(&format!(
        "task:{:<15} state:{} stack:{:<5} pid:{:<5} tgid:{:<5} ppid:{:<6} task_flags:0x{:04x} flags:0x{:08x}",
        String::from_utf8_lossy(&comm),
        state_letter(task),
        0,
        task.tid(),
        task.pid(),
        task.group.ppid(),
        if task.mm().is_none() { 0x20_0000 } else { 0 },
        0
    ));
    match task.in_syscall.load(Ordering::Relaxed) {
        u64::MAX => {}
        nr => match table::row(nr) {
            Some(row) => {
                let name = row.handler.rsplit("::").next().unwrap_or_default();
                line(&format!("System call: {nr} ({name})"));
            }
            None => line(&format!("System call: {nr}")),
        },
    }
    if let Some(registers) = task.sched.held_registers() {
        line("Registers in guest code:");
        register_lines(&registers).iter().for_each(|l| line(l));
    }
    match task.sched.stack_words(STACK_WORDS) {
        Some(words) => show_stack(&words),
        None => line(&format!("Running on vCPU {}", task.sched.last_vcpu())),
    }
}

fn show_stack(words: &[usize]) {
    line("Stack:");
    for row in words.chunks(4).take(3) {
        let row: String = row.iter().map(|word| format!(" {word:016x}")).collect();
        line(&row);
    }
    line("Call Trace:");
    for (word, place) in trace(words) {
        line(&format!(" [<{word:016x}>] ? {place}"));
    }
}

/// What looks like return addresses on a stack, innermost first, and the places they stand for.
fn trace(words: &[usize]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut last = None;
    let places = words.iter().filter_map(|word| {
        let place = platform::symbols::place(*word)?;
        // A return address lies behind a call, never at a function's first byte.
        (place.offset > 0).then_some((word, place))
    });
    for (word, place) in places.take(TRACE_LINES) {
        if last.replace(*word) != Some(*word) {
            let text = format!("{}+0x{:x}/0x{:x}", place.function, place.offset, place.len);
            found.push((*word, text));
        }
    }
    found
}

/// /proc/pid/stack: as in [`show_task`]; nothing while the task is on a vCPU, and once it is dead.
pub fn stack(task: &Task) -> Vec<u8> {
    let words = task.sched.stack_words(STACK_WORDS).unwrap_or_default();
    let lines = trace(&words);
    lines
        .iter()
        .flat_map(|(_, place)| format!("[<0>] {place}\n").into_bytes())
        .collect()
}

pub(super) fn tasks(_: char) {
    stop::with_guests_held(|| pids().tasks().iter().for_each(show_task));
}

pub(super) fn blocked(_: char) {
    for task in pids().tasks() {
        if state_letter(&task) == 'D' && task.sched.held_registers().is_none() {
            show_task(&task);
        }
    }
}

/// The tasks that were running guest code, one a vCPU at most, and where.
fn show_running(heading: impl Fn(&Task) -> String) {
    stop::with_guests_held(|| {
        let all = pids().tasks();
        let mut shown = 0;
        for task in &all {
            let Some(registers) = task.sched.held_registers() else {
                continue;
            };
            shown += 1;
            line(&heading(task));
            register_lines(&registers).iter().for_each(|l| line(l));
        }
        if shown == 0 {
            line("No task is in guest code");
        }
    });
}

pub(super) fn registers(_: char) {
    show_running(|task| {
        format!(
            "Pid: {}, comm: {} Not tainted {}",
            task.tid(),
            String::from_utf8_lossy(&task.comm()),
            crate::RELEASE
        )
    });
}

pub(super) fn cpus(_: char) {
    show_running(|task| {
        format!(
            "CPU: {} PID: {} Comm: {}",
            task.sched.last_vcpu(),
            task.tid(),
            String::from_utf8_lossy(&task.comm())
        )
    });
}

/// mm/show_mem.c, as far as there is such a thing here.
pub(super) fn memory(_: char) {
    let m = proc::memory();
    line("Mem-Info:");
    line(&format!(
        "active_anon:{} inactive_anon:0 isolated_anon:0",
        m.anon / 4
    ));
    line(&format!(
        " active_file:0 inactive_file:{} isolated_file:0",
        m.cached / 4
    ));
    line(&format!(" free:{}", m.free / 4));
    line(&format!(
        "Node 0 active_anon:{}kB inactive_anon:0kB active_file:0kB inactive_file:{}kB kernel_stack:{}kB",
        m.anon,
        m.cached,
        pids().count() * 4
    ));
    line(&format!("Normal free:{}kB managed:{}kB", m.free, m.total));
    line(&format!("{} total pagecache pages", m.cached / 4));
    line("0 pages in swap cache");
    line("Free swap  = 0kB");
    line("Total swap = 0kB");
    line(&format!("{} pages RAM", mm::total_pages()));
    line("0 pages HighMem/MovableOnly");
    line("0 pages reserved");
}

/// kernel/time/timer_list.c.
pub(super) fn timers(_: char) {
    let now = time::monotonic_ns();
    line("Timer List Version: v0.10");
    line("HRTIMER_MAX_CLOCK_BASES: 1");
    line(&format!("now at {now} nsecs"));
    line(" active timers:");
    for (i, at) in timer::pending().into_iter().enumerate() {
        line(&format!(
            " #{i}: expires at {at} nsecs [in {} nsecs]",
            i128::from(at) - i128::from(now)
        ));
    }
    for vcpu in 0..sched::ncpus() {
        let (user, system) = sched::busy_ns(vcpu);
        line(&format!(
            "cpu: {vcpu} user {user} nsecs, system {system} nsecs, idle {} nsecs",
            sched::idle_ns(vcpu)
        ));
    }
}
