//! The other end of a machine's console: a terminal of the host, or a TCP connection.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything expected may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An end that is read all the time.
pub struct Peer {
    /// Closing the pipe ends the thread.
    reading: Option<(OwnedFd, JoinHandle<()>)>,
    file: File,
    chunks: Receiver<Vec<u8>>,
    /// Everything seen so far.
    pub seen: Vec<u8>,
    matched: usize,
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
    listener.local_addr().expect("it has a number").port()
}

/// Tries until `f` gives a value.
pub fn until<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = f() {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(format!("waited in vain: {what}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Peer {
    /// Opens a terminal of the host.
    pub fn open(path: &str) -> Result<Peer, String> {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let fd =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|e| format!("{path}: {e}"))?;
        Peer::new(fd)
    }

    /// Connects to a port of this host.
    pub fn connect(port: u16) -> Result<Peer, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
        Peer::new(stream.into())
    }

    pub fn new(fd: OwnedFd) -> Result<Peer, String> {
        let file = File::from(fd);
        let mut reader = file.try_clone().map_err(|e| e.to_string())?;
        let (sender, chunks) = channel();
        let (ended, end) = rustix::pipe::pipe().map_err(|e| e.to_string())?;
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !is_over(&reader, &ended)
                && let Ok(n) = reader.read(&mut buffer)
                && n > 0
                && sender.send(buffer[..n].to_vec()).is_ok()
            {}
        });
        Ok(Peer {
            reading: Some((end, thread)),
            file,
            chunks,
            seen: Vec::new(),
            matched: 0,
        })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn send(&mut self, text: &str) -> Result<(), String> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| format!("sending {text:?}: {e}"))
    }

    /// Waits until `text` shows after what was matched last.
    pub fn expect(&mut self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let new = &self.seen[self.matched..];
            if let Some(at) = find(new, text.as_bytes()) {
                self.matched += at + text.len();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(why) => {
                    let new = String::from_utf8_lossy(&self.seen[self.matched..]);
                    return Err(format!(
                        "{text:?} didn't appear ({why}); since then: {new:?}"
                    ));
                }
            }
        }
    }

    /// Waits until the other side closes.
    pub fn expect_end(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => return Err("the other side doesn't close".into()),
            }
        }
    }

    /// A line, and an answer that isn't in it.
    pub fn line(&mut self, line: &str, answer: &str) -> Result<(), String> {
        self.send(&format!("{line}\r"))?;
        self.expect(answer)
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|w| w == wanted)
}

/// Waits for something to read; true when the peer is dropped.
fn is_over(reader: &File, ended: &OwnedFd) -> bool {
    let mut watched = [
        PollFd::new(reader, PollFlags::IN),
        PollFd::new(ended, PollFlags::IN),
    ];
    poll(&mut watched, None).is_ok() && !watched[1].revents().is_empty()
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.reading.take() {
            drop(end);
            // It has nothing to say.
            let _ended = thread.join();
        }
    }
}
