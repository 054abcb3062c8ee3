//! A line: a terminal of the guest joined to channels of the host.
//!
//! Output goes through a bounded queue that is written as far as the host takes it at once, the rest when the event
//! loop says so: no reader of ours, slow or dead, ever blocks a vCPU. Input is only taken while the guest has the terminal
//! open and has room. Descriptors that the event loop can't watch get a thread.

use super::channel::{End, Pair};
use abi::tty::Winsize;
use host::descriptor::{Descriptor, Direction};
use host::terminal::RawMode;
use host::{EventLoop, Interest, Watch};
use kernel::tty::{Tty, TtyDriver};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Bytes of guest output that wait for the host, at most.
const QUEUE: usize = 16 << 10;
/// Bytes of kernel log that may wait beyond that.
const LOG_EXTRA: usize = 256 << 10;
const READ: usize = 4096;
/// Stack of a thread that only moves bytes.
const STACK: usize = 128 << 10;

#[derive(Default)]
struct Output {
    queue: VecDeque<u8>,
    /// The host end is gone: output vanishes.
    broken: bool,
}

#[derive(Default)]
struct Input {
    /// The guest has the terminal open.
    open: bool,
    /// The terminal had no room: wait for `unthrottle`.
    throttled: bool,
    ended: bool,
}

/// One line.
pub struct Line {
    input: End,
    output: End,
    out: Mutex<Output>,
    /// Output was written, or there is some for the writing thread.
    out_changed: Condvar,
    inp: Mutex<Input>,
    inp_changed: Condvar,
    tty: OnceLock<Weak<Tty>>,
    input_watch: OnceLock<Watch>,
    output_watch: OnceLock<Watch>,
    raw: Mutex<Option<RawMode>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Byte queues and flags are whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Opens the channels. A terminal that is the input becomes raw.
    pub fn open(pair: &Pair, events: &EventLoop) -> io::Result<Arc<Line>> {
        let line = Arc::new(Line {
            input: pair.input.open(Direction::In)?,
            output: pair.output.open(Direction::Out)?,
            out: Mutex::default(),
            out_changed: Condvar::new(),
            inp: Mutex::default(),
            inp_changed: Condvar::new(),
            tty: OnceLock::new(),
            input_watch: OnceLock::new(),
            output_watch: OnceLock::new(),
            raw: Mutex::new(None),
        });
        if let Some(terminal) = line.input.terminal() {
            *lock(&line.raw) = Some(RawMode::enter(&terminal.fd)?);
        }
        line.start_output(events)?;
        line.start_input(events)?;
        Ok(line)
    }

    /// Tells which terminal of the guest it belongs to.
    pub fn attach(&self, tty: &Arc<Tty>) {
        // A line has one terminal for its life.
        let _first = self.tty.set(Arc::downgrade(tty));
        self.window_changed();
    }

    fn tty(&self) -> Option<Arc<Tty>> {
        self.tty.get()?.upgrade()
    }

    /// Whether a person sits there: keyboard and screen are a terminal.
    pub fn is_interactive(&self) -> bool {
        self.has_keyboard() && self.has_screen()
    }

    pub fn has_keyboard(&self) -> bool {
        self.input.terminal().is_some()
    }

    pub fn has_screen(&self) -> bool {
        self.output.terminal().is_some()
    }

    /// Carries the host window's size to the guest.
    pub fn window_changed(&self) {
        let terminal = self.output.terminal().or(self.input.terminal());
        if let (Some(terminal), Some(tty)) = (terminal, self.tty())
            && let Ok(size) = host::terminal::size(&terminal.fd)
        {
            tty.set_winsize(Winsize {
                ws_row: size.rows,
                ws_col: size.columns,
                ws_xpixel: size.width,
                ws_ypixel: size.height,
            });
        }
    }

    /// Prints kernel text, ahead of nothing and behind everything.
    pub fn print(&self, text: &[u8]) {
        {
            let mut out = lock(&self.out);
            if out.queue.len() + text.len() > QUEUE + LOG_EXTRA {
                return;
            }
            out.queue.extend(text);
        }
        self.flush();
    }

