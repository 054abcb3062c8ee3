//! One name's view of the two layers.

use super::{ESCAPED_PREFIX, OPAQUE, ORIGIN, OverlayFs, PRIVATE_PREFIX, UPPER, find, is_whiteout};
use crate::error::{Error, Result, err};
use crate::fs::DirFile;
use crate::fs::listing::{List, Snapshot};
use crate::mm::pagecache::Mapping;
use crate::sync::{Lock, Rank};
use crate::vfs::{FileOps, Inode, InodeKind, Metadata, NewNode, RenameFlags, SetAttr, TimeSet};
use abi::errno::Errno;
use abi::fs::{InodeFlags, OpenFlags};
use std::any::Any;
use std::sync::{Arc, Weak};

pub(super) struct Place {
    pub parent: Arc<OvlInode>,
    pub name: Box<[u8]>,
}

/// An inode of an overlay.
pub struct OvlInode {
    pub(super) fs: Weak<OverlayFs>,
    me: Weak<OvlInode>,
    kind: InodeKind,
    ino: u64,
    key: (bool, u64),
    /// Where it was found, to copy it up there. None for the root.
    pub(super) place: Lock<Option<Place>>,
    pub(super) upper: Lock<Option<Arc<dyn Inode>>>,
    pub(super) lower: Option<Arc<dyn Inode>>,
}

impl OvlInode {
    pub(super) fn new(
        fs: &Arc<OverlayFs>,
        place: Option<Place>,
        upper: Option<Arc<dyn Inode>>,
        lower: Option<Arc<dyn Inode>>,
    ) -> Result<Arc<OvlInode>> {
        let (key, real) = match (&lower, &upper) {
            (Some(lower), _) => ((false, lower.metadata()?.ino), lower),
            (None, Some(upper)) => (fs.upper_key(upper)?, upper),
            (None, None) => return err(Errno::ENOENT),
        };
        // Names of one directory may show different layers of it, so only other objects are shared.
        let kind = real.kind();
        let shared = kind != InodeKind::Directory;
        if shared && let Some(known) = fs.inodes.lock().get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let inode = Arc::new_cyclic(|me| OvlInode {
            fs: Arc::downgrade(fs),
            me: me.clone(),
            kind,
            ino: fs.shown_ino(key),
            key,
            place: Lock::new(Rank::LEAF, place),
            upper: Lock::new(Rank::LEAF, upper),
            lower,
        });
        if shared {
            fs.inodes.lock().insert(key, Arc::downgrade(&inode));
        }
        Ok(inode)
    }

    pub(super) fn fs(&self) -> Result<Arc<OverlayFs>> {
        self.fs.upgrade().ok_or_else(|| Error::new(Errno::ENOENT))
    }

    pub(super) fn upper(&self) -> Option<Arc<dyn Inode>> {
        self.upper.lock().clone()
    }

    /// The layer's inode that holds the content.
    pub(super) fn real(&self) -> Arc<dyn Inode> {
        self.upper()
            .or_else(|| self.lower.clone())
            .expect("an overlay inode has a layer")
    }

    /// The lower directory that is merged with this one, if any.
    pub(super) fn lower_dir(&self) -> Option<&Arc<dyn Inode>> {
        self.lower
            .as_ref()
            .filter(|lower| lower.kind() == InodeKind::Directory)
    }

    fn in_lower(&self, name: &[u8]) -> Result<bool> {
        match self.lower_dir() {
            Some(lower) => Ok(find(lower, name)?.is_some_and(|inode| !is_whiteout(&inode))),
            None => Ok(false),
        }
    }

    /// This directory's upper inode, copied up if need be.
    fn upper_dir(&self) -> Result<Arc<dyn Inode>> {
        if self.kind != InodeKind::Directory {
            return err(Errno::ENOTDIR);
        }
        self.copy_up(true)
    }

    fn whiteout(upper: &Arc<dyn Inode>, name: &[u8]) -> Result<()> {
        let node = NewNode {
            kind: InodeKind::CharDevice,
            mode: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: b"",
        };
        upper.create(name, &node).map(|_| ())
    }

    fn remove_whiteout(upper: &Arc<dyn Inode>, name: &[u8]) -> Result<()> {
        match find(upper, name)? {
            Some(inode) if is_whiteout(&inode) => upper.unlink(name),
            _ => Ok(()),
        }
    }

    fn myself(&self) -> Result<Arc<OvlInode>> {
        self.me.upgrade().ok_or_else(|| Error::new(Errno::ESTALE))
    }
}

