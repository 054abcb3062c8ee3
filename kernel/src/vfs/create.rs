//! Making names: mkdir, mknod, symlink, link (fs/namei.c).

use super::perm::{MAY_EXEC, MAY_WRITE, inode_permission};
use super::walk::{Actor, Last, LookupFlags, Walk, lookup_locked};
use super::{Dentry, Inode, InodeKind, Metadata, NewNode, Path};
use crate::error::{Result, err};
use abi::cap::{CAP_FSETID, CAP_MKNOD};
use abi::errno::Errno;
use abi::fs::{ResolveFlags, S_ISGID, S_ISVTX, S_IXGRP};
use std::sync::Arc;

/// Owner and mode of a new entry in a directory with metadata `dir`: umask, setgid inheritance
/// (fs/inode.c:inode_init_owner(), mode_strip_sgid()).
pub(super) fn new_node<'t>(
    actor: &Actor,
    dir: &Metadata,
    kind: InodeKind,
    mode: u32,
) -> NewNode<'t> {
    let inherits = dir.mode & S_ISGID != 0;
    let mut mode = mode & 0o7777;
    if kind != InodeKind::Symlink {
        mode &= !actor.umask;
    }
    let gid = if inherits { dir.gid } else { actor.cred.fsgid };
    if inherits && kind == InodeKind::Directory {
        mode |= S_ISGID;
    } else if inherits
        && mode & (S_ISGID | S_IXGRP) == (S_ISGID | S_IXGRP)
        && !actor.cred.in_group(gid)
        && !actor.cred.capable(CAP_FSETID)
    {
        mode &= !S_ISGID;
    }
    NewNode {
        kind,
        mode,
        uid: actor.cred.fsuid,
        gid,
        rdev: 0,
        target: b"",
    }
}

/// Runs `make` with the directory, its metadata and the free name that `path` ends in, under the content mutex, after
/// the checks that all makers share (filename_create(), may_create()). EEXIST, ENOENT, EROFS, EACCES.
fn make_entry(
    actor: &Actor,
    start: Option<&Path>,
    path: &[u8],
    is_dir: bool,
    make: impl FnOnce(&Path, &Arc<dyn Inode>, &[u8]) -> Result<Arc<dyn Inode>>,
) -> Result<Path> {
    let mut walk = Walk::new(
        actor,
        start,
        path,
        LookupFlags::empty(),
        ResolveFlags::empty(),
    )?;
    let Last::Name(range) = walk.to_parent()? else {
        return err(Errno::EEXIST);
    };
    let dir = walk.at.clone();
    let name = walk.name(&range);
    let inode = dir.inode();
    let _content = dir.dentry.lock_content();
    let dentry = lookup_locked(&dir.dentry, &inode, dir.mount.fs.needs_revalidate(), name)?;
    if dentry.inode().is_some() {
        return err(Errno::EEXIST);
    }
    if walk.trailing && !is_dir {
        return err(Errno::ENOENT);
    }
    dir.mount.want_write()?;
    if dir.dentry.is_unlinked() {
        return err(Errno::ENOENT);
    }
    inode_permission(&actor.cred, &*inode, MAY_WRITE | MAY_EXEC)?;
    let child = make(&dir, &inode, name)?;
    let dentry: Arc<Dentry> = dir.dentry.bind(name, Some(child));
    super::notify::created(&dir.dentry, name, is_dir);
    Ok(dir.with(dentry))
}

/// mkdir(2).
pub fn mkdir(actor: &Actor, start: Option<&Path>, path: &[u8], mode: u32) -> Result<Path> {
    make_entry(actor, start, path, true, |_, dir, name| {
        let mode = mode & (0o777 | S_ISVTX);
        dir.create(
            name,
            &new_node(actor, &dir.metadata()?, InodeKind::Directory, mode),
        )
    })
}

/// mknod(2) for all kinds but directories; also what bind(2) makes of a socket address. EPERM for devices without
/// CAP_MKNOD.
pub fn mknod(
    actor: &Actor,
    start: Option<&Path>,
    path: &[u8],
    kind: InodeKind,
    mode: u32,
    rdev: u64,
) -> Result<Path> {
    make_entry(actor, start, path, false, |_, dir, name| {
        let device = matches!(kind, InodeKind::CharDevice | InodeKind::BlockDevice);
        // A character device 0:0 is an overlay whiteout, which anybody may make.
        let whiteout = kind == InodeKind::CharDevice && rdev == 0;
        if device && !whiteout && !actor.cred.capable(CAP_MKNOD) {
            return err(Errno::EPERM);
        }
        let mut new = new_node(actor, &dir.metadata()?, kind, mode);
        new.rdev = if device { rdev } else { 0 };
        dir.create(name, &new)
    })
}

/// symlink(2).
pub fn symlink(actor: &Actor, start: Option<&Path>, path: &[u8], target: &[u8]) -> Result<Path> {
    if target.is_empty() {
        return err(Errno::ENOENT);
    }
    make_entry(actor, start, path, false, |_, dir, name| {
        let mut new = new_node(actor, &dir.metadata()?, InodeKind::Symlink, 0o777);
        new.target = target;
        dir.create(name, &new)
    })
}

/// link(2) of the file at `old`. EXDEV, EPERM for directories and, as protected_hardlinks is off, nothing else.
pub fn link(actor: &Actor, old: &Path, start: Option<&Path>, path: &[u8]) -> Result<Path> {
    let target = old.inode();
    make_entry(actor, start, path, false, |dir, inode, name| {
        // The lookup of a name that isn't there fails in procfs.
        if dir.mount.fs.name() == "proc" {
            return err(Errno::ENOENT);
        }
        if !Arc::ptr_eq(&dir.mount, &old.mount) {
            return err(Errno::EXDEV);
        }
        super::flags::check_fixed(&*target)?;
        if target.kind() == InodeKind::Directory {
            return err(Errno::EPERM);
        }
        if old.dentry.is_unlinked() && !old.dentry.is_linkable() && target.metadata()?.nlink == 0 {
            return err(Errno::ENOENT);
        }
        inode.link(name, &target)?;
        super::notify::links_changed(&target);
        Ok(target.clone())
    })
}
