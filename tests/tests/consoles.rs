//! Consoles and serial lines, each channel with the program that people use at its other end.

#![forbid(unsafe_code)]

use std::process::{Command, Stdio};
use umlaut_tests::paths::{self, Scratch};
use umlaut_tests::peer::{Peer, free_port, until};
use umlaut_tests::pty::Terminal;
use umlaut_tests::session::{assigned, boot, shut_down};

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("consoles/pts", pts),
        ("consoles/pts_programs", pts_programs),
        ("consoles/pts_hangup", pts_hangup),
        ("consoles/pty", pty),
        ("consoles/configuration", configuration),
        ("consoles/null_and_none", null_and_none),
        ("consoles/descriptors", descriptors),
        ("consoles/output_only", output_only),
        ("consoles/serial_console", serial_console),
        ("consoles/joined_machines", joined_machines),
        ("consoles/non_raw", non_raw),
        ("consoles/dead_reader", dead_reader),
        ("consoles/no_virtual_terminals", no_virtual_terminals),
        ("consoles/lists", lists),
        ("port/telnet", telnet),
        ("port/clients_wait", clients_wait),
        ("port/login", login),
        ("port/taken", port_taken),
        ("port/main_console", port_main_console),
        ("port/soak", port_soak),
    ])
}

fn pts() -> Result<(), String> {
    let mut t = boot(&["con1=pts", "ssl0=pts"])?;
    t.line("dmesg | grep -c assigned", "0\r\n")?;
    t.line("exec 3<>/dev/tty1; echo op''en", "open")?;
    let mut one = Peer::open(&assigned(&mut t, "Virtual console 1")?)?;
    t.line("echo x >&3; echo wr''itten", "written")?;
    one.expect("x\r\n")?;
    // The host's end is raw: what controls jobs there is the guest's.
    one.send("to the guest\r")?;
    t.line("head -n 1 <&3", "to the guest")?;
    one.expect("to the guest\r\n")?;
    t.line("exec 4<>/dev/ttyS0; echo op''en", "open")?;
    let mut serial = Peer::open(&assigned(&mut t, "Serial line 0")?)?;
    t.line("echo y >&4; exec 4>&-; echo cl''osed", "closed")?;
    serial.expect("y\r\n")?;
    serial.expect_end()?;
    shut_down(t)
}

fn pts_programs() -> Result<(), String> {
    let mut t = boot(&["con1=pts"])?;
    t.line("getty tty1 'PS1=console-; exec sh -i'", "ready> ")?;
    let name = assigned(&mut t, "Virtual console 1")?;
    let mut picocom = Terminal::start(
        std::path::Path::new("/usr/bin/picocom"),
        &["--noreset", &name],
    )?;
    picocom.expect("Terminal ready")?;
    picocom.line("echo by pico''com; tty", "by picocom")?;
    picocom.expect("/dev/tty1")?;
    // Control characters go to the guest: this one interrupts its program.
    picocom.line("sh -c 'echo run''ning; exec sleep 1000'", "running")?;
    picocom.send("\x03")?;
    picocom.expect("# ")?;
    picocom.line("echo status $?", "status 130")?;
    picocom.send("\x01\x11")?;
    picocom.wait();
    drop(picocom);
    // It was the last to close the terminal: the guest was hung up, and its getty opened another.
    let name = assigned(&mut t, "Virtual console 1")?;
    let mut screen = Terminal::start(
        std::path::Path::new("/usr/bin/screen"),
        &["-T", "xterm", &name],
    )?;
    until("screen shows the prompt", || {
        let asked = screen.send("echo by scr''een\r");
        (asked.is_ok() && screen.expect("by screen").is_ok()).then_some(())
    })?;
    screen.send("\x01ky")?;
    screen.wait();
    shut_down(t)
}

fn pts_hangup() -> Result<(), String> {
    let mut t = boot(&["con1=pts"])?;
    let command = "getty tty1 'trap \"echo hung up >>/tmp/log; exit\" HUP; echo here; while :; do sleep 0.1; done'";
    t.line(command, "ready> ")?;
    for _ in 0..2 {
        let name = assigned(&mut t, "Virtual console 1")?;
        let mut peer = Peer::open(&name)?;
        peer.expect("here")?;
        // Before the next one is told.
        t.line("dmesg -C; echo cle''ared", "cleared")?;
        drop(peer);
        t.line(
            "until grep up /tmp/log; do sleep 0.05; done; rm /tmp/log",
            "hung up",
        )?;
    }
    shut_down(t)
}

