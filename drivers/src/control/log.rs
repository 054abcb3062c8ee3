//! The kernel log for a client.

use super::connection::Connection;
use crate::console::format_record;
use ::control::Stream;
use kernel::sync::{Waiter, Wake};
use kernel::vfs::PollEvents;
use std::sync::{Arc, Weak};

/// Bytes of text in a message, about.
const CHUNK: usize = 16 << 10;

pub struct Session {
    next: u64,
    /// Told of new lines; None: the log as it is, and the end.
    waiter: Option<Waiter>,
}

/// Has the connection's loop look for new lines.
struct Bell(Weak<Connection>);

impl Wake for Bell {
    fn wake(&self, _events: PollEvents) -> bool {
        if let Some(connection) = self.0.upgrade() {
            connection.wake_writer();
        }
        false
    }
}

impl Session {
    pub fn new(follow: bool, connection: &Weak<Connection>) -> Session {
        let bell = || kernel::log::waiters().enter(Arc::new(Bell(connection.clone())), false);
        Session {
            next: 0,
            waiter: follow.then(bell),
        }
    }

    /// Sends lines while there is room. More come when the client has taken these, or the bell rings.
    pub fn pump(&mut self, connection: &Connection) {
        while connection.room() >= CHUNK {
            let mut text = String::new();
            for record in kernel::log::since(self.next) {
                text += &format_record(&record);
                text.push('\n');
                self.next = record.seq + 1;
                if text.len() >= CHUNK {
                    break;
                }
            }
            if text.is_empty() {
                if self.waiter.is_none() {
                    connection.close();
                }
                return;
            }
            connection.send_data(Stream::Output, text.as_bytes());
        }
        connection.wake_writer();
    }
}
