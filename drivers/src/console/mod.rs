//! Consoles and serial lines: the guest's terminals on channels of the host, and the kernel log printed there.
//!
//! `config` takes the command line, `class` makes and changes devices, `channel` is the grammar. A `line` is a device; while the
//! guest has it open it has a `wire`, which `open` makes of its channels. `stream`, `telnet` and `port` serve telnet clients, `xterm` opens windows.

mod channel;
mod class;
mod config;
mod line;
mod open;
mod port;
mod stream;
mod telnet;
mod wire;
mod xterm;

pub use config::ConsoleConfig;
pub use line::{Line, Viewer};
pub use open::Name;
pub use xterm::{Emulator, has_display};

use channel::{Channel, Pair};
use host::signals::{self, Signal};
use host::{EventLoop, Watch};
use kernel::log::Record;
use kernel::tty;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long the end of the machine waits for a host reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Level from which on lines of the log are not printed, unless `quiet` or `loglevel=` says otherwise.
const LOGLEVEL: u8 = 7;

static LINES: Mutex<BTreeMap<Name, Arc<Line>>> = Mutex::new(BTreeMap::new());
/// Where the log is printed; the last one is /dev/console, if it is there.
static PRINTED: OnceLock<Vec<Arc<Line>>> = OnceLock::new();
static EVENTS: OnceLock<EventLoop> = OnceLock::new();
static OPTIONS: OnceLock<LineOptions> = OnceLock::new();
static UMID: OnceLock<String> = OnceLock::new();

/// What holds for all lines.
#[derive(Default)]
struct LineOptions {
    ssl_non_raw: bool,
    xterm: Emulator,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Tables are whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn events() -> &'static EventLoop {
    EVENTS.get().expect("lines come after init")
}

fn options() -> &'static LineOptions {
    OPTIONS.get_or_init(LineOptions::default)
}

fn umid() -> &'static str {
    UMID.get().map_or("", String::as_str)
}

/// Tells the machine's name, which windows show.
pub fn set_umid(umid: &str) {
    // It never changes.
    let _first = UMID.set(umid.to_owned());
}

/// All lines that are there.
pub fn lines() -> Vec<Arc<Line>> {
    lock(&LINES).values().cloned().collect()
}

/// The line of this name.
pub fn line(name: Name) -> Option<Arc<Line>> {
    lock(&LINES).get(&name).cloned()
}

/// Sets up the lines that the command line asks for, and prints the kernel log on the console from now on. After
/// `kernel::tty::init` and, for the way back of terminals, after `host::guardian::start`. Err: a message for the user.
pub fn init(config: &ConsoleConfig, events: &EventLoop) -> Result<(), String> {
    // Both are set here only.
    let _first = EVENTS.set(events.clone());
    let _first = OPTIONS.set(LineOptions {
        ssl_non_raw: config.ssl_non_raw,
        xterm: config.xterm.clone(),
    });
    for text in config.complaints() {
        kernel::pr_err!("{text}");
    }
    for serial in [false, true] {
        for index in 0..config::count(serial) {
            let name = Name { serial, index };
            if let Err(refused) = class::set_up(name, config.text(name)) {
                let why = refused.text;
                kernel::pr_err!("setup_one_line failed for device {index} : {why}");
            }
        }
        crate::registry::register(Arc::new(class::Lines { serial }));
    }
    choose_consoles(config)?;
    kernel::pr_info!("Initialized stdio console driver");
    if let Some(tty) = tty::console() {
        kernel::pr_info!("Console initialized on /dev/{}", tty.name());
    }
    if !config.stderr {
        kernel::pr_info!("printk: console [stderr0] disabled");
    }
    kernel::pr_info!("Initializing software serial port version 1");
    Ok(())
}

/// Standard error, for when there is nowhere to print, or with `stderr=1` (Linux's `stderr0`).
fn standard_error() -> Option<Arc<Line>> {
    let name = Name {
        serial: false,
        index: u32::MAX,
    };
    let pair = Pair {
        input: Channel::Null,
        output: Some(Channel::Fd(2)),
    };
    let line = Line::new(name, pair);
    line.become_console();
    line.open().ok().map(|_| line)
}

