//! The command `umlaut`, on machines of its own.

#![forbid(unsafe_code)]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use umlaut_tests::pty::Terminal;
use umlaut_tests::running::{self, Running, Said, wait_for};

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("umlaut/ls", ls),
        ("umlaut/names", names),
        ("umlaut/exec_pipes", exec_pipes),
        ("umlaut/exec_environment", exec_environment),
        ("umlaut/exec_terminal", exec_terminal),
        ("umlaut/exec_end_of_typing", exec_end_of_typing),
        ("umlaut/exec_signals", exec_signals),
        ("umlaut/exec_client_killed", exec_client_killed),
        ("umlaut/exec_much", exec_much),
        ("umlaut/exec_slow_sides", exec_slow_sides),
        ("umlaut/exec_background", exec_background),
        ("umlaut/exec_leaks_nothing", exec_leaks_nothing),
        ("umlaut/machine_ends", machine_ends),
        ("umlaut/console", console),
        ("umlaut/console_many_viewers", console_many_viewers),
        ("umlaut/logs", logs),
        ("umlaut/stop_and_kill", stop_and_kill),
        ("umlaut/pause_and_reboot", pause_and_reboot),
        ("umlaut/garbage", garbage),
        ("umlaut/completions", completions),
        ("umlaut/other_user", other_user),
        ("umlaut/ordinary_user", ordinary_user),
    ])
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

fn check(condition: bool, what: &str, said: &impl std::fmt::Debug) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(format!("{what}: {said:?}"))
    }
}

/// The command ended with `status`, printed `out`, and `err` is in what it complained.
fn expect(said: Said, status: i32, out: &str, err: &str) -> Result<(), String> {
    let right = said.status == Some(status) && said.out == out && said.err.contains(err);
    check(
        right,
        &format!("not status {status}, {out:?}, {err:?}"),
        &said,
    )
}

fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let pid = Pid::from_raw(child.id() as i32).ok_or("no pid")?;
    kill_process(pid, signal).map_err(text)
}

