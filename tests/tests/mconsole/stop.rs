//! `stop` and `go`.

use super::machine::{Machine, holds, same, wait_for};
use std::time::{Duration, Instant};

/// Two loops that print both clocks, and one that only computes.
const BUSY: &str = "perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC,CLOCK_REALTIME -e '$| = 1; \
     while (1) { printf \"%.4f %.4f\\n\", clock_gettime(CLOCK_MONOTONIC), clock_gettime(CLOCK_REALTIME); for (1..20000) {} }' & \
     while :; do :; done & while :; do echo tick; sleep 0.01; done";

/// CPU time of a process, in ticks.
fn ticks(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
}

/// CPU time of the guest's processes on the host.
fn guest_ticks(pid: i32) -> Option<u64> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children
        .split_whitespace()
        .map(|child| ticks(child.parse().ok()?))
        .sum()
}

/// The clocks' difference, real minus monotonic, in the last whole line that tells it.
fn difference(output: &str) -> Option<f64> {
    let whole = &output[..output.rfind('\n')?];
    whole.lines().rev().find_map(|line| {
        let (mono, real) = line.split_once(' ')?;
        Some(real.parse::<f64>().ok()? - mono.parse::<f64>().ok()?)
    })
}

pub fn stop() -> Result<(), String> {
    let machine = Machine::boot(&["ncpus=2"], BUSY)?;
    machine.expect("tick")?;
    wait_for("the clocks", || difference(&machine.output()).map(|_| ()))?;
    let console = machine.console()?;
    same("stop", console.ask(b"stop")?, (0, "stopped".to_owned()))?;
    let stopped = Instant::now();
    same(
        "again",
        console.ask(b"stop")?,
        (1, "Already stopped".to_owned()),
    )?;
    // What was on its way through the host's pipe may still come.
    let settled = wait_for("silence", || {
        let before = machine.output().len();
        std::thread::sleep(Duration::from_millis(100));
        (machine.output().len() == before).then_some(before)
    })?;
    let used = guest_ticks(machine.pid());
    let (_, uptime) = console.ask(b"proc uptime")?;
    std::thread::sleep(Duration::from_millis(500));
    same("no output", machine.output().len(), settled)?;
    same("no CPU time", guest_ticks(machine.pid()), used)?;
    let seconds = |text: &str| text.trim().split(' ').next().map(str::to_owned);
    same(
        "the clock stands still",
        seconds(&console.ask(b"proc uptime")?.1),
        seconds(&uptime),
    )?;
    same("sysrq", console.ask(b"sysrq s")?.0, 0)?;
    same("version", console.ask(b"version")?.0, 0)?;
    let before = difference(&machine.output()).ok_or("the clocks")?;
    let stood = stopped.elapsed().as_secs_f64();
    same("go", console.ask(b"go")?, (0, String::new()))?;
    same("again", console.ask(b"go")?, (1, "Not stopped".to_owned()))?;
    let after = wait_for("the machine to go on", || {
        let output = machine.output();
        let more = output.get(settled..)?;
        if !more.contains("tick") {
            return None;
        }
        difference(more.split_once('\n')?.1)
    })?;
    // Real time follows the host, monotonic time doesn't count the stop.
    let moved = after - before;
    holds(
        moved > stood - 0.1,
        format!("stopped for {stood} s, and the clocks moved apart by {moved} s"),
    )
}

/// A machine that sleeps: its timers don't fire, and they do afterwards.
pub fn stop_idle() -> Result<(), String> {
    let machine = Machine::ready(&[], "echo ready; sleep 1.5; echo slept; exec sleep 1000")?;
    let console = machine.console()?;
    same("stop", console.ask(b"stop")?.0, 0)?;
    if machine.output().contains("slept") {
        return Err("the machine was too slow to stop for this test".into());
    }
    std::thread::sleep(Duration::from_millis(2000));
    holds(!machine.output().contains("slept"), "a timer fired")?;
    same("go", console.ask(b"go")?.0, 0)?;
    machine.expect("slept")
}
