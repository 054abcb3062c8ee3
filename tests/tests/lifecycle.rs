//! A machine's life seen from outside: pipes, exit statuses, signals to the
//! host process, what stays behind, the command line, an ordinary user.

#![forbid(unsafe_code)]

use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use umlaut_tests::guest;
use umlaut_tests::machine::{Boot, Ended, below, group_and_session};
use umlaut_tests::paths::{self, Scratch};
use umlaut_tests::run::{self, Place};

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("lifecycle/pipe", pipe),
        ("lifecycle/slow_reader", slow_reader),
        ("lifecycle/output_to_file", output_to_file),
        ("lifecycle/halt", halt),
        ("lifecycle/power_off", power_off),
        ("lifecycle/reboot", reboot),
        ("lifecycle/noreboot", noreboot),
        ("lifecycle/exit_code", exit_code),
        ("lifecycle/end_unseen", end_unseen),
        ("lifecycle/groups", groups),
        ("lifecycle/init_death", init_death),
        ("lifecycle/no_init", no_init),
        ("lifecycle/sysrq_crash", sysrq_crash),
        ("lifecycle/sigterm", sigterm),
        ("lifecycle/sigint", sigint),
        ("lifecycle/sighup", sighup),
        ("lifecycle/sigkill", sigkill),
        ("lifecycle/init_arguments", init_arguments),
        ("lifecycle/host_untouched", host_untouched),
        ("lifecycle/spin", spin),
        ("lifecycle/nofsgsbase", nofsgsbase),
        ("lifecycle/idle", idle),
        ("lifecycle/boot_time", boot_time),
        ("lifecycle/ordinary_user", ordinary_user),
        ("command_line/help", help),
        ("command_line/version", version),
        ("command_line/showconfig", showconfig),
        ("command_line/refused", refused),
        ("command_line/bad_values", bad_values),
        ("command_line/too_long", too_long),
    ])
}

fn check(condition: bool, what: &str, ended: &Ended) -> Result<(), String> {
    if !ended.strays.is_empty() {
        return Err(format!("{} processes stayed behind", ended.strays.len()));
    }
    if condition {
        return Ok(());
    }
    Err(format!(
        "{what}; status {:?}, console:\n{}",
        ended.status,
        ended.tail(60)
    ))
}

fn code(ended: &Ended) -> Option<i32> {
    ended.status.and_then(|s| s.code())
}

/// A shell as init, fed by standard input.
fn shell(args: &[&str], input: &str) -> Ended {
    Boot::quiet(args).stdin(input).timeout(60).run()
}

fn pipe() -> Result<(), String> {
    let ended = shell(&[], "id -u; uname -s; echo err >&2; exit 3\n");
    check(
        ended.console == "0\nLinux\nerr\n" && code(&ended) == Some(3),
        "only the guest's output and the shell's status",
        &ended,
    )
}

/// Ends through a helper that calls reboot(2) with the given magic.
fn end_with(how: &str, args: &[&str]) -> Ended {
    let perl = format!("exec perl -e 'syscall(169, 0xfee1dead, 672274793, {how}, 0)'\n");
    shell(args, &perl)
}

