//! `umlaut exec`: standard input and signals go to a program in the machine, its output and status come back.

use crate::OWN_FAILURE;
use crate::client::{self, Saying};
use crate::input::{self, Credit};
use crate::terminal::{self, Raw};
use control::{Failure, Message, Size, Stream};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tools::cli;

/// What a terminal program wants to know of the terminal.
const OF_TERMINAL: [&str; 2] = ["TERM", "COLORTERM"];
const DEFAULT_SIZE: Size = Size {
    rows: 24,
    columns: 80,
    width: 0,
    height: 0,
};

pub fn run(base: &Path, args: cli::Exec) -> Result<ExitCode, String> {
    let on_terminal = !args.no_tty && (args.tty || terminal::is_interactive());
    let request = request(&args, on_terminal);
    let (machine, mut hearing, saying) = client::open(base, &args.name)?;
    let umid = machine.umid;
    let signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH])
        .map_err(|e| format!("signals can't be caught: {e}"))?;
    let saying = Arc::new(saying);
    saying
        .say(&Message::Exec(request))
        .map_err(|e| format!("machine '{umid}': {e}"))?;
    let raw = if on_terminal { Raw::enter() } else { None };
    let credit = Arc::new(Credit::new());
    let (to, of) = (saying.clone(), credit.clone());
    std::thread::spawn(move || input::send(&to, &of, None));
    let to = saying.clone();
    std::thread::spawn(move || send_signals(signals, &to, on_terminal));
    let status = loop {
        match hearing.expect(&umid) {
            Ok(Message::Data { stream, bytes }) => {
                if let Err(status) = print(stream, &bytes) {
                    break status;
                }
            }
            Ok(Message::Credit { bytes }) => credit.add(bytes),
            Ok(Message::Exited { signal, value }) => {
                break if signal { 128 | value } else { value };
            }
            Ok(_) => {}
            Err(trouble) => {
                drop(raw);
                eprintln!("umlaut: {}", trouble.text);
                return Ok(ExitCode::from(match trouble.why {
                    Some(Failure::NotFound) => 127,
                    Some(Failure::NotExecutable) => 126,
                    _ => OWN_FAILURE,
                }));
            }
        }
    };
    drop(raw);
    Ok(ExitCode::from(status))
}

fn request(args: &cli::Exec, on_terminal: bool) -> control::Exec {
    let bytes = |text: &OsString| text.clone().into_vec();
    let mut env: Vec<Vec<u8>> = Vec::new();
    if on_terminal {
        let known = OF_TERMINAL
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        env.extend(
            known.map(|(name, value)| [name.as_bytes(), b"=", OsStr::as_bytes(&value)].concat()),
        );
    }
    env.extend(args.env.iter().map(bytes));
    control::Exec {
        argv: args.command.iter().map(bytes).collect(),
        env,
        directory: args.workdir.as_ref().map(bytes),
        terminal: on_terminal.then(|| terminal::size().unwrap_or(DEFAULT_SIZE)),
    }
}

/// Err: the status to end with, because nobody reads any more.
fn print(stream: Stream, bytes: &[u8]) -> Result<(), u8> {
    let written = match stream {
        Stream::Error => io::stderr().write_all(bytes),
        _ => {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
    };
    match written {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => {
            Err(128 + signal_hook::consts::SIGPIPE as u8)
        }
        Err(e) => {
            eprintln!("umlaut: the output can't be written: {e}");
            Err(OWN_FAILURE)
        }
    }
}

/// The life of the thread that passes signals on.
fn send_signals(mut signals: Signals, saying: &Saying, on_terminal: bool) {
    for number in signals.forever() {
        let message = match number {
            SIGWINCH if !on_terminal => continue,
            SIGWINCH => match terminal::size() {
                Some(size) => Message::Resize(size),
                None => continue,
            },
            number => Message::Signal {
                number: number as u8,
            },
        };
        if saying.say(&message).is_err() {
            return;
        }
    }
}
