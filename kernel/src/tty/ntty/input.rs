//! Characters from the line.

use super::echo::to_lower;
use super::{BUFFER, DISABLED, NTty};
use abi::signal::{SIGINT, SIGQUIT, SIGTSTP};
use abi::tty::*;

impl NTty {
    /// Takes bytes from the line and returns how many found room. The rest is to be offered again after a read.
    /// A line that is too long loses all but its beginning, so that its newline still comes through
    /// (n_tty_receive_buf_common()).
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.allocate();
        let mut done = 0;
        while done < bytes.len() {
            let used = self.head - self.tail;
            let factor = if self.i(PARMRK) { 3 } else { 1 };
            let free = (BUFFER - used).div_ceil(factor);
            let room = if free > 1 {
                free - 1
            } else if self.canonical() && self.canon_head == self.tail {
                if free == 0 {
                    self.head -= 1;
                }
                1
            } else {
                break;
            };
            let step = room.min(bytes.len() - done);
            for &c in &bytes[done..done + step] {
                self.receive_byte(c);
            }
            done += step;
        }
        if done > 0 && !self.canonical() && self.head != self.tail {
            self.effects.readable = true;
        }
        done
    }

    /// A break condition of the line (n_tty_receive_break()).
    pub fn receive_break(&mut self) {
        if self.i(IGNBRK) {
            return;
        }
        if self.i(BRKINT) {
            self.signal(SIGINT);
            return;
        }
        self.allocate();
        if self.i(PARMRK) {
            self.put(0xff);
            self.put(0);
        }
        self.put(0);
        self.effects.readable |= !self.canonical();
    }

    fn allocate(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER].into();
            self.marks = vec![false; BUFFER].into();
        }
    }

    pub(super) fn put(&mut self, c: u8) {
        if self.head - self.tail < BUFFER {
            self.buffer[self.head % BUFFER] = c;
            self.head += 1;
        }
    }

    fn receive_byte(&mut self, mut c: u8) {
        if self.raw {
            return self.put(c);
        }
        if self.i(ISTRIP) {
            c &= 0x7f;
        }
        if self.i(IUCLC) && self.l(IEXTEN) {
            c = to_lower(c);
        }
        if self.l(EXTPROC) {
            return self.put(c);
        }
        if std::mem::take(&mut self.lnext) || !self.special[usize::from(c)] {
            self.receive_ordinary(c);
        } else {
            self.receive_special(c);
        }
    }

    fn start_by_any(&mut self) {
        if self.stopped && !self.held && self.i(IXON) && self.i(IXANY) {
            self.start();
        }
    }

    fn receive_ordinary(&mut self, c: u8) {
        self.start_by_any();
        if self.l(ECHO) {
            self.finish_erasing();
            if self.canon_head == self.head {
                self.canon_column = self.column;
            }
            self.echo_char(c);
        }
        self.put_marked(c);
    }

    /// With PARMRK a byte 0xff is doubled.
    fn put_marked(&mut self, c: u8) {
        if c == 0xff && self.i(PARMRK) {
            self.put(c);
        }
        self.put(c);
    }

    fn receive_special(&mut self, mut c: u8) {
        if self.i(IXON) {
            if c == self.cc(VSTART) {
                return self.start();
            }
            if c == self.cc(VSTOP) {
                return self.stop();
            }
        }
        if self.l(ISIG) {
            for (index, signo) in [(VINTR, SIGINT), (VQUIT, SIGQUIT), (VSUSP, SIGTSTP)] {
                if c == self.cc(index) {
                    return self.signal_char(signo, c);
                }
            }
        }
        self.start_by_any();
        if c == b'\r' {
            if self.i(IGNCR) {
                return;
            }
            if self.i(ICRNL) {
                c = b'\n';
            }
        } else if c == b'\n' && self.i(INLCR) {
            c = b'\r';
        }
        if self.canonical() && self.receive_canonical(c) {
            return;
        }
        if self.l(ECHO) {
            self.finish_erasing();
            if c == b'\n' {
                self.echo_raw(b'\n');
            } else {
                if self.canon_head == self.head {
                    self.canon_column = self.column;
                }
                self.echo_char(c);
            }
        }
        self.put_marked(c);
    }

    /// Editing and ends of lines. False: an ordinary character after all.
    fn receive_canonical(&mut self, c: u8) -> bool {
        let extended = self.l(IEXTEN);
        if c == self.cc(VERASE) || c == self.cc(VKILL) || (c == self.cc(VWERASE) && extended) {
            self.erase(c);
        } else if c == self.cc(VLNEXT) && extended {
            self.lnext = true;
            if self.l(ECHO) {
                self.finish_erasing();
                if self.l(ECHOCTL) {
                    self.echo_raw(b'^');
                    self.echo_raw(b'\x08');
                }
            }
        } else if c == self.cc(VREPRINT) && self.l(ECHO) && extended {
            self.finish_erasing();
            self.echo_char(c);
            self.echo_raw(b'\n');
            for position in self.canon_head..self.head {
                self.echo_char(self.buffer[position % BUFFER]);
            }
        } else if c == b'\n' {
            if self.l(ECHO | ECHONL) {
                self.echo_raw(b'\n');
            }
            self.end_line(c);
        } else if c == self.cc(VEOF) {
            self.end_line(DISABLED);
        } else if c == self.cc(VEOL) || (c == self.cc(VEOL2) && extended) {
            if self.l(ECHO) {
                if self.canon_head == self.head {
                    self.canon_column = self.column;
                }
                self.echo_char(c);
            }
            if c == 0xff && self.i(PARMRK) {
                self.put(c);
            }
            self.end_line(c);
        } else {
            return false;
        }
        true
    }

    fn end_line(&mut self, c: u8) {
        if self.head - self.tail == BUFFER {
            return;
        }
        self.marks[self.head % BUFFER] = true;
        self.put(c);
        self.canon_head = self.head;
        self.effects.readable = true;
    }

    fn signal_char(&mut self, signo: i32, c: u8) {
        self.signal(signo);
        if self.i(IXON) {
            self.start();
        }
        if self.l(ECHO) {
            self.echo_char(c);
        }
    }

    fn signal(&mut self, signo: i32) {
        self.effects.signals.push(signo);
        if !self.l(NOFLSH) {
            self.echo.clear();
            self.effects.flush_output = true;
            self.flush_input();
        }
    }
}
