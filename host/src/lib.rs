//! The host's services, made safe: confined directory trees, terminals, the event loop, entropy.
//! Unsafe code, where it is needed at all, stays in this crate, `platform` and `stub`.

pub mod tree;

pub use rustix::io::Errno;
