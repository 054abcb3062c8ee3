//! `mconsole=notify:<socket>`: datagrams that tell a listener on the host of the machine's start, of a panic, and what
//! programs write to /proc/mconsole.

use kernel::fs::proc;
use kernel::fs::pseudo::Node;
use mconsole::{Notification, NotificationKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static LISTENER: OnceLock<PathBuf> = OnceLock::new();

/// Sends notifications to `socket` from now on, and gives guests /proc/mconsole. Once, before procfs is mounted.
pub fn set_notify(socket: PathBuf) {
    if LISTENER.set(socket).is_ok() {
        proc::add("mconsole", || {
            Node::trigger(|bytes| {
                notify(NotificationKind::User, bytes);
                Ok(())
            })
        });
    }
}

pub(super) fn notify_socket(socket: &Path) {
    let mut data = socket.as_os_str().as_bytes().to_vec();
    data.push(0);
    notify(NotificationKind::Socket, &data);
}

/// The machine has panicked.
pub fn notify_panic(message: &str) {
    let mut data = message.as_bytes().to_vec();
    data.push(0);
    notify(NotificationKind::Panic, &data);
}

fn notify(kind: NotificationKind, data: &[u8]) {
    let Some(listener) = LISTENER.get() else {
        return;
    };
    let notification = Notification {
        kind,
        data: data.to_vec(),
    };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        // A listener that doesn't read loses notifications; the machine doesn't wait for it.
        socket.set_nonblocking(true)?;
        socket.send_to(&notification.encode(), listener)
    });
    if let Err(e) = sent {
        kernel::pr_err!(
            "mconsole_notify - sendto failed, errno = {}",
            e.raw_os_error().unwrap_or_default()
        );
    }
}
