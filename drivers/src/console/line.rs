//! A line: a numbered terminal of the guest, what it is configured with, and its open channels while it has some.
//!
//! Channels are opened at the guest's first open and closed after its last close or when the host's end is lost (a hang-up), so a line
//! that nobody uses costs nothing. A program that closes a terminal and goes on may be about to open it again (agetty and login do so, to
//! make it theirs): the channels stay for a moment. One that ends has ended its session. The machine's console is the exception: it is opened at boot, if that doesn't wait for anybody, and kept.
//!
//! **Viewers.** Beside its channel a line may have any number of [`Viewer`]s: [`Line::attach_viewer`] gives them a copy of everything that
//! goes out, [`Line::inject`] takes what they type, whether a channel is open or not. `super::line` finds a line by name.
//!
//! Locks, outermost first: `gate`, `wire`; `audience` by itself. The terminal's lock may be held by those who call the driver, so `gate` is taken only by
//! [`Driver::open`], [`Driver::close`] and others without it. Nothing is logged with a lock held, since the log is printed here.

use super::channel::Pair;
use super::open::{self, Name};
use super::wire::{LOG_EXTRA, QUEUE, Wire};
use abi::tty::{ONLCR, OPOST, Termios2, Winsize};
use kernel::sync::{Deadline, WaitQueue};
use kernel::time::timer::{self, Timer};
use kernel::tty::{Tty, TtyDriver};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How long a last close waits for a reader of the host that takes nothing, nanoseconds.
const LINGER_NS: u64 = 2_000_000_000;
/// Bytes of output that a new viewer may see.
const RECENT: usize = 8 << 10;
/// How long channels stay open after a last close by a program that goes on, nanoseconds.
const GRACE_NS: u64 = 500_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Closed,
    /// Somebody opens the channels, and may sleep over it.
    Opening,
    Open,
}

struct Gate {
    phase: Phase,
    pair: Pair,
}

/// Somebody who sees a line's output beside its channel.
pub trait Viewer: Send + Sync {
    /// Output of the guest and of the kernel, in order. Called with locks held: takes a copy and returns.
    fn output(&self, bytes: &[u8]);

    /// The terminal has room again after [`Line::inject`] took less than it was given. Called with locks held.
    fn room(&self) {}
}

/// The viewers, and what they see first.
#[derive(Default)]
struct Audience {
    viewers: Vec<Arc<dyn Viewer>>,
    /// The last output, at most [`RECENT`] bytes.
    recent: VecDeque<u8>,
    /// The last byte of output was a carriage return.
    returned: bool,
}

impl Audience {
    /// The last `rows` lines of output, as far as they are kept.
    fn last_lines(&mut self, rows: u16) -> &[u8] {
        let recent = self.recent.make_contiguous();
        let newlines = recent.iter().enumerate().filter(|(_, b)| **b == b'\n');
        let start = newlines
            .rev()
            .nth(usize::from(rows.max(1)) - 1)
            .map_or(0, |(at, _)| at + 1);
        &recent[start..]
    }
}

/// One line.
pub struct Line {
    pub name: Name,
    tty: Mutex<Weak<Tty>>,
    gate: Mutex<Gate>,
    /// The phase changed, or output moved on.
    moved: WaitQueue,
    wire: Mutex<Option<Arc<Wire>>>,
    /// The kernel log is printed here.
    console: AtomicBool,
    /// What was printed before the channels were open; only a console's.
    early: Mutex<VecDeque<u8>>,
    audience: Mutex<Audience>,
    /// Newlines come from the guest as they are, as for a pipe; a viewer's terminal needs carriage returns.
    plain: AtomicBool,
    /// Closes the channels when nobody has opened the terminal again.
    closing: Mutex<Option<Timer>>,
}

