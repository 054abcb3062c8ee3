//! Files without a place in the tree: pipes, sockets, event descriptors. Each kind is an internal file system.

use super::{
    Dentry, File, FileOps, FileSystem, Inode, InodeKind, Metadata, Mount, Path, SetAttr, StatFs,
    Superblock, TimeSet,
};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use abi::fs::{OpenFlags, makedev};
use abi::mount::{self as magic, MountFlags};
use std::any::Any;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

static NEXT_DEV: AtomicU32 = AtomicU32::new(1);
static NEXT_INO: AtomicU64 = AtomicU64::new(1000);

/// A device number for a file system without a device (major 0).
pub fn anon_dev() -> u64 {
    makedev(0, NEXT_DEV.fetch_add(1, Ordering::Relaxed))
}

/// The internal file systems.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pseudo {
    /// eventfd, epoll, signalfd, timerfd, inotify.
    Anon,
    Pipe,
    Socket,
    Pid,
    Ns,
}

struct PseudoFs {
    name: &'static str,
    dev: u64,
    magic: i64,
}

impl FileSystem for PseudoFs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        PseudoInode::new(InodeKind::Directory, 0o040555, self.dev, 0, 0)
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn statfs(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: self.magic as u64,
            bsize: 4096,
            namelen: 255,
            ..StatFs::default()
        })
    }
}

fn internal(name: &'static str, magic: i64) -> Arc<Mount> {
    let superblock = Superblock::of(
        Arc::new(PseudoFs {
            name,
            dev: anon_dev(),
            magic,
        }),
        false,
    );
    let root = superblock.root.clone();
    let flags = MountFlags::MS_NODEV | MountFlags::MS_NOEXEC | MountFlags::MS_NOSUID;
    Mount::new(superblock, root, flags, name)
}

static MOUNTS: LazyLock<[Arc<Mount>; 5]> = LazyLock::new(|| {
    [
        internal("anon_inodefs", magic::ANON_INODE_FS_MAGIC),
        internal("pipefs", magic::PIPEFS_MAGIC),
        internal("sockfs", magic::SOCKFS_MAGIC),
        internal("pidfs", magic::PID_FS_MAGIC),
        internal("nsfs", magic::NSFS_MAGIC),
    ]
});

static ANON_INODE: LazyLock<Arc<PseudoInode>> =
    LazyLock::new(|| PseudoInode::new(InodeKind::Regular, 0o600, Pseudo::Anon.dev(), 0, 0));

impl Pseudo {
    fn mount(self) -> &'static Arc<Mount> {
        &MOUNTS[self as usize]
    }

    /// The st_dev of its inodes.
    pub fn dev(self) -> u64 {
        self.mount().fs.dev()
    }
}

/// The place of `inode` in an internal file system; /proc shows it as `name`.
pub fn pseudo_path(kind: Pseudo, name: &[u8], inode: Arc<dyn Inode>) -> Path {
    Path {
        mount: kind.mount().clone(),
        dentry: Dentry::nameless(name, inode),
    }
}

/// A new place called `pipe:[ino]`, `socket:[ino]` and so on, owned by the caller, whose inode has `mode` (with its
/// type). Several open files may share it.
pub fn new_pseudo(kind: Pseudo, mode: u32) -> Path {
    let (uid, gid) =
        crate::sched::try_current().map_or((0, 0), |t| (t.cred().fsuid, t.cred().fsgid));
    let node = InodeKind::from_mode(mode).unwrap_or(InodeKind::Regular);
    let inode = PseudoInode::new(node, mode, kind.dev(), uid, gid);
    let prefix = match kind {
        Pseudo::Pipe => "pipe",
        Pseudo::Socket => "socket",
        Pseudo::Pid | Pseudo::Anon => "anon_inode",
        Pseudo::Ns => "mnt",
    };
    let name = format!("{prefix}:[{}]", inode.ino);
    pseudo_path(kind, name.as_bytes(), inode)
}

/// An open file on the one anonymous inode; /proc shows it as `anon_inode:` and `name`, which is `[eventfd]` for
/// instance.
pub fn anon_file(name: &str, ops: Box<dyn FileOps>, flags: OpenFlags) -> Arc<File> {
    let path = pseudo_path(
        Pseudo::Anon,
        format!("anon_inode:{name}").as_bytes(),
        ANON_INODE.clone(),
    );
    File::new(path, ops, flags)
}

/// An inode with attributes and nothing else.
pub struct PseudoInode {
    kind: InodeKind,
    ino: u64,
    dev: u64,
    attr: Lock<Metadata>,
}

impl PseudoInode {
    pub fn new(kind: InodeKind, mode: u32, dev: u64, uid: u32, gid: u32) -> Arc<PseudoInode> {
        let ino = NEXT_INO.fetch_add(1, Ordering::Relaxed);
        let attr = Metadata {
            uid,
            gid,
            ..Metadata::anonymous(dev, ino, mode)
        };
        Arc::new(PseudoInode {
            kind,
            ino,
            dev,
            attr: Lock::new(Rank::LEAF, attr),
        })
    }

    pub fn ino(&self) -> u64 {
        self.ino
    }

    pub fn dev(&self) -> u64 {
        self.dev
    }
}

impl Inode for PseudoInode {
    fn metadata(&self) -> Result<Metadata> {
        Ok(*self.attr.lock())
    }

    fn kind(&self) -> InodeKind {
        self.kind
    }

    fn set_attr(&self, set: &SetAttr) -> Result<()> {
        if self.dev == Pseudo::Anon.dev() {
            // fs/anon_inodes.c:anon_inode_setattr()
            return err(Errno::EOPNOTSUPP);
        }
        let time = |t: TimeSet| match t {
            TimeSet::Now => crate::time::now(),
            TimeSet::To(at) => at,
        };
        let mut attr = self.attr.lock();
        if let Some(mode) = set.mode {
            attr.mode = attr.mode & !0o7777 | mode & 0o7777;
        }
        attr.uid = set.uid.unwrap_or(attr.uid);
        attr.gid = set.gid.unwrap_or(attr.gid);
        attr.atime = set.atime.map_or(attr.atime, time);
        attr.mtime = set.mtime.map_or(attr.mtime, time);
        attr.ctime = set.ctime.map_or(attr.ctime, time);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
