//! Inodes: what a file system implements.

use super::{DirSink, FileOps, Path};
use crate::error::{Result, err};
use crate::mm::pagecache::Mapping;
use abi::errno::Errno;
use abi::fs::{InodeFlags, OpenFlags};
use abi::time::Timespec;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

pub use abi::fs::RenameFlags;

/// By what tables find an inode, while one of their entries keeps it alive.
pub(super) fn address(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

/// What a new directory entry is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InodeKind {
    Regular,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl InodeKind {
    /// From the S_IFMT bits of a mode.
    pub fn from_mode(mode: u32) -> Option<InodeKind> {
        Some(match mode & 0o170000 {
            0o100000 => InodeKind::Regular,
            0o040000 => InodeKind::Directory,
            0o120000 => InodeKind::Symlink,
            0o020000 => InodeKind::CharDevice,
            0o060000 => InodeKind::BlockDevice,
            0o010000 => InodeKind::Fifo,
            0o140000 => InodeKind::Socket,
            _ => return None,
        })
    }

    /// The S_IFMT bits.
    pub fn mode_bits(self) -> u32 {
        match self {
            InodeKind::Regular => 0o100000,
            InodeKind::Directory => 0o040000,
            InodeKind::Symlink => 0o120000,
            InodeKind::CharDevice => 0o020000,
            InodeKind::BlockDevice => 0o060000,
            InodeKind::Fifo => 0o010000,
            InodeKind::Socket => 0o140000,
        }
    }

    /// DT_* of a directory record.
    pub fn dirent_type(self) -> DirentType {
        DirentType((self.mode_bits() >> 12) as u8)
    }
}

/// DT_* value; 0 is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirentType(pub u8);

/// What stat(2) tells. Sizes in bytes, `blocks` in 512 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    pub dev: u64,
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub blocks: u64,
    pub blksize: u32,
    pub atime: Timespec,
    pub mtime: Timespec,
    pub ctime: Timespec,
    pub btime: Option<Timespec>,
}

impl Metadata {
    pub fn kind(&self) -> InodeKind {
        InodeKind::from_mode(self.mode).unwrap_or(InodeKind::Regular)
    }

    pub fn is_dir(&self) -> bool {
        self.kind() == InodeKind::Directory
    }

    /// Of an object that exists in memory only, made now and owned by root.
    pub fn anonymous(dev: u64, ino: u64, mode: u32) -> Metadata {
        let now = crate::time::now();
        Metadata {
            dev,
            ino,
            mode,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            blocks: 0,
            blksize: 4096,
            atime: now,
            mtime: now,
            ctime: now,
            btime: None,
        }
    }
}

/// A time stamp to set.
#[derive(Clone, Copy, Debug)]
pub enum TimeSet {
    Now,
    To(Timespec),
}

/// Changes to an inode; checked for permission by the caller (fs/attr.c:notify_change()).
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// Permission bits (07777).
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<TimeSet>,
    pub mtime: Option<TimeSet>,
    pub ctime: Option<TimeSet>,
}

/// A directory entry to make. `mode`: permission bits after the umask.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    pub kind: InodeKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// For devices.
    pub rdev: u64,
    /// For symbolic links.
    pub target: &'a [u8],
}

/// statfs(2). Blocks of `bsize` bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatFs {
    pub magic: u64,
    pub bsize: u64,
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    pub namelen: u64,
    pub fsid: u64,
}

/// A mounted file system (Linux's super block).
pub trait FileSystem: Send + Sync {
    /// Type name as in /proc/filesystems.
    fn name(&self) -> &'static str;
    fn root(&self) -> Arc<dyn Inode>;
    /// The st_dev of its inodes.
    fn dev(&self) -> u64;
    fn statfs(&self) -> Result<StatFs>;
    /// Options after rw/ro in /proc/mounts, with a leading comma, e.g. `,size=64k`.
    fn show_options(&self) -> String {
        String::new()
    }
    /// Writes everything back (sync(2)). EIO and host errors.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    /// Changes options of a mounted file system (MS_REMOUNT with data).
    fn remount(&self, _data: &[u8]) -> Result<()> {
        Ok(())
    }
    /// It can't be mounted for writing.
    fn never_written(&self) -> bool {
        false
    }
    /// Cached names must be checked with [`Inode::revalidate`] at each walk (procfs, hostfs).
    fn needs_revalidate(&self) -> bool {
        false
    }
}

/// An inode. Names are single components without `/`, never `.` or `..`. The VFS has checked permissions, mount
/// flags and name lengths, and holds the directory's content mutex (sleeping) while it calls changing methods.
pub trait Inode: Send + Sync + Any {
    fn metadata(&self) -> Result<Metadata>;

    /// Kind without the cost of the metadata.
    fn kind(&self) -> InodeKind;

    fn set_attr(&self, attr: &SetAttr) -> Result<()>;

    /// ENOENT when the name isn't there, ENOTDIR on a non-directory.
    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>> {
        err(Errno::ENOTDIR)
    }

    /// Whether the cached binding of `name` in this directory to `child` still holds.
    fn revalidate(&self, _name: &[u8], _child: Option<&Arc<dyn Inode>>) -> bool {
        true
    }

