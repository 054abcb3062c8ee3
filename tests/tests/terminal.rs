//! A machine on a terminal, used as a person would use it.

#![forbid(unsafe_code)]

use rustix::process::{Pid, Signal, kill_process};
use umlaut_tests::paths;
use umlaut_tests::peer::until;
use umlaut_tests::pty::Terminal;

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("terminal/session", session),
        ("terminal/job_control", job_control),
        ("terminal/window_size", window_size),
        ("terminal/full_screen", full_screen),
        ("terminal/restored_after_exit", restored_after_exit),
        ("terminal/restored_after_sigterm", restored_after_sigterm),
        ("terminal/sigkill_leaves_nothing", sigkill_leaves_nothing),
    ])
}

/// A machine at its shell's prompt.
fn boot() -> Result<Terminal, String> {
    let mut terminal = Terminal::start(paths::linux(), &["quiet", "mem=512M"])?;
    terminal.line("PS1='ready> '; stty size", "24 80")?;
    terminal.expect("ready> ")?;
    Ok(terminal)
}

fn ends_clean(terminal: &mut Terminal) -> Result<std::process::ExitStatus, String> {
    let (status, strays) = terminal.wait();
    let status = status.ok_or("the machine doesn't end")?;
    if strays.is_empty() {
        Ok(status)
    } else {
        Err(format!("{} processes stayed behind", strays.len()))
    }
}

fn session() -> Result<(), String> {
    let mut t = boot()?;
    t.line("echo answer $((6 * 7))", "answer 42")?;
    t.line("tty", "/dev/")?;
    t.line("id -un", "root")?;
    // Line editing: erase a character, go to the start, recall.
    t.line("echo wrong\x7f\x7f\x7f\x7f\x7fright$((1 + 1))", "right2")?;
    t.line("cho early$((1 + 2))\x01e", "early3")?;
    t.line("\x1b[A", "early3")?;
    // Said when readline has given the terminal back.
    t.line("echo in''put; cat", "input")?;
    t.send("typed into cat\r")?;
    t.expect("typed into cat")?;
    t.expect("typed into cat")?;
    t.send("\x04")?;
    t.expect("ready> ")?;
    t.send("exit\r")?;
    let status = ends_clean(&mut t)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{status}"))
    }
}

fn job_control() -> Result<(), String> {
    let mut t = boot()?;
    // Said by the jobs themselves: they have the terminal by then.
    t.line("sh -c \"echo run''ning; exec sleep 1000\"", "running")?;
    t.send("\x03")?;
    t.expect("ready> ")?;
    t.line("echo status $?", "status 130")?;
    let second = "trap 'echo con\"\"tinued' CONT; echo sec\"\"ond; while :; do sleep 0.1; done";
    t.line("cat > /tmp/job <<'END'", "> ")?;
    t.line(&format!("{second}\rEND"), "ready> ")?;
    t.line("sh /tmp/job", "second")?;
    t.send("\x1a")?;
    t.expect("Stopped")?;
    t.line("jobs", "sh /tmp/job")?;
    t.line("fg", "continued")?;
    t.send("\x03")?;
    t.expect("ready> ")?;
    t.line("cat & sleep 0.3; jobs", "Stopped")?;
    t.line("kill %1; wait; echo go''ne", "gone")?;
    t.send("exit\r")?;
    ends_clean(&mut t).map(drop)
}

fn window_size() -> Result<(), String> {
    let mut t = boot()?;
    t.line("trap 'echo resized $(stty size)' WINCH; echo s''et", "set")?;
    t.expect("ready> ")?;
    t.resize(40, 132)?;
    // The shell runs its trap when it reads a line.
    until("the new size arrives", || {
        t.line("", "ready> ").ok()?;
        t.screen.contains("resized 40 132").then_some(())
    })?;
    t.send("exit\r")?;
    ends_clean(&mut t).map(drop)
}

fn full_screen() -> Result<(), String> {
    let mut t = boot()?;
    t.send("cd /tmp; vim -u NONE -N new\r")?;
    t.expect("[New]")?;
    t.send("ihello from vim\x1b")?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    t.send(":wq\r")?;
    t.expect("ready> ")?;
    t.line("tr a-z A-Z < new", "HELLO FROM VIM")?;
    t.line("seq 500 | less", "\r\n23")?;
    t.send("G")?;
    t.expect("\r\n500")?;
    t.send("q")?;
    t.expect("ready> ")?;
    t.line("echo af''ter", "after")?;
    t.send("exit\r")?;
    ends_clean(&mut t).map(drop)
}

/// The terminal's settings as text, to compare.
fn settings(t: &Terminal) -> Result<String, String> {
    Ok(format!("{:?}", t.settings()?))
}

fn restored(end: impl FnOnce(&mut Terminal) -> Result<(), String>) -> Result<(), String> {
    let probe = Terminal::start(std::path::Path::new("/bin/true"), &[])?;
    let before = settings(&probe)?;
    let mut t = boot()?;
    if settings(&t)? == before {
        return Err("the terminal isn't raw while the machine runs".into());
    }
    end(&mut t)?;
    ends_clean(&mut t)?;
    let after = settings(&t)?;
    if after == before {
        Ok(())
    } else {
        Err(format!("before: {before}\nafter:  {after}"))
    }
}

fn restored_after_exit() -> Result<(), String> {
    restored(|t| t.send("exit\r"))
}

fn restored_after_sigterm() -> Result<(), String> {
    restored(|t| {
        let pid = Pid::from_raw(t.pid()).ok_or("no pid")?;
        kill_process(pid, Signal::TERM).map_err(|e| e.to_string())
    })
}

fn sigkill_leaves_nothing() -> Result<(), String> {
    let mut t = boot()?;
    t.line("sleep 999 & echo st''arted", "started")?;
    let pid = Pid::from_raw(t.pid()).ok_or("no pid")?;
    kill_process(pid, Signal::KILL).map_err(|e| e.to_string())?;
    ends_clean(&mut t).map(drop)
}
