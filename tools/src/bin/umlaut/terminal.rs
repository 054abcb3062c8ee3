//! The terminal that `umlaut` was started on.

use control::Size;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, stdin, stdout};

/// The terminal in raw mode; dropping it gives the settings back.
pub struct Raw(Termios);

impl Raw {
    /// Makes standard input raw. None when it is no terminal.
    pub fn enter() -> Option<Raw> {
        let saved = tcgetattr(stdin()).ok()?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw).ok()?;
        Some(Raw(saved))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _gone = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Whether both standard input and output are terminals.
pub fn is_interactive() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// The window's size.
pub fn size() -> Option<Size> {
    let size = tcgetwinsize(stdout())
        .or_else(|_| tcgetwinsize(stdin()))
        .ok()?;
    Some(Size {
        rows: size.ws_row,
        columns: size.ws_col,
        width: size.ws_xpixel,
        height: size.ws_ypixel,
    })
}
