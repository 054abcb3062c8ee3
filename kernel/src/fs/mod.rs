//! File systems that need nothing from the host.

pub mod devpts;
pub mod devtmpfs;
pub mod listing;
pub mod overlay;
pub mod proc;
pub mod pseudo;
pub mod sysfs;
pub mod tmpfs;

use crate::error::{Result, err};
use crate::sync::PollTable;
use crate::vfs::{
    DirEntry, DirSink, DirentType, File, FileOps, Metadata, PollEvents, SetAttr, Sink, TimeSet,
};
use abi::errno::Errno;
use abi::time::Timespec;
use std::any::Any;

/// Position of the first record behind `.` and `..`.
pub const FIRST_POSITION: u64 = 2;

/// Gives `.` and `..` when `offset` is before them. Returns false when the sink is full.
fn emit_dots(file: &File, offset: u64, sink: &mut DirSink<'_>) -> Result<bool> {
    let dir = DirentType(4);
    if offset == 0 {
        let ino = file.inode().metadata()?.ino;
        if !sink(DirEntry {
            ino,
            next: 1,
            kind: dir,
            name: b".",
        }) {
            return Ok(false);
        }
    }
    if offset <= 1 {
        let parent = file.path().dentry.parent().and_then(|d| d.inode());
        let ino = parent.as_ref().unwrap_or(file.inode()).metadata()?.ino;
        if !sink(DirEntry {
            ino,
            next: FIRST_POSITION,
            kind: dir,
            name: b"..",
        }) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where an open directory's records come from, but for `.` and `..`.
pub trait Records: Send + Sync + 'static {
    /// As [`Inode::read_dir`](crate::vfs::Inode::read_dir); `from_start` when the reader begins, or begins again.
    fn records(
        &self,
        file: &File,
        from_start: bool,
        offset: u64,
        sink: &mut DirSink<'_>,
    ) -> Result<()>;
}

/// The inode gives them.
pub struct OfInode;

impl Records for OfInode {
    fn records(&self, file: &File, _: bool, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        file.inode().read_dir(offset, sink)
    }
}

/// An open directory.
pub struct DirFile<R>(pub R);

impl<R: Records> FileOps for DirFile<R> {
    fn seekable(&self) -> bool {
        true
    }

    fn read(&self, _file: &File, _sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        err(Errno::EISDIR)
    }

    fn poll(&self, _file: &File, _table: Option<&mut PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    fn read_dir(&self, file: &File, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        if emit_dots(file, offset, sink)? {
            let behind = offset.max(FIRST_POSITION);
            self.0.records(file, offset == 0, behind, sink)
        } else {
            Ok(())
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A device number of its own for a file system without a device: fs/super.c:get_anon_bdev(), major 0.
pub fn anonymous_dev() -> u64 {
    crate::vfs::anon_dev()
}

/// Applies everything but the size to inode attributes kept in memory.
pub fn apply_attr(meta: &mut Metadata, attr: &SetAttr) {
    let now = crate::time::now();
    let stamp = |set: TimeSet| match set {
        TimeSet::Now => now,
        TimeSet::To(time) => time,
    };
    if let Some(mode) = attr.mode {
        meta.mode = meta.mode & 0o170000 | mode & 0o7777;
    }
    if let Some(uid) = attr.uid {
        meta.uid = uid;
    }
    if let Some(gid) = attr.gid {
        meta.gid = gid;
    }
    if let Some(set) = attr.atime {
        meta.atime = stamp(set);
    }
    if let Some(set) = attr.mtime {
        meta.mtime = stamp(set);
    }
    let only_atime = attr.atime.is_some()
        && attr.mode.is_none()
        && attr.uid.is_none()
        && attr.gid.is_none()
        && attr.size.is_none()
        && attr.mtime.is_none();
    match attr.ctime {
        Some(set) => meta.ctime = stamp(set),
        None if !only_atime => meta.ctime = now,
        None => {}
    }
}

/// Attributes of an object made now. `mode` with its type bits.
pub fn new_metadata(dev: u64, ino: u64, mode: u32, uid: u32, gid: u32, rdev: u64) -> Metadata {
    let now: Timespec = crate::time::now();
    Metadata {
        dev,
        ino,
        mode,
        nlink: 1,
        uid,
        gid,
        rdev,
        size: 0,
        blocks: 0,
        blksize: 4096,
        atime: now,
        mtime: now,
        ctime: now,
        btime: Some(now),
    }
}