/// What `command` prints, run by the host's shell with `$linux` the kernel.
fn host_shell(command: &str) -> Result<String, String> {
    let home = Scratch::on_disk("home");
    let output = std::process::Command::new("sh")
        .args(["-c", command])
        .env("linux", paths::linux())
        .env("HOME", home.path())
        .output()
        .map_err(|e| format!("sh: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The reader begins when the guest's shell has ended, with more on its way than the host's pipe takes.
fn slow_reader() -> Result<(), String> {
    let got = host_shell(
        "echo 'yes xxxxxxx | head -c 77000; echo; echo last' | $linux quiet con0=fd:0,fd:1 | (sleep 0.7; cat)",
    )?;
    let xs = got.bytes().filter(|b| *b == b'x').count();
    if xs == 77000 / 8 * 7 && got.ends_with("last\n") {
        Ok(())
    } else {
        Err(format!("{xs} of {} x, {} bytes", 77000 / 8 * 7, got.len()))
    }
}

/// A file, which a thread writes to, has all lines each time.
fn output_to_file() -> Result<(), String> {
    let scratch = Scratch::on_disk("output");
    let file = scratch.path().join("out");
    let file = file.to_str().ok_or("a path of text")?;
    for _ in 0..20 {
        let got = host_shell(&format!(
            "echo 'seq 200; echo status $?' | $linux quiet con0=fd:0,fd:1 > {file}; cat {file}"
        ))?;
        if got.lines().count() != 201 || !got.ends_with("status 0\n") {
            return Err(format!("{} lines of 201", got.lines().count()));
        }
    }
    Ok(())
}

fn halt() -> Result<(), String> {
    let ended = end_with("0xcdef0123", &[]);
    check(code(&ended) == Some(0), "halt ends with 0", &ended)
}

fn power_off() -> Result<(), String> {
    let ended = end_with("0x4321fedc", &[]);
    check(code(&ended) == Some(0), "power-off ends with 0", &ended)
}

fn reboot() -> Result<(), String> {
    // Both boots read the same pipe: the first takes one line, the second the next.
    let mut pids = Vec::new();
    let ended = Boot::quiet(["init=/bin/sh"])
        .stdin("echo first; exec perl -e 'sysread(STDIN, $_, 0); syscall(169, 0xfee1dead, 672274793, 0x01234567, 0)'\n")
        .timeout(15)
        .run_watched(|_, pid| {
            pids.push(pid);
            true
        });
    // With its input used up the second shell ends at once: init's death.
    check(
        ended.console.contains("first")
            && ended
                .status
                .is_some_and(|s| s.signal() == Some(6) || s.code().is_some_and(|c| c != 0)),
        "a reboot starts the machine again in the same process",
        &ended,
    )
}

fn noreboot() -> Result<(), String> {
    let ended = end_with("0x01234567", &["noreboot"]);
    check(code(&ended) == Some(0), "noreboot ends with 0", &ended)
}

fn exit_code() -> Result<(), String> {
    let ended = shell(
        &[],
        "echo 43 > /proc/exitcode; exec perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'\n",
    );
    check(
        code(&ended) == Some(43),
        "/proc/exitcode is the status",
        &ended,
    )
}

/// Guest threads that run are lost to the machine's end: no process sees another's death in that.
fn end_unseen() -> Result<(), String> {
    let script = "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done\n\
                  (sleep 0.05; echo o > /proc/sysrq-trigger) &\n\
                  while :; do wait -n; echo $? > /proc/exitcode; done\n";
    for _ in 0..12 {
        let ended = Boot::quiet(["ncpus=2"]).stdin(script).timeout(30).run();
        // The one that asked for the end may be seen to end well.
        check(code(&ended) == Some(0), "power-off ends with 0", &ended)?;
    }
    Ok(())
}

/// Guests are in the kernel process's session, by which the host shares out CPUs, and not in its process group, which a
/// terminal's signals go to.
fn groups() -> Result<(), String> {
    let mut seen = Vec::new();
    let ended = Boot::quiet(["ncpus=2"])
        .stdin("echo u''p; sleep 0.5\n")
        .run_watched(|console, pid| {
            if !console.contains("up") || !seen.is_empty() {
                return true;
            }
            if let Some((group, session)) = group_and_session(pid) {
                let stubs = below(pid, "umlaut-stub").into_iter();
                seen.extend(
                    stubs
                        .filter_map(group_and_session)
                        .map(|(g, s)| (s == session, g == group)),
                );
            }
            true
        });
    let right = seen.len() > 1 && seen.iter().all(|of| *of == (true, false));
    check(
        right,
        &format!("(own session, own group): {seen:?}"),
        &ended,
    )
}

fn init_death() -> Result<(), String> {
    let ended = shell(&["init=/bin/sh"], "exit 7\n");
    check(
        ended
            .console
            .contains("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000700")
            && ended.status.is_some_and(|s| !s.success()),
        "init's death is a panic",
        &ended,
    )
}

fn no_init() -> Result<(), String> {
    let ended = shell(&["init=/no/such/init"], "");
    check(
        ended.console.contains("/no/such/init") && ended.status.is_some_and(|s| !s.success()),
        "a missing init is named",
        &ended,
    )
}

fn sysrq_crash() -> Result<(), String> {
    let ended = shell(&[], "echo c > /proc/sysrq-trigger; sleep 5\n");
    check(
        ended
            .console
            .contains("Kernel panic - not syncing: sysrq triggered crash")
            && ended.status.is_some_and(|s| s.signal() == Some(6)),
        "a panic ends by SIGABRT",
        &ended,
    )
}

/// Runs a busy machine, sends `signal` once it is up, and says how long the end took.
fn signalled(signal: Signal) -> (Ended, Duration) {
    let mut sent: Option<Instant> = None;
    let ended = Boot::quiet(["ncpus=2"])
        .stdin("(while :; do :; done) & sleep 1000 & echo u''p; while :; do /bin/true; done\n")
        .timeout(60)
        .run_watched(|console, pid| {
            if sent.is_none() && console.contains("up") {
                if let Some(pid) = Pid::from_raw(pid) {
                    let _ = kill_process(pid, signal);
                }
                sent = Some(Instant::now());
            }
            true
        });
    let took = sent.map_or(Duration::MAX, |s| s.elapsed());
    (ended, took)
}

fn ends_in_time(signal: Signal) -> Result<(), String> {
    let (ended, took) = signalled(signal);
    check(
        ended.status.is_some() && took < Duration::from_secs(20),
        "the machine ends within seconds",
        &ended,
    )
}

fn sigterm() -> Result<(), String> {
    ends_in_time(Signal::TERM)
}

fn sigint() -> Result<(), String> {
    ends_in_time(Signal::INT)
}

fn sighup() -> Result<(), String> {
    ends_in_time(Signal::HUP)
}

fn sigkill() -> Result<(), String> {
    let (ended, _) = signalled(Signal::KILL);
    check(
        ended.status.is_some_and(|s| s.signal() == Some(9)),
        "killed, and no process stays",
        &ended,
    )
}

fn init_arguments() -> Result<(), String> {
    let scratch = Scratch::on_disk("init");
    let script = scratch.path().join("init.sh");
    let text = "#!/bin/sh\nmount -t proc proc /proc\necho \"args: $*\"\necho \"FOO=$FOO\"\ncat /proc/cmdline\nexec perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'\n";
    std::fs::write(&script, text).map_err(|e| e.to_string())?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .map_err(|e| e.to_string())?;
    let init = format!("init={}", script.display());
    let ended = shell(&["FOO=bar", "word", &init, "--", "a", "b"], "");
    check(
        ended
            .console
            .contains("args: word a b\nFOO=bar\nquiet con0=fd:0,fd:1 FOO=bar word init="),
        "init's arguments, environment and /proc/cmdline",
        &ended,
    )
}

fn host_untouched() -> Result<(), String> {
    let scratch = Scratch::on_disk("untouched");
    let file = scratch.path().join("file");
    std::fs::write(&file, "host\n").map_err(|e| e.to_string())?;
    let dir = scratch.path().display();
    let ended = shell(
        &[],
        &format!(
            "cd {dir}; echo guest > file; echo new > new; rm -rf /var/lib/dpkg; cat file new; ls | cat\n"
        ),
    );
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    check(
        ended.console == "guest\nnew\nfile\nnew\n"
            && kept == "host\n"
            && !scratch.path().join("new").exists(),
        "the guest sees its writes, the host doesn't",
        &ended,
    )
}

/// Programs whose threads have FS bases of their own, and a JIT's, where bases are written by system calls.
fn nofsgsbase() -> Result<(), String> {
    const WORK: &str = "grep -c fsgsbase /proc/cpuinfo; \
        python3 -c 'import threading, subprocess as s; l = []; \
        t = [threading.Thread(target=lambda: l.append(s.run([\"true\"]).returncode)) for _ in range(20)]; \
        [x.start() for x in t]; [x.join() for x in t]; print(sum(l), len(l))'; \
        perl -e '$SIG{ALRM} = sub { print \"alarm\\n\"; exit }; alarm 1; 1 while 1'; \
        for i in $(seq 30); do echo $i | cat & done | sort -n | tail -1; wait; exit 6\n";
    for args in [&["nofsgsbase"][..], &["nofsgsbase", "ncpus=2"]] {
        let ended = shell(args, WORK);
        check(
            ended.console.contains("0\n0 20\nalarm\n30\n") && code(&ended) == Some(6),
            "the work's answer",
            &ended,
        )?;
    }
    Ok(())
}

/// Shell work of all kinds, answered from another CPU as often as possible, by machines of one and of two vCPUs.
fn spin() -> Result<(), String> {
    const WORK: &str = "cd /tmp; for i in 1 2 3 4 5 6 7 8; do seq 2000 >s$i; done; cat s? | sort -n | uniq -c | tail -1; \
        find /usr/share/doc -maxdepth 1 | wc -l >n; trap 'echo usr1' USR1; kill -USR1 $$; \
        for i in $(seq 60); do echo $i | cat & done | sort -n | tail -1; wait; \
        (sleep 30 & kill $!; wait $!; echo $?); grep -rl root /etc/passwd; dd if=/dev/zero bs=1 count=3000 2>/dev/null | wc -c; exit 4\n";
    const ANSWER: &str = "      8 2000\nusr1\n60\n143\n/etc/passwd\n3000\n";
    for args in [
        &["spin=always"][..],
        &["spin=always", "ncpus=2"],
        &["spin=off"],
    ] {
        let ended = shell(args, WORK);
        check(
            ended.console.contains(ANSWER) && code(&ended) == Some(4),
            "the work's answer",
            &ended,
        )?;
    }
    Ok(())
}

/// CPU time in clock ticks of a process and those below it.
fn ticks(pid: i32) -> u64 {
    let mut family = Vec::new();
    umlaut_tests::machine::note_family(pid, &mut family);
    family
        .iter()
        .filter_map(|(p, _)| std::fs::read_to_string(format!("/proc/{p}/stat")).ok())
        .filter_map(|t| {
            let (_, rest) = t.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        })
        .sum()
}

fn idle() -> Result<(), String> {
    let (mut up, mut start, mut used) = (None, 0, None);
    let ended = Boot::quiet(["ncpus=2"])
        .stdin("echo u''p; sleep 60\n")
        .timeout(60)
        .run_watched(|console, pid| {
            match up {
                None if console.contains("up") => up = Some(Instant::now()),
                Some(since) if start == 0 && since.elapsed() > Duration::from_secs(1) => {
                    start = ticks(pid) + 1
                }
                Some(since) if since.elapsed() > Duration::from_secs(4) => {
                    used = Some(ticks(pid) + 1 - start);
                    return false;
                }
                _ => {}
            }
            true
        });
    match used {
        Some(ticks) if ticks <= 3 => Ok(()),
        Some(ticks) => Err(format!("an idle machine used {ticks} clock ticks in 3 s")),
        None => check(false, "the machine came up", &ended),
    }
}

fn boot_time() -> Result<(), String> {
    let start = Instant::now();
    let ended = shell(&[], "exit 0\n");
    let took = start.elapsed();
    check(
        code(&ended) == Some(0) && took < Duration::from_secs(10),
        &format!("start to end took {took:?}"),
        &ended,
    )
}

/// The same programs, booted by nobody: what they see must not change.
fn ordinary_user() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let names = [
        "process/fork",
        "process/creds",
        "file/perm",
        "signal/fault",
        "memory/shared",
        "ipc/unix",
    ];
    let programs: Vec<_> = guest::programs()
        .into_iter()
        .filter(|p| names.contains(&p.name.as_str()))
        .collect();
    guest::build(&paths::root().join("tests/guest/driver.c"))?;
    for program in &programs {
        guest::build(&program.source)?;
    }
    let home = Scratch::on_disk("home");
    let status = std::process::Command::new("chown")
        .arg("nobody")
        .arg(home.path())
        .status()
        .map_err(|e| e.to_string())?;
    if !status.success() {
        return Err("there is no user nobody".into());
    }
    // Reachable for nobody, wherever the target directory lies.
    let tools = Scratch::on_disk("tools");
    let copy = |from: &std::path::Path, name: &str| -> Result<std::path::PathBuf, String> {
        let to = tools.path().join(name);
        std::fs::copy(from, &to).map_err(|e| format!("{}: {e}", from.display()))?;
        paths::open_to_all(&to);
        Ok(to)
    };
    let linux = copy(paths::linux(), "linux")?;
    let driver = copy(&guest::driver(), "driver")?;
    let mut public = programs.clone();
    for program in &mut public {
        let name = program.name.replace('/', "-");
        let to = copy(std::path::Path::new(&program.argv[0]), &name)?;
        program.argv[0] = to.display().to_string();
    }
    let host = run::run(&public, &Place::Host);
    let prepare = |boot: &mut Boot| {
        boot.binary = linux.clone();
        boot.wrapper = [
            "setpriv",
            "--reuid=nobody",
            "--regid=nogroup",
            "--clear-groups",
            "--no-new-privs",
        ]
        .iter()
        .map(Into::into)
        .collect();
        boot.env = vec![("HOME".into(), home.path().into())];
        for arg in &mut boot.args {
            if arg.to_string_lossy().starts_with("init=") {
                *arg = format!("init={}", driver.display()).into();
            }
        }
    };
    let guest = run::run(
        &public,
        &Place::Guest {
            args: &["mem=512M", "rw"],
            prepare: &prepare,
        },
    );
    let mut text = String::new();
    for program in &public {
        let (h, g) = (&host[&program.name], guest.get(&program.name));
        match g {
            Some(g) if g == h => {}
            Some(g) => text.push_str(&format!(
                "{}: host {}, guest {}\n{}",
                program.name,
                h.end,
                g.end,
                run::diff(&h.output, &g.output)
            )),
            None => text.push_str(&format!("{}: not run\n", program.name)),
        }
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

fn help() -> Result<(), String> {
    let ended = Boot::bare(["--help"]).run();
    let first = ended.console.lines().next().unwrap_or_default();
    check(
        code(&ended) == Some(0)
            && first.starts_with("User Mode Linux v")
            && ended.console.contains("mem=<Amount of desired ram>")
            && ended.console.contains("umid=<name>"),
        "the help text",
        &ended,
    )
}

fn version() -> Result<(), String> {
    let ended = Boot::bare(["mem=1M", "--version"]).run();
    let text = ended.console.trim_end();
    check(
        code(&ended) == Some(0) && !text.is_empty() && !text.contains(['\n', ' ']),
        "the release and nothing else",
        &ended,
    )
}

fn showconfig() -> Result<(), String> {
    let ended = Boot::bare(["--showconfig"]).run();
    check(
        code(&ended) == Some(0) && ended.console.starts_with('#'),
        "the configuration",
        &ended,
    )
}

fn refused() -> Result<(), String> {
    for option in [
        "ubd0=image",
        "eth0=tuntap,tap0",
        "vec0:transport=tap",
        "initrd=x",
    ] {
        let ended = Boot::bare([option]).timeout(10).run();
        let name = option.split(['=', ':']).next().unwrap_or(option);
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
        check(
            code(&ended).is_some_and(|c| c != 0) && ended.console.contains(name),
            &format!("{option} is refused by name"),
            &ended,
        )?;
    }
    Ok(())
}

fn bad_values() -> Result<(), String> {
    for (option, text) in [
        ("mem=1M", "Needed="),
        ("ncpus=many", "many"),
        ("rootfstype=hostfs root=/none", "/none"),
    ] {
        let ended = Boot::bare(option.split(' ')).timeout(10).run();
        check(
            ended.status.is_some_and(|s| !s.success()) && ended.console.contains(text),
            &format!("{option} is explained"),
            &ended,
        )?;
    }
    Ok(())
}

fn too_long() -> Result<(), String> {
    let word = "x".repeat(1000);
    let ended = Boot::bare(std::iter::repeat_n(word, 6)).timeout(10).run();
    check(
        code(&ended) == Some(1)
            && ended
                .console
                .contains("add_arg: Too many command line arguments!"),
        "a line over 4096 bytes is refused",
        &ended,
    )
}
