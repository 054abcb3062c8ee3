//! Changing the mount tree: mount, bind, move, remount, unmount, pivot_root (fs/namespace.c). Callers have checked
//! CAP_SYS_ADMIN.
//!
//! Whoever changes the tree holds `TREE` (Linux's namespace_sem).

use super::mount::{self, Mount, PER_MOUNT, Superblock};
use super::propagation::{self, Kin};
use super::{InodeKind, Path, filesystem_type};
use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Lock, Mutex, MutexGuard, Rank};
use crate::task::{FsPaths, pids};
use abi::errno::Errno;
use abi::mount::{MountFlags, UmountFlags};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

static TREE: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

/// Mounts in all (fs.mount-max).
const MOUNT_MAX: usize = 100_000;

pub(super) fn lock_tree() -> MutexGuard<'static, ()> {
    TREE.lock()
}

/// The flags of a new mount: relatime unless access times are asked for otherwise (fs/namespace.c:path_mount()).
fn mount_flags(flags: MountFlags) -> MountFlags {
    let mut out = flags.intersection(PER_MOUNT);
    if !flags.contains(MountFlags::MS_NOATIME) {
        out |= MountFlags::MS_RELATIME;
    }
    if flags.contains(MountFlags::MS_STRICTATIME) {
        out = out.difference(MountFlags::MS_RELATIME | MountFlags::MS_NOATIME);
    }
    out
}

fn check_kinds(root: &Path, at: &Path) -> Result<()> {
    let is_dir = |p: &Path| p.inode().kind() == InodeKind::Directory;
    if is_dir(root) != is_dir(at) {
        return err(Errno::ENOTDIR);
    }
    if at.dentry.is_unlinked() {
        err(Errno::ENOENT)
    } else {
        Ok(())
    }
}

/// Attaches `new` with what is below it on the topmost mount at `at`, and copies of it wherever that propagates
/// (fs/namespace.c:attach_recursive_mnt()). ENOSPC.
pub(super) fn attach_on_top(new: &Arc<Mount>, at: &Path) -> Result<()> {
    let mut at = at.clone();
    mount::follow_mounts(&mut at);
    attach_tree(new, &at, false)
}

/// As [`attach_on_top`] right on `at`; `beneath`: below what is there.
pub(super) fn attach_tree(new: &Arc<Mount>, at: &Path, beneath: bool) -> Result<()> {
    let tree = mount::subtree(new);
    let mut copies: Vec<(Arc<Mount>, Path)> = Vec::new();
    if at.mount.propagation.is_shared() {
        let receivers = propagation::receivers(&at.mount, &at.dentry);
        if mount::mounts().len() + tree.len() * (receivers.len() + 1) > MOUNT_MAX {
            return err(Errno::ENOSPC);
        }
        tree.iter().for_each(propagation::share);
        for receiver in receivers {
            let original = receiver.from.map_or(new, |i| &copies[i].0);
            let top = copy(original, &original.root_path(), receiver.kin);
            copy_below(&original.root_path(), &top, receiver.kin, true)?;
            let at = Path {
                mount: receiver.mount,
                dentry: at.dentry.clone(),
            };
            copies.push((top, at));
        }
    }
    if beneath {
        mount::attach_beneath(new, at)?;
    } else {
        mount::attach(new, at)?;
    }
    for (top, at) in &copies {
        mount::attach_beneath(top, at)?;
    }
    Ok(())
}

/// Mounts a new file system of type `kind` on `at`. ENODEV, EBUSY, ENOTDIR, the file system's errors.
pub fn mount_new(
    kind: &[u8],
    source: &[u8],
    data: &[u8],
    at: &Path,
    flags: MountFlags,
) -> Result<Arc<Mount>> {
    let kind = filesystem_type(kind).ok_or(Errno::ENODEV)?;
    if kind.needs_dev && source.is_empty() {
        return err(Errno::ENOENT);
    }
    let fs = (kind.construct)(source, data, flags)?;
    let _turn = lock_tree();
    let superblock = Superblock::of(fs, flags.contains(MountFlags::MS_RDONLY));
    let shown = if source.is_empty() {
        "none".into()
    } else {
        String::from_utf8_lossy(source)
    };
    let new = Mount::new(
        superblock.clone(),
        superblock.root.clone(),
        mount_flags(flags),
        &shown,
    );
    if at.is_mount_root() && Arc::ptr_eq(at.mount.superblock(), &superblock) {
        return err(Errno::EBUSY);
    }
    check_kinds(&new.root_path(), at)?;
    attach_on_top(&new, at)?;
    Ok(new)
}

