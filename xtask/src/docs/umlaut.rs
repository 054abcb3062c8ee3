//! Man pages and completions of `umlaut`, made from its command line.

use clap::CommandFactory;
use clap_complete::env::Shells;
use clap_mangen::Man;
use tools::cli::Umlaut;

pub fn files() -> Vec<(String, String)> {
    let mut command = Umlaut::command().disable_help_subcommand(true);
    command.build();
    let mut files = vec![page(&command, "umlaut".into())];
    for sub in command.get_subcommands() {
        files.push(page(sub, format!("umlaut-{}", sub.get_name())));
    }
    for (shell, name) in super::completions::places("umlaut") {
        files.push((name, registration(shell)));
    }
    files
}

fn page(command: &clap::Command, name: String) -> (String, String) {
    let mut text = Vec::new();
    let title = name.to_uppercase();
    // clap takes names for as long as the program lives.
    let command = command.clone().name(String::leak(name.clone()) as &str);
    Man::new(command)
        .title(title)
        .source("Umlaut")
        .manual("User Commands")
        .section("1")
        .date("")
        .render(&mut text)
        .expect("a vector takes everything");
    (
        format!("docs/man/{name}.1"),
        String::from_utf8(text).expect("clap writes UTF-8"),
    )
}

/// What makes the shell ask `umlaut` itself, which knows the running machines.
fn registration(shell: &str) -> String {
    let shells = Shells::builtins();
    let completer = shells.completer(shell).expect("clap knows these shells");
    let mut text = Vec::new();
    completer
        .write_registration("COMPLETE", "umlaut", "umlaut", "umlaut", &mut text)
        .expect("a vector takes everything");
    String::from_utf8(text).expect("clap writes UTF-8")
}
