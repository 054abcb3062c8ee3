//! The command line of `umlaut`. It lies in the library because the man page and the completions are made from it too.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Lists, runs programs in, watches and ends the machines of this user.
#[derive(Parser, Debug)]
#[command(
    name = "umlaut",
    version,
    after_help = "NAME is a machine's umid, an unambiguous beginning of it, or the path of its directory."
)]
pub struct Umlaut {
    /// Where the directories of machines are [default: ~/.uml]
    #[arg(long, value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    pub uml_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Lists the running machines
    Ls(Ls),
    /// Runs a command in a machine
    Exec(Exec),
    /// Joins this terminal to a machine's console
    Console(Console),
    /// Shows a machine's kernel log
    Logs(Logs),
    /// Powers machines off, and kills those that don't end in time
    Stop(Stop),
    /// Starts machines again at once, without asking their init
    Reboot(Names),
    /// Freezes machines until they are resumed
    Pause(Names),
    /// Lets paused machines go on
    Resume(Names),
    /// Kills machines at once and removes what they leave behind
    Kill(Names),
    /// Prints the completions for a shell; how to install them is in docs/managing.md
    Completions { shell: Shell },
}

#[derive(Args, Debug)]
pub struct Ls {
    /// Also lists machines that have ended and left their directory behind
    #[arg(short, long)]
    pub all: bool,
    /// Prints the names only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The command runs as root, in root's home, with what a login has in its environment. Its exit status is \
                  passed on: 128 and the number of the signal that killed it; 127: there is no such command; 126: it can't \
                  be executed; 125: umlaut itself failed."
)]
pub struct Exec {
    /// Gives the command a terminal, also when standard input or output is none
    #[arg(short = 't', long, overrides_with = "no_tty")]
    pub tty: bool,
    /// Gives the command pipes, also when standard input and output are a terminal
    #[arg(short = 'T', long, overrides_with = "tty")]
    pub no_tty: bool,
    /// Adds to the command's environment
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub env: Vec<OsString>,
    /// The directory to run it in
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<OsString>,
    #[arg(add = running())]
    pub name: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Any number of terminals may be joined to a console beside its own channel. What one types, all see. A window's \
                  size is the guest's where the console's channel has none."
)]
pub struct Console {
    /// The key that leaves the console: ^A to ^_ with Ctrl, one character, or 'none'
    #[arg(short, long, value_name = "KEY", default_value = "^]")]
    pub escape: Key,
    #[arg(add = running())]
    pub name: String,
    /// tty0, ttyS1, ... [default: what is /dev/console]
    pub tty: Option<String>,
}

/// A key by the byte that it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(pub Option<u8>);

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let byte = match text.as_bytes() {
            b"none" => None,
            [byte @ 0x20..0x7f] => Some(*byte),
            [b'^', byte] if (0x40..0x60).contains(&byte.to_ascii_uppercase()) => {
                Some(byte.to_ascii_uppercase() - 0x40)
            }
            _ => return Err("write ^A to ^_ for a key with Ctrl, one character, or none".into()),
        };
        Ok(Key(byte))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(byte @ 0..0x20) => write!(f, "Ctrl-{}", char::from(byte + 0x40)),
            Some(byte) => write!(f, "{}", char::from(byte)),
        }
    }
}

#[derive(Args, Debug)]
pub struct Logs {
    /// Goes on with lines as they come, until the machine ends
    #[arg(short, long)]
    pub follow: bool,
    #[arg(add = running())]
    pub name: String,
}

#[derive(Args, Debug)]
pub struct Stop {
    /// How long to wait for the end before the machine is killed
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u32,
    #[command(flatten)]
    pub names: Names,
}

#[derive(Args, Debug)]
pub struct Names {
    #[arg(required = true, value_name = "NAME", add = running())]
    pub names: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }
}

fn assignment(text: &str) -> Result<OsString, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.into()),
        _ => Err("write NAME=VALUE".into()),
    }
}

/// Completes to the running machines.
fn running() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let machines = crate::machines::list(&crate::machines::base(None)).unwrap_or_default();
        machines
            .into_iter()
            .filter(|m| m.pid.is_some())
            .map(|m| CompletionCandidate::new(m.umid))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let key = |text: &str| text.parse::<Key>().map(|key| key.0);
        assert_eq!(key("^]"), Ok(Some(0x1d)));
        assert_eq!(key("^a"), Ok(Some(1)));
        assert_eq!(key("~"), Ok(Some(b'~')));
        assert_eq!(key("none"), Ok(None));
        for bad in ["", "^", "^1", "ab", "\u{e4}"] {
            assert_eq!(key(bad).is_err(), bad != "^", "{bad}");
        }
        assert_eq!(Key(Some(0x1d)).to_string(), "Ctrl-]");
    }

    #[test]
    fn the_command_line_makes_sense() {
        use clap::CommandFactory;
        Umlaut::command().debug_assert();
    }
}
