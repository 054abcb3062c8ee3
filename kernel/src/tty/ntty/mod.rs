//! The line discipline (drivers/tty/n_tty.c) as a state machine without I/O: bytes from the line go in, and out come
//! a read buffer, bytes to echo and [`Effects`] that the owner carries out when its lock is released.
//!
//! Echo is computed when the character comes and not, as in Linux, when the line has room for it; bytes that
//! have no room wait here, in front of later output.

mod echo;
mod input;
mod output;
#[cfg(test)]
mod tests;

use abi::tty::*;
use std::collections::VecDeque;

/// Bytes that the read buffer holds (N_TTY_BUF_SIZE): a line has at most one less, and its newline.
pub const BUFFER: usize = 4096;
/// Echo that waits for room, at most.
const ECHO_LIMIT: usize = 4096;
/// Marks end of file in a canonical read buffer, and a control character that is switched off.
const DISABLED: u8 = POSIX_VDISABLE;

/// What input asks the terminal to do.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Effects {
    /// Signals for the foreground process group, in order.
    pub signals: Vec<i32>,
    /// Throw away output that the line has not sent yet.
    pub flush_output: bool,
    /// Input was thrown away.
    pub flushed_input: bool,
    /// Output was stopped (true) or started.
    pub flow: Option<bool>,
    /// There may be something to read now.
    pub readable: bool,
}

/// One step of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// Nothing to read yet.
    Nothing,
    /// So many bytes. `end`: a line is complete (or ended by the end-of-file character), the read is over.
    Data { bytes: usize, end: bool },
}

/// The line discipline of one terminal.
pub struct NTty {
    termios: Termios2,
    special: [bool; 256],
    /// No character means anything: bytes pass unseen.
    raw: bool,
    /// Empty until the first character: most lines are never used.
    buffer: Box<[u8]>,
    /// Ends of lines, by place in the buffer.
    marks: Box<[bool]>,
    /// Positions only grow; the place is their remainder by [`BUFFER`].
    head: usize,
    tail: usize,
    canon_head: usize,
    erasing: bool,
    lnext: bool,
    column: u32,
    canon_column: u32,
    echo: VecDeque<u8>,
    stopped: bool,
    /// Stopped by TCXONC: only that starts it again.
    held: bool,
    effects: Effects,
}

impl NTty {
    pub fn new(termios: Termios2) -> NTty {
        let mut ldisc = NTty {
            termios,
            special: [false; 256],
            raw: false,
            buffer: Box::default(),
            marks: Box::default(),
            head: 0,
            tail: 0,
            canon_head: 0,
            erasing: false,
            lnext: false,
            column: 0,
            canon_column: 0,
            echo: VecDeque::new(),
            stopped: false,
            held: false,
            effects: Effects::default(),
        };
        ldisc.map_special();
        ldisc
    }

    pub fn termios(&self) -> &Termios2 {
        &self.termios
    }

    fn i(&self, flag: u32) -> bool {
        self.termios.c_iflag & flag != 0
    }

    fn o(&self, flag: u32) -> bool {
        self.termios.c_oflag & flag != 0
    }

    fn l(&self, flag: u32) -> bool {
        self.termios.c_lflag & flag != 0
    }

    fn cc(&self, index: usize) -> u8 {
        self.termios.c_cc[index]
    }

    /// Lines are edited here, and not by the program at the other end (EXTPROC).
    fn canonical(&self) -> bool {
        self.l(ICANON) && !self.l(EXTPROC)
    }

    /// Takes new settings (n_tty_set_termios()).
    pub fn set_termios(&mut self, new: Termios2) {
        let old = std::mem::replace(&mut self.termios, new);
        if (old.c_lflag ^ new.c_lflag) & (ICANON | EXTPROC) != 0 {
            self.marks.fill(false);
            if !self.l(ICANON) || self.head == self.tail {
                self.canon_head = self.tail;
            } else {
                self.marks[(self.head - 1) % BUFFER] = true;
                self.canon_head = self.head;
            }
            self.erasing = false;
            self.lnext = false;
        }
        self.map_special();
        if !self.i(IXON) && old.c_iflag & IXON != 0 && !self.held {
            self.start();
        }
        self.effects.readable = true;
    }

