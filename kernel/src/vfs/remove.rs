//! Taking names away and moving them: unlink, rmdir, rename (fs/namei.c).

use super::dcache::lock_renames;
use super::perm::{MAY_EXEC, MAY_WRITE, check_sticky, inode_permission};
use super::walk::{Actor, Last, LookupFlags, Walk, lookup_locked};
use super::{Dentry, Inode, InodeKind, Path, RenameFlags, notify};
use crate::error::{Result, err};
use abi::errno::Errno;
use abi::fs::ResolveFlags;
use std::sync::Arc;

/// A name found in its directory, for removal.
struct Place {
    dir: Path,
    inode: Arc<dyn Inode>,
    name: Vec<u8>,
    trailing: bool,
}

impl Place {
    fn child(&self) -> Result<Arc<Dentry>> {
        lookup_locked(
            &self.dir.dentry,
            &self.inode,
            self.dir.mount.fs.needs_revalidate(),
            &self.name,
        )
    }
}

/// The directory and last name of `path`; other ends of a path through `otherwise`.
fn place(
    actor: &Actor,
    start: Option<&Path>,
    path: &[u8],
    otherwise: impl Fn(Last) -> Errno,
) -> Result<Place> {
    let mut walk = Walk::new(
        actor,
        start,
        path,
        LookupFlags::empty(),
        ResolveFlags::empty(),
    )?;
    match walk.to_parent()? {
        Last::Name(range) => {
            let name = walk.name(&range).to_vec();
            let inode = walk.at.inode();
            if inode.kind() != InodeKind::Directory {
                return err(Errno::ENOTDIR);
            }
            Ok(Place {
                dir: walk.at.clone(),
                inode,
                name,
                trailing: walk.trailing,
            })
        }
        last => err(otherwise(last)),
    }
}

/// fs/namei.c:may_delete(). EACCES, EPERM in sticky directories, ENOTDIR, EISDIR.
fn may_delete(actor: &Actor, dir: &dyn Inode, victim: &Arc<dyn Inode>, as_dir: bool) -> Result<()> {
    inode_permission(&actor.cred, dir, MAY_WRITE | MAY_EXEC)?;
    super::flags::check_append(dir)?;
    let meta = dir.metadata()?;
    if meta.mode & abi::fs::S_ISVTX != 0 {
        check_sticky(&actor.cred, &meta, &victim.metadata()?)?;
    }
    super::flags::check_fixed(&**victim)?;
    match (as_dir, victim.kind() == InodeKind::Directory) {
        (true, false) => err(Errno::ENOTDIR),
        (false, true) => err(Errno::EISDIR),
        _ => Ok(()),
    }
}

/// unlink(2).
pub fn unlink(actor: &Actor, start: Option<&Path>, path: &[u8]) -> Result<()> {
    let place = place(actor, start, path, |_| Errno::EISDIR)?;
    place.dir.mount.want_write()?;
    let _content = place.dir.dentry.lock_content();
    let dentry = place.child()?;
    let inode = dentry.inode().ok_or(Errno::ENOENT)?;
    if place.trailing {
        let is_dir = inode.kind() == InodeKind::Directory;
        return err(if is_dir {
            Errno::EISDIR
        } else {
            Errno::ENOTDIR
        });
    }
    may_delete(actor, &*place.inode, &inode, false)?;
    if dentry.is_mountpoint() {
        return err(Errno::EBUSY);
    }
    place.inode.unlink(&place.name)?;
    dentry.unhash(true);
    notify::links_changed(&inode);
    // Before its directory's watchers its own hear of the end, unless somebody holds it.
    drop(dentry);
    notify::deleted(&place.dir.dentry, &place.name, &inode);
    Ok(())
}

/// rmdir(2).
pub fn rmdir(actor: &Actor, start: Option<&Path>, path: &[u8]) -> Result<()> {
    let place = place(actor, start, path, |last| match last {
        Last::DotDot => Errno::ENOTEMPTY,
        Last::Dot => Errno::EINVAL,
        _ => Errno::EBUSY,
    })?;
    place.dir.mount.want_write()?;
    let _content = place.dir.dentry.lock_content();
    let dentry = place.child()?;
    let inode = dentry.inode().ok_or(Errno::ENOENT)?;
    may_delete(actor, &*place.inode, &inode, true)?;
    if dentry.is_mountpoint() {
        return err(Errno::EBUSY);
    }
    // Nobody makes an entry in it while it goes, nor afterwards: makers look whether it is unlinked.
    let victim = dentry.lock_content();
    place.inode.rmdir(&place.name)?;
    dentry.unhash(true);
    dentry.prune();
    drop(victim);
    drop(dentry);
    notify::deleted(&place.dir.dentry, &place.name, &inode);
    Ok(())
}

