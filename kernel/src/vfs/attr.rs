//! Changing attributes: chmod, chown, times, truncation (fs/open.c, fs/attr.c), with what they do to setuid bits.

use super::perm::{MAY_WRITE, inode_permission, is_owner, path_permission};
use super::{File, Inode, InodeKind, Metadata, Path, SetAttr, TimeSet};
use crate::error::{Result, err};
use crate::task::Cred;
use abi::cap::{CAP_CHOWN, CAP_FSETID};
use abi::errno::Errno;
use abi::fs::{S_ISGID, S_ISUID, S_IXGRP};
use std::sync::Arc;

fn apply(inode: &Arc<dyn Inode>, path: &Path, set: &SetAttr) -> Result<()> {
    inode.set_attr(set)?;
    super::notify::attributes(&path.dentry, inode, set);
    Ok(())
}

/// chmod(2). EPERM, EROFS; a symbolic link itself: EOPNOTSUPP.
pub fn chmod(cred: &Cred, path: &Path, mode: u32) -> Result<()> {
    path.mount.want_write()?;
    let inode = path.inode();
    if inode.kind() == InodeKind::Symlink {
        return err(Errno::EOPNOTSUPP);
    }
    super::flags::check_fixed(&*inode)?;
    let meta = inode.metadata()?;
    if !is_owner(cred, &meta) {
        return err(Errno::EPERM);
    }
    let mut mode = mode & 0o7777;
    super::memfd::check_mode(&inode, meta.mode, mode)?;
    if !cred.in_group(meta.gid) && !cred.capable(CAP_FSETID) {
        mode &= !S_ISGID;
    }
    let set = SetAttr {
        mode: Some(mode),
        ctime: Some(TimeSet::Now),
        ..SetAttr::default()
    };
    apply(&inode, path, &set)
}

/// chown(2); None keeps an id. EPERM, EROFS.
pub fn chown(cred: &Cred, path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    path.mount.want_write()?;
    let inode = path.inode();
    super::flags::check_fixed(&*inode)?;
    let meta = inode.metadata()?;
    let owner = meta.uid == cred.fsuid;
    let privileged = cred.capable(CAP_CHOWN);
    if uid.is_some_and(|uid| !(privileged || owner && uid == meta.uid)) {
        return err(Errno::EPERM);
    }
    if gid.is_some_and(|gid| !(privileged || owner && (gid == meta.gid || cred.in_group(gid)))) {
        return err(Errno::EPERM);
    }
    let mut set = SetAttr {
        uid,
        gid,
        ctime: Some(TimeSet::Now),
        ..SetAttr::default()
    };
    if !meta.is_dir() && inode.kind() != InodeKind::Symlink {
        let mut mode = meta.mode & !S_ISUID;
        let keeps_sgid =
            mode & S_IXGRP == 0 && (cred.in_group(meta.gid) || cred.capable(CAP_FSETID));
        if !keeps_sgid {
            mode &= !S_ISGID;
        }
        if mode != meta.mode {
            set.mode = Some(mode & 0o7777);
        }
    }
    apply(&inode, path, &set)
}

/// The mode without setuid, and setgid of executables, where writing takes them away: fs/inode.c:file_remove_privs().
pub fn without_privileges(cred: &Cred, meta: &Metadata) -> Option<u32> {
    if meta.mode & (S_ISUID | S_ISGID) == 0 || meta.is_dir() || cred.capable(CAP_FSETID) {
        return None;
    }
    let mut mode = meta.mode & !S_ISUID;
    if mode & S_IXGRP != 0 || !cred.in_group(meta.gid) {
        mode &= !S_ISGID;
    }
    (mode != meta.mode).then_some(mode & 0o7777)
}

/// utimensat(2): None keeps a stamp; `both_now`: the times argument was NULL or two UTIME_NOW.
pub fn set_times(
    cred: &Cred,
    path: &Path,
    atime: Option<TimeSet>,
    mtime: Option<TimeSet>,
    both_now: bool,
) -> Result<()> {
    path.mount.want_write()?;
    let inode = path.inode();
    let meta = inode.metadata()?;
    if !both_now {
        super::flags::check_fixed(&*inode)?;
    } else if super::flags::is_immutable(&*inode) {
        return err(Errno::EPERM);
    }
    if both_now {
        if !is_owner(cred, &meta) {
            inode_permission(cred, &*inode, MAY_WRITE)?;
        }
    } else if !is_owner(cred, &meta) {
        return err(Errno::EPERM);
    }
    let set = SetAttr {
        atime,
        mtime,
        ctime: Some(TimeSet::Now),
        ..SetAttr::default()
    };
    apply(&inode, path, &set)
}

/// truncate(2) by path. EISDIR, EINVAL for what is not a regular file, EROFS, EACCES.
pub fn truncate(cred: &Cred, path: &Path, size: u64) -> Result<()> {
    let inode = path.inode();
    match inode.kind() {
        InodeKind::Regular => {}
        InodeKind::Directory => return err(Errno::EISDIR),
        _ => return err(Errno::EINVAL),
    }
    path.mount.want_write()?;
    path_permission(cred, path, MAY_WRITE)?;
    super::flags::check_append(&*inode)?;
    super::access::check_not_running(&inode)?;
    super::lease::break_for(&inode, true, false)?;
    super::limit_size(&inode, size)?;
    set_size(cred, path, &inode, size)
}

/// Sets the size of an inode that the caller may write: fs/open.c:do_truncate().
pub fn set_size(cred: &Cred, path: &Path, inode: &Arc<dyn Inode>, size: u64) -> Result<()> {
    let _writers = super::lock_inode(inode);
    let meta = inode.metadata()?;
    super::memfd::check_size(inode, meta.size, size)?;
    let mode = without_privileges(cred, &meta);
    let now = Some(TimeSet::Now);
    let set = SetAttr {
        size: Some(size),
        mode,
        mtime: now,
        ctime: now,
        ..SetAttr::default()
    };
    apply(inode, path, &set)
}

/// O_TRUNC of a file just opened.
pub(super) fn truncate_opened(cred: &Cred, file: &File) -> Result<()> {
    set_size(cred, file.path(), file.inode(), 0)
}
