//! `umlaut`: everyday work with machines. Talks to a machine's control socket (crate `control`) and to its process.
#![forbid(unsafe_code)]

mod client;
mod console;
mod end;
mod exec;
mod input;
mod logs;
mod ls;
mod power;
mod terminal;

use clap::{CommandFactory, Parser};
use clap_complete::env::{CompleteEnv, Shells};
use power::Order;
use std::process::ExitCode;
use tools::cli::{Command, Shell, Umlaut};
use tools::machines;

/// Status of `exec` when the command didn't come to run, as other programs of this kind have it.
const OWN_FAILURE: u8 = 125;

fn main() -> ExitCode {
    CompleteEnv::with_factory(Umlaut::command).complete();
    let umlaut = Umlaut::parse();
    let base = machines::base(umlaut.uml_dir.as_deref());
    let failed = match &umlaut.command {
        Command::Exec(_) => OWN_FAILURE,
        _ => 1,
    };
    let done = match umlaut.command {
        Command::Ls(args) => ls::run(&base, &args),
        Command::Exec(args) => exec::run(&base, args),
        Command::Console(args) => console::run(&base, &args),
        Command::Logs(args) => logs::run(&base, &args),
        Command::Stop(args) => end::stop(&base, &args),
        Command::Reboot(args) => power::run(&base, &args.names, Order::Reboot),
        Command::Pause(args) => power::run(&base, &args.names, Order::Pause),
        Command::Resume(args) => power::run(&base, &args.names, Order::Resume),
        Command::Kill(args) => end::kill(&base, &args.names),
        Command::Completions { shell } => completions(shell),
    };
    done.unwrap_or_else(|message| {
        eprintln!("umlaut: {message}");
        ExitCode::from(failed)
    })
}

/// Does `act` for each name. All are tried; the first failure is the result, the others are printed.
fn each(
    names: &[String],
    mut act: impl FnMut(&str) -> Result<(), String>,
) -> Result<ExitCode, String> {
    let failures: Vec<String> = names.iter().filter_map(|name| act(name).err()).collect();
    match failures.split_first() {
        None => Ok(ExitCode::SUCCESS),
        Some((first, rest)) => {
            rest.iter()
                .for_each(|message| eprintln!("umlaut: {message}"));
            Err(first.clone())
        }
    }
}

fn completions(shell: Shell) -> Result<ExitCode, String> {
    let shells = Shells::builtins();
    let completer = shells
        .completer(shell.name())
        .ok_or("this shell has no completions")?;
    completer
        .write_registration(
            "COMPLETE",
            "umlaut",
            "umlaut",
            "umlaut",
            &mut std::io::stdout(),
        )
        .map_err(|e| format!("standard output: {e}"))?;
    Ok(ExitCode::SUCCESS)
}
