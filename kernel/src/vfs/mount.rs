//! Mounts: file systems attached to the tree, and the one table that says where.
//!
//! The table is under one short lock (rank MOUNT); a walk asks it only at dentries that are mount points.

use super::propagation::Propagation;
use super::{Dentry, FileSystem, Path};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank, RwLock, WaitQueue};
use abi::errno::Errno;
use abi::mount::MountFlags;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// One mounted file system, however often it is attached.
pub struct Superblock {
    pub fs: Arc<dyn FileSystem>,
    pub root: Arc<Dentry>,
    read_only: AtomicBool,
    /// Open files that may write, through whatever mount.
    writers: AtomicUsize,
}

impl Superblock {
    /// Whether a file of it is open for writing.
    pub fn is_written(&self) -> bool {
        self.writers.load(Ordering::Relaxed) > 0
    }

    /// Changes nothing of what is stored.
    pub fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    pub fn set_read_only(&self, on: bool) {
        self.read_only.store(on, Ordering::Relaxed);
    }

    /// The super block of `fs`: the same one for the same object.
    pub fn of(fs: Arc<dyn FileSystem>, read_only: bool) -> Arc<Superblock> {
        let mut all = SUPERS.lock();
        all.retain(|s| s.strong_count() > 0);
        let same = all
            .iter()
            .filter_map(Weak::upgrade)
            .find(|s| Arc::ptr_eq(&s.fs, &fs));
        if let Some(there) = same {
            return there;
        }
        let root = Dentry::root(fs.root());
        let read_only = read_only || fs.never_written();
        let new = Arc::new(Superblock {
            fs,
            root,
            read_only: AtomicBool::new(read_only),
            writers: AtomicUsize::new(0),
        });
        all.push(Arc::downgrade(&new));
        new
    }
}

impl Drop for Superblock {
    fn drop(&mut self) {
        self.root.prune();
    }
}

static SUPERS: Lock<Vec<Weak<Superblock>>> = Lock::new(Rank::SUPER, Vec::new());

/// Writes back every file system; failures go to the log.
pub fn sync_all() {
    for superblock in superblocks() {
        if let Err(e) = superblock.fs.sync() {
            crate::pr_warn!("sync of a {} failed: {e:?}", superblock.fs.name());
        }
    }
}

/// Every file system that is mounted or still in use.
pub fn superblocks() -> Vec<Arc<Superblock>> {
    SUPERS.lock().iter().filter_map(Weak::upgrade).collect()
}

/// A file system, or a part of it, attached to the tree.
pub struct Mount {
    pub id: u32,
    pub fs: Arc<dyn FileSystem>,
    /// What shows at the mount point.
    pub root: Arc<Dentry>,
    superblock: Arc<Superblock>,
    state: Lock<State>,
    flags: AtomicU64,
    /// Accesses that are left till MNT_EXPIRE has to be asked for anew.
    expiring: AtomicU32,
    writers: AtomicUsize,
    /// Top of a tree that isn't attached anywhere yet.
    floating: AtomicBool,
    /// First column of /proc/mounts.
    pub source: String,
    pub propagation: Propagation,
}

#[derive(Default)]
struct State {
    /// Where it is attached: None for the root of the tree and for what is not in the tree.
    parent: Option<(Weak<Mount>, Arc<Dentry>)>,
    attached: bool,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// The flags that belong to a mount, not to its super block.
pub const PER_MOUNT: MountFlags = MountFlags::MS_RDONLY
    .union(MountFlags::MS_NOSUID)
    .union(MountFlags::MS_NODEV)
    .union(MountFlags::MS_NOEXEC)
    .union(MountFlags::MS_NOATIME)
    .union(MountFlags::MS_NODIRATIME)
    .union(MountFlags::MS_RELATIME)
    .union(MountFlags::MS_NOSYMFOLLOW);

impl Mount {
    /// A mount that is not attached yet. `flags`: MS_* of a mount.
    pub fn new(
        superblock: Arc<Superblock>,
        root: Arc<Dentry>,
        flags: MountFlags,
        source: &str,
    ) -> Arc<Mount> {
        Arc::new(Mount {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fs: superblock.fs.clone(),
            root,
            superblock,
            state: Lock::new(Rank::LEAF, State::default()),
            flags: AtomicU64::new(flags.intersection(PER_MOUNT).bits()),
            expiring: AtomicU32::new(0),
            writers: AtomicUsize::new(0),
            floating: AtomicBool::new(false),
            source: source.into(),
            propagation: Propagation::default(),
        })
    }