fn pty() -> Result<(), String> {
    let mut t = boot(&["con1=pty"])?;
    if std::path::Path::new("/dev/ptyp0").exists() {
        t.line("exec 3<>/dev/tty1; echo op''en", "open")?;
        let name = assigned(&mut t, "Virtual console 1")?;
        let mut one = Peer::open(&name)?;
        t.line("echo x >&3; echo wr''itten", "written")?;
        one.expect("x\r\n")?;
    } else {
        t.line("cat /dev/tty1", "No such device")?;
        t.line(
            "dmesg | tail -n 1",
            "getmaster - no usable host pty devices",
        )?;
    }
    shut_down(t)
}

fn configuration() -> Result<(), String> {
    let mut t = boot(&[
        "con0=fd:0,fd:1",
        "con1=null",
        "con=pts",
        "con20=pts",
        "con3=foo",
        "con4=fd:x",
        "con5=port",
        "conx=pts",
        "con6=none",
        "ssl=null",
        "ssl64=null",
        "ssl2=tty",
    ])?;
    for line in [
        "Failed to set up console with configuration string \"20=pts\" : Device number out of range",
        "Failed to set up console with configuration string \"x=pts\" : Couldn't parse device number",
        "Failed to set up serial line with configuration string \"64=null\" : Device number out of range",
        "setup_one_line failed for device 3 : failed to parse channel pair",
        "fd_init : couldn't parse file descriptor 'x'",
        "setup_one_line failed for device 4 : failed to parse channel pair",
        "port_init : channel type 'port' must specify a port number",
        "setup_one_line failed for device 6 : configured as 'none'",
        "tty_init : channel type 'tty' must specify a device",
    ] {
        t.line(&format!("dmesg | grep -cF {}", quoted(line)), "1\r\n")?;
    }
    t.line("ls /dev/tty3 /dev/tty6", "cannot access '/dev/tty6'")?;
    t.line("mknod /tmp/tty3 c 4 3; cat /tmp/tty3", "No such device")?;
    // The special stands, wherever it stands.
    t.line(
        "echo into nothing >/dev/tty1; dmesg | grep -c 'console 1 assigned'",
        "0\r\n",
    )?;
    t.line(
        "true </dev/tty2; dmesg | grep -c 'console 2 assigned'",
        "1\r\n",
    )?;
    shut_down(t)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn null_and_none() -> Result<(), String> {
    let mut t = boot(&["con1=null"])?;
    t.line("seq 100000 >/dev/tty1; echo vani''shed $?", "vanished 0")?;
    t.line("timeout 0.3 cat /dev/tty1; echo st''atus $?", "status 124")?;
    shut_down(t)
}

/// A machine on pipes, with further descriptors given by a shell.
fn piped(redirections: &str, args: &str, input: &str) -> Result<String, String> {
    let script = format!(
        "exec timeout 60 {} quiet mem=512M {args} {redirections}",
        paths::linux().display()
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    std::io::Write::write_all(&mut stdin, input.as_bytes()).map_err(|e| e.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn same(got: &str, wanted: &str) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("wanted {wanted:?}, got {got:?}"))
    }
}

fn descriptors() -> Result<(), String> {
    let dir = Scratch::on_disk("descriptors");
    let file = dir.path().join("out");
    // A descriptor that the user opened is one end of a line, whatever it is.
    let redirections = format!("7>{} 8</etc/hostname", file.display());
    let said = piped(
        &redirections,
        "con1=fd:8,fd:7 con2=fd:7",
        "exec 3<>/dev/tty1; cat <&3; echo line >&3; exec 3>&-; cat /dev/tty2 2>&1 | grep -o 'No such device'\n",
    )?;
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    if !said.starts_with(&host) || !said.ends_with("\nNo such device\n") {
        return Err(format!("the guest said {said:?}"));
    }
    same(
        &std::fs::read_to_string(&file).unwrap_or_default(),
        "line\n",
    )?;
    // What the kernel process has open itself is nobody's.
    let lines: String = (3..15)
        .map(|fd| format!("con{fd}=fd:{fd} ssl{fd}=fd:{} ", fd + 12))
        .collect();
    let said = piped(
        "",
        &lines,
        "for n in $(seq 3 14); do for t in tty ttyS; do cat /dev/$t$n 2>&1; done; done | grep -c 'No such device'\n",
    )?;
    if said.ends_with("\n24\n") {
        Ok(())
    } else {
        Err(format!("not all are refused: {said:?}"))
    }
}

fn output_only() -> Result<(), String> {
    let said = piped(
        "",
        "con0=null,fd:1 init=/bin/sh -- -c 'echo shown; poweroff -f'",
        "this is never read\n",
    )?;
    if said.starts_with("shown\n") {
        Ok(())
    } else {
        Err(format!("the guest said {said:?}"))
    }
}

fn serial_console() -> Result<(), String> {
    let said = piped(
        "",
        "console=tty0 console=ttyS0 con0=null ssl0=fd:0,fd:1 init=/bin/sh",
        "tty; mount -t proc proc /proc; head -c 5 /proc/consoles; echo; echo 3 >/proc/sys/kernel/printk; poweroff -f\n",
    )?;
    if said.contains("/dev/console") && said.contains("ttyS0") {
        Ok(())
    } else {
        Err(format!("{said:?}"))
    }
}

/// As the HOWTO's chapter 5.3: a pseudo terminal in one machine, its other end in the other.
fn joined_machines() -> Result<(), String> {
    let mut one = boot(&["ssl0=pts"])?;
    one.line("getty ttyS0 'PS1=one-; exec sh -i'", "ready> ")?;
    let name = assigned(&mut one, "Serial line 0")?;
    let mut two = boot(&[&format!("ssl1=tty:{name}")])?;
    two.line(
        "exec 3<>/dev/ttyS1; stty raw -echo <&3; echo op''en",
        "open",
    )?;
    two.line(
        "cat <&3 & sleep 0.1; printf '\\rhostname; echo $((40 + 2)) $(tty)\\r' >&3",
        "42 /dev/ttyS0",
    )?;
    two.line("kill $!; exec 3>&-; echo d''one", "done")?;
    shut_down(two)?;
    shut_down(one)
}

fn non_raw() -> Result<(), String> {
    let host = Terminal::start(std::path::Path::new("/bin/sleep"), &["1000"])?;
    let name =
        std::fs::read_link(format!("/proc/{}/fd/0", host.pid())).map_err(|e| e.to_string())?;
    let before = format!("{:?}", host.settings()?);
    let device = format!("ssl0=tty:{}", name.display());
    for (option, raw) in [("ssl-non-raw", false), ("ssl1=null", true)] {
        let mut t = boot(&[&device, option])?;
        t.line("exec 3<>/dev/ttyS0; echo op''en", "open")?;
        if (format!("{:?}", host.settings()?) != before) != raw {
            return Err(format!(
                "with {option} the terminal is{} raw",
                if raw { "n't" } else { "" }
            ));
        }
        t.line("exec 3>&-; echo cl''osed", "closed")?;
        until(
            "the terminal gets its settings back after the last close",
            || (format!("{:?}", host.settings().ok()?) == before).then_some(()),
        )?;
        shut_down(t)?;
    }
    Ok(())
}

fn dead_reader() -> Result<(), String> {
    let mut t = boot(&["con1=pts"])?;
    t.line("exec 3<>/dev/tty1; echo op''en", "open")?;
    let name = assigned(&mut t, "Virtual console 1")?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let _never_read =
        rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).map_err(|e| e.to_string())?;
    t.line("seq 1000000 >&3 & echo st''arted", "started")?;
    t.line("sleep 0.3; jobs", "Running")?;
    t.line("echo still $((6 * 7))", "still 42")?;
    t.line("kill %1; wait; echo go''ne", "gone")?;
    shut_down(t)
}

