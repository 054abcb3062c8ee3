//! A console for a client: it sees what goes out on the line, beside the line's own channel and other viewers, and types
//! into it.

use super::connection::Connection;
use super::exec::winsize;
use crate::console::{self, Line, Name, Viewer};
use ::control::{Message, Size, Stream, WINDOW};
use kernel::tty::{self, Kind};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Lines shown at the start when the client's window isn't known.
const LINES: u16 = 24;

/// Passes output on while the client takes it. What it has no room for is lost to it, and all more until it has taken what
/// there is; then it sees the last lines.
struct View {
    connection: Weak<Connection>,
    behind: AtomicBool,
}

impl Viewer for View {
    fn output(&self, bytes: &[u8]) {
        let Some(connection) = self.connection.upgrade() else {
            return;
        };
        if self.behind.load(Ordering::Relaxed) {
            return;
        }
        if connection.room() >= bytes.len() {
            connection.send_data(Stream::Output, bytes);
        } else {
            self.behind.store(true, Ordering::Relaxed);
            connection.wake_writer();
        }
    }

    fn room(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.wake_writer();
        }
    }
}

pub struct Session {
    line: Arc<Line>,
    view: Arc<View>,
    /// Lines of the client's window.
    rows: u16,
    /// Typed, and without room in the terminal so far.
    typed: VecDeque<u8>,
}

/// `tty1`, `ttyS0`, `con1`, `ssl0`, with /dev/ before it or not; `console` or nothing is /dev/console.
fn parse(name: &str) -> Option<Name> {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    if name.is_empty() || name == "console" {
        let tty = tty::console()?;
        return Some(Name {
            serial: tty.kind() == Kind::Serial,
            index: tty.index(),
        });
    }
    // The longer name first.
    let prefixes = [
        ("ttyS", true),
        ("ssl", true),
        ("tty", false),
        ("con", false),
    ];
    let (digits, serial) = prefixes
        .into_iter()
        .find_map(|(prefix, serial)| Some((name.strip_prefix(prefix)?, serial)))?;
    let index = digits.parse().ok()?;
    Some(Name { serial, index })
}

fn names() -> String {
    let names: Vec<String> = console::lines()
        .iter()
        .filter_map(|line| Some(line.tty()?.name().to_owned()))
        .collect();
    names.join(", ")
}

impl Session {
    /// Joins a console. Err: what to tell the client.
    pub fn start(
        connection: &Arc<Connection>,
        name: &str,
        size: Option<Size>,
    ) -> Result<Session, String> {
        let found = parse(name).and_then(console::line);
        let line =
            found.ok_or_else(|| format!("there is no console '{name}'; there are: {}", names()))?;
        connection.send(&Message::Started { pid: 0 });
        let view = Arc::new(View {
            connection: Arc::downgrade(connection),
            behind: AtomicBool::new(false),
        });
        let rows = size.map_or(LINES, |size| size.rows);
        line.attach_viewer(view.clone(), rows);
        if let Some(size) = size {
            line.set_window(winsize(size));
        }
        Ok(Session {
            line,
            view,
            rows,
            typed: VecDeque::new(),
        })
    }

    /// A message of the client. Err: it doesn't keep to the protocol.
    pub fn hear(&mut self, message: Message, connection: &Connection) -> Result<(), &'static str> {
        match message {
            Message::Data {
                stream: Stream::Input,
                bytes,
            } => {
                if self.typed.len() + bytes.len() > WINDOW {
                    return Err("there is more input than the window has room for");
                }
                self.typed.extend(bytes);
                self.pump(connection);
            }
            Message::Resize(size) => {
                self.rows = size.rows;
                self.line.set_window(winsize(size));
            }
            Message::End {
                stream: Stream::Input,
            } => {}
            _ => return Err("this message makes no sense on a console"),
        }
        Ok(())
    }

    /// Types what has room. The viewer is told when there is more.
    pub fn pump(&mut self, connection: &Connection) {
        let mut used = 0;
        while !self.typed.is_empty() {
            let taken = self.line.inject(self.typed.as_slices().0);
            if taken == 0 {
                break;
            }
            self.typed.drain(..taken);
            used += taken;
        }
        if used > 0 {
            connection.send(&Message::Credit { bytes: used as u32 });
        }
    }

    /// The client has taken all there was.
    pub fn catch_up(&self, connection: &Connection) {
        if self.view.behind.load(Ordering::Relaxed) {
            self.line.show_again(self.rows, |lines| {
                self.view.behind.store(false, Ordering::Relaxed);
                connection.send_data(Stream::Output, &[b"\r\n", lines].concat());
            });
        }
    }

    /// The client is gone.
    pub fn lose(&self) {
        let viewer: Arc<dyn Viewer> = self.view.clone();
        self.line.detach_viewer(&viewer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_consoles() {
        let name = |serial, index| Some(Name { serial, index });
        assert_eq!(parse("tty3"), name(false, 3));
        assert_eq!(parse("/dev/ttyS1"), name(true, 1));
        assert_eq!(parse("con0"), name(false, 0));
        assert_eq!(parse("ssl2"), name(true, 2));
        for bad in ["tty", "pts/0", "ttyX", "3"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
