//! Echo, and the erasing of characters, words and lines on the screen.

use super::{BUFFER, ECHO_LIMIT, NTty};
use abi::tty::*;

/// Control characters of ASCII, as the kernel's ctype has them.
pub(super) fn is_control(c: u8) -> bool {
    c.is_ascii_control()
}

/// Letters and digits of Latin-1, as the kernel's ctype has them: so bytes of UTF-8 count as letters.
fn is_alphanumeric(c: u8) -> bool {
    c.is_ascii_alphanumeric() || (c >= 0xc0 && c != 0xd7 && c != 0xf7)
}

/// The capital of a Latin-1 letter, as the kernel's toupper() has it.
pub(super) fn to_upper(c: u8) -> u8 {
    match c {
        b'a'..=b'z' => c - 0x20,
        0xdf..=0xff if c != 0xf7 => c - 0x20,
        _ => c,
    }
}

/// The small form of a Latin-1 letter, as the kernel's tolower() has it.
pub(super) fn to_lower(c: u8) -> u8 {
    match c {
        b'A'..=b'Z' => c + 0x20,
        0xc0..=0xde if c != 0xd7 => c + 0x20,
        _ => c,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kill {
    Char,
    Word,
    Line,
}

impl NTty {
    /// Echo that waits to be written, oldest first.
    pub fn echo(&self) -> (&[u8], &[u8]) {
        self.echo.as_slices()
    }

    /// The first `bytes` of the echo have been written.
    pub fn echo_written(&mut self, bytes: usize) {
        self.echo.drain(..bytes);
    }

    fn push_echo(&mut self, c: u8) {
        if self.echo.len() == ECHO_LIMIT {
            self.echo.pop_front();
        }
        self.echo.push_back(c);
    }

    /// A character as itself, through output processing.
    pub(super) fn echo_raw(&mut self, c: u8) {
        if c == 0xff {
            // Linux's echo buffer uses it as an escape, and so never processes it.
            self.column = self.column.wrapping_add(1);
            return self.push_echo(c);
        }
        if !self.o(OPOST) {
            return self.push_echo(c);
        }
        let (bytes, len) = self.process(c);
        for &b in &bytes[..len] {
            self.push_echo(b);
        }
    }

    /// A character, a control character as `^X` if so set.
    pub(super) fn echo_char(&mut self, c: u8) {
        if self.l(ECHOCTL) && is_control(c) && c != b'\t' {
            self.push_echo(b'^');
            self.push_echo(c ^ 0o100);
            self.column += 2;
        } else {
            self.echo_raw(c);
        }
    }

    pub(super) fn finish_erasing(&mut self) {
        if std::mem::take(&mut self.erasing) {
            self.echo_raw(b'/');
        }
    }

    pub(super) fn is_continuation(&self, c: u8) -> bool {
        self.i(IUTF8) && c & 0xc0 == 0x80
    }

    fn at(&self, position: usize) -> u8 {
        self.buffer[position % BUFFER]
    }

    /// VERASE, VWERASE and VKILL (eraser()).
    pub(super) fn erase(&mut self, c: u8) {
        if self.head == self.canon_head {
            return;
        }
        let kill = if c == self.cc(VERASE) {
            Kill::Char
        } else if c == self.cc(VWERASE) {
            Kill::Word
        } else {
            Kill::Line
        };
        if kill == Kill::Line {
            if !self.l(ECHO) {
                self.head = self.canon_head;
                return;
            }
            if !(self.l(ECHOK) && self.l(ECHOKE) && self.l(ECHOE)) {
                self.head = self.canon_head;
                self.finish_erasing();
                self.echo_char(c);
                if self.l(ECHOK) {
                    self.echo_raw(b'\n');
                }
                return;
            }
        }
        let mut in_word = false;
        while self.head != self.canon_head {
            let mut first = self.head - 1;
            while self.is_continuation(self.at(first)) && first != self.canon_head {
                first -= 1;
            }
            let last = self.at(first);
            if self.is_continuation(last) {
                break;
            }
            if kill == Kill::Word {
                if is_alphanumeric(last) || last == b'_' {
                    in_word = true;
                } else if in_word {
                    break;
                }
            }
            let bytes = self.head - first;
            self.head = first;
            if self.l(ECHO) {
                self.echo_erased(kill, last, bytes);
            }
            if kill == Kill::Char {
                break;
            }
        }
        if self.head == self.canon_head && self.l(ECHO) {
            self.finish_erasing();
        }
    }

    /// Shows that the character `c` of so many bytes, which stood at the head, is gone.
    fn echo_erased(&mut self, kill: Kill, c: u8, bytes: usize) {
        if self.l(ECHOPRT) {
            if !self.erasing {
                self.echo_raw(b'\\');
                self.erasing = true;
            }
            self.echo_char(c);
            for i in 1..bytes {
                self.echo_raw(self.at(self.head + i));
                self.column = self.column.saturating_sub(1);
            }
        } else if kill == Kill::Char && !self.l(ECHOE) {
            self.echo_char(self.cc(VERASE));
        } else if c == b'\t' {
            self.echo_erased_tab();
        } else {
            let width = match (is_control(c), self.l(ECHOCTL)) {
                (true, true) => 2,
                (true, false) => 0,
                (false, _) => 1,
            };
            for _ in 0..width {
                for b in *b"\x08 \x08" {
                    self.echo_raw(b);
                }
            }
        }
    }

    /// Goes back over a tab: by the columns since the tab before it, or since where the line began.
    fn echo_erased_tab(&mut self) {
        let mut columns = 0;
        let mut after_tab = false;
        for position in (self.canon_head..self.head).rev() {
            let c = self.at(position);
            if c == b'\t' {
                after_tab = true;
                break;
            } else if is_control(c) {
                columns += if self.l(ECHOCTL) { 2 } else { 0 };
            } else if !self.is_continuation(c) {
                columns += 1;
            }
        }
        if !after_tab {
            columns += self.canon_column;
        }
        for _ in 0..8 - (columns & 7) {
            self.push_echo(b'\x08');
            self.column = self.column.saturating_sub(1);
        }
    }
}
