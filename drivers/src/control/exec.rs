//! A program that a client runs in the machine: bytes, window sizes, signals and the status go between its descriptors
//! and the connection.
//!
//! A kernel thread moves them, without ever blocking on either side: what the client sends lies in a
//! buffer of the size of its window, what the program prints stays in its pipes while the connection has no room. When
//! the program ends, what is left in its pipes is passed on and the client gets the status; descendants that still have
//! them open find nobody there.

use super::connection::Connection;
use ::control::{Exec, Failure, Message, Size, Stream, WINDOW};
use abi::errno::Errno;
use abi::signal::{SIGCONT, SIGHUP, Siginfo};
use abi::tty::{ICANON, VEOF, Winsize};
use kernel::sync::{PollTable, WaitQueue};
use kernel::task::helper::{self, Ends, Helper};
use kernel::task::{ExitStatus, ThreadGroup, kernel_thread, pids};
use kernel::tty::Tty;
use kernel::vfs::{File, PollEvents, Sink, Source};
use kernel::{sched, signal};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes moved at a time.
const CHUNK: usize = 32 << 10;
/// What a login gives a program, before what the client adds.
const ENVIRONMENT: [&[u8]; 5] = [
    b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    b"HOME=/root",
    b"USER=root",
    b"LOGNAME=root",
    b"SHELL=/bin/sh",
];

/// What the client wants and the thread hasn't done yet.
#[derive(Default)]
struct Wishes {
    input: VecDeque<u8>,
    input_ended: bool,
    resize: Option<Size>,
    /// Bit n - 1: signal n.
    signals: u64,
    gone: bool,
}

pub struct Session {
    wishes: Mutex<Wishes>,
    changed: WaitQueue,
}

pub fn winsize(size: Size) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: size.width,
        ws_ypixel: size.height,
    }
}

/// `defaults`, with those replaced that `given` has under the same name.
fn environment(given: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let name = |e: &[u8]| e.split(|b| *b == b'=').next().map(<[u8]>::to_vec);
    let mut all: Vec<Vec<u8>> = ENVIRONMENT
        .iter()
        .filter(|e| !given.iter().any(|g| name(g) == name(e)))
        .map(|e| e.to_vec())
        .collect();
    all.extend(given);
    all
}

impl Session {
    /// Starts a kernel thread for the program. Err: what to tell the client.
    pub fn start(connection: &Arc<Connection>, exec: Exec) -> Result<Arc<Session>, String> {
        let session = Arc::new(Session {
            wishes: Mutex::default(),
            changed: WaitQueue::new(),
        });
        let request = helper::Request {
            argv: exec.argv,
            env: environment(exec.env),
            directories: match exec.directory {
                Some(dir) => vec![dir],
                None => vec![b"/root".to_vec(), b"/".to_vec()],
            },
            terminal: exec.terminal.map(winsize),
        };
        if sched::stop::is_stopped() {
            return Err("the machine is paused; 'umlaut resume' lets it go on".into());
        }
        let init = pids().task(1);
        let init = init.ok_or("the machine is still starting; try again in a moment")?;
        let (own, connection) = (session.clone(), connection.clone());
        kernel_thread::start(b"exec", init.fs().duplicate(), move |_| {
            own.serve(&connection, request);
        });
        Ok(session)
    }