/// renameat2(2).
pub fn rename(
    actor: &Actor,
    old: (Option<&Path>, &[u8]),
    new: (Option<&Path>, &[u8]),
    flags: RenameFlags,
) -> Result<()> {
    let exchange = flags.contains(RenameFlags::RENAME_EXCHANGE);
    let noreplace = flags.contains(RenameFlags::RENAME_NOREPLACE);
    let from = place(actor, old.0, old.1, |_| Errno::EBUSY)?;
    let to = place(actor, new.0, new.1, |_| {
        if noreplace {
            Errno::EEXIST
        } else {
            Errno::EBUSY
        }
    })?;
    if !Arc::ptr_eq(&from.dir.mount, &to.dir.mount) {
        return err(Errno::EXDEV);
    }
    from.dir.mount.want_write()?;
    let same_dir = Arc::ptr_eq(&from.dir.dentry, &to.dir.dentry);
    let _renames = (!same_dir).then(lock_renames);
    let (first, second) = if to.dir.dentry.is_ancestor_of(&from.dir.dentry) {
        (&to.dir.dentry, &from.dir.dentry)
    } else {
        (&from.dir.dentry, &to.dir.dentry)
    };
    let _first = first.lock_content();
    let _second = (!same_dir).then(|| second.lock_content());

    let source = from.child()?;
    let moved = source.inode().ok_or(Errno::ENOENT)?;
    let is_dir = moved.kind() == InodeKind::Directory;
    let target = to.child()?;
    let replaced = target.inode();
    if noreplace && replaced.is_some() {
        return err(Errno::EEXIST);
    }
    if exchange {
        let other = replaced.as_ref().ok_or(Errno::ENOENT)?;
        if other.kind() != InodeKind::Directory && to.trailing {
            return err(Errno::ENOTDIR);
        }
    }
    if !is_dir && (from.trailing || to.trailing && !exchange) {
        return err(Errno::ENOTDIR);
    }
    if is_dir && source.is_ancestor_of(&to.dir.dentry) {
        return err(Errno::EINVAL);
    }
    if replaced.is_some() && target.is_ancestor_of(&from.dir.dentry) {
        return err(if exchange {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    if replaced.as_ref().is_some_and(|r| Arc::ptr_eq(r, &moved)) {
        return Ok(());
    }
    check_rename(
        actor,
        &from,
        &to,
        &moved,
        replaced.as_ref(),
        exchange,
        same_dir,
    )?;
    if source.is_mountpoint() || target.is_mountpoint() {
        return err(Errno::EBUSY);
    }
    let victim_is_dir = replaced
        .as_ref()
        .is_some_and(|r| r.kind() == InodeKind::Directory);
    let _victim = (victim_is_dir && !exchange).then(|| target.lock_content());
    from.inode.rename(&from.name, &to.inode, &to.name, flags)?;
    if exchange {
        source.exchange(&target);
    } else {
        target.unhash(true);
        target.prune();
        source.move_to(&to.dir.dentry, &to.name);
    }
    let (here, there) = (
        (&*from.dir.dentry, &from.name[..]),
        (&*to.dir.dentry, &to.name[..]),
    );
    notify::moved(here, there, &moved, replaced.as_ref().filter(|_| !exchange));
    if let Some(other) = replaced.filter(|_| exchange) {
        notify::moved(there, here, &other, None);
    }
    Ok(())
}

/// The permissions of fs/namei.c:vfs_rename().
fn check_rename(
    actor: &Actor,
    from: &Place,
    to: &Place,
    moved: &Arc<dyn Inode>,
    replaced: Option<&Arc<dyn Inode>>,
    exchange: bool,
    same_dir: bool,
) -> Result<()> {
    let is_dir = moved.kind() == InodeKind::Directory;
    may_delete(actor, &*from.inode, moved, is_dir)?;
    match replaced {
        None => {
            if to.dir.dentry.is_unlinked() {
                return err(Errno::ENOENT);
            }
            inode_permission(&actor.cred, &*to.inode, MAY_WRITE | MAY_EXEC)?;
        }
        Some(other) => {
            let as_dir = if exchange {
                other.kind() == InodeKind::Directory
            } else {
                is_dir
            };
            may_delete(actor, &*to.inode, other, as_dir)?;
        }
    }
    // A directory that changes its parent has its `..` written.
    if !same_dir {
        if is_dir {
            inode_permission(&actor.cred, &**moved, MAY_WRITE)?;
        }
        if let Some(other) = replaced.filter(|r| exchange && r.kind() == InodeKind::Directory) {
            inode_permission(&actor.cred, &**other, MAY_WRITE)?;
        }
    }
    Ok(())
}
