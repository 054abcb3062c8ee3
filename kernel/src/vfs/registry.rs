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
    pub parameters: Parameters,
}

/// What fsconfig(2) may set, besides what is common to all.
#[derive(Clone, Copy)]
pub struct Parameters {
    pub names: &'static [&'static str],
    /// Says whether one of them, as `name` or `name=value`, can be taken. EINVAL.
    pub check: fn(&[u8]) -> Result<()>,
}

impl Parameters {
    pub const NONE: Parameters = Parameters {
        names: &[],
        check: |_| Ok(()),
    };

    pub fn knows(&self, name: &[u8]) -> bool {
        self.names.iter().any(|n| n.as_bytes() == name)
    }
}

static TYPES: Lock<Vec<FsType>> = Lock::new(Rank::LEAF, Vec::new());

/// Makes `name` known to mount(2).
pub fn register_filesystem<C>(name: &'static str, needs_dev: bool, construct: C)
where
    C: Fn(&[u8], &[u8], MountFlags) -> Result<Arc<dyn FileSystem>> + Send + Sync + 'static,
{
    register_with_parameters(name, needs_dev, Parameters::NONE, construct);
}

/// As [`register_filesystem`], with parameters.
pub fn register_with_parameters<C>(
    name: &'static str,
    needs_dev: bool,
    parameters: Parameters,
    construct: C,
) where
    C: Fn(&[u8], &[u8], MountFlags) -> Result<Arc<dyn FileSystem>> + Send + Sync + 'static,
{
    TYPES.lock().push(FsType {
        name,
        needs_dev,
        construct: Arc::new(construct),
        parameters,
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