    /// A message of the client. Err: it doesn't keep to the protocol.
    pub fn hear(&self, message: Message) -> Result<(), &'static str> {
        {
            let mut wishes = self.wishes.lock();
            match message {
                Message::Data {
                    stream: Stream::Input,
                    bytes,
                } => {
                    if wishes.input.len() + bytes.len() > WINDOW {
                        return Err("there is more input than the window has room for");
                    }
                    if !wishes.input_ended {
                        wishes.input.extend(bytes);
                    }
                }
                Message::End {
                    stream: Stream::Input,
                } => wishes.input_ended = true,
                Message::Resize(size) => wishes.resize = Some(size),
                Message::Signal { number } if (1..=64).contains(&number) => {
                    wishes.signals |= 1 << (number - 1);
                }
                _ => return Err("this message makes no sense while a program runs"),
            }
        }
        self.changed.wake_all();
        Ok(())
    }

    /// The client is gone.
    pub fn lose(&self) {
        self.wishes.lock().gone = true;
        self.changed.wake_all();
    }

    /// The thread's life.
    fn serve(&self, connection: &Connection, request: helper::Request) {
        let name = String::from_utf8_lossy(&request.argv[0]).into_owned();
        let dir = request.directories.first().cloned().unwrap_or_default();
        match helper::start(request) {
            Ok(helper) => {
                connection.send(&Message::Started {
                    pid: helper.group.pid(),
                });
                Shepherd::new(self, connection, helper).run();
            }
            Err(failure) => {
                let (why, text) = explain(failure, &name, &String::from_utf8_lossy(&dir));
                connection.fail(why, &text);
            }
        }
    }
}

/// The error as people know it.
fn describe(e: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(i32::from(e.0)).to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn explain(failure: helper::Failure, name: &str, dir: &str) -> (Failure, String) {
    match failure {
        helper::Failure::Process(e) => (
            Failure::Refused,
            format!("the machine can't start a process: {}", describe(e)),
        ),
        helper::Failure::Terminal(e) => (
            Failure::Refused,
            format!(
                "the machine has no terminal to give ({}); mount devpts on its /dev/pts, or use pipes: -T",
                describe(e)
            ),
        ),
        helper::Failure::Directory(e) => (
            Failure::NotExecutable,
            format!("the directory '{dir}' can't be used: {}", describe(e)),
        ),
        helper::Failure::Program(e) if e == Errno::ENOENT => {
            (Failure::NotFound, format!("{name}: {}", describe(e)))
        }
        helper::Failure::Program(e) => (Failure::NotExecutable, format!("{name}: {}", describe(e))),
    }
}

/// What a look at one of the program's outputs found.
#[derive(PartialEq, Eq)]
enum Found {
    Data,
    Nothing,
    /// There may be data, but the client has to take some first.
    NoRoom,
}

/// The program and what belongs to it.
struct Shepherd<'a> {
    session: &'a Session,
    connection: &'a Connection,
    group: Arc<ThreadGroup>,
    /// The terminal that the program is on.
    tty: Option<Arc<Tty>>,
    /// None when the program, or the client, has no more of it.
    input: Option<Arc<File>>,
    /// The last byte of input was not the end of a line.
    in_line: bool,
    outputs: Vec<(Stream, Arc<File>)>,
    buffer: Vec<u8>,
}