fn copy(old: &Arc<Mount>, root: &Path, kin: Kin) -> Arc<Mount> {
    let new = Mount::new(
        old.superblock().clone(),
        root.dentry.clone(),
        old.flags(),
        &old.source,
    );
    propagation::inherit(old, &new, kin);
    new
}

/// Copies the mounts below `from` to the same places below `top`, which is its copy, those that are unbindable only with
/// `all`. All pairs of old and new, with that of the top first.
fn copy_below(
    from: &Path,
    top: &Arc<Mount>,
    kin: Kin,
    all: bool,
) -> Result<Vec<(Arc<Mount>, Arc<Mount>)>> {
    let mut pairs = vec![(from.mount.clone(), top.clone())];
    let mut next = 0;
    while next < pairs.len() {
        let (old, new) = pairs[next].clone();
        next += 1;
        for child in mount::children(&old) {
            let Some(place) = child.mountpoint() else {
                continue;
            };
            if Arc::ptr_eq(&old, &from.mount) && !from.dentry.is_ancestor_of(&place.dentry) {
                continue;
            }
            if !all && child.propagation.is_unbindable() {
                continue;
            }
            let twin = copy(&child, &child.root_path(), kin);
            let at = Path {
                mount: new.clone(),
                dentry: place.dentry,
            };
            mount::attach(&twin, &at)?;
            pairs.push((child, twin));
        }
    }
    Ok(pairs)
}

/// A mount tree of its own, made by CLONE_NEWNS; taken apart when the last task that uses it is gone. Tasks see it
/// through their root and working directory, which lie in its mounts.
pub struct MountNamespace {
    root: Lock<Arc<Mount>>,
    serial: u64,
}

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

impl MountNamespace {
    /// Copies the tree that `paths` lie in and moves them there. EINVAL when their root is not attached.
    pub fn unshare(paths: &mut FsPaths) -> Result<()> {
        let turn = lock_tree();
        let top = top_of(&paths.root.mount);
        if !top.is_attached() {
            return err(Errno::EINVAL);
        }
        let root = copy(&top, &top.root_path(), Kin::Same);
        mount::add_root(&root);
        let namespace = Arc::new(MountNamespace {
            root: Lock::new(Rank::LEAF, root.clone()),
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
        });
        let pairs = copy_below(&top.root_path(), &root, Kin::Same, true)?;
        for path in [&mut paths.root, &mut paths.cwd] {
            if let Some((_, new)) = pairs.iter().find(|(old, _)| Arc::ptr_eq(old, &path.mount)) {
                path.mount = new.clone();
            }
        }
        // The old one may go with this, and takes its turn for that.
        drop(turn);
        paths.mounts = Some(namespace);
        Ok(())
    }

    /// Its top mount.
    pub fn root(&self) -> Arc<Mount> {
        self.root.lock().clone()
    }

    /// Counts the namespaces that were made, from 1.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// pivot_root(2) put another mount at the top.
    fn pivoted(&self, old: &Arc<Mount>, new: &Arc<Mount>) {
        let mut root = self.root.lock();
        if Arc::ptr_eq(&root, old) {
            *root = new.clone();
        }
    }
}

impl Drop for MountNamespace {
    fn drop(&mut self) {
        let _turn = sched::in_task().then(lock_tree);
        let root = self.root.lock().clone();
        take_apart(&top_of(&root));
    }
}

/// Detaches `top` and what is below it, without a word to others: fs/namespace.c:umount_tree().
pub(super) fn take_apart(top: &Arc<Mount>) {
    for mount in mount::subtree(top).iter().rev() {
        propagation::change(mount, MountFlags::MS_PRIVATE);
        mount::detach(mount);
    }
}

fn top_of(mount: &Arc<Mount>) -> Arc<Mount> {
    let mut top = mount.clone();
    while let Some(parent) = top.parent() {
        top = parent;
    }
    top
}

/// Shows what is at `from` also on `at`; `recursive`: with what is mounted below.
pub fn bind(from: &Path, at: &Path, recursive: bool) -> Result<()> {
    let _turn = lock_tree();
    if !at.mount.is_attached() {
        return err(Errno::EINVAL);
    }
    let top = copy_tree(from, recursive)?;
    let attached = check_kinds(from, at).and_then(|()| attach_on_top(&top, at));
    if attached.is_err() {
        take_apart(&top);
    }
    attached
}

/// A copy of what shows at `from`, not attached yet; `recursive`: with what is mounted below, but for what is
/// unbindable. EINVAL.
pub(super) fn copy_tree(from: &Path, recursive: bool) -> Result<Arc<Mount>> {
    if !(from.mount.is_attached() || from.mount.is_floating())
        || from.mount.propagation.is_unbindable()
    {
        return err(Errno::EINVAL);
    }
    let top = copy(&from.mount, from, Kin::Same);
    // The copies below are attached before the top is, so that nobody sees half of them.
    if recursive {
        copy_below(from, &top, Kin::Same, false)?;
    }
    Ok(top)
}

