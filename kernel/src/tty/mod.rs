//! Terminals: the line discipline, ptys, consoles and serial lines, job control.
//!
//! A [`Tty`] is a terminal: an [`ntty`](NTty) (pure state: bytes in; a read buffer, echo and signals out) over a
//! [`TtyDriver`], the line. All state of a terminal lies under its one lock; a change is a closure given to `Tty::run`, which then
//! carries out what follows from it (signals, wake-ups, echo) in one place. `job` knows sessions and foreground
//! groups, `file` reads and writes for programs, `devices` has the numbered lines, `pty` the pairs.

mod devices;
mod driver;
mod file;
mod ioctl;
mod job;
mod ntty;
mod pty;
mod terminal;

pub use devices::{
    CONSOLES, SERIALS, add_line, console, init, line, proc_consoles, proc_drivers, remove_line,
    set_consoles,
};
pub use driver::TtyDriver;
pub use file::TtyFile;
pub use ioctl::LEGACY_TIOCSTI;
pub use job::{controlling, session_leader_exit, set_controlling, vhangup};
pub use ntty::{Effects, NTty, Taken};
pub use pty::{Pair, SLAVES, encode_dev, open_slave_of, slave_rdev};
pub use terminal::{FLIP_BYTES, Kind, Spec, Tty};
