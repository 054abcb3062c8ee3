//! Inodes of a hostfs.

use super::fds::Handle;
use super::{HostFs, guest};
use abi::errno::Errno;
use abi::fs::{FallocFlags, OpenFlags};
use abi::time::Timespec;
use host::tree::{self, Dir, Stat};
use kernel::fs::DirFile;
use kernel::fs::listing::{List, Listing, Snapshot};
use kernel::mm::pagecache::{Mapping, PAGE, PageSource, memory};
use kernel::sync::{Lock, Rank};
use kernel::time::monotonic_ns;
use kernel::vfs::{
    DirSink, DirentType, FileOps, Inode, InodeKind, Metadata, NewNode, PageFile, RenameFlags,
    SetAttr, TimeSet,
};
use kernel::{Error, Result, err};
use std::any::Any;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// How long attributes are believed before the host is asked again, nanoseconds.
const FRESH_NS: u64 = 1_000_000_000;
/// Magic numbers of file systems that show the host's kernel: proc, sysfs, devpts, cgroup, cgroup2, debugfs, tracefs,
/// securityfs, bpf, pstore, mqueue, efivarfs, configfs, fusectl, selinuxfs, binfmt_misc, nsfs (include/uapi/linux/magic.h).
const KERNEL_MAGICS: [u64; 17] = [
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
    0x6165_676c,
    0x1980_0202,
    0xde5e_81e4,
    0x6265_6570,
    0x6573_5543,
    0xf97c_ff8c,
    0x4249_4e4d,
    0x6e73_6673,
];
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// How an inode is reached.
enum Place {
    /// The top of the tree, held open.
    Root(Arc<Dir>),
    Named {
        parent: Arc<HostInode>,
        name: Box<[u8]>,
    },
}

#[derive(Clone, Copy)]
struct Attr {
    meta: Metadata,
    /// Host time stamps and size when the page cache was last known to agree.
    asked_ns: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An inode.
pub struct HostInode {
    fs: Weak<HostFs>,
    me: Weak<HostInode>,
    id: u64,
    key: (u64, u64),
    kind: InodeKind,
    place: Lock<Place>,
    /// A mount of the host's kernel that this file system hides: an empty directory.
    hidden: bool,
    attr: Lock<Attr>,
    mapping: OnceLock<Arc<Mapping>>,
    /// The text of a symbolic link.
    link: Lock<Option<Arc<[u8]>>>,
    /// The host has let this file be opened when its change time was this; true: for writing, too.
    allowed: Lock<Option<(Timespec, bool)>>,
    /// An open file whose last name is gone: the only way to it.
    orphan: Lock<Option<Arc<OwnedFd>>>,
    /// The guest wrote content: the host's size and time stamps follow when it is written back.
    written: AtomicBool,
    max_size: OnceLock<u64>,
}

fn metadata(stat: &Stat, dev: u64) -> Metadata {
    let stamp = |sec: i64, nsec: u64| Timespec {
        tv_sec: sec,
        tv_nsec: nsec as i64,
    };
    Metadata {
        dev,
        ino: stat.st_ino,
        mode: stat.st_mode,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        blksize: stat.st_blksize as u32,
        atime: stamp(stat.st_atime, stat.st_atime_nsec),
        mtime: stamp(stat.st_mtime, stat.st_mtime_nsec),
        ctime: stamp(stat.st_ctime, stat.st_ctime_nsec),
        btime: None,
    }
}

impl HostInode {
    fn new(fs: &Arc<HostFs>, place: Place, stat: &Stat, hidden: bool) -> Arc<HostInode> {
        let key = (stat.st_dev, stat.st_ino);
        let meta = metadata(stat, fs.dev);
        let attr = Attr {
            meta,
            asked_ns: monotonic_ns(),
        };
        let known = fs.inodes.lock().get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.kind == meta.kind()) {
            known.refresh(attr);
            let old = std::mem::replace(&mut *known.place.lock(), place);
            drop(old);
            return known;
        }
        let inode = Arc::new_cyclic(|me| HostInode {
            fs: Arc::downgrade(fs),
            me: me.clone(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            key,
            kind: meta.kind(),
            place: Lock::new(Rank::LEAF, place),
            hidden,
            attr: Lock::new(Rank::LEAF, attr),
            mapping: OnceLock::new(),
            link: Lock::new(Rank::LEAF, None),
            allowed: Lock::new(Rank::LEAF, None),
            orphan: Lock::new(Rank::LEAF, None),
            written: AtomicBool::new(false),
            max_size: OnceLock::new(),
        });
        fs.inodes.lock().insert(key, Arc::downgrade(&inode));
        inode
    }