fn no_virtual_terminals() -> Result<(), String> {
    let mut t = boot(&["con1=null"])?;
    // KDGETMODE, KDSETMODE, VT_GETSTATE, VT_ACTIVATE, VT_OPENQRY, KDGKBMODE: ENOTTY, as on a Linux without VT.
    let perl = "perl -e 'open F, \"+<\", \"/dev/tty1\"; for (0x4b3b, 0x4b3a, 0x5603, 0x5606, 0x5600, 0x4b44) \
                { $x = \"\\0\" x 64; print ioctl(F, $_, $x) ? \"done\" : $! + 0, \" \" } print \"e\", \"nd\\n\"'";
    t.line(perl, "25 25 25 25 25 25 end")?;
    shut_down(t)
}

fn lists() -> Result<(), String> {
    let mut t = boot(&[])?;
    t.line(
        "grep UML /proc/tty/drivers",
        "UML serial line      /dev/ttyS       4 64-127 serial",
    )?;
    t.line(
        "grep 'UML console' /proc/tty/drivers",
        "UML console          /dev/tty        4 0-15 console",
    )?;
    t.line(
        "cat /proc/consoles",
        "tty0                 -W- (EC  p a)    4:0",
    )?;
    t.line("ls -l /dev/tty15 /dev/ttyS63", "4, 127")?;
    t.line("dmesg | grep -c -e 'Initialized stdio console driver' -e 'Console initialized on /dev/tty0' \
            -e 'console .stderr0. disabled' -e 'Initializing software serial port version 1'", "4\r\n")?;
    shut_down(t)
}

