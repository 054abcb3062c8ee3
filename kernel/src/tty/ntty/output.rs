//! Output processing (OPOST): newlines, tabs, case, and the column that they depend on.

use super::NTty;
use super::echo::{is_control, to_upper};
use abi::tty::*;

/// What one character can become at most: a tab of spaces.
const LONGEST: usize = 8;

impl NTty {
    /// Processes bytes of a write while their result fits `room`, adds it to `out`, and returns how many were used.
    pub fn output(&mut self, bytes: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
        if !self.o(OPOST) {
            let len = bytes.len().min(room);
            out.extend_from_slice(&bytes[..len]);
            return len;
        }
        let start = out.len();
        for (done, &c) in bytes.iter().enumerate() {
            let left = room - (out.len() - start);
            if left < self.width(c) {
                return done;
            }
            let (processed, len) = self.process(c);
            out.extend_from_slice(&processed[..len]);
        }
        bytes.len()
    }

    /// Room that `c` needs.
    fn width(&self, c: u8) -> usize {
        match c {
            b'\n' if self.o(ONLCR) => 2,
            b'\t' if self.expands_tabs() => 8 - (self.column as usize & 7),
            _ => 1,
        }
    }

    fn expands_tabs(&self) -> bool {
        self.termios.c_oflag & TABDLY == XTABS
    }

    /// One character (do_output_char()).
    pub(super) fn process(&mut self, c: u8) -> ([u8; LONGEST], usize) {
        let mut out = [c; LONGEST];
        match c {
            b'\n' => {
                if self.o(ONLRET) {
                    self.column = 0;
                }
                if self.o(ONLCR) {
                    self.column = 0;
                    self.canon_column = 0;
                    out[0] = b'\r';
                    return (out, 2);
                }
                self.canon_column = self.column;
            }
            b'\r' => {
                if self.o(ONOCR) && self.column == 0 {
                    return (out, 0);
                }
                if self.o(OCRNL) {
                    out[0] = b'\n';
                    if self.o(ONLRET) {
                        self.column = 0;
                        self.canon_column = 0;
                    }
                } else {
                    self.column = 0;
                    self.canon_column = 0;
                }
            }
            b'\t' => {
                let spaces = 8 - (self.column & 7);
                self.column += spaces;
                if self.expands_tabs() {
                    return ([b' '; LONGEST], spaces as usize);
                }
            }
            b'\x08' => self.column = self.column.saturating_sub(1),
            _ if is_control(c) => {}
            _ => {
                if self.o(OLCUC) {
                    out[0] = to_upper(c);
                }
                if !self.is_continuation(c) {
                    self.column = self.column.wrapping_add(1);
                }
            }
        }
        (out, 1)
    }
}