fn choose_consoles(config: &ConsoleConfig) -> Result<(), String> {
    let mut names: Vec<Name> = config
        .console
        .iter()
        .filter_map(|name| console_name(name))
        .collect();
    let main = names.pop().unwrap_or(Name {
        serial: false,
        index: 0,
    });
    names.retain(|name| *name != main);
    names.sort();
    names.dedup();
    names.push(main);
    tty::set_consoles(names.iter().map(|name| (name.kind(), name.index)).collect());
    let mut printed: Vec<Arc<Line>> = names.into_iter().filter_map(line).collect();
    for line in &printed {
        line.become_console();
        if !line.waits() && line.open().is_err() {
            let why = kernel::log::since(kernel::log::next_seq().saturating_sub(1));
            let why = why.first().map_or("", |record| record.text.as_str());
            let option = line.name.option();
            let text = line.configuration();
            return Err(format!(
                "{option}={text}: the console can't be opened: {why}. Choose another channel, for example {option}=pts"
            ));
        }
    }
    if printed.is_empty() || config.stderr {
        printed.extend(standard_error());
    }
    let lines = PRINTED.get_or_init(|| printed);
    kernel::log::set_console_level(config.loglevel.unwrap_or(LOGLEVEL));
    let lines: Vec<(Arc<Line>, &str)> = lines
        .iter()
        .map(|line| {
            let newline = if line.has_screen() { "\r\n" } else { "\n" };
            (line.clone(), newline)
        })
        .collect();
    kernel::log::set_sink(Some(Box::new(move |record: &Record| {
        for (line, newline) in &lines {
            line.print(format!("{}{newline}", format_record(record)).as_bytes());
        }
    })));
    Ok(())
}

/// `ttyS1` or `tty0`, with options behind a comma.
fn console_name(text: &str) -> Option<Name> {
    let name = text.split(',').next()?;
    let (serial, digits) = match name.strip_prefix("ttyS") {
        Some(digits) => (true, digits),
        None => (false, name.strip_prefix("tty")?),
    };
    let index = digits.parse().ok()?;
    Some(Name { serial, index })
}

/// A line of the log as Linux prints it: `[    0.000000] text`.
pub fn format_record(record: &Record) -> String {
    let micros = record.time_ns / 1000;
    format!(
        "[{:5}.{:06}] {}",
        micros / 1_000_000,
        micros % 1_000_000,
        record.text
    )
}

/// Whether the console is a terminal with a person at it.
pub fn is_interactive() -> bool {
    let lines = PRINTED.get();
    lines.is_some_and(|lines| lines.iter().any(|line| line.is_interactive()))
}

/// Answers the host's signals: window changes and job control here, a wish to end (SIGTERM, SIGINT, SIGHUP, SIGQUIT) by
/// `end`, which is called on the event loop's thread with the count of such signals so far, from 1.
pub fn handle_signals(
    events: &EventLoop,
    mut end: impl FnMut(u32) + Send + 'static,
) -> std::io::Result<Watch> {
    let mut wishes = 0;
    signals::handle(events, move |signal| match signal {
        Signal::Hup | Signal::Int | Signal::Term | Signal::Quit => {
            wishes += 1;
            end(wishes);
        }
        Signal::Stop => {
            host::terminal::restore_all();
            signals::stop_self();
        }
        Signal::Continue => {
            host::terminal::reapply();
            lines().iter().for_each(|line| line.window_changed());
        }
        Signal::WindowChanged => lines().iter().for_each(|line| line.window_changed()),
    })
}

/// The machine has ended: waits until the host has taken the output, gives terminals back, ends windows. Before the process exits.
pub fn finish() {
    let deadline = Instant::now() + PATIENCE;
    let printed = PRINTED.get().cloned().unwrap_or_default();
    for line in printed.iter() {
        line.finish(PATIENCE);
    }
    for line in lines() {
        line.finish(deadline.saturating_duration_since(Instant::now()));
    }
    host::launcher::dismiss();
    host::handover::unbind_all();
    host::guardian::dismiss();
}
