//! `umlaut console`: this terminal joined to a machine's console, beside whoever else sees it.

use crate::client::{self, Saying};
use crate::input::{self, Credit, Ended};
use crate::terminal::{self, Raw};
use control::{Failure, Message};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tools::cli;

/// What can make the session end from this side.
struct Leave {
    saying: Saying,
    left: AtomicBool,
}

impl Leave {
    fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        self.saying.close();
    }
}

pub fn run(base: &Path, args: &cli::Console) -> Result<ExitCode, String> {
    let (machine, mut hearing, saying) = client::open(base, &args.name)?;
    let umid = machine.umid;
    let failed = |e: std::io::Error| format!("machine '{umid}': {e}");
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGWINCH])
        .map_err(|e| format!("signals can't be caught: {e}"))?;
    let request = Message::Console {
        name: args.tty.clone().unwrap_or_default(),
        size: stdout().is_terminal().then(terminal::size).flatten(),
    };
    saying.say(&request).map_err(failed)?;
    match hearing.expect(&umid)? {
        Message::Started { .. } => {}
        _ => return Err(format!("machine '{umid}' says something else")),
    }
    let escape = args.escape.0.filter(|_| stdin().is_terminal());
    if escape.is_some() {
        let console = args.tty.as_deref().unwrap_or("the console");
        eprintln!(
            "umlaut: {console} of machine '{umid}'; {} leaves it",
            args.escape
        );
    }
    let raw = if stdin().is_terminal() {
        Raw::enter()
    } else {
        None
    };
    let leave = Arc::new(Leave {
        saying,
        left: AtomicBool::new(false),
    });
    let credit = Arc::new(Credit::new());
    let (of, room) = (leave.clone(), credit.clone());
    std::thread::spawn(move || {
        if input::send(&of.saying, &room, escape) == Ended::Escape {
            of.leave();
        }
    });
    let of = leave.clone();
    std::thread::spawn(move || watch(signals, &of));
    let end = loop {
        match hearing.expect(&umid) {
            Ok(Message::Data { bytes, .. }) => {
                let mut out = stdout().lock();
                if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
                    // Whoever reads has had enough.
                    break Ok("");
                }
            }
            Ok(Message::Credit { bytes }) => credit.add(bytes),
            Ok(_) => {}
            Err(_) if leave.left.load(Ordering::SeqCst) => break Ok("left"),
            Err(e) if e.why == Some(Failure::Ended) => break Ok("the machine ended"),
            Err(e) => break Err(e.text),
        }
    };
    let was_raw = raw.is_some();
    drop(raw);
    let end = end?;
    if was_raw && !end.is_empty() {
        eprintln!("\numlaut: {end}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The life of the thread that answers signals.
fn watch(mut signals: Signals, of: &Leave) {
    for number in signals.forever() {
        if number != SIGWINCH {
            of.leave();
        } else if let Some(size) = terminal::size()
            && of.saying.say(&Message::Resize(size)).is_err()
        {
            return;
        }
    }
}