/// Starts `umlaut exec` with its output in a pipe.
fn start(machine: &Running, script: &str) -> Result<(Child, BufReader<ChildStdout>), String> {
    let mut command = machine.command(&["exec", &machine.umid, "--", "sh", "-c", script]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(text)?;
    let out = child.stdout.take().ok_or("no output")?;
    Ok((child, BufReader::new(out)))
}

fn read_line(from: &mut impl BufRead) -> Result<String, String> {
    let mut line = String::new();
    from.read_line(&mut line).map_err(text)?;
    Ok(line.trim_end().to_owned())
}

fn status(child: &mut Child) -> Result<Option<i32>, String> {
    let ended = wait_for("umlaut's end", || child.try_wait().ok().flatten());
    if ended.is_err() {
        let _gone = child.kill();
        let _gone = child.wait();
    }
    Ok(ended?.code())
}

fn ls() -> Result<(), String> {
    let machine = Running::boot("listed")?;
    let dead = machine.home.path().join(".uml/dead");
    std::fs::create_dir(&dead).map_err(text)?;
    // No process has this number: it is above the host's largest.
    std::fs::write(dead.join("pid"), "4194305\n").map_err(text)?;
    let said = machine.umlaut(&["ls"])?;
    let lines: Vec<&str> = said.out.lines().collect();
    let pid = machine.pid().to_string();
    check(
        lines.len() == 2
            && lines[0]
                .split_whitespace()
                .eq(["UMID", "PID", "STATE", "UPTIME", "MEMORY", "IMAGE"])
            && lines[1].starts_with("listed")
            && lines[1].contains(&pid)
            && lines[1].contains("running")
            && lines[1].contains("/ 256M")
            && lines[1].ends_with("host tree"),
        "the running machine",
        &said,
    )?;
    let said = machine.umlaut(&["ls", "--all"])?;
    check(
        said.out
            .lines()
            .any(|l| l.starts_with("dead") && l.contains(" dead")),
        "the dead one",
        &said,
    )?;
    expect(machine.umlaut(&["ls", "-q"])?, 0, "listed\n", "")?;
    expect(machine.umlaut(&["kill", "dead"])?, 0, "", "")?;
    check(
        !dead.exists(),
        "a dead machine's directory is removed",
        &dead,
    )?;
    let uml = machine.home.path().join(".uml").display().to_string();
    let mut elsewhere = machine.command(&["ls", "-q", "--uml-dir", &uml]);
    elsewhere.env("HOME", "/nonexistent");
    expect(running::run(elsewhere, b"")?, 0, "listed\n", "")
}

fn names() -> Result<(), String> {
    let machine = Running::boot("abc")?;
    let dir = machine.dir().display().to_string();
    for name in ["abc", "a", &dir, &format!("{dir}/mconsole")] {
        expect(
            machine.umlaut(&["exec", name, "echo", "hi"])?,
            0,
            "hi\n",
            "",
        )?;
    }
    let unknown = machine.umlaut(&["exec", "x", "true"])?;
    expect(unknown, 125, "", "no machine 'x' is running; running: abc")?;
    let unknown = machine.umlaut(&["--uml-dir", "/nonexistent", "stop", "x"])?;
    expect(
        unknown,
        1,
        "",
        "no machine 'x' is running; none is in /nonexistent",
    )
}

fn exec_pipes() -> Result<(), String> {
    let machine = Running::boot("pipes")?;
    let said = machine.exec(&["sh", "-c", "echo out; echo err >&2; exit 7"], b"")?;
    check(said.err == "err\n", "two streams", &said)?;
    expect(said, 7, "out\n", "")?;
    expect(machine.exec(&["cat"], b"through\n")?, 0, "through\n", "")?;
    expect(machine.exec(&["cat"], b"")?, 0, "", "")?;
    expect(machine.exec(&["sh", "-c", "kill -9 $$"], b"")?, 137, "", "")?;
    expect(
        machine.exec(&["no-such-command"], b"")?,
        127,
        "",
        "No such file or directory",
    )?;
    expect(
        machine.exec(&["/no/such"], b"")?,
        127,
        "",
        "No such file or directory",
    )?;
    expect(
        machine.exec(&["/etc/passwd"], b"")?,
        126,
        "",
        "Permission denied",
    )?;
    expect(machine.exec(&["/"], b"")?, 126, "", "Permission denied")?;
    // A text without `#!` is the shell's.
    machine.sh("printf 'echo plain $1' > /tmp/plain; chmod +x /tmp/plain")?;
    expect(
        machine.exec(&["/tmp/plain", "text"], b"")?,
        0,
        "plain text\n",
        "",
    )?;
    let said = machine.exec(
        &[
            "sh",
            "-c",
            "test -p /dev/stdin && ps -o pid=,ppid=,sid=,pgid= $$",
        ],
        b"x",
    )?;
    let ids: Vec<&str> = said.out.split_whitespace().collect();
    check(
        ids.len() == 4 && ids[1] == "0" && ids[2] == ids[0] && ids[3] == ids[0],
        "pipes, no parent, a session of its own",
        &said,
    )
}

fn exec_environment() -> Result<(), String> {
    let machine = Running::boot("environment")?;
    let said =
        machine.sh("pwd; echo $HOME $USER $LOGNAME $PATH; umask; env | grep -c ^UMLAUT || true")?;
    check(
        said == "/root\n/root root root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n0022\n0\n",
        "what a login has",
        &said,
    )?;
    let umid = machine.umid.as_str();
    let given = [
        "exec",
        "-e",
        "USER=other",
        "-e",
        "NEW=a=b",
        "-w",
        "/usr",
        umid,
    ];
    let given = machine.umlaut(&[&given[..], &["sh", "-c", "pwd; echo $USER $NEW"]].concat())?;
    expect(given, 0, "/usr\nother a=b\n", "")?;
    let nowhere = machine.umlaut(&["exec", "-w", "/nowhere", umid, "true"])?;
    expect(nowhere, 126, "", "directory '/nowhere' can't be used")
}

/// The guest's terminal, at a shell's prompt, has the size that the window gets, and Ctrl-C interrupts its job.
fn follows_window_and_ctrl_c(t: &mut Terminal) -> Result<(), String> {
    t.resize(40, 132)?;
    t.line("for i in $(seq 100); do [ \"$(stty size)\" = '40 132' ] && break; sleep 0.1; done; stty size | tr ' ' x", "40x132")?;
    t.expect("ready> ")?;
    // Said by the job itself: it has the terminal by then.
    t.line("sh -c \"echo run''ning; exec sleep 1000\"", "running")?;
    t.send("\x03")?;
    t.expect("ready> ")?;
    t.line("echo status $?", "status 130")?;
    Ok(())
}

fn exec_terminal() -> Result<(), String> {
    let machine = Running::boot("terminal")?;
    let mut t = machine.terminal(&["exec", "terminal", "--", "bash", "--norc"])?;
    t.line("PS1='ready> '; tty; stty size", "/dev/pts/")?;
    t.expect("24 80")?;
    t.expect("ready> ")?;
    t.line("echo term $TERM", "term xterm")?;
    // While it prepares its prompt, readline sets the size that it has just asked for.
    t.expect("ready> ")?;
    follows_window_and_ctrl_c(&mut t)?;
    t.send("exit 9\r")?;
    let (status, _) = t.wait();
    check(
        status.and_then(|s| s.code()) == Some(9),
        "the shell's status",
        &status,
    )?;
    let cooked = t.settings()?.local_modes;
    check(
        cooked.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO),
        "the terminal is as before",
        &cooked,
    )?;
    let mut t = machine.terminal(&["exec", "-T", "terminal", "tty"])?;
    t.expect("not a tty")?;
    let (status, _) = t.wait();
    check(
        status.and_then(|s| s.code()) == Some(1),
        "pipes on request",
        &status,
    )
}

