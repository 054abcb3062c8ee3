//! One client: its messages in order, and what goes to it through a bounded queue.

use super::{console, exec, facts, log};
use ::control::{Decoder, Failure, HEADER, MAX_PAYLOAD, Message, Stream, VERSION};
use host::{EventLoop, Interest, Watch};
use kernel::sync::WaitQueue;
use parking_lot::{Condvar, Mutex};
use rustix::net::{RecvFlags, SendFlags};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

/// Bytes that wait for a client, at most; a few short messages may go beyond.
const QUEUE: usize = 128 << 10;
const READ: usize = 32 << 10;

#[derive(Default)]
struct Output {
    queue: VecDeque<u8>,
    /// The last message is in the queue.
    closing: bool,
    gone: bool,
}

/// What the client asked for.
enum Session {
    Greeting,
    Request,
    Exec(Arc<exec::Session>),
    Log(log::Session),
    Console(console::Session),
    /// Answered: what else it says doesn't matter.
    Done,
}

pub struct Connection {
    me: Weak<Connection>,
    socket: Arc<OwnedFd>,
    /// Room came into being, or the client is gone.
    pub changed: WaitQueue,
    output: Mutex<Output>,
    drained: Condvar,
    session: Mutex<Session>,
    /// Separate descriptors of one socket, so that neither watch replaces the other.
    reading: OnceLock<Watch>,
    writing: OnceLock<Watch>,
    forget: Box<dyn Fn() + Send + Sync>,
}

impl Connection {
    /// `forget` is called when the client is gone.
    pub fn open(
        socket: OwnedFd,
        events: &EventLoop,
        forget: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Arc<Connection>> {
        let second = Arc::new(rustix::io::fcntl_dupfd_cloexec(&socket, 0)?);
        let socket = Arc::new(socket);
        let connection = Arc::new_cyclic(|me| Connection {
            me: me.clone(),
            socket: socket.clone(),
            changed: WaitQueue::new(),
            output: Mutex::default(),
            drained: Condvar::new(),
            session: Mutex::new(Session::Greeting),
            reading: OnceLock::new(),
            writing: OnceLock::new(),
            forget: Box::new(forget),
        });
        let weak = connection.me.clone();
        let mut decoder = Decoder::default();
        let reading = events.watch(socket, Interest::NONE, move |_| {
            weak.upgrade()
                .map_or(Interest::NONE, |own| own.readable(&mut decoder))
        })?;
        let weak = connection.me.clone();
        let writing = events.watch(second, Interest::NONE, move |_| {
            weak.upgrade().map_or(Interest::NONE, |own| own.writable())
        })?;
        // Nobody else sets them.
        let _first = connection.reading.set(reading);
        let _first = connection.writing.set(writing);
        Ok(connection)
    }

    /// Listens to the client from now on.
    pub fn begin(&self) {
        if let Some(watch) = self.reading.get() {
            watch.arm(Interest::READ);
        }
    }

    fn readable(&self, decoder: &mut Decoder) -> Interest {
        let mut buffer = [0; READ];
        match rustix::net::recv(&*self.socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.lose(),
            Ok((n, _)) => {
                decoder.feed(&buffer[..n]);
                if let Err(text) = self.take_messages(decoder) {
                    self.fail(Failure::Request, text);
                    return Interest::NONE;
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.lose(),
        }
        if self.is_gone() {
            Interest::NONE
        } else {
            Interest::READ
        }
    }

    fn take_messages(&self, decoder: &mut Decoder) -> Result<(), &'static str> {
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => self.hear(message)?,
                Ok(None) if decoder.pending() > HEADER + MAX_PAYLOAD => {
                    return Err("a message is too long");
                }
                Ok(None) => return Ok(()),
                Err(e) => return Err(e.0),
            }
        }
    }