/// `bytes` with a carriage return before each newline; `returned`: one came just before.
fn with_returns(bytes: &[u8], mut returned: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for &byte in bytes {
        if byte == b'\n' && !returned {
            out.push(b'\r');
        }
        out.push(byte);
        returned = byte == b'\r';
    }
    out
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No change here is done by halves.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub fn new(name: Name, pair: Pair) -> Arc<Line> {
        Arc::new(Line {
            name,
            tty: Mutex::default(),
            gate: Mutex::new(Gate {
                phase: Phase::Closed,
                pair,
            }),
            moved: WaitQueue::new(),
            wire: Mutex::default(),
            console: AtomicBool::new(false),
            early: Mutex::default(),
            audience: Mutex::default(),
            plain: AtomicBool::new(false),
            closing: Mutex::default(),
        })
    }

    fn note_termios(&self, termios: &Termios2) {
        let plain = termios.c_oflag & (OPOST | ONLCR) == OPOST;
        self.plain.store(plain, Ordering::Relaxed);
    }

    /// Tells which terminal of the guest it belongs to.
    pub fn attach(&self, tty: &Arc<Tty>) {
        self.note_termios(&tty.termios());
        *lock(&self.tty) = Arc::downgrade(tty);
    }

    pub fn tty(&self) -> Option<Arc<Tty>> {
        lock(&self.tty).upgrade()
    }

    /// The open channels.
    pub fn wire(&self) -> Option<Arc<Wire>> {
        lock(&self.wire).clone()
    }

    /// Makes it a console: the log is printed here, and the channels stay open once they are.
    pub fn become_console(&self) {
        self.console.store(true, Ordering::SeqCst);
    }

    fn is_console(&self) -> bool {
        self.console.load(Ordering::SeqCst)
    }

    /// Whether opening it waits for somebody.
    pub fn waits(&self) -> bool {
        lock(&self.gate).pair.channels().any(|c| c.waits())
    }

    /// Newlines of the kernel need a carriage return here.
    pub fn has_screen(&self) -> bool {
        match self.wire() {
            Some(wire) => wire.has_screen(),
            None => lock(&self.gate).pair.output().is_terminal(),
        }
    }

    /// Whether a person sits there: keyboard and screen are a terminal.
    pub fn is_interactive(&self) -> bool {
        self.wire()
            .is_some_and(|wire| wire.has_keyboard() && wire.has_screen())
    }

    /// The configuration, with the host's names while the channels are open.
    pub fn configuration(&self) -> String {
        match self.wire() {
            Some(wire) => wire.text.clone(),
            None => lock(&self.gate).pair.to_string(),
        }
    }

    /// Gives a line that nobody has open other channels. False when it is open.
    pub fn configure(&self, pair: Pair) -> bool {
        self.close_if_unused();
        let opens = self.tty().map_or(0, |tty| tty.opens());
        let mut gate = lock(&self.gate);
        let closed = gate.phase == Phase::Closed && opens == 0;
        if closed {
            gate.pair = pair;
        }
        closed
    }

    /// Whether the guest, or the kernel's log, has it open.
    pub fn is_open(&self) -> bool {
        self.close_if_unused();
        self.tty().is_some_and(|tty| tty.opens() > 0) || lock(&self.gate).phase != Phase::Closed
    }

    /// Opens the channels; false when they were open. Sleeps where a channel waits, or another task is at it. ENODEV, ERESTARTSYS.
    pub fn open(self: &Arc<Line>) -> kernel::Result<bool> {
        let pair = loop {
            {
                let mut gate = lock(&self.gate);
                match gate.phase {
                    Phase::Open => return Ok(false),
                    Phase::Closed => {
                        gate.phase = Phase::Opening;
                        break gate.pair.clone();
                    }
                    Phase::Opening => {}
                }
            }
            self.moved
                .wait_until(|| (lock(&self.gate).phase != Phase::Opening).then_some(()))?;
        };
        let opened = open::pair(&pair, self.name).and_then(|open| {
            let early = std::mem::take(&mut *lock(&self.early));
            Wire::start(self, open, early, super::events()).map_err(|e| {
                kernel::pr_err!(
                    "{}: the host's event loop refuses it: {e}",
                    self.name.option()
                );
                abi::errno::Errno::ENODEV.into()
            })
        });
        let result = {
            let mut gate = lock(&self.gate);
            match opened {
                Ok(wire) => {
                    gate.phase = Phase::Open;
                    *lock(&self.wire) = Some(wire);
                    Ok(true)
                }
                Err(e) => {
                    gate.phase = Phase::Closed;
                    Err(e)
                }
            }
        };
        self.moved.wake_all();
        if let (Ok(_), Some(wire)) = (&result, self.wire()) {
            wire.new_window();
        }
        result
    }

    /// Closes the channels if `which` says so, with the gate shut.
    fn take_wire(&self, which: impl FnOnce(&Arc<Wire>) -> bool) -> Option<Arc<Wire>> {
        let mut gate = lock(&self.gate);
        let wire = self.wire().filter(which)?;
        *lock(&self.wire) = None;
        gate.phase = Phase::Closed;
        Some(wire)
    }

    /// Closes the channels unless the guest has the terminal open.
    fn close_if_unused(&self) {
        let unused = |tty: Arc<Tty>| tty.opens() == 0;
        if !self.is_console()
            && let Some(wire) = self.take_wire(|_| self.tty().is_none_or(unused))
        {
            wire.close();
        }
    }

    /// The host's end of `wire` is gone: the guest is hung up. From the event loop or a thread of the wire.
    pub fn lost(&self, wire: &Arc<Wire>) {
        let Some(wire) = self.take_wire(|own| Arc::ptr_eq(own, wire)) else {
            return;
        };
        wire.close();
        self.moved.wake_all();
        if let Some(tty) = self.tty() {
            tty.hangup();
        }
    }

    /// The host has taken output.
    pub fn output_moved(&self) {
        self.moved.wake_all();
        if let Some(tty) = self.tty() {
            tty.write_wakeup();
        }
    }

    /// Prints kernel text.
    pub fn print(&self, text: &[u8]) {
        match self.wire() {
            Some(wire) => wire.print(text),
            None => {
                let mut early = lock(&self.early);
                if early.len() + text.len() <= LOG_EXTRA {
                    early.extend(text);
                }
            }
        }
        self.show(text, true);
    }

    /// Shows output to the viewers. `plain`: with carriage returns before newlines that have none.
    fn show(&self, bytes: &[u8], plain: bool) {
        let Some(&last) = bytes.last() else { return };
        let audience = &mut *lock(&self.audience);
        let returned;
        let shown = if plain && bytes.contains(&b'\n') {
            returned = with_returns(bytes, audience.returned);
            returned.as_slice()
        } else {
            bytes
        };
        audience.returned = last == b'\r';
        for viewer in &audience.viewers {
            viewer.output(shown);
        }
        audience.recent.extend(shown);
        let over = audience.recent.len().saturating_sub(RECENT);
        audience.recent.drain(..over);
    }

    /// Lets `viewer` see all output from now on, and first the last `rows` lines of what came before.
    pub fn attach_viewer(&self, viewer: Arc<dyn Viewer>, rows: u16) {
        let audience = &mut *lock(&self.audience);
        viewer.output(audience.last_lines(rows));
        audience.viewers.push(viewer);
    }

    /// Passes the last `rows` lines to `show`, for a viewer that has missed some; there is no output meanwhile.
    pub fn show_again(&self, rows: u16, show: impl FnOnce(&[u8])) {
        show(lock(&self.audience).last_lines(rows));
    }

    /// Gives the terminal a viewer's window, unless the line's channel has one of its own.
    pub fn set_window(&self, size: Winsize) {
        let own = self.wire().is_some_and(|wire| wire.has_window());
        if let (false, Some(tty)) = (own, self.tty()) {
            tty.set_winsize(size);
        }
    }

    /// Ends what [`attach_viewer`](Self::attach_viewer) began.
    pub fn detach_viewer(&self, viewer: &Arc<dyn Viewer>) {
        lock(&self.audience)
            .viewers
            .retain(|other| !Arc::ptr_eq(other, viewer));
    }

    /// Input from beside the channel; returns how many bytes found room.
    pub fn inject(&self, bytes: &[u8]) -> usize {
        self.tty().map_or(0, |tty| tty.receive(bytes))
    }

    /// Carries the host window's size to the guest.
    pub fn window_changed(&self) {
        if let Some(wire) = self.wire() {
            wire.window_changed();
        }
    }

    /// The machine has ended: waits for the host, and gives everything back.
    pub fn finish(&self, patience: Duration) {
        if let Some(wire) = self.wire() {
            wire.drain(patience);
            wire.close();
        }
    }

    fn linger(&self) {
        let Some(wire) = self.wire().filter(|wire| wire.queued() > 0) else {
            return;
        };
        // A signal or a dead reader cuts it short; what is left is lost then.
        let _cut = self
            .moved
            .wait_deadline(Some(Deadline::after(LINGER_NS)), || {
                (wire.queued() == 0).then_some(())
            });
    }
}