fn exec_end_of_typing() -> Result<(), String> {
    let machine = Running::boot("typing")?;
    for (input, out) in [(&b"line\n"[..], "line\r\nline\r\n"), (b"part", "partpart")] {
        let command = machine.command(&["exec", "-t", "typing", "cat"]);
        expect(running::run(command, input)?, 0, out, "")?;
    }
    Ok(())
}

fn exec_signals() -> Result<(), String> {
    let machine = Running::boot("signals")?;
    for (sent, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::USR1, "USR1"),
    ] {
        let script = format!(
            "trap 'echo got {name}; exit 5' {name}; echo ready; while :; do sleep 0.05; done"
        );
        let (mut child, mut out) = start(&machine, &script)?;
        check(read_line(&mut out)? == "ready", "the program runs", &name)?;
        signal(&child, sent)?;
        let got = read_line(&mut out)?;
        check(got == format!("got {name}"), "the program's trap", &got)?;
        let ended = status(&mut child)?;
        check(ended == Some(5), "its status", &ended)?;
    }
    let (mut child, mut out) = start(&machine, "echo ready; exec sleep 1000")?;
    read_line(&mut out)?;
    signal(&child, Signal::TERM)?;
    let ended = status(&mut child)?;
    check(ended == Some(143), "128 and the signal's number", &ended)
}

fn exec_client_killed() -> Result<(), String> {
    let machine = Running::boot("killed")?;
    let (mut child, mut out) = start(
        &machine,
        // The shell would tell of its child's end, into a pipe that nobody reads any more.
        "trap 'echo hup > /tmp/hup; exit' HUP; echo ready; exec 2> /dev/null; while :; do sleep 0.05; done",
    )?;
    read_line(&mut out)?;
    child.kill().map_err(text)?;
    child.wait().map_err(text)?;
    wait_for("SIGHUP after the client's death", || {
        machine.sh("cat /tmp/hup").ok().filter(|t| t == "hup\n")
    })?;
    let mut t = machine.terminal(&[
        "exec",
        "killed",
        "--",
        "sh",
        "-c",
        "echo re''ady; exec sleep 4321",
    ])?;
    t.expect("ready")?;
    let umlaut = Pid::from_raw(t.pid()).ok_or("no pid")?;
    kill_process(umlaut, Signal::KILL).map_err(text)?;
    wait_for("the end of a program whose terminal is gone", || {
        machine.sh("! pgrep -f '[s]leep 4321'").ok()
    })?;
    Ok(())
}

