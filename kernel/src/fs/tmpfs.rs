//! tmpfs: files whose content is the page cache itself. Also what memfds, shared anonymous memory and devtmpfs are made of.

use super::{DirFile, FIRST_POSITION, OfInode, anonymous_dev, apply_attr, new_metadata};
use crate::error::{Error, Result, err};
use crate::mm::pagecache::{Mapping, Quota};
use crate::sync::{Lock, Rank};
use crate::vfs::Parameters;
use crate::vfs::{
    DirEntry, DirSink, FileOps, FileSystem, Inode, InodeKind, Metadata, NewNode, PageFile,
    RenameFlags, SetAttr, StatFs,
};
use abi::errno::Errno;
use abi::fs::{InodeFlags, OpenFlags};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// TMPFS_MAGIC.
const MAGIC: u64 = 0x0102_1994;

/// Mount options.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of content, None for no limit.
    pub size: Option<u64>,
    /// Whether that is said by the one who mounts, and so shown.
    pub size_given: bool,
    pub inodes: Option<u64>,
    /// Whether that is said by the one who mounts, and so shown.
    pub inodes_given: bool,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            size: None,
            size_given: false,
            inodes: None,
            inodes_given: false,
            mode: 0o1777,
            uid: 0,
            gid: 0,
        }
    }
}

pub const PARAMETERS: Parameters = Parameters {
    names: &[
        "size",
        "nr_blocks",
        "nr_inodes",
        "mode",
        "uid",
        "gid",
        "huge",
        "mpol",
        "inode32",
        "inode64",
        "noswap",
    ],
    check: |option| Options::parse(option, 1 << 30).map(drop),
};

