//! A terminal with a program on it, driven as somebody at a keyboard would.

use crate::machine;
use crate::paths::Scratch;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A program whose controlling terminal we hold the other end of.
pub struct Terminal {
    master: File,
    /// Kept open, so that the settings can be read after the program ended.
    slave: File,
    child: Child,
    family: Vec<(i32, u64)>,
    chunks: Receiver<Vec<u8>>,
    /// Everything seen so far.
    pub screen: String,
    matched: usize,
    /// The program's home directory.
    _home: Scratch,
}

impl Terminal {
    /// Starts `program` on a new terminal of 24 by 80.
    pub fn start(program: &Path, args: &[&str]) -> Result<Terminal, String> {
        let text = |e: std::io::Error| e.to_string();
        let master: OwnedFd =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).map_err(|e| e.to_string())?;
        grantpt(&master).map_err(|e| e.to_string())?;
        unlockpt(&master).map_err(|e| e.to_string())?;
        let name = ptsname(&master, Vec::new()).map_err(|e| e.to_string())?;
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_string_lossy().as_ref())
            .map_err(text)?;
        resize(&master, 24, 80)?;
        let home = Scratch::on_disk("home");
        // setsid makes the terminal the controlling one, then becomes the program.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(program)
            .args(args)
            .env("TERM", "xterm")
            .env("SHELL", "/bin/bash")
            .env("HOME", home.path())
            .stdin(Stdio::from(slave.try_clone().map_err(text)?))
            .stdout(Stdio::from(slave.try_clone().map_err(text)?))
            .stderr(Stdio::from(slave.try_clone().map_err(text)?))
            .spawn()
            .map_err(text)?;
        let master = File::from(master);
        let mut reader = master.try_clone().map_err(text)?;
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Terminal {
            master,
            slave,
            child,
            family: Vec::new(),
            chunks,
            screen: String::new(),
            matched: 0,
            _home: home,
        })
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Types `keys`.
    pub fn send(&mut self, keys: &str) -> Result<(), String> {
        self.master
            .write_all(keys.as_bytes())
            .map_err(|e| format!("typing {keys:?}: {e}"))
    }

    /// Waits until `text` shows after what was matched last.
    pub fn expect(&mut self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            machine::note_family(self.child.id() as i32, &mut self.family);
            if let Some(at) = self.screen[self.matched..].find(text) {
                self.matched += at + text.len();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen = &self.screen[self.matched..];
                return Err(format!("{text:?} didn't appear; since then: {seen:?}"));
            }
            if let Ok(chunk) = self
                .chunks
                .recv_timeout(left.min(Duration::from_millis(100)))
            {
                self.screen.push_str(&String::from_utf8_lossy(&chunk));
            }
        }
    }

    /// Types a line and waits for a text that isn't in the line itself.
    pub fn line(&mut self, line: &str, answer: &str) -> Result<(), String> {
        self.send(&format!("{line}\r"))?;
        self.expect(answer)
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<(), String> {
        resize(&self.master, rows, columns)
    }

    /// The terminal's present settings.
    pub fn settings(&self) -> Result<Termios, String> {
        tcgetattr(&self.slave).map_err(|e| e.to_string())
    }

    /// Waits for the end; `None` after 30 s (it is killed then). Also gives the
    /// processes that stayed behind.
    pub fn wait(&mut self) -> (Option<ExitStatus>, Vec<i32>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            machine::note_family(self.child.id() as i32, &mut self.family);
            status = self.child.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(10));
        }
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        (status, machine::strays(&self.family))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        machine::strays(&self.family);
    }
}

fn resize(master: &impl std::os::fd::AsFd, rows: u16, columns: u16) -> Result<(), String> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(master, size).map_err(|e| e.to_string())
}