    /// Writes what the host takes. Never blocks.
    fn flush(&self) {
        if !self.output.is_watchable() {
            self.out_changed.notify_all();
            return;
        }
        let waits = {
            let mut out = lock(&self.out);
            self.write_some(&mut out);
            !out.queue.is_empty()
        };
        if let (true, Some(watch)) = (waits, self.output_watch.get()) {
            watch.arm(Interest::WRITE);
        }
    }

    fn write_some(&self, out: &mut Output) {
        let Some(descriptor) = self.output.descriptor() else {
            out.queue.clear();
            return;
        };
        while !out.queue.is_empty() && !out.broken {
            match descriptor.write(out.queue.as_slices().0) {
                Ok(Some(n)) => {
                    out.queue.drain(..n);
                }
                Ok(None) => return,
                Err(_) => out.broken = true,
            }
        }
        if out.broken {
            out.queue.clear();
        }
    }

    fn start_output(self: &Arc<Line>, events: &EventLoop) -> io::Result<()> {
        let Some(descriptor) = self.output.descriptor().cloned() else {
            return Ok(());
        };
        let weak = Arc::downgrade(self);
        if self.output.is_watchable() {
            let watch = events.watch(descriptor.fd.clone(), Interest::NONE, move |_| {
                weak.upgrade()
                    .map_or(Interest::NONE, |line| line.writable())
            })?;
            // Nobody else sets it.
            let _first = self.output_watch.set(watch);
            return Ok(());
        }
        let line = self.clone();
        std::thread::Builder::new()
            .name("console-out".into())
            .stack_size(STACK)
            .spawn(move || line.write_blocking(&descriptor))?;
        Ok(())
    }

    fn writable(&self) -> Interest {
        let waits = {
            let mut out = lock(&self.out);
            self.write_some(&mut out);
            !out.queue.is_empty()
        };
        self.out_changed.notify_all();
        if let Some(tty) = self.tty() {
            tty.write_wakeup();
        }
        if waits {
            Interest::WRITE
        } else {
            Interest::NONE
        }
    }

