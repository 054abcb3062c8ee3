//! Files that stand for mount namespaces: what /proc/<pid>/ns/mnt leads to and setns(2) takes (fs/nsfs.c).

use super::anon::{Pseudo, pseudo_path};
use super::mount;
use super::namespace::MountNamespace;
use super::{File, FileOps, Inode, InodeKind, Metadata, Path, SetAttr};
use crate::error::{Result, err};
use crate::task::FsContext;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use std::any::Any;
use std::sync::Arc;

/// Number of the namespace that the machine starts with.
const FIRST: u64 = 0xf000_0001;

/// `mnt:[number]`.
pub fn name(fs: &FsContext) -> Vec<u8> {
    text(number(&fs.inner.read().mounts))
}

/// The file of the namespace that `fs` lies in.
pub fn path(fs: &FsContext) -> Path {
    let namespace = fs.inner.read().mounts.clone();
    let name = text(number(&namespace));
    pseudo_path(Pseudo::Ns, &name, Arc::new(NsInode { namespace }))
}

fn number(namespace: &Option<Arc<MountNamespace>>) -> u64 {
    namespace.as_ref().map_or(FIRST, |n| FIRST + n.serial())
}

fn text(number: u64) -> Vec<u8> {
    format!("mnt:[{number}]").into_bytes()
}

/// Moves a task's root and working directory to the namespace that `file` stands for. EINVAL for other files.
pub fn enter(fs: &FsContext, file: &File) -> Result<Arc<FsContext>> {
    match file.inode().as_any().downcast_ref::<NsInode>() {
        Some(inode) => enter_namespace(fs, inode.namespace.clone()),
        None => err(Errno::EINVAL),
    }
}

/// As [`enter`], to where another task is.
pub fn join(fs: &FsContext, other: &FsContext) -> Result<Arc<FsContext>> {
    let namespace = other.inner.read().mounts.clone();
    enter_namespace(fs, namespace)
}

fn enter_namespace(
    fs: &FsContext,
    namespace: Option<Arc<MountNamespace>>,
) -> Result<Arc<FsContext>> {
    let top = match &namespace {
        Some(namespace) => namespace.root(),
        None => mount::root_mount().ok_or(Errno::EINVAL)?,
    };
    let mut root = top.root_path();
    mount::follow_mounts(&mut root);
    let mut paths = fs.inner.read().clone();
    (paths.cwd, paths.root, paths.mounts) = (root.clone(), root, namespace);
    Ok(FsContext::with_paths(paths, fs.umask()))
}

struct NsInode {
    namespace: Option<Arc<MountNamespace>>,
}

impl Inode for NsInode {
    fn metadata(&self) -> Result<Metadata> {
        let number = number(&self.namespace);
        Ok(Metadata::anonymous(Pseudo::Ns.dev(), number, 0o100444))
    }

    fn kind(&self) -> InodeKind {
        InodeKind::Regular
    }

    fn set_attr(&self, _attr: &SetAttr) -> Result<()> {
        err(Errno::EPERM)
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        if flags.writable() {
            return err(Errno::EPERM);
        }
        Ok(Box::new(NsFile))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct NsFile;

impl FileOps for NsFile {
    fn as_any(&self) -> &dyn Any {
        self
    }
}
