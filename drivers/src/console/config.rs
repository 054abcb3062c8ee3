//! `con=`, `conN=`, `ssl=`, `sslN=`: which device gets which channel.

use super::channel::{self, Refusal, Setting};
use kernel::tty::{CONSOLES, Kind, SERIALS};
use std::collections::BTreeMap;

/// The command line's part about consoles and serial lines.
#[derive(Default, Debug)]
pub struct ConsoleConfig {
    single: BTreeMap<(bool, u32), String>,
    general: BTreeMap<bool, String>,
    /// Lines for the kernel log about options that make no sense.
    complaints: Vec<String>,
    /// Lines of the kernel log below this level are printed on the console: 7, or 4 with `quiet`.
    pub loglevel: Option<u8>,
    /// `console=` options, in order: the last one is /dev/console.
    pub console: Vec<String>,
}

fn word(serial: bool) -> &'static str {
    if serial { "serial line" } else { "console" }
}

fn option(serial: bool) -> &'static str {
    if serial { "ssl" } else { "con" }
}

fn number(text: &str) -> Option<u32> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        u32::from_str_radix(hex, 16).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        u32::from_str_radix(&text[1..], 8).ok()
    } else {
        text.parse().ok()
    }
}

impl ConsoleConfig {
    /// Takes what stands behind `con` (or `ssl`, when `serial`) in an option: `=pts`, `0=fd:0,fd:1`.
    pub fn add(&mut self, serial: bool, rest: &str) {
        let failed = |why: &str| {
            format!(
                "Failed to set up {} with configuration string \"{rest}\" : {why}",
                word(serial)
            )
        };
        let Some((digits, channel)) = rest.split_once('=') else {
            return self.complaints.push(failed("Couldn't parse device number"));
        };
        if digits.is_empty() {
            self.general.insert(serial, channel.into());
            return;
        }
        let limit = if serial { SERIALS } else { CONSOLES };
        match number(digits) {
            None => self.complaints.push(failed("Couldn't parse device number")),
            Some(n) if n >= limit => self.complaints.push(failed("Device number out of range")),
            Some(n) => {
                self.single.insert((serial, n), channel.into());
            }
        }
    }

    /// The text that says what device `n` is joined to; None when the default, which this version doesn't have, holds.
    fn text(&self, serial: bool, n: u32) -> Option<&str> {
        let own = self.single.get(&(serial, n));
        let default = (!serial && n == 0).then_some("fd:0,fd:1");
        own.or_else(|| self.general.get(&serial))
            .map(String::as_str)
            .or(default)
    }

    /// The devices that are there, with their channels, and lines for the kernel log. Err: a channel that this version
    /// doesn't have, as a message for the user.
    pub(super) fn resolve(&self) -> Result<(Vec<(Kind, u32, channel::Pair)>, Vec<String>), String> {
        let mut lines = self.complaints.clone();
        let mut devices = Vec::new();
        for (serial, count) in [(false, CONSOLES), (true, SERIALS)] {
            for n in 0..count {
                let Some(text) = self.text(serial, n) else {
                    continue;
                };
                let failed = |why: &str| format!("setup_one_line failed for device {n} : {why}");
                match channel::parse(text) {
                    Ok(Setting::Channels(pair)) => {
                        let kind = if serial { Kind::Serial } else { Kind::Console };
                        devices.push((kind, n, pair));
                    }
                    Ok(Setting::Absent) => lines.push(failed("configured as 'none'")),
                    Err(Refusal::Malformed(mut why)) => {
                        let last = why.pop().unwrap_or_default();
                        lines.extend(why);
                        lines.push(failed(&last));
                    }
                    Err(Refusal::Missing(keyword)) => {
                        return Err(format!(
                            "{}{n}={text}: channel '{keyword}' is not available in this version; \
                             use fd:N, fd:IN,fd:OUT, null or none",
                            option(serial)
                        ));
                    }
                }
            }
        }
        Ok((devices, lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use channel::{Channel, Pair};

    fn one(channel: Channel) -> Pair {
        Pair {
            input: channel.clone(),
            output: channel,
        }
    }

    #[test]
    fn the_specific_wins_wherever_it_stands() {
        for options in [["1=null", "=fd:5"], ["=fd:5", "1=null"]] {
            let mut config = ConsoleConfig::default();
            options.iter().for_each(|o| config.add(false, o));
            let (devices, lines) = config.resolve().unwrap();
            assert!(lines.is_empty());
            assert_eq!(devices.len(), CONSOLES as usize);
            assert_eq!(devices[0].2, one(Channel::Fd(5)));
            assert_eq!(devices[1].2, one(Channel::Null));
        }
    }

    #[test]
    fn complaints_have_the_original_words() {
        let mut config = ConsoleConfig::default();
        config.add(false, "20=pts");
        config.add(false, "3=foo");
        config.add(true, "x");
        config.add(true, "0x1=none");
        let (devices, lines) = config.resolve().unwrap();
        assert_eq!(devices.len(), 1);
        assert_eq!(
            lines,
            [
                "Failed to set up console with configuration string \"20=pts\" : Device number out of range",
                "Failed to set up serial line with configuration string \"x\" : Couldn't parse device number",
                "setup_one_line failed for device 3 : failed to parse channel pair",
                "setup_one_line failed for device 1 : configured as 'none'",
            ]
        );
    }

    #[test]
    fn missing_channels_are_refused_by_name() {
        let mut config = ConsoleConfig::default();
        config.add(true, "2=port:9000");
        let message = config.resolve().unwrap_err();
        assert!(message.starts_with("ssl2=port:9000: channel 'port' is not available"));
    }
}