fn telnet_to(port: u16) -> Result<Terminal, String> {
    Terminal::start(
        std::path::Path::new("/usr/bin/telnet"),
        &["127.0.0.1", &port.to_string()],
    )
}

/// A real client: its window, its changes, control characters, the end of its session.
fn telnet() -> Result<(), String> {
    let port = free_port();
    let mut t = boot(&[&format!("con1=port:{port}")])?;
    t.line(
        "getty tty1 'trap \"echo hung up >/tmp/log\" HUP; export PS1=console-; sh -i'",
        "ready> ",
    )?;
    let mut client = telnet_to(port)?;
    client.expect("console-")?;
    client.line("tty; stty size", "/dev/tty1")?;
    client.expect("24 80")?;
    client.line("echo $((6 * 7)) dollars", "42 dollars")?;
    client.line("trap 'echo resized $(stty size)' WINCH; echo s''et", "set")?;
    client.resize(40, 132)?;
    until("the new size arrives", || {
        client.send("\r").ok()?;
        std::thread::sleep(std::time::Duration::from_millis(50));
        client.expect("console-").ok()?;
        client.screen.contains("resized 40 132").then_some(())
    })?;
    client.line("sh -c 'echo run''ning; exec cat'", "running")?;
    client.send("\x03")?;
    client.expect("console-")?;
    client.line("echo status $?", "status 130")?;
    client.send("\x1d")?;
    client.expect("telnet>")?;
    client.send("quit\r")?;
    client.wait();
    t.line(
        "until grep . /tmp/log; do sleep 0.05; done 2>/dev/null",
        "hung up",
    )?;
    // The device is free again, and has a window of its own.
    let mut again = Peer::connect(port)?;
    again.expect("console-")?;
    again.line("stty size", "0 0")?;
    again.line("printf '\\377'; echo e''nd", "end")?;
    let doubled = again.seen.windows(2).any(|w| w == [255, 255]);
    shut_down(t)?;
    again.expect_end()?;
    if doubled {
        Ok(())
    } else {
        Err("byte 255 isn't doubled".into())
    }
}

fn clients_wait() -> Result<(), String> {
    let port = free_port();
    let mut t = boot(&[&format!("con1=port:{port}"), &format!("con2=port:{port}")])?;
    t.line("getty tty1 'PS1=console-; tty; exec sh -i'", "ready> ")?;
    until("the first waits", || {
        t.line(
            "ls -l /proc/[0-9]*/exe | grep -c dash; ps ax | grep -c '[s]h -c exec'",
            "ready> ",
        )
        .ok()
    })?;
    t.line(
        "sleep 0.3; getty tty2 'PS1=console-; tty; exec sh -i'; sleep 0.3; echo bo''th",
        "both",
    )?;
    let mut one = Peer::connect(port)?;
    one.expect("/dev/tty1")?;
    let mut two = Peer::connect(port)?;
    two.expect("/dev/tty2")?;
    let mut three = Peer::connect(port)?;
    three.expect("There are currently no UML consoles waiting for port connections.")?;
    three.expect("****\r\n\0")?;
    t.line("dmesg | grep -c 'No one waiting for port'", "1\r\n")?;
    // One that gives up while it waits is in nobody's way, and typing ahead isn't lost.
    let four = Peer::connect(port)?;
    drop(four);
    three.send("echo typed $((40 + 2)) ahead\r")?;
    two.line("exit", "exit")?;
    two.expect_end()?;
    three.expect("/dev/tty2")?;
    three.expect("typed 42 ahead")?;
    shut_down(t)
}