/// The driver's side of a line.
pub struct Driver(pub Arc<Line>);

impl TtyDriver for Driver {
    fn open(&self, _tty: &Arc<Tty>, _first: bool) -> kernel::Result<()> {
        let new = self.0.open()?;
        drop(lock(&self.0.closing).take());
        if let Some(wire) = self.0.wire() {
            wire.begin(new);
        }
        Ok(())
    }

    fn close(&self, tty: &Tty) {
        let line = &self.0;
        if !line.is_console() {
            line.linger();
            let ends =
                kernel::sched::try_current().is_none_or(|task| task.exiting.load(Ordering::SeqCst));
            if ends {
                return line.close_if_unused();
            }
            let weak = Arc::downgrade(line);
            let timer = timer::call_at(Deadline::after(GRACE_NS), move || {
                if let Some(line) = weak.upgrade() {
                    line.close_if_unused();
                }
            });
            *lock(&line.closing) = Some(timer);
        }
        if let Some(wire) = line.wire() {
            wire.leave_input();
            // Somebody may have opened it again meanwhile.
            if tty.opens() > 0 {
                wire.begin(false);
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> usize {
        let taken = match self.0.wire() {
            Some(wire) => wire.write(bytes),
            None => bytes.len(),
        };
        let plain = self.0.plain.load(Ordering::Relaxed);
        self.0.show(&bytes[..taken], plain);
        taken
    }

    fn write_room(&self) -> usize {
        self.0.wire().map_or(QUEUE, |wire| wire.room())
    }

    fn chars_in_buffer(&self) -> usize {
        self.0.wire().map_or(0, |wire| wire.queued())
    }

    fn flush_output(&self) {
        if let Some(wire) = self.0.wire() {
            wire.discard();
        }
    }

    /// What the host has still to take stays: a shell that ends hangs its terminal up, and its last words are to be read.
    /// (arch/um/drivers/line.c:line_flush_buffer() writes, too.) When the host's end is gone, [`Line::lost`] has closed the wire.
    fn hangup(&self) {}

    fn set_termios(&self, _old: &Termios2, new: &mut Termios2) {
        self.0.note_termios(new);
    }

    fn unthrottle(&self) {
        if let Some(wire) = self.0.wire() {
            wire.unthrottle();
        }
        let audience = lock(&self.0.audience);
        audience.viewers.iter().for_each(|viewer| viewer.room());
    }
}
