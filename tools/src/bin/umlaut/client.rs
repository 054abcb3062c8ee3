//! A connection to a machine.

use control::{Decoder, Failure, Message, VERSION};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tools::machines::{self, Machine};

/// How long a machine may take to greet: a stopped or hung process doesn't.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a machine says, in order.
pub struct Hearing {
    socket: UnixStream,
    decoder: Decoder,
}

/// The way to say something, from any thread.
pub struct Saying(Mutex<UnixStream>);

/// Why there is no connection, or no answer.
pub struct Trouble {
    pub why: Option<Failure>,
    pub text: String,
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> String {
        trouble.text
    }
}

fn trouble(text: String) -> Trouble {
    Trouble { why: None, text }
}

/// Connects to a running machine and greets it.
pub fn connect(machine: &Machine) -> Result<(Hearing, Saying), Trouble> {
    let name = &machine.umid;
    let socket = machines::connect(&machine.dir).map_err(|e| trouble(refusal(machine, &e)))?;
    let failed = |e: io::Error| trouble(format!("machine '{name}': {e}"));
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let saying = Saying(Mutex::new(socket.try_clone().map_err(failed)?));
    let mut hearing = Hearing {
        socket,
        decoder: Decoder::default(),
    };
    saying
        .say(&Message::Hello { version: VERSION })
        .map_err(failed)?;
    match hearing.next() {
        Ok(Some(Message::Hello { .. })) => {}
        Ok(_) => {
            let text = format!("machine '{name}' doesn't take the connection: is it yours?");
            return Err(trouble(text));
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            let secs = PATIENCE.as_secs();
            let text = format!(
                "machine '{name}' doesn't answer within {secs} s; its process may be stopped or hung"
            );
            return Err(trouble(text));
        }
        Err(e) => return Err(failed(e)),
    }
    hearing.socket.set_read_timeout(None).map_err(failed)?;
    Ok((hearing, saying))
}

fn refusal(machine: &Machine, e: &io::Error) -> String {
    let name = &machine.umid;
    match e.kind() {
        io::ErrorKind::PermissionDenied => {
            let owner = machine
                .owner()
                .map_or_else(String::new, |uid| format!(" (uid {uid})"));
            format!("machine '{name}' is another user's{owner}; only they and root may use it")
        }
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
            "machine '{name}' has no control socket in {}; its kernel may be another than Umlaut, or still starting",
            machine.dir.display()
        ),
        _ => format!("machine '{name}': {e}"),
    }
}

impl Saying {
    pub fn say(&self, message: &Message) -> io::Result<()> {
        // A writer that panicked has ended the program.
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        socket.write_all(&message.frame())
    }

    /// Ends the connection; whoever listens to it is told.
    pub fn close(&self) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may be over already.
        let _over = socket.shutdown(std::net::Shutdown::Both);
    }
}

impl Hearing {
    /// The next message; None when the machine has closed the connection.
    pub fn next(&mut self) -> io::Result<Option<Message>> {
        let mut buffer = [0; 32 << 10];
        loop {
            match self.decoder.next_message() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, e)),
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.feed(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// The next message of a session. Err: the machine refused, failed or is gone.
    pub fn expect(&mut self, name: &str) -> Result<Message, Trouble> {
        match self.next() {
            Ok(Some(Message::Failed { why, text })) => Err(Trouble {
                why: Some(why),
                text: format!("machine '{name}': {text}"),
            }),
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Trouble {
                why: Some(Failure::Ended),
                text: format!("machine '{name}': the machine is gone"),
            }),
            Err(e) => Err(trouble(format!("machine '{name}': {e}"))),
        }
    }

    /// For questions whose answer needs no guest: a read that takes longer fails.
    pub fn limit(&self, patience: Duration) {
        // Without it one only waits longer.
        let _refused = self.socket.set_read_timeout(Some(patience));
    }
}

/// What machine `machine` says about itself.
pub fn facts(machine: &Machine) -> Result<Vec<(String, String)>, Trouble> {
    let (mut hearing, saying) = connect(machine)?;
    hearing.limit(PATIENCE);
    saying
        .say(&Message::Info)
        .map_err(|e| trouble(format!("machine '{}': {e}", machine.umid)))?;
    match hearing.expect(&machine.umid)? {
        Message::Facts(facts) => Ok(facts),
        _ => Err(trouble(format!(
            "machine '{}' says something else",
            machine.umid
        ))),
    }
}

/// Finds a running machine by name and connects to it.
pub fn open(base: &Path, name: &str) -> Result<(Machine, Hearing, Saying), String> {
    let (machine, _pid) = machines::find_running(base, name)?;
    let (hearing, saying) = connect(&machine)?;
    Ok((machine, hearing, saying))
}
