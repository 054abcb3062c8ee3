//! A machine that goes on while a test works with it from outside.

use crate::machine;
use crate::paths::{self, Scratch};
use crate::pty::Terminal;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long something that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What `umlaut` said.
#[derive(Debug)]
pub struct Said {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A machine on the host's tree whose shell waits for input.
pub struct Running {
    pub umid: String,
    pub home: Scratch,
    pub umlaut: PathBuf,
    child: Child,
    family: Vec<(i32, u64)>,
    /// Put in front of commands (`setpriv ...`).
    wrapper: Vec<OsString>,
    _copies: Option<Scratch>,
}

/// Waits until `done` gives something. Err: `what` didn't happen.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(value) = done() {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("{what}: not within {} s", PATIENCE.as_secs()))
}

fn text(e: std::io::Error) -> String {
    e.to_string()
}

impl Running {
    /// Boots as this user.
    pub fn boot(umid: &str) -> Result<Running, String> {
        Running::boot_with(umid, &[])
    }

    /// Boots with further arguments.
    pub fn boot_with(umid: &str, args: &[&str]) -> Result<Running, String> {
        let home = Scratch::on_disk("home");
        Running::start(umid, args, home, Vec::new(), None)
    }

    /// Boots as user nobody. Needs root.
    pub fn boot_as_nobody(umid: &str) -> Result<Running, String> {
        let home = Scratch::on_disk("home");
        let owned = Command::new("chown")
            .arg("nobody")
            .arg(home.path())
            .status();
        if !owned.map_err(text)?.success() {
            return Err("there is no user nobody".into());
        }
        let wrapper = [
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
        ];
        // Reachable for nobody, wherever the target directory lies.
        let copies = Scratch::on_disk("tools");
        for (name, from) in [
            ("linux", paths::linux()),
            ("umlaut", &paths::tool("umlaut")),
        ] {
            let to = copies.path().join(name);
            std::fs::copy(from, &to).map_err(text)?;
            paths::open_to_all(&to);
        }
        let wrapper = wrapper.map(OsString::from).to_vec();
        Running::start(umid, &[], home, wrapper, Some(copies))
    }

    fn start(
        umid: &str,
        args: &[&str],
        home: Scratch,
        wrapper: Vec<OsString>,
        copies: Option<Scratch>,
    ) -> Result<Running, String> {
        let program = |name: &str, otherwise: &Path| match &copies {
            Some(dir) => dir.path().join(name),
            None => otherwise.to_path_buf(),
        };
        let linux = program("linux", paths::linux());
        let umlaut = program("umlaut", &paths::tool("umlaut"));
        let mut words = wrapper.clone();
        words.push(linux.into());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["quiet", "mem=256M", "con=null", "con0=fd:0,fd:1"])
            .arg(format!("umid={umid}"))
            .args(args)
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(text)?;
        let mut running = Running {
            umid: umid.into(),
            home,
            umlaut,
            child,
            family: Vec::new(),
            wrapper,
            _copies: copies,
        };
        running.type_line("set -m")?;
        wait_for("the machine starts", || {
            running
                .umlaut(&["exec", umid, "test", "-c", "/dev/pts/ptmx"])
                .ok()
                .filter(|said| said.status == Some(0))
        })?;
        Ok(running)
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The machine's directory.
    pub fn dir(&self) -> PathBuf {
        self.home.path().join(".uml").join(&self.umid)
    }

    /// Gives the machine's shell a line.
    pub fn type_line(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut().ok_or("no input")?;
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .map_err(text)
    }

    /// `umlaut` with these arguments, for the machine's user.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut words = self.wrapper.clone();
        words.push(self.umlaut.clone().into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(args)
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `umlaut` to its end.
    pub fn umlaut(&self, args: &[&str]) -> Result<Said, String> {
        run(self.command(args), b"")
    }

    /// Runs `umlaut exec` for this machine, with input.
    pub fn exec(&self, command: &[&str], input: &[u8]) -> Result<Said, String> {
        run(
            self.command(&[&["exec", &self.umid, "--"], command].concat()),
            input,
        )
    }

    /// A shell command in the machine that must succeed; what it prints.
    pub fn sh(&self, script: &str) -> Result<String, String> {
        let said = self.exec(&["sh", "-c", script], b"")?;
        match said.status {
            Some(0) => Ok(said.out),
            _ => Err(format!("{script}: {said:?}")),
        }
    }

    /// `umlaut` with these arguments on a terminal.
    pub fn terminal(&self, args: &[&str]) -> Result<Terminal, String> {
        let home = format!("HOME={}", self.home.path().display());
        let umlaut = self.umlaut.display().to_string();
        let words = [&[home.as_str(), &umlaut], args].concat();
        Terminal::start(Path::new("/usr/bin/env"), &words)
    }

    /// Whether the machine's process has ended.
    pub fn has_ended(&mut self) -> bool {
        machine::note_family(self.pid(), &mut self.family);
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for the machine's end: its status, if it has one. Processes that stay behind are an error.
    pub fn wait(&mut self) -> Result<Option<i32>, String> {
        wait_for("the machine's end", || self.has_ended().then_some(()))?;
        let status = self.child.wait().map_err(text)?;
        match machine::strays(&self.family).len() {
            0 => Ok(status.code()),
            n => Err(format!("{n} processes stayed behind")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        machine::note_family(self.pid(), &mut self.family);
        // It may have ended, as it should.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        machine::strays(&self.family);
    }
}

/// Runs a command with input to its end, or kills it when that doesn't come.
pub fn run(mut command: Command, input: &[u8]) -> Result<Said, String> {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let feeder = child.stdin.take().map(|mut stdin| {
        let input = input.to_vec();
        std::thread::spawn(move || {
            // Who doesn't want all of it, doesn't get it.
            let _unwanted = stdin.write_all(&input);
        })
    });
    let collect = |stream: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _cut = stream.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let out = collect(child.stdout.take().map(|s| Box::new(s) as _));
    let err = collect(child.stderr.take().map(|s| Box::new(s) as _));
    let ended = wait_for("the command's end", || child.try_wait().ok().flatten());
    if ended.is_err() {
        let _gone = child.kill();
        let _gone = child.wait();
    }
    let read = |thread: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    let said = Said {
        status: ended.as_ref().ok().and_then(|s| s.code()),
        out: read(out),
        err: read(err),
    };
    drop(feeder);
    ended.map_err(|e| format!("{e}: {command:?}: {said:?}"))?;
    Ok(said)
}
