//! The kinds of file system that mount(2) knows by name.

use super::FileSystem;
use crate::error::Result;
use crate::sync::{Lock, Rank};
use abi::mount::MountFlags;
use std::sync::Arc;

/// Makes a file system from `source` (as given to mount(2)) and `data` (its option string).
pub type Constructor =
    dyn Fn(&[u8], &[u8], MountFlags) -> Result<Arc<dyn FileSystem>> + Send + Sync;

/// One kind of file system.
#[derive(Clone)]
pub struct FsType {
    pub name: &'static str,
    /// Lives on a block device: `nodev` in /proc/filesystems otherwise.
    pub needs_dev: bool,
    pub construct: Arc<Constructor>,
}

static TYPES: Lock<Vec<FsType>> = Lock::new(Rank::LEAF, Vec::new());

/// Makes `name` known to mount(2).
pub fn register_filesystem<C>(name: &'static str, needs_dev: bool, construct: C)
where
    C: Fn(&[u8], &[u8], MountFlags) -> Result<Arc<dyn FileSystem>> + Send + Sync + 'static,
{
    TYPES.lock().push(FsType {
        name,
        needs_dev,
        construct: Arc::new(construct),
    });
}

/// The kind called `name`.
pub fn filesystem_type(name: &[u8]) -> Option<FsType> {
    TYPES
        .lock()
        .iter()
        .find(|t| t.name.as_bytes() == name)
        .cloned()
}

/// All kinds, in the order of registration.
pub fn filesystem_types() -> Vec<FsType> {
    TYPES.lock().clone()
}