/// MS_REMOUNT: `bind` changes the flags of this mount only, else the file system's too.
pub fn remount(at: &Path, data: &[u8], flags: MountFlags, bind: bool) -> Result<()> {
    if !at.is_mount_root() {
        return err(Errno::EINVAL);
    }
    let atime = MountFlags::MS_NOATIME
        | MountFlags::MS_NODIRATIME
        | MountFlags::MS_RELATIME
        | MountFlags::MS_STRICTATIME;
    let mut new = mount_flags(flags);
    if !flags.intersects(atime) {
        let kept = MountFlags::MS_NOATIME | MountFlags::MS_NODIRATIME | MountFlags::MS_RELATIME;
        new = new.difference(kept) | at.mount.flags().intersection(kept);
    }
    let _turn = lock_tree();
    let read_only = flags.contains(MountFlags::MS_RDONLY);
    if read_only && bind && at.mount.is_written() {
        return err(Errno::EBUSY);
    }
    if !bind {
        reconfigure(at.mount.superblock(), data, read_only)?;
    }
    at.mount.set_flags(new);
    mount::changed();
    Ok(())
}

/// Changes the options of a file system (fs/super.c:reconfigure_super()). EBUSY, EROFS, its own errors.
pub(super) fn reconfigure(superblock: &Superblock, data: &[u8], read_only: bool) -> Result<()> {
    if read_only && !superblock.read_only() && superblock.is_written() {
        return err(Errno::EBUSY);
    }
    if !read_only && superblock.fs.never_written() {
        return err(Errno::EROFS);
    }
    superblock.fs.remount(data)?;
    if read_only && !superblock.read_only() {
        superblock.fs.sync()?;
    }
    superblock.set_read_only(read_only);
    Ok(())
}

/// MS_SHARED and its kin: only one, on a mount point; with MS_REC for all below too. EINVAL.
pub fn set_propagation(at: &Path, flags: MountFlags) -> Result<()> {
    let kinds = MountFlags::MS_SHARED
        | MountFlags::MS_PRIVATE
        | MountFlags::MS_SLAVE
        | MountFlags::MS_UNBINDABLE;
    let allowed = kinds | MountFlags::MS_REC | MountFlags::MS_SILENT;
    let one = flags.intersection(kinds).bits().count_ones() == 1;
    if !one || !allowed.contains(flags) || !at.is_mount_root() || !at.mount.is_attached() {
        return err(Errno::EINVAL);
    }
    let _turn = lock_tree();
    let targets = if flags.contains(MountFlags::MS_REC) {
        mount::subtree(&at.mount)
    } else {
        vec![at.mount.clone()]
    };
    for mount in targets {
        propagation::change(&mount, flags);
    }
    mount::changed();
    Ok(())
}

/// MS_MOVE; `beneath`: below what is mounted on `at`. EINVAL, ELOOP into its own tree.
pub fn move_mount(from: &Path, at: &Path, beneath: bool) -> Result<()> {
    let _turn = lock_tree();
    if !from.is_mount_root() || !from.mount.is_attached() || !at.mount.is_attached() {
        return err(Errno::EINVAL);
    }
    check_move(from, at)?;
    let Some(parent) = from.mount.parent() else {
        return err(Errno::EINVAL);
    };
    if parent.propagation.is_shared() {
        return err(Errno::EINVAL);
    }
    let was = from.mount.mountpoint();
    mount::detach(&from.mount);
    let moved = if beneath {
        attach_tree(&from.mount, at, true)
    } else {
        attach_on_top(&from.mount, at)
    };
    if let (Err(_), Some(was)) = (&moved, was) {
        mount::attach(&from.mount, &was)?;
    }
    moved
}

/// What fs/namespace.c:do_move_mount() asks of a tree and its new place. EINVAL, ENOENT, ELOOP.
pub(super) fn check_move(from: &Path, at: &Path) -> Result<()> {
    match check_kinds(from, at) {
        Err(e) if e == Errno::ENOTDIR => return err(Errno::EINVAL),
        other => other?,
    }
    if at.mount.propagation.is_shared() {
        propagation::check_bindable(&mount::subtree(&from.mount))?;
    }
    let mut above = Some(at.mount.clone());
    while let Some(mount) = above {
        if Arc::ptr_eq(&mount, &from.mount) {
            return err(Errno::ELOOP);
        }
        above = mount.parent();
    }
    Ok(())
}

