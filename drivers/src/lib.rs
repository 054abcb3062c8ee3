//! Devices and file systems that stand on the host's services: kernel traits implemented with crate `host`.
#![forbid(unsafe_code)]

pub mod console;
pub mod control;
pub mod hostfs;
pub mod mconsole;
pub mod registry;
