//! What commands answer and do.

use super::machine::{Machine, holds, same};
use std::os::unix::process::ExitStatusExt;
use umlaut_tests::machine::Boot;

const SLEEP: &str = "echo ready; exec sleep 1000";

pub fn answers() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let console = machine.console()?;
    for (command, err, text) in [
        ("bogus", 1, "Unknown command"),
        ("", 1, "Unknown command"),
        (" version", 1, "Unknown command"),
        ("go", 1, "Not stopped"),
        ("config", 1, "Bad configuration option"),
        ("config foo", 1, "Bad configuration option"),
        ("config foo=bar", 1, "Bad configuration option"),
        ("remove foo", 1, "Bad remove option"),
        ("remove", 1, "Bad remove option"),
        (
            "remove mem",
            -16,
            "Memory doesn't support the remove operation",
        ),
        (
            "config mem=1M",
            -22,
            "Expected increment to start with '-' or '+'",
        ),
        (
            "config mem=",
            -22,
            "Expected increment to start with '-' or '+'",
        ),
        ("config mem=+x", -22, "Failed to parse memory increment"),
        ("config memX=1", -22, "Expected '=' after 'mem'"),
        ("config mem", 0, "268435456"),
        ("proc nope", 1, "Failed to open file"),
        ("proc sys", 1, "Read of file failed"),
        ("proc 1/comm", 0, "\n.init\n"),
        ("stack", 1, "Please specify a pid"),
        ("stack x", 1, "Please specify a pid"),
        ("stack 99999", 1, "Couldn't find that pid"),
        ("stack -1", 1, "Couldn't find that pid"),
    ] {
        let got = console.ask(command.as_bytes())?;
        same(command, (got.0, got.1.as_str()), (err, text))?;
    }
    // Names are prefixes.
    let exact = console.ask(b"version")?;
    same("versionfoo", console.ask(b"versionfoo")?, exact)
}

pub fn log() -> Result<(), String> {
    let machine = Machine::boot(
        &[],
        "until dmesg | grep 'hello from the host'; do sleep 0.05; done; exec sleep 1000",
    )?;
    let got = machine.console()?.ask(b"log hello from the host")?;
    same("log", got, (0, String::new()))?;
    machine.expect("] hello from the host\n")
}

pub fn sysrq() -> Result<(), String> {
    let machine = Machine::ready(
        &["ncpus=2"],
        "trap 'echo terminated' TERM; while :; do :; done & \
         chrt -f 5 sleep 1000 & echo ready; wait; echo w > /proc/sysrq-trigger; exec sleep 1000",
    )?;
    let console = machine.console()?;
    let starts = |letter: &str, lines: &[&str]| -> Result<String, String> {
        let (err, text) = console.ask(format!("sysrq {letter}").as_bytes())?;
        same(letter, err, 0)?;
        let got: Vec<&str> = text.lines().take(lines.len()).collect();
        same(letter, got, lines.to_vec())?;
        Ok(text)
    };
    for (letter, first) in [
        ("w", "sysrq: Show Blocked State"),
        ("j", "sysrq: Emergency Thaw of all frozen filesystems"),
        ("l", "sysrq: Show backtrace of all active CPUs"),
        ("u", "sysrq: Emergency Remount R/O"),
    ] {
        starts(letter, &[first])?;
    }
    starts(
        "3",
        &["sysrq: Changing Loglevel", "sysrq: Loglevel set to 3"],
    )?;
    starts("s", &["sysrq: Emergency Sync", "Emergency Sync complete"])?;
    let memory = starts("m", &["sysrq: Show Memory", "Mem-Info:"])?;
    holds(memory.contains("65536 pages RAM"), memory)?;
    let timers = starts(
        "q",
        &["sysrq: Show clockevent devices & pending hrtimers (no others)"],
    )?;
    holds(timers.contains(": expires at "), timers)?;
    let tasks = starts("t", &["sysrq: Show State"])?;
    holds(
        tasks.contains("task:.init") && tasks.contains("Call Trace:"),
        &tasks,
    )?;
    // The loop is in guest code nearly always.
    let registers = starts("p", &["sysrq: Show Regs"])?;
    holds(registers.contains("\nRIP: 0033:0x"), registers)?;
    let help = starts("Z", &[])?;
    holds(
        help.starts_with("sysrq: HELP : loglevel(0-9) reboot(b) crash(c) ")
            && help.ends_with(") \n"),
        &help,
    )?;
    same("without a letter", starts("", &[])?, help)?;
    let all = starts("R", &["sysrq: Replay kernel logs on consoles"])?;
    holds(all.contains("Linux version "), "the log again")?;
    starts("n", &["sysrq: Nice All RT Tasks"])?;
    starts("e", &["sysrq: Terminate All Tasks"])?;
    machine.expect("terminated")?;
    starts("i", &["sysrq: Kill All Tasks"])?;
    starts("f", &["sysrq: Manual OOM execution"]).map(|_| ())
}

