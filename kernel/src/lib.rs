//! Umlaut's kernel: what a Linux kernel is to its programs, on the services of `platform` and on the
//! traits that `drivers` implement. Entry points: `boot` from `linux`, `syscall::table` from guests.
#![forbid(unsafe_code)]

pub mod boot;
pub mod device;
pub mod error;
pub mod fs;
pub mod ipc;
pub mod log;
pub mod machine;
pub mod mm;
pub mod random;
pub mod sched;
pub mod signal;
pub mod sync;
pub mod syscall;
pub mod syslog;
pub mod sysrq;
pub mod task;
pub mod time;
pub mod tty;
pub mod user;
pub mod uts;
pub mod vfs;

pub use abi::errno::Errno;
pub use error::{Error, Result, err};

pub use uts::{RELEASE, VERSION};
