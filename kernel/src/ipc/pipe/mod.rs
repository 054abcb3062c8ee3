//! Pipes and FIFOs (fs/pipe.c).
//!
//! The bytes lie in a [`Ring`] under a sleeping mutex, because copying them to or from a guest may fault. How full it is
//! and who is there also stands in atomics, which sleepers and `poll` look at without the mutex.

mod fifo;
mod ring;
mod splice;

pub use fifo::fifo_open;
pub use splice::{splice, splice_from_file, splice_from_user, splice_to_file, splice_to_user, tee};

use super::broken_pipe;
use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Lock, Mutex, MutexGuard, PollTable, Rank, WaitQueue};
use crate::syscall::Context;
use crate::task::Task;
use crate::user::UserPtr;
use crate::vfs::{self, File, FileOps, PollEvents, Sink, Source};
use abi::cap::{CAP_SYS_ADMIN, CAP_SYS_RESOURCE};
use abi::errno::Errno;
use abi::fs::{FIONREAD, OpenFlags};
use ring::{PAGE, Ring};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// Slots of a new pipe (PIPE_DEF_BUFFERS).
const DEFAULT_SLOTS: usize = 16;

/// /proc/sys/fs/pipe-max-size: bytes that F_SETPIPE_SZ gives to a program without CAP_SYS_RESOURCE.
pub static MAX_SIZE: AtomicU32 = AtomicU32::new(1 << 20);

/// /proc/sys/fs/pipe-user-pages-soft: slots of all pipes of a user, beyond which new pipes of a program without
/// CAP_SYS_RESOURCE or CAP_SYS_ADMIN are small and can't grow.
pub static USER_PAGES_SOFT: AtomicUsize = AtomicUsize::new(16_384);
/// Slots of a pipe beyond that limit (PIPE_MIN_DEF_BUFFERS).
const SMALL_SLOTS: usize = 2;

/// Slots of all pipes by the user who made them.
static USER_PAGES: Lock<BTreeMap<u32, usize>> = Lock::new(Rank::LEAF, BTreeMap::new());

/// Changes what `uid`'s pipes have, and tells the new sum.
fn account(uid: u32, add: usize, sub: usize) -> usize {
    let mut pages = USER_PAGES.lock();
    let sum = pages.entry(uid).or_default();
    *sum = *sum + add - sub;
    let sum = *sum;
    if sum == 0 {
        pages.remove(&uid);
    }
    sum
}

/// Whether the limit holds for the caller.
fn is_limited(task: &Task) -> bool {
    !task.capable(CAP_SYS_RESOURCE) && !task.capable(CAP_SYS_ADMIN)
}

/// A pipe, shared by its open files.
pub struct Pipe {
    ring: Mutex<Ring>,
    used: AtomicUsize,
    max: AtomicUsize,
    readers: AtomicU32,
    writers: AtomicU32,
    /// Openings so far; a FIFO's opener waits for the other one to change.
    readers_ever: AtomicU32,
    writers_ever: AtomicU32,
    /// Somebody has polled: edge-triggered epoll wants to hear of every write.
    polled: AtomicBool,
    read_wait: WaitQueue,
    write_wait: WaitQueue,
    partner_wait: WaitQueue,
    /// Who made it.
    uid: u32,
    /// Of pipe(2), no FIFO: opened again through /proc, nobody waits for the other side.
    nameless: AtomicBool,
    /// Device and inode number, where there is an inode.
    key: Option<(u64, u64)>,
}

/// An open file's hold on a pipe.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// Writers so far when a FIFO was opened without waiting for one: no POLLHUP until another has come.
    writers_at_open: Option<u32>,
}

