//! A terminal: line discipline, line, window, and whose controlling terminal it is, behind one lock.

use super::TtyDriver;
use super::ntty::{NTty, Taken};
use crate::error::{Result, err};
use crate::signal;
use crate::sync::{Lock, Rank, WaitQueue};
use crate::task::Pid;
use crate::vfs::PollEvents;
use abi::errno::Errno;
use abi::signal::{SIGWINCH, Siginfo};
use abi::tty::{Termios2, Winsize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes from the line that wait for room in the line discipline, at most.
pub const FLIP_BYTES: usize = 8192;
/// A write blocks poll from this many bytes on their way (WAKEUP_CHARS).
const WAKEUP_CHARS: usize = 256;

/// What kind of line it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Console,
    Serial,
    /// The slave side of a pty.
    Pty,
}

/// What a terminal is made with.
pub struct Spec {
    pub kind: Kind,
    /// Number within its kind.
    pub index: u32,
    /// As in /proc: `tty1`, `ttyS0`, `pts/3`.
    pub name: String,
    /// Device number.
    pub rdev: u64,
    pub termios: Termios2,
}

/// The guarded part.
pub(super) struct Inner {
    pub ldisc: NTty,
    /// Settings that only root may change: a set bit is a locked one (TIOCSLCKTRMIOS).
    pub locked: Termios2,
    flip: VecDeque<u8>,
    throttled: bool,
    pub winsize: Winsize,
    /// Foreground process group, and the session whose controlling terminal this is.
    pub pgrp: Option<Pid>,
    pub session: Option<Pid>,
    /// Open files, hung up ones too.
    pub count: usize,
    /// Files of an earlier generation are hung up.
    pub generation: u64,
    pub exclusive: bool,
    reading: bool,
    writing: bool,
    /// Nothing more will come from the line.
    input_ended: bool,
}

/// A terminal (`struct tty_struct`).
pub struct Tty {
    spec: Spec,
    driver: Box<dyn TtyDriver>,
    inner: Lock<Inner>,
    pub(super) read_wait: WaitQueue,
    pub(super) write_wait: WaitQueue,
}

/// Who works on a terminal one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Read,
    Write,
}

/// The turn to read or write, given back on drop.
pub(super) struct Turn<'a> {
    tty: &'a Tty,
    side: Side,
}

impl Tty {
    pub fn new(spec: Spec, driver: Box<dyn TtyDriver>) -> Arc<Tty> {
        Arc::new(Tty {
            inner: Lock::new(
                Rank::TTY,
                Inner {
                    ldisc: NTty::new(spec.termios),
                    locked: Termios2::default(),
                    flip: VecDeque::new(),
                    throttled: false,
                    winsize: Winsize::default(),
                    pgrp: None,
                    session: None,
                    count: 0,
                    generation: 0,
                    exclusive: false,
                    reading: false,
                    writing: false,
                    input_ended: false,
                },
            ),
            spec,
            driver,
            read_wait: WaitQueue::new(),
            write_wait: WaitQueue::new(),
        })
    }

    pub fn kind(&self) -> Kind {
        self.spec.kind
    }

    pub fn index(&self) -> u32 {
        self.spec.index
    }

    /// `tty1`, `ttyS0`, `pts/3`.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Device number, as `tty_nr` in /proc/pid/stat (through `new_encode_dev`).
    pub fn rdev(&self) -> u64 {
        self.spec.rdev
    }

    /// The foreground process group.
    pub fn pgrp(&self) -> Option<Pid> {
        self.inner.lock().pgrp
    }

    /// The session whose controlling terminal it is.
    pub fn session(&self) -> Option<Pid> {
        self.inner.lock().session
    }

    /// Number of open files.
    pub fn opens(&self) -> usize {
        self.inner.lock().count
    }

    pub fn winsize(&self) -> Winsize {
        self.inner.lock().winsize
    }

    pub fn termios(&self) -> Termios2 {
        *self.inner.lock().ldisc.termios()
    }

    pub(super) fn initial_termios(&self) -> Termios2 {
        self.spec.termios
    }

    pub(super) fn driver(&self) -> &dyn TtyDriver {
        &*self.driver
    }

    /// Looks without changing anything.
    pub(super) fn peek<R>(&self, f: impl FnOnce(&Inner) -> R) -> R {
        f(&self.inner.lock())
    }