    pub fn superblock(&self) -> &Arc<Superblock> {
        &self.superblock
    }

    /// MS_* of this mount.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    pub fn set_flags(&self, flags: MountFlags) {
        self.flags
            .store(flags.intersection(PER_MOUNT).bits(), Ordering::Relaxed);
    }

    pub fn read_only(&self) -> bool {
        self.flags().contains(MountFlags::MS_RDONLY) || self.superblock.read_only()
    }

    pub fn nosuid(&self) -> bool {
        self.flags().contains(MountFlags::MS_NOSUID)
    }

    pub fn nodev(&self) -> bool {
        self.flags().contains(MountFlags::MS_NODEV)
    }

    pub fn noexec(&self) -> bool {
        self.flags().contains(MountFlags::MS_NOEXEC)
    }

    /// EROFS on a read-only mount (mnt_want_write()).
    pub fn want_write(&self) -> Result<()> {
        if self.read_only() {
            err(Errno::EROFS)
        } else {
            Ok(())
        }
    }

    /// A file was opened for writing through it: it can't become read-only till that is gone.
    pub(super) fn add_writer(&self) {
        self.writers.fetch_add(1, Ordering::Relaxed);
        self.superblock.writers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_writer(&self) {
        self.writers.fetch_sub(1, Ordering::Relaxed);
        self.superblock.writers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a file is open for writing through it.
    pub fn is_written(&self) -> bool {
        self.writers.load(Ordering::Relaxed) > 0
    }

    /// Where it is attached.
    pub fn mountpoint(&self) -> Option<Path> {
        let (mount, dentry) = self.state.lock().parent.clone()?;
        Some(Path {
            mount: mount.upgrade()?,
            dentry,
        })
    }

    pub fn parent(&self) -> Option<Arc<Mount>> {
        self.mountpoint().map(|at| at.mount)
    }

    /// Whether it is part of the tree.
    pub fn is_attached(&self) -> bool {
        self.state.lock().attached
    }

    /// Whether it is the top of a tree that only a descriptor holds ([`super::detached`]).
    pub fn is_floating(&self) -> bool {
        self.floating.load(Ordering::Relaxed)
    }

    pub(super) fn set_floating(&self, on: bool) {
        self.floating.store(on, Ordering::Relaxed);
    }

    /// MNT_EXPIRE: whether it was marked before, and nobody but umount2(2) itself has come here since.
    pub(super) fn mark_expiring(&self) -> bool {
        self.expiring.swap(2, Ordering::Relaxed) > 0
    }

    fn entered(&self) {
        let left = self.expiring.load(Ordering::Relaxed);
        if left > 0 {
            self.expiring.store(left - 1, Ordering::Relaxed);
        }
    }

    /// The place of its root.
    pub fn root_path(self: &Arc<Mount>) -> Path {
        Path {
            mount: self.clone(),
            dentry: self.root.clone(),
        }
    }
}

#[derive(Default)]
struct Table {
    at: HashMap<(u32, usize), Arc<Mount>>,
    /// The root, then by number, as they are shown.
    all: Vec<Arc<Mount>>,
}

static TABLE: LazyLock<RwLock<Table>> =
    LazyLock::new(|| RwLock::new(Rank::MOUNT, Table::default()));

/// References that the table itself has to an attached mount.
pub(super) const TABLE_REFS: usize = 2;

static GENERATION: AtomicU64 = AtomicU64::new(1);
static CHANGED: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);

/// How often the tree has changed, and who is told at each change: for those who poll /proc/mounts.
pub fn watch() -> (u64, &'static WaitQueue) {
    (GENERATION.load(Ordering::SeqCst), &CHANGED)
}

pub(super) fn changed() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
    CHANGED.wake_all();
}

fn key(at: &Path) -> (u32, usize) {
    (at.mount.id, Arc::as_ptr(&at.dentry) as usize)
}

/// What is mounted right on `at`.
pub fn mounted_on(at: &Path) -> Option<Arc<Mount>> {
    if !at.dentry.is_mountpoint() {
        return None;
    }
    TABLE.read().at.get(&key(at)).cloned()
}

