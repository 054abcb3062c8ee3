//! Open files (Linux's `struct file`, POSIX's open file descriptions).

use super::{Inode, InodeKind, Path, PollEvents, Sink, Source};
use crate::error::{Result, err};
use crate::mm::pagecache::Mapping;
use crate::sync::{Mutex, PollTable};
use crate::syscall::Context;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One record of a directory. `next`: the position that continues behind it (d_off).
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    pub ino: u64,
    pub next: u64,
    pub kind: super::DirentType,
    pub name: &'a [u8],
}

/// Takes records until it returns false (full; that record was not taken).
pub type DirSink<'a> = dyn FnMut(DirEntry<'_>) -> bool + 'a;

/// What a kind of file does when it is open.
pub trait FileOps: Send + Sync + Any {
    /// Reads at `*offset` and advances it (files without positions leave it); 0 at the end. EAGAIN with O_NONBLOCK,
    /// ERESTARTSYS.
    fn read(&self, _file: &File, _sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        err(Errno::EINVAL)
    }

    /// Writes at `*offset` (at the end with O_APPEND) and leaves `*offset` behind the last byte written.
    fn write(&self, _file: &File, _source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        err(Errno::EINVAL)
    }

    /// Whether the file has positions: pread, lseek. ESPIPE otherwise.
    fn seekable(&self) -> bool {
        false
    }

    /// Whether pread, pwrite and ftruncate go on to the file itself, although it may have no position to move.
    fn positional(&self) -> bool {
        self.seekable()
    }

    /// lseek(2) to SEEK_END, SEEK_DATA, SEEK_HOLE relative positions; the generic one uses the inode's size.
    fn seek(&self, file: &File, offset: i64, whence: u32) -> Result<u64> {
        super::file_seek(file, offset, whence)
    }

