//! The management console: the server behind the machine's socket, and notifications to a socket of the host.
//!
//! The server has a host thread of its own, so that it answers whatever the vCPUs do, also while the machine is stopped.
//! What an answer needs from code that may sleep is run in a kernel thread and waited for within bounds.

mod command;
mod mem;
mod notify;
mod server;

pub use notify::{notify_panic, set_notify};

use std::path::Path;

/// Serves requests at `socket`, whose directory is the machine's own, and tells the notification socket of it. Once, after
/// `kernel::boot::early`. A failure is told in the log: the machine runs without.
pub fn start(socket: &Path) {
    crate::registry::register(std::sync::Arc::new(mem::Memory::new()));
    match server::start(socket) {
        Ok(()) => {
            kernel::pr_info!(
                "mconsole (version {}) initialized on {}",
                mconsole::VERSION,
                socket.display()
            );
            notify::notify_socket(socket);
        }
        Err(e) => kernel::pr_err!(
            "Failed to initialize management console on {}: {e}",
            socket.display()
        ),
    }
}
