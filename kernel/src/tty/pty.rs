//! Pseudo-terminals (drivers/tty/pty.c): the slave is a terminal whose line is the master, a pair of byte queues.

use super::file::TtyFile;
use super::terminal::{Kind, Spec, Tty};
use super::{TtyDriver, ioctl};
use crate::error::{Result, err};
use crate::fs::devpts::{self, Instance};
use crate::fs::proc::sys::check_file_max;
use crate::signal;
use crate::sync::{Lock, PollTable, Rank, WaitQueue};
use crate::syscall::Context;
use crate::user::UserPtr;
use crate::vfs::{self, File, FileOps, Path, PollEvents, Sink, Source};
use abi::errno::Errno;
use abi::fs::{OpenFlags, major, makedev, minor};
use abi::signal::{SIGINT, SIGQUIT, SIGTSTP, Siginfo};
use abi::tty::*;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes from the slave that have reached the master's line discipline: flushing doesn't take them back.
const ARRIVED: usize = 4095;
/// Bytes from the slave that wait for the master, at most: those, and the buffer in between.
const QUEUE: usize = ARRIVED + 8192;
/// First major number of slaves; each has 256.
pub const SLAVE_MAJOR: u32 = 136;
/// Number of slaves at most (pty.max has the limit in force).
pub const SLAVES: u32 = 8 * 256;

/// Device number of slave `index`.
pub fn slave_rdev(index: u32) -> u64 {
    makedev(SLAVE_MAJOR + index / 256, index % 256)
}