fn exec_much() -> Result<(), String> {
    let machine = Running::boot("much")?;
    let mut input = String::new();
    for n in 0..600_000 {
        input.push_str(&n.to_string());
        input.push('\n');
    }
    let said = machine.exec(&["cat"], input.as_bytes())?;
    check(
        said.status == Some(0) && said.out == input,
        "4 MB there and back",
        &said.out.len(),
    )?;
    let said = machine.exec(&["head", "-c", "10"], input.as_bytes())?;
    check(
        said.out == input[..10] && said.status == Some(0),
        "input that nobody wants",
        &said,
    )
}

/// Neither a client that doesn't read nor a program that doesn't read stops anything else.
fn exec_slow_sides() -> Result<(), String> {
    let machine = Running::boot("slow")?;
    let (mut stuck, mut out) = start(&machine, "echo ready; exec yes")?;
    read_line(&mut out)?;
    let mut deaf = machine
        .command(&["exec", "slow", "--", "sleep", "1000"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut into = deaf.stdin.take().ok_or("no input")?;
    std::thread::spawn(move || {
        // More than all buffers hold; it ends when the reader is gone.
        let _gone = into.write_all(&vec![b'x'; 4 << 20]);
    });
    for _ in 0..5 {
        expect(machine.exec(&["echo", "alive"], b"")?, 0, "alive\n", "")?;
    }
    signal(&deaf, Signal::INT)?;
    let ended = status(&mut deaf)?;
    check(ended == Some(130), "a signal passes waiting input", &ended)?;
    signal(&stuck, Signal::KILL)?;
    stuck.wait().map_err(text)?;
    wait_for("the end of what nobody reads", || {
        machine.sh("! pgrep -x yes").ok()
    })?;
    Ok(())
}

fn exec_background() -> Result<(), String> {
    let machine = Running::boot("background")?;
    let said = machine.exec(&["sh", "-c", "sleep 1000 & echo done"], b"")?;
    expect(said, 0, "done\n", "")?;
    machine.sh("pkill -x sleep").map(drop)
}

fn exec_leaks_nothing() -> Result<(), String> {
    let machine = Running::boot("leaks")?;
    let count = |what: &str| {
        let dir = format!("/proc/{}/{what}", machine.pid());
        std::fs::read_dir(dir).map_or(0, Iterator::count)
    };
    // The process of the machine itself: descriptors, threads, children.
    let outside = || -> Result<[usize; 3], String> {
        let children = format!("/proc/{0}/task/{0}/children", machine.pid());
        let children = std::fs::read_to_string(children).map_err(text)?;
        Ok([
            count("fd"),
            count("task"),
            children.split_whitespace().count(),
        ])
    };
    let inside = || {
        machine.sh(
            "set -- /proc/[0-9]*; echo $#; set -- /dev/pts/*; echo $#; cat /proc/sys/fs/file-nr",
        )
    };
    for _ in 0..5 {
        expect(machine.umlaut(&["exec", "-t", "leaks", "true"])?, 0, "", "")?;
    }
    inside()?;
    let before = (outside()?, inside()?);
    for n in 0..200 {
        let how = if n % 4 == 0 { "-t" } else { "-T" };
        expect(machine.umlaut(&["exec", how, "leaks", "true"])?, 0, "", "")?;
    }
    wait_for("everything is given back", || {
        let after = (outside().ok()?, inside().ok()?);
        let ([fds, tasks, children], inside) = after;
        // Between none and two processes are kept ready for programs to come.
        let same = before == ([fds, tasks, before.0[2]], inside);
        (same && children.abs_diff(before.0[2]) <= 2).then_some(())
    })
    .map_err(|e| format!("{e}: {before:?}, then {:?} {:?}", outside(), inside()))
}

fn machine_ends() -> Result<(), String> {
    let mut machine = Running::boot("ends")?;
    let (mut child, mut out) = start(&machine, "echo ready; exec sleep 1000")?;
    read_line(&mut out)?;
    expect(machine.umlaut(&["stop", "ends"])?, 0, "", "powers off")?;
    let ended = status(&mut child)?;
    check(
        ended == Some(125),
        "a program of a machine that ends",
        &ended,
    )?;
    machine.wait().map(drop)
}

/// A machine with a shell on tty1, whose own channel is nowhere, and a terminal joined to it.
fn with_shell_on_tty1(umid: &str) -> Result<(Running, Terminal), String> {
    let machine = Running::boot(umid)?;
    // The terminal is opened by a process that leads no session, or it would be that one's.
    machine.sh("(exec setsid --fork --ctty bash --norc -i <> /dev/tty1 >&0 2>&1)")?;
    // While it prepares its prompt, readline sets the size that it has just asked for: the viewer's comes after that.
    machine.sh("until stty -F /dev/tty1 -a | grep -q -e -icanon; do sleep 0.02; done")?;
    let mut t = machine.terminal(&["console", umid, "tty1"])?;
    t.expect("Ctrl-] leaves it")?;
    t.line("PS1='ready> '; tty", "/dev/tty1")?;
    t.expect("ready> ")?;
    Ok((machine, t))
}

fn console() -> Result<(), String> {
    let (mut machine, mut t) = with_shell_on_tty1("console")?;
    t.line("stty size", "24 80")?;
    t.expect("ready> ")?;
    follows_window_and_ctrl_c(&mut t)?;
    // The key leaves the console; what runs there goes on, and whoever comes back sees where it was.
    t.line("echo last''words", "lastwords")?;
    t.expect("ready> ")?;
    t.send("\x1d")?;
    t.expect("umlaut: left")?;
    let (status, _) = t.wait();
    check(status.is_some_and(|s| s.success()), "leaving", &status)?;
    let cooked = t.settings()?.local_modes;
    check(
        cooked.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO),
        "the terminal is as before",
        &cooked,
    )?;
    let mut t = machine.terminal(&["console", "-e", "^A", "console", "ttyS99"])?;
    t.expect("no console 'ttyS99'; there are: tty0, tty1")?;
    let mut t = machine.terminal(&["console", "-e", "^A", "console", "tty1"])?;
    t.expect("Ctrl-A leaves it")?;
    t.expect("lastwords")?;
    t.line("echo still $((40 + 2))", "still 42")?;
    t.send("\x01")?;
    t.expect("umlaut: left")?;
    // Without a name it is /dev/console.
    let mut t = machine.terminal(&["console", "console"])?;
    t.expect("leaves it")?;
    machine.type_line("echo on the console")?;
    t.expect("on the console")?;
    expect(machine.umlaut(&["stop", "console"])?, 0, "", "")?;
    t.expect("the machine ended")?;
    machine.wait().map(drop)
}

fn console_many_viewers() -> Result<(), String> {
    let (machine, mut first) = with_shell_on_tty1("viewers")?;
    let mut second = machine.terminal(&["console", "viewers", "tty1"])?;
    second.expect("ready> ")?;
    first.line("echo from the $((1))st", "from the 1st")?;
    second.expect("from the 1st")?;
    second.line("echo from the $((2))nd", "from the 2nd")?;
    first.expect("from the 2nd")?;
    // One that doesn't read holds nobody up, and misses what it can't take.
    let mut deaf = machine.command(&["console", "viewers", "tty1"]);
    let mut deaf = deaf.stdout(Stdio::piped()).spawn().map_err(text)?;
    let mut out = deaf.stdout.take().ok_or("no output")?;
    let mut byte = [0];
    out.read_exact(&mut byte).map_err(text)?;
    first.line("seq 200000 | tail -c 1000000; echo e''nd", "end")?;
    second.expect("end")?;
    // When it reads again it sees how things stand.
    let (told, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut out = BufReader::new(out);
        while let Ok(line) = read_line(&mut out) {
            if line.starts_with("end") {
                let _gone = told.send(());
                break;
            }
        }
    });
    end.recv_timeout(std::time::Duration::from_secs(30))
        .map_err(text)?;
    // One that is killed is forgotten.
    signal(&deaf, Signal::KILL)?;
    deaf.wait().map_err(text)?;
    first.line("echo after $((3 + 4))", "after 7")?;
    // A pipe types, too.
    let mut typist = machine.command(&["console", "viewers", "tty1"]);
    let mut typist = typist
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(text)?;
    let mut into = typist.stdin.take().ok_or("no input")?;
    into.write_all(b"echo typed $((5 + 6))\n").map_err(text)?;
    second.expect("typed 11")?;
    signal(&typist, Signal::TERM)?;
    let ended = status(&mut typist)?;
    check(ended == Some(0), "SIGTERM leaves the console", &ended)
}

