//! The machine's directory: `<uml_dir>/<umid>/` with the file `pid` and the management console's socket, removed at the end.

use mconsole::name::{PID, SOCKET};
use rustix::fs::{FlockOperation, Mode};
use rustix::io::Errno;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The socket of `umlaut`.
const CONTROL: &str = control::SOCKET;

/// Longest umid in bytes.
const UMID_MAX: usize = 63;

/// A claimed directory.
pub struct Instance {
    dir: PathBuf,
    /// Locked as long as the machine lives.
    _pid_file: fs::File,
}

impl Instance {
    /// Claims the directory for `umid`, or for a random name when that is absent, empty, too long or taken by a living
    /// machine. None, with a line in the log, when no directory can be made: the machine runs without.
    pub fn claim(umid: Option<&str>, uml_dir: Option<&Path>) -> Option<Instance> {
        let base = base(uml_dir)?;
        if let Err(e) = make_dir(&base) {
            kernel::pr_err!("Failed to mkdir '{}': {e}", base.display());
            return None;
        }
        if let Some(name) = umid.filter(|name| !name.is_empty() && name.len() <= UMID_MAX) {
            match Instance::take(&base, name) {
                Ok(instance) => return Some(instance),
                Err(reason) => {
                    kernel::pr_err!("{reason}");
                    kernel::pr_err!(
                        "Failed to initialize umid \"{name}\", trying with a random umid"
                    );
                }
            }
        }
        for _ in 0..16 {
            if let Ok(instance) = Instance::take(&base, &random_name()) {
                return Some(instance);
            }
        }
        kernel::pr_err!("Failed to initialize a random umid in {}", base.display());
        None
    }

    /// The machine's name.
    pub fn umid(&self) -> String {
        let name = self.dir.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The machine's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn take(base: &Path, name: &str) -> Result<Instance, String> {
        let dir = base.join(name);
        let failed = |what: &str, path: &Path, e: &dyn std::fmt::Display| {
            format!("Failed to {what} '{}': {e}", path.display())
        };
        if name == "." || name == ".." {
            return Err(failed("mkdir", &dir, &"not a name of its own"));
        }
        match rustix::fs::mkdir(&dir, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed("mkdir", &dir, &e)),
        }
        let path = dir.join(PID);
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .map_err(|e| failed("write", &path, &e))?;
        if let Some(pid) = living_owner(&dir, &mut file) {
            return Err(format!("umid \"{name}\" is already in use by pid {pid}"));
        }
        let written = remove(&dir.join(SOCKET))
            .and_then(|()| remove(&dir.join(CONTROL)))
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(|e| failed("write", &path, &e))?;
        // Another machine may have removed the directory since it was opened.
        match (file.metadata(), fs::metadata(&path)) {
            (Ok(mine), Ok(there)) if mine.ino() == there.ino() => Ok(Instance {
                dir,
                _pid_file: file,
            }),
            _ => Err(failed("write", &path, &"removed meanwhile")),
        }
    }

    /// Where the management console's socket belongs.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(SOCKET)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        remove_dir(&self.dir);
    }
}

/// Removes a machine's directory. Other files in it stay, and it with them.
pub fn remove_dir(dir: &Path) {
    for name in [PID, SOCKET, CONTROL] {
        if let Err(e) = remove(&dir.join(name)) {
            eprintln!(
                "linux: '{}' can't be removed: {e}",
                dir.join(name).display()
            );
        }
    }
    match fs::remove_dir(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            eprintln!(
                "linux: the directory {} can't be removed: {e}",
                dir.display()
            );
        }
        _ => {}
    }
}

fn base(uml_dir: Option<&Path>) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let Some(dir) = uml_dir.filter(|dir| !dir.as_os_str().is_empty()) else {
        if uml_dir.is_some() {
            kernel::pr_err!("uml_dir can't be an empty string");
        }
        if home.is_none() {
            kernel::pr_err!("make_uml_dir: no value in environment for $HOME");
        }
        return Some(home?.join(".uml"));
    };
    match dir.strip_prefix("~") {
        Ok(rest) if home.is_some() => Some(home?.join(rest)),
        Ok(_) => {
            kernel::pr_err!("make_uml_dir: no value in environment for $HOME");
            None
        }
        Err(_) => Some(dir.to_owned()),
    }
}

fn make_dir(dir: &Path) -> Result<(), Errno> {
    match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// The process whose directory it is, if it lives. A machine holds a lock on its pid file as long as it lives, so a number
/// that some other process has by now counts for nothing. Where there are no locks, and for User-Mode Linux, which takes
/// none, a machine lives if its process does and its socket is bound.
fn living_owner(dir: &Path, pid_file: &mut fs::File) -> Option<i32> {
    let mut text = String::new();
    pid_file.read_to_string(&mut text).ok()?;
    let pid: Option<i32> = text.trim().parse().ok();
    let lock = rustix::fs::flock(&*pid_file, FlockOperation::NonBlockingLockExclusive);
    if lock == Err(Errno::WOULDBLOCK) {
        return Some(pid.unwrap_or_default());
    }
    // A machine that reboots finds its own number.
    let pid = pid.filter(|pid| *pid != std::process::id() as i32)?;
    match rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid)?) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(_) => return None,
    }
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(dir.join(SOCKET)));
    connected.is_ok().then_some(pid)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn random_name() -> String {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut number = kernel::random::u64();
    (0..6)
        .map(|_| {
            let letter = LETTERS[(number % 62) as usize];
            number /= 62;
            char::from(letter)
        })
        .collect()
}
