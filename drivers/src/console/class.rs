//! Consoles and serial lines set up, asked and removed: at boot, and while the machine runs by the classes `con` and `ssl`.

use super::channel::{self, Channel, Pair, Setting, UNPARSABLE, number};
use super::config::count;
use super::line::{Driver, Line};
use super::open::Name;
use super::port;
use crate::registry::{Class, Refusal};
use abi::tty::{ECHO, ONLCR, Termios, Termios2};
use kernel::tty;

const ABSENT: &str = "configured as 'none'";
const EINVAL: i32 = -22;
const EPERM: i32 = -1;

/// A class of lines.
pub struct Lines {
    pub serial: bool,
}

fn open_already() -> Refusal {
    Refusal::new(EINVAL, "Device is already open")
}

/// Joins a device to channels, and makes it when it isn't there; `none` removes it. Ports are listened on from now on.
pub fn set_up(name: Name, text: &str) -> Result<(), Refusal> {
    let pair = match channel::parse(text) {
        Ok(Setting::Channels(pair)) => pair,
        Ok(Setting::Absent) => return remove(name),
        Err(more) => {
            if let Some(line) = more {
                kernel::pr_err!("{line}");
            }
            return Err(Refusal::new(EPERM, UNPARSABLE));
        }
    };
    let old = super::line(name);
    if old.as_ref().is_some_and(|line| line.is_open()) {
        return Err(open_already());
    }
    for channel in pair.channels() {
        if let Channel::Port(number) = channel
            && let Err(e) = port::listen(*number, super::events())
        {
            let errno = e.raw_os_error().unwrap_or_default();
            kernel::pr_err!("binding to port {number} failed, errno = {errno}");
            return Err(Refusal::new(EPERM, UNPARSABLE));
        }
    }
    match old {
        Some(line) => line.configure(pair).then_some(()).ok_or_else(open_already),
        None => add(name, pair),
    }
}

fn add(name: Name, pair: Pair) -> Result<(), Refusal> {
    let termios = termios(&pair);
    let line = Line::new(name, pair);
    let driver = Box::new(Driver(line.clone()));
    let tty = tty::add_line(name.kind(), name.index, termios, driver)
        .map_err(|e| Refusal::new(-i32::from(e.errno().0), "the device can't be made"))?;
    line.attach(&tty);
    super::lock(&super::LINES).insert(name, line);
    Ok(())
}

/// What a terminal starts with. Where a program at a pipe types there is nobody to echo for, and in a pipe comes what the guest
/// printed, newlines and all.
fn termios(pair: &Pair) -> Termios2 {
    let piped = |channel: &Channel| matches!(channel, Channel::Fd(_)) && !channel.is_terminal();
    let mut termios = Termios2::from(Termios::STD);
    let output = piped(pair.output());
    if output {
        termios.c_oflag &= !ONLCR;
    }
    if piped(&pair.input) || (output && pair.input == Channel::Null) {
        termios.c_lflag &= !ECHO;
    }
    termios
}

fn remove(name: Name) -> Result<(), Refusal> {
    let Some(line) = super::line(name) else {
        return Err(Refusal::new(EINVAL, ABSENT));
    };
    if line.is_open() || tty::remove_line(name.kind(), name.index).is_err() {
        return Err(open_already());
    }
    super::lock(&super::LINES).remove(&name);
    Ok(())
}

impl Lines {
    fn name(&self, index: u32) -> Name {
        Name {
            serial: self.serial,
            index,
        }
    }
}

impl Class for Lines {
    fn name(&self) -> &'static str {
        if self.serial { "ssl" } else { "con" }
    }

    fn configure(&self, rest: &str) -> Result<(), Refusal> {
        let (digits, text) = rest.split_once('=').unwrap_or((rest, ""));
        if digits.is_empty() {
            return Err(Refusal::new(
                EINVAL,
                "Can't configure all devices from mconsole",
            ));
        }
        match number(digits) {
            None => Err(Refusal::new(EINVAL, "Couldn't parse device number")),
            Some(n) if n >= count(self.serial) => {
                Err(Refusal::new(EINVAL, "Device number out of range"))
            }
            Some(n) => set_up(Lines::name(self, n), text),
        }
    }

    fn query(&self, rest: &str) -> Result<String, Refusal> {
        match number(rest) {
            None => Err(Refusal::new(
                1,
                "line_get_config failed to parse device number",
            )),
            Some(n) if n >= count(self.serial) => {
                Err(Refusal::new(1, "device number out of range"))
            }
            Some(n) => Ok(super::line(Lines::name(self, n))
                .map_or_else(|| "none".into(), |line| line.configuration())),
        }
    }

    fn remove(&self, rest: &str) -> Result<(), Refusal> {
        let last = count(self.serial) - 1;
        match number(rest) {
            None => Err(Refusal::new(1, "Couldn't parse device number")),
            Some(n) if n > last => Err(Refusal::new(
                1,
                format!("Invalid device number - must be between 0 and {last}"),
            )),
            Some(n) => remove(Lines::name(self, n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(err: i32, text: &str) -> Refusal {
        Refusal::new(err, text)
    }

    #[test]
    fn requests_that_make_no_sense_have_the_original_s_answers() {
        for (serial, beyond) in [(false, "16"), (true, "64")] {
            let class = Lines { serial };
            let configure = |rest: &str| class.configure(rest).unwrap_err();
            let all = "Can't configure all devices from mconsole";
            assert_eq!(configure("=pts"), refused(-22, all));
            let range = "Device number out of range";
            assert_eq!(configure(&format!("{beyond}=pts")), refused(-22, range));
            let number = "Couldn't parse device number";
            assert_eq!(configure("x=pts"), refused(-22, number));
            assert_eq!(configure("1=foo"), refused(-1, UNPARSABLE));
            assert_eq!(configure("1=none"), refused(-22, ABSENT));
            let query = |rest: &str| class.query(rest).unwrap_err();
            assert_eq!(query("99"), refused(1, "device number out of range"));
            let parse = "line_get_config failed to parse device number";
            assert_eq!(query(""), refused(1, parse));
            assert_eq!(query("x"), refused(1, parse));
            assert_eq!(class.query("1"), Ok("none".into()));
            assert_eq!(class.remove("1"), Err(refused(-22, ABSENT)));
            assert_eq!(class.remove("x"), Err(refused(1, number)));
            assert_eq!(class.remove(beyond).unwrap_err().err, 1);
        }
    }
}
