//! The control socket: what the command `umlaut` asks of a running machine. See crate `control` for the protocol.
//!
//! `<uml_dir>/<umid>/control` has mode 0600, and whoever connects must be the user whose machine it is, or root. All
//! connections are served by one event loop of their own, so that the consoles never wait for them; what needs the guest
//! runs in kernel threads on its vCPUs. Nothing here waits for a client, and a client costs a bounded amount of memory.

mod connection;
mod console;
mod exec;
mod log;

use connection::Connection;
use host::{EventLoop, Interest, Watch};
use parking_lot::Mutex;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Connections at a time.
const CONNECTIONS: usize = 256;
/// How long the end of the machine waits for clients that take nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// What `umlaut ls` shows beside what the kernel knows.
#[derive(Clone, Debug, Default)]
pub struct Description {
    pub umid: String,
    /// What the machine runs from.
    pub image: String,
}

struct Server {
    events: EventLoop,
    listener: Arc<OwnedFd>,
    watch: OnceLock<Watch>,
    description: Description,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    next: Mutex<u64>,
}

static SERVER: OnceLock<Arc<Server>> = OnceLock::new();

/// Makes the socket in the machine's directory `dir` and answers from now on. Once.
pub fn init(dir: &Path, description: Description) -> io::Result<()> {
    let listener = Arc::new(listen(dir)?);
    let server = Arc::new(Server {
        events: EventLoop::start()?,
        listener: listener.clone(),
        watch: OnceLock::new(),
        description,
        connections: Mutex::default(),
        next: Mutex::new(0),
    });
    let own = server.clone();
    let watch = server
        .events
        .watch(listener, Interest::READ, move |_| own.accept())?;
    // Nobody else sets it, or starts a second server.
    let _first = server.watch.set(watch);
    let _first = SERVER.set(server);
    Ok(())
}

/// The address goes through the directory's descriptor: the path may be longer than an address can be.
fn listen(dir: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{OFlags, open};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let dir = open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let path = format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), ::control::SOCKET);
    rustix::net::bind(&socket, &SocketAddrUnix::new(path.as_str())?)?;
    // Before it listens nobody can connect.
    rustix::fs::chmod(path.as_str(), Mode::from_raw_mode(0o600))?;
    rustix::net::listen(&socket, 64)?;
    Ok(socket)
}

/// Whether the machine's owner, or root, is at the other end.
fn is_allowed(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_peercred(socket)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

impl Server {
    fn accept(self: &Arc<Server>) -> Interest {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(&self.listener, flags) {
                Ok(socket) => self.add(socket),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(rustix::io::Errno::AGAIN) => return Interest::READ,
                // Out of descriptors: again when a connection has gone.
                Err(_) if !self.connections.lock().is_empty() => return Interest::NONE,
                Err(_) => return Interest::READ,
            }
        }
    }

    fn add(self: &Arc<Server>, socket: OwnedFd) {
        if !is_allowed(&socket) || self.connections.lock().len() >= CONNECTIONS {
            return;
        }
        let id = {
            let mut next = self.next.lock();
            *next += 1;
            *next
        };
        let server = self.clone();
        let opened = Connection::open(socket, &self.events, move || server.remove(id));
        if let Ok(connection) = opened {
            self.connections.lock().insert(id, connection.clone());
            connection.begin();
        }
    }

    fn remove(&self, id: u64) {
        let gone = self.connections.lock().remove(&id);
        drop(gone);
        if let Some(watch) = self.watch.get() {
            watch.arm(Interest::READ);
        }
    }
}

/// What the machine says about itself.
fn facts() -> Vec<(String, String)> {
    let description = SERVER
        .get()
        .map(|s| s.description.clone())
        .unwrap_or_default();
    let state = if kernel::sched::stop::is_stopped() {
        "paused"
    } else {
        "running"
    };
    let memory = kernel::fs::proc::memory();
    let age = kernel::time::monotonic_ns().saturating_sub(kernel::boot::start_ns());
    [
        ("umid", description.umid),
        ("pid", std::process::id().to_string()),
        ("state", state.to_owned()),
        ("uptime", (age / 1_000_000_000).to_string()),
        ("memory", memory.total.to_string()),
        (
            "used",
            (memory.total - memory.free.min(memory.total)).to_string(),
        ),
        ("image", description.image),
        ("release", kernel::RELEASE.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The machine has ended: tells the clients, and waits a moment for those that don't read.
pub fn finish() {
    let Some(server) = SERVER.get() else { return };
    let all: Vec<_> = server.connections.lock().values().cloned().collect();
    let deadline = Instant::now() + PATIENCE;
    for connection in all {
        connection.end_of_machine(deadline);
    }
}