impl<'a> Shepherd<'a> {
    fn new(session: &'a Session, connection: &'a Connection, helper: Helper) -> Shepherd<'a> {
        let (tty, input, outputs) = match helper.ends {
            Ends::Terminal { master, tty } => {
                (Some(tty), master.clone(), vec![(Stream::Output, master)])
            }
            Ends::Pipes {
                input,
                output,
                error,
            } => (
                None,
                input,
                vec![(Stream::Output, output), (Stream::Error, error)],
            ),
        };
        Shepherd {
            session,
            connection,
            group: helper.group,
            tty,
            input: Some(input),
            in_line: false,
            outputs,
            buffer: vec![0; CHUNK],
        }
    }

    fn run(mut self) {
        let mut table = PollTable::new(sched::current());
        for file in self.outputs.iter().map(|o| &o.1).chain(&self.input) {
            file.ops().poll(file, Some(&mut table));
        }
        table.register(&self.group.exit_wait);
        table.register(&self.session.changed);
        table.register(&self.connection.changed);
        loop {
            if self.grant_wishes() {
                return self.hang_up();
            }
            // Looked at first: what the program printed before its end is then found below.
            let ended = self.group.inner.lock().zombie;
            let fed = self.feed();
            let found: Vec<Found> = (0..self.outputs.len()).map(|i| self.drain(i)).collect();
            if found.contains(&Found::Data) || fed {
                sched::preempt_if_needed();
                continue;
            }
            if let Some(status) = ended
                && !found.contains(&Found::NoRoom)
            {
                return self.tell(status);
            }
            sched::park(true);
        }
    }

    /// True: the client is gone.
    fn grant_wishes(&self) -> bool {
        let (resize, signals, gone) = {
            let mut wishes = self.session.wishes.lock();
            (
                wishes.resize.take(),
                std::mem::take(&mut wishes.signals),
                wishes.gone,
            )
        };
        if let (Some(size), Some(tty)) = (resize, &self.tty) {
            tty.set_winsize(winsize(size));
        }
        for signo in (1..=64).filter(|n| signals & 1 << (n - 1) != 0) {
            self.signal(Siginfo::kill(signo, 0, 0));
        }
        gone
    }

    fn signal(&self, info: Siginfo) {
        // Nobody is left: the signal comes too late.
        let _gone = signal::send_pgrp(self.group.pid(), info);
    }

    /// Gives the program input; whether any went in.
    fn feed(&mut self) -> bool {
        let Some(file) = self.input.clone() else {
            return false;
        };
        if file.ops().poll(&file, None).contains(PollEvents::ERR) {
            self.end_input();
            return false;
        }
        let (chunk, last) = {
            let wishes = self.session.wishes.lock();
            let chunk: Vec<u8> = wishes.input.iter().take(CHUNK).copied().collect();
            (chunk, wishes.input_ended)
        };
        if chunk.is_empty() {
            if last {
                self.end_of_typing();
            }
            return false;
        }
        let written = match file.ops().write(&file, &mut Source::kernel(&chunk), &mut 0) {
            Ok(written) => written,
            Err(e) if e == Errno::EAGAIN => return false,
            Err(_) => {
                self.end_input();
                return false;
            }
        };
        self.in_line = !matches!(chunk[written.saturating_sub(1)], b'\n' | b'\r');
        self.session.wishes.lock().input.drain(..written);
        self.connection.send(&Message::Credit {
            bytes: written as u32,
        });
        written > 0
    }

    /// The client has no more input: the pipe ends, on a terminal ^D is typed, twice in the middle of a line.
    fn end_of_typing(&mut self) {
        self.input = None;
        if let Some(tty) = &self.tty {
            let termios = tty.termios();
            if termios.c_lflag & ICANON != 0 {
                let end = [termios.c_cc[VEOF]; 2];
                tty.receive(&end[..1 + usize::from(self.in_line)]);
            }
        }
    }

    /// Nobody reads any more.
    fn end_input(&mut self) {
        self.input = None;
        {
            let mut wishes = self.session.wishes.lock();
            wishes.input.clear();
            wishes.input_ended = true;
        }
        self.connection.send(&Message::End {
            stream: Stream::Input,
        });
    }

    fn drain(&mut self, index: usize) -> Found {
        let (stream, file) = &self.outputs[index];
        let room = self.connection.room().min(CHUNK);
        if room == 0 {
            let waits = file.ops().poll(file, None).contains(PollEvents::READABLE);
            return if waits { Found::NoRoom } else { Found::Nothing };
        }
        let mut sink = Sink::kernel(&mut self.buffer[..room]);
        match file.ops().read(file, &mut sink, &mut 0) {
            Ok(n) if n > 0 => {
                self.connection.send_data(*stream, &self.buffer[..n]);
                Found::Data
            }
            // At the end, for now empty, or a terminal that nobody has open at this moment.
            _ => Found::Nothing,
        }
    }

    fn tell(self, status: ExitStatus) {
        let (signal, value) = match status {
            ExitStatus::Code(code) => (false, code),
            ExitStatus::Signal { signo, .. } => (true, signo as u8),
        };
        self.connection.send(&Message::Exited { signal, value });
        self.connection.close();
    }

    /// The client is gone. A terminal hangs up by itself when its other end is closed.
    fn hang_up(self) {
        if self.tty.is_none() {
            self.signal(Siginfo::kernel(SIGHUP));
            self.signal(Siginfo::kernel(SIGCONT));
        }
    }
}
