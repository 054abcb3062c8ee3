//! `port-helper`: gives the terminal it is started on to the kernel process, and keeps it open.
//!
//! A terminal emulator runs it with `-uml-socket <path>`; without arguments the socket is descriptor 3. It ends when it is
//! killed, or when the terminal is hung up.
#![forbid(unsafe_code)]

use host::handover;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

const CONTROL: i32 = 3;

fn socket(args: &[String]) -> Result<OwnedFd, String> {
    match args {
        [] => handover::inherited(CONTROL)
            .map_err(|e| format!("descriptor {CONTROL}, the control socket, can't be used: {e}")),
        [option, path] if option == "-uml-socket" => {
            handover::connect(Path::new(path)).map_err(|e| format!("-uml-socket {path}: {e}"))
        }
        _ => Err("usage: port-helper [-uml-socket <path>]".into()),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let stdin = std::io::stdin();
    let sent = socket(&args).and_then(|socket| {
        // First: giving the terminal up as the leader of its session is a hang-up too.
        handover::ignore_hangups();
        if let Err(e) = handover::give_up_terminal(stdin.as_fd()) {
            let text =
                "TIOCNOTTY failed in port-helper, check UML's exec call for xterm or telnetd";
            // The terminal may be gone, and with it standard error.
            let _gone = writeln!(std::io::stderr(), "{text}: {e}");
        }
        handover::send(socket.as_fd(), stdin.as_fd())
            .map_err(|e| format!("the terminal can't be handed over: {e}"))
    });
    match sent {
        Ok(()) => {
            handover::wait_for_hangup(stdin.as_fd());
            ExitCode::SUCCESS
        }
        Err(message) => {
            let _gone = writeln!(std::io::stderr(), "port-helper: {message}");
            ExitCode::FAILURE
        }
    }
}
