//! Consoles in windows of terminal emulators, and `port-helper`.

#![forbid(unsafe_code)]

use rustix::termios::{Winsize, tcsetwinsize};
use std::process::{Command, Stdio};
use umlaut_tests::machine::below;
use umlaut_tests::paths::{self, Scratch};
use umlaut_tests::peer::{Peer, until};
use umlaut_tests::pty::Terminal;
use umlaut_tests::session::{boot, boot_with, shut_down};

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("windows/xterm", xterm_window),
        ("windows/command", xterm_command),
        ("windows/no_display", xterm_no_display),
        ("windows/sigkill_leaves_nothing", xterm_sigkill),
        ("windows/port_helper", port_helper),
    ])
}

/// An X server without a screen.
struct Display {
    server: std::process::Child,
    name: String,
}

impl Display {
    fn start() -> Result<Display, String> {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-nolisten",
                "tcp",
                "-screen",
                "0",
                "1280x1024x8",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("Xvfb: {e}"))?;
        let stdout = server.stdout.take().ok_or("no stdout")?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
            .map_err(|e| e.to_string())?;
        let name = format!("DISPLAY=:{}", line.trim());
        Ok(Display { server, name })
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _gone = self.server.wait();
    }
}

fn signal(pid: i32, signal: rustix::process::Signal) -> Result<(), String> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or("no pid")?;
    rustix::process::kill_process(pid, signal).map_err(|e| e.to_string())
}

/// A real xterm: its size, changes of it, its end.
fn xterm_window() -> Result<(), String> {
    let display = Display::start()?;
    let dir = Scratch::on_disk("xterm");
    let emulator = dir.path().join("emulator");
    script(&emulator, "exec xterm -geometry 90x25 \"$@\"")?;
    let xterm = format!("xterm={}", emulator.display());
    let mut t = boot_with(&[&display.name], &["con2=xterm", &xterm])?;
    t.line(
        "getty tty2 'trap \"stty size >>/tmp/sizes\" WINCH; trap \"echo hung up >/tmp/log; exit\" HUP; stty size >/tmp/sizes; while :; do sleep 0.1; done'",
        "ready> ",
    )?;
    t.line(
        "until grep . /tmp/sizes; do sleep 0.1; done 2>/dev/null",
        "25 90",
    )?;
    let helper = until("port-helper runs", || below(t.pid(), "port-helper").pop())?;
    let terminal = std::fs::read_link(format!("/proc/{helper}/fd/0")).map_err(|e| e.to_string())?;
    let peer = Peer::open(&terminal.to_string_lossy())?;
    let size = Winsize {
        ws_row: 30,
        ws_col: 90,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(peer.file(), size).map_err(|e| e.to_string())?;
    t.line("until grep 30 /tmp/sizes; do sleep 0.1; done", "30 90")?;
    drop(peer);
    // The window is closed.
    for pid in below(t.pid(), "xterm") {
        signal(pid, rustix::process::Signal::TERM)?;
    }
    t.line(
        "until grep . /tmp/log; do sleep 0.1; done 2>/dev/null",
        "hung up",
    )?;
    // The guest opens another, and the end of the machine closes it.
    until("another window opens", || {
        below(t.pid(), "port-helper")
            .into_iter()
            .find(|pid| *pid != helper)
    })?;
    shut_down(t)
}

fn script(path: &std::path::Path, text: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).map_err(|e| e.to_string())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(|e| e.to_string())
}