/// Makes a pipe: its reading and its writing file. `flags`: O_NONBLOCK, O_DIRECT.
pub fn create(flags: OpenFlags) -> (Arc<File>, Arc<File>) {
    let place = vfs::new_pseudo(vfs::Pseudo::Pipe, 0o010_600);
    let pipe = fifo::pipe_at(&place);
    pipe.nameless.store(true, Ordering::Relaxed);
    let nonblock = flags & OpenFlags::O_NONBLOCK;
    let read = PipeEnd::new(&pipe, true, false);
    let write = PipeEnd::new(&pipe, false, true);
    (
        File::new(
            place.clone(),
            Box::new(read),
            OpenFlags::O_RDONLY | nonblock,
        ),
        File::new(
            place,
            Box::new(write),
            OpenFlags::O_WRONLY | nonblock | (flags & OpenFlags::O_DIRECT),
        ),
    )
}

/// fcntl F_GETPIPE_SZ, in bytes. EBADF when `file` is no pipe.
pub fn size(file: &File) -> Result<usize> {
    Ok(end(file)?.pipe.max.load(Ordering::Relaxed) * PAGE)
}

/// fcntl F_SETPIPE_SZ: the new size in bytes. EBADF, EBUSY, EINVAL, EPERM.
pub fn set_size(task: &Task, file: &File, bytes: u32) -> Result<usize> {
    let pipe = &end(file)?.pipe;
    if bytes > 1 << 31 {
        return err(Errno::EINVAL);
    }
    let bytes = (bytes as usize).max(PAGE).next_power_of_two();
    let mut ring = pipe.ring.lock();
    if bytes > ring.max() * PAGE
        && bytes > MAX_SIZE.load(Ordering::Relaxed) as usize
        && !task.capable(CAP_SYS_RESOURCE)
    {
        return err(Errno::EPERM);
    }
    let (was_full, was) = (ring.is_full(), ring.max());
    let sum = account(pipe.uid, bytes / PAGE, was);
    let limit = USER_PAGES_SOFT.load(Ordering::Relaxed);
    if bytes / PAGE > was && sum > limit && limit > 0 && is_limited(task) {
        account(pipe.uid, was, bytes / PAGE);
        return err(Errno::EPERM);
    }
    if !ring.resize(bytes / PAGE) {
        account(pipe.uid, was, bytes / PAGE);
        return err(Errno::EBUSY);
    }
    pipe.publish(&ring);
    let frees = was_full && !ring.is_full();
    drop(ring);
    if frees {
        pipe.write_wait.wake(PollEvents::WRITABLE);
    }
    Ok(bytes)
}

/// Whether `file` is a pipe or FIFO.
pub fn is_pipe(file: &File) -> bool {
    file.ops_as::<PipeEnd>().is_some()
}

fn end(file: &File) -> Result<&PipeEnd> {
    file.ops_as::<PipeEnd>().ok_or_else(|| Errno::EBADF.into())
}

impl Pipe {
    fn new(key: Option<(u64, u64)>) -> Arc<Pipe> {
        let task = sched::current();
        let uid = task.cred().uid;
        let mut slots = DEFAULT_SLOTS;
        let limit = USER_PAGES_SOFT.load(Ordering::Relaxed);
        if account(uid, slots, 0) > limit && limit > 0 && is_limited(&task) {
            account(uid, SMALL_SLOTS, slots);
            slots = SMALL_SLOTS;
        }
        Arc::new(Pipe {
            ring: Mutex::new(Ring::new(slots)),
            used: AtomicUsize::new(0),
            max: AtomicUsize::new(slots),
            uid,
            readers: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            readers_ever: AtomicU32::new(0),
            writers_ever: AtomicU32::new(0),
            polled: AtomicBool::new(false),
            read_wait: WaitQueue::new(),
            write_wait: WaitQueue::new(),
            partner_wait: WaitQueue::new(),
            nameless: AtomicBool::new(false),
            key,
        })
    }

    /// Lets sleepers and `poll` see how full the ring is.
    fn publish(&self, ring: &Ring) {
        self.used.store(ring.used(), Ordering::SeqCst);
        self.max.store(ring.max(), Ordering::SeqCst);
    }

