//! Host terminals: raw mode with the way back, and the window's size.

use crate::guardian::{self, Attributes};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};

/// Rows, columns, and pixels of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
    pub width: u16,
    pub height: u16,
}

struct Raw {
    fd: Arc<OwnedFd>,
    saved: Attributes,
    raw: Attributes,
    users: usize,
}

/// Terminals in raw mode, by device number: several descriptors may be the same terminal.
static RAW: Mutex<Option<HashMap<u64, Raw>>> = Mutex::new(None);

/// A terminal in raw mode; its attributes come back when the last of its kind is dropped.
pub struct RawMode {
    device: u64,
}

fn device(fd: &OwnedFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(fd)?.st_rdev)
}

/// Whether `fd` is a terminal.
pub fn is_terminal(fd: &OwnedFd) -> bool {
    rustix::termios::isatty(fd)
}

impl Raw {
    fn restore(&self) {
        if !is_anothers(&self.fd) {
            // A terminal that is gone needs nothing back.
            let _gone = self.saved.apply(self.fd.as_fd());
        }
    }
}

impl RawMode {
    /// Makes the terminal raw (cfmakeraw); while another job has it, that waits for [`reapply`]. ENOTTY.
    pub fn enter(fd: &Arc<OwnedFd>) -> io::Result<RawMode> {
        let device = device(fd)?;
        let mut all = RAW.lock().expect("nothing panics with it held");
        let all = all.get_or_insert_default();
        if let Some(raw) = all.get_mut(&device) {
            raw.users += 1;
            return Ok(RawMode { device });
        }
        let saved = Attributes::of(fd.as_fd())?;
        let raw = saved.raw();
        guardian::watch(fd.as_fd(), &saved, &raw);
        if !is_anothers(fd) {
            raw.apply(fd.as_fd())?;
        }
        all.insert(
            device,
            Raw {
                fd: fd.clone(),
                saved,
                raw,
                users: 1,
            },
        );
        Ok(RawMode { device })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let mut all = RAW.lock().expect("nothing panics with it held");
        let Some(all) = all.as_mut() else { return };
        if let Some(raw) = all.get_mut(&self.device) {
            raw.users -= 1;
            if raw.users == 0 {
                raw.restore();
                all.remove(&self.device);
                guardian::forget(self.device);
            }
        }
    }
}

/// Gives every terminal its attributes back, for the time of a stop or for good. [`reapply`] undoes it.
pub fn restore_all() {
    if let Some(all) = &*RAW.lock().expect("nothing panics with it held") {
        all.values().for_each(Raw::restore);
    }
}

/// Whether another job than ours has terminal `fd` in the foreground: its attributes are that job's.
fn is_anothers(fd: &OwnedFd) -> bool {
    // SAFETY: it takes nothing. (rustix's wants a number, and a group of an outer PID namespace has none: 0.)
    let own = unsafe { libc::getpgrp() };
    rustix::termios::tcgetpgrp(fd).is_ok_and(|foreground| foreground.as_raw_pid() != own)
}

/// Makes the terminals raw again after [`restore_all`] or when somebody else had them meanwhile; not those on which
/// another job is in the foreground.
pub fn reapply() {
    if let Some(all) = &*RAW.lock().expect("nothing panics with it held") {
        for raw in all.values() {
            if is_anothers(&raw.fd) {
                continue;
            }
            let _gone = raw.raw.apply(raw.fd.as_fd());
        }
    }
}

/// The size of the window of terminal `fd`. ENOTTY.
pub fn size(fd: &OwnedFd) -> io::Result<Size> {
    let size = rustix::termios::tcgetwinsize(fd)?;
    Ok(Size {
        rows: size.ws_row,
        columns: size.ws_col,
        width: size.ws_xpixel,
        height: size.ws_ypixel,
    })
}

/// The descriptor numbers 0, 1 and 2 that are terminals.
pub fn standard_terminals() -> Vec<RawFd> {
    [
        std::io::stdin().as_raw_fd(),
        std::io::stdout().as_raw_fd(),
        std::io::stderr().as_raw_fd(),
    ]
    .into_iter()
    .filter(|fd| {
        // SAFETY: isatty takes any number.
        unsafe { libc::isatty(*fd) == 1 }
    })
    .collect()
}
