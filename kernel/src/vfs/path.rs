//! Places in the tree, and their names as text.

use super::{Dentry, Inode, Mount};
use std::sync::Arc;

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

    /// Whether both are the same dentry of the same mount.
    pub fn same(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// Another dentry of the same mount.
    pub fn with(&self, dentry: Arc<Dentry>) -> Path {
        Path {
            mount: self.mount.clone(),
            dentry,
        }
    }

    /// Whether it is the root of its mount.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, &self.mount.root)
    }

    /// The place that this one is mounted on, through all mounts of which it is the root. None at the top.
    pub fn above_mount(&self) -> Option<Path> {
        if self.is_mount_root() {
            self.mount.mountpoint()
        } else {
            None
        }
    }
}

/// Where a name ended: at the given root, or elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    Root,
    /// At the top of the tree without having met the root.
    Top,
    /// At the top of something that is not attached.
    Detached,
}

/// The names from `root` (or as far up as there is) to `path`, as `/a/b`. fs/d_path.c:prepend_path().
pub fn path_names(path: &Path, root: &Path) -> (Vec<u8>, Reach) {
    let mut names: Vec<Arc<[u8]>> = Vec::new();
    let mut at = path.clone();
    let reach = loop {
        if at.same(root) {
            break Reach::Root;
        }
        if at.is_mount_root() {
            match at.mount.mountpoint() {
                Some(outside) => at = outside,
                None if at.mount.is_attached() => break Reach::Top,
                None => break Reach::Detached,
            }
            continue;
        }
        match at.dentry.parent() {
            Some(parent) => {
                names.push(at.dentry.name());
                at.dentry = parent;
            }
            None => break Reach::Detached,
        }
    };
    let mut text = Vec::with_capacity(names.iter().map(|n| n.len() + 1).sum::<usize>().max(1));
    for name in names.iter().rev() {
        text.push(b'/');
        text.extend_from_slice(name);
    }
    if text.is_empty() {
        text.push(b'/');
    }
    (text, reach)
}

/// What /proc/pid/fd and maps show: fs/d_path.c:d_path(). Removed names end in ` (deleted)`.
pub fn path_string(path: &Path, root: &Path) -> Vec<u8> {
    if path.dentry.is_nameless() {
        return path.dentry.name().to_vec();
    }
    let (mut text, _) = path_names(path, root);
    if path.dentry.is_unlinked() {
        text.extend_from_slice(b" (deleted)");
    }
    text
}