    fn map_special(&mut self) {
        let mut map = [false; 256];
        let mut put = |c: u8| map[usize::from(c)] = true;
        if self.i(IGNCR | ICRNL) {
            put(b'\r');
        }
        if self.i(INLCR) {
            put(b'\n');
        }
        if self.l(ICANON) {
            put(b'\n');
            for index in [VERASE, VKILL, VEOF, VEOL] {
                put(self.cc(index));
            }
            if self.l(IEXTEN) {
                for index in [VWERASE, VLNEXT, VEOL2] {
                    put(self.cc(index));
                }
                if self.l(ECHO) {
                    put(self.cc(VREPRINT));
                }
            }
        }
        if self.i(IXON) {
            put(self.cc(VSTART));
            put(self.cc(VSTOP));
        }
        if self.l(ISIG) {
            for index in [VINTR, VQUIT, VSUSP] {
                put(self.cc(index));
            }
        }
        map[usize::from(DISABLED)] = false;
        self.special = map;
        self.raw = !self.i(ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK)
            && !self.l(ICANON | ISIG | ECHO);
    }

    /// What the last calls asked for.
    pub fn effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Whether output is stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn stop(&mut self) {
        if !self.stopped {
            self.stopped = true;
            self.effects.flow = Some(true);
        }
    }

    fn start(&mut self) {
        if self.stopped && !self.held {
            self.stopped = false;
            self.effects.flow = Some(false);
        }
    }

    /// TCXONC TCOOFF.
    pub fn hold(&mut self) {
        if !self.held {
            self.held = true;
            self.stop();
        }
    }

    /// TCXONC TCOON.
    pub fn release(&mut self) {
        if self.held {
            self.held = false;
            self.start();
        }
    }

    /// Bytes in the read buffer; in canonical mode those of complete lines (TIOCINQ).
    pub fn readable_bytes(&self) -> usize {
        if !self.canonical() {
            return self.head - self.tail;
        }
        (self.tail..self.canon_head)
            .filter(|p| !(self.marks[p % BUFFER] && self.buffer[p % BUFFER] == DISABLED))
            .count()
    }

    /// Whether a read would find something; `for_poll`: as much as VMIN asks for.
    pub fn available(&self, for_poll: bool) -> bool {
        if self.canonical() {
            return self.canon_head != self.tail;
        }
        let want = match (for_poll, self.cc(VTIME), self.cc(VMIN)) {
            (true, 0, min @ 1..) => usize::from(min),
            _ => 1,
        };
        self.head - self.tail >= want
    }

    /// Moves bytes to `out`, of one line at most in canonical mode.
    pub fn take(&mut self, out: &mut [u8]) -> Taken {
        if !self.available(false) {
            return Taken::Nothing;
        }
        if !self.canonical() {
            let bytes = out.len().min(self.head - self.tail);
            for slot in &mut out[..bytes] {
                *slot = self.buffer[self.tail % BUFFER];
                self.marks[self.tail % BUFFER] = false;
                self.tail += 1;
            }
            self.canon_head = self.canon_head.max(self.tail);
            if self.l(ICANON) {
                let is_eof = bytes == 1 && out[0] == self.cc(VEOF) && self.head == self.tail;
                let bytes = if is_eof { 0 } else { bytes };
                return Taken::Data { bytes, end: true };
            }
            return Taken::Data { bytes, end: false };
        }
        let mut bytes = 0;
        while self.tail != self.canon_head {
            let place = self.tail % BUFFER;
            let end = self.marks[place];
            let eof = end && self.buffer[place] == DISABLED;
            if bytes == out.len() && !eof {
                break;
            }
            self.marks[place] = false;
            self.tail += 1;
            if !eof {
                out[bytes] = self.buffer[place];
                bytes += 1;
            }
            if end {
                return Taken::Data { bytes, end };
            }
        }
        Taken::Data { bytes, end: false }
    }

    /// Throws the input away (TCIFLUSH).
    pub fn flush_input(&mut self) {
        self.head = 0;
        self.tail = 0;
        self.canon_head = 0;
        self.marks.fill(false);
        self.erasing = false;
        self.lnext = false;
        self.effects.flushed_input = true;
    }

    /// A hang-up: as new but for the settings.
    pub fn reset(&mut self) {
        self.flush_input();
        self.echo.clear();
        self.column = 0;
        self.canon_column = 0;
        self.held = false;
        self.stopped = false;
    }

    /// Input has ended for ever: what was typed of a line becomes readable.
    pub fn end_input(&mut self) {
        if self.canonical() && self.head != self.canon_head {
            self.marks[(self.head - 1) % BUFFER] = true;
            self.canon_head = self.head;
        }
        self.effects.readable = true;
    }
}