    pub(super) fn root(fs: &Arc<HostFs>, dir: Dir, stat: &Stat) -> Arc<HostInode> {
        HostInode::new(fs, Place::Root(Arc::new(dir)), stat, false)
    }

    fn fs(&self) -> Result<Arc<HostFs>> {
        self.fs.upgrade().ok_or_else(|| Error::new(Errno::EIO))
    }

    fn place(&self) -> Result<(Arc<HostInode>, Box<[u8]>)> {
        match &*self.place.lock() {
            Place::Named { parent, name } => Ok((parent.clone(), name.clone())),
            Place::Root(_) => err(Errno::EBUSY),
        }
    }

    /// Its directory handle, opened again along the names if it was given back.
    pub(super) fn dir(&self, fs: &HostFs) -> Result<Arc<Dir>> {
        if self.kind != InodeKind::Directory {
            return err(Errno::ENOTDIR);
        }
        if let Some(root) = self.root_handle() {
            return Ok(root);
        }
        if let Some(Handle::Dir(dir)) = fs.fds.get(self.id) {
            return Ok(dir);
        }
        let (parent, name) = self.place()?;
        let dir = Arc::new(parent.dir(fs)?.open_dir(&name).map_err(guest)?);
        fs.fds.put(self.id, Handle::Dir(dir.clone()));
        Ok(dir)
    }

    /// As [`dir`](Self::dir), one whose names can be read. EACCES.
    fn dir_to_read(&self, fs: &HostFs) -> Result<Arc<Dir>> {
        let known = match fs.fds.get(self.id) {
            Some(Handle::Dir(dir)) if dir.is_readable() => return Ok(dir),
            Some(Handle::Dir(dir)) => Some(dir),
            _ => self.root_handle(),
        };
        let dir = match known {
            Some(place) => place.open_self_to_read(),
            None => {
                let (parent, name) = self.place()?;
                parent.dir(fs)?.open_dir_to_read(&name)
            }
        };
        let dir = Arc::new(dir.map_err(guest)?);
        fs.fds.put(self.id, Handle::Dir(dir.clone()));
        Ok(dir)
    }

    /// The directory it is in, and its name there.
    fn entry(&self) -> Result<(Arc<Dir>, Box<[u8]>)> {
        let fs = self.fs()?;
        let (parent, name) = self.place()?;
        Ok((parent.dir(&fs)?, name))
    }

    /// The host file if it is open already; `write` when it must be writable.
    fn opened(&self, fs: &HostFs, write: bool) -> Option<Arc<OwnedFd>> {
        if let Some(fd) = self.orphan.lock().clone() {
            return Some(fd);
        }
        match fs.fds.get(self.id) {
            Some(Handle::File(fd, writable)) if writable || !write => Some(fd),
            _ => None,
        }
    }

    /// Opens the host file by its name; also says what was opened.
    fn open_host(&self, fs: &HostFs, write: bool) -> Result<(Arc<OwnedFd>, Metadata)> {
        let (dir, name) = self.entry()?;
        let (fd, stat) = dir.open_file(&name, write, fs.append).map_err(guest)?;
        let meta = metadata(&stat, fs.dev);
        *self.allowed.lock() = Some((meta.ctime, write));
        Ok((Arc::new(fd), meta))
    }

    /// The open host file; `write` when it must be writable.
    fn file(&self, write: bool) -> Result<Arc<OwnedFd>> {
        let fs = self.fs()?;
        if let Some(fd) = self.opened(&fs, write) {
            return Ok(fd);
        }
        let (fd, _) = self.open_host(&fs, write)?;
        fs.fds.put(self.id, Handle::File(fd.clone(), write));
        Ok(fd)
    }

