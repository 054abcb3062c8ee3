//! Where a measurement runs: on the host, in Umlaut, in user-mode-linux.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use umlaut_tests::machine::Boot;
use umlaut_tests::paths::Scratch;

pub enum Place<'a> {
    Host { cpus: &'a str },
    Umlaut { linux: &'a Path, ncpus: u32 },
    Uml { linux: &'a Path },
}

/// Seconds that one place may take for all rows.
const TIMEOUT: u64 = 1200;
/// Powers a machine off from its init, without anything of a distribution.
const POWER_OFF: &str = "exec perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'";

impl Place<'_> {
    pub fn name(&self) -> String {
        match self {
            Place::Host { cpus } => format!("the host (CPU {cpus})"),
            Place::Umlaut { ncpus, .. } => format!("Umlaut (ncpus={ncpus})"),
            Place::Uml { .. } => "user-mode-linux".into(),
        }
    }

    /// Runs `script` with `$D` a scratch directory in memory; its output.
    pub fn run(&self, script: &str) -> Result<String, String> {
        match self {
            Place::Host { cpus } => {
                let dir = Scratch::in_memory("bench");
                let output = Command::new("taskset")
                    .args(["-c", cpus, "/bin/sh", "-c", script])
                    .env("D", dir.path())
                    .stderr(Stdio::inherit())
                    .output()
                    .map_err(|e| format!("taskset: {e}"))?;
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Place::Umlaut { linux, ncpus } => {
                let mut boot = Boot::bare([
                    "quiet".to_string(),
                    "con0=fd:0,fd:1".into(),
                    "mem=4G".into(),
                    format!("ncpus={ncpus}"),
                ]);
                boot.binary = linux.to_path_buf();
                let ended = boot
                    .stdin(&format!(
                        "export D=/dev/shm TMPDIR=/dev/shm; mkdir -p $D; {script}\nexit 0\n"
                    ))
                    .timeout(TIMEOUT)
                    .run();
                Ok(ended.console)
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
                let ended = boot.timeout(TIMEOUT).run();
                Ok(ended.console)
            }
        }
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
