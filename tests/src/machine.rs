//! One Umlaut machine as a child process: its command line, its console in a
//! pipe, its end.

use crate::paths::{self, Scratch};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How a machine is started. Its standard error goes to the same buffer as its
/// standard output.
pub struct Boot {
    pub binary: PathBuf,
    pub args: Vec<OsString>,
    /// Written to its standard input, which is then closed.
    pub stdin: Vec<u8>,
    pub timeout: Duration,
    /// A command put in front (`setpriv ...`), empty for none.
    pub wrapper: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
}

/// What came of a machine.
pub struct Ended {
    /// `None` when it had to be killed.
    pub status: Option<ExitStatus>,
    /// Everything it wrote, carriage returns removed.
    pub console: String,
    /// Processes of it that were still there afterwards.
    pub strays: Vec<i32>,
}

impl Ended {
    /// The last `lines` lines of the console.
    pub fn tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.console.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Boot {
    /// `quiet con0=fd:0,fd:1` and `args`.
    pub fn quiet<I, S>(args: I) -> Boot
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Boot {
            binary: paths::linux().to_path_buf(),
            args: ["quiet", "con0=fd:0,fd:1"]
                .into_iter()
                .map(OsString::from)
                .chain(args.into_iter().map(Into::into))
                .collect(),
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
            wrapper: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Without any argument of ours.
    pub fn bare<I, S>(args: I) -> Boot
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let mut boot = Boot::quiet(Vec::<OsString>::new());
        boot.args = args.into_iter().map(Into::into).collect();
        boot
    }

    pub fn stdin(mut self, text: &str) -> Boot {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    pub fn timeout(mut self, seconds: u64) -> Boot {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// `home` is for a machine whose test sets none: its directory must not stay among the user's.
    fn spawn(&self, home: &Path) -> std::io::Result<Child> {
        let mut words = self.wrapper.clone();
        words.push(self.binary.clone().into());
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("HOME", home)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn()
    }

    /// Runs the machine to its end or its timeout. `watch` sees the console as
    /// it grows and the process id, and may end the wait by returning false
    /// (the machine is killed then).
    pub fn run_watched(self, mut watch: impl FnMut(&str, i32) -> bool) -> Ended {
        let home = Scratch::on_disk("home");
        let mut child = match self.spawn(home.path()) {
            Ok(child) => child,
            Err(e) => {
                return Ended {
                    status: None,
                    console: format!("can't start {}: {e}\n", self.binary.display()),
                    strays: Vec::new(),
                };
            }
        };
        let pid = child.id() as i32;
        let (sender, chunks) = channel();
        for stream in [
            child
                .stdout
                .take()
                .map(|s| Box::new(s) as Box<dyn Read + Send>),
            child
                .stderr
                .take()
                .map(|s| Box::new(s) as Box<dyn Read + Send>),
        ]
        .into_iter()
        .flatten()
        {
            let sender = sender.clone();
            std::thread::spawn(move || pump(stream, &sender));
        }
        drop(sender);
        if let Some(mut stdin) = child.stdin.take() {
            let bytes = self.stdin.clone();
            std::thread::spawn(move || {
                let _ = stdin.write_all(&bytes);
            });
        }
        let mut family = Vec::new();
        let console = collect(&chunks, self.timeout, |text| {
            note_family(pid, &mut family);
            watch(text, pid)
        });
        let status = wait_or_kill(&mut child, Duration::from_secs(10));
        let mut ended = Ended {
            status,
            console,
            strays: Vec::new(),
        };
        ended.console.retain(|c| c != '\r');
        ended.strays = strays(&family);
        ended
    }

    pub fn run(self) -> Ended {
        self.run_watched(|_, _| true)
    }
}

fn pump(mut stream: Box<dyn Read + Send>, sender: &std::sync::mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 16384];
    while let Ok(n) = stream.read(&mut buffer) {
        if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
            break;
        }
    }
}

/// Gathers output until both streams end, the time is up or `watch` says stop.
fn collect(
    chunks: &Receiver<Vec<u8>>,
    timeout: Duration,
    mut watch: impl FnMut(&str) -> bool,
) -> String {
    let deadline = Instant::now() + timeout;
    let mut bytes = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match chunks.recv_timeout(left.min(Duration::from_millis(50))) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if !watch(&String::from_utf8_lossy(&bytes)) {
            break;
        }
    }
    while let Ok(chunk) = chunks.try_recv() {
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Its exit status, or `None` when it didn't end in `grace` and was killed.
fn wait_or_kill(child: &mut Child, grace: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Adds `pid` and the processes below it, with their start times, to `family`.
pub fn note_family(pid: i32, family: &mut Vec<(i32, u64)>) {
    let mut wanted = vec![pid];
    while let Some(p) = wanted.pop() {
        let Some(start) = start_time(p) else { continue };
        if !family.contains(&(p, start)) {
            family.push((p, start));
        }
        let tasks = std::fs::read_dir(format!("/proc/{p}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let list = std::fs::read_to_string(task.path().join("children"));
            wanted.extend(
                list.unwrap_or_default()
                    .split_whitespace()
                    .filter_map(|w| w.parse::<i32>().ok()),
            );
        }
    }
}

/// Processes below `pid` with this name.
pub fn below(pid: i32, name: &str) -> Vec<i32> {
    let mut family = Vec::new();
    note_family(pid, &mut family);
    family
        .into_iter()
        .map(|(pid, _)| pid)
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| comm.trim() == name)
        })
        .collect()
}

/// Those of `family` that still live after a moment; they are killed.
pub fn strays(family: &[(i32, u64)]) -> Vec<i32> {
    let alive = |&(pid, start): &(i32, u64)| start_time(pid) == Some(start) && !is_zombie(pid);
    for _ in 0..100 {
        if !family.iter().any(alive) {
            return Vec::new();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let left: Vec<i32> = family.iter().filter(|f| alive(f)).map(|f| f.0).collect();
    for &pid in &left {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    left
}

fn stat_fields(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Start time of `pid` in clock ticks since boot: with the pid it names a
/// process for good.
pub fn start_time(pid: i32) -> Option<u64> {
    stat_fields(pid)?.get(19)?.parse().ok()
}

/// Process group and session of `pid`; 0 is one of an outer PID namespace.
pub fn group_and_session(pid: i32) -> Option<(i32, i32)> {
    let fields = stat_fields(pid)?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

fn is_zombie(pid: i32) -> bool {
    stat_fields(pid).is_some_and(|f| f.first().is_some_and(|s| s == "Z" || s == "X"))
}
