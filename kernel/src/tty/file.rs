//! Open terminals: reading with VMIN and VTIME, writing, poll (drivers/tty/tty_io.c, n_tty.c).

use super::ntty::Taken;
use super::terminal::{Side, Tty, hung_up};
use super::{ioctl, job};
use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Deadline, PollTable};
use crate::syscall::Context;
use crate::vfs::{File, FileOps, PollEvents, Sink, Source};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::signal::SIGTTIN;
use abi::task::CAP_SYS_ADMIN;
use abi::tty::{ICANON, TOSTOP, VMIN, VTIME};
use std::any::Any;
use std::sync::Arc;

/// Bytes moved at a time between a program and a terminal.
const CHUNK: usize = 4096;
/// VTIME counts tenths of a second.
const TENTH_NS: u64 = 100_000_000;

/// An open terminal.
pub struct TtyFile {
    tty: Arc<Tty>,
    generation: u64,
    /// Opened as /dev/console: reads are not subject to job control.
    console: bool,
}

/// How it is opened.
#[derive(Clone, Copy, Default)]
pub struct Opening {
    /// Never becomes the controlling terminal by this.
    pub noctty: bool,
    pub console: bool,
}

impl TtyFile {
    /// EBUSY for a terminal in exclusive use, and what the line says.
    pub fn open(tty: &Arc<Tty>, flags: OpenFlags, how: Opening) -> Result<TtyFile> {
        let task = sched::try_current();
        let privileged = task.as_ref().is_none_or(|t| t.capable(CAP_SYS_ADMIN));
        let first = tty.run(|inner, _| {
            if inner.exclusive && inner.count > 0 && !privileged {
                return err(Errno::EBUSY);
            }
            inner.count += 1;
            Ok(inner.count == 1)
        })?;
        if let Err(e) = tty.driver().open(tty, first) {
            tty.run(|inner, _| inner.count -= 1);
            return Err(e);
        }
        if !how.noctty && !flags.contains(OpenFlags::O_NOCTTY) {
            let write_only = flags.intersection(OpenFlags::O_ACCMODE) == OpenFlags::O_WRONLY;
            job::take_if_free(tty, !write_only);
        }
        Ok(TtyFile {
            generation: tty.peek(|inner| inner.generation),
            tty: tty.clone(),
            console: how.console,
        })
    }

    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    fn is_hung_up(&self) -> bool {
        self.tty.peek(|inner| inner.generation != self.generation)
    }
}

/// How long a raw read goes on: bytes it wants, how long it waits for the first and between bytes (n_tty_read()).
struct Patience {
    minimum: usize,
    first_ns: Option<u64>,
    between_ns: Option<u64>,
}

impl Patience {
    fn of(tty: &Tty) -> Patience {
        let termios = tty.termios();
        let min = usize::from(termios.c_cc[VMIN]);
        let time = u64::from(termios.c_cc[VTIME]) * TENTH_NS;
        if termios.c_lflag & ICANON != 0 {
            Patience {
                minimum: 0,
                first_ns: None,
                between_ns: None,
            }
        } else if min > 0 {
            Patience {
                minimum: min,
                first_ns: None,
                between_ns: (time > 0).then_some(time),
            }
        } else {
            Patience {
                minimum: 1,
                first_ns: Some(time),
                between_ns: None,
            }
        }
    }
}

impl FileOps for TtyFile {
    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        let tty = &self.tty;
        if self.is_hung_up() {
            return Ok(0);
        }
        if !self.console {
            job::check(tty, SIGTTIN)?;
        }
        let nonblocking = file.nonblocking();
        let _turn = tty.turn(Side::Read, nonblocking)?;
        let patience = Patience::of(tty);
        let mut deadline = patience.first_ns.map(Deadline::after);
        let mut chunk = vec![0; sink.remaining().min(CHUNK)];
        let start = sink.done();
        while sink.remaining() > 0 {
            let want = chunk.len().min(sink.remaining());
            match tty.take(&mut chunk[..want]) {
                Taken::Data { bytes, end } => {
                    if let Err(e) = sink.write(&chunk[..bytes]) {
                        return partial(sink.done() - start, e);
                    }
                    let done = sink.done() - start;
                    let canonical = patience.minimum == 0;
                    if end || canonical || done >= patience.minimum {
                        break;
                    }
                    deadline = patience.between_ns.map(Deadline::after).or(deadline);
                }
                Taken::Nothing => {
                    if self.is_hung_up() || deadline.is_some_and(|at| at.passed()) {
                        break;
                    }
                    if nonblocking {
                        return partial(sink.done() - start, Errno::EAGAIN.into());
                    }
                    let ready = || {
                        tty.peek(|inner| {
                            inner.generation != self.generation
                                || inner.ldisc.available(false)
                                || inner.ended()
                        })
                        .then_some(())
                    };
                    if let Err(e) = tty.read_wait.wait_deadline(deadline, ready) {
                        return partial(sink.done() - start, e);
                    }
                }
            }
        }
        Ok(sink.done() - start)
    }

    fn write(&self, file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        let tty = &self.tty;
        if self.is_hung_up() {
            return hung_up();
        }
        if tty.termios().c_lflag & TOSTOP != 0 {
            job::check_change(tty)?;
        }
        let nonblocking = file.nonblocking();
        let _turn = tty.turn(Side::Write, nonblocking)?;
        let mut chunk = vec![0; source.remaining().min(CHUNK)];
        let start = source.done();
        while source.remaining() > 0 {
            let got = match source.read(&mut chunk) {
                Ok(got) => got,
                Err(e) => return partial(source.done() - start, e),
            };
            let mut used = 0;
            while used < got {
                if self.is_hung_up() {
                    source.rewind(got - used);
                    return partial(source.done() - start, Errno::EIO.into());
                }
                let step = tty.put(&chunk[used..got]);
                used += step;
                if step > 0 {
                    continue;
                }
                let room = || (self.is_hung_up() || tty.has_room()).then_some(());
                let waited = if nonblocking {
                    err(Errno::EAGAIN)
                } else {
                    tty.write_wait.wait_until(room)
                };
                if let Err(e) = waited {
                    source.rewind(got - used);
                    return partial(source.done() - start, e);
                }
            }
        }
        Ok(source.done() - start)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.tty.read_wait);
            table.register(&self.tty.write_wait);
        }
        if self.is_hung_up() {
            return PollEvents::READABLE | PollEvents::WRITABLE | PollEvents::ERR | PollEvents::HUP;
        }
        self.tty.poll_events()
    }

    fn ioctl(&self, file: &File, cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        if self.is_hung_up() {
            return if cmd == abi::tty::TIOCSPGRP {
                err(Errno::ENOTTY)
            } else {
                hung_up()
            };
        }
        ioctl::terminal(&self.tty, file, cx, cmd, arg)
    }

    fn release(&self, _file: &File) {
        let tty = &self.tty;
        let last = tty.run(|inner, _| {
            inner.count -= 1;
            inner.count == 0
        });
        if last {
            tty.driver().close(tty);
            job::release_session(tty);
            tty.run(|inner, driver| {
                inner.exclusive = false;
                if driver.resets_termios() {
                    inner.ldisc.set_termios(tty.initial_termios());
                }
            });
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What was done counts more than why it stopped.
fn partial(done: usize, e: crate::Error) -> Result<usize> {
    if done > 0 { Ok(done) } else { Err(e) }
}