    /// What open(2) asks the host: whether it may, and whether the file is as it was. A file that could be opened and has
    /// not changed since isn't opened again: one call instead of three. What the guest itself has open for writing
    /// changes all the time, and an open descriptor stands for it.
    fn check_open(&self, write: bool) -> Result<()> {
        let fs = self.fs()?;
        let opened = self.opened(&fs, write).is_some();
        let written = self.written.load(Ordering::Relaxed);
        if written && opened {
            return Ok(());
        }
        if !written {
            let allowed = *self.allowed.lock();
            if opened || allowed.is_some() {
                let ctime = self.update()?.ctime;
                let may = |(at, writable): (Timespec, bool)| at == ctime && (writable || !write);
                if self.orphan.lock().is_some() || allowed.is_some_and(may) {
                    return Ok(());
                }
            }
        }
        let (fd, meta) = self.open_host(&fs, write)?;
        if !written {
            self.refresh(Attr {
                meta,
                asked_ns: monotonic_ns(),
            });
        }
        fs.fds.put(self.id, Handle::File(fd, write));
        Ok(())
    }

    fn stat_host(&self) -> Result<Stat> {
        if let Some(fd) = self.orphan.lock().clone() {
            return tree::stat_file(fd.as_fd()).map_err(guest);
        }
        if let Some(root) = self.root_handle() {
            return root.stat_self().map_err(guest);
        }
        let (dir, name) = self.entry()?;
        dir.stat(&name).map_err(guest)
    }

    /// Takes newer attributes; content that the host changed is read again.
    fn refresh(&self, new: Attr) {
        let old = std::mem::replace(&mut *self.attr.lock(), new).meta;
        let new = new.meta;
        // Another object has the name now, where nothing looks names up anew (as below an overlay).
        let replaced = old.ino != new.ino;
        if replaced || old.ctime != new.ctime {
            let text = self.link.lock().take();
            drop(text);
        }
        if replaced
            && !self.written.load(Ordering::Relaxed)
            && let Some(fs) = self.fs.upgrade()
        {
            fs.fds.remove(self.id);
        }
        let changed = replaced || old.mtime != new.mtime || old.size != new.size;
        if changed
            && !self.written.load(Ordering::Relaxed)
            && let Some(mapping) = self.mapping.get()
        {
            mapping.invalidate();
            if mapping.size() != new.size
                && let Err(e) = mapping.set_size(new.size)
            {
                kernel::pr_warn!("hostfs: size of a file that the host changed: {e:?}");
            }
        }
    }

    fn update(&self) -> Result<Metadata> {
        let stat = self.stat_host()?;
        let meta = metadata(&stat, self.fs()?.dev);
        self.refresh(Attr {
            meta,
            asked_ns: monotonic_ns(),
        });
        Ok(meta)
    }

    /// Forgets the attributes: the guest changed something.
    fn expire(&self) {
        self.attr.lock().asked_ns = 0;
    }

    fn child(&self, name: &[u8], stat: &Stat) -> Result<Arc<HostInode>> {
        let parent = self.me.upgrade().ok_or(Errno::ESTALE)?;
        let fs = self.fs()?;
        let hidden = fs.hide_kernel
            && stat.st_dev != self.key.0
            && metadata(stat, fs.dev).is_dir()
            && KERNEL_MAGICS.contains(
                &self
                    .dir(&fs)?
                    .open_dir(name)
                    .and_then(|d| d.magic())
                    .map_err(guest)?,
            );
        let place = Place::Named {
            parent,
            name: name.into(),
        };
        Ok(HostInode::new(&fs, place, stat, hidden))
    }

    fn child_by_name(&self, name: &[u8]) -> Result<Arc<HostInode>> {
        if self.hidden {
            return err(Errno::ENOENT);
        }
        let stat = self.dir(&*self.fs()?)?.stat(name).map_err(guest)?;
        self.child(name, &stat)
    }

    /// Before a name goes away: a file in use keeps a descriptor.
    fn hold(&self) {
        if self.kind == InodeKind::Regular
            && self.mapping.get().is_some()
            && let Ok(fd) = self.file(true).or_else(|_| self.file(false))
        {
            *self.orphan.lock() = Some(fd);
        }
    }