fn logs() -> Result<(), String> {
    let mut machine = Running::boot("logs")?;
    let said = machine.umlaut(&["logs", "logs"])?;
    check(
        said.status == Some(0) && said.out.contains("Linux version") && said.out.starts_with('['),
        "the kernel log",
        &said,
    )?;
    let mut following = machine
        .command(&["logs", "-f", "logs"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut out = BufReader::new(following.stdout.take().ok_or("no output")?);
    while !read_line(&mut out)?.contains("Linux version") {}
    machine.sh("echo a later line > /dev/kmsg")?;
    while !read_line(&mut out)?.contains("a later line") {}
    expect(machine.umlaut(&["stop", "logs"])?, 0, "", "")?;
    let mut rest = String::new();
    out.read_to_string(&mut rest).map_err(text)?;
    check(rest.contains("reboot: Power down"), "the last line", &rest)?;
    let ended = status(&mut following)?;
    check(ended == Some(0), "the end of the log", &ended)?;
    machine.wait().map(drop)
}

fn stop_and_kill() -> Result<(), String> {
    let mut machine = Running::boot("stop")?;
    let dir = machine.dir();
    expect(
        machine.umlaut(&["stop", "stop"])?,
        0,
        "",
        "machine 'stop' powers off",
    )?;
    machine.wait()?;
    check(!dir.exists(), "a stopped machine's directory is gone", &dir)?;

    let mut machine = Running::boot("kill")?;
    let dir = machine.dir();
    expect(machine.umlaut(&["kill", "kill"])?, 0, "", "")?;
    machine.wait()?;
    check(!dir.exists(), "a killed machine's directory is gone", &dir)?;

    // A process that can't answer is listed all the same, and killed in the end.
    let mut machine = Running::boot("hung")?;
    let pid = Pid::from_raw(machine.pid()).ok_or("no pid")?;
    kill_process(pid, Signal::STOP).map_err(text)?;
    let said = machine.umlaut(&["ls"])?;
    check(
        said.out.contains("hung") && said.out.contains("silent"),
        "a stopped process",
        &said,
    )?;
    let said = machine.umlaut(&["exec", "hung", "true"])?;
    expect(said, 125, "", "doesn't answer")?;
    let said = machine.umlaut(&["stop", "-t", "1", "hung", "nobody"])?;
    check(
        said.status == Some(1)
            && said.err.contains("has not ended within 1 s and is killed")
            && said.err.contains("no machine 'nobody' is running"),
        "killed after the wait",
        &said,
    )?;
    machine.wait().map(drop)
}

fn pause_and_reboot() -> Result<(), String> {
    let machine = Running::boot("pause")?;
    let (mut child, mut out) = start(&machine, "while :; do date +%s%N; sleep 0.01; done")?;
    read_line(&mut out)?;
    expect(machine.umlaut(&["pause", "pause"])?, 0, "", "")?;
    let said = machine.umlaut(&["ls"])?;
    check(said.out.contains(" paused "), "a paused machine", &said)?;
    expect(
        machine.umlaut(&["pause", "pause"])?,
        1,
        "",
        "is paused already",
    )?;
    expect(
        machine.exec(&["true"], b"")?,
        125,
        "",
        "the machine is paused",
    )?;
    expect(machine.umlaut(&["resume", "pause"])?, 0, "", "")?;
    expect(
        machine.umlaut(&["resume", "pause"])?,
        1,
        "",
        "is not paused",
    )?;
    // What ran goes on.
    for _ in 0..100 {
        read_line(&mut out)?;
    }
    let before = machine.sh("cat /proc/sys/kernel/random/boot_id")?;
    expect(machine.umlaut(&["reboot", "pause"])?, 0, "", "")?;
    let ended = status(&mut child)?;
    check(
        ended == Some(125),
        "a program of a machine that restarts",
        &ended,
    )?;
    wait_for("the machine after its restart", || {
        let now = machine.sh("cat /proc/sys/kernel/random/boot_id").ok()?;
        (now != before).then_some(())
    })
}

fn garbage() -> Result<(), String> {
    use std::os::unix::net::UnixStream;
    let machine = Running::boot("garbage")?;
    let socket = machine.dir().join("control");
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[2, 0, 0, 0, 0, 0, 0, 0],
        &[0xff; 5000],
        b"",
    ] {
        let mut stream = UnixStream::connect(&socket).map_err(text)?;
        stream
            .set_read_timeout(Some(running::PATIENCE))
            .map_err(text)?;
        stream.write_all(bytes).map_err(text)?;
        stream.shutdown(std::net::Shutdown::Write).map_err(text)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(e) => return Err(format!("after {} bytes: {e}", bytes.len())),
        }
    }
    expect(machine.exec(&["echo", "alive"], b"")?, 0, "alive\n", "")
}

