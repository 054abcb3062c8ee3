//! Consoles and serial lines by number, and what /dev/tty, /dev/console and /dev/ptmx open.

use super::file::{Opening, TtyFile};
use super::terminal::{Kind, Spec, Tty};
use super::{TtyDriver, job, pty};
use crate::error::{Result, err};
use crate::fs::devtmpfs;
use crate::sched;
use crate::sync::{Lock, Rank};
use crate::vfs::{DeviceOps, FileOps, Path, register_char};
use abi::errno::Errno;
use abi::fs::{OpenFlags, makedev, minor};
use abi::tty::Termios2;
use std::sync::Arc;

/// Number of virtual consoles, tty0 and up.
pub const CONSOLES: u32 = 16;
/// Number of serial lines, ttyS0 and up.
pub const SERIALS: u32 = 64;
const TTY_MAJOR: u32 = 4;
const AUX_MAJOR: u32 = 5;
const FIRST_SERIAL: u32 = 64;

struct Lines {
    consoles: [Option<Arc<Tty>>; CONSOLES as usize],
    serials: [Option<Arc<Tty>>; SERIALS as usize],
    /// Where the log is printed; the last one is /dev/console.
    consoles_printed: Vec<(Kind, u32)>,
}

static LINES: Lock<Lines> = Lock::new(
    Rank::LEAF,
    Lines {
        consoles: [const { None }; CONSOLES as usize],
        serials: [const { None }; SERIALS as usize],
        consoles_printed: Vec::new(),
    },
);

impl Lines {
    fn slot(&mut self, kind: Kind, index: u32) -> Option<&mut Option<Arc<Tty>>> {
        match kind {
            Kind::Console => self.consoles.get_mut(index as usize),
            Kind::Serial => self.serials.get_mut(index as usize),
            Kind::Pty => None,
        }
    }
}

/// `tty1` or `ttyS1`.
fn name(kind: Kind, index: u32) -> String {
    match kind {
        Kind::Serial => format!("ttyS{index}"),
        _ => format!("tty{index}"),
    }
}

fn device(kind: Kind, index: u32) -> u64 {
    match kind {
        Kind::Serial => makedev(TTY_MAJOR, FIRST_SERIAL + index),
        _ => makedev(TTY_MAJOR, index),
    }
}

/// Makes a console or serial line, with its node in devtmpfs. ENODEV beyond the last number, EBUSY when it is there.
pub fn add_line(
    kind: Kind,
    index: u32,
    termios: Termios2,
    driver: Box<dyn TtyDriver>,
) -> Result<Arc<Tty>> {
    let rdev = device(kind, index);
    let tty = Tty::new(
        Spec {
            kind,
            index,
            name: name(kind, index),
            rdev,
            termios,
        },
        driver,
    );
    {
        let mut lines = LINES.lock();
        let slot = lines.slot(kind, index).ok_or(Errno::ENODEV)?;
        if slot.is_some() {
            return err(Errno::EBUSY);
        }
        *slot = Some(tty.clone());
    }
    // The guest may have made a node of its own.
    let _there = devtmpfs::add_char(tty.name(), TTY_MAJOR, minor(rdev), 0o620, 5);
    Ok(tty)
}

/// Takes a line away with its node: later opens fail with ENODEV. EBUSY while it is open.
pub fn remove_line(kind: Kind, index: u32) -> Result<()> {
    {
        let mut lines = LINES.lock();
        let slot = lines.slot(kind, index).ok_or(Errno::ENODEV)?;
        if slot.as_ref().is_some_and(|tty| tty.opens() > 0) {
            return err(Errno::EBUSY);
        }
        *slot = None;
    }
    devtmpfs::remove(&name(kind, index));
    Ok(())
}

/// The line of this number, if it is there.
pub fn line(kind: Kind, index: u32) -> Option<Arc<Tty>> {
    LINES.lock().slot(kind, index)?.clone()
}

/// Chooses where the log is printed; the last one is what /dev/console is (`console=`).
pub fn set_consoles(consoles: Vec<(Kind, u32)>) {
    LINES.lock().consoles_printed = consoles;
}

