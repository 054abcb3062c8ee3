//! Flags of inodes that chattr sets and that bind everybody, root too: append-only, immutable (fs/file_attr.c).

use super::perm::is_owner;
use super::{File, Inode, InodeKind, SetAttr, TimeSet};
use crate::error::{Result, err};
use crate::task::Task;
use crate::user::UserPtr;
use abi::cap::CAP_LINUX_IMMUTABLE;
use abi::errno::Errno;
use abi::fs::{Fsxattr, InodeFlags};
use std::sync::Arc;

/// FS_XFLAG_*: the same flags by the bits of FS_IOC_FSGETXATTR.
const XFLAGS: [(InodeFlags, u32); 5] = [
    (InodeFlags::FS_IMMUTABLE_FL, 0x8),
    (InodeFlags::FS_APPEND_FL, 0x10),
    (InodeFlags::FS_SYNC_FL, 0x20),
    (InodeFlags::FS_NOATIME_FL, 0x40),
    (InodeFlags::FS_NODUMP_FL, 0x80),
];

/// The flags of `inode`; none where the file system keeps none.
pub fn of(inode: &dyn Inode) -> InodeFlags {
    inode.flags().unwrap_or(InodeFlags::empty())
}

pub fn is_append(inode: &dyn Inode) -> bool {
    of(inode).contains(InodeFlags::FS_APPEND_FL)
}

pub fn is_immutable(inode: &dyn Inode) -> bool {
    of(inode).contains(InodeFlags::FS_IMMUTABLE_FL)
}

/// EPERM for what neither append-only nor immutable inodes allow: new owners, modes, names, attributes.
pub fn check_fixed(inode: &dyn Inode) -> Result<()> {
    if of(inode).intersects(InodeFlags::FS_APPEND_FL | InodeFlags::FS_IMMUTABLE_FL) {
        return err(Errno::EPERM);
    }
    Ok(())
}

/// EPERM for what cuts an append-only file.
pub fn check_append(inode: &dyn Inode) -> Result<()> {
    if is_append(inode) {
        return err(Errno::EPERM);
    }
    Ok(())
}

/// Those of an open file or directory; what else has an inode there has none. ENOTTY.
fn kept(file: &File) -> Result<InodeFlags> {
    let inode = file.inode();
    if !matches!(inode.kind(), InodeKind::Regular | InodeKind::Directory) {
        return err(Errno::ENOTTY);
    }
    inode.flags().ok_or_else(|| Errno::ENOTTY.into())
}

/// FS_IOC_GETFLAGS. ENOTTY.
pub fn get(file: &File) -> Result<u32> {
    Ok(kept(file)?.bits())
}

/// FS_IOC_SETFLAGS. ENOTTY, EPERM, EROFS, EOPNOTSUPP for flags that the file system doesn't keep.
pub fn set(task: &Task, file: &File, flags: u32) -> Result<()> {
    let inode: &Arc<dyn Inode> = file.inode();
    let old = kept(file)?;
    let new = InodeFlags::from_bits_retain(flags);
    file.path().mount.want_write()?;
    let cred = task.cred();
    if !is_owner(&cred, &inode.metadata()?) {
        return err(Errno::EPERM);
    }
    let guarded = InodeFlags::FS_APPEND_FL | InodeFlags::FS_IMMUTABLE_FL;
    if (new ^ old).intersects(guarded) && !cred.capable(CAP_LINUX_IMMUTABLE) {
        return err(Errno::EPERM);
    }
    inode.set_flags(new)?;
    inode.set_attr(&SetAttr {
        ctime: Some(TimeSet::Now),
        ..SetAttr::default()
    })
}

/// FS_IOC_FSGETXATTR. ENOTTY.
pub fn get_extended(file: &File, ptr: UserPtr<Fsxattr>) -> Result<()> {
    let flags = InodeFlags::from_bits_retain(get(file)?);
    let bits = XFLAGS.iter().filter(|(flag, _)| flags.contains(*flag));
    ptr.write(&Fsxattr {
        fsx_xflags: bits.map(|(_, bit)| bit).sum(),
        ..Fsxattr::default()
    })
}

/// FS_IOC_FSSETXATTR. As [`set`]; EOPNOTSUPP for extents and projects.
pub fn set_extended(task: &Task, file: &File, ptr: UserPtr<Fsxattr>) -> Result<()> {
    let given = ptr.read()?;
    kept(file)?;
    let mut flags = InodeFlags::empty();
    let mut known = 0;
    for (flag, bit) in XFLAGS {
        flags.set(flag, given.fsx_xflags & bit != 0);
        known |= bit;
    }
    let plain = given.fsx_extsize == 0 && given.fsx_projid == 0 && given.fsx_cowextsize == 0;
    if given.fsx_xflags & !known != 0 || !plain {
        return err(Errno::EOPNOTSUPP);
    }
    set(task, file, flags.bits())
}
