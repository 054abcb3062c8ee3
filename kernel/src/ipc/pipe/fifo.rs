//! Opening FIFOs: finding the pipe of an inode, and waiting for the other side (fs/pipe.c:fifo_open()).

use super::{Pipe, PipeEnd};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use crate::vfs::{FileOps, Path};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// The pipes that are open, by device and inode number (an open file keeps its inode, so a number isn't used again
/// meanwhile). Those of pipe(2) can be opened too, through /proc/pid/fd.
static OPEN: Lock<BTreeMap<(u64, u64), Weak<Pipe>>> = Lock::new(Rank::LEAF, BTreeMap::new());

/// The pipe of the inode at `path`, made when there is none.
pub(super) fn pipe_at(path: &Path) -> Arc<Pipe> {
    match path.inode().metadata() {
        Ok(meta) => pipe_of((meta.dev, meta.ino)),
        Err(_) => Pipe::new(None),
    }
}

fn pipe_of(key: (u64, u64)) -> Arc<Pipe> {
    let there = || OPEN.lock().get(&key).and_then(Weak::upgrade);
    if let Some(pipe) = there() {
        return pipe;
    }
    let new = Pipe::new(Some(key));
    let mut open = OPEN.lock();
    let slot = open.entry(key).or_default();
    match slot.upgrade() {
        Some(pipe) => {
            drop(open);
            pipe
        }
        None => {
            *slot = Arc::downgrade(&new);
            drop(open);
            new
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        super::account(self.uid, 0, self.max.load(Ordering::Relaxed));
        if let Some(key) = self.key {
            let mut open = OPEN.lock();
            if open.get(&key).is_some_and(|w| w.strong_count() == 0) {
                open.remove(&key);
            }
        }
    }
}

/// Opens the FIFO at `path`. Waits for the other side, except with O_NONBLOCK (a writer without readers is ENXIO)
/// and for O_RDWR and pipes of pipe(2). ERESTARTSYS.
pub fn fifo_open(path: &Path, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
    let meta = path.inode().metadata()?;
    let pipe = pipe_of((meta.dev, meta.ino));
    let nonblock = flags.contains(OpenFlags::O_NONBLOCK);
    let (reads, writes) = (flags.readable(), flags.writable());
    if pipe.nameless.load(Ordering::Relaxed) {
        return Ok(Box::new(PipeEnd::new(&pipe, reads, writes)));
    }
    if writes && !reads && nonblock && !pipe.has_readers() {
        return err(Errno::ENXIO);
    }
    // Counted before the other side can see this one: it may then open, write and close in no time.
    let readers_before = pipe.readers_ever.load(Ordering::SeqCst);
    let writers_before = pipe.writers_ever.load(Ordering::SeqCst);
    let mut end = PipeEnd::new(&pipe, reads, writes);
    pipe.partner_wait.wake_all();
    if reads && !writes && !pipe.has_writers() {
        if nonblock {
            end.writers_at_open = Some(pipe.writers_ever.load(Ordering::SeqCst));
        } else {
            wait_for(&pipe, &pipe.writers_ever, writers_before)?;
        }
    } else if writes && !reads && !pipe.has_readers() {
        wait_for(&pipe, &pipe.readers_ever, readers_before)?;
    }
    Ok(Box::new(end))
}

/// Until one of the other side has opened since `counter` was `before`, even if it closed again at once.
fn wait_for(pipe: &Pipe, counter: &AtomicU32, before: u32) -> Result<()> {
    pipe.partner_wait
        .wait_until(|| (counter.load(Ordering::SeqCst) != before).then_some(()))
}
