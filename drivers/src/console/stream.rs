//! What bytes of a line go through: a descriptor as it is, or a telnet connection.

use super::telnet::Telnet;
use host::descriptor::Descriptor;
use host::terminal::Size;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes read from a connection at a time.
const READ: usize = 2048;
/// Bytes of output that are made ready for a connection at a time.
const CHUNK: usize = 2048;
/// Answers to a client's negotiation that may wait for it; who asks more without reading gets none.
const REPLIES: usize = 4096;

/// One direction of an open channel.
#[derive(Clone)]
pub enum Stream {
    Plain(Arc<Descriptor>),
    Telnet(Arc<Connection>),
}

impl Stream {
    pub fn descriptor(&self) -> &Descriptor {
        match self {
            Stream::Plain(descriptor) => descriptor,
            Stream::Telnet(connection) => &connection.socket,
        }
    }

    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.descriptor().fd
    }

    /// Reads what is there. `Ok(None)`: nothing now; `Ok(Some(0))`: the end.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Stream::Plain(descriptor) => descriptor.read(buf),
            Stream::Telnet(connection) => connection.read(buf),
        }
    }

    /// Writes what has room. `Ok(None)`: none now.
    pub fn write(&self, buf: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Stream::Plain(descriptor) => descriptor.write(buf),
            Stream::Telnet(connection) => connection.write(buf),
        }
    }

    /// Whether something that was written is still to be sent.
    pub fn is_pending(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Telnet(connection) => !lock(&connection.session).staged.is_empty(),
        }
    }
}

/// How reading ahead went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ahead {
    /// More may come.
    More,
    /// Enough was typed.
    Full,
    /// The client has gone.
    Gone,
}

/// A client of a port.
pub struct Connection {
    socket: Descriptor,
    session: Mutex<Session>,
}

struct Session {
    telnet: Telnet,
    /// What is to be sent before anything else, in telnet's form.
    staged: VecDeque<u8>,
    /// Typed and not yet read.
    typed: VecDeque<u8>,
    size: Option<Size>,
    resized: bool,
    breaks: bool,
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    // Byte queues and flags are whole at every moment.
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// Greets a client.
    pub fn new(socket: Descriptor) -> Connection {
        let (telnet, opening) = Telnet::new();
        let connection = Connection {
            socket,
            session: Mutex::new(Session {
                telnet,
                staged: opening.into(),
                typed: VecDeque::new(),
                size: None,
                resized: false,
                breaks: false,
            }),
        };
        // A client that is gone is found out by whoever reads.
        let _gone = connection.flush(&mut lock(&connection.session));
        connection
    }

    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.socket.fd
    }

    /// The client's window, if it has told.
    pub fn size(&self) -> Option<Size> {
        lock(&self.session).size
    }

    /// The client's window, if it has told since this was asked last.
    pub fn new_size(&self) -> Option<Size> {
        let mut session = lock(&self.session);
        session
            .size
            .filter(|_| std::mem::take(&mut session.resized))
    }

    /// Whether the client has sent a break since this was asked last.
    pub fn take_break(&self) -> bool {
        std::mem::take(&mut lock(&self.session).breaks)
    }

    /// Reads ahead, up to `limit` typed bytes or a little more.
    pub fn read_ahead(&self, limit: usize) -> Ahead {
        let mut session = lock(&self.session);
        match self.fill(&mut session, READ) {
            Ok(Some(0)) | Err(_) => Ahead::Gone,
            _ if session.typed.len() >= limit => Ahead::Full,
            _ => Ahead::More,
        }
    }

    /// Sends bytes that are no guest's output, as far as there is room.
    pub fn notice(&self, bytes: &[u8]) {
        let mut session = lock(&self.session);
        session.staged.extend(bytes);
        // As above.
        let _gone = self.flush(&mut session);
    }

    fn fill(&self, session: &mut Session, limit: usize) -> io::Result<Option<usize>> {
        let mut raw = [0; READ];
        let got = self.socket.read(&mut raw[..limit.min(READ)])?;
        if let Some(n) = got {
            let (mut data, mut replies) = (Vec::new(), Vec::new());
            let told = session.telnet.receive(&raw[..n], &mut data, &mut replies);
            session.typed.extend(data);
            session.resized |= told.size.is_some();
            session.size = told.size.or(session.size);
            session.breaks |= told.breaks;
            if session.staged.len() + replies.len() <= REPLIES {
                session.staged.extend(replies);
            }
            self.flush(session)?;
        }
        Ok(got)
    }

    fn read(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let mut session = lock(&self.session);
        if session.typed.is_empty() && self.fill(&mut session, buf.len())? == Some(0) {
            return Ok(Some(0));
        }
        let n = session.typed.len().min(buf.len());
        for (slot, byte) in buf.iter_mut().zip(session.typed.drain(..n)) {
            *slot = byte;
        }
        Ok((n > 0).then_some(n))
    }

    fn write(&self, buf: &[u8]) -> io::Result<Option<usize>> {
        let mut session = lock(&self.session);
        self.flush(&mut session)?;
        if !session.staged.is_empty() {
            return Ok(None);
        }
        let n = buf.len().min(CHUNK);
        let mut coded = Vec::with_capacity(2 * n);
        session.telnet.send(&buf[..n], &mut coded);
        session.staged = coded.into();
        self.flush(&mut session)?;
        Ok(Some(n))
    }

    fn flush(&self, session: &mut Session) -> io::Result<()> {
        while !session.staged.is_empty() {
            match self.socket.write(session.staged.as_slices().0)? {
                Some(n) => drop(session.staged.drain(..n)),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}