    fn is_fresh(&self) -> bool {
        monotonic_ns().saturating_sub(self.attr.lock().asked_ns) <= FRESH_NS
    }

    fn check_append(&self) -> Result<()> {
        if self.fs()?.append {
            err(Errno::EPERM)
        } else {
            Ok(())
        }
    }
}

impl Drop for HostInode {
    fn drop(&mut self) {
        if let Some(fs) = self.fs.upgrade() {
            fs.fds.remove(self.id);
            let mut inodes = fs.inodes.lock();
            if inodes
                .get(&self.key)
                .is_some_and(|known| known.strong_count() == 0)
            {
                inodes.remove(&self.key);
            }
        }
    }
}

impl PageSource for HostInode {
    fn fill(&self, start: u64, len: u64, cache_offset: u64) -> Result<()> {
        let fd = self.file(false)?;
        let mut done = 0;
        while done < len {
            let got = memory()
                .read_from_fd(
                    cache_offset + done,
                    (len - done) as usize,
                    fd.as_fd(),
                    start + done,
                )
                .map_err(super::io)?;
            if got == 0 {
                break;
            }
            done += got as u64;
        }
        if done < len {
            memory().zero(cache_offset + done, len - done);
        }
        Ok(())
    }

    fn write_back(&self, start: u64, len: u64, cache_offset: u64) -> Result<()> {
        let fd = self.file(true)?;
        let mut done = 0;
        if self.fs()?.append {
            // The host writes at the end whatever the position: only what it doesn't have yet goes there.
            let there = tree::stat_file(fd.as_fd()).map_err(guest)?.st_size as u64;
            done = there.saturating_sub(start).min(len);
        }
        while done < len {
            let put = memory()
                .write_to_fd(
                    cache_offset + done,
                    (len - done) as usize,
                    fd.as_fd(),
                    start + done,
                )
                .map_err(super::io)?;
            done += put as u64;
        }
        Ok(())
    }

    fn seek(&self, offset: u64, hole: bool) -> Result<Option<u64>> {
        let fd = self.file(false)?;
        match tree::seek(fd.as_fd(), offset, hole) {
            Ok(at) => Ok(Some(at)),
            // Behind what the host has of the file so far all is a hole.
            Err(host::Errno::NXIO) => Ok(hole.then_some(offset)),
            Err(e) => Err(guest(e)),
        }
    }
}

impl Inode for HostInode {
    fn metadata(&self) -> Result<Metadata> {
        let attr = *self.attr.lock();
        let mut meta = attr.meta;
        if monotonic_ns().saturating_sub(attr.asked_ns) > FRESH_NS {
            meta = self.update()?;
        }
        if self.written.load(Ordering::Relaxed)
            && let Some(mapping) = self.mapping.get()
        {
            meta.size = mapping.size();
        }
        Ok(meta)
    }

    fn kind(&self) -> InodeKind {
        self.kind
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        let fs = self.fs()?;
        if let Some(TimeSet::To(_)) = attr.mtime
            && let Some(mapping) = self.mapping.get()
        {
            // Writing back later would stamp the host's file again.
            mapping.sync(0, u64::MAX)?;
        }
        if let Some(size) = attr.size
            && !fs.append
        {
            tree::truncate(self.file(true)?.as_fd(), size).map_err(guest)?;
            if let Some(mapping) = self.mapping.get() {
                mapping.set_size(size)?;
            }
        }
        if let Some(root) = self.root_handle() {
            change(
                attr,
                |mode| root.chmod_self(mode),
                |u, g| root.chown_self(u, g),
                |a, m| root.set_times_self(a, m),
            )?;
        } else {
            let (dir, name) = self.entry()?;
            change(
                attr,
                |mode| dir.chmod(&name, mode),
                |u, g| dir.chown(&name, u, g),
                |a, m| dir.set_times(&name, a, m),
            )?;
        }
        self.update().map(|_| ())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(self.child_by_name(name)?)
    }

