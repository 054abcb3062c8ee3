//! devpts: the slaves of ptys as nodes, and ptmx (fs/devpts/inode.c). Every mount is an instance with numbers of its own.

use super::{DirFile, FIRST_POSITION, OfInode, anonymous_dev, apply_attr, new_metadata};
use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Lock, Rank};
use crate::tty::{Pair, slave_rdev};
use crate::vfs::{
    DirEntry, DirSink, FileOps, FileSystem, Inode, InodeKind, LookupFlags, Metadata, Parameters,
    Path, SetAttr, StatFs, mount, register_with_parameters,
    walk::{Actor, Walk},
};
use abi::errno::Errno;
use abi::fs::{OpenFlags, ResolveFlags, makedev};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// Inode numbers: the root, ptmx, and slave n at `FIRST_INO + n`.
const ROOT_INO: u64 = 1;
const PTMX_INO: u64 = 2;
const FIRST_INO: u64 = 3;
const MAGIC: u64 = 0x1cd1;
/// /proc/sys/kernel/pty/max: ptys of the machine, all instances together.
pub static MAX: AtomicU32 = AtomicU32::new(4096);
/// /proc/sys/kernel/pty/nr.
pub static COUNT: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy)]
struct Options {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: u32,
    ptmxmode: u32,
    max: Option<u32>,
}

impl Options {
    const DEFAULT: Options = Options {
        uid: None,
        gid: None,
        mode: 0o600,
        ptmxmode: 0,
        max: None,
    };

