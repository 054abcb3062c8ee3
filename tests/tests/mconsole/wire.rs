//! Datagrams: their form, wrong ones, too many of them, strangers.

use super::machine::{Console, Machine, holds, packet, request, same, wait_for};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SLEEP: &str = "echo ready; exec sleep 1000";

pub fn version() -> Result<(), String> {
    let machine = Machine::ready(&[], "echo ready; uname -snrvm; exec sleep 1000")?;
    let console = machine.console()?;
    let (err, more, text) = console.packets(b"version")?.remove(0);
    same("err and more", (err, more), (0, 0))?;
    let text = String::from_utf8_lossy(&text[..text.len() - 1]).into_owned();
    machine.expect(&text)
}

pub fn packets() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let console = machine.console()?;
    let help = console.packets(b"help")?;
    let sizes: Vec<_> = help.iter().map(|p| (p.0, p.1, p.2.len())).collect();
    same("packets of help", sizes, vec![(0, 1, 512), (0, 0, 212)])?;
    let proc = console.packets(b"proc version")?;
    same("packets of a file", proc.len(), 3)?;
    same("the first", proc[0].clone(), (0, 1, b"\n\0".to_vec()))?;
    holds(proc[1].2.starts_with(b"Linux version "), "the content")?;
    same("the last", proc[2].clone(), (0, 0, vec![0]))?;
    let sysrq = console.packets(b"sysrq s")?;
    same(
        "a record",
        sysrq[0].clone(),
        (0, 1, b"sysrq: Emergency Sync\n\0".to_vec()),
    )?;
    same(
        "the end of records",
        sysrq.last().cloned(),
        Some((0, 0, vec![0])),
    )
}

pub fn malformed() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let console = machine.console()?;
    console.send(b"version")?;
    let plain = console.receive()?;
    holds(
        plain.starts_with(b"ERR Version 0"),
        "plain text for version 0",
    )?;
    let refused = |datagram: &[u8], text: &str| -> Result<(), String> {
        console.send(datagram)?;
        let (err, more, got) = packet(&console.receive()?)?;
        same(text, (err, more), (1, 0))?;
        same(
            text,
            String::from_utf8_lossy(&got).into_owned(),
            format!("{text}\0"),
        )
    };
    refused(&request(2, 512, b"version"), "Request too large")?;
    refused(&request(2, u32::MAX, b""), "Request too large")?;
    refused(
        &request(1, 7, b"version"),
        "This driver only supports version 2 clients",
    )?;
    refused(&request(2, 100, b"version")[..50], "Request truncated")?;
    refused(&request(2, 7, b"version")[..6], "Request truncated")?;
    // Longer than any request: what lies in the stated length counts.
    console.send(&[request(2, 7, b"version"), vec![7; 4000]].concat())?;
    same("an oversized request", packet(&console.receive()?)?.0, 0)?;
    // The same datagram again and again is as many requests.
    for _ in 0..50 {
        console.send(&request(2, 2, b"go"))?;
        same("a replayed request", packet(&console.receive()?)?.0, 1)?;
    }
    // Noise, a part of it behind a right magic number.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..2000 {
        let mut noise: Vec<u8> = (0..round % 600)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        if round % 2 == 0 && noise.len() >= 4 {
            noise[..4].copy_from_slice(&0xcafe_babe_u32.to_ne_bytes());
        }
        console.send(&noise)?;
        console.receive()?;
    }
    same("after all that", console.ask(b"version")?.0, 0)
}

pub fn never_reads() -> Result<(), String> {
    let mut machine = Machine::ready(&[], SLEEP)?;
    let deaf: Vec<Console> = (0..3)
        .map(|_| Console::open(&machine.socket()))
        .collect::<Result<_, _>>()?;
    let attentive = machine.console()?;
    for _ in 0..100 {
        for console in &deaf {
            console.send(&request(2, 4, b"help"))?;
            console.send(&request(2, 7, b"sysrq t"))?;
        }
        same("another client", attentive.ask(b"version")?.0, 0)?;
    }
    holds(machine.lives(), "the machine lives")?;
    // One that reads late gets what the host had queued, whole packets.
    for _ in 0..10 {
        packet(&deaf[0].receive()?)?;
    }
    Ok(())
}

pub fn other_user() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let mode = |path: &Path| std::fs::metadata(path).map(|m| m.permissions().mode() & 0o7777);
    same(
        "the socket's mode",
        mode(&machine.socket()).ok(),
        Some(0o600),
    )?;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let ask_as_nobody = || -> Result<String, String> {
        let script = "use Socket; socket(S, PF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack('S', AF_UNIX)) or die; \
            my $r = pack('LLL', 0xcafebabe, 2, 4) . 'halt'; \
            send(S, $r, 0, sockaddr_un($ARGV[0])) or do { print \"$!\"; exit }; recv(S, my $a, 600, 0); print substr($a, 12)";
        let out = Command::new("setpriv")
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "perl",
                "-e",
                script,
            ])
            .arg(machine.socket())
            .output()
            .map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    };
    same("by mode", ask_as_nobody()?, "Permission denied".to_owned())?;
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(machine.socket(), everybody).map_err(|e| e.to_string())?;
    let answer = ask_as_nobody()?;
    holds(answer.starts_with("Permission denied: only"), &answer)?;
    same(
        "the machine goes on",
        machine.console()?.ask(b"version")?.0,
        0,
    )
}

struct Use {
    descriptors: usize,
    threads: usize,
    resident_kib: u64,
}

fn in_use(pid: i32) -> Result<Use, String> {
    let count = |name: &str| -> Result<usize, String> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/{name}"));
        Ok(entries.map_err(|e| e.to_string())?.count())
    };
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|e| e.to_string())?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    Ok(Use {
        descriptors: count("fd")?,
        threads: count("task")?,
        resident_kib: kib.ok_or("no VmRSS")?,
    })
}

pub fn soak() -> Result<(), String> {
    let machine = Machine::ready(&[], SLEEP)?;
    let console = machine.console()?;
    let commands: [&[u8]; 5] = [b"version", b"help", b"config mem", b"proc uptime", b"bogus"];
    let round = |times: usize| -> Result<(), String> {
        for i in 0..times {
            console.packets(commands[i % commands.len()])?;
        }
        Ok(())
    };
    round(500)?;
    let before = in_use(machine.pid())?;
    round(10_000)?;
    // Kernel threads that have answered may take a moment to end.
    wait_for("threads and descriptors as before", || {
        let after = in_use(machine.pid()).ok()?;
        (after.descriptors == before.descriptors && after.threads == before.threads).then_some(())
    })?;
    let after = in_use(machine.pid())?;
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    holds(
        grown < 4096,
        format!("10,000 requests took {grown} KiB of memory"),
    )
}
