//! `linux`: the command line, the machine put together, boot, halt, exit status.
#![forbid(unsafe_code)]

mod cmdline;
mod help;
mod instance;
mod machine;

use std::process::ExitCode;

#[global_allocator]
static HEAP: platform::heap::Counting = platform::heap::Counting;

fn main() -> ExitCode {
    let mut args = Vec::new();
    for arg in std::env::args_os().skip(1) {
        match arg.into_string() {
            Ok(arg) => args.push(arg),
            Err(arg) => {
                eprintln!("linux: option {arg:?}: not valid UTF-8; write it in ASCII or UTF-8");
                return ExitCode::FAILURE;
            }
        }
    }
    let root_fs_here = std::path::Path::new("root_fs").is_file();
    match cmdline::parse(&args, root_fs_here) {
        Ok(cmdline::Parsed::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(cmdline::Parsed::Boot(options)) => {
            machine::panic_ends_the_machine();
            machine::run(*options)
        }
        Err(message) => {
            eprintln!("linux: {message}");
            ExitCode::FAILURE
        }
    }
}