/// agetty and login, as a distribution runs them.
fn login() -> Result<(), String> {
    let port = free_port();
    let mut t = boot(&[&format!("ssl0=port:{port}"), "con1=pts"])?;
    t.line(
        "for tty in ttyS0 tty1; do (while :; do agetty --autologin root --noclear $tty vt100; done) & done",
        "ready> ",
    )?;
    let mut client = telnet_to(port)?;
    client.expect("root")?;
    until("login has a shell", || {
        client.send("echo user $(id -un) on $(tty)\r").ok()?;
        client.expect("user root on /dev/ttyS0").ok()
    })?;
    client.send("exit\r")?;
    client.expect("Connection closed by foreign host")?;
    let name = assigned(&mut t, "Virtual console 1")?;
    let mut peer = Peer::open(&name)?;
    until("login has a shell", || {
        peer.send("echo user $(id -un) on $(tty)\r").ok()?;
        peer.expect("user root on /dev/tty1").ok()
    })?;
    shut_down(t)
}

fn port_taken() -> Result<(), String> {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").map_err(|e| e.to_string())?;
    let port = taken.local_addr().map_err(|e| e.to_string())?.port();
    let mut t = boot(&[&format!("con1=port:{port}")])?;
    t.line(
        &format!("dmesg | grep -c 'binding to port {port} failed, errno = 98'"),
        "1\r\n",
    )?;
    t.line("ls /dev/tty1", "cannot access")?;
    shut_down(t)
}

/// The boot waits for a client, and shows it all it has missed.
fn port_main_console() -> Result<(), String> {
    let port = free_port();
    let home = Scratch::on_disk("home");
    let mut child = Command::new(paths::linux())
        .args(["mem=512M", &format!("con0=port:{port}"), "init=/bin/sh"])
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let talk = || -> Result<(), String> {
        let mut client = until("the port is open", || Peer::connect(port).ok())?;
        client.expect("Linux version")?;
        client.expect("Console initialized on /dev/tty0\r\n")?;
        client.expect("# ")?;
        client.line("echo $((6 * 7)) dollars", "42 dollars")?;
        client.send("exec poweroff -f\r")?;
        client.expect_end()
    };
    let said = talk();
    if said.is_err() {
        let _gone = child.kill();
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    said?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{status}"))
    }
}

/// What a process has of the host: descriptors, threads, children, and memory in KiB.
fn holdings(pid: i32) -> Result<[usize; 4], String> {
    let count =
        |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, |dir| dir.count());
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|e| e.to_string())?;
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .ok_or("no RssAnon")?;
    let mut children = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|e| e.to_string())?
        .flatten()
    {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children += list.split_whitespace().count();
    }
    Ok([count("fd"), count("task"), children, memory])
}

/// A thousand sessions leave nothing behind.
fn port_soak() -> Result<(), String> {
    let port = free_port();
    let mut t = boot(&[&format!("con1=port:{port}")])?;
    // One process for all sessions: what is counted are consoles, not forks.
    t.line(
        "(while :; do echo hello >&3; read x <&3; done 3<>/dev/tty1 2>/dev/null) & serve() { \
         while :; do { echo hello; read x; } <>/dev/tty1 >&0; done; }; kill %1; serve 2>/dev/null & echo se''rving",
        "serving",
    )?;
    let session = || -> Result<(), String> {
        let mut client = Peer::connect(port)?;
        client.expect("hello\r\n")
    };
    for _ in 0..20 {
        session()?;
    }
    let before = holdings(t.pid())?;
    for i in 0..1000 {
        session().map_err(|e| format!("session {i}: {e}"))?;
    }
    let settled = until(
        "as many descriptors, threads and processes as before",
        || {
            let now = holdings(t.pid()).ok()?;
            now.iter()
                .zip(&before)
                .take(3)
                .all(|(now, before)| now <= before)
                .then_some(now)
        },
    );
    let now = settled.map_err(|e| format!("{e}: {before:?}, now {:?}", holdings(t.pid())))?;
    if now[3] > before[3] + 1024 {
        return Err(format!("memory grew from {} to {} KiB", before[3], now[3]));
    }
    shut_down(t)
}
