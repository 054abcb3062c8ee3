//! What a guest can make the kernel keep: `mem=` bounds the kernel process too, and the machine survives.

#![forbid(unsafe_code)]

use umlaut_tests::guest;
use umlaut_tests::machine::Boot;
use umlaut_tests::paths::{self, Scratch};

/// Of the machines, MiB.
const MEMORY: u64 = 128;
/// What the kernel process may have beside it, MiB: its program, stacks, and what is made between two looks.
const OVERHEAD: u64 = 64;

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("memory/data", data),
        ("memory/names", names),
        ("memory/limits", limits),
    ])
}

/// Runs each way of `tests/memory/hog.c` in a machine and compares how it ended.
fn hogs(ways: &[(&str, &str)]) -> Result<(), String> {
    let binary = guest::build(&paths::root().join("tests/memory/hog.c"))?;
    // Reachable for every user.
    let tools = Scratch::on_disk("hog");
    let hog = tools.path().join("hog");
    std::fs::copy(&binary, &hog).map_err(|e| format!("{}: {e}", binary.display()))?;
    let mut script = "echo 500 > /proc/sys/fs/inotify/max_user_watches\n\
                      echo 2000 > /proc/sys/fs/epoll/max_user_watches\n"
        .to_owned();
    for (way, _) in ways {
        script += &format!(
            "mkdir /tmp/{way}; cd /tmp/{way}; {} {way} 2>&1 | sed 's/ after.*//'; echo {way} ${{PIPESTATUS[0]}}; \
             cd /; rm -rf /tmp/{way}\n",
            hog.display()
        );
    }
    script += "exit 0\n";
    let mut largest = 0;
    let ended = Boot::quiet([format!("mem={MEMORY}M")])
        .stdin(&script)
        .run_watched(|_, pid| {
            largest = largest.max(resident_mib(pid));
            true
        });
    let expected: String = ways
        .iter()
        .map(|(way, end)| match *end {
            // Killed for want of memory.
            "" => format!("{way} 137\n"),
            error => format!("{way}: {error}\n{way} 0\n"),
        })
        .collect();
    if ended.console != expected || ended.status.and_then(|s| s.code()) != Some(0) {
        return Err(format!(
            "status {:?}; expected\n{expected}console:\n{}",
            ended.status,
            ended.tail(60)
        ));
    }
    if largest > MEMORY + OVERHEAD {
        return Err(format!(
            "the kernel process had {largest} MiB resident in a machine of {MEMORY} MiB"
        ));
    }
    Ok(())
}

fn resident_mib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// Data on its way has no limit for root but the machine's memory: the out-of-memory killer finds who keeps it.
fn data() -> Result<(), String> {
    hogs(&[("pipes", ""), ("sockets", ""), ("flying", "")])
}

fn names() -> Result<(), String> {
    const FULL: &str = "No space left on device";
    hogs(&[
        ("names", FULL),
        ("symlinks", FULL),
        ("missing", "Numerical argument out of domain"),
    ])
}

fn limits() -> Result<(), String> {
    hogs(&[
        ("watches", "No space left on device"),
        ("notes", "No space left on device"),
        ("signals", "Resource temporarily unavailable"),
        ("timers", "Resource temporarily unavailable"),
        ("locks", "Numerical argument out of domain"),
    ])
}