    /// Changes the state, then carries out what follows from it: waiting input moves on, echo is written, signals
    /// are sent and sleepers told.
    pub(super) fn run<R>(&self, f: impl FnOnce(&mut Inner, &dyn TtyDriver) -> R) -> R {
        let mut readable = false;
        let mut writable = false;
        let (result, signals, pgrp) = {
            let mut inner = self.inner.lock();
            let result = f(&mut inner, &*self.driver);
            let mut signals = Vec::new();
            loop {
                let moved = inner.pump();
                let effects = inner.ldisc.effects();
                readable |= effects.readable;
                signals.extend(effects.signals);
                if effects.flush_output {
                    self.driver.flush_output();
                    writable = true;
                }
                if effects.flushed_input {
                    self.driver.flushed_input();
                }
                if let Some(stopped) = effects.flow {
                    self.driver.flow(stopped);
                    writable |= !stopped;
                }
                inner.write_echo(&*self.driver);
                if moved == 0 {
                    break;
                }
            }
            if inner.input_ended && inner.flip.is_empty() {
                inner.ldisc.end_input();
                inner.ldisc.effects();
                readable = true;
            }
            if inner.throttled && inner.flip.len() <= FLIP_BYTES / 2 {
                inner.throttled = false;
                self.driver.unthrottle();
            }
            (result, signals, inner.pgrp)
        };
        for signo in signals {
            self.signal_group(pgrp, signo);
        }
        if readable {
            self.read_wait.wake(PollEvents::READABLE);
        }
        if writable {
            self.write_wait.wake(PollEvents::WRITABLE);
        }
        result
    }

    fn signal_group(&self, pgrp: Option<Pid>, signo: i32) {
        if let Some(pgrp) = pgrp {
            // A group that has just gone needs no signal.
            let _gone = signal::send_pgrp(pgrp, Siginfo::kernel(signo));
        }
    }