/// `new_encode_dev()`: a device number in 32 bits, as /proc/pid/stat and TIOCGDEV have it.
pub fn encode_dev(rdev: u64) -> u32 {
    let (major, minor) = (major(rdev), minor(rdev));
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

struct MasterState {
    queue: VecDeque<u8>,
    packet: bool,
    /// Packet-mode status not yet read (TIOCPKT_*).
    status: u8,
    stopped: bool,
    /// No master any more.
    closed: bool,
    /// The last slave was closed.
    slave_closed: bool,
    locked: bool,
}

/// What both sides share.
pub struct Side {
    state: Lock<MasterState>,
    read_wait: WaitQueue,
    write_wait: WaitQueue,
}

/// A pty: its slave terminal and the master's side.
pub struct Pair {
    pub slave: Arc<Tty>,
    side: Arc<Side>,
    index: u32,
}

struct SlaveDriver(Arc<Side>);

impl Pair {
    /// A new pty, locked, as number `index`.
    pub fn new(index: u32) -> Arc<Pair> {
        let side = Arc::new(Side {
            state: Lock::new(
                Rank::TTY2,
                MasterState {
                    queue: VecDeque::new(),
                    packet: false,
                    status: 0,
                    stopped: false,
                    closed: false,
                    slave_closed: false,
                    locked: true,
                },
            ),
            read_wait: WaitQueue::new(),
            write_wait: WaitQueue::new(),
        });
        let mut termios = Termios2::from(Termios::STD);
        termios.c_cflag = B38400 | CS8 | CREAD;
        let spec = Spec {
            kind: Kind::Pty,
            index,
            name: format!("pts/{index}"),
            rdev: slave_rdev(index),
            termios,
        };
        Arc::new(Pair {
            slave: Tty::new(spec, Box::new(SlaveDriver(side.clone()))),
            side,
            index,
        })
    }
}

impl Side {
    fn tell_reader(&self) {
        self.read_wait.wake(PollEvents::READABLE);
    }

    fn set_status(&self, set: u8, clear: u8) {
        let told = {
            let mut state = self.state.lock();
            if state.packet {
                state.status = state.status & !clear | set;
            }
            state.packet
        };
        if told {
            self.read_wait.wake(PollEvents::READABLE | PollEvents::PRI);
        }
    }
}

impl TtyDriver for SlaveDriver {
    fn open(&self, _tty: &Arc<Tty>, _first: bool) -> Result<()> {
        let mut state = self.0.state.lock();
        if state.closed || state.locked {
            return err(Errno::EIO);
        }
        state.slave_closed = false;
        Ok(())
    }

    fn close(&self, _tty: &Tty) {
        {
            let mut state = self.0.state.lock();
            state.slave_closed = true;
            state.packet = false;
        }
        self.0
            .read_wait
            .wake_all_events(PollEvents::READABLE | PollEvents::HUP);
        self.0
            .write_wait
            .wake_all_events(PollEvents::WRITABLE | PollEvents::HUP);
    }

    fn write(&self, bytes: &[u8]) -> usize {
        let len = {
            let mut state = self.0.state.lock();
            let room = if state.closed {
                return bytes.len();
            } else {
                QUEUE.saturating_sub(state.queue.len())
            };
            let len = bytes.len().min(room);
            state.queue.extend(&bytes[..len]);
            len
        };
        if len > 0 {
            self.0.tell_reader();
        }
        len
    }

    fn write_room(&self) -> usize {
        let state = self.0.state.lock();
        if state.stopped {
            0
        } else {
            QUEUE.saturating_sub(state.queue.len())
        }
    }

    fn flush_output(&self) {
        self.0.state.lock().queue.truncate(ARRIVED);
        self.0.set_status(TIOCPKT_FLUSHWRITE, 0);
    }

    fn flushed_input(&self) {
        self.0.set_status(TIOCPKT_FLUSHREAD, 0);
        self.0.write_wait.wake(PollEvents::WRITABLE);
    }

    fn set_termios(&self, old: &Termios2, new: &mut Termios2) {
        let flow =
            |t: &Termios2| t.c_iflag & IXON != 0 && t.c_cc[VSTOP] == 0o23 && t.c_cc[VSTART] == 0o21;
        match (flow(old), flow(new)) {
            (false, true) => self.0.set_status(TIOCPKT_DOSTOP, TIOCPKT_NOSTOP),
            (true, false) => self.0.set_status(TIOCPKT_NOSTOP, TIOCPKT_DOSTOP),
            _ => {}
        }
        if (old.c_lflag | new.c_lflag) & EXTPROC != 0 {
            self.0.set_status(TIOCPKT_IOCTL, 0);
        }
        new.c_cflag = new.c_cflag & !(CSIZE | PARENB) | CS8 | CREAD;
    }

    fn flow(&self, stopped: bool) {
        self.0.state.lock().stopped = stopped;
        if stopped {
            self.0.set_status(TIOCPKT_STOP, TIOCPKT_START);
        } else {
            self.0.set_status(TIOCPKT_START, TIOCPKT_STOP);
        }
    }

    fn unthrottle(&self) {
        self.0.write_wait.wake(PollEvents::WRITABLE);
    }

    fn hangup(&self) {
        let mut state = self.0.state.lock();
        state.stopped = false;
        state.status = 0;
    }
}

/// An open master.
pub struct Master {
    pair: Arc<Pair>,
    instance: Arc<Instance>,
    /// The devpts that the slave's node is in.
    root: Path,
}

/// Opens /dev/ptmx: a new pty in the devpts that belongs to the node at `path` (ptmx_open()). ENOSPC, ENODEV.
pub fn open_master(path: &Path) -> Result<Master> {
    let root = devpts::find(path)?;
    let instance = devpts::instance_of(&root).ok_or(Errno::ENODEV)?;
    let pair = instance.allocate()?;
    Ok(Master {
        pair,
        instance,
        root,
    })
}

/// Opens the slave whose node is at `path`. EIO when it isn't one of a devpts.
pub fn open_slave(path: &Path, flags: OpenFlags) -> Result<TtyFile> {
    let pair = devpts::pair_of(path).ok_or(Errno::EIO)?;
    TtyFile::open(&pair.slave, flags, Default::default())
}

/// Unlocks the pty behind the open master `file` and opens its slave, for the kernel's own use. Also gives the terminal.
/// EINVAL when it is no master.
pub fn open_slave_of(file: &File, flags: OpenFlags) -> Result<(Arc<File>, Arc<Tty>)> {
    let master: &Master = file.ops_as().ok_or(Errno::EINVAL)?;
    master.side().state.lock().locked = false;
    Ok((master.peer(flags)?, master.pair.slave.clone()))
}

impl Master {
    fn side(&self) -> &Side {
        &self.pair.side
    }

    /// The slave, opened without its name.
    fn peer(&self, flags: OpenFlags) -> Result<Arc<File>> {
        let name = self.pair.index.to_string();
        let dentry = vfs::walk::lookup_child(&self.root, &self.root.inode(), name.as_bytes())?;
        vfs::open_path(&self.root.with(dentry), flags)
    }

    /// TIOCGPTPEER: the new descriptor's number.
    fn open_peer(&self, cx: &Context, flags: u64) -> Result<u64> {
        let flags = OpenFlags::from_bits_retain(flags as u32);
        check_file_max(&cx.task, 0)?;
        let file = self.peer(flags)?;
        let limit = cx.task.group.rlimit(abi::task::RLIMIT_NOFILE as usize);
        let cloexec = flags.contains(OpenFlags::O_CLOEXEC);
        if cloexec {
            // Shown by F_GETFL, unlike that of open(2).
            file.set_flags(file.flags() | OpenFlags::O_CLOEXEC);
        }
        let fd = cx.task.files().install(file, cloexec, 0, limit)?;
        Ok(fd as u64)
    }

    fn signal(&self, signo: i32) -> Result<()> {
        if ![SIGINT, SIGQUIT, SIGTSTP].contains(&signo) {
            return err(Errno::EINVAL);
        }
        if let Some(pgrp) = self.pair.slave.pgrp() {
            // A group that has just gone needs no signal.
            let _gone = signal::send_pgrp(pgrp, Siginfo::kernel(signo));
        }
        Ok(())
    }

    fn set_packet(&self, on: bool) {
        let mut state = self.side().state.lock();
        if on && !state.packet {
            state.status = 0;
        }
        state.packet = on;
    }
}

/// What a master's read finds.
enum Found {
    Status(u8),
    Data(usize),
    Nothing,
    Closed,
}

impl FileOps for Master {
    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut chunk = vec![0; sink.remaining().min(QUEUE)];
        let mut look = || {
            let mut state = self.side().state.lock();
            if state.packet && state.status != 0 {
                return Found::Status(std::mem::take(&mut state.status));
            }
            let extra = usize::from(state.packet);
            let len = (chunk.len()).min(state.queue.len());
            let len = len.min(sink.remaining().saturating_sub(extra));
            if state.queue.is_empty() {
                return if state.slave_closed {
                    Found::Closed
                } else {
                    Found::Nothing
                };
            }
            for (slot, byte) in chunk.iter_mut().zip(state.queue.drain(..len)) {
                *slot = byte;
            }
            Found::Data(len)
        };
        let mut found = look();
        if matches!(found, Found::Nothing) {
            if file.nonblocking() {
                return err(Errno::EAGAIN);
            }
            found = self.side().read_wait.wait_until(|| match look() {
                Found::Nothing => None,
                found => Some(found),
            })?;
        }
        match found {
            Found::Status(status) => sink.write(&[status]),
            Found::Data(len) => {
                let mut done = 0;
                if self.side().state.lock().packet {
                    done += sink.write(&[TIOCPKT_DATA])?;
                }
                done += sink.write(&chunk[..len])?;
                self.pair.slave.write_wakeup();
                Ok(done)
            }
            Found::Closed | Found::Nothing => err(Errno::EIO),
        }
    }

    fn write(&self, file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        let slave = &self.pair.slave;
        let mut chunk = vec![0; source.remaining().min(4096)];
        let start = source.done();
        while source.remaining() > 0 {
            let got = match source.read(&mut chunk) {
                Ok(got) => got,
                Err(_) if source.done() > start => break,
                Err(e) => return Err(e),
            };
            let mut used = 0;
            while used < got {
                used += slave.receive(&chunk[used..got]);
                if used == got {
                    break;
                }
                let waited = if file.nonblocking() {
                    err(Errno::EAGAIN)
                } else {
                    self.side()
                        .write_wait
                        .wait_until(|| (slave.receive_room() > 0).then_some(()))
                };
                if let Err(e) = waited {
                    source.rewind(got - used);
                    let done = source.done() - start;
                    return if done > 0 { Ok(done) } else { Err(e) };
                }
            }
        }
        Ok(source.done() - start)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.side().read_wait);
            table.register(&self.side().write_wait);
        }
        let mut events = PollEvents::empty();
        if self.pair.slave.receive_room() > 0 {
            events |= PollEvents::WRITABLE;
        }
        let state = self.side().state.lock();
        if !state.queue.is_empty() {
            events |= PollEvents::READABLE;
        }
        if state.packet && state.status != 0 {
            events |= PollEvents::READABLE | PollEvents::PRI;
        }
        if state.slave_closed {
            events |= PollEvents::HUP;
        }
        events
    }

    fn ioctl(&self, file: &File, cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        let put = |value: i32| UserPtr::<i32>::new(arg).write(&value);
        let get = || UserPtr::<i32>::new(arg).read();
        match cmd {
            TIOCGPTN => put(self.pair.index as i32)?,
            TIOCSPTLCK => {
                let locked = get()? != 0;
                self.side().state.lock().locked = locked;
            }
            TIOCGPTLCK => put(i32::from(self.side().state.lock().locked))?,
            TIOCPKT => self.set_packet(get()? != 0),
            TIOCGPKT => put(i32::from(self.side().state.lock().packet))?,
            TIOCSIG => self.signal(arg as i32)?,
            TIOCGPTPEER => return self.open_peer(cx, arg),
            TIOCINQ => put(self.side().state.lock().queue.len() as i32)?,
            TIOCOUTQ => put(0)?,
            TIOCGDEV => {
                let index = self.pair.index;
                UserPtr::<u32>::new(arg)
                    .write(&encode_dev(makedev(128 + index / 256, index % 256)))?;
            }
            TCFLSH if arg <= u64::from(TCIOFLUSH) => {
                if arg != u64::from(TCOFLUSH) {
                    self.side().state.lock().queue.clear();
                }
                if arg != u64::from(TCIFLUSH) {
                    self.pair.slave.run(|inner, _| inner.flush_input());
                }
                self.pair.slave.write_wakeup();
            }
            TCXONC | TIOCSTI | TIOCVHANGUP | TIOCSETD => return err(Errno::ENOTTY),
            _ => return ioctl::common(&self.pair.slave, file, cx, cmd, arg, true),
        }
        Ok(0)
    }

    fn release(&self, _file: &File) {
        self.side().state.lock().closed = true;
        self.instance.free(self.pair.index);
        self.pair.slave.hangup();
    }

    fn fdinfo(&self, _file: &File) -> String {
        format!("tty-index:\t{}\n", self.pair.index)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Packet mode: data follows.
const TIOCPKT_DATA: u8 = 0;
