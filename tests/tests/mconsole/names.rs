//! Directories of machines, and notifications.

use super::machine::{Machine, PATIENCE, holds, same, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use umlaut_tests::paths::Scratch;

const SLEEP: &str = "echo ready; exec sleep 1000";

pub fn notify() -> Result<(), String> {
    let home = Arc::new(Scratch::on_disk("notify"));
    let path = home.path().join("listener");
    let listener = UnixDatagram::bind(&path).map_err(|e| e.to_string())?;
    listener
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| e.to_string())?;
    let option = format!("mconsole=notify:{}", path.display());
    let script = "ls -l /proc/mconsole | cut -c1-10; echo x > /proc/mconsole; exec sleep 1000";
    let machine = Machine::boot_in(home, "m", &[&option], script)?;
    let next = || -> Result<(u32, Vec<u8>), String> {
        let mut buffer = [0; 1024];
        let got = listener
            .recv(&mut buffer)
            .map_err(|e| format!("no notification: {e}"))?;
        let number = |at: usize| u32::from_ne_bytes(buffer[at..at + 4].try_into().unwrap());
        same(
            "magic and version",
            (number(0), number(4)),
            (0xcafe_babe, 2),
        )?;
        same("length", number(12) as usize + 16, got)?;
        Ok((number(8), buffer[16..got].to_vec()))
    };
    let socket = format!("{}\0", machine.socket().display());
    same("socket", next()?, (0, socket.into_bytes()))?;
    machine.expect("--w-------")?;
    same("user", next()?, (3, b"x\n".to_vec()))?;
    machine.console()?.ask(b"sysrq c")?;
    same("panic", next()?, (1, b"sysrq triggered crash\0".to_vec()))?;
    let without = Machine::boot(&[], "ls /proc/mconsole; echo checked; exec sleep 1000")?;
    without.expect("checked")?;
    holds(
        without.output().contains("No such file"),
        "no /proc/mconsole without notify",
    )
}

pub fn umid() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let uml = machine.home.path().join(".uml");
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(&uml).into_iter().flatten().flatten();
        entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let script = "dmesg | grep umid; exec sleep 1000";
    let mut second = Machine::boot_in(machine.home.clone(), "m", &[], script)?;
    second.expect(&format!(
        "umid \"m\" is already in use by pid {}\n",
        machine.pid()
    ))?;
    second.expect("Failed to initialize umid \"m\", trying with a random umid")?;
    let other = wait_for("a random name", || {
        names().into_iter().find(|name| name != "m")
    })?;
    same("its length", other.len(), 6)?;
    second.umid = other;
    same("it answers", second.console()?.ask(b"halt")?.0, 0)?;
    same("status", second.end()?.code(), Some(0))?;
    same("what is left", names(), vec!["m".to_owned()])?;
    same("the first", machine.console()?.ask(b"version")?.0, 0)
}

/// The directory of a dead machine whose process id some other process has by now.
pub fn stale_directory() -> Result<(), String> {
    let home = Arc::new(Scratch::on_disk("stale"));
    let dir = home.path().join(".uml/m");
    std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    std::fs::write(dir.join("pid"), format!("{}\n", std::process::id()))
        .map_err(|e| e.to_string())?;
    drop(UnixDatagram::bind(dir.join("mconsole")).map_err(|e| e.to_string())?);
    let mut machine = Machine::boot_in(home.clone(), "m", &[], SLEEP)?;
    let pid = std::fs::read_to_string(dir.join("pid")).map_err(|e| e.to_string())?;
    same("taken over", pid, format!("{}\n", machine.pid()))?;
    // And of one that was killed.
    kill(machine.pid(), Signal::KILL)?;
    machine.end()?;
    holds(
        dir.join("mconsole").exists(),
        "a killed machine leaves its directory",
    )?;
    let next = Machine::boot_in(home, "m", &[], SLEEP)?;
    same(
        "the next one answers",
        next.console()?.ask(b"version")?.0,
        0,
    )
}

fn kill(pid: i32, signal: Signal) -> Result<(), String> {
    let pid = Pid::from_raw(pid).ok_or("a process id")?;
    kill_process(pid, signal).map_err(|e| e.to_string())
}

pub fn sigterm() -> Result<(), String> {
    for signal in [Signal::TERM, Signal::INT] {
        let mut machine = Machine::ready(&[], SLEEP)?;
        kill(machine.pid(), signal)?;
        machine.end()?;
        holds(!machine.dir().exists(), "the directory is gone")?;
    }
    Ok(())
}
