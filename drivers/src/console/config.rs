//! `con=`, `conN=`, `ssl=`, `sslN=` and what goes with them: which device gets which channel.

use super::channel::{self, Channel, Setting, number};
use super::open::Name;
use super::xterm::Emulator;
use kernel::tty::{CONSOLES, SERIALS};
use std::collections::BTreeMap;

/// The command line's part about consoles and serial lines.
#[derive(Default, Debug)]
pub struct ConsoleConfig {
    single: BTreeMap<Name, String>,
    general: BTreeMap<bool, String>,
    /// Lines for the kernel log about options that make no sense.
    complaints: Vec<String>,
    /// Lines of the kernel log below this level are printed on the console: 7, or 4 with `quiet`.
    pub loglevel: Option<u8>,
    /// `console=` options, in order: the log goes to each, the last one is /dev/console.
    pub console: Vec<String>,
    /// `ssl-non-raw`: terminals of serial lines stay as they are.
    pub ssl_non_raw: bool,
    /// `xterm=`.
    pub xterm: Emulator,
    /// `stderr=1`: the log goes to standard error as well.
    pub stderr: bool,
}

/// How many devices a class has.
pub fn count(serial: bool) -> u32 {
    if serial { SERIALS } else { CONSOLES }
}

impl ConsoleConfig {
    /// Takes what stands behind `con` (or `ssl`, when `serial`) in an option: `=pts`, `0=fd:0,fd:1`.
    pub fn add(&mut self, serial: bool, rest: &str) {
        let word = if serial { "serial line" } else { "console" };
        let failed = |why: &str| {
            format!("Failed to set up {word} with configuration string \"{rest}\" : {why}")
        };
        let Some((digits, channel)) = rest.split_once('=') else {
            return self.complaints.push(failed("Couldn't parse device number"));
        };
        if digits.is_empty() {
            self.general.insert(serial, channel.into());
            return;
        }
        match number(digits) {
            None => self.complaints.push(failed("Couldn't parse device number")),
            Some(n) if n >= count(serial) => {
                self.complaints.push(failed("Device number out of range"));
            }
            Some(index) => {
                self.single.insert(Name { serial, index }, channel.into());
            }
        }
    }

    /// The text that says what a device is joined to.
    pub(super) fn text(&self, name: Name) -> &str {
        let given = self.single.get(&name).or(self.general.get(&name.serial));
        match given {
            Some(text) => text,
            None if name.serial => "pty",
            None if name.index == 0 => "fd:0,fd:1",
            None => "xterm",
        }
    }

    pub(super) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Whether it names terminals of the host that must get their attributes back, beside the standard ones.
    pub fn takes_terminals(&self) -> bool {
        let mut texts = self.single.values().chain(self.general.values());
        texts.any(|text| match channel::parse(text) {
            Ok(Setting::Channels(pair)) => pair
                .channels()
                .any(|c| matches!(c, Channel::Tty(_) | Channel::Fd(3..))),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(serial: bool, index: u32) -> Name {
        Name { serial, index }
    }

    #[test]
    fn the_specific_wins_wherever_it_stands() {
        for options in [["1=null", "=fd:5"], ["=fd:5", "1=null"]] {
            let mut config = ConsoleConfig::default();
            options.iter().for_each(|o| config.add(false, o));
            assert_eq!(config.text(name(false, 0)), "fd:5");
            assert_eq!(config.text(name(false, 1)), "null");
            assert_eq!(config.text(name(true, 1)), "pty");
        }
    }

    #[test]
    fn what_nobody_configures() {
        let config = ConsoleConfig::default();
        assert_eq!(config.text(name(false, 0)), "fd:0,fd:1");
        assert_eq!(config.text(name(false, 15)), "xterm");
        assert_eq!(config.text(name(true, 63)), "pty");
    }

    #[test]
    fn complaints_have_the_original_words() {
        let mut config = ConsoleConfig::default();
        config.add(false, "20=pts");
        config.add(true, "x");
        config.add(true, "0x40=none");
        assert_eq!(
            config.complaints(),
            [
                "Failed to set up console with configuration string \"20=pts\" : Device number out of range",
                "Failed to set up serial line with configuration string \"x\" : Couldn't parse device number",
                "Failed to set up serial line with configuration string \"0x40=none\" : Device number out of range",
            ]
        );
    }
}
