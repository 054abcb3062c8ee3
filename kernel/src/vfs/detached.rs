//! Mounts that are in no tree yet: what fsmount(2) and open_tree(2) give, by a descriptor that takes them apart when it is
//! closed before move_mount(2) has attached them.

use super::mount::{self, Mount};
use super::namespace::{attach_on_top, attach_tree, check_move, copy_tree, lock_tree, take_apart};
use super::propagation;
use super::{File, FileOps, Path};
use crate::error::{Result, err};
use crate::sched;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::mount::MountFlags;
use std::any::Any;
use std::sync::Arc;

struct Detached {
    top: Arc<Mount>,
}

impl FileOps for Detached {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let _turn = sched::in_task().then(lock_tree);
        if self.top.is_floating() {
            self.top.set_floating(false);
            take_apart(&self.top);
        }
    }
}

/// A descriptor (O_PATH) of a mount that isn't attached.
pub fn open(top: Arc<Mount>) -> Arc<File> {
    top.set_floating(true);
    let path = top.root_path();
    File::new(path, Box::new(Detached { top }), OpenFlags::O_PATH)
}

/// OPEN_TREE_CLONE: as a bind mount that is not attached. EINVAL.
pub fn clone_tree(from: &Path, recursive: bool) -> Result<Arc<File>> {
    let _turn = lock_tree();
    copy_tree(from, recursive).map(open)
}

/// move_mount(2) of a tree that [`open`] gave. EINVAL, ENOENT, ELOOP.
fn attach(from: &Path, at: &Path, beneath: bool) -> Result<()> {
    check_move(from, at)?;
    if beneath {
        attach_tree(&from.mount, at, true)?;
    } else {
        attach_on_top(&from.mount, at)?;
    }
    from.mount.set_floating(false);
    Ok(())
}

/// move_mount(2). `beneath`: below the mount whose root `at` is. EINVAL, ENOENT, ELOOP.
pub fn move_mount(from: &Path, at: &Path, beneath: bool) -> Result<()> {
    let turn = lock_tree();
    let mut top = at.clone();
    mount::follow_mounts(&mut top);
    if !top.mount.is_attached() || !from.is_mount_root() {
        return err(Errno::EINVAL);
    }
    let place = if beneath {
        beneath_of(from, &top, at)?
    } else {
        top
    };
    if from.mount.is_floating() {
        return attach(from, &place, beneath);
    }
    drop(turn);
    super::namespace::move_mount(from, &place, beneath)
}

/// The place that the mount at `top` has, if another may be put there beneath it:
/// fs/namespace.c:can_move_mount_beneath().
fn beneath_of(from: &Path, top: &Path, at: &Path) -> Result<Path> {
    if !at.is_mount_root() || !top.is_mount_root() || Arc::ptr_eq(&from.mount, &top.mount) {
        return err(Errno::EINVAL);
    }
    let place = top.mount.mountpoint().ok_or(Errno::EINVAL)?;
    let is_root = sched::current().fs().root().mount;
    if Arc::ptr_eq(&is_root, &top.mount) {
        return err(Errno::EINVAL);
    }
    let mut parent = Some(place.mount.clone());
    while let Some(above) = parent {
        if Arc::ptr_eq(&above, &from.mount) {
            return err(Errno::EINVAL);
        }
        parent = above.parent();
    }
    Ok(place)
}

/// MOVE_MOUNT_SET_GROUP: `to` joins the groups of `from` (fs/namespace.c:do_set_group()). EINVAL.
pub fn set_group(from: &Path, to: &Path) -> Result<()> {
    let _turn = lock_tree();
    let (source, dest) = (&from.mount.propagation, &to.mount.propagation);
    if !from.is_mount_root()
        || !to.is_mount_root()
        || !from.mount.is_attached()
        || !to.mount.is_attached()
        || dest.is_shared()
        || dest.master() != 0
        || !source.is_shared() && source.master() == 0
        || !Arc::ptr_eq(from.mount.superblock(), to.mount.superblock())
        || !from.mount.root.is_ancestor_of(&to.mount.root)
    {
        return err(Errno::EINVAL);
    }
    propagation::join(&from.mount, &to.mount);
    mount::changed();
    Ok(())
}

/// mount_setattr(2): flags to set and to clear, and a kind of propagation, for one mount or all below. EINVAL, EBUSY.
pub fn set_attributes(
    at: &Path,
    recursive: bool,
    set: MountFlags,
    clear: MountFlags,
    propagation: MountFlags,
) -> Result<()> {
    let _turn = lock_tree();
    if !at.is_mount_root() || !(at.mount.is_attached() || at.mount.is_floating()) {
        return err(Errno::EINVAL);
    }
    let targets = if recursive {
        mount::subtree(&at.mount)
    } else {
        vec![at.mount.clone()]
    };
    let protects = set.contains(MountFlags::MS_RDONLY);
    let busy = |m: &Arc<Mount>| m.is_written() && !m.flags().contains(MountFlags::MS_RDONLY);
    if protects && targets.iter().any(busy) {
        return err(Errno::EBUSY);
    }
    for mount in targets {
        mount.set_flags(mount.flags().difference(clear) | set);
        if !propagation.is_empty() {
            propagation::change(&mount, propagation);
        }
    }
    mount::changed();
    Ok(())
}
