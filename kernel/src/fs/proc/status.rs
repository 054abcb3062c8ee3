//! /proc/pid/status and limits.

use super::stat::state;
use crate::error::Result;
use crate::task::{CapSet, Task};
use abi::signal::{SIG_DFL, SIG_IGN};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Sets of ignored and of caught signals, bit n-1 for signal n.
pub(super) fn dispositions(task: &Task) -> (u64, u64) {
    let sighand = task.sighand();
    let actions = sighand.actions.lock();
    let mut sets = (0, 0);
    for (i, action) in actions.iter().enumerate() {
        match action.handler {
            SIG_DFL => {}
            SIG_IGN => sets.0 |= 1 << i,
            _ => sets.1 |= 1 << i,
        }
    }
    sets
}

pub(super) fn status(task: &Arc<Task>) -> Result<Vec<u8>> {
    let cred = task.cred();
    let group = &task.group;
    let mut text = b"Name:\t".to_vec();
    for byte in task.comm() {
        match byte {
            b'\n' => text.extend(b"\\n"),
            b'\\' => text.extend(b"\\\\"),
            _ => text.push(byte),
        }
    }
    let mut t = String::new();
    let (letter, word) = state(task);
    let _infallible = write!(
        t,
        "\nUmask:\t{:04o}\nState:\t{letter} ({word})\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n\
         Uid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}\nFDSize:\t{}\nGroups:\t",
        task.fs().umask(),
        task.pid(),
        task.tid(),
        group.ppid(),
        cred.uid,
        cred.euid,
        cred.suid,
        cred.fsuid,
        cred.gid,
        cred.egid,
        cred.sgid,
        cred.fsgid,
        task.files()
            .entries()
            .last()
            .map_or(64, |(fd, _, _)| (fd / 64 + 1) * 64),
    );
    for gid in &cred.groups {
        let _infallible = write!(t, "{gid} ");
    }
    let (pgid, sid) = (group.pgid(), group.sid());
    let _infallible = write!(
        t,
        "\nNStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{pgid}\nNSsid:\t{sid}\nKthread:\t0\n",
        task.pid(),
        task.tid()
    );
    if let Some(mm) = task.mm() {
        let s = mm.memory_counts();
        let resident = s.resident_anon + s.resident_file + s.resident_shared;
        for (name, pages) in [
            ("VmPeak", s.peak),
            ("VmSize", s.total),
            ("VmLck", s.locked),
            ("VmPin", 0),
            ("VmHWM", resident),
            ("VmRSS", resident),
            ("RssAnon", s.resident_anon),
            ("RssFile", s.resident_file),
            ("RssShmem", s.resident_shared),
            ("VmData", s.data),
            ("VmStk", s.stack),
            ("VmExe", s.text),
            ("VmLib", s.exec.saturating_sub(s.text)),
            ("VmPTE", 1),
            ("VmSwap", 0),
        ] {
            let _infallible = writeln!(t, "{name}:\t{:>8} kB", pages * 4);
        }
    }
    let (pending, blocked) = {
        let signal = task.signal.lock();
        (signal.pending.set.0, signal.blocked.0)
    };
    let (shared, queued) = {
        let inner = group.inner.lock();
        (inner.pending.set.0, crate::signal::charged(cred.uid))
    };
    let (ignored, caught) = dispositions(task);
    let _infallible = write!(
        t,
        "CoreDumping:\t0\nTHP_enabled:\t1\nThreads:\t{}\nSigQ:\t{queued}/{}\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\n\
         SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n",
        group.threads().len().max(1),
        group.rlimit(abi::task::RLIMIT_SIGPENDING as usize),
    );
    for (name, CapSet(bits)) in [
        ("CapInh", cred.inheritable),
        ("CapPrm", cred.permitted),
        ("CapEff", cred.effective),
        ("CapBnd", cred.bounding),
        ("CapAmb", cred.ambient),
    ] {
        let _infallible = writeln!(t, "{name}:\t{bits:016x}");
    }
    let allowed = task.sched.allowed() & crate::sched::every_vcpu();
    let _infallible = write!(
        t,
        "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tunknown\n\
         Cpus_allowed:\t{allowed:x}\nCpus_allowed_list:\t{}\nMems_allowed:\t1\nMems_allowed_list:\t0\n\
         voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
        u8::from(cred.no_new_privs),
        cpu_list(allowed),
        task.sched.voluntary_switches.load(Relaxed),
        task.sched.involuntary_switches.load(Relaxed),
    );
    text.extend(t.into_bytes());
    Ok(text)
}

/// A mask as ranges: `0-1,3`.
pub(crate) fn cpu_list(mask: u64) -> String {
    let mut parts = Vec::new();
    let mut cpu = 0;
    while cpu < 64 {
        if mask >> cpu & 1 == 0 {
            cpu += 1;
            continue;
        }
        let first = cpu;
        while cpu < 64 && mask >> cpu & 1 == 1 {
            cpu += 1;
        }
        parts.push(if cpu - first == 1 {
            first.to_string()
        } else {
            format!("{first}-{}", cpu - 1)
        });
    }
    parts.join(",")
}

/// Names and units in the order of RLIMIT_* (fs/proc/base.c:lnames[]).
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

pub(super) fn limits(task: &Arc<Task>) -> Result<Vec<u8>> {
    let limits = task.group.inner.lock().rlimits;
    let mut text = format!(
        "{:<25} {:<20} {:<20} {:<10}\n",
        "Limit", "Soft Limit", "Hard Limit", "Units"
    );
    let show = |value: u64| {
        if value == u64::MAX {
            "unlimited".into()
        } else {
            value.to_string()
        }
    };
    for ((name, unit), limit) in LIMITS.iter().zip(limits) {
        let (soft, hard) = (show(limit.rlim_cur), show(limit.rlim_max));
        let _infallible = if unit.is_empty() {
            writeln!(text, "{name:<25} {soft:<20} {hard:<20} ")
        } else {
            writeln!(text, "{name:<25} {soft:<20} {hard:<20} {unit:<10}")
        };
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn masks_as_lists() {
        assert_eq!(super::cpu_list(0b1), "0");
        assert_eq!(super::cpu_list(0b1011), "0-1,3");
        assert_eq!(super::cpu_list(0), "");
    }
}
