//! What a developer runs: `cargo xtask <command>`.
//!
//! - `test [filter]`: everything that shows the project works;
//! - `bench [row]`: the promises of `docs/specification.md`, measured;
//! - `docs`: regenerates what is made from the source (`docs/syscalls.md`, man pages, completions).

#![forbid(unsafe_code)]

mod bench;
mod docs;
mod packages;
mod test;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask test [filter] | bench [row] | docs [--check] | packages";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1).map(String::as_str);
    let result = match args.first().map(String::as_str) {
        Some("test") => test::run(rest),
        Some("bench") => bench::run(rest),
        Some("docs") => docs::run(rest == Some("--check")),
        Some("packages") => packages::install(),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
