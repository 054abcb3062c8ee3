//! Terminals: the line discipline, ptys, consoles, job control.

/// A terminal.
pub struct Tty {}
