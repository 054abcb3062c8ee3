//! `uml_watchdog`: ends a machine, or tells its notification socket, when the machine hasn't given a sign of life on
//! standard input for a minute.
#![forbid(unsafe_code)]

use mconsole::{Notification, NotificationKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::time::Duration;

/// Seconds without a sign.
const PATIENCE: i64 = 60;

enum What {
    Kill(Pid),
    Tell(String),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let what = match args.as_slice() {
        [switch, pid, ..] if switch == "-pid" => pid
            .parse()
            .ok()
            .filter(|pid| *pid > 0)
            .and_then(Pid::from_raw)
            .map(What::Kill),
        [switch, socket, ..] if switch == "-mconsole" => Some(What::Tell(socket.clone())),
        _ => None,
    };
    match what {
        Some(what) => watch(&what),
        None => ExitCode::FAILURE,
    }
}

fn watch(what: &What) -> ExitCode {
    // Ready. The machine waits for this byte.
    if rustix::io::write(rustix::stdio::stdout(), &[0]).is_err() {
        return ExitCode::FAILURE;
    }
    let stdin = rustix::stdio::stdin();
    let mut buffer = [0; 512];
    loop {
        let minute = Timespec {
            tv_sec: PATIENCE,
            tv_nsec: 0,
        };
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&minute)) {
            Ok(0) => break,
            Ok(_) => match rustix::io::read(stdin, &mut buffer) {
                Ok(0) => return ExitCode::SUCCESS,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return ExitCode::FAILURE,
            },
            Err(Errno::INTR) => {}
            Err(_) => return ExitCode::FAILURE,
        }
    }
    match what {
        What::Kill(pid) => end(*pid),
        What::Tell(socket) => tell(socket),
    }
    ExitCode::FAILURE
}

/// Twice politely. One that is gone meanwhile is what was wanted.
fn end(pid: Pid) {
    for signal in [Signal::INT, Signal::INT] {
        let _gone = kill_process(pid, signal);
        std::thread::sleep(Duration::from_secs(1));
    }
    let _gone = kill_process(pid, Signal::KILL);
}

fn tell(socket: &str) {
    let hang = Notification {
        kind: NotificationKind::Hang,
        data: Vec::new(),
    };
    // Nobody to tell that nobody is there: it says nothing, as the original.
    let _nobody = UnixDatagram::unbound().and_then(|own| own.send_to(&hang.encode(), socket));
}
