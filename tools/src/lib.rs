//! What the programs beside the kernel share. Each program is a file (or directory) in `src/bin`; all are installed by
//! `cargo install --path tools`.
#![forbid(unsafe_code)]

pub mod cli;
pub mod machines;
