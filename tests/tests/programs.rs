//! Every script under `tests/programs`, a test each.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::main(umlaut_tests::guest::scripts())
}