    fn hear(&self, message: Message) -> Result<(), &'static str> {
        let mut session = self.session.lock();
        match (&mut *session, message) {
            (Session::Greeting, Message::Hello { version }) => {
                self.send(&Message::Hello { version: VERSION });
                *session = Session::Request;
                if version != VERSION {
                    *session = Session::Done;
                    self.fail(
                        Failure::Refused,
                        &format!(
                            "this machine speaks version {VERSION} of the control protocol, the command version {version}; \
                             use the umlaut that was installed with the machine's kernel"
                        ),
                    );
                }
                Ok(())
            }
            (Session::Request, Message::Info) => {
                self.send(&Message::Facts(facts()));
                *session = Session::Done;
                drop(session);
                self.close();
                Ok(())
            }
            (Session::Request, Message::Log { follow }) => {
                *session = Session::Log(log::Session::new(follow, &self.me));
                drop(session);
                self.wake_writer();
                Ok(())
            }
            (Session::Request, Message::Exec(exec)) => {
                if exec.argv.is_empty() {
                    return Err("there is no command");
                }
                let own = self.me.upgrade().ok_or("the connection is gone")?;
                match exec::Session::start(&own, exec) {
                    Ok(started) => *session = Session::Exec(started),
                    Err(text) => {
                        *session = Session::Done;
                        self.fail(Failure::Refused, &text);
                    }
                }
                Ok(())
            }
            (Session::Request, Message::Console { name, size }) => {
                let own = self.me.upgrade().ok_or("the connection is gone")?;
                match console::Session::start(&own, &name, size) {
                    Ok(started) => *session = Session::Console(started),
                    Err(text) => {
                        *session = Session::Done;
                        self.fail(Failure::Refused, &text);
                    }
                }
                Ok(())
            }
            (Session::Exec(exec), message) => exec.hear(message),
            (Session::Console(console), message) => console.hear(message, self),
            (Session::Done, _) => Ok(()),
            _ => Err("this message makes no sense here"),
        }
    }

    /// Bytes of data that may be sent now.
    pub fn room(&self) -> usize {
        let output = self.output.lock();
        if output.closing || output.gone {
            0
        } else {
            QUEUE.saturating_sub(output.queue.len())
        }
    }

    pub fn is_gone(&self) -> bool {
        self.output.lock().gone
    }

    /// Sends a message, or keeps it until the client takes it. Whoever sends data looks for [`room`](Self::room) before.
    pub fn send(&self, message: &Message) {
        {
            let mut output = self.output.lock();
            if output.closing || output.gone {
                return;
            }
            output.queue.extend(message.frame());
        }
        self.flush();
    }

    /// Sends a piece of output.
    pub fn send_data(&self, stream: Stream, bytes: &[u8]) {
        self.send(&Message::Data {
            stream,
            bytes: bytes.to_vec(),
        });
    }

    /// The last word: `text` says why there is nothing more.
    pub fn fail(&self, why: Failure, text: &str) {
        self.send(&Message::Failed {
            why,
            text: text.to_owned(),
        });
        self.close();
    }

    /// Nothing more is sent; the connection ends when the client has taken everything.
    pub fn close(&self) {
        self.output.lock().closing = true;
        self.wake_writer();
    }

    /// Has the loop's thread look for something to send.
    pub fn wake_writer(&self) {
        if let Some(watch) = self.writing.get() {
            watch.arm(Interest::WRITE);
        }
    }

    fn flush(&self) {
        let waits = {
            let mut output = self.output.lock();
            self.write_some(&mut output);
            !output.queue.is_empty() || output.gone
        };
        if waits {
            self.wake_writer();
        }
    }

    fn write_some(&self, output: &mut Output) {
        while !output.queue.is_empty() && !output.gone {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&*self.socket, output.queue.as_slices().0, flags) {
                Ok(n) => drop(output.queue.drain(..n)),
                Err(rustix::io::Errno::AGAIN) => return,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => output.gone = true,
            }
        }
    }

    fn writable(&self) -> Interest {
        let (waits, ended) = {
            let mut output = self.output.lock();
            self.write_some(&mut output);
            let waits = !output.queue.is_empty() && !output.gone;
            (waits, output.gone || (output.closing && !waits))
        };
        self.drained.notify_all();
        if ended {
            self.lose();
            return Interest::NONE;
        }
        self.changed.wake_all();
        if waits {
            return Interest::WRITE;
        }
        match &mut *self.session.lock() {
            Session::Log(log) => log.pump(self),
            Session::Console(console) => {
                console.catch_up(self);
                console.pump(self);
            }
            _ => {}
        }
        Interest::NONE
    }

    /// The client is gone, or has got everything. On the loop's thread.
    fn lose(&self) {
        {
            let mut output = self.output.lock();
            output.gone = true;
            output.queue.clear();
        }
        // A client that still writes finds out now.
        let _gone = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
        let session = std::mem::replace(&mut *self.session.lock(), Session::Done);
        match session {
            Session::Exec(exec) => exec.lose(),
            Session::Console(console) => console.lose(),
            _ => {}
        }
        self.changed.wake_all();
        self.drained.notify_all();
        (self.forget)();
    }

    /// Tells that the machine has ended, and waits until `deadline` for the client to take what there is.
    pub fn end_of_machine(&self, deadline: Instant) {
        if let Session::Log(log) = &mut *self.session.lock() {
            log.pump(self);
        }
        self.fail(Failure::Ended, "the machine ended");
        let mut output = self.output.lock();
        while !output.queue.is_empty() && !output.gone {
            if self.drained.wait_until(&mut output, deadline).timed_out() {
                return;
            }
        }
    }
}
