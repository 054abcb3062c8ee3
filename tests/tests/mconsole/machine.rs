//! A machine with a management console, and a client that sees single packets.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use umlaut_tests::paths::{self, Scratch};

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` gives a value.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() > end {
            return Err(format!("waited in vain for {what}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub struct Machine {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    /// Its home directory; machines are under `.uml`.
    pub home: Arc<Scratch>,
    pub umid: String,
}

impl Machine {
    /// Boots the host's tree with a shell that runs `script`, and waits for its management console.
    pub fn boot(args: &[&str], script: &str) -> Result<Machine, String> {
        let home = Arc::new(Scratch::on_disk("mconsole"));
        Machine::boot_in(home, "m", args, script)
    }

    pub fn boot_in(
        home: Arc<Scratch>,
        umid: &str,
        args: &[&str],
        script: &str,
    ) -> Result<Machine, String> {
        let mut child = Command::new(paths::linux())
            .args(["quiet", "mem=256M", "con0=null,fd:1"])
            .arg(format!("umid={umid}"))
            .args(args)
            .args(["--", "-c", script])
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| format!("{}: {e}", paths::linux().display()))?;
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (child.stdout.take().unwrap(), output.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let mut machine = Machine {
            child,
            output,
            home,
            umid: umid.to_owned(),
        };
        let socket = machine.socket();
        wait_for("the management console", || {
            let answers = Console::open(&socket).is_ok_and(|c| c.ask(b"version").is_ok());
            (answers || !machine.lives()).then_some(())
        })?;
        Ok(machine)
    }

    /// As [`boot`](Self::boot), for a script that prints `ready` when it is.
    pub fn ready(args: &[&str], script: &str) -> Result<Machine, String> {
        let machine = Machine::boot(args, script)?;
        machine.expect("ready")?;
        Ok(machine)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join("mconsole")
    }

    pub fn dir(&self) -> PathBuf {
        self.home.path().join(".uml").join(&self.umid)
    }

    pub fn console(&self) -> Result<Console, String> {
        Console::open(&self.socket())
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).replace('\r', "")
    }

    /// Waits until the guest has printed `text`.
    pub fn expect(&self, text: &str) -> Result<(), String> {
        wait_for(&format!("'{text}' on the console"), || {
            self.output().contains(text).then_some(())
        })
        .map_err(|e| format!("{e}; the console so far:\n{}", self.output()))
    }

    /// Waits for the end of the host process.
    pub fn end(&mut self) -> Result<ExitStatus, String> {
        wait_for("the machine's end", || self.child.try_wait().ok().flatten())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// `err`, `more` and text (with its NUL) of a packet.
pub type Packet = (i32, u32, Vec<u8>);

/// A client with a bound name.
pub struct Console {
    pub own: UnixDatagram,
    own_path: PathBuf,
    socket: PathBuf,
}

impl Console {
    pub fn open(socket: &Path) -> Result<Console, String> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own_path =
            std::env::temp_dir().join(format!("mconsole-test-{}-{number}", std::process::id()));
        let own = UnixDatagram::bind(&own_path).map_err(|e| e.to_string())?;
        own.set_read_timeout(Some(PATIENCE))
            .map_err(|e| e.to_string())?;
        Ok(Console {
            own,
            own_path,
            socket: socket.to_owned(),
        })
    }

    pub fn send(&self, datagram: &[u8]) -> Result<(), String> {
        match self.own.send_to(datagram, &self.socket) {
            Ok(_) => Ok(()),
            Err(e) => Err(format!("sending to {}: {e}", self.socket.display())),
        }
    }

    pub fn receive(&self) -> Result<Vec<u8>, String> {
        let mut buffer = [0; 4096];
        let got = self
            .own
            .recv(&mut buffer)
            .map_err(|e| format!("no answer: {e}"))?;
        Ok(buffer[..got].to_vec())
    }

    /// All packets of the answer to `command`.
    pub fn packets(&self, command: &[u8]) -> Result<Vec<Packet>, String> {
        self.send(&request(2, command.len() as u32, command))?;
        let mut packets: Vec<Packet> = Vec::new();
        while packets.last().is_none_or(|p| p.1 != 0) {
            packets.push(packet(&self.receive()?)?);
        }
        Ok(packets)
    }

    /// `err` and the whole text.
    pub fn ask(&self, command: &[u8]) -> Result<(i32, String), String> {
        let packets = self.packets(command)?;
        let text = packets
            .iter()
            .flat_map(|p| &p.2[..p.2.len() - 1])
            .copied()
            .collect();
        Ok((
            packets[0].0,
            String::from_utf8(text).map_err(|e| e.to_string())?,
        ))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.own_path);
    }
}

/// A request of the packaged client's size.
pub fn request(version: u32, len: u32, text: &[u8]) -> Vec<u8> {
    let mut out = 0xcafe_babe_u32.to_ne_bytes().to_vec();
    out.extend(version.to_ne_bytes());
    out.extend(len.to_ne_bytes());
    out.extend(text);
    out.resize(out.len().max(524), 0);
    out
}

/// Reads a reply packet, whose length must be as it says.
pub fn packet(datagram: &[u8]) -> Result<Packet, String> {
    let number = |at: usize| -> Result<u32, String> {
        let bytes = datagram.get(at..at + 4).ok_or("a reply without a header")?;
        Ok(u32::from_ne_bytes(bytes.try_into().unwrap()))
    };
    let (err, more, len) = (number(0)?, number(4)?, number(8)? as usize);
    let text = datagram[12..].to_vec();
    if text.len() != len || text.last() != Some(&0) {
        return Err(format!("a packet of {} bytes says {len}", text.len()));
    }
    Ok((err as i32, more, text))
}

pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {got:?}, not {wanted:?}"))
    }
}

pub fn holds(condition: bool, what: impl std::fmt::Display) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(what.to_string())
    }
}
