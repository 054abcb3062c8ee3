//! What opens device nodes and FIFOs: a table by device number, and the pipe subsystem's hook.

use super::{FileOps, Inode, InodeKind, Path};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use abi::fs::{OpenFlags, major, minor};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A driver of devices.
pub trait DeviceOps: Send + Sync {
    /// Opens device `rdev`, through the node at `path`. ENXIO, ENODEV.
    fn open(&self, path: &Path, rdev: u64, flags: OpenFlags) -> Result<Box<dyn FileOps>>;
}

struct Entry {
    major: u32,
    minors: Range<u32>,
    ops: Arc<dyn DeviceOps>,
}

static CHAR: Lock<Vec<Entry>> = Lock::new(Rank::LEAF, Vec::new());
static BLOCK: Lock<Vec<Entry>> = Lock::new(Rank::LEAF, Vec::new());

/// Makes `ops` answer for the character devices `major`:`minors`. Later registrations go first.
pub fn register_char(major: u32, minors: Range<u32>, ops: Arc<dyn DeviceOps>) {
    CHAR.lock().insert(0, Entry { major, minors, ops });
}

/// Makes `ops` answer for the block devices `major`:`minors`.
pub fn register_block(major: u32, minors: Range<u32>, ops: Arc<dyn DeviceOps>) {
    BLOCK.lock().insert(0, Entry { major, minors, ops });
}

pub(super) fn open(path: &Path, inode: &dyn Inode, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
    let rdev = inode.rdev();
    let table = if inode.kind() == InodeKind::CharDevice {
        &CHAR
    } else {
        &BLOCK
    };
    let ops = table
        .lock()
        .iter()
        .find(|e| e.major == major(rdev) && e.minors.contains(&minor(rdev)))
        .map(|e| e.ops.clone());
    match ops {
        Some(ops) => ops.open(path, rdev, flags),
        None => err(Errno::ENXIO),
    }
}

/// Opens the FIFO at a path: blocks for the other side, ENXIO with O_WRONLY | O_NONBLOCK.
pub type FifoOpen = fn(&Path, OpenFlags) -> Result<Box<dyn FileOps>>;

static FIFO: OnceLock<FifoOpen> = OnceLock::new();

/// Tells who opens FIFOs. Once, at boot.
pub fn set_fifo_open(open: FifoOpen) {
    assert!(FIFO.set(open).is_ok(), "FIFOs have one opener");
}

pub(super) fn open_fifo(path: &Path, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
    match FIFO.get() {
        Some(open) => open(path, flags),
        None => err(Errno::ENXIO),
    }
}
