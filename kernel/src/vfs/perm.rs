//! Who may do what with an inode: fs/namei.c:inode_permission() and generic_permission(), by file-system ids.

use super::{Inode, InodeKind, Metadata, Path};
use crate::error::{Result, err};
use crate::task::Cred;
use abi::cap::{CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER};
use abi::errno::Errno;

pub const MAY_EXEC: u32 = 1;
pub const MAY_WRITE: u32 = 2;
pub const MAY_READ: u32 = 4;

/// Checks the mode bits and the capabilities that override them. EACCES.
pub fn generic_permission(cred: &Cred, meta: &Metadata, mask: u32) -> Result<()> {
    let bits = if meta.uid == cred.fsuid {
        meta.mode >> 6
    } else if cred.in_group(meta.gid) {
        meta.mode >> 3
    } else {
        meta.mode
    };
    if mask & !bits & 7 == 0 {
        return Ok(());
    }
    let read_only = mask & MAY_WRITE == 0;
    let granted = if meta.is_dir() {
        (read_only && cred.capable(CAP_DAC_READ_SEARCH)) || cred.capable(CAP_DAC_OVERRIDE)
    } else {
        (mask == MAY_READ && cred.capable(CAP_DAC_READ_SEARCH))
            || ((mask & MAY_EXEC == 0 || meta.mode & 0o111 != 0) && cred.capable(CAP_DAC_OVERRIDE))
    };
    if granted { Ok(()) } else { err(Errno::EACCES) }
}

/// Whether `cred` may access `inode` as `mask` (MAY_*) says. EACCES.
pub fn inode_permission(cred: &Cred, inode: &dyn Inode, mask: u32) -> Result<()> {
    if mask & MAY_WRITE != 0 && super::flags::is_immutable(inode) {
        return err(Errno::EPERM);
    }
    if let Some(answer) = inode.permission(mask) {
        return answer;
    }
    // Only executing a file depends on the mode bits then; don't ask the file system for them.
    let always = mask & MAY_EXEC == 0 || inode.kind() == InodeKind::Directory;
    if always && cred.capable(CAP_DAC_OVERRIDE) {
        return Ok(());
    }
    generic_permission(cred, &inode.metadata()?, mask)
}

/// As [`inode_permission`] through a mount: EROFS for writing to what a read-only file system holds, EACCES for
/// executing a file of a noexec mount.
pub fn path_permission(cred: &Cred, path: &Path, mask: u32) -> Result<()> {
    let inode = path.inode();
    let stored = matches!(
        inode.kind(),
        InodeKind::Regular | InodeKind::Directory | InodeKind::Symlink
    );
    if mask & MAY_WRITE != 0 && stored && path.mount.superblock().read_only() {
        return err(Errno::EROFS);
    }
    if mask & MAY_EXEC != 0 && inode.kind() == InodeKind::Regular && path.mount.noexec() {
        return err(Errno::EACCES);
    }
    inode_permission(cred, &*inode, mask)
}

/// Whether a walk may pass through the directory. A capable caller is let through without asking the file system.
pub fn may_search(cred: &Cred, dir: &dyn Inode) -> Result<()> {
    if cred.capable(CAP_DAC_OVERRIDE) || cred.capable(CAP_DAC_READ_SEARCH) {
        return match dir.permission(MAY_EXEC) {
            Some(answer) => answer,
            None => Ok(()),
        };
    }
    inode_permission(cred, dir, MAY_EXEC)
}

/// fs/inode.c:inode_owner_or_capable().
pub fn is_owner(cred: &Cred, meta: &Metadata) -> bool {
    meta.uid == cred.fsuid || cred.capable(CAP_FOWNER)
}

/// fs/namei.c:check_sticky(): EPERM when `victim` in the sticky directory `dir` belongs to others.
pub fn check_sticky(cred: &Cred, dir: &Metadata, victim: &Metadata) -> Result<()> {
    let sticky = dir.mode & abi::fs::S_ISVTX != 0;
    if sticky && victim.uid != cred.fsuid && dir.uid != cred.fsuid && !cred.capable(CAP_FOWNER) {
        return err(Errno::EPERM);
    }
    Ok(())
}
