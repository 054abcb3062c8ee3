//! The host's services, made safe: confined directory trees, terminals, the event loop, entropy.
//! Unsafe code, where it is needed at all, stays in this crate, `platform` and `stub`.

mod apart;
pub mod descriptor;
pub mod event;
pub mod guardian;
pub mod handover;
pub mod launcher;
pub mod pty;
pub mod sandbox;
pub mod signals;
pub mod tcp;
pub mod terminal;
pub mod tree;

pub use event::{EventLoop, Interest, Ready, Watch};
pub use rustix::io::Errno;