    /// Takes bytes from the line; returns how many found room. [`TtyDriver::unthrottle`] tells when there is more.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        self.run(|inner, _| {
            let taken = bytes.len().min(FLIP_BYTES - inner.flip.len());
            inner.flip.extend(&bytes[..taken]);
            inner.pump();
            let rest = &bytes[taken..];
            let more = rest.len().min(FLIP_BYTES - inner.flip.len());
            inner.flip.extend(&rest[..more]);
            inner.throttled |= taken + more < bytes.len();
            taken + more
        })
    }

    /// Bytes that [`receive`](Self::receive) is sure to take. When there is no room, asks to be told.
    pub fn receive_room(&self) -> usize {
        let mut inner = self.inner.lock();
        let room = FLIP_BYTES - inner.flip.len();
        inner.throttled |= room == 0;
        room
    }

    /// A break condition of the line.
    pub fn receive_break(&self) {
        self.run(|inner, _| inner.ldisc.receive_break());
    }

    /// The line has sent something and has room again.
    pub fn write_wakeup(&self) {
        self.run(|_, _| ());
        self.write_wait.wake(PollEvents::WRITABLE);
    }

    /// Nothing more will come from the line: when all input was read, reads return 0.
    pub fn end_input(&self) {
        self.run(|inner, _| inner.input_ended = true);
    }

    /// The window has a new size: SIGWINCH to the foreground group (tty_do_resize()).
    pub fn set_winsize(&self, size: Winsize) {
        let pgrp = {
            let mut inner = self.inner.lock();
            if inner.winsize == size {
                return;
            }
            inner.winsize = size;
            self.driver.winsize_changed(size);
            inner.pgrp
        };
        self.signal_group(pgrp, SIGWINCH);
    }

    /// Waits for the turn to read or write. EAGAIN when `nonblocking`, ERESTARTSYS.
    pub(super) fn turn(&self, side: Side, nonblocking: bool) -> Result<Turn<'_>> {
        let take = || {
            let mut inner = self.inner.lock();
            let flag = inner.turn_flag(side);
            (!std::mem::replace(flag, true)).then_some(())
        };
        if nonblocking {
            take().ok_or(Errno::EAGAIN)?;
        } else {
            self.side_wait(side).wait_until(take)?;
        }
        Ok(Turn { tty: self, side })
    }

    fn side_wait(&self, side: Side) -> &WaitQueue {
        match side {
            Side::Read => &self.read_wait,
            Side::Write => &self.write_wait,
        }
    }

    /// Takes what is there to read. End of all input is an empty line.
    pub(super) fn take(&self, out: &mut [u8]) -> Taken {
        self.run(|inner, _| match inner.ldisc.take(out) {
            Taken::Nothing if inner.ended() => Taken::Data {
                bytes: 0,
                end: true,
            },
            taken => taken,
        })
    }

    /// Writes bytes through output processing; returns how many were used. 0: no room now.
    pub(super) fn put(&self, bytes: &[u8]) -> usize {
        self.run(|inner, driver| {
            if inner.ldisc.is_stopped() || !inner.write_echo(driver) {
                return 0;
            }
            let mut out = Vec::with_capacity(bytes.len() + 64);
            let used = inner.ldisc.output(bytes, driver.write_room(), &mut out);
            let taken = driver.write(&out);
            debug_assert_eq!(taken, out.len(), "a line takes what it has room for");
            used
        })
    }

    /// Whether a write of a byte would find room.
    pub(super) fn has_room(&self) -> bool {
        let inner = self.inner.lock();
        !inner.ldisc.is_stopped()
            && inner.ldisc.echo().0.is_empty()
            && self.driver.write_room() >= 8
    }

    /// Poll events of a file that is not hung up (n_tty_poll()).
    pub(super) fn poll_events(&self) -> PollEvents {
        let inner = self.inner.lock();
        let mut events = PollEvents::empty();
        if inner.ldisc.available(true) || inner.ended() {
            events |= PollEvents::READABLE;
        }
        if !inner.writing
            && !inner.ldisc.is_stopped()
            && self.driver.write_room() > 0
            && self.driver.chars_in_buffer() < WAKEUP_CHARS
        {
            events |= PollEvents::WRITABLE;
        }
        events
    }

    /// Waits until the line has sent everything (tcdrain). ERESTARTSYS.
    pub(super) fn wait_until_sent(&self) -> Result<()> {
        let generation = self.peek(|inner| inner.generation);
        self.write_wait.wait_until(|| {
            self.peek(|inner| inner.generation != generation || self.driver.chars_in_buffer() == 0)
                .then_some(())
        })
    }

    /// Simulates a typed byte (TIOCSTI).
    pub(super) fn inject(&self, byte: u8) {
        self.run(|inner, _| inner.ldisc.receive(&[byte]));
    }

    /// A control character for the other end, past everything that waits (TCIOFF, TCION).
    pub(super) fn send_now(&self, byte: u8) {
        self.run(|_, driver| driver.write(&[byte]));
    }

    /// New settings, already checked against locked ones.
    pub(super) fn set_termios(&self, mut new: Termios2) {
        self.run(|inner, driver| {
            let old = *inner.ldisc.termios();
            driver.set_termios(&old, &mut new);
            inner.ldisc.set_termios(new);
        });
        self.read_wait.wake_all();
        self.write_wait.wake_all();
    }
}

impl Inner {
    /// Moves waiting input into the line discipline.
    fn pump(&mut self) -> usize {
        let mut total = 0;
        loop {
            let moved = self.ldisc.receive(self.flip.as_slices().0);
            if moved == 0 {
                return total;
            }
            self.flip.drain(..moved);
            total += moved;
        }
    }

    /// Writes waiting echo; true when none is left.
    fn write_echo(&mut self, driver: &dyn TtyDriver) -> bool {
        if self.ldisc.is_stopped() {
            return false;
        }
        loop {
            let part = self.ldisc.echo().0;
            if part.is_empty() {
                return true;
            }
            let room = part.len().min(driver.write_room());
            let written = driver.write(&part[..room]);
            if written == 0 {
                return false;
            }
            self.ldisc.echo_written(written);
        }
    }

    fn turn_flag(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Read => &mut self.reading,
            Side::Write => &mut self.writing,
        }
    }

    /// Whether everything has been read that will ever come.
    pub fn ended(&self) -> bool {
        self.input_ended && self.flip.is_empty() && !self.ldisc.available(false)
    }

    /// Throws input away that no reader has seen, in the line discipline and before it.
    pub fn flush_input(&mut self) {
        self.flip.clear();
        self.ldisc.flush_input();
    }

    /// Input comes again.
    pub fn resume_input(&mut self) {
        self.input_ended = false;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.tty.inner.lock().turn_flag(self.side) = false;
        self.tty.side_wait(self.side).wake_all();
    }
}

/// EIO for what is hung up.
pub(super) fn hung_up<T>() -> Result<T> {
    err(Errno::EIO)
}
