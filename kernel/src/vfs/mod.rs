//! The virtual file system: inodes and open files as traits, dentries, mounts, path walk, descriptors.

pub mod access;
mod anon;
pub mod attr;
mod buffer;
pub mod create;
pub(crate) mod dcache;
pub mod detached;
pub mod device;
mod fasync;
mod fdtable;
mod file;
pub mod flags;
pub mod fscontext;
mod inode;
pub mod inotify;
pub mod lease;
pub mod locks;
pub mod memfd;
pub mod mount;
pub mod mount_text;
pub mod namespace;
pub mod notify;
pub mod nsfs;
mod open;
mod pagefile;
mod path;
pub mod perm;
mod poll;
mod propagation;
mod registry;
pub mod remove;
mod rw;
#[cfg(test)]
mod tests;
pub mod walk;
pub mod xattr;

pub use anon::{Pseudo, PseudoInode, anon_dev, anon_file, new_pseudo, pseudo_path};
pub use buffer::{Parts, Sink, Source};
pub use dcache::Dentry;
pub use device::{DeviceOps, register_block, register_char, set_fifo_open};
pub use fasync::send_sigurg;
pub use fdtable::FdTable;
pub use file::{DirEntry, DirSink, File, FileOps, FileOwner, open_files};
pub use inode::{
    DirentType, FileSystem, Inode, InodeKind, Metadata, NewNode, RenameFlags, SetAttr, StatFs,
    TimeSet,
};
pub use mount::{Mount, Superblock, mount_root};
pub use open::{How, open, open_at, open_path};
pub use pagefile::{PageFile, limit_size, limit_write, lock_inode};
pub use path::{Path, Reach, path_names, path_string};
pub use poll::PollEvents;
pub use registry::{
    FsType, Parameters, filesystem_type, filesystem_types, register_filesystem,
    register_with_parameters,
};
pub use rw::{import_buffer, import_iovec};
pub use walk::{Actor, LookupFlags, Walk, dirfd_path, lookup, lookup_as};

use crate::error::{Result, err};
use abi::errno::Errno;
use abi::fs::InodeFlags;
use abi::mount::MountFlags;
use std::sync::Arc;

/// Generic lseek(2) by the inode's size: fs/read_write.c:generic_file_llseek(). EINVAL before the start.
pub fn file_seek(file: &File, offset: i64, whence: u32) -> Result<u64> {
    let size =
        || -> Result<i64> { Ok(i64::try_from(file.inode().metadata()?.size).unwrap_or(i64::MAX)) };
    let base = match whence {
        abi::fs::SEEK_SET => 0,
        abi::fs::SEEK_CUR => i64::try_from(file.position()).unwrap_or(i64::MAX),
        abi::fs::SEEK_END => size()?,
        abi::fs::SEEK_DATA | abi::fs::SEEK_HOLE => {
            let size = size()?;
            if offset < 0 || offset >= size {
                return err(Errno::ENXIO);
            }
            return Ok(if whence == abi::fs::SEEK_DATA {
                offset as u64
            } else {
                size as u64
            });
        }
        _ => return err(Errno::EINVAL),
    };
    let position = base.checked_add(offset).ok_or(Errno::EINVAL)?;
    u64::try_from(position).map_err(|_| Errno::EINVAL.into())
}

/// Notes an access of `inode` through `path` where its mount keeps access times.
pub fn touch_atime(path: &Path, inode: &Arc<dyn Inode>) {
    let flags = path.mount.flags();
    let skipped = flags.contains(MountFlags::MS_NOATIME)
        || (flags.contains(MountFlags::MS_NODIRATIME) && inode.kind() == InodeKind::Directory)
        || path.mount.read_only();
    if !skipped && !flags::of(&**inode).contains(InodeFlags::FS_NOATIME_FL) {
        inode.touch_accessed(flags.contains(MountFlags::MS_RELATIME));
    }
}
