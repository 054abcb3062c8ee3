//! The Debian packages that the tests use: found missing, installed when root.

use std::process::{Command, Stdio};
use umlaut_tests::guest;

/// What the tests need beside what the scripts' headers name.
const ALWAYS: &[&str] = &[
    "gcc",
    "libc6-dev",
    "util-linux",
    "bash",
    "busybox",
    "less",
    "vim",
    "perl",
    "inetutils-telnet",
    "picocom",
    "procps",
    "screen",
    "xfonts-base",
    "xterm",
    "xvfb",
    "uml-utilities",
];

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", package])
        .output()
        .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("installed"))
}

/// Installs what is missing.
///
/// # Errors
/// Names the missing packages when this isn't root or apt-get fails.
pub fn install() -> Result<(), String> {
    let mut wanted = guest::packages();
    wanted.extend(ALWAYS.iter().map(|p| (*p).to_string()));
    wanted.sort();
    wanted.dedup();
    // A machine may have a program from elsewhere (another node, busybox-static).
    let provided = |p: &str| match p {
        "busybox" => installed("busybox-static"),
        "git" | "nodejs" => {
            let program = if p == "nodejs" { "node" } else { p };
            Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        }
        _ => false,
    };
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|p| !installed(p) && !provided(p))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|s| s.as_str()).collect();
    let names = names.join(" ");
    if !rustix::process::geteuid().is_root() {
        return Err(format!(
            "the tests need Debian packages that aren't installed; as root: apt-get install {names}"
        ));
    }
    let apt = |args: &[&str]| {
        Command::new("apt-get")
            .args(["-y", "-qq", "-o", "DPkg::Lock::Timeout=300"])
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    eprintln!("installing {names}");
    let mut install = vec!["install", "--no-install-recommends"];
    install.extend(names.split(' '));
    if apt(&["update"]) && apt(&install) {
        Ok(())
    } else {
        Err(format!("apt-get can't install {names}"))
    }
}