pub fn sysrq_crash() -> Result<(), String> {
    let mut machine = Machine::ready(&[], SLEEP)?;
    let got = machine.console()?.ask(b"sysrq c")?;
    same("acknowledged first", got, (0, String::new()))?;
    same("the end", machine.end()?.signal(), Some(6))?;
    machine.expect("sysrq triggered crash")?;
    holds(machine.socket().exists(), "a panic leaves the directory")
}

pub fn stack() -> Result<(), String> {
    let machine = Machine::ready(&[], "echo ready; exec sleep 1000")?;
    let console = machine.console()?;
    // Pid 2 is the shell that has become sleep; it may still be on its way there.
    let text = super::machine::wait_for("a sleeping task", || {
        let (err, text) = console.ask(b"stack 2").ok()?;
        (err == 0 && text.contains("clock_nanosleep")).then_some(text)
    })?;
    holds(text.starts_with("task:"), &text)?;
    holds(text.contains("System call: 230 (clock_nanosleep)"), &text)?;
    holds(
        text.contains("\nStack:\n ") && text.contains("\nCall Trace:\n"),
        &text,
    )
}

pub fn memory() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let console = machine.console()?;
    let total = || -> Result<u64, String> {
        let (_, text) = console.ask(b"proc meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.ok_or("no MemTotal")? / 1024)
    };
    same("before", total()?, 256)?;
    same(
        "taken",
        console.ask(b"config mem=-64M")?,
        (0, String::new()),
    )?;
    same("after", total()?, 192)?;
    same(
        "query",
        console.ask(b"config mem")?.1,
        (192u64 << 20).to_string(),
    )?;
    same("back", console.ask(b"config mem=+16M")?, (0, String::new()))?;
    same("after", total()?, 208)?;
    // No more than it had.
    same(
        "all back",
        console.ask(b"config mem=+1G")?,
        (0, String::new()),
    )?;
    same("after", total()?, 256)?;
    // And no more than can be missed: the machine lives on.
    same("all", console.ask(b"config mem=-1G")?, (0, String::new()))?;
    holds(total()? < 32, "nearly all is taken")?;
    same("a file still opens", console.ask(b"proc uptime")?.0, 0)
}

/// `reboot(2)` to power off, with perl.
const POWER_OFF: &str = "perl -e \"syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)\"";

pub fn cad() -> Result<(), String> {
    let home = umlaut_tests::paths::Scratch::on_disk("cad");
    let socket = home.path().join(".uml/cad/mconsole");
    // The shell has no child meanwhile: while it waits for one it leaves SIGINT to that, and a trap isn't run.
    let mut boot = Boot::quiet(["init=/bin/bash", "umid=cad"]).stdin(&format!(
        "mount -t proc proc /proc; echo 0 > /proc/sys/kernel/ctrl-alt-del\n\
         trap 'echo caught; echo 7 > /proc/exitcode; {POWER_OFF}' INT\n\
         echo ready; while :; do :; done\n"
    ));
    boot.env.push(("HOME".into(), home.path().into()));
    let mut asked = false;
    let ended = boot.run_watched(|text, _| {
        if !asked && text.contains("ready") {
            asked = super::machine::Console::open(&socket).is_ok_and(|c| c.ask(b"cad").is_ok());
        }
        true
    });
    let code = ended.status.and_then(|status| status.code());
    same(
        &ended.console,
        (ended.console.contains("caught"), code),
        (true, Some(7)),
    )
}

pub fn cad_restarts() -> Result<(), String> {
    let mut machine = Machine::ready(&["noreboot"], SLEEP)?;
    same("cad", machine.console()?.ask(b"cad")?, (0, String::new()))?;
    same("restart without reboot", machine.end()?.code(), Some(0))
}

pub fn halt() -> Result<(), String> {
    let mut machine = Machine::ready(&[], SLEEP)?;
    same("halt", machine.console()?.ask(b"halt")?, (0, String::new()))?;
    same("status", machine.end()?.code(), Some(0))?;
    holds(!machine.dir().exists(), "the directory is gone")
}

pub fn reboot() -> Result<(), String> {
    let mut machine = Machine::ready(
        &[],
        "echo ready $(cat /proc/sys/kernel/random/boot_id); exec sleep 1000",
    )?;
    same(
        "reboot",
        machine.console()?.ask(b"reboot")?,
        (0, String::new()),
    )?;
    super::machine::wait_for("the second boot", || {
        (machine.output().matches("ready").count() == 2).then_some(())
    })?;
    let boots: Vec<String> = machine.output().lines().map(str::to_owned).collect();
    holds(
        boots.first() != boots.last(),
        format!("two boots: {boots:?}"),
    )?;
    holds(machine.lives(), "in the same process")?;
    let pid = std::fs::read_to_string(machine.dir().join("pid")).map_err(|e| e.to_string())?;
    same("pid file", pid, format!("{}\n", machine.pid()))?;
    same("the new one answers", machine.console()?.ask(b"halt")?.0, 0)?;
    same("status", machine.end()?.code(), Some(0))
}