impl Drop for OvlInode {
    fn drop(&mut self) {
        if let Some(fs) = self.fs.upgrade() {
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

impl OverlayFs {
    /// Upper numbers start at 1 as the lower ones do: kept apart by the top bits (xino).
    pub(super) fn shown_ino(&self, (upper, ino): (bool, u64)) -> u64 {
        if upper { ino | self.tag } else { ino }
    }

    /// What an object of the upper layer that covers no lower directory goes by. The origin that a read-only layer
    /// names lay below it when that was written to.
    pub(super) fn upper_key(&self, upper: &Arc<dyn Inode>) -> Result<(bool, u64)> {
        let origin = Some(upper)
            .filter(|_| self.tag == UPPER)
            .and_then(|upper| upper.get_xattr(ORIGIN).ok())
            .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        match origin {
            Some(bytes) => Ok((false, u64::from_le_bytes(bytes))),
            None => Ok((true, upper.metadata()?.ino)),
        }
    }
}

/// The name under which a layer keeps the attribute `name`: the overlay's own names are not for programs.
fn layer_name(name: &[u8]) -> Vec<u8> {
    match name.strip_prefix(PRIVATE_PREFIX) {
        Some(rest) => [ESCAPED_PREFIX, rest].concat(),
        None => name.to_vec(),
    }
}

pub(super) fn downcast(inode: &Arc<dyn Inode>) -> Result<Arc<OvlInode>> {
    let any: Arc<dyn Any + Send + Sync> = inode.clone();
    any.downcast::<OvlInode>().map_err(|_| Errno::EXDEV.into())
}

impl Inode for OvlInode {
    fn metadata(&self) -> Result<Metadata> {
        let real = self.real().metadata()?;
        Ok(Metadata {
            dev: self.fs()?.dev,
            ino: self.ino,
            ..real
        })
    }

    fn kind(&self) -> InodeKind {
        self.kind
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        let only_access_time = matches!(
            attr,
            SetAttr {
                mode: None,
                uid: None,
                gid: None,
                size: None,
                atime: Some(TimeSet::Now),
                mtime: None,
                ctime: None
            }
        );
        if only_access_time && self.upper().is_none() {
            return Ok(());
        }
        self.copy_up(attr.size != Some(0))?.set_attr(attr)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let fs = self.fs()?;
        let upper = match self.upper() {
            Some(dir) => find(&dir, name)?,
            None => None,
        };
        let hides = match &upper {
            Some(inode) if is_whiteout(inode) => return err(Errno::ENOENT),
            Some(inode) => inode.kind() != InodeKind::Directory || inode.get_xattr(OPAQUE).is_ok(),
            None => false,
        };
        let lower = match self.lower_dir() {
            Some(dir) if !hides => find(dir, name)?.filter(|inode| !is_whiteout(inode)),
            _ => None,
        };
        // A lower object of another kind under an upper directory is hidden by it.
        let lower = lower.filter(|l| upper.is_none() || l.kind() == InodeKind::Directory);
        let place = Place {
            parent: self.myself()?,
            name: name.into(),
        };
        Ok(OvlInode::new(&fs, Some(place), upper, lower)?)
    }

    fn create(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        // A whiteout that the overlay itself would not show.
        if new.kind == InodeKind::CharDevice && new.rdev == 0 {
            return err(Errno::EPERM);
        }
        let upper = self.upper_dir()?;
        Self::remove_whiteout(&upper, name)?;
        let inode = upper.create(name, new)?;
        if new.kind == InodeKind::Directory && self.in_lower(name)? {
            inode.set_xattr(OPAQUE, b"y", 0)?;
        }
        let place = Place {
            parent: self.myself()?,
            name: name.into(),
        };
        Ok(OvlInode::new(&self.fs()?, Some(place), Some(inode), None)?)
    }

    fn create_unnamed(&self, new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        let inode = self.upper_dir()?.create_unnamed(new)?;
        Ok(OvlInode::new(&self.fs()?, None, Some(inode), None)?)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<()> {
        let target = downcast(target)?.copy_up(true)?;
        let upper = self.upper_dir()?;
        Self::remove_whiteout(&upper, name)?;
        upper.link(name, &target)
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        let upper = self.upper_dir()?;
        let covered = self.in_lower(name)?;
        match find(&upper, name)? {
            Some(inode) if is_whiteout(&inode) => return err(Errno::ENOENT),
            Some(_) => upper.unlink(name)?,
            None if !covered => return err(Errno::ENOENT),
            None => {}
        }
        if covered {
            Self::whiteout(&upper, name)
        } else {
            Ok(())
        }
    }

    fn rmdir(&self, name: &[u8]) -> Result<()> {
        let child = downcast(&self.lookup(name)?)?;
        if child.kind != InodeKind::Directory {
            return err(Errno::ENOTDIR);
        }
        if !child.list()?.is_empty() {
            return err(Errno::ENOTEMPTY);
        }
        let upper = self.upper_dir()?;
        let covered = self.in_lower(name)?;
        if let Some(dir) = child.upper() {
            for whiteout in super::dir::names(&dir)?.iter() {
                dir.unlink(whiteout.name)?;
            }
            upper.rmdir(name)?;
        }
        if covered {
            Self::whiteout(&upper, name)
        } else {
            Ok(())
        }
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
        let to = downcast(new_dir)?;
        let moved = downcast(&self.lookup(old)?)?;
        let exchange = flags.contains(RenameFlags::RENAME_EXCHANGE);
        // Without redirect_dir a directory with a lower part can't move: fs/overlayfs/dir.c:ovl_rename().
        if moved.lower_dir().is_some() {
            return err(Errno::EXDEV);
        }
        let target = match to.lookup(new) {
            Ok(target) => Some(downcast(&target)?),
            Err(e) if e == Errno::ENOENT => None,
            Err(e) => return Err(e),
        };
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && target.is_some() {
            return err(Errno::EEXIST);
        }
        let moved_upper = moved.copy_up(true)?;
        let from_upper = self.upper_dir()?;
        let to_upper = to.upper_dir()?;
        let old_covered = self.in_lower(old)?;
        let new_covered = to.in_lower(new)?;
        if exchange {
            let other = target.ok_or(Errno::ENOENT)?;
            if other.lower_dir().is_some() {
                return err(Errno::EXDEV);
            }
            let other_upper = other.copy_up(true)?;
            opaque_if(&moved_upper, new_covered)?;
            opaque_if(&other_upper, old_covered)?;
            from_upper.rename(old, &to_upper, new, RenameFlags::RENAME_EXCHANGE)?;
            other.settle(self.myself()?, old);
            moved.settle(to, new);
            return Ok(());
        }
        if let Some(target) = &target
            && target.kind == InodeKind::Directory
        {
            if !target.list()?.is_empty() {
                return err(Errno::ENOTEMPTY);
            }
            if let Some(dir) = target.upper() {
                for whiteout in super::dir::names(&dir)?.iter() {
                    dir.unlink(whiteout.name)?;
                }
            }
        } else if target.is_none() {
            Self::remove_whiteout(&to_upper, new)?;
        }
        opaque_if(&moved_upper, new_covered)?;
        from_upper.rename(old, &to_upper, new, RenameFlags::empty())?;
        if old_covered {
            Self::whiteout(&from_upper, old)?;
        }
        moved.settle(to, new);
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        self.real().read_link()
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        if self.kind == InodeKind::Directory {
            // The layer's own check comes first: EACCES now, not at the first read (ovl_dir_open()).
            self.real().open(flags)?;
            return Ok(Box::new(DirFile(Snapshot::new(self))));
        }
        if flags.writable() || flags.contains(OpenFlags::O_TRUNC) {
            return self
                .copy_up(!flags.contains(OpenFlags::O_TRUNC))?
                .open(flags);
        }
        self.real().open(flags)
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        self.real().mapping()
    }

    fn max_size(&self) -> u64 {
        self.real().max_size()
    }

    fn flags(&self) -> Option<InodeFlags> {
        // What a lower layer doesn't keep, the upper one does after copying up.
        Some(self.real().flags().unwrap_or(InodeFlags::empty()))
    }

    fn set_flags(&self, flags: InodeFlags) -> Result<()> {
        self.copy_up(true)?.set_flags(flags)
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.real().get_xattr(&layer_name(name))
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
        self.copy_up(true)?
            .set_xattr(&layer_name(name), value, flags)
    }

    fn list_xattr(&self) -> Result<Vec<Vec<u8>>> {
        let shown = |name: Vec<u8>| match name.strip_prefix(ESCAPED_PREFIX) {
            Some(rest) => Some([PRIVATE_PREFIX, rest].concat()),
            None => Some(name).filter(|name| !name.starts_with(PRIVATE_PREFIX)),
        };
        let names = self.real().list_xattr()?;
        Ok(names.into_iter().filter_map(shown).collect())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.get_xattr(name)?;
        self.copy_up(true)?.remove_xattr(&layer_name(name))
    }

    fn fallocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        self.copy_up(true)?.fallocate(mode, offset, len)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        if self.fs()?.is_volatile() {
            return Ok(());
        }
        match self.upper() {
            Some(upper) => upper.sync(data_only),
            None => Ok(()),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn rdev(&self) -> u64 {
        self.real().rdev()
    }
}

impl OvlInode {
    /// After a rename: where it is now.
    fn settle(&self, parent: Arc<OvlInode>, name: &[u8]) {
        let old = self.place.lock().replace(Place {
            parent,
            name: name.into(),
        });
        drop(old);
    }
}

fn opaque_if(upper: &Arc<dyn Inode>, covered: bool) -> Result<()> {
    if covered && upper.kind() == InodeKind::Directory {
        upper.set_xattr(OPAQUE, b"y", 0)
    } else {
        Ok(())
    }
}
