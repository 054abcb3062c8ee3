//! Linux's x86-64 user ABI as types: system call and error numbers, structs, flags. Nothing else lives here: no
//! behaviour, no host calls, no allocation.
//!
//! Every struct that crosses the user boundary is `#[repr(C)]` with its padding spelled out, derives zerocopy's
//! traits (so copying to and from user memory needs no unsafe code), and has its size asserted. Names are Linux's.
//! Flag sets keep bits that they don't know (`from_bits_retain`), because whether an unknown bit is an error is for
//! the system call to say. `tests/headers.rs` compares sizes, offsets and constants with the C headers.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod macros;

pub mod cap;
mod dirent;
pub mod errno;
pub mod fs;
pub mod futex;
pub mod inotify;
pub mod ipc;
pub mod mm;
pub mod mount;
pub mod net;
pub mod nr;
pub mod poll;
pub mod sched;
pub mod seccomp;
pub mod sigframe;
pub mod siginfo;
pub mod signal;
pub mod task;
pub mod time;
pub mod tty;

pub use errno::{Errno, Result};
