//! Which machine is talked to, and one request to it with its output.

use mconsole::{Client, Failure, PATIENCE, name, plain};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Characters of a name that the prompt shows.
const PROMPT_NAME: usize = 11;

#[derive(Default)]
pub struct Session {
    /// What the person called it, and its socket.
    target: Option<(String, PathBuf)>,
    /// The name that was asked for last, for messages.
    asked: String,
}

impl Session {
    /// Turns to machine `name`; false, with what was tried on standard error, when there is none.
    pub fn switch(&mut self, name: &str) -> bool {
        self.asked = name.to_owned();
        let (found, tried) = match name::resolve(name) {
            Ok((socket, tried)) => (Some(socket), tried),
            Err(tried) => (None, tried),
        };
        for (path, e) in tried {
            eprintln!(
                "Warning: couldn't stat file: {} - {}",
                path.display(),
                plain(&e)
            );
        }
        let Some(socket) = found else {
            return false;
        };
        self.target = Some((name.to_owned(), socket));
        true
    }

    pub fn prompt(&self) -> String {
        match &self.target {
            Some((name, _)) => format!("({}) ", name.chars().take(PROMPT_NAME).collect::<String>()),
            None => "([None]) ".to_owned(),
        }
    }

    /// The process id of the machine, if its directory has one.
    pub fn pid(&self) -> Option<i32> {
        name::pid_beside(&self.target.as_ref()?.1).ok()
    }

    /// Sends a command, prints the reply as it comes, and returns its `err`; 1 when there is none.
    pub fn request(&self, command: &[u8], fds: &[BorrowedFd<'_>]) -> i32 {
        let mut out = io::stdout().lock();
        let mut first = true;
        let reply = self.connect().and_then(|client| {
            client.request_with(command, fds, PATIENCE, |packet| {
                if std::mem::take(&mut first) {
                    let _gone = out.write_all(if packet.err == 0 { b"OK " } else { b"ERR " });
                }
                let _gone = out.write_all(&packet.text);
            })
        });
        if !first {
            let _gone = out.write_all(b"\n");
        }
        let _gone = out.flush();
        match reply {
            Ok(reply) => reply.err,
            Err(e) => {
                eprintln!("Sending command to '{}' : {e}", self.asked);
                1
            }
        }
    }

    fn connect(&self) -> Result<Client, Failure> {
        match &self.target {
            Some((_, socket)) => Client::connect(socket).map_err(Failure::Unreachable),
            None => Err(Failure::Unreachable(rustix::io::Errno::NOENT.into())),
        }
    }
}
