//! The virtual file system: inodes and open files as traits, dentries, mounts, path walk, descriptors.

mod buffer;
mod fdtable;
mod file;
mod inode;
mod path;
mod poll;

pub use buffer::{Sink, Source};
pub use fdtable::FdTable;
pub use file::{DirEntry, DirSink, File, FileOps};
pub use inode::{
    DirentType, FileSystem, Inode, InodeKind, Metadata, NewNode, RenameFlags, SetAttr, StatFs,
    TimeSet,
};
pub use path::{Dentry, Mount, Path};
pub use poll::PollEvents;

use crate::error::{Result, err};
use abi::errno::Errno;

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
    let position = base.checked_add(offset).ok_or(Errno::EOVERFLOW)?;
    u64::try_from(position).map_err(|_| Errno::EINVAL.into())
}
