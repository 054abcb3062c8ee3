//! `cargo xtask test`: packages, the binary, the guest programs, all tests.

use crate::packages;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use umlaut_tests::{guest, paths};

/// Optimised, with debug assertions and overflow checks on.
const PROFILE: &str = "test-release";
/// For the tests themselves, not counting compilation.
const BUDGET: Duration = Duration::from_secs(40 * 60);

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(args).current_dir(paths::root());
    command
}

fn succeed(mut command: Command, what: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what}: {status}")),
        Err(e) => Err(format!("{what}: {e}")),
    }
}

/// Runs every test, or those whose name contains `filter`.
pub fn run(filter: Option<&str>) -> Result<(), String> {
    packages::install()?;
    succeed(
        cargo(&[
            "build",
            "--profile",
            PROFILE,
            "--package",
            "umlaut",
            "--package",
            "umlaut-tools",
        ]),
        "building linux and its tools",
    )?;
    guest::build_all()?;
    let base = ["test", "--workspace", "--profile", PROFILE];
    succeed(
        cargo(&[&base[..], &["--no-run"]].concat()),
        "building the tests",
    )?;
    let mut test = cargo(&base);
    test.arg("--no-fail-fast");
    if let Some(filter) = filter {
        test.args(["--", filter]);
    }
    test.env("UMLAUT_LINUX", paths::target().join(PROFILE).join("linux"));
    let child = test
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cargo test: {e}"))?;
    wait_in_time(child)
}

fn wait_in_time(mut child: Child) -> Result<(), String> {
    let deadline = Instant::now() + BUDGET;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("tests failed ({status})")),
            Ok(None) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(None) => {
                if let Some(group) = Pid::from_raw(child.id() as i32) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = child.wait();
                return Err(format!(
                    "the tests took over {} minutes",
                    BUDGET.as_secs() / 60
                ));
            }
            Err(e) => return Err(format!("waiting for cargo test: {e}")),
        }
    }
}
