//! The machine's directory: `<uml_dir>/<umid>/` with the file `pid`, removed at the end.

use rustix::fs::Mode;
use rustix::io::Errno;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest umid in bytes.
const UMID_MAX: usize = 63;

/// A claimed directory.
pub struct Instance {
    dir: PathBuf,
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
        let made = rustix::fs::mkdir(&dir, Mode::from_raw_mode(0o755));
        match made {
            Ok(()) => {}
            Err(Errno::EXIST) => match living_owner(&dir) {
                Some(pid) => return Err(format!("umid \"{name}\" is already in use by pid {pid}")),
                None => clear(&dir),
            },
            Err(e) => return Err(format!("Failed to mkdir '{}': {e}", dir.display())),
        }
        let instance = Instance { dir };
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(instance.dir.join("pid"));
        file.and_then(|mut file| writeln!(file, "{}", std::process::id()))
            .map_err(|e| {
                format!(
                    "Failed to write '{}': {e}",
                    instance.dir.join("pid").display()
                )
            })?;
        Ok(instance)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        clear(&self.dir);
        if let Err(e) = fs::remove_dir(&self.dir) {
            eprintln!(
                "linux: the directory {} can't be removed: {e}",
                self.dir.display()
            );
        }
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

/// The pid in the directory's pid file if a process has it.
fn living_owner(dir: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(dir.join("pid"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    // A machine that reboots finds its own number.
    if pid == std::process::id() as i32 {
        return None;
    }
    match rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid)?) {
        Ok(()) | Err(Errno::PERM) => Some(pid),
        Err(_) => None,
    }
}

/// Removes the files of a machine that has ended. Other entries stay, and with them the directory.
fn clear(dir: &Path) {
    for name in ["pid", "mconsole", "control"] {
        match fs::remove_file(dir.join(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                kernel::pr_err!("'{}' can't be removed: {e}", dir.join(name).display());
            }
            _ => {}
        }
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