    /// Makes an entry: EEXIST, ENOSPC, EROFS, EPERM where the file system has no such objects.
    fn create(&self, _name: &[u8], _new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        err(Errno::EPERM)
    }

    /// A regular file without a name (O_TMPFILE).
    fn create_unnamed(&self, _new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        err(Errno::EOPNOTSUPP)
    }

    fn link(&self, _name: &[u8], _target: &Arc<dyn Inode>) -> Result<()> {
        err(Errno::EPERM)
    }

    fn unlink(&self, _name: &[u8]) -> Result<()> {
        err(Errno::EPERM)
    }

    /// ENOTEMPTY.
    fn rmdir(&self, _name: &[u8]) -> Result<()> {
        err(Errno::EPERM)
    }

    /// Moves `old_name` here to `new_name` in `new_dir`, of the same file system. The VFS has checked loops, kinds and
    /// (without EXCHANGE/NOREPLACE) that a replaced target fits.
    fn rename(
        &self,
        _old_name: &[u8],
        _new_dir: &Arc<dyn Inode>,
        _new_name: &[u8],
        _flags: RenameFlags,
    ) -> Result<()> {
        err(Errno::EPERM)
    }

    /// The text of a symbolic link.
    fn read_link(&self) -> Result<Vec<u8>> {
        err(Errno::EINVAL)
    }

    /// Where a magic link (/proc/pid/fd, exe, cwd) leads, instead of by text.
    fn follow_magic(&self) -> Option<Result<Path>> {
        None
    }

    /// Gives the records of a directory from position `offset` (2 is the first) on, without `.` and `..`.
    fn read_dir(&self, _offset: u64, _sink: &mut DirSink<'_>) -> Result<()> {
        err(Errno::ENOTDIR)
    }

    /// An open file of a regular file, directory or special object that this file system itself handles. Devices,
    /// FIFOs and sockets are opened by the VFS through their registries. `flags`: O_*.
    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        err(Errno::ENXIO)
    }

    /// The page cache of a regular file; None where reading doesn't go through it (procfs).
    fn mapping(&self) -> Option<Arc<Mapping>> {
        None
    }

    /// Largest size of a file, bytes (s_maxbytes).
    fn max_size(&self) -> u64 {
        i64::MAX as u64
    }

    /// Extended attributes: EOPNOTSUPP where there are none, ENODATA.
    fn get_xattr(&self, _name: &[u8]) -> Result<Vec<u8>> {
        err(Errno::EOPNOTSUPP)
    }

    /// `flags`: XATTR_CREATE, XATTR_REPLACE.
    fn set_xattr(&self, _name: &[u8], _value: &[u8], _flags: u32) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    fn remove_xattr(&self, _name: &[u8]) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    /// fallocate(2) beyond what the page cache does by itself.
    fn fallocate(&self, _mode: u32, _offset: u64, _len: u64) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    /// Writes content and metadata back (fsync).
    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }

    /// Bytes were written through an open file: modification and change time.
    fn touch_modified(&self) {
        let now = Some(TimeSet::Now);
        let set = SetAttr {
            mtime: now,
            ctime: now,
            ..SetAttr::default()
        };
        // A stamp that can't be stored doesn't fail the write, as in fs/inode.c:file_update_time().
        let _ = self.set_attr(&set);
    }

    /// Bytes or records were read, on a mount that keeps access times; `relative`: only when the stamp is older than
    /// the others or than a day (fs/inode.c:relatime_need_update()). Empty where access times aren't kept.
    fn touch_accessed(&self, relative: bool) {
        let Ok(meta) = self.metadata() else { return };
        let now = crate::time::now();
        let at = |t: Timespec| (t.tv_sec, t.tv_nsec);
        let recent = at(meta.atime) > at(meta.mtime)
            && at(meta.atime) > at(meta.ctime)
            && now.tv_sec - meta.atime.tv_sec < 24 * 60 * 60;
        if relative && recent || at(now) == at(meta.atime) {
            return;
        }
        let _ = self.set_attr(&SetAttr {
            atime: Some(TimeSet::Now),
            ..SetAttr::default()
        });
    }

    /// The seals of a file that can have some: F_SEAL_* bits, changed by the VFS alone.
    fn seals(&self) -> Option<&AtomicU32> {
        None
    }

    /// Flags of chattr; None where there are none.
    fn flags(&self) -> Option<InodeFlags> {
        None
    }

    /// Sets them all, checked for permission by the caller. EOPNOTSUPP for those that aren't kept.
    fn set_flags(&self, _flags: InodeFlags) -> Result<()> {
        err(Errno::ENOTTY)
    }

    /// The whole as its own type.
    fn as_any(&self) -> &dyn Any;

    /// A device number that the VFS's device table opens, for character and block devices.
    fn rdev(&self) -> u64 {
        0
    }

    /// Overrides of the permission bits check: None is fs/namei.c:generic_permission() on the metadata.
    fn permission(&self, _mask: u32) -> Option<Result<()>> {
        None
    }
}
