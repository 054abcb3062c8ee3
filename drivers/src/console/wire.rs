//! A wire: the open channels of a line, moving bytes between the guest's terminal and the host.
//!
//! Output goes through a bounded queue that is written as far as the host takes it at once, the rest when the event
//! loop says so: no reader of ours, slow or dead, ever blocks a vCPU. Input is only taken while the guest has the terminal
//! open and has room. Descriptors that the event loop can't watch get a thread.
//!
//! A wire lives from the opening of its channels to [`Wire::close`]. Its watches are dropped there without any lock, since that waits for
//! their callbacks. Locks: the terminal's may be held when bytes are written, so none of ours is held when it is called.

use super::line::Line;
use super::open::{Open, Window};
use super::stream::Stream;
use abi::tty::Winsize;
use host::descriptor::{self, Direction};
use host::launcher::News;
use host::terminal::Size;
use host::{EventLoop, Interest, Watch};
use kernel::tty::Tty;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Bytes of guest output that wait for the host, at most.
pub const QUEUE: usize = 16 << 10;
/// Bytes of kernel log that may wait beyond that.
pub const LOG_EXTRA: usize = 256 << 10;
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

/// What must be dropped without a lock.
#[derive(Default)]
struct Held {
    input: Option<Watch>,
    output: Option<Watch>,
    window: Option<Watch>,
    #[expect(dead_code, reason = "only its drop matters")]
    keep: Vec<Box<dyn Send>>,
}

/// The open channels of a line.
pub struct Wire {
    line: Weak<Line>,
    input: Option<Stream>,
    output: Option<Stream>,
    /// Whether input and output are terminals: one that was hung up no longer says so.
    keyboard: bool,
    screen: bool,
    windows: Vec<Window>,
    /// As `config` tells.
    pub text: String,
    out: Mutex<Output>,
    /// Output was written, or there is some for the writing thread.
    out_changed: Condvar,
    inp: Mutex<Input>,
    inp_changed: Condvar,
    held: Mutex<Held>,
    closed: AtomicBool,
    /// Wakes threads that wait for a descriptor.
    waker: Option<OwnedFd>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Byte queues and flags are whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_watchable(stream: &Stream) -> bool {
    stream.descriptor().is_watchable()
}

impl Wire {
    /// Starts to move bytes; `early` goes out first.
    pub fn start(
        line: &Arc<Line>,
        open: Open,
        early: VecDeque<u8>,
        events: &EventLoop,
    ) -> io::Result<Arc<Wire>> {
        let threads = [&open.input, &open.output]
            .into_iter()
            .flatten()
            .any(|stream| !is_watchable(stream));
        let wire = Arc::new(Wire {
            line: Arc::downgrade(line),
            keyboard: open.input.as_ref().is_some_and(is_terminal),
            screen: open.output.as_ref().is_some_and(is_terminal),
            input: open.input,
            output: open.output,
            windows: open.windows,
            text: open.text,
            out: Mutex::new(Output {
                queue: early,
                broken: false,
            }),
            out_changed: Condvar::new(),
            inp: Mutex::default(),
            inp_changed: Condvar::new(),
            held: Mutex::new(Held {
                keep: open.keep,
                ..Held::default()
            }),
            closed: AtomicBool::new(false),
            waker: if threads {
                Some(descriptor::waker()?)
            } else {
                None
            },
        });
        wire.start_output(events)?;
        wire.start_input(events)?;
        if let Some(program) = open.watcher {
            let weak = Arc::downgrade(&wire);
            let life = program.life().clone();
            let watch = events.watch(life, Interest::READ, move |_| match program.news() {
                News::WindowChanged => {
                    if let Some(wire) = weak.upgrade() {
                        wire.window_changed();
                    }
                    Interest::READ
                }
                News::Running => Interest::READ,
                // Without a watcher the size stays as it is.
                News::Ended(_) | News::Failed(_) => Interest::NONE,
            })?;
            lock(&wire.held).window = Some(watch);
        }
        wire.flush();
        Ok(wire)
    }