/// Steps onto the topmost mount at `at`. Returns whether it moved.
pub fn follow_mounts(at: &mut Path) -> bool {
    let mut moved = false;
    while let Some(mount) = mounted_on(at) {
        mount.entered();
        *at = mount.root_path();
        moved = true;
    }
    moved
}

/// All mounts of the tree, by their numbers.
pub fn mounts() -> Vec<Arc<Mount>> {
    TABLE.read().all.clone()
}

/// Mounts directly on `mount`.
pub fn children(mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let all = mounts();
    all.into_iter()
        .filter(|m| m.parent().is_some_and(|p| Arc::ptr_eq(&p, mount)))
        .collect()
}

/// `mount` and everything below it, parents first.
pub fn subtree(mount: &Arc<Mount>) -> Vec<Arc<Mount>> {
    let mut out = vec![mount.clone()];
    let mut next = 0;
    while next < out.len() {
        let below = children(&out[next]);
        out.extend(below);
        next += 1;
    }
    out
}

/// Attaches `mount` on `at`; EBUSY when something is there already (attach to its root instead).
pub fn attach(mount: &Arc<Mount>, at: &Path) -> Result<()> {
    let mut table = TABLE.write();
    if table.at.contains_key(&key(at)) {
        return err(Errno::EBUSY);
    }
    {
        let mut state = mount.state.lock();
        state.parent = Some((Arc::downgrade(&at.mount), at.dentry.clone()));
        state.attached = true;
    }
    at.dentry.mounts.fetch_add(1, Ordering::AcqRel);
    table.at.insert(key(at), mount.clone());
    let place = table.all.partition_point(|m| m.id < mount.id);
    table.all.insert(place, mount.clone());
    drop(table);
    changed();
    Ok(())
}

/// Attaches `mount` on `at`, below what is there: that is on top of it then (fs/namespace.c:mnt_change_mountpoint()).
pub fn attach_beneath(mount: &Arc<Mount>, at: &Path) -> Result<()> {
    let Some(upper) = mounted_on(at) else {
        return attach(mount, at);
    };
    let mut inner = mount.root_path();
    follow_mounts(&mut inner);
    detach(&upper);
    attach(mount, at)?;
    attach(&upper, &inner)
}

/// Takes `mount` out of the tree. What is below it keeps hanging on it.
pub fn detach(mount: &Arc<Mount>) {
    let mut table = TABLE.write();
    let parent = {
        let mut state = mount.state.lock();
        state.attached = false;
        state.parent.take()
    };
    table.all.retain(|m| !Arc::ptr_eq(m, mount));
    let mut gone = None;
    if let Some((parent, dentry)) = &parent {
        dentry.mounts.fetch_sub(1, Ordering::AcqRel);
        if let Some(parent) = parent.upgrade() {
            gone = table.at.remove(&(parent.id, Arc::as_ptr(dentry) as usize));
        }
    }
    drop(table);
    drop((gone, parent));
    changed();
}

/// Makes `mount` the root of the tree. The mount that was is left unattached.
pub fn set_root(mount: &Arc<Mount>) {
    let mut table = TABLE.write();
    mount.state.lock().attached = true;
    table.all.retain(|m| !Arc::ptr_eq(m, mount));
    table.all.insert(0, mount.clone());
}

/// Makes `mount` the top of a tree of its own.
pub(super) fn add_root(mount: &Arc<Mount>) {
    mount.state.lock().attached = true;
    TABLE.write().all.push(mount.clone());
}

/// The root of the tree: the first mount without a parent.
pub fn root_mount() -> Option<Arc<Mount>> {
    let all = mounts();
    all.into_iter().find(|m| m.mountpoint().is_none())
}

/// Mounts `fs` as the root of the tree. Once, at boot.
pub fn mount_root(fs: Arc<dyn FileSystem>, source: &str, flags: MountFlags) -> Path {
    let superblock = Superblock::of(fs, flags.contains(MountFlags::MS_RDONLY));
    let mount = Mount::new(
        superblock.clone(),
        superblock.root.clone(),
        flags | MountFlags::MS_RELATIME,
        source,
    );
    set_root(&mount);
    mount.root_path()
}
