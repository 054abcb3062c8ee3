//! Dentries, mounts, and the pair of both that names a place.

use super::{FileSystem, Inode};
use crate::sync::{Lock, Rank};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// A name in the tree with the inode it is bound to (None: known not to exist).
pub struct Dentry {
    pub(super) parent: Lock<Option<Arc<Dentry>>>,
    pub(super) name: Lock<Box<[u8]>>,
    pub(super) inode: Lock<Option<Arc<dyn Inode>>>,
    pub(super) children: Lock<HashMap<Box<[u8]>, Arc<Dentry>>>,
}

impl Dentry {
    /// A root, or a nameless dentry of a pipe, socket or memfd that /proc shows as `name`.
    pub fn root(name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        Arc::new(Dentry {
            parent: Lock::new(Rank::LEAF, None),
            name: Lock::new(Rank::LEAF, name.into()),
            inode: Lock::new(Rank::LEAF, Some(inode)),
            children: Lock::new(Rank::DENTRY, HashMap::new()),
        })
    }

    pub fn inode(&self) -> Option<Arc<dyn Inode>> {
        self.inode.lock().clone()
    }

    pub fn name(&self) -> Box<[u8]> {
        self.name.lock().clone()
    }

    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.parent.lock().clone()
    }
}

/// A file system attached to the tree.
pub struct Mount {
    pub id: u32,
    pub fs: Arc<dyn FileSystem>,
    pub root: Arc<Dentry>,
    /// Where it is attached: None for the root of the tree and for internal mounts.
    pub(super) parent: Lock<Option<(Weak<Mount>, Arc<Dentry>)>>,
    /// MNT_* flags: read-only, nosuid, nodev, noexec, noatime ...
    pub(super) flags: Lock<u32>,
    /// First column of /proc/mounts.
    pub source: String,
}

/// A place: a dentry seen through a mount.
#[derive(Clone)]
pub struct Path {
    pub mount: Arc<Mount>,
    pub dentry: Arc<Dentry>,
}

impl Path {
    /// The inode; a place that is held always has one.
    pub fn inode(&self) -> Arc<dyn Inode> {
        self.dentry.inode().expect("a held path is positive")
    }
}
