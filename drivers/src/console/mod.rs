//! Consoles and serial lines: the guest's terminals on channels of the host, and the kernel log printed there.

mod channel;
mod config;
mod line;

pub use config::ConsoleConfig;

use channel::{Channel, Pair};

use abi::tty::{ECHO, ONLCR, Termios, Termios2};
use host::signals::{self, Signal};
use host::{EventLoop, Watch};
use kernel::log::Record;
use kernel::tty::{self, Kind};
use line::{Driver, Line};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long the end of the machine waits for a host reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Level from which on lines of the log are not printed, unless `quiet` or `loglevel=` says otherwise.
const LOGLEVEL: u8 = 7;

const STDERR: Pair = Pair {
    input: Channel::Null,
    output: Channel::Fd(2),
};

static LINES: Mutex<Vec<Arc<Line>>> = Mutex::new(Vec::new());
static CONSOLE: OnceLock<Arc<Line>> = OnceLock::new();

fn lines() -> Vec<Arc<Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Sets up the lines that the command line asks for, and prints the kernel log on the console from now on. Host terminals
/// become raw. After `kernel::tty::init` and, for the way back, after `host::guardian::start`. Err: a message for the user.
pub fn init(config: &ConsoleConfig, events: &EventLoop) -> Result<(), String> {
    let (devices, complaints) = config.resolve()?;
    let mut made = Vec::new();
    for (kind, index, pair) in devices {
        let name = match kind {
            Kind::Serial => format!("ssl{index}"),
            _ => format!("con{index}"),
        };
        let line = Line::open(&pair, events)
            .map_err(|e| format!("{name}: the host descriptor can't be used: {e}"))?;
        LINES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.clone());
        let driver = Box::new(Driver(line.clone()));
        let tty = tty::add_line(kind, index, termios(&line), driver)
            .map_err(|e| format!("{name}: {e:?}"))?;
        line.attach(&tty);
        made.push((kind, index, line));
    }
    choose_console(config, &made, events);
    for text in complaints {
        kernel::pr_err!("{text}");
    }
    kernel::pr_info!("Initialized stdio console driver");
    if let Some(tty) = tty::console() {
        kernel::pr_info!("Console initialized on /dev/{}", tty.name());
    }
    kernel::pr_info!("Initializing software serial port version 1");
    Ok(())
}

/// What a terminal starts with. Without a keyboard there is nobody to echo for, and without a screen newlines need no
/// carriage return: in a pipe comes what the guest printed.
fn termios(line: &Line) -> Termios2 {
    let mut termios = Termios2::from(Termios::STD);
    if !line.has_keyboard() {
        termios.c_lflag &= !ECHO;
    }
    if !line.has_screen() {
        termios.c_oflag &= !ONLCR;
    }
    termios
}

fn choose_console(config: &ConsoleConfig, made: &[(Kind, u32, Arc<Line>)], events: &EventLoop) {
    let (kind, index) = config
        .console
        .iter()
        .rev()
        .find_map(|name| console_name(name))
        .unwrap_or((Kind::Console, 0));
    tty::set_console(kind, index);
    let joined = made.iter().find(|(k, n, _)| (*k, *n) == (kind, index));
    let line = match joined {
        Some((_, _, line)) => line.clone(),
        // Nowhere to print: as Linux's `stderr0`, the last resort.
        None => match Line::open(&STDERR, events) {
            Ok(line) => line,
            Err(_) => return,
        },
    };
    if CONSOLE.set(line.clone()).is_err() {
        return;
    }
    if joined.is_none() {
        LINES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.clone());
    }
    let newline = if line.has_screen() { "\r\n" } else { "\n" };
    let limit = config.loglevel.unwrap_or(LOGLEVEL);
    kernel::log::set_sink(Some(Box::new(move |record: &Record| {
        if (record.level as u8) < limit {
            line.print(format!("{}{newline}", format_record(record)).as_bytes());
        }
    })));
}

/// `ttyS1` or `tty0`, with options behind a comma.
fn console_name(text: &str) -> Option<(Kind, u32)> {
    let name = text.split(',').next()?;
    let (kind, digits) = match name.strip_prefix("ttyS") {
        Some(digits) => (Kind::Serial, digits),
        None => (Kind::Console, name.strip_prefix("tty")?),
    };
    Some((kind, digits.parse().ok()?))
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
    CONSOLE.get().is_some_and(|line| line.is_interactive())
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

/// The machine has ended: waits until the host has taken the output, and gives terminals back. Before the process exits.
pub fn finish() {
    for line in lines() {
        line.drain(PATIENCE);
        line.restore();
    }
    host::guardian::dismiss();
}
