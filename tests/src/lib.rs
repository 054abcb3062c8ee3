//! The test system: programs that run on the host's Linux first and then in
//! an Umlaut machine, whose answers must be the same.
//!
//! - `guest`: finds the programs under `tests/guest` and `tests/programs`,
//!   reads their headers, compiles the C ones.
//! - `machine`: starts the `linux` binary, collects its console, ends it in
//!   time and checks that no process of it stays.
//! - `run`: hands a list of programs to the driver, on the host and in a
//!   machine, and splits its report up.
//! - `running`: a machine that goes on while `umlaut` works with it.
//! - `suite`: makes one libtest line of each program.
//! - `pty`: a terminal with `linux` on it, for the interactive tests.
//! - `session`: a machine at its prompt, for the tests of its other consoles.
//! - `peer`: the other end of a console: a terminal or a TCP connection.
//!
//! Nothing here knows the kernel: the binary is driven as a user would.

#![forbid(unsafe_code)]

pub mod guest;
pub mod machine;
pub mod paths;
pub mod peer;
pub mod pty;
pub mod run;
pub mod running;
pub mod session;
pub mod suite;