    fn has_readers(&self) -> bool {
        self.readers.load(Ordering::SeqCst) > 0
    }

    fn has_writers(&self) -> bool {
        self.writers.load(Ordering::SeqCst) > 0
    }

    /// A read won't block.
    fn is_readable(&self) -> bool {
        self.used.load(Ordering::SeqCst) > 0 || !self.has_writers()
    }

    fn has_room(&self) -> bool {
        self.used.load(Ordering::SeqCst) < self.max.load(Ordering::SeqCst)
    }

    /// A write won't block.
    fn is_writable(&self) -> bool {
        self.has_room() || !self.has_readers()
    }

    fn wake_readers(&self) {
        self.read_wait.wake(PollEvents::READABLE);
    }

    fn wake_writers(&self) {
        self.write_wait.wake(PollEvents::WRITABLE);
    }

    fn read(&self, sink: &mut Sink<'_>, nonblock: bool) -> Result<usize> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut ring = self.ring.lock();
        let mut was_full = ring.is_full();
        let mut pass_on = false;
        let result = loop {
            if !ring.is_empty() {
                break drain(&mut ring, sink);
            }
            if !self.has_writers() {
                break Ok(0);
            }
            if nonblock {
                break err(Errno::EAGAIN);
            }
            drop(ring);
            self.read_wait
                .wait_until_exclusive(|| self.is_readable().then_some(()))?;
            pass_on = true;
            ring = self.ring.lock();
            was_full = ring.is_full();
        };
        self.publish(&ring);
        let wake_writers = was_full && !ring.is_full();
        let wake_next = pass_on && !ring.is_empty();
        drop(ring);
        if wake_writers {
            self.wake_writers();
        }
        if wake_next {
            self.wake_readers();
        }
        result
    }