fn completions() -> Result<(), String> {
    let machine = Running::boot("complete")?;
    for shell in ["bash", "zsh", "fish"] {
        let said = machine.umlaut(&["completions", shell])?;
        check(
            said.status == Some(0) && said.out.contains("umlaut"),
            shell,
            &said,
        )?;
    }
    // What bash asks for after `umlaut stop <Tab>`, in its own words.
    let script = r#"source <("$0" completions bash); COMP_WORDS=(umlaut stop ''); COMP_CWORD=2
        _clap_complete_umlaut umlaut '' stop; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    let path = machine.umlaut.parent().ok_or("no directory")?;
    let path = format!("{}:/usr/bin:/bin", path.display());
    bash.args(["-c", script]).arg(&machine.umlaut);
    bash.env("HOME", machine.home.path()).env("PATH", path);
    let said = running::run(bash, b"")?;
    check(
        said.out.lines().any(|l| l == "complete"),
        "names of machines",
        &said,
    )
}

fn other_user() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let machine = Running::boot("mine")?;
    let nobody = Running::boot_as_nobody("theirs")?;
    let uml = machine.home.path().join(".uml").display().to_string();
    for args in [
        &["exec", "mine", "true"][..],
        &["logs", "mine"],
        &["stop", "mine"],
        &["kill", "mine"],
    ] {
        let said = nobody.umlaut(&[&["--uml-dir", &uml], args].concat())?;
        let refused = said.status.is_some_and(|s| s != 0) && said.err.contains("another user's");
        check(refused, args[0], &said)?;
    }
    expect(machine.exec(&["echo", "alive"], b"")?, 0, "alive\n", "")
}

fn ordinary_user() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let mut machine = Running::boot_as_nobody("ordinary")?;
    expect(machine.exec(&["id", "-u"], b"")?, 0, "0\n", "")?;
    // Root may, too.
    let mut root = Command::new(&machine.umlaut);
    root.args(["exec", "ordinary", "id", "-u"]);
    root.env("HOME", machine.home.path()).stdin(Stdio::null());
    expect(running::run(root, b"")?, 0, "0\n", "")?;
    expect(machine.umlaut(&["stop", "ordinary"])?, 0, "", "")?;
    machine.wait().map(drop)
}
