//! Channels: the host's end of a console or serial line, and the grammar that names them.

use host::descriptor::{self, Descriptor, Direction, Kind};
use std::io;
use std::sync::Arc;

/// What one side of a line is joined to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Channel {
    /// An open descriptor of the kernel process.
    Fd(i32),
    /// Nothing comes, and what goes there vanishes.
    Null,
}

/// Input and output of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    pub input: Channel,
    pub output: Channel,
}

/// What a configuration says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `none`: the device isn't there.
    Absent,
    Channels(Pair),
}

/// Why a channel can't be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It makes no sense; the texts go to the kernel log in this order.
    Malformed(Vec<String>),
    /// A kind of channel that this version doesn't have, by keyword.
    Missing(&'static str),
}

/// Keywords of channels that are known and not there yet, in the order of matching.
const MISSING: [&str; 5] = ["port", "pty", "pts", "tty", "xterm"];
const UNPARSABLE: &str = "failed to parse channel pair";

/// `<in-and-out>` or `<in>,<out>`.
pub fn parse(text: &str) -> Result<Setting, Refusal> {
    if text == "none" {
        return Ok(Setting::Absent);
    }
    let (input, output) = match text.split_once(',') {
        Some((input, output)) => (single(input)?, single(output)?),
        None => {
            let both = single(text)?;
            (both.clone(), both)
        }
    };
    Ok(Setting::Channels(Pair { input, output }))
}

fn malformed(lines: &[String]) -> Refusal {
    let mut all = lines.to_vec();
    all.push(UNPARSABLE.into());
    Refusal::Malformed(all)
}

fn single(text: &str) -> Result<Channel, Refusal> {
    if let Some(rest) = text.strip_prefix("fd") {
        let Some(number) = rest.strip_prefix(':') else {
            let line = "fd_init : channel type 'fd' must specify a file descriptor";
            return Err(malformed(&[line.into()]));
        };
        return match number.parse() {
            Ok(fd) if fd >= 0 => Ok(Channel::Fd(fd)),
            _ => Err(malformed(&[format!(
                "fd_init : couldn't parse file descriptor '{number}'"
            )])),
        };
    }
    if text.starts_with("null") {
        return Ok(Channel::Null);
    }
    match MISSING.into_iter().find(|word| text.starts_with(word)) {
        Some(word) => Err(Refusal::Missing(word)),
        None => Err(malformed(&[])),
    }
}

/// One side, open.
pub enum End {
    Null,
    Open(Arc<Descriptor>),
}

impl Channel {
    /// EBADF for a descriptor that isn't open or goes the other way.
    pub fn open(&self, direction: Direction) -> io::Result<End> {
        match self {
            Channel::Null => Ok(End::Null),
            Channel::Fd(number) => Ok(End::Open(Arc::new(descriptor::by_number(
                *number, direction,
            )?))),
        }
    }
}

impl End {
    pub fn descriptor(&self) -> Option<&Arc<Descriptor>> {
        match self {
            End::Null => None,
            End::Open(descriptor) => Some(descriptor),
        }
    }

    /// The descriptor, if it is a terminal.
    pub fn terminal(&self) -> Option<&Arc<Descriptor>> {
        self.descriptor()
            .filter(|d| host::terminal::is_terminal(&d.fd))
    }

    /// Whether the event loop can watch it.
    pub fn is_watchable(&self) -> bool {
        self.descriptor()
            .is_some_and(|d| matches!(d.kind, Kind::Nonblocking | Kind::Socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(input: Channel, output: Channel) -> Result<Setting, Refusal> {
        Ok(Setting::Channels(Pair { input, output }))
    }

    #[test]
    fn grammar() {
        use Channel::*;
        assert_eq!(parse("fd:3"), pair(Fd(3), Fd(3)));
        assert_eq!(parse("fd:0,fd:1"), pair(Fd(0), Fd(1)));
        assert_eq!(parse("null,fd:1"), pair(Null, Fd(1)));
        assert_eq!(parse("none"), Ok(Setting::Absent));
        assert_eq!(parse("pts"), Err(Refusal::Missing("pts")));
        assert_eq!(parse("fd:0,xterm"), Err(Refusal::Missing("xterm")));
        for bad in ["", "foo", "fd:0,", ",fd:1", "fd", "fd:", "fd:x", "fd:-1"] {
            assert!(
                matches!(parse(bad), Err(Refusal::Malformed(lines)) if lines.last().unwrap() == UNPARSABLE)
            );
        }
    }
}
