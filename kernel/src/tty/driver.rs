//! What a terminal asks of the line behind it.

use super::Tty;
use crate::error::Result;
use abi::tty::{Termios2, Winsize};
use std::sync::Arc;

/// One line: a console's channel, a serial port, the master side of a pty.
///
/// All but [`open`](Self::open) and [`close`](Self::close) are called with the terminal's lock held: they do not block and
/// never call the terminal. What comes from the line goes the other way: [`Tty::receive`], [`Tty::write_wakeup`],
/// [`Tty::hangup`], [`Tty::set_winsize`], [`Tty::end_input`], called without locks of TTY rank or above.
pub trait TtyDriver: Send + Sync {
    /// A file is opened; `first` when there was none. May sleep. EIO, ENODEV: the open fails.
    fn open(&self, _tty: &Arc<Tty>, _first: bool) -> Result<()> {
        Ok(())
    }

    /// The last file was closed.
    fn close(&self, _tty: &Tty) {}

    /// Takes bytes and returns how many; at least [`write_room`](Self::write_room) of them.
    fn write(&self, bytes: &[u8]) -> usize;

    /// Bytes that a write is sure to take.
    fn write_room(&self) -> usize;

    /// Bytes that were taken and are still on their way (TIOCOUTQ, tcdrain).
    fn chars_in_buffer(&self) -> usize {
        0
    }

    /// Throws away what was taken and not sent.
    fn flush_output(&self) {}

    /// Input was thrown away (packet mode tells the master).
    fn flushed_input(&self) {}

    /// Settings are to change from `old` to `new`; the driver undoes what it can't do.
    fn set_termios(&self, _old: &Termios2, _new: &mut Termios2) {}

    /// The size of the window changed from inside.
    fn winsize_changed(&self, _size: Winsize) {}

    /// Output was stopped by the user, or goes on.
    fn flow(&self, _stopped: bool) {}

    /// There is room for input again, after [`Tty::receive`] took less than it was given.
    fn unthrottle(&self) {}

    /// The terminal is hung up: forget output.
    fn hangup(&self) {
        self.flush_output();
    }

    /// Whether the settings go back to those of the start when the last file is closed.
    fn resets_termios(&self) -> bool {
        false
    }
}