    /// Ends everything: channels, programs, threads. Called once or more, without locks, not with a terminal's lock held.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        {
            let mut out = lock(&self.out);
            out.broken = true;
            out.queue.clear();
        }
        if let Some(waker) = &self.waker {
            descriptor::wake(waker);
        }
        // Under the locks that the threads look with, or they could miss it.
        drop(lock(&self.inp));
        self.inp_changed.notify_all();
        self.out_changed.notify_all();
        let held = std::mem::take(&mut *lock(&self.held));
        drop(held);
    }

    fn tty(&self) -> Option<Arc<Tty>> {
        self.line.upgrade()?.tty()
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Input is a terminal with somebody at it.
    pub fn has_keyboard(&self) -> bool {
        self.keyboard
    }

    /// Output is a terminal.
    pub fn has_screen(&self) -> bool {
        self.screen
    }

    /// Whether the host's end has a window with a size.
    pub fn has_window(&self) -> bool {
        self.windows.iter().any(|window| window.size().is_some())
    }

    /// Carries the host window's size to the guest.
    pub fn window_changed(&self) {
        if let Some(size) = self.windows.iter().find_map(Window::size) {
            self.resize(size);
        }
    }

    /// The guest's window gets a size from scratch: that of the last session means nothing.
    pub fn new_window(&self) {
        let size = self.windows.iter().find_map(Window::size);
        self.resize(size.unwrap_or_default());
    }

    fn resize(&self, size: Size) {
        if let Some(tty) = self.tty() {
            tty.set_winsize(Winsize {
                ws_row: size.rows,
                ws_col: size.columns,
                ws_xpixel: size.width,
                ws_ypixel: size.height,
            });
        }
    }

    /// Takes output: as much as fits into the queue.
    pub fn write(&self, bytes: &[u8]) -> usize {
        let taken = {
            let mut out = lock(&self.out);
            if out.broken || self.output.is_none() {
                return bytes.len();
            }
            let taken = bytes.len().min(QUEUE.saturating_sub(out.queue.len()));
            out.queue.extend(&bytes[..taken]);
            taken
        };
        self.flush();
        taken
    }

    /// Bytes that wait for the host.
    pub fn queued(&self) -> usize {
        lock(&self.out).queue.len()
    }

    pub fn room(&self) -> usize {
        QUEUE.saturating_sub(self.queued())
    }

    /// Forgets output that waits.
    pub fn discard(&self) {
        lock(&self.out).queue.clear();
    }

    /// Prints kernel text, ahead of nothing and behind everything.
    pub fn print(&self, text: &[u8]) {
        {
            let mut out = lock(&self.out);
            if out.broken || out.queue.len() + text.len() > QUEUE + LOG_EXTRA {
                return;
            }
            out.queue.extend(text);
        }
        self.flush();
    }

    /// Writes what the host takes. Never blocks.
    fn flush(&self) {
        let Some(output) = &self.output else {
            return self.discard();
        };
        if !is_watchable(output) {
            self.out_changed.notify_all();
            return;
        }
        if self.write_some(output)
            && let Some(watch) = &lock(&self.held).output
        {
            watch.arm(Interest::WRITE);
        }
    }

    /// Whether something waits for the host to have room.
    fn write_some(&self, output: &Stream) -> bool {
        let mut out = lock(&self.out);
        while (!out.queue.is_empty() || output.is_pending()) && !out.broken {
            match output.write(out.queue.as_slices().0) {
                Ok(Some(n)) => drop(out.queue.drain(..n)),
                Ok(None) => return true,
                Err(_) => out.broken = true,
            }
        }
        if out.broken {
            out.queue.clear();
        }
        false
    }

    fn start_output(self: &Arc<Wire>, events: &EventLoop) -> io::Result<()> {
        let Some(output) = &self.output else {
            return Ok(());
        };
        if is_watchable(output) {
            // The input may be the same descriptor.
            let fd = descriptor::duplicate(output.fd())?;
            let weak = Arc::downgrade(self);
            let watch = events.watch(fd, Interest::NONE, move |_| {
                weak.upgrade()
                    .map_or(Interest::NONE, |wire| wire.writable())
            })?;
            lock(&self.held).output = Some(watch);
            return Ok(());
        }
        let wire = self.clone();
        std::thread::Builder::new()
            .name("console-out".into())
            .stack_size(STACK)
            .spawn(move || wire.write_blocking())?;
        Ok(())
    }

    fn writable(&self) -> Interest {
        let waits = self
            .output
            .as_ref()
            .is_some_and(|output| self.write_some(output));
        self.written();
        if waits {
            Interest::WRITE
        } else {
            Interest::NONE
        }
    }

    fn written(&self) {
        self.out_changed.notify_all();
        if let Some(line) = self.line.upgrade() {
            line.output_moved();
        }
    }

    /// The life of the thread of an output that may block.
    fn write_blocking(&self) {
        let (Some(output), Some(waker)) = (&self.output, &self.waker) else {
            return;
        };
        loop {
            let chunk: Vec<u8> = {
                let mut out = lock(&self.out);
                while out.queue.is_empty() {
                    if self.is_closed() {
                        return;
                    }
                    out = self
                        .out_changed
                        .wait(out)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                out.queue.iter().take(READ).copied().collect()
            };
            output.descriptor().wait(Direction::Out, waker);
            let written = output.write(&chunk);
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
            self.written();
        }
    }

    fn start_input(self: &Arc<Wire>, events: &EventLoop) -> io::Result<()> {
        let Some(input) = &self.input else {
            return Ok(());
        };
        if is_watchable(input) {
            let weak = Arc::downgrade(self);
            let watch = events.watch(input.fd().clone(), Interest::NONE, move |_| {
                weak.upgrade()
                    .map_or(Interest::NONE, |wire| wire.readable())
            })?;
            lock(&self.held).input = Some(watch);
            return Ok(());
        }
        let wire = self.clone();
        std::thread::Builder::new()
            .name("console-in".into())
            .stack_size(STACK)
            .spawn(move || wire.read_blocking())?;
        Ok(())
    }

    /// Bytes that may be read now for the guest.
    fn wanted(&self) -> Option<(Arc<Tty>, usize)> {
        let tty = self.tty()?;
        {
            let mut inp = lock(&self.inp);
            if !inp.open || inp.ended || self.is_closed() {
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

    fn readable(self: &Arc<Wire>) -> Interest {
        let (Some(input), Some((tty, room))) = (&self.input, self.wanted()) else {
            return Interest::NONE;
        };
        let mut buffer = [0; READ];
        let got = input.read(&mut buffer[..room]);
        if let Stream::Telnet(connection) = input {
            if connection.new_size().is_some() {
                self.window_changed();
            }
            if connection.take_break() {
                tty.receive_break();
            }
            if input.is_pending() {
                self.flush();
            }
        }
        match got {
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

    /// A pipe or file that is over is an end of file to the guest; a terminal or client that is gone hangs up.
    fn end_input(self: &Arc<Wire>, tty: &Tty, failed: bool) {
        lock(&self.inp).ended = true;
        let hangs_up = failed || self.keyboard;
        match self.line.upgrade() {
            Some(line) if hangs_up => line.lost(self),
            _ => tty.end_input(),
        }
    }

    /// The life of the thread of an input that may block.
    fn read_blocking(self: &Arc<Wire>) {
        let (Some(input), Some(waker)) = (&self.input, &self.waker) else {
            return;
        };
        let mut buffer = [0; READ];
        loop {
            {
                let mut inp = lock(&self.inp);
                while (!inp.open || inp.throttled) && !self.is_closed() {
                    inp = self
                        .inp_changed
                        .wait(inp)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
            input.descriptor().wait(Direction::In, waker);
            if self.is_closed() {
                return;
            }
            let Some((tty, room)) = self.wanted() else {
                continue;
            };
            match input.read(&mut buffer[..room]) {
                Ok(Some(n)) if n > 0 => {
                    tty.receive(&buffer[..n]);
                }
                Ok(None) => {}
                ended => return self.end_input(&tty, ended.is_err()),
            }
        }
    }

    /// The guest has the terminal open: input is taken. When the wire is `new`, first what a client typed before it got this line:
    /// the event loop doesn't know of that.
    pub fn begin(self: &Arc<Wire>, new: bool) {
        lock(&self.inp).open = true;
        if new && matches!(self.input, Some(Stream::Telnet(_))) {
            self.readable();
        }
        self.wake_input();
    }

    /// The guest has closed the terminal: input waits.
    pub fn leave_input(&self) {
        lock(&self.inp).open = false;
    }

    /// The terminal has room again.
    pub fn unthrottle(&self) {
        lock(&self.inp).throttled = false;
        self.wake_input();
    }

    fn wake_input(&self) {
        if let Some(watch) = &lock(&self.held).input {
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
}

fn is_terminal(stream: &Stream) -> bool {
    match stream {
        Stream::Telnet(_) => true,
        Stream::Plain(descriptor) => host::terminal::is_terminal(&descriptor.fd),
    }
}