    fn revalidate(&self, name: &[u8], child: Option<&Arc<dyn Inode>>) -> bool {
        let known = child.and_then(|c| c.as_any().downcast_ref::<HostInode>());
        if known.is_some_and(HostInode::is_fresh) {
            return true;
        }
        let Ok(fs) = self.fs() else { return false };
        let Ok(dir) = self.dir(&fs) else { return false };
        match (dir.stat(name), known) {
            (Ok(stat), Some(known)) if known.key == (stat.st_dev, stat.st_ino) => {
                known.refresh(Attr {
                    meta: metadata(&stat, fs.dev),
                    asked_ns: monotonic_ns(),
                });
                true
            }
            (Err(_), None) => true,
            _ => false,
        }
    }

    fn create(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        if self.hidden {
            return err(Errno::EPERM);
        }
        let fs = self.fs()?;
        let dir = self.dir(&fs)?;
        let mut file = None;
        match new.kind {
            InodeKind::Regular => file = Some(dir.create_file(name, new.mode).map_err(guest)?),
            InodeKind::Directory => dir.make_dir(name, new.mode).map_err(guest)?,
            InodeKind::Symlink => dir.symlink(name, new.target).map_err(guest)?,
            kind => dir
                .make_node(name, kind.mode_bits() | new.mode & 0o7777, new.rdev)
                .map_err(guest)?,
        }
        self.expire();
        let inode = self.child_by_name(name)?;
        if let Some(fd) = file {
            let ctime = inode.attr.lock().meta.ctime;
            *inode.allowed.lock() = Some((ctime, true));
            fs.fds.put(inode.id, Handle::File(Arc::new(fd), true));
        }
        Ok(inode)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let target = target
            .as_any()
            .downcast_ref::<HostInode>()
            .ok_or(Errno::EXDEV)?;
        let (from, old) = target.entry()?;
        from.link(&old, &*self.dir(&*self.fs()?)?, name)
            .map_err(guest)?;
        self.expire();
        target.expire();
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        self.check_append()?;
        let child = self.child_by_name(name)?;
        child.hold();
        self.dir(&*self.fs()?)?.unlink(name).map_err(guest)?;
        self.expire();
        child.expire();
        Ok(())
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        self.dir(&*self.fs()?)?.remove_dir(name).map_err(guest)?;
        self.expire();
        Ok(())
    }

    fn rename(
        &self,
        old: &[u8],
        new_dir: &Arc<dyn Inode>,
        new: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        if flags.contains(RenameFlags::RENAME_WHITEOUT) {
            return err(Errno::EINVAL);
        }
        let to = new_dir
            .as_any()
            .downcast_ref::<HostInode>()
            .ok_or(Errno::EXDEV)?;
        let fs = self.fs()?;
        let moved = self.child_by_name(old)?;
        let target = to.child_by_name(new).ok();
        let exchange = flags.contains(RenameFlags::RENAME_EXCHANGE);
        if let Some(target) = target.as_ref().filter(|_| !exchange) {
            target.hold();
        }
        let no_replace = flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.dir(&fs)?
            .rename(old, &*to.dir(&fs)?, new, exchange, no_replace)
            .map_err(guest)?;
        let settle = |inode: &HostInode, parent: &HostInode, name: &[u8]| {
            if let Some(parent) = parent.me.upgrade() {
                let place = Place::Named {
                    parent,
                    name: name.into(),
                };
                let before = std::mem::replace(&mut *inode.place.lock(), place);
                drop(before);
            }
            inode.expire();
        };
        settle(&moved, to, new);
        if let Some(other) = target.filter(|_| exchange) {
            settle(&other, self, old);
        }
        self.expire();
        to.expire();
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        // The text of a link never changes; another link of that name has other attributes.
        if !self.is_fresh() {
            self.update()?;
        }
        if let Some(text) = self.link.lock().clone() {
            return Ok(text.to_vec());
        }
        let (dir, name) = self.entry()?;
        let text = dir.read_link(&name).map_err(guest)?;
        *self.link.lock() = Some(text.as_slice().into());
        Ok(text)
    }

