//! TCP ports that lines are joined to (`port:N`): a listener for each port, lines that wait for clients, and clients that
//! wait for lines.
//!
//! A port listens from the time a line is configured with it to the end of the machine. A client goes to the line that has waited longest;
//! without one it is told so and waits itself, for the next line that is opened.
//!
//! Lock order: `PORTS`, `Port::waiting`, `Place::client` or a session. Watches are dropped without any of them, since that
//! waits for their callbacks.

use super::stream::{Ahead, Connection};
use host::tcp::Listener;
use host::{EventLoop, Interest, Watch};
use kernel::sync::WaitQueue;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Clients without a line that are kept waiting; more are told and sent away.
const CLIENTS: usize = 32;
/// Bytes that a waiting client may have typed ahead.
const TYPED: usize = 1024;

/// What a client is told that finds no line waiting; ends with a NUL, as it always did.
const NOTICE: &[u8] = b"****\r\n\
There are currently no UML consoles waiting for port connections.\r\n\
This session goes on when one is free: end a session on another console,\r\n\
or let the UML's /etc/inittab start a getty on more of them.\r\n\
****\r\n\0";

static PORTS: Mutex<BTreeMap<u16, Arc<Port>>> = Mutex::new(BTreeMap::new());

/// A port and who waits there.
pub struct Port {
    number: u16,
    listener: Listener,
    events: EventLoop,
    watch: Mutex<Option<Watch>>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Arc<Place>>,
    clients: VecDeque<Client>,
}

/// A line's place in the queue.
struct Place {
    client: Mutex<Option<Arc<Connection>>>,
    told: WaitQueue,
}

struct Client {
    connection: Arc<Connection>,
    /// Sees typing and the end of the connection meanwhile.
    watch: Option<Watch>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Queues are whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens on `number`, if nobody here does yet.
pub fn listen(number: u16, events: &EventLoop) -> io::Result<()> {
    let mut ports = lock(&PORTS);
    if ports.contains_key(&number) {
        return Ok(());
    }
    let listener = Listener::bind(number)?;
    let fd = listener.fd.clone();
    let port = Arc::new(Port {
        number,
        listener,
        events: events.clone(),
        watch: Mutex::new(None),
        waiting: Mutex::default(),
    });
    let weak = Arc::downgrade(&port);
    let watch = events.watch(fd, Interest::READ, move |_| {
        weak.upgrade().map_or(Interest::NONE, |port| port.welcome())
    })?;
    *lock(&port.watch) = Some(watch);
    ports.insert(number, port);
    Ok(())
}

/// Waits for a client of port `number`, which is listened on. ERESTARTSYS.
pub fn client(number: u16) -> kernel::Result<Arc<Connection>> {
    let port = lock(&PORTS).get(&number).cloned();
    port.ok_or(abi::errno::Errno::ENODEV)?.wait()
}

impl Port {
    fn welcome(self: &Arc<Port>) -> Interest {
        loop {
            match self.listener.accept() {
                Ok(Some(socket)) => self.arrive(Arc::new(Connection::new(socket))),
                Ok(None) => return Interest::READ,
                Err(e) => {
                    kernel::pr_err!("port {}: a client can't be accepted: {e}", self.number);
                    return Interest::READ;
                }
            }
        }
    }

    fn arrive(self: &Arc<Port>, connection: Arc<Connection>) {
        let mut waiting = lock(&self.waiting);
        if let Some(place) = waiting.lines.pop_front() {
            *lock(&place.client) = Some(connection);
            drop(waiting);
            place.told.wake_all();
            return;
        }
        kernel::pr_info!("No one waiting for port");
        connection.notice(NOTICE);
        let weak: Weak<Port> = Arc::downgrade(self);
        let seen = connection.clone();
        let watched = self
            .events
            .watch(connection.fd().clone(), Interest::READ, move |_| {
                match seen.read_ahead(TYPED) {
                    Ahead::More => return Interest::READ,
                    Ahead::Full => {}
                    Ahead::Gone => {
                        if let Some(port) = weak.upgrade() {
                            port.forget(&seen);
                        }
                    }
                }
                Interest::NONE
            });
        if let (Ok(watch), true) = (watched, waiting.clients.len() < CLIENTS) {
            waiting.clients.push_back(Client {
                connection,
                watch: Some(watch),
            });
        }
    }

    fn forget(&self, connection: &Arc<Connection>) {
        let gone = {
            let mut waiting = lock(&self.waiting);
            let at = waiting
                .clients
                .iter()
                .position(|client| Arc::ptr_eq(&client.connection, connection));
            at.and_then(|at| waiting.clients.remove(at))
        };
        drop(gone);
    }

    fn wait(self: &Arc<Port>) -> kernel::Result<Arc<Connection>> {
        let place = Arc::new(Place {
            client: Mutex::new(None),
            told: WaitQueue::new(),
        });
        let waiter = {
            let mut waiting = lock(&self.waiting);
            match waiting.clients.pop_front() {
                Some(client) => Some(client),
                None => {
                    waiting.lines.push_back(place.clone());
                    None
                }
            }
        };
        if let Some(mut client) = waiter {
            // Without the lock: the end of a watch waits for its callback.
            drop(client.watch.take());
            return Ok(client.connection);
        }
        let came = place.told.wait_until(|| lock(&place.client).take());
        if came.is_err() {
            let late = {
                let mut waiting = lock(&self.waiting);
                waiting.lines.retain(|other| !Arc::ptr_eq(other, &place));
                lock(&place.client).take()
            };
            // One that came at this moment goes to whoever is next.
            if let Some(connection) = late {
                self.arrive(connection);
            }
        }
        came
    }
}