    /// The life of the thread of an output that may block.
    fn write_blocking(&self, descriptor: &Descriptor) {
        loop {
            let chunk: Vec<u8> = {
                let mut out = lock(&self.out);
                while out.queue.is_empty() {
                    out = self
                        .out_changed
                        .wait(out)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                out.queue.iter().take(READ).copied().collect()
            };
            let written = descriptor.write(&chunk);
            {
                let mut out = lock(&self.out);
                match written {
                    Ok(n) => {
                        // A flush may have emptied the queue meanwhile.
                        let n = n.unwrap_or(0).min(out.queue.len());
                        out.queue.drain(..n);
                    }
                    Err(_) => {
                        out.broken = true;
                        out.queue.clear();
                    }
                }
            }
            self.out_changed.notify_all();
            if let Some(tty) = self.tty() {
                tty.write_wakeup();
            }
        }
    }

    fn start_input(self: &Arc<Line>, events: &EventLoop) -> io::Result<()> {
        let Some(descriptor) = self.input.descriptor().cloned() else {
            return Ok(());
        };
        let weak = Arc::downgrade(self);
        if self.input.is_watchable() {
            let from = descriptor.clone();
            let watch = events.watch(descriptor.fd.clone(), Interest::NONE, move |_| {
                weak.upgrade()
                    .map_or(Interest::NONE, |line| line.readable(&from))
            })?;
            // Nobody else sets it.
            let _first = self.input_watch.set(watch);
            return Ok(());
        }
        let line = self.clone();
        std::thread::Builder::new()
            .name("console-in".into())
            .stack_size(STACK)
            .spawn(move || line.read_blocking(&descriptor))?;
        Ok(())
    }

    /// Bytes that may be read now for the guest.
    fn wanted(&self) -> Option<(Arc<Tty>, usize)> {
        let tty = self.tty()?;
        {
            let mut inp = lock(&self.inp);
            if !inp.open || inp.ended {
                return None;
            }
            // Before asking, so that an `unthrottle` right after the answer is not lost.
            inp.throttled = true;
        }
        let room = tty.receive_room();
        if room == 0 {
            return None;
        }
        lock(&self.inp).throttled = false;
        Some((tty, room.min(READ)))
    }

    fn readable(&self, descriptor: &Descriptor) -> Interest {
        let Some((tty, room)) = self.wanted() else {
            return Interest::NONE;
        };
        let mut buffer = [0; READ];
        match descriptor.read(&mut buffer[..room]) {
            Ok(Some(n)) if n > 0 => {
                tty.receive(&buffer[..n]);
            }
            Ok(None) => {}
            ended => {
                self.end_input(&tty, ended.is_err());
                return Interest::NONE;
            }
        }
        Interest::READ
    }

    /// A pipe or file that is over is an end of file to the guest; a terminal that is gone hangs up.
    fn end_input(&self, tty: &Tty, failed: bool) {
        lock(&self.inp).ended = true;
        if failed || self.has_keyboard() {
            tty.hangup();
        } else {
            tty.end_input();
        }
    }

    /// The life of the thread of an input that may block.
    fn read_blocking(&self, descriptor: &Descriptor) {
        let mut buffer = [0; READ];
        loop {
            {
                let mut inp = lock(&self.inp);
                while !inp.open || inp.throttled {
                    inp = self
                        .inp_changed
                        .wait(inp)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
            let Some((tty, room)) = self.wanted() else {
                continue;
            };
            match descriptor.read(&mut buffer[..room]) {
                Ok(Some(n)) if n > 0 => {
                    tty.receive(&buffer[..n]);
                }
                Ok(None) => {}
                ended => return self.end_input(&tty, ended.is_err()),
            }
        }
    }

    fn wake_input(&self) {
        if let Some(watch) = self.input_watch.get() {
            watch.arm(Interest::READ);
        }
        self.inp_changed.notify_all();
    }

    /// Waits until the host has taken all output, unless it takes none for `patience`.
    pub fn drain(&self, patience: Duration) {
        self.flush();
        let mut out = lock(&self.out);
        let mut left = out.queue.len();
        let mut deadline = Instant::now() + patience;
        while !out.queue.is_empty() && !out.broken {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                return;
            };
            out = self
                .out_changed
                .wait_timeout(out, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if out.queue.len() < left {
                left = out.queue.len();
                deadline = Instant::now() + patience;
            }
        }
    }

    /// Gives the host terminal back.
    pub fn restore(&self) {
        let raw = lock(&self.raw).take();
        drop(raw);
    }
}

/// The driver's side of a line.
pub struct Driver(pub Arc<Line>);

impl TtyDriver for Driver {
    fn open(&self, _tty: &Arc<Tty>, _first: bool) -> kernel::Result<()> {
        lock(&self.0.inp).open = true;
        self.0.wake_input();
        Ok(())
    }

    fn close(&self, _tty: &Tty) {
        lock(&self.0.inp).open = false;
    }

    fn write(&self, bytes: &[u8]) -> usize {
        let line = &self.0;
        let taken = {
            let mut out = lock(&line.out);
            if out.broken {
                return bytes.len();
            }
            let taken = bytes.len().min(QUEUE.saturating_sub(out.queue.len()));
            out.queue.extend(&bytes[..taken]);
            taken
        };
        line.flush();
        taken
    }

    fn write_room(&self) -> usize {
        QUEUE.saturating_sub(lock(&self.0.out).queue.len())
    }

    fn chars_in_buffer(&self) -> usize {
        lock(&self.0.out).queue.len()
    }

    fn flush_output(&self) {
        lock(&self.0.out).queue.clear();
    }

    fn unthrottle(&self) {
        lock(&self.0.inp).throttled = false;
        self.0.wake_input();
    }
}
