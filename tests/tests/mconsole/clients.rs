//! The programs: Debian's `uml_mconsole`, ours, and `uml_watchdog`.

use super::machine::{Machine, PATIENCE, holds, same};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use umlaut_tests::paths;

const DEBIAN: &str = "/usr/bin/uml_mconsole";

/// Status, standard output and standard error.
type Outcome = (Option<i32>, String, String);

fn run(program: &Path, home: &Path, args: &[&str], input: &str) -> Result<Outcome, String> {
    let mut child = Command::new("timeout")
        .arg(PATIENCE.as_secs().to_string())
        .arg(program)
        .args(args)
        .env("HOME", home)
        .env("TERM", "dumb")
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    // It may end without reading.
    let _unread = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((out.status.code(), text(&out.stdout), text(&out.stderr)))
}

/// Both clients print the same of our kernel.
pub fn same_output() -> Result<(), String> {
    let machine = Machine::ready(&[], "echo ready; exec sleep 1000")?;
    let home = machine.home.path().to_owned();
    std::fs::write(home.join("text"), "one\ntwo\n").map_err(|e| e.to_string())?;
    let ours = paths::tool("uml_mconsole");
    let both = |args: &[&str], input: &str| -> Result<Outcome, String> {
        // Debian's own client now and then dies of a signal (`umlfs 0`): its answer is that of a run that it survives.
        let mut debian = run(Path::new(DEBIAN), &home, args, input)?;
        for _ in 0..20 {
            if debian.0.is_some() {
                break;
            }
            debian = run(Path::new(DEBIAN), &home, args, input)?;
        }
        let own = run(&ours, &home, args, input)?;
        same(&format!("{args:?} {input}"), own.clone(), debian)?;
        Ok(own)
    };
    let version = both(&["m", "version"], "")?;
    holds(version.1.starts_with("OK Linux "), &version.1)?;
    same("status", version.0, Some(0))?;
    same("bogus", both(&["m", "bogus"], "")?.0, Some(1))?;
    same("-16", both(&["m", "remove", "mem"], "")?.0, Some(240))?;
    same("-22", both(&["m", "config", "mem=1M"], "")?.0, Some(234))?;
    for command in [
        &["m", "help"][..],
        &["m", "proc", "version"],
        &["m", "sysrq", "n"],
        &["m", "sysrq", "Z"],
        &["m", "go"],
        &["m", "stack"],
        &["m", "log", "some", "words"],
        &["m", "log", "-f", "text"],
        &["m", "log", "-f", "missing"],
        &["m", "mconsole-version"],
        &["m", "switch", "m"],
        &["m", "umlfs", "x"],
        &["m", "umlfs", "77"],
        &["m", "umlfs", "0"],
        &["m", "quit"],
        &["m", " version"],
        &["m", "config ubd0=a,b"],
        &["m", "config ubd0=/nonexistent/a"],
    ] {
        both(command, "")?;
    }
    both(&[".uml/m/mconsole", "version"], "")?;
    let session = both(
        &["m"],
        "version\nswitch nope\nmconsole-version\n version\nbogus\nquit\n",
    )?;
    holds(session.1.starts_with("(m) version\nOK Linux "), session.1)?;
    both(&["m"], "help\n")?;
    // Each of them stops it, the other lets it go on.
    let [debian, own] = [PathBuf::from(DEBIAN), ours.clone()];
    for (one, other) in [(&debian, &own), (&own, &debian)] {
        same(
            "stop",
            run(one, &home, &["m", "stop"], "")?.1,
            "OK stopped\n".to_owned(),
        )?;
        same(
            "go",
            run(other, &home, &["m", "go"], "")?.1,
            "OK \n".to_owned(),
        )?;
    }
    Ok(())
}

pub fn our_client() -> Result<(), String> {
    let mut machine = Machine::ready(&[], "echo ready; exec sleep 1000")?;
    let home = machine.home.path().to_owned();
    let ours = paths::tool("uml_mconsole");
    let own = |args: &[&str], input: &str| run(&ours, &home, args, input);
    let usage = own(&[], "")?;
    same(
        "usage",
        (usage.0, usage.2),
        (
            Some(1),
            "Usage : uml_mconsole socket-name [command]\n".to_owned(),
        ),
    )?;
    let nowhere = own(&["nope", "version"], "")?;
    same("no such machine", nowhere.0, Some(1))?;
    let last = nowhere.2.lines().last().unwrap_or_default().to_owned();
    same(
        "the message",
        last,
        "Sending command to 'nope' : No such file or directory".to_owned(),
    )?;
    same("prompt", own(&["nope"], "")?.1, "([None]) \n".to_owned())?;
    let long = "x".repeat(600);
    same("a long command", own(&["m", &long], "")?.0, Some(1))?;
    same("int", own(&["m", "int"], "")?.0, Some(0))?;
    machine.end()?;
    let gone = own(&["m", "int"], "")?;
    same(
        "nobody to interrupt",
        gone.2.lines().last().map(str::to_owned),
        Some("Cannot determine the PID of your UML session, not sending signal.".to_owned()),
    )
}

pub fn watchdog() -> Result<(), String> {
    let program = paths::tool("uml_watchdog");
    let home = std::env::temp_dir();
    let own_pid = std::process::id().to_string();
    for args in [
        &[][..],
        &["-pid"],
        &["-pid", "x"],
        &["-pid", "0"],
        &["-foo", "3"],
        &["-mconsole"],
    ] {
        same(
            &format!("{args:?}"),
            run(&program, &home, args, "")?,
            (Some(1), String::new(), String::new()),
        )?;
    }
    let mut child = Command::new(&program)
        .args(["-pid", &own_pid])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut byte = [1; 2];
    let mut stdout = child.stdout.take().ok_or("its output")?;
    same("readiness", stdout.read(&mut byte).ok(), Some(1))?;
    let mut stdin = child.stdin.take().ok_or("its input")?;
    stdin.write_all(b"\n").map_err(|e| e.to_string())?;
    holds(
        matches!(child.try_wait(), Ok(None)),
        "a sign of life doesn't end it",
    )?;
    drop(stdin);
    let status = child.wait().map_err(|e| e.to_string())?;
    same("the end of its input", status.code(), Some(0))
}
