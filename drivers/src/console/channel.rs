//! The grammar of channels: what a console or serial line may be joined to.

use std::fmt;
use std::path::PathBuf;

/// What one side of a line is joined to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Channel {
    /// An open descriptor of the kernel process.
    Fd(i32),
    /// Nothing comes, and what goes there vanishes.
    Null,
    /// A client of this TCP port.
    Port(u16),
    /// A pseudo terminal of the BSD kind.
    Pty,
    /// A pseudo terminal.
    Pts,
    /// A terminal of the host.
    Tty(PathBuf),
    /// A new window of a terminal emulator.
    Xterm,
}

/// Input and output of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    pub input: Channel,
    /// None: the same as the input, opened once.
    pub output: Option<Channel>,
}

/// What a configuration says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `none`: the device isn't there.
    Absent,
    Channels(Pair),
}

pub const UNPARSABLE: &str = "failed to parse channel pair";

/// `<in-and-out>` or `<in>,<out>`. Err: a line for the kernel log that says more, if there is one.
pub fn parse(text: &str) -> Result<Setting, Option<String>> {
    if text == "none" {
        return Ok(Setting::Absent);
    }
    let (input, output) = match text.split_once(',') {
        Some((input, output)) => (single(input)?, Some(single(output)?)),
        None => (single(text)?, None),
    };
    Ok(Setting::Channels(Pair { input, output }))
}

fn single(text: &str) -> Result<Channel, Option<String>> {
    let argument = |rest: &str| rest.strip_prefix(':').map(str::to_owned);
    if let Some(rest) = text.strip_prefix("fd") {
        let number = argument(rest)
            .ok_or("fd_init : channel type 'fd' must specify a file descriptor".to_owned())?;
        return match number.parse() {
            Ok(fd) if fd >= 0 => Ok(Channel::Fd(fd)),
            _ => Err(Some(format!(
                "fd_init : couldn't parse file descriptor '{number}'"
            ))),
        };
    }
    if text.starts_with("null") {
        return Ok(Channel::Null);
    }
    if let Some(rest) = text.strip_prefix("port") {
        let port = argument(rest)
            .ok_or("port_init : channel type 'port' must specify a port number".to_owned())?;
        return match number(&port).and_then(|n| u16::try_from(n).ok()) {
            Some(n) if n > 0 => Ok(Channel::Port(n)),
            _ => Err(Some(format!("port_init : couldn't parse port '{port}'"))),
        };
    }
    if text.starts_with("pty") {
        return Ok(Channel::Pty);
    }
    if text.starts_with("pts") {
        return Ok(Channel::Pts);
    }
    if let Some(rest) = text.strip_prefix("tty") {
        return match argument(rest).filter(|path| !path.is_empty()) {
            Some(path) => Ok(Channel::Tty(path.into())),
            None => Err(Some(
                "tty_init : channel type 'tty' must specify a device".into(),
            )),
        };
    }
    if text.starts_with("xterm") {
        return Ok(Channel::Xterm);
    }
    Err(None)
}

/// A number as C has them: decimal, 0x hexadecimal, 0 octal.
pub fn number(text: &str) -> Option<u32> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        u32::from_str_radix(hex, 16).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        u32::from_str_radix(&text[1..], 8).ok()
    } else if text.starts_with('+') {
        None
    } else {
        text.parse().ok()
    }
}

impl fmt::Display for Channel {
    /// As the configuration of a line that isn't open is told: a port's number comes with a client.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Fd(number) => write!(f, "fd:{number}"),
            Channel::Null => f.write_str("null"),
            Channel::Port(_) => f.write_str("port"),
            Channel::Pty => f.write_str("pty"),
            Channel::Pts => f.write_str("pts"),
            Channel::Tty(path) => write!(f, "tty:{}", path.display()),
            Channel::Xterm => f.write_str("xterm"),
        }
    }
}

impl Channel {
    /// Whether somebody at a terminal is, or will be, at the other end.
    pub fn is_terminal(&self) -> bool {
        match self {
            Channel::Fd(number) => host::descriptor::is_terminal(*number),
            Channel::Null => false,
            _ => true,
        }
    }

    /// Whether opening it waits for somebody.
    pub fn waits(&self) -> bool {
        matches!(self, Channel::Port(_) | Channel::Xterm)
    }
}

impl Pair {
    pub fn both(channel: Channel) -> Pair {
        Pair {
            input: channel,
            output: None,
        }
    }

    pub fn output(&self) -> &Channel {
        self.output.as_ref().unwrap_or(&self.input)
    }

    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        std::iter::once(&self.input).chain(&self.output)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input.fmt(f)?;
        match &self.output {
            Some(output) => write!(f, ",{output}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(input: Channel, output: Option<Channel>) -> Result<Setting, Option<String>> {
        Ok(Setting::Channels(Pair { input, output }))
    }

    #[test]
    fn grammar() {
        use Channel::*;
        assert_eq!(parse("fd:3"), pair(Fd(3), None));
        assert_eq!(parse("fd:0,fd:1"), pair(Fd(0), Some(Fd(1))));
        assert_eq!(parse("null,fd:1"), pair(Null, Some(Fd(1))));
        assert_eq!(parse("none"), Ok(Setting::Absent));
        assert_eq!(parse("pts"), pair(Pts, None));
        assert_eq!(parse("pty"), pair(Pty, None));
        assert_eq!(parse("port:0x10"), pair(Port(16), None));
        let tty = Tty("/dev/tty2".into());
        assert_eq!(parse("tty:/dev/tty2,xterm"), pair(tty, Some(Xterm)));
    }

    #[test]
    fn complaints() {
        for (text, words) in [
            ("fd", "fd_init : channel type 'fd' must specify"),
            ("fd:", "fd_init : couldn't parse file descriptor ''"),
            ("fd:x", "fd_init : couldn't parse file descriptor 'x'"),
            ("fd:-1", "fd_init : couldn't parse file descriptor '-1'"),
            ("port", "port_init : channel type 'port' must specify"),
            ("port:80a", "port_init : couldn't parse port '80a'"),
            ("port:65536", "port_init : couldn't parse port '65536'"),
            ("port:0", "port_init : couldn't parse port '0'"),
            ("tty", "tty_init : channel type 'tty' must specify a device"),
            (
                "tty:",
                "tty_init : channel type 'tty' must specify a device",
            ),
        ] {
            let said = parse(text).unwrap_err().unwrap_or_default();
            assert!(said.starts_with(words), "{text}: {said}");
        }
        for bad in ["", "foo", "fd:0,", ",fd:1", "none,none", "socket:/x"] {
            assert_eq!(parse(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn configurations_are_told_as_they_were_given() {
        for text in ["fd:0,fd:1", "pts", "xterm", "tty:/dev/tty3", "null,pty"] {
            let Ok(Setting::Channels(pair)) = parse(text) else {
                panic!("{text}");
            };
            assert_eq!(pair.to_string(), text);
        }
    }
}