    fn write(&self, source: &mut Source<'_>, nonblock: bool, packet: bool) -> Result<usize> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        let start = source.done();
        let mut ring = self.ring.lock();
        let mut was_empty = ring.is_empty();
        let mut pass_on = false;
        let mut result = Ok(());
        if self.has_readers() {
            result = add_to_last(&mut ring, source);
        }
        while result.is_ok() {
            if !self.has_readers() {
                broken_pipe();
                result = err(Errno::EPIPE);
                break;
            }
            if source.remaining() == 0 {
                break;
            }
            if !ring.is_full() {
                result = fill(&mut ring, source, packet);
                continue;
            }
            if nonblock {
                result = err(Errno::EAGAIN);
                break;
            }
            self.publish(&ring);
            drop(ring);
            if was_empty {
                self.wake_readers();
            }
            let woken = self
                .write_wait
                .wait_until_exclusive(|| self.is_writable().then_some(()));
            ring = self.ring.lock();
            was_empty = ring.is_empty();
            pass_on = true;
            result = woken;
        }
        self.publish(&ring);
        let wake_next = pass_on && !ring.is_full();
        let wake_readers = was_empty || self.polled.load(Ordering::Relaxed);
        drop(ring);
        let done = source.done() - start;
        if wake_readers && done > 0 {
            self.wake_readers();
        }
        if wake_next {
            self.wake_writers();
        }
        match result {
            Err(e) if done == 0 => Err(e),
            _ => Ok(done),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock()
    }
}

/// Moves what is there to `sink`, up to the end of a packet.
fn drain(ring: &mut Ring, sink: &mut Sink<'_>) -> Result<usize> {
    let mut done = 0;
    while sink.remaining() > 0 && !ring.is_empty() {
        let (data, packet) = ring.data(sink.remaining());
        let want = data.len();
        let moved = match sink.write(data) {
            Ok(moved) => moved,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        };
        // A page that could be copied in part only stays: fs/pipe.c:pipe_read().
        let taken = if moved < want {
            ring.whole_slots(moved)
        } else {
            moved
        };
        ring.consume(taken);
        done += taken;
        if moved < want && done == 0 {
            return err(Errno::EFAULT);
        }
        if packet || moved < want {
            break;
        }
    }
    Ok(done)
}

/// Puts the odd bytes of a write behind those that are there: fs/pipe.c:pipe_write().
fn add_to_last(ring: &mut Ring, source: &mut Source<'_>) -> Result<()> {
    let odd = source.remaining() % PAGE;
    if odd == 0 {
        return Ok(());
    }
    if let Some(room) = ring.merge_room(odd) {
        let moved = source.read(room)?;
        if moved < odd {
            source.rewind(moved);
            return err(Errno::EFAULT);
        }
        ring.merged(moved);
    }
    Ok(())
}

/// Fills one piece of free slots. After a fault, which is EFAULT, whole pages count.
fn fill(ring: &mut Ring, source: &mut Source<'_>, packet: bool) -> Result<()> {
    let room = ring.room(source.remaining());
    let want = room.len();
    let moved = source.read(room)?;
    if moved < want {
        source.rewind(moved % PAGE);
        ring.filled(moved - moved % PAGE, packet);
        return err(Errno::EFAULT);
    }
    ring.filled(moved, packet);
    Ok(())
}

impl PipeEnd {
    fn new(pipe: &Arc<Pipe>, reads: bool, writes: bool) -> PipeEnd {
        if reads {
            pipe.readers_ever.fetch_add(1, Ordering::SeqCst);
            pipe.readers.fetch_add(1, Ordering::SeqCst);
        }
        if writes {
            pipe.writers_ever.fetch_add(1, Ordering::SeqCst);
            pipe.writers.fetch_add(1, Ordering::SeqCst);
        }
        PipeEnd {
            pipe: pipe.clone(),
            reads,
            writes,
            writers_at_open: None,
        }
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        if self.reads {
            pipe.readers.fetch_sub(1, Ordering::SeqCst);
        }
        if self.writes {
            pipe.writers.fetch_sub(1, Ordering::SeqCst);
        }
        if pipe.has_readers() != pipe.has_writers() {
            let gone = PollEvents::ERR | PollEvents::HUP;
            pipe.read_wait.wake_all_events(PollEvents::READABLE | gone);
            pipe.write_wait.wake_all_events(PollEvents::WRITABLE | gone);
        }
    }
}

impl FileOps for PipeEnd {
    fn kernel_bytes(&self) -> usize {
        self.pipe
            .ring
            .try_lock()
            .map_or(0, |ring| ring.memory_bytes())
    }

    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        self.pipe.read(sink, file.nonblocking())
    }

    fn write(&self, file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        let packet = file.flags().contains(OpenFlags::O_DIRECT);
        self.pipe.write(source, file.nonblocking(), packet)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        let pipe = &self.pipe;
        pipe.polled.store(true, Ordering::Relaxed);
        if let Some(table) = table {
            if self.reads {
                table.register(&pipe.read_wait);
            }
            if self.writes {
                table.register(&pipe.write_wait);
            }
        }
        let mut events = PollEvents::empty();
        if self.reads {
            if pipe.used.load(Ordering::SeqCst) > 0 {
                events |= PollEvents::READABLE;
            }
            let writers_ever = pipe.writers_ever.load(Ordering::SeqCst);
            if !pipe.has_writers() && self.writers_at_open != Some(writers_ever) {
                events |= PollEvents::HUP;
            }
        }
        if self.writes {
            if pipe.has_room() {
                events |= PollEvents::WRITABLE;
            }
            if !pipe.has_readers() {
                events |= PollEvents::ERR;
            }
        }
        events
    }

    fn ioctl(&self, _file: &File, _cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        if cmd != FIONREAD {
            return err(Errno::ENOTTY);
        }
        let bytes = self.pipe.lock().bytes();
        UserPtr::<u32>::new(arg).write(&u32::try_from(bytes).unwrap_or(u32::MAX))?;
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
