//! The client's own commands, and what it does to others before it sends them. A blank in front prevents both.

use crate::session::Session;
use mconsole::plain;
use rustix::process::{Pid, Signal, kill_process};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

pub const HELP: &str = "Additional local mconsole commands:
    quit - Quit mconsole
    switch <socket-name> - Switch control to the given machine
    log -f <filename> - use contents of <filename> as UML log messages
    mconsole-version - version of this mconsole program
    int  - Interrupt UML session";

/// Bytes of text that one `log` command takes.
const LOG_PIECE: usize = 506;
/// The status of a request that is wrong in itself: EINVAL as the original's machines answer it.
const INVALID: i32 = -22;

/// What comes after a command.
pub enum Next {
    Quit,
    /// `err` of the reply.
    Status(i32),
}

/// Runs a line.
pub fn run(session: &mut Session, line: &str) -> Next {
    let command = |name: &str| Some(line.strip_prefix(name)?.trim_start());
    Next::Status(if command("quit").is_some() {
        return Next::Quit;
    } else if let Some(name) = command("switch") {
        switch(session, name.trim_end())
    } else if command("help").is_some() {
        let status = session.request(line.as_bytes(), &[]);
        println!("{HELP}");
        status
    } else if command("mconsole-version").is_some() {
        println!("uml_mconsole client version {}", mconsole::VERSION);
        0
    } else if command("int").is_some() {
        interrupt(session)
    } else if let Some(text) = command("log") {
        log(session, text)
    } else if let Some(number) = command("umlfs") {
        hand_over(session, line, number)
    } else {
        session.request(absolute(line).as_bytes(), &[])
    })
}

fn switch(session: &mut Session, name: &str) -> i32 {
    if session.switch(name) {
        println!("Switched to '{name}'");
        0
    } else {
        1
    }
}

fn interrupt(session: &Session) -> i32 {
    let Some(pid) = session.pid().and_then(Pid::from_raw) else {
        eprintln!("Cannot determine the PID of your UML session, not sending signal.");
        return 1;
    };
    match kill_process(pid, Signal::INT) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("int : {}", plain(&e.into()));
            1
        }
    }
}

/// The text, or with `-f` a file's content, in pieces, and the end of the line where it has none.
fn log(session: &Session, text: &str) -> i32 {
    let bytes = match text.strip_prefix("-f") {
        Some(file) => match std::fs::read(file.trim()) {
            Ok(bytes) => bytes,
            Err(e) => {
                eprintln!("opening file: {}", plain(&e));
                return 1;
            }
        },
        None => text.as_bytes().to_vec(),
    };
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let most = rest.len().min(LOG_PIECE);
        // Whole lines where that is possible.
        let line_end = rest[..most].iter().rposition(|byte| *byte == b'\n');
        let len = match line_end {
            Some(end) if most < rest.len() => end + 1,
            _ => most,
        };
        let status = session.request(&[b"log ", &rest[..len]].concat(), &[]);
        if status != 0 {
            return status;
        }
        rest = &rest[len..];
    }
    if bytes.ends_with(b"\n") {
        return 0;
    }
    session.request(b"log \n", &[])
}

fn hand_over(session: &Session, line: &str, number: &str) -> i32 {
    let Ok(number) = number.trim().parse() else {
        println!("ERR Failed to parse file descriptor");
        return INVALID;
    };
    match host::descriptor::inherited(number) {
        Ok(fd) => session.request(line.as_bytes(), &[fd.as_fd()]),
        Err(e) => {
            println!("ERR Failed to send FUSE file descriptor");
            -e.raw_os_error().unwrap_or(-INVALID)
        }
    }
}

/// `config ubdN=<file>[,<file>]` with the files' names made absolute: the machine runs in another directory.
fn absolute(line: &str) -> String {
    let device = line.strip_prefix("config").map(str::trim_start);
    let is_disk = device.is_some_and(|device| device.starts_with("ubd"));
    let Some((head, files)) = line.split_once('=').filter(|_| is_disk) else {
        return line.to_owned();
    };
    let mut names = Vec::new();
    for file in files.splitn(2, ',') {
        match absolute_name(file) {
            Ok(name) => names.push(name),
            Err(message) => {
                eprintln!("absolutize : {message}");
                return line.to_owned();
            }
        }
    }
    format!("{head}={}", names.join(","))
}

fn absolute_name(file: &str) -> Result<String, String> {
    if file.is_empty() {
        return Ok(String::new());
    }
    let (dir, name) = match file.rsplit_once('/') {
        Some(("", name)) => (Path::new("/"), name),
        Some((dir, name)) => (Path::new(dir), name),
        None => (Path::new("."), file),
    };
    let dir: PathBuf = std::fs::canonicalize(dir)
        .map_err(|e| format!("Can't cd to '{}', {}", dir.display(), plain(&e)))?;
    Ok(dir.join(name).to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_disks_become_absolute() {
        let here = std::fs::canonicalize(".").unwrap();
        let here = here.to_str().unwrap();
        assert_eq!(
            absolute("config ubd0=cow,back:x"),
            format!("config ubd0={here}/cow,{here}/back:x")
        );
        assert_eq!(absolute("config  ubd6r=/root_fs"), "config  ubd6r=/root_fs");
        for same in [
            "config ubd5",
            "config ubd5=",
            "config con1=fd:0,fd:1",
            "remove ubd0",
            "config ubd1=/nonexistent/x",
        ] {
            assert_eq!(absolute(same), same);
        }
    }
}
