//! What tasks read and write: /proc/<pid>/io (include/linux/task_io_accounting.h).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of one task, which alone changes it.
#[derive(Default, Debug)]
pub struct IoCounts {
    read: AtomicU64,
    written: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    stored_read: AtomicU64,
    stored_dirtied: AtomicU64,
}

/// Bytes and calls, summed over tasks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Io {
    pub read: u64,
    pub written: u64,
    pub reads: u64,
    pub writes: u64,
    /// Bytes that were read from where files are kept, and bytes to be written there.
    pub stored_read: u64,
    pub stored_dirtied: u64,
}

fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Relaxed) + more, Relaxed);
}

impl IoCounts {
    /// One read call, and what it brought.
    pub fn note_read(&self, bytes: usize) {
        add(&self.reads, 1);
        add(&self.read, bytes as u64);
    }

    /// One write call, and what it took.
    pub fn note_write(&self, bytes: usize) {
        add(&self.writes, 1);
        add(&self.written, bytes as u64);
    }

    pub fn note_stored_read(&self, bytes: u64) {
        add(&self.stored_read, bytes);
    }

    pub fn note_stored_dirtied(&self, bytes: u64) {
        add(&self.stored_dirtied, bytes);
    }

    pub fn sums(&self) -> Io {
        Io {
            read: self.read.load(Relaxed),
            written: self.written.load(Relaxed),
            reads: self.reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            stored_read: self.stored_read.load(Relaxed),
            stored_dirtied: self.stored_dirtied.load(Relaxed),
        }
    }
}

impl Io {
    pub fn add(&mut self, other: &Io) {
        self.read += other.read;
        self.written += other.written;
        self.reads += other.reads;
        self.writes += other.writes;
        self.stored_read += other.stored_read;
        self.stored_dirtied += other.stored_dirtied;
    }
}