/// umount2(2) of the mount whose root `at` is. EBUSY, EINVAL, EAGAIN for the first MNT_EXPIRE.
pub fn unmount(at: Path, flags: UmountFlags) -> Result<()> {
    if !at.is_mount_root() || !at.mount.is_attached() {
        return err(Errno::EINVAL);
    }
    let _turn = lock_tree();
    let lazy = flags.contains(UmountFlags::MNT_DETACH);
    let mount = at.mount.clone();
    drop(at);
    if mount.mountpoint().is_none() {
        if lazy {
            return err(Errno::EINVAL);
        }
        // The root can't go; what is left to do is to leave it clean: fs/namespace.c:do_umount_root().
        mount.fs.sync()?;
        mount.superblock().set_read_only(true);
        return Ok(());
    }
    if lazy {
        unmount_set(mount::subtree(&mount));
        return Ok(());
    }
    if !mount::children(&mount).is_empty() || Arc::strong_count(&mount) > mount::TABLE_REFS + 1 {
        return err(Errno::EBUSY);
    }
    // What goes along must not be in use either: fs/pnode.c:propagate_mount_busy().
    for other in propagation::unmounted_too(std::slice::from_ref(&mount)) {
        if Arc::strong_count(&other) > mount::TABLE_REFS + 1 {
            return err(Errno::EBUSY);
        }
    }
    if flags.contains(UmountFlags::MNT_EXPIRE) && !mount.mark_expiring() {
        return err(Errno::EAGAIN);
    }
    mount.fs.sync()?;
    unmount_set(vec![mount]);
    Ok(())
}

/// Detaches `set`, parents before children, and what goes with it elsewhere. What covered one of those exactly takes its
/// place.
fn unmount_set(set: Vec<Arc<Mount>>) {
    let others = propagation::unmounted_too(&set);
    for mount in others.iter().rev() {
        let at = mount.mountpoint();
        let below = mount::children(mount);
        let cover = below.iter().find(|c| propagation::covers(c, mount));
        if let Some(cover) = cover {
            mount::detach(cover);
        }
        propagation::change(mount, MountFlags::MS_PRIVATE);
        mount::detach(mount);
        if let (Some(cover), Some(at)) = (cover, at)
            && mount::attach(cover, &at).is_err()
        {
            crate::pr_warn!("mount {} lost its place", cover.id);
        }
    }
    for mount in set.iter().rev() {
        propagation::change(mount, MountFlags::MS_PRIVATE);
        mount::detach(mount);
    }
}

/// pivot_root(2): `new` becomes the root of the tree, the old one goes to `put_old`. EBUSY, EINVAL.
pub fn pivot_root(root: &Path, new: &Path, put_old: &Path) -> Result<()> {
    if Arc::ptr_eq(&new.mount, &root.mount) || Arc::ptr_eq(&put_old.mount, &root.mount) {
        return err(Errno::EBUSY);
    }
    if !root.is_mount_root() || !new.is_mount_root() || new.mount.mountpoint().is_none() {
        return err(Errno::EINVAL);
    }
    let inside = |place: &Path, top: &Path| {
        let (_, reach) = super::path_names(place, top);
        reach == super::Reach::Root
    };
    if !inside(put_old, new) || !inside(new, root) {
        return err(Errno::EINVAL);
    }
    let _turn = lock_tree();
    let shared = |m: Option<Arc<Mount>>| m.is_some_and(|m| m.propagation.is_shared());
    if put_old.mount.propagation.is_shared()
        || shared(new.mount.parent())
        || shared(root.mount.parent())
    {
        return err(Errno::EINVAL);
    }
    let old_place = root.mount.mountpoint();
    mount::detach(&new.mount);
    mount::detach(&root.mount);
    match &old_place {
        Some(place) => mount::attach(&new.mount, place)?,
        None => mount::set_root(&new.mount),
    }
    attach_on_top(&root.mount, put_old)?;
    // Everybody whose root or working directory was the old root comes along: fs/fs_struct.c:chroot_fs_refs().
    for task in pids().tasks() {
        let fs = task.fs();
        let mut paths = fs.inner.write();
        let mut old = Vec::new();
        if paths.root.same(root) {
            old.push(std::mem::replace(&mut paths.root, new.clone()));
        }
        if paths.cwd.same(root) {
            old.push(std::mem::replace(&mut paths.cwd, new.clone()));
        }
        let namespace = paths.mounts.clone();
        drop(paths);
        drop(old);
        if let Some(namespace) = namespace {
            namespace.pivoted(&root.mount, &new.mount);
        }
    }
    Ok(())
}