    /// Events that hold now; registers with every queue that may change them.
    fn poll(&self, _file: &File, _table: Option<&mut PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    /// Whether epoll takes the file: regular files and directories are always ready, so it doesn't.
    fn can_poll(&self, file: &File) -> bool {
        match file.inode().kind() {
            InodeKind::Directory => false,
            InodeKind::Regular => file.path().mount.fs.name() == "anon_inodefs",
            _ => true,
        }
    }

    /// ioctl(2): ENOTTY when unknown.
    fn ioctl(&self, _file: &File, _cx: &mut Context, _cmd: u32, _arg: u64) -> Result<u64> {
        err(Errno::ENOTTY)
    }

    /// Gives records from position `offset` on (0 is the start) to `sink`.
    fn read_dir(&self, _file: &File, _offset: u64, _sink: &mut DirSink<'_>) -> Result<()> {
        err(Errno::ENOTDIR)
    }

    /// The page cache behind mmap(2): ENODEV when it can't be mapped.
    fn mapping(&self, file: &File) -> Result<Arc<Mapping>> {
        match file.inode().mapping() {
            Some(mapping) => Ok(mapping),
            None => err(Errno::ENODEV),
        }
    }

    /// Each close(2) of a descriptor (Linux's flush).
    fn flush(&self, _file: &File) -> Result<()> {
        Ok(())
    }

    /// The last reference is gone.
    fn release(&self, _file: &File) {}

    /// fcntl F_SETFL changed the status flags; EINVAL to refuse.
    fn set_flags(&self, _file: &File, _flags: OpenFlags) -> Result<()> {
        Ok(())
    }

    /// Bytes of kernel memory that go when the last open file of the object does, data in flight first of all.
    fn kernel_bytes(&self) -> usize {
        0
    }

    /// Extra lines of /proc/pid/fdinfo.
    fn fdinfo(&self, _file: &File) -> String {
        String::new()
    }

    fn as_any(&self) -> &dyn Any;
}

/// Flags that only open(2) itself looks at.
const CREATION: OpenFlags = OpenFlags::O_CREAT
    .union(OpenFlags::O_EXCL)
    .union(OpenFlags::O_NOCTTY)
    .union(OpenFlags::O_TRUNC)
    .union(OpenFlags::O_CLOEXEC);

/// An open file description.
pub struct File {
    /// Whether it counts as a writer or as a running program. The first field: dropped before the inode.
    pub(super) claim: super::access::Claim,
    path: Path,
    inode: Arc<dyn Inode>,
    ops: Box<dyn FileOps>,
    flags: AtomicU32,
    /// Guarded by `position_lock` where POSIX wants it atomic (fs/file.c:fdget_pos()).
    position: AtomicU64,
    pub position_lock: Mutex<()>,
    /// F_SETOWN: pid, or minus a process group; and F_SETSIG.
    pub owner: crate::sync::Lock<FileOwner>,
    /// Its places in queues, while O_ASYNC is set.
    pub(super) async_table: crate::sync::Lock<Option<crate::sync::PollTable>>,
    id: u64,
    /// The epolls that watch it.
    pub epoll_links: crate::ipc::epoll::Links,
}

/// Who gets SIGIO.
#[derive(Clone, Copy, Default, Debug)]
pub struct FileOwner {
    pub pid: i32,
    pub signo: i32,
    pub uid: u32,
    pub euid: u32,
    /// The pid is a thread (F_OWNER_TID).
    pub thread: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static OPEN: AtomicU64 = AtomicU64::new(0);

/// Number of open file descriptions in the machine.
pub fn open_files() -> u64 {
    OPEN.load(Ordering::Relaxed)
}

impl File {
    /// `flags`: access mode and status flags (creation flags are dropped).
    pub fn new(path: Path, ops: Box<dyn FileOps>, flags: OpenFlags) -> Arc<File> {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Arc::new(File {
            inode: path.inode(),
            path,
            ops,
            flags: AtomicU32::new(flags.difference(CREATION).bits()),
            position: AtomicU64::new(0),
            position_lock: Mutex::new(()),
            owner: crate::sync::Lock::new(crate::sync::Rank::LEAF, FileOwner::default()),
            async_table: crate::sync::Lock::new(crate::sync::Rank::LEAF, None),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            epoll_links: Default::default(),
            claim: Default::default(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of kernel memory that go with it, about.
    pub fn kernel_bytes(&self) -> usize {
        /// An open file itself.
        const FILE: usize = 1024;
        FILE + self.ops.kernel_bytes()
    }

    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    pub fn ops(&self) -> &dyn FileOps {
        &*self.ops
    }

    /// The operations as their own type, to recognise a kind of file.
    pub fn ops_as<T: FileOps>(&self) -> Option<&T> {
        self.ops.as_any().downcast_ref()
    }

    /// Unique among all open files of the machine's life.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// O_ACCMODE and status flags.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    pub fn set_flags(&self, flags: OpenFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Makes `flags` those of the file, with what O_ASYNC entails; `fd`: the descriptor that signals will name.
    pub fn change_flags(self: &Arc<File>, flags: OpenFlags, fd: i32) -> Result<()> {
        self.ops.set_flags(self, flags)?;
        let (was, is) = (
            self.flags().contains(OpenFlags::FASYNC),
            flags.contains(OpenFlags::FASYNC),
        );
        self.set_flags(flags);
        if was != is && self.ops.can_poll(self) {
            let table = is.then(|| super::fasync::register(self, fd));
            let old = std::mem::replace(&mut *self.async_table.lock(), table);
            drop(old);
        }
        Ok(())
    }

    pub fn nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::O_NONBLOCK)
    }

    pub fn is_path_only(&self) -> bool {
        self.flags().contains(OpenFlags::O_PATH)
    }

    fn access(&self) -> OpenFlags {
        self.flags()
            .intersection(OpenFlags::O_ACCMODE.union(OpenFlags::O_PATH))
    }

    pub fn readable(&self) -> bool {
        self.access() == OpenFlags::O_RDONLY || self.access() == OpenFlags::O_RDWR
    }

    pub fn writable(&self) -> bool {
        self.access() == OpenFlags::O_WRONLY || self.access() == OpenFlags::O_RDWR
    }

    /// Something was read: the access time as the mount keeps it (fs/inode.c:touch_atime()).
    pub fn touch_accessed(&self) {
        if !self.flags().contains(OpenFlags::O_NOATIME) {
            super::touch_atime(&self.path, &self.inode);
        }
    }

    /// The position in bytes.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    pub fn set_position(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        super::notify::closed(self);
        super::locks::file_gone(self);
        super::lease::file_gone(self);
        self.epoll_links.closed();
        OPEN.fetch_sub(1, Ordering::Relaxed);
        self.ops.release(self);
    }
}
