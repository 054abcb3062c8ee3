//! Standard input on its way to a machine, no faster than the machine takes it.

use crate::client::Saying;
use control::{Message, Stream, WINDOW};
use std::io::{self, ErrorKind, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

const READ: usize = 16 << 10;

/// How many bytes of input the machine has room for.
pub struct Credit {
    bytes: Mutex<usize>,
    changed: Condvar,
}

impl Credit {
    pub fn new() -> Credit {
        Credit {
            bytes: Mutex::new(WINDOW),
            changed: Condvar::new(),
        }
    }

    fn bytes(&self) -> MutexGuard<'_, usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, more: u32) {
        *self.bytes() += more as usize;
        self.changed.notify_all();
    }

    fn wait(&self) -> usize {
        let mut bytes = self.bytes();
        while *bytes == 0 {
            bytes = self
                .changed
                .wait(bytes)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *bytes
    }
}

/// Why [`send`] ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There is no more input; the machine has been told.
    Input,
    /// The key was pressed.
    Escape,
    /// The machine is gone.
    Connection,
}

/// Sends standard input until it ends, or the byte `escape` comes.
pub fn send(saying: &Saying, credit: &Credit, escape: Option<u8>) -> Ended {
    let mut buffer = [0; READ];
    loop {
        let room = credit.wait().min(READ);
        let bytes = match io::stdin().lock().read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(n) => &buffer[..n],
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let at = bytes.iter().position(|b| Some(*b) == escape);
        let bytes = &bytes[..at.unwrap_or(bytes.len())];
        *credit.bytes() -= bytes.len();
        let data = Message::Data {
            stream: Stream::Input,
            bytes: bytes.to_vec(),
        };
        if !bytes.is_empty() && saying.say(&data).is_err() {
            return Ended::Connection;
        }
        if at.is_some() {
            return Ended::Escape;
        }
    }
    let end = Message::End {
        stream: Stream::Input,
    };
    match saying.say(&end) {
        Ok(()) => Ended::Input,
        Err(_) => Ended::Connection,
    }
}
