//! `umlaut stop` and `umlaut kill`: they work on the machine's process, so they also end one that doesn't answer.

use crate::each;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tools::cli;
use tools::machines::{self, Machine};

/// How long a killed process may take to be gone: it has to write what its disks have in memory.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hold on the machine's process: its number can't come to mean another.
fn hold(machine: &Machine, pid: Pid) -> Result<OwnedFd, String> {
    let held = pidfd_open(pid, PidfdFlags::empty());
    let held = held.map_err(|e| format!("machine '{}': process {pid}: {e}", machine.umid))?;
    match Machine::of(&machine.dir).and_then(|m| m.pid) {
        Some(now) if now == pid => Ok(held),
        _ => Err(format!("machine '{}' has just ended", machine.umid)),
    }
}

fn send(machine: &Machine, process: &OwnedFd, signal: Signal) -> Result<(), String> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(rustix::io::Errno::PERM) => Err(format!(
            "machine '{}' is another user's; only they and root may end it",
            machine.umid
        )),
        Err(e) => Err(format!("machine '{}': {e}", machine.umid)),
    }
}

/// Waits for the end of a process; false when it lives on.
fn ends_within(process: &OwnedFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

pub fn stop(base: &Path, args: &cli::Stop) -> Result<ExitCode, String> {
    each(&args.names.names, |name| {
        let (machine, pid) = machines::find_running(base, name)?;
        let process = hold(&machine, pid)?;
        send(&machine, &process, Signal::TERM)?;
        let (umid, seconds) = (&machine.umid, args.timeout);
        eprintln!(
            "umlaut: machine '{umid}' powers off; it is killed if that takes more than {seconds} s"
        );
        if ends_within(&process, Duration::from_secs(seconds.into())) {
            return Ok(());
        }
        eprintln!("umlaut: machine '{umid}' has not ended within {seconds} s and is killed");
        finish(&machine, &process)
    })
}

pub fn kill(base: &Path, names: &[String]) -> Result<ExitCode, String> {
    each(names, |name| {
        let machine = machines::find(base, name)?;
        match machine.pid {
            Some(pid) => finish(&machine, &hold(&machine, pid)?),
            None => clear(&machine),
        }
    })
}

fn finish(machine: &Machine, process: &OwnedFd) -> Result<(), String> {
    send(machine, process, Signal::KILL)?;
    if !ends_within(process, PATIENCE) {
        let seconds = PATIENCE.as_secs();
        let umid = &machine.umid;
        return Err(format!(
            "machine '{umid}' is still there {seconds} s after SIGKILL: the host waits for a device or file system of its"
        ));
    }
    clear(machine)
}

fn clear(machine: &Machine) -> Result<(), String> {
    machine.clear().map_err(|e| {
        let dir = machine.dir.display();
        format!(
            "machine '{}' is dead, but its directory {dir} can't be removed: {e}",
            machine.umid
        )
    })
}