fn xterm_command() -> Result<(), String> {
    let dir = Scratch::on_disk("xterm");
    let (emulator, record) = (dir.path().join("emulator"), dir.path().join("record"));
    let text = format!(
        "for word; do echo \"$word\"; done >{0}.new; test -S \"$6\" && mv {0}.new {0}; exit 1",
        record.display()
    );
    script(&emulator, &text)?;
    let umid = format!("umid=xterm-test-{}", std::process::id());
    let xterm = format!("xterm={},-A,-B", emulator.display());
    let uml_dir = format!("uml_dir={}", dir.path().display());
    let mut t = boot_with(&["DISPLAY=:none"], &["con2=xterm", &xterm, &umid, &uml_dir])?;
    t.line("cat /dev/tty2", "No such device")?;
    t.line(
        "dmesg | tail -n 1",
        "the emulator ended with exit status: 1",
    )?;
    let words =
        std::fs::read_to_string(&record).map_err(|e| format!("{}: {e}", record.display()))?;
    let words: Vec<&str> = words.lines().collect();
    let title = format!("Virtual Console #2 ({})", umid.trim_start_matches("umid="));
    let helper = paths::tool("port-helper").to_string_lossy().into_owned();
    let wanted = ["-A", &title, "-B", &helper, "-uml-socket"];
    if words.len() != 6 || words[..5] != wanted || !words[5].starts_with("/tmp/xterm-pipe") {
        return Err(format!("the emulator got {words:?}"));
    }
    if std::path::Path::new(words[5]).exists() {
        return Err(format!("{} stays behind", words[5]));
    }
    shut_down(t)
}

fn xterm_no_display() -> Result<(), String> {
    let mut t = boot(&[])?;
    t.line("cat /dev/tty1", "No such device")?;
    t.line(
        "dmesg | tail -n 1",
        "xterm_open : neither $DISPLAY nor $WAYLAND_DISPLAY is set.",
    )?;
    shut_down(t)
}

fn xterm_sigkill() -> Result<(), String> {
    let display = Display::start()?;
    let mut t = boot_with(&[&display.name], &["con2=xterm", "ssl0=xterm"])?;
    t.line("exec 3<>/dev/tty2 4<>/dev/ttyS0; echo op''en", "open")?;
    if below(t.pid(), "port-helper").len() != 2 {
        return Err("there aren't two port-helpers".into());
    }
    // The last close ends a window.
    t.line("exec 4>&-; echo cl''osed", "closed")?;
    until("the window closes", || {
        (below(t.pid(), "xterm").len() == 1).then_some(())
    })?;
    signal(t.pid(), rustix::process::Signal::KILL)?;
    let (_, strays) = t.wait();
    if strays.is_empty() {
        Ok(())
    } else {
        Err(format!("{} processes stayed behind", strays.len()))
    }
}

/// The helper alone, as another kernel would use it: control socket on descriptor 3.
fn port_helper() -> Result<(), String> {
    use rustix::net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags,
        SocketType,
    };
    let host = Terminal::start(std::path::Path::new("/bin/sleep"), &["1000"])?;
    let terminal =
        std::fs::read_link(format!("/proc/{}/fd/0", host.pid())).map_err(|e| e.to_string())?;
    let (ours, its) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|e| e.to_string())?;
    let command = format!(
        "exec {} 3<&0 <>{}",
        paths::tool("port-helper").display(),
        terminal.display()
    );
    let mut child = Command::new("setsid")
        .args(["sh", "-c", &command])
        .stdin(Stdio::from(its))
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut payload = [0; 8];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        &ours,
        &mut [std::io::IoSliceMut::new(&mut payload)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(|e| e.to_string())?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let running = child.try_wait().map_err(|e| e.to_string())?.is_none();
    let pid = child.id();
    child.kill().map_err(|e| e.to_string())?;
    let said = child.wait_with_output().map_err(|e| e.to_string())?.stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    let name = fd.and_then(|fd| rustix::termios::ttyname(fd, Vec::new()).ok());
    if got.bytes != 4 || payload[..4] != (pid as i32).to_ne_bytes() {
        return Err(format!("{} bytes: {payload:?}, pid {pid}", got.bytes));
    }
    if name.is_none_or(|name| name.to_string_lossy() != terminal.to_string_lossy()) {
        return Err("the descriptor isn't the terminal".into());
    }
    if !running || !said.starts_with("TIOCNOTTY failed in port-helper") {
        return Err(format!("running: {running}; it said {said:?}"));
    }
    Ok(())
}
