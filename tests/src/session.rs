//! A machine at its shell's prompt, on a terminal, whose other consoles are tried.

use crate::paths;
use crate::pty::Terminal;

/// Shell functions for the guest: `getty <tty> <command>` keeps running the command on a terminal, as init would.
const GETTY: &str =
    "getty() { while :; do setsid -w sh -c \"exec 0<>/dev/$1 1>&0 2>&1; $2\"; done & }";

/// A machine at its shell's prompt.
pub fn boot(args: &[&str]) -> Result<Terminal, String> {
    boot_with(&[], args)
}

/// With further environment for the kernel process.
pub fn boot_with(env: &[&str], args: &[&str]) -> Result<Terminal, String> {
    let linux = paths::linux().to_string_lossy().into_owned();
    let helper = format!("UML_PORT_HELPER={}", paths::tool("port-helper").display());
    let words: Vec<&str> = ["-u", "DISPLAY", "-u", "WAYLAND_DISPLAY", &helper]
        .into_iter()
        .chain(env.iter().copied())
        .chain([linux.as_str(), "quiet", "mem=512M"])
        .chain(args.iter().copied())
        .collect();
    let mut t = Terminal::start(std::path::Path::new("/usr/bin/env"), &words)?;
    t.line("PS1='ready> '; stty -echo; echo b''ooted", "booted")?;
    t.line(GETTY, "ready> ")?;
    Ok(t)
}

/// Ends it; nothing of it may stay.
pub fn shut_down(mut t: Terminal) -> Result<(), String> {
    t.send("kill %1 %2 2>/dev/null; exit\r")?;
    let (status, strays) = t.wait();
    match (status, strays.len()) {
        (None, _) => Err("the machine doesn't end".into()),
        (Some(_), 0) => Ok(()),
        (Some(_), n) => Err(format!("{n} processes stayed behind")),
    }
}

/// The name of the host's terminal that the kernel log tells for a device.
pub fn assigned(t: &mut Terminal, device: &str) -> Result<String, String> {
    let command = format!(
        "until dmesg | grep -q \"{device} assigned\"; do sleep 0.05; done; dmesg | grep \"{device} assigned\" | tail -n 1; echo to''ld"
    );
    let before = t.screen.len();
    t.line(&command, "told")?;
    let text = &t.screen[before..];
    let name = text
        .rsplit_once("assigned device '")
        .and_then(|(_, rest)| rest.split_once('\''));
    name.map(|(name, _)| name.to_owned())
        .ok_or_else(|| format!("no terminal is told: {text:?}"))
}