impl Options {
    /// From the data of mount(2): `size=`, `nr_blocks=`, `nr_inodes=`, `mode=`, `uid=`, `gid=`; EINVAL.
    /// `total`: bytes of the machine's memory, for percentages.
    pub fn parse(data: &[u8], total: u64) -> Result<Options> {
        let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        let mut options = Options {
            size: Some(total / 2),
            inodes: Some(total / 2 / 4096),
            ..Options::default()
        };
        for word in text.split(',').filter(|w| !w.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let invalid = |_| Error::new(Errno::EINVAL);
            match key {
                "size" | "nr_blocks" => {
                    let unit = if key == "size" { 1 } else { 4096 };
                    options.size = bytes(value, total)?.map(|b| b * unit).filter(|b| *b > 0);
                    options.size_given = true;
                }
                "nr_inodes" => {
                    options.inodes = bytes(value, total)?.filter(|b| *b > 0);
                    options.inodes_given = true;
                }
                "mode" => options.mode = u32::from_str_radix(value, 8).map_err(invalid)? & 0o7777,
                "uid" => options.uid = value.parse().map_err(invalid)?,
                "gid" => options.gid = value.parse().map_err(invalid)?,
                "huge" | "mpol" | "inode32" | "inode64" | "noswap" => {}
                _ => return err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

fn bytes(text: &str, total: u64) -> Result<Option<u64>> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: u64 = percent.parse().map_err(|_| Errno::EINVAL)?;
        return Ok(Some(total / 100 * percent));
    }
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let n: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    Ok(Some(n.checked_shl(shift).ok_or(Errno::EINVAL)?))
}

/// A tmpfs.
pub struct TmpFs {
    name: &'static str,
    dev: u64,
    options: Lock<Options>,
    quota: Arc<Quota>,
    next_ino: AtomicU64,
    inodes: AtomicU64,
    root: Lock<Option<Arc<TmpInode>>>,
    me: Weak<TmpFs>,
}

impl TmpFs {
    pub fn new(options: Options) -> Arc<TmpFs> {
        TmpFs::named("tmpfs", options)
    }

    /// One that shows another type name (devtmpfs).
    pub fn named(name: &'static str, options: Options) -> Arc<TmpFs> {
        let fs = Arc::new_cyclic(|me| TmpFs {
            name,
            dev: anonymous_dev(),
            options: Lock::new(Rank::LEAF, options.clone()),
            quota: Quota::new(options.size.map_or(u64::MAX, |bytes| bytes / 4096)),
            next_ino: AtomicU64::new(1),
            inodes: AtomicU64::new(0),
            root: Lock::new(Rank::LEAF, None),
            me: me.clone(),
        });
        let new = NewNode {
            kind: InodeKind::Directory,
            mode: options.mode,
            uid: options.uid,
            gid: options.gid,
            rdev: 0,
            target: b"",
        };
        let root = fs.make(&new).expect("the first inode fits");
        *fs.root.lock() = Some(root);
        fs
    }

    fn make(&self, new: &NewNode<'_>) -> Result<Arc<TmpInode>> {
        let count = self.inodes.fetch_add(1, Ordering::Relaxed) + 1;
        let full = self.options.lock().inodes.is_some_and(|max| count > max);
        if full || crate::mm::kernel_is_large() {
            self.inodes.fetch_sub(1, Ordering::Relaxed);
            return err(Errno::ENOSPC);
        }
        let ino = self.next_ino.fetch_add(1, Ordering::Relaxed);
        let mode = new.kind.mode_bits() | new.mode & 0o7777;
        let mut meta = new_metadata(self.dev, ino, mode, new.uid, new.gid, new.rdev);
        let body = match new.kind {
            InodeKind::Directory => {
                meta.nlink = 2;
                Body::Dir(Lock::new(Rank::INODE, Dir::default()))
            }
            InodeKind::Regular => {
                Body::File(Mapping::with_quota(None, 0, Some(self.quota.clone())))
            }
            InodeKind::Symlink => {
                meta.size = new.target.len() as u64;
                Body::Link(new.target.into())
            }
            _ => Body::Special,
        };
        Ok(Arc::new(TmpInode {
            fs: self.me.clone(),
            kind: new.kind,
            meta: Lock::new(Rank::LEAF, meta),
            body,
            xattrs: Lock::new(Rank::LEAF, BTreeMap::new()),
            seals: AtomicU32::new(abi::fs::F_SEAL_SEAL),
            flags: AtomicU32::new(0),
        }))
    }

    /// A regular file without a name, for memfds and shared anonymous memory.
    pub fn unnamed_file(&self, mode: u32, uid: u32, gid: u32) -> Result<Arc<dyn Inode>> {
        let new = NewNode {
            kind: InodeKind::Regular,
            mode,
            uid,
            gid,
            rdev: 0,
            target: b"",
        };
        let inode = self.make(&new)?;
        inode.meta.lock().nlink = 0;
        Ok(inode)
    }
}

impl FileSystem for TmpFs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.lock().clone().expect("set when made")
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn statfs(&self) -> Result<StatFs> {
        let options = self.options.lock().clone();
        let total = options.size.unwrap_or(0) / 4096;
        let used = self.quota.used().min(total);
        let files = options.inodes.unwrap_or(0);
        Ok(StatFs {
            magic: MAGIC,
            bsize: 4096,
            blocks: total,
            bfree: total - used,
            bavail: total - used,
            files,
            ffree: files.saturating_sub(self.inodes.load(Ordering::Relaxed)),
            namelen: 255,
            fsid: self.dev,
        })
    }

    fn show_options(&self) -> String {
        let options = self.options.lock();
        let mut text = String::new();
        if let Some(size) = options.size.filter(|_| options.size_given) {
            text += &format!(",size={}k", size / 1024);
        }
        if let Some(inodes) = options.inodes.filter(|_| options.inodes_given) {
            text += &format!(",nr_inodes={inodes}");
        }
        if options.mode != 0o1777 {
            text += &format!(",mode={:o}", options.mode);
        }
        text
    }

    fn remount(&self, data: &[u8]) -> Result<()> {
        if !data.is_empty() {
            let total = self.options.lock().size.unwrap_or(0) * 2;
            let new = Options::parse(data, total)?;
            // What isn't named stays: mm/shmem.c:shmem_reconfigure().
            let mut options = self.options.lock();
            if new.size_given {
                self.quota
                    .set_limit(new.size.map_or(u64::MAX, |bytes| bytes / 4096));
                options.size = new.size;
                options.size_given = true;
            }
            if new.inodes_given {
                options.inodes = new.inodes;
                options.inodes_given = true;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Dir {
    entries: HashMap<Box<[u8]>, (Arc<TmpInode>, u64)>,
    /// Names by their position.
    order: BTreeMap<u64, Box<[u8]>>,
    next: u64,
}

impl Dir {
    fn insert(&mut self, name: &[u8], inode: Arc<TmpInode>) {
        let position = FIRST_POSITION + self.next;
        self.next += 1;
        self.order.insert(position, name.into());
        self.entries.insert(name.into(), (inode, position));
    }

    fn remove(&mut self, name: &[u8]) -> Option<Arc<TmpInode>> {
        let (inode, position) = self.entries.remove(name)?;
        self.order.remove(&position);
        Some(inode)
    }
}

enum Body {
    Dir(Lock<Dir>),
    File(Arc<Mapping>),
    Link(Box<[u8]>),
    Special,
}

/// An inode of a tmpfs.
pub struct TmpInode {
    fs: Weak<TmpFs>,
    kind: InodeKind,
    meta: Lock<Metadata>,
    body: Body,
    xattrs: Lock<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Only a memfd may lift F_SEAL_SEAL, when it is made.
    seals: AtomicU32,
    /// FS_*_FL.
    flags: AtomicU32,
}

/// mm/shmem.c: SHMEM_FL_USER_MODIFIABLE, SHMEM_FL_INHERITED.
const KEPT_FLAGS: InodeFlags = InodeFlags::FS_IMMUTABLE_FL
    .union(InodeFlags::FS_APPEND_FL)
    .union(INHERITED_FLAGS);
const INHERITED_FLAGS: InodeFlags = InodeFlags::FS_NODUMP_FL.union(InodeFlags::FS_NOATIME_FL);

/// Bytes per entry that a directory's size shows: mm/shmem.c BOGO_DIRENT_SIZE.
const DIRENT_SIZE: u64 = 20;

impl TmpInode {
    fn dir(&self) -> Result<&Lock<Dir>> {
        match &self.body {
            Body::Dir(dir) => Ok(dir),
            _ => err(Errno::ENOTDIR),
        }
    }

    fn fs(&self) -> Result<Arc<TmpFs>> {
        self.fs.upgrade().ok_or_else(|| Error::new(Errno::ENOENT))
    }

    fn changed(&self) {
        let now = crate::time::now();
        let mut meta = self.meta.lock();
        meta.mtime = now;
        meta.ctime = now;
    }

    fn add_links(&self, by: i32) {
        let mut meta = self.meta.lock();
        meta.nlink = meta.nlink.saturating_add_signed(by);
        meta.ctime = crate::time::now();
    }
}

impl Drop for TmpInode {
    fn drop(&mut self) {
        if let Some(fs) = self.fs.upgrade() {
            fs.inodes.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn own(inode: &Arc<dyn Inode>) -> Result<Arc<TmpInode>> {
    let any: Arc<dyn Any + Send + Sync> = inode.clone();
    any.downcast::<TmpInode>().map_err(|_| Errno::EXDEV.into())
}

impl Inode for TmpInode {
    fn metadata(&self) -> Result<Metadata> {
        let mut meta = *self.meta.lock();
        match &self.body {
            Body::File(mapping) => {
                meta.size = mapping.size();
                meta.blocks = mapping.resident_pages() * 8;
            }
            Body::Dir(dir) => {
                meta.size = dir.lock().entries.len() as u64 * DIRENT_SIZE + 2 * DIRENT_SIZE
            }
            _ => {}
        }
        Ok(meta)
    }

    fn kind(&self) -> InodeKind {
        self.kind
    }

    fn flags(&self) -> Option<InodeFlags> {
        Some(InodeFlags::from_bits_retain(
            self.flags.load(Ordering::Relaxed),
        ))
    }

    fn set_flags(&self, flags: InodeFlags) -> Result<()> {
        if !KEPT_FLAGS.contains(flags) {
            return err(Errno::EOPNOTSUPP);
        }
        self.flags.store(flags.bits(), Ordering::Relaxed);
        Ok(())
    }

    fn seals(&self) -> Option<&AtomicU32> {
        matches!(self.body, Body::File(_)).then_some(&self.seals)
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        if let Some(size) = attr.size {
            match &self.body {
                Body::File(mapping) => mapping.set_size(size)?,
                _ => return err(Errno::EINVAL),
            }
        }
        apply_attr(&mut self.meta.lock(), attr);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        match self.dir()?.lock().entries.get(name) {
            Some((inode, _)) => Ok(inode.clone()),
            None => err(Errno::ENOENT),
        }
    }

    fn create(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        let dir = self.dir()?;
        if dir.lock().entries.contains_key(name) {
            return err(Errno::EEXIST);
        }
        let inode = self.fs()?.make(new)?;
        let inherited = self.flags.load(Ordering::Relaxed) & INHERITED_FLAGS.bits();
        inode.flags.store(inherited, Ordering::Relaxed);
        dir.lock().insert(name, inode.clone());
        if new.kind == InodeKind::Directory {
            self.add_links(1);
        }
        self.changed();
        Ok(inode)
    }

    fn create_unnamed(&self, new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        self.fs()?.unnamed_file(new.mode, new.uid, new.gid)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let target = own(target)?;
        if crate::mm::kernel_is_large() {
            return err(Errno::ENOSPC);
        }
        let mut dir = self.dir()?.lock();
        if dir.entries.contains_key(name) {
            return err(Errno::EEXIST);
        }
        dir.insert(name, target.clone());
        drop(dir);
        target.add_links(1);
        self.changed();
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        let removed = self.dir()?.lock().remove(name).ok_or(Errno::ENOENT)?;
        removed.add_links(-1);
        self.changed();
        Ok(())
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        let child = match self.dir()?.lock().entries.get(name) {
            Some((child, _)) => child.clone(),
            None => return err(Errno::ENOENT),
        };
        if !child.dir()?.lock().entries.is_empty() {
            return err(Errno::ENOTEMPTY);
        }
        self.dir()?.lock().remove(name);
        child.add_links(-2);
        self.add_links(-1);
        self.changed();
        Ok(())
    }

    fn rename(
        &self,
        old: &[u8],
        new_dir: &Arc<dyn Inode>,
        new: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        let to = own(new_dir)?;
        let moved = self
            .dir()?
            .lock()
            .entries
            .get(old)
            .map(|e| e.0.clone())
            .ok_or(Errno::ENOENT)?;
        let target = to.dir()?.lock().entries.get(new).map(|e| e.0.clone());
        let same_dir = std::ptr::eq(self, &*to);
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && target.is_some() {
            return err(Errno::EEXIST);
        }
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            let other = target.ok_or(Errno::ENOENT)?;
            self.dir()?.lock().remove(old);
            to.dir()?.lock().remove(new);
            self.dir()?.lock().insert(old, other.clone());
            to.dir()?.lock().insert(new, moved.clone());
            let balance = i32::from(other.kind == InodeKind::Directory)
                - i32::from(moved.kind == InodeKind::Directory);
            if !same_dir && balance != 0 {
                self.add_links(balance);
                to.add_links(-balance);
            }
        } else {
            if let Some(target) = &target {
                if let Body::Dir(dir) = &target.body
                    && !dir.lock().entries.is_empty()
                {
                    return err(Errno::ENOTEMPTY);
                }
                to.dir()?.lock().remove(new);
                let is_dir = target.kind == InodeKind::Directory;
                target.add_links(if is_dir { -2 } else { -1 });
                if is_dir {
                    to.add_links(-1);
                }
            }
            self.dir()?.lock().remove(old);
            to.dir()?.lock().insert(new, moved.clone());
            if moved.kind == InodeKind::Directory && !same_dir {
                self.add_links(-1);
                to.add_links(1);
            }
            if flags.contains(RenameFlags::RENAME_WHITEOUT) {
                let white = NewNode {
                    kind: InodeKind::CharDevice,
                    mode: 0,
                    uid: 0,
                    gid: 0,
                    rdev: 0,
                    target: b"",
                };
                let white = self.fs()?.make(&white)?;
                self.dir()?.lock().insert(old, white);
            }
        }
        moved.add_links(0);
        self.changed();
        to.changed();
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        match &self.body {
            Body::Link(target) => Ok(target.to_vec()),
            _ => err(Errno::EINVAL),
        }
    }

    fn read_dir(&self, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        let mut from = offset;
        loop {
            // A batch at a time: the sink may copy to user memory, which no short lock outlives.
            let batch: Vec<(u64, Box<[u8]>, u64, InodeKind)> = {
                let dir = self.dir()?.lock();
                dir.order
                    .range(from..)
                    .take(64)
                    .filter_map(|(position, name)| {
                        let (inode, _) = dir.entries.get(name)?;
                        Some((*position, name.clone(), inode.meta.lock().ino, inode.kind))
                    })
                    .collect()
            };
            let Some(last) = batch.last() else {
                return Ok(());
            };
            from = last.0 + 1;
            for (position, name, ino, kind) in &batch {
                let entry = DirEntry {
                    ino: *ino,
                    next: position + 1,
                    kind: kind.dirent_type(),
                    name,
                };
                if !sink(entry) {
                    return Ok(());
                }
            }
        }
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        match &self.body {
            Body::File(mapping) => Ok(Box::new(PageFile::new(mapping.clone()))),
            Body::Dir(_) => Ok(Box::new(DirFile(OfInode))),
            _ => err(Errno::ENXIO),
        }
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        match &self.body {
            Body::File(mapping) => Some(mapping.clone()),
            _ => None,
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.xattrs
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| Errno::ENODATA.into())
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        if crate::mm::kernel_is_large() {
            return err(Errno::ENOSPC);
        }
        let mut xattrs = self.xattrs.lock();
        let there = xattrs.contains_key(name);
        if flags & abi::fs::XATTR_CREATE != 0 && there {
            return err(Errno::EEXIST);
        }
        if flags & abi::fs::XATTR_REPLACE != 0 && !there {
            return err(Errno::ENODATA);
        }
        xattrs.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.xattrs.lock().keys().cloned().collect())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        match self.xattrs.lock().remove(name) {
            Some(_) => Ok(()),
            None => err(Errno::ENODATA),
        }
    }

    fn fallocate(&self, _mode: u32, _offset: u64, _len: u64) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn rdev(&self) -> u64 {
        self.meta.lock().rdev
    }
}
