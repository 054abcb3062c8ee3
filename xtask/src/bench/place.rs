//! Where a measurement runs: on the host, in Umlaut, in user-mode-linux.

use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use umlaut_tests::machine::Boot;
use umlaut_tests::paths::Scratch;

pub enum Place<'a> {
    Host {
        cpus: &'a str,
    },
    Umlaut {
        linux: &'a Path,
        ncpus: u32,
        /// One host CPU for each vCPU, no second one to answer from.
        off: bool,
    },
    Uml {
        linux: &'a Path,
    },
}

/// What one place may take for all rows; a machine that hangs is ended then, and the rows it has printed count.
const LIMIT: Duration = Duration::from_secs(600);
/// Powers a machine off from its init, without anything of a distribution.
const POWER_OFF: &str = "exec perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'";

fn spin(off: bool) -> &'static str {
    if off { "off" } else { "auto" }
}

impl Place<'_> {
    pub fn name(&self) -> String {
        match self {
            Place::Host { cpus } => format!("the host (CPU {cpus})"),
            Place::Umlaut { ncpus, off, .. } => {
                format!("Umlaut (ncpus={ncpus} spin={})", spin(*off))
            }
            Place::Uml { .. } => "user-mode-linux".into(),
        }
    }

    /// Runs `script` with `$D` a scratch directory in memory; its output. Says so when it had to be ended.
    pub fn run(&self, script: &str) -> Result<String, String> {
        match self {
            Place::Host { cpus } => {
                let dir = Scratch::in_memory("bench");
                let mut boot = Boot::bare(["-c", cpus, "/bin/sh", "-c", script]);
                boot.binary = "taskset".into();
                boot.env = vec![("D".into(), dir.path().into())];
                Ok(self.limited(boot))
            }
            Place::Umlaut { linux, ncpus, off } => {
                let mut boot = Boot::bare([
                    "quiet".to_string(),
                    "con0=fd:0,fd:1".into(),
                    "mem=4G".into(),
                    format!("ncpus={ncpus}"),
                    format!("spin={}", spin(*off)),
                ]);
                boot.binary = linux.to_path_buf();
                Ok(self.limited(boot.stdin(&format!(
                    "export D=/dev/shm TMPDIR=/dev/shm; mkdir -p $D; {script}\nexit 0\n"
                ))))
            }
            Place::Uml { linux } => {
                let dir = Scratch::on_disk("uml");
                let init = dir.path().join("init.sh");
                let text = format!(
                    "#!/bin/sh\nmount -t proc proc /proc\nmount -t tmpfs tmpfs /mnt\nexport PATH=/usr/bin:/bin D=/mnt TMPDIR=/mnt\n{script}\n{POWER_OFF}\n"
                );
                std::fs::write(&init, text).map_err(|e| e.to_string())?;
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755))
                    .map_err(|e| e.to_string())?;
                let mut boot = Boot::bare([
                    "quiet".to_string(),
                    "mem=2G".into(),
                    "root=/dev/root".into(),
                    "rootfstype=hostfs".into(),
                    "rootflags=/".into(),
                    "ro".into(),
                    "con=null".into(),
                    "con0=null,fd:1".into(),
                    "seccomp=auto".into(),
                    format!("init={}", init.display()),
                ]);
                boot.binary = linux.to_path_buf();
                Ok(self.limited(boot))
            }
        }
    }

    /// Runs it no longer than [`LIMIT`], and ends what it leaves behind.
    fn limited(&self, mut boot: Boot) -> String {
        boot.timeout = LIMIT;
        let ended = boot.run();
        if ended.status.is_none() {
            eprintln!(
                "{} was ended after {} seconds: rows are missing",
                self.name(),
                LIMIT.as_secs()
            );
        }
        for pid in ended.strays {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        ended.console
    }
}

/// Debian's user-mode-linux, when it is installed.
pub fn user_mode_linux() -> Option<PathBuf> {
    std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|dir| dir.join("linux.uml"))
            .find(|p| p.is_file())
    })
}

/// Milliseconds from the host process's start to init's first output, the best
/// of ten.
pub fn boot_time(linux: &Path) -> Result<f64, String> {
    let mut best = f64::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        let mut boot = Boot::bare(["quiet", "con0=fd:0,fd:1", "init=/bin/echo", "--", "up"]);
        boot.binary = linux.to_path_buf();
        boot.timeout = Duration::from_secs(10);
        let mut seen = None;
        boot.run_watched(|console, _| {
            if console.contains("up") {
                seen.get_or_insert_with(|| start.elapsed());
            }
            seen.is_none()
        });
        let took = seen.ok_or("init didn't come up")?;
        best = best.min(took.as_secs_f64() * 1e3);
    }
    Ok(best)
}