    /// EINVAL for what devpts doesn't know.
    fn parse(data: &[u8]) -> Result<Options> {
        let mut options = Options::DEFAULT;
        let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|o| !o.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let number = |radix| u32::from_str_radix(value, radix).map_err(|_| Errno::EINVAL);
            match name {
                "uid" => options.uid = Some(number(10)?),
                "gid" => options.gid = Some(number(10)?),
                "mode" => options.mode = number(8)? & 0o777,
                "ptmxmode" => options.ptmxmode = number(8)? & 0o777,
                "max" => options.max = Some(number(10)?),
                "newinstance" => {}
                _ => return err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

/// One mounted devpts.
pub struct Instance {
    me: Weak<Instance>,
    dev: u64,
    options: Lock<Options>,
    root: Arc<Node>,
    ptmx: Arc<Node>,
    slaves: Lock<BTreeMap<u32, (Arc<Pair>, Arc<Node>)>>,
}

/// What a node is.
enum What {
    Root,
    Ptmx,
    Slave(Arc<Pair>),
}

/// An inode of a devpts.
pub struct Node {
    instance: Weak<Instance>,
    what: What,
    meta: Lock<Metadata>,
}

impl Node {
    fn new(instance: &Weak<Instance>, what: What, meta: Metadata) -> Arc<Node> {
        Arc::new(Node {
            instance: instance.clone(),
            what,
            meta: Lock::new(Rank::LEAF, meta),
        })
    }

    /// ENOENT when the file system is gone.
    fn instance(&self) -> Result<Arc<Instance>> {
        self.instance.upgrade().ok_or_else(|| Errno::ENOENT.into())
    }
}

fn fs_ids() -> (u32, u32) {
    sched::try_current().map_or((0, 0), |task| {
        let cred = task.cred();
        (cred.fsuid, cred.fsgid)
    })
}

impl Instance {
    fn new(options: Options) -> Arc<Instance> {
        let dev = anonymous_dev();
        let (uid, gid) = (options.uid.unwrap_or(0), options.gid.unwrap_or(0));
        Arc::new_cyclic(|me| {
            let mut root = new_metadata(dev, ROOT_INO, 0o040755, 0, 0, 0);
            root.nlink = 2;
            let mode = 0o020000 | options.ptmxmode;
            let ptmx = new_metadata(dev, PTMX_INO, mode, uid, gid, makedev(5, 2));
            Instance {
                me: me.clone(),
                dev,
                options: Lock::new(Rank::LEAF, options),
                root: Node::new(me, What::Root, root),
                ptmx: Node::new(me, What::Ptmx, ptmx),
                slaves: Lock::new(Rank::SUPER, BTreeMap::new()),
            }
        })
    }

    /// Makes a pty with the lowest free number and its node. ENOSPC.
    pub fn allocate(&self) -> Result<Arc<Pair>> {
        let options = *self.options.lock();
        let limit = options.max.unwrap_or(u32::MAX).min(crate::tty::SLAVES);
        if COUNT.fetch_add(1, Ordering::Relaxed) >= MAX.load(Ordering::Relaxed) {
            COUNT.fetch_sub(1, Ordering::Relaxed);
            return err(Errno::ENOSPC);
        }
        let mut slaves = self.slaves.lock();
        let Some(index) = (0..limit).find(|n| !slaves.contains_key(n)) else {
            COUNT.fetch_sub(1, Ordering::Relaxed);
            return err(Errno::ENOSPC);
        };
        let (uid, gid) = fs_ids();
        let meta = new_metadata(
            self.dev,
            FIRST_INO + u64::from(index),
            0o020000 | options.mode,
            options.uid.unwrap_or(uid),
            options.gid.unwrap_or(gid),
            slave_rdev(index),
        );
        let pair = Pair::new(index);
        let node = Node::new(&self.me, What::Slave(pair.clone()), meta);
        slaves.insert(index, (pair.clone(), node));
        Ok(pair)
    }

    /// The master of number `index` is closed: the node goes away.
    pub fn free(&self, index: u32) {
        let gone = self.slaves.lock().remove(&index);
        if gone.is_some() {
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn slave(&self, name: &[u8]) -> Option<Arc<Node>> {
        let text = std::str::from_utf8(name).ok()?;
        let index: u32 = text.parse().ok()?;
        if index.to_string() != text {
            return None;
        }
        self.slaves.lock().get(&index).map(|(_, node)| node.clone())
    }
}

impl FileSystem for Instance {
    fn name(&self) -> &'static str {
        "devpts"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn statfs(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: MAGIC,
            bsize: 4096,
            namelen: 255,
            ..StatFs::default()
        })
    }

    fn show_options(&self) -> String {
        let o = *self.options.lock();
        let mut text = String::new();
        if let Some(uid) = o.uid {
            text += &format!(",uid={uid}");
        }
        if let Some(gid) = o.gid {
            text += &format!(",gid={gid}");
        }
        text += &format!(",mode={:03o},ptmxmode={:03o}", o.mode, o.ptmxmode);
        if let Some(max) = o.max {
            text += &format!(",max={max}");
        }
        text
    }

    fn remount(&self, data: &[u8]) -> Result<()> {
        let options = Options::parse(data)?;
        *self.options.lock() = options;
        self.ptmx.meta.lock().mode = 0o020000 | options.ptmxmode;
        Ok(())
    }

    fn needs_revalidate(&self) -> bool {
        true
    }
}

impl Inode for Node {
    fn metadata(&self) -> Result<Metadata> {
        Ok(*self.meta.lock())
    }

    fn kind(&self) -> InodeKind {
        match self.what {
            What::Root => InodeKind::Directory,
            _ => InodeKind::CharDevice,
        }
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        apply_attr(&mut self.meta.lock(), attr);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if !matches!(self.what, What::Root) {
            return err(Errno::ENOTDIR);
        }
        let instance = self.instance()?;
        if name == b"ptmx" {
            return Ok(instance.ptmx.clone());
        }
        match instance.slave(name) {
            Some(node) => Ok(node),
            None => err(Errno::ENOENT),
        }
    }

    fn revalidate(&self, name: &[u8], child: Option<&Arc<dyn Inode>>) -> bool {
        match (self.lookup(name), child) {
            (Ok(now), Some(cached)) => std::ptr::addr_eq(Arc::as_ptr(&now), Arc::as_ptr(cached)),
            (Err(_), None) => true,
            _ => false,
        }
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        match self.what {
            What::Root => Ok(Box::new(DirFile(OfInode))),
            _ => err(Errno::ENXIO),
        }
    }

    fn read_dir(&self, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        let instance = self.instance()?;
        let kind = InodeKind::CharDevice.dirent_type();
        if offset <= FIRST_POSITION {
            let ptmx = DirEntry {
                ino: PTMX_INO,
                next: FIRST_POSITION + 1,
                kind,
                name: b"ptmx",
            };
            if !sink(ptmx) {
                return Ok(());
            }
        }
        let from = offset.saturating_sub(FIRST_POSITION + 1) as u32;
        let present: Vec<u32> = instance
            .slaves
            .lock()
            .range(from..)
            .map(|(n, _)| *n)
            .collect();
        for index in present {
            let name = index.to_string();
            let entry = DirEntry {
                ino: FIRST_INO + u64::from(index),
                next: FIRST_POSITION + 2 + u64::from(index),
                kind,
                name: name.as_bytes(),
            };
            if !sink(entry) {
                break;
            }
        }
        Ok(())
    }

    fn rdev(&self) -> u64 {
        self.meta.lock().rdev
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn as_node(inode: &Arc<dyn Inode>) -> Option<&Node> {
    let inode: &dyn Inode = &**inode;
    inode.as_any().downcast_ref::<Node>()
}

/// The pty whose slave's node is at `path`.
pub fn pair_of(path: &Path) -> Option<Arc<Pair>> {
    match &as_node(&path.inode())?.what {
        What::Slave(pair) => Some(pair.clone()),
        _ => None,
    }
}

/// The instance whose root is at `path`.
pub fn instance_of(path: &Path) -> Option<Arc<Instance>> {
    as_node(&path.inode())?.instance.upgrade()
}

/// The root of the devpts that the ptmx node at `path` belongs to: its own, or what is mounted on `pts` beside it
/// (devpts_mntget()). ENODEV.
pub fn find(path: &Path) -> Result<Path> {
    if as_node(&path.inode()).is_some() {
        return Ok(path.mount.root_path());
    }
    let dir = path.with(path.dentry.parent().ok_or(Errno::ENODEV)?);
    let task = sched::try_current().ok_or(Errno::ENODEV)?;
    let mut pts = Walk::new(
        &Actor::of(&task),
        Some(&dir),
        b"pts",
        LookupFlags::FOLLOW | LookupFlags::DIRECTORY,
        ResolveFlags::empty(),
    )
    .and_then(Walk::finish)
    .map_err(|_| Errno::ENODEV)?;
    mount::follow_mounts(&mut pts);
    match as_node(&pts.inode()) {
        Some(node) if matches!(node.what, What::Root) => Ok(pts),
        _ => err(Errno::ENODEV),
    }
}

/// Makes devpts known to mount(2).
pub fn register() {
    let parameters = Parameters {
        names: &["uid", "gid", "mode", "ptmxmode", "max", "newinstance"],
        check: |option| Options::parse(option).map(drop),
    };
    register_with_parameters("devpts", false, parameters, |_source, data, _flags| {
        Ok(Instance::new(Options::parse(data)?))
    });
}
