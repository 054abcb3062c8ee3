//! What runs inside guest address spaces, and the memory it shares with the kernel process.
//!
//! `layout` holds addresses, offsets and values that the program and `platform` agree on; `program` is the code. All of it
//! is assembly: it must run without a stack, without relocations and, for the agent, without ever writing a register
//! to memory.
#![no_std]

pub mod layout;
mod program;

pub use program::{direct_entry, entry, handler, image, indirect_entry, syscall_handler, text};