/// What /dev/console is.
pub fn console() -> Option<Arc<Tty>> {
    let (kind, index) = *LINES.lock().consoles_printed.last()?;
    line(kind, index)
}

struct Numbered;
struct Aux;
struct Slaves;

impl DeviceOps for Numbered {
    fn open(&self, _path: &Path, rdev: u64, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        let tty = match minor(rdev) {
            n if n < CONSOLES => line(Kind::Console, n),
            n => line(Kind::Serial, n - FIRST_SERIAL),
        };
        let tty = tty.ok_or(Errno::ENODEV)?;
        Ok(Box::new(TtyFile::open(&tty, flags, Opening::default())?))
    }
}

impl DeviceOps for Aux {
    fn open(&self, path: &Path, rdev: u64, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        let (tty, console) = match minor(rdev) {
            0 => (
                sched::try_current()
                    .and_then(|task| job::controlling(&task.group))
                    .ok_or(Errno::ENXIO)?,
                false,
            ),
            1 => (console().ok_or(Errno::ENODEV)?, true),
            _ => return Ok(Box::new(pty::open_master(path)?)),
        };
        let how = Opening {
            noctty: true,
            console,
        };
        Ok(Box::new(TtyFile::open(&tty, flags, how)?))
    }
}

impl DeviceOps for Slaves {
    fn open(&self, path: &Path, _rdev: u64, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        Ok(Box::new(pty::open_slave(path, flags)?))
    }
}

/// Makes the terminal devices known. Once, at boot, after devtmpfs is there.
pub fn init() -> Result<()> {
    let numbered = Arc::new(Numbered);
    register_char(TTY_MAJOR, 0..CONSOLES, numbered.clone());
    register_char(TTY_MAJOR, FIRST_SERIAL..FIRST_SERIAL + SERIALS, numbered);
    register_char(AUX_MAJOR, 0..3, Arc::new(Aux));
    let slaves = Arc::new(Slaves);
    for major in pty::SLAVE_MAJOR..pty::SLAVE_MAJOR + 8 {
        register_char(major, 0..256, slaves.clone());
    }
    crate::fs::devpts::register();
    devtmpfs::add_char("tty", AUX_MAJOR, 0, 0o666, 5)?;
    devtmpfs::add_char("console", AUX_MAJOR, 1, 0o600, 0)?;
    devtmpfs::add_char("ptmx", AUX_MAJOR, 2, 0o666, 5)?;
    Ok(())
}

/// /proc/tty/drivers.
pub fn proc_drivers() -> String {
    [
        ("/dev/tty", "/dev/tty", "5", "0", "system:/dev/tty"),
        ("/dev/console", "/dev/console", "5", "1", "system:console"),
        ("/dev/ptmx", "/dev/ptmx", "5", "2", "system"),
        ("UML serial line", "/dev/ttyS", "4", "64-127", "serial"),
        ("UML console", "/dev/tty", "4", "0-15", "console"),
        ("pty_slave", "/dev/pts", "136", "0-1048575", "pty:slave"),
        ("pty_master", "/dev/ptm", "128", "0-1048575", "pty:master"),
    ]
    .iter()
    .map(|(driver, node, major, minors, kind)| {
        // A range is as long as it is, a single number stands at the right (show_tty_range()).
        format!(
            "{driver:<20} {node:<13} {major:>3} {minors:>width$} {kind}\n",
            width = if minors.contains('-') { 0 } else { 7 }
        )
    })
    .collect()
}

/// /proc/consoles: where the kernel log is printed, /dev/console first, and the management console, which listens.
pub fn proc_consoles() -> String {
    let printed = LINES.lock().consoles_printed.clone();
    let mut text = String::new();
    for (n, (kind, index)) in printed.into_iter().rev().enumerate() {
        let Some(tty) = line(kind, index) else {
            continue;
        };
        let flags = if n == 0 { "EC  p a" } else { "E   p a" };
        let (major, minor) = (abi::fs::major(tty.rdev()), minor(tty.rdev()));
        text += &format!("{:<21}-W- ({flags}) {major:>4}:{minor}\n", tty.name());
    }
    text + &format!("{:<21}-W- (E      )\n", "mc-1")
}
