//! overlayfs: a writable upper tree over a read-only lower one, in Linux's on-disk format: whiteouts are character
//! devices 0:0, directories that hide the lower ones have `trusted.overlay.opaque`.
//!
//! An inode is one name's view of both layers. What is changed is first copied up, under one sleeping mutex of the
//! file system, so that two writers never copy twice.

mod copy_up;
mod dir;
mod inode;
pub mod mount;

pub use inode::OvlInode;

use super::anonymous_dev;
use crate::error::{Result, err};
use crate::sync::{Lock, Mutex, Rank};
use crate::vfs::{FileSystem, Inode, InodeKind, StatFs};
use abi::errno::Errno;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// OVERLAYFS_SUPER_MAGIC.
const MAGIC: u64 = 0x794c_7630;
/// Marks an upper directory that hides the lower one.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// On a copied-up object: the lower inode's number (8 bytes, little endian), so that the number stays.
const ORIGIN: &[u8] = b"trusted.overlay.origin";
/// Attributes with this prefix are the overlay's own.
const PRIVATE_PREFIX: &[u8] = b"trusted.overlay.";

/// Attributes of that kind that an overlay in this one has, or a program in the guest.
const ESCAPED_PREFIX: &[u8] = b"trusted.overlay.overlay.";

/// Set in the inode numbers of an upper layer that is written to; read-only layers have lower bits of the same byte.
const UPPER: u64 = 1 << 63;

/// A directory that takes part, and what keeps it.
pub struct Layer {
    pub fs: Arc<dyn FileSystem>,
    pub top: Arc<dyn Inode>,
}

/// A mounted overlay.
pub struct OverlayFs {
    dev: u64,
    /// Keeps the numbers of its upper layer apart from those of the lower one (xino).
    tag: u64,
    options: String,
    /// Nothing is written through to the disk when a program asks for it (volatile).
    volatile: AtomicBool,
    upper_fs: Arc<dyn FileSystem>,
    copying: Mutex<()>,
    /// Inodes in use, so that hard links are one inode: by layer and number.
    inodes: Lock<HashMap<(bool, u64), Weak<OvlInode>>>,
    root: Lock<Option<Arc<OvlInode>>>,
    /// Keeps the lower file system.
    _lower_fs: Arc<dyn FileSystem>,
}

impl OverlayFs {
    /// `upper` and `lower`: directories of `upper_fs` and `lower_fs`. `options`: what /proc/mounts shows. ENOTDIR.
    pub fn new(
        upper_fs: Arc<dyn FileSystem>,
        upper: Arc<dyn Inode>,
        lower_fs: Arc<dyn FileSystem>,
        lower: Arc<dyn Inode>,
        options: String,
    ) -> Result<Arc<OverlayFs>> {
        let upper = Layer {
            fs: upper_fs,
            top: upper,
        };
        let lower = Layer {
            fs: lower_fs,
            top: lower,
        };
        OverlayFs::lay(upper, lower, UPPER, options)
    }

    /// `tag`: [`UPPER`], or what marks a layer `over` that nothing is written to.
    fn lay(over: Layer, below: Layer, tag: u64, options: String) -> Result<Arc<OverlayFs>> {
        let is_dir = |layer: &Layer| layer.top.kind() == InodeKind::Directory;
        if !is_dir(&over) || !is_dir(&below) {
            return err(Errno::ENOTDIR);
        }
        let fs = Arc::new(OverlayFs {
            dev: anonymous_dev(),
            tag,
            options,
            volatile: AtomicBool::new(false),
            upper_fs: over.fs,
            copying: Mutex::new(()),
            inodes: Lock::new(Rank::INODE, HashMap::new()),
            root: Lock::new(Rank::LEAF, None),
            _lower_fs: below.fs,
        });
        let root = OvlInode::new(&fs, None, Some(over.top), Some(below.top))?;
        *fs.root.lock() = Some(root);
        Ok(fs)
    }
}

impl OverlayFs {
    fn is_volatile(&self) -> bool {
        self.volatile.load(Ordering::Relaxed)
    }
}

impl FileSystem for OverlayFs {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.lock().clone().expect("set when made")
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn statfs(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: MAGIC,
            fsid: self.dev,
            ..self.upper_fs.statfs()?
        })
    }

    fn show_options(&self) -> String {
        self.options.clone()
    }

    fn never_written(&self) -> bool {
        self.tag != UPPER
    }

    fn sync(&self) -> Result<()> {
        if self.is_volatile() {
            return Ok(());
        }
        self.upper_fs.sync()
    }
}

/// Whether a layer's inode says that the name is gone.
fn is_whiteout(inode: &Arc<dyn Inode>) -> bool {
    inode.kind() == InodeKind::CharDevice && inode.rdev() == 0
}

/// Looks `name` up in a layer; None when it isn't there.
fn find(layer: &Arc<dyn Inode>, name: &[u8]) -> Result<Option<Arc<dyn Inode>>> {
    match layer.lookup(name) {
        Ok(inode) => Ok(Some(inode)),
        Err(e) if e == Errno::ENOENT || e == Errno::ENOTDIR => Ok(None),
        Err(e) => Err(e),
    }
}
