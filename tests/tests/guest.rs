//! Every program under `tests/guest`, a test each: `cargo test -p
//! umlaut-tests --test guest -- <part of a name>`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::main(umlaut_tests::guest::programs())
}