    fn read_dir(&self, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        self.list()?.emit(offset, sink);
        Ok(())
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        match self.kind {
            InodeKind::Directory => {
                // The host's own check comes first: EACCES now, not at the first read.
                if !self.hidden {
                    self.dir_to_read(&*self.fs()?)?;
                }
                Ok(Box::new(DirFile(Snapshot::new(self))))
            }
            InodeKind::Regular => {
                self.check_open(flags.writable())?;
                if flags.writable() {
                    self.written.store(true, Ordering::Relaxed);
                }
                let mapping = self.mapping().ok_or(Errno::EIO)?;
                Ok(Box::new(if self.fs()?.append {
                    PageFile::append_only(mapping)
                } else {
                    PageFile::new(mapping)
                }))
            }
            _ => err(Errno::ENXIO),
        }
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        if self.kind != InodeKind::Regular {
            return None;
        }
        let mapping = self.mapping.get_or_init(|| {
            let source: Weak<dyn PageSource> = self.me.clone();
            Mapping::new(Some(source), self.attr.lock().meta.size)
        });
        Some(mapping.clone())
    }

    fn max_size(&self) -> u64 {
        *self.max_size.get_or_init(|| {
            self.file(false)
                .map_or(i64::MAX as u64, |fd| tree::max_size(fd.as_fd()))
        })
    }

    /// Every mode that the host's file system has.
    fn fallocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let fs = self.fs()?;
        if fs.append {
            return err(Errno::EPERM);
        }
        let fd = self.file(true)?;
        if let Some(mapping) = self.mapping.get() {
            mapping.sync(0, u64::MAX)?;
        }
        tree::allocate(fd.as_fd(), mode, offset, len).map_err(guest)?;
        let size = tree::stat_file(fd.as_fd()).map_err(guest)?.st_size as u64;
        if let Some(mapping) = self.mapping.get() {
            let flags = FallocFlags::from_bits_retain(mode);
            if flags.intersects(
                FallocFlags::FALLOC_FL_COLLAPSE_RANGE | FallocFlags::FALLOC_FL_INSERT_RANGE,
            ) {
                // Everything behind has moved: it is read again.
                mapping.punch(offset & !(PAGE - 1), u64::MAX)?;
            } else if flags
                .intersects(FallocFlags::FALLOC_FL_PUNCH_HOLE | FallocFlags::FALLOC_FL_ZERO_RANGE)
            {
                mapping.punch(offset, len)?;
            }
            mapping.set_size(size)?;
        }
        self.expire();
        Ok(())
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        if self.kind == InodeKind::Directory {
            return self.dir(&*self.fs()?)?.sync().map_err(guest);
        }
        let Some(mapping) = self
            .mapping
            .get()
            .filter(|_| self.written.load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        mapping.sync(0, u64::MAX)?;
        tree::sync(self.file(true)?.as_fd(), data_only).map_err(guest)?;
        self.expire();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn rdev(&self) -> u64 {
        self.attr.lock().meta.rdev
    }
}

impl List for HostInode {
    fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        if !self.hidden {
            self.dir_to_read(&*self.fs()?)?
                .entries(|entry| listing.push(entry.name, entry.ino, DirentType(entry.kind)))
                .map_err(guest)?;
        }
        Ok(listing)
    }
}

impl HostInode {
    fn root_handle(&self) -> Option<Arc<Dir>> {
        match &*self.place.lock() {
            Place::Root(dir) => Some(dir.clone()),
            Place::Named { .. } => None,
        }
    }
}

type HostResult = Result<(), host::Errno>;

/// Applies mode, owner and times by the given host calls.
fn change(
    attr: &SetAttr,
    chmod: impl Fn(u32) -> HostResult,
    chown: impl Fn(Option<u32>, Option<u32>) -> HostResult,
    times: impl Fn((i64, i64), (i64, i64)) -> HostResult,
) -> Result<()> {
    if attr.uid.is_some() || attr.gid.is_some() {
        chown(attr.uid, attr.gid).map_err(guest)?;
    }
    if let Some(mode) = attr.mode {
        chmod(mode).map_err(guest)?;
    }
    if attr.atime.is_some() || attr.mtime.is_some() {
        let stamp = |set: Option<TimeSet>| match set {
            None => (0, UTIME_OMIT),
            Some(TimeSet::Now) => (0, UTIME_NOW),
            Some(TimeSet::To(time)) => (time.tv_sec, time.tv_nsec),
        };
        times(stamp(attr.atime), stamp(attr.mtime)).map_err(guest)?;
    }
    Ok(())
}
