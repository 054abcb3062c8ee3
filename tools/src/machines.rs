//! The machines of a user: which there are, which of them run, and which one a name means.

use rustix::process::{Pid, test_kill_process};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a machine keeps in its directory, and leaves behind when it is killed.
const FILES: [&str; 3] = ["pid", "mconsole", control::SOCKET];
/// How much older than its machine a pid file may look, by the host's clock being set and by rounding.
const SLACK: Duration = Duration::from_secs(3);

/// A machine's directory, and its process if that lives.
#[derive(Clone, Debug)]
pub struct Machine {
    pub umid: String,
    pub dir: PathBuf,
    pub pid: Option<Pid>,
}

/// Where the directories of machines are: `given`, or `~/.uml`.
pub fn base(given: Option<&Path>) -> PathBuf {
    match given {
        Some(dir) => dir.to_owned(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".uml"),
    }
}

/// Opens the control socket in `dir`. The address goes through the directory's descriptor: the path may be longer than an
/// address can be.
pub fn connect(dir: &Path) -> io::Result<UnixStream> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let held = open(dir, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{}", held.as_raw_fd(), control::SOCKET);
    UnixStream::connect(path)
}

/// When process `pid` started, by the host's clock.
fn started(pid: Pid) -> Option<SystemTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: u64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = boot
        .lines()
        .find_map(|l| l.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    let since_boot = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    Some(UNIX_EPOCH + Duration::from_secs(boot) + since_boot)
}

impl Machine {
    /// The machine of directory `dir`; None when no machine has ever been there.
    pub fn of(dir: &Path) -> Option<Machine> {
        let umid = dir.file_name()?.to_string_lossy().into_owned();
        if !dir.join("pid").exists() && !dir.join("mconsole").exists() {
            return None;
        }
        let mut machine = Machine {
            umid,
            dir: dir.to_owned(),
            pid: None,
        };
        machine.pid = machine.living();
        Some(machine)
    }

    /// The process whose number is in the pid file, unless that number went to another process.
    fn living(&self) -> Option<Pid> {
        let file = self.dir.join("pid");
        let pid = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
        let pid = Pid::from_raw(pid)?;
        match test_kill_process(pid) {
            Ok(()) | Err(rustix::io::Errno::PERM) => {}
            Err(_) => return None,
        }
        let answers = connect(&self.dir).is_ok_and(|socket| {
            rustix::net::sockopt::socket_peercred(&socket).is_ok_and(|peer| peer.pid == pid)
        });
        let written = fs::metadata(&file).ok()?.modified().ok()?;
        let older = started(pid).is_some_and(|at| at <= written + SLACK);
        (answers || older).then_some(pid)
    }

    /// Removes what a dead machine left behind. Other files stay, and with them the directory.
    pub fn clear(&self) -> io::Result<()> {
        for name in FILES {
            match fs::remove_file(self.dir.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        match fs::remove_dir(&self.dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Whose machine it is, for messages.
    pub fn owner(&self) -> Option<u32> {
        fs::metadata(&self.dir).ok().map(|m| m.uid())
    }
}

/// All machines under `base`, dead ones too, by name. No such directory: none.
pub fn list(base: &Path) -> io::Result<Vec<Machine>> {
    let entries = match fs::read_dir(base) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut machines: Vec<Machine> = entries
        .flatten()
        .filter_map(|entry| Machine::of(&entry.path()))
        .collect();
    machines.sort_by(|a, b| a.umid.cmp(&b.umid));
    Ok(machines)
}

/// The machine, dead or alive, that `name` means: a umid, a directory or a socket in it, or the beginning of one running
/// machine's umid. Err: a message that says what to do.
pub fn find(base: &Path, name: &str) -> Result<Machine, String> {
    let machines =
        list(base).map_err(|e| format!("{}: {e}; name another with --uml-dir", base.display()))?;
    if let Some(exact) = machines.iter().find(|m| m.umid == name) {
        return Ok(exact.clone());
    }
    if name.contains('/') {
        let path = Path::new(name);
        let dir = if path.is_dir() {
            Some(path)
        } else {
            path.parent()
        };
        let dir = dir.and_then(|dir| dir.canonicalize().ok());
        return dir
            .and_then(|dir| Machine::of(&dir))
            .ok_or_else(|| format!("'{name}' is no machine's directory"));
    }
    let running: Vec<&Machine> = machines.iter().filter(|m| m.pid.is_some()).collect();
    let names = |of: &[&Machine]| {
        let names: Vec<&str> = of.iter().map(|m| m.umid.as_str()).collect();
        names.join(", ")
    };
    let fitting: Vec<&Machine> = running
        .iter()
        .copied()
        .filter(|m| !name.is_empty() && m.umid.starts_with(name))
        .collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] if running.is_empty() => Err(format!(
            "no machine '{name}' is running; none is in {}",
            base.display()
        )),
        [] => Err(format!(
            "no machine '{name}' is running; running: {}",
            names(&running)
        )),
        several => Err(format!(
            "'{name}' is the beginning of several names: {}; write more of it",
            names(several)
        )),
    }
}

/// As [`find`], but it must run.
pub fn find_running(base: &Path, name: &str) -> Result<(Machine, Pid), String> {
    let machine = find(base, name)?;
    match machine.pid {
        Some(pid) => Ok((machine, pid)),
        None => Err(format!(
            "machine '{}' is not running any more; 'umlaut kill {}' removes its directory",
            machine.umid, machine.umid
        )),
    }
}
