//! Machines where the host allows little: in a container with the default seccomp profile, without user namespaces and
//! ptrace, as an ordinary user without capabilities.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use umlaut_tests::machine::Boot;
use umlaut_tests::paths::Scratch;

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("confined/as_caller", as_caller),
        ("confined/ordinary_user", ordinary_user),
        ("confined/refusals_work", refusals_work),
        ("confined/no_user_namespaces", no_user_namespaces),
    ])
}

/// What a machine does at large: processes, threads, programs, files of the host, signals, a reboot.
const SCRIPT: &str = "id -u\n\
    python3 -c 'import threading, subprocess as s; t = [threading.Thread(target=s.run, args=([\"true\"],)) for _ in range(9)]; \
    [x.start() for x in t]; [x.join() for x in t]; print(\"threads\")'\n\
    mount none /mnt -t hostfs -o HERE && echo text > /mnt/f && sync && cat /mnt/f\n\
    sleep 60 & kill $!; wait $! 2>/dev/null; echo $?\n\
    unshare -m true && echo unshared\n\
    exit 5\n";

fn run(mut wrapper: Vec<OsString>) -> Result<(), String> {
    let scratch = Scratch::in_memory("confined");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o777))
        .map_err(|e| format!("permissions of the scratch directory: {e}"))?;
    wrapper.extend([env!("CARGO_BIN_EXE_confine").into(), "container".into()]);
    let mut boot = Boot::quiet(["ncpus=2"])
        .stdin(&SCRIPT.replace("HERE", &scratch.path().display().to_string()));
    boot.wrapper = wrapper;
    boot.env = vec![("HOME".into(), scratch.path().into())];
    let ended = boot.run();
    if ended.console == "0\nthreads\ntext\n143\nunshared\n"
        && ended.status.and_then(|s| s.code()) == Some(5)
        && ended.strays.is_empty()
    {
        return Ok(());
    }
    Err(format!(
        "status {:?}, strays {:?}, console:\n{}",
        ended.status,
        ended.strays,
        ended.tail(60)
    ))
}

fn as_caller() -> Result<(), String> {
    run(Vec::new())
}

fn ordinary_user() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        // Then the other test is this one.
        return Ok(());
    }
    let words = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs";
    run(words.split(' ').map(OsString::from).collect())
}

/// Where `user.max_user_namespaces` is 0: in a user namespace of the test's own that allows no other.
fn no_user_namespaces() -> Result<(), String> {
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && ! unshare -U true 2>/dev/null && exec \"$@\"";
    run(["unshare", "-Ur", "sh", "-c", script, "sh"]
        .map(OsString::from)
        .into())
}

/// That the filter is one: what it refuses is refused.
fn refusals_work() -> Result<(), String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_confine"))
        .args(["container", "unshare", "--user", "true"])
        .output()
        .map_err(|e| format!("confine doesn't run: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !text.contains("Operation not permitted") {
        return Err(format!("a user namespace was made: {text}"));
    }
    Ok(())
}
