//! `uml_mconsole`: the management console's client, with the original's command line, local commands, output and exit
//! statuses.
#![forbid(unsafe_code)]

mod local;
mod session;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use session::Session;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

const USAGE: &str = "Usage : uml_mconsole socket-name [command]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let Some((name, command)) = args.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    if name == "--help" {
        println!(
            "{USAGE}\n\nA machine is named by its umid or the path of its socket.\n{}",
            local::HELP
        );
        return ExitCode::SUCCESS;
    }
    let mut session = Session::default();
    session.switch(name);
    let status = if command.is_empty() {
        interact(&mut session)
    } else {
        match local::run(&mut session, &command.join(" ")) {
            local::Next::Status(status) => status,
            local::Next::Quit => 0,
        }
    };
    // As exit(3) takes it: the low 8 bits.
    ExitCode::from(status as u8)
}

/// Reads commands until the input ends.
fn interact(session: &mut Session) -> i32 {
    if std::io::stdin().is_terminal() {
        edit(session)
    } else {
        follow_script(session)
    }
}

fn edit(session: &mut Session) -> i32 {
    let mut editor = match DefaultEditor::new() {
        Ok(editor) => editor,
        Err(e) => {
            eprintln!("uml_mconsole: the terminal can't be used for editing: {e}");
            return 1;
        }
    };
    loop {
        match editor.readline(&session.prompt()) {
            Ok(line) => {
                if line.trim().is_empty() {
                    continue;
                }
                // A line that is in the history already isn't put there again.
                let _known = editor.add_history_entry(&line);
                if matches!(local::run(session, &line), local::Next::Quit) {
                    return 0;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => {
                println!();
                return 0;
            }
            Err(e) => {
                eprintln!("uml_mconsole: {e}");
                return 1;
            }
        }
    }
}

/// Commands from a pipe or file. Prompt and command are printed, as the original's line editor does there too.
fn follow_script(session: &mut Session) -> i32 {
    let mut lines = std::io::stdin().lock().lines();
    loop {
        print!("{}", session.prompt());
        let line = lines.next().and_then(Result::ok);
        println!("{}", line.as_deref().unwrap_or_default());
        // Output that nobody reads any more ends the program at the next print.
        let _gone = std::io::stdout().flush();
        match line {
            None => return 0,
            Some(line) if line.is_empty() => {}
            Some(line) => {
                if matches!(local::run(session, &line), local::Next::Quit) {
                    return 0;
                }
            }
        }
    }
}
