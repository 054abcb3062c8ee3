//! The dentry cache: names bound to inodes, or known not to exist.
//!
//! A dentry holds its parent; a parent's map holds the dentries that a walk can find ("hashed"). Only [`shrink`]
//! and removals take them out of the map. The content mutex of a directory (sleeping) serialises lookups that miss
//! and all changes; the children lock is held for one map operation and never together with another dentry's.
//!
//! Order of content mutexes: the rename mutex, then ancestors before descendants.

use super::Inode;
use crate::sync::{Lock, Mutex, MutexGuard, Rank};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, Weak};

/// Cached names beyond which the least recently used ones go; fewer in a small machine.
pub const MAX_CACHED: usize = 65_536;

fn max_cached() -> usize {
    usize::try_from(crate::mm::total_pages()).map_or(MAX_CACHED, |pages| pages.min(MAX_CACHED))
}

struct Binding {
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
    inode: Option<Arc<dyn Inode>>,
}

/// A name in the tree with the inode it is bound to (None: known not to exist).
pub struct Dentry {
    binding: Lock<Binding>,
    children: Lock<HashMap<Arc<[u8]>, Arc<Dentry>, NameHash>>,
    content: OnceLock<Box<Mutex<()>>>,
    /// Mounts attached here, over all mounts that show this dentry.
    pub(super) mounts: AtomicU32,
    used: AtomicBool,
    /// Removed from its directory.
    unlinked: AtomicBool,
    /// Has no name yet and may get one by link(2) (O_TMPFILE).
    linkable: bool,
    /// Never was in a directory: pipes, sockets, anonymous inodes.
    nameless: bool,
}

impl Dentry {
    fn make(
        parent: Option<Arc<Dentry>>,
        name: &[u8],
        inode: Option<Arc<dyn Inode>>,
    ) -> Arc<Dentry> {
        Arc::new(Dentry::new(parent, name, inode))
    }

    fn new(parent: Option<Arc<Dentry>>, name: &[u8], inode: Option<Arc<dyn Inode>>) -> Dentry {
        Dentry {
            binding: Lock::new(
                Rank::LEAF,
                Binding {
                    parent,
                    name: name.into(),
                    inode,
                },
            ),
            children: Lock::new(Rank::DENTRY, HashMap::with_hasher(NameHash)),
            content: OnceLock::new(),
            mounts: AtomicU32::new(0),
            used: AtomicBool::new(false),
            unlinked: AtomicBool::new(false),
            linkable: false,
            nameless: false,
        }
    }

    /// The root of a file system.
    pub fn root(inode: Arc<dyn Inode>) -> Arc<Dentry> {
        Dentry::make(None, b"/", Some(inode))
    }

    /// A dentry outside any directory, that /proc shows as `name`.
    pub fn nameless(name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        let mut dentry = Dentry::new(None, name, Some(inode));
        dentry.nameless = true;
        Arc::new(dentry)
    }

    /// A dentry of an inode that never had its name in `parent` (O_TMPFILE). `linkable`: link(2) may give it one.
    pub fn unlinked_in(
        parent: &Arc<Dentry>,
        name: &[u8],
        inode: Arc<dyn Inode>,
        linkable: bool,
    ) -> Arc<Dentry> {
        let mut dentry = Dentry::new(Some(parent.clone()), name, Some(inode));
        dentry.unlinked = AtomicBool::new(true);
        dentry.linkable = linkable;
        Arc::new(dentry)
    }

    /// Whether link(2) may give it a name although it has none.
    pub fn is_linkable(&self) -> bool {
        self.linkable
    }

    /// None: negative.
    pub fn inode(&self) -> Option<Arc<dyn Inode>> {
        self.binding.lock().inode.clone()
    }

    pub fn name(&self) -> Arc<[u8]> {
        self.binding.lock().name.clone()
    }

    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.binding.lock().parent.clone()
    }

    /// Whether it was removed from its directory.
    pub fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Relaxed)
    }

    /// Whether it never was in a directory.
    pub fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// Whether a mount is attached here (seen through some mount).
    pub fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// Takes the directory's content mutex; may sleep.
    pub fn lock_content(&self) -> MutexGuard<'_, ()> {
        self.content.get_or_init(|| Box::new(Mutex::new(()))).lock()
    }

    /// The cached child, which may be negative.
    pub fn cached(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        let child = self.children.lock().get(name).cloned()?;
        if !child.used.load(Ordering::Relaxed) {
            child.used.store(true, Ordering::Relaxed);
        }
        Some(child)
    }

    /// Binds `name` here to `inode`. The caller holds the content mutex.
    pub(super) fn bind(
        self: &Arc<Dentry>,
        name: &[u8],
        inode: Option<Arc<dyn Inode>>,
    ) -> Arc<Dentry> {
        let child = {
            let mut children = self.children.lock();
            if let Some(there) = children.get(name) {
                let mut binding = there.binding.lock();
                if binding.inode.is_none() {
                    binding.inode = inode;
                    drop(binding);
                    return there.clone();
                }
            }
            let child = Dentry::make(Some(self.clone()), name, inode);
            let key = child.name();
            if let Some(old) = children.insert(key, child.clone()) {
                old.unlinked.store(true, Ordering::Relaxed);
            }
            child
        };
        remember(&child);
        child
    }

    /// Takes the dentry out of its directory's map. `removed`: the name is gone, not just forgotten.
    pub(super) fn unhash(&self, removed: bool) {
        if removed {
            self.unlinked.store(true, Ordering::Relaxed);
        }
        let (parent, name) = {
            let binding = self.binding.lock();
            (binding.parent.clone(), binding.name.clone())
        };
        let Some(parent) = parent else { return };
        let mut children = parent.children.lock();
        let gone = match children.get(&name) {
            Some(there) if std::ptr::eq(&**there, self) => children.remove(&name),
            _ => None,
        };
        drop(children);
        drop(gone);
    }

    /// Moves the dentry to another name; what was cached there becomes unlinked. Under the rename rules.
    pub(super) fn move_to(self: &Arc<Dentry>, parent: &Arc<Dentry>, name: &[u8]) {
        self.unhash(false);
        let name: Arc<[u8]> = name.into();
        let old_parent = {
            let mut binding = self.binding.lock();
            binding.name = name.clone();
            binding.parent.replace(parent.clone())
        };
        let replaced = parent.children.lock().insert(name, self.clone());
        if let Some(replaced) = &replaced {
            replaced.unlinked.store(true, Ordering::Relaxed);
        }
        drop((old_parent, replaced));
    }

    /// Swaps the names of two dentries (RENAME_EXCHANGE).
    pub(super) fn exchange(self: &Arc<Dentry>, other: &Arc<Dentry>) {
        let place = |d: &Dentry| {
            let binding = d.binding.lock();
            (binding.parent.clone(), binding.name.clone())
        };
        let (here, there) = (place(self), place(other));
        self.unhash(false);
        other.unhash(false);
        for (dentry, (parent, name)) in [(self, there), (other, here)] {
            if let Some(parent) = parent {
                dentry.move_to(&parent, &name);
            }
        }
    }

    /// Forgets negative children and unused ones (after changes behind the cache's back).
    pub fn forget_children(&self) {
        let all: Vec<Arc<Dentry>> = self.children.lock().drain().map(|(_, d)| d).collect();
        let keep: Vec<Arc<Dentry>> = all
            .into_iter()
            .filter(|d| Arc::strong_count(d) > 1 && d.inode().is_some())
            .collect();
        let mut children = self.children.lock();
        for dentry in keep {
            children.entry(dentry.name()).or_insert(dentry);
        }
    }

    /// Forgets everything cached below: dentries and their parents hold each other, so a tree that nobody reaches any
    /// more has to be taken apart.
    pub(super) fn prune(self: &Arc<Dentry>) {
        let mut stack = vec![self.clone()];
        while let Some(dentry) = stack.pop() {
            let children = std::mem::take(&mut *dentry.children.lock());
            stack.extend(children.into_values());
        }
    }

    /// Whether `self` is `other` or above it.
    pub fn is_ancestor_of(&self, other: &Arc<Dentry>) -> bool {
        let mut at = Some(other.clone());
        while let Some(dentry) = at {
            if std::ptr::eq(&*dentry, self) {
                return true;
            }
            at = dentry.parent();
        }
        false
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        if *self.unlinked.get_mut() {
            let inode = self.binding.lock().inode.take();
            inode.as_ref().map(super::notify::let_go);
        }
    }
}

/// Held across renames between directories: fixes who is above whom.
static RENAME: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

pub(super) fn lock_renames() -> MutexGuard<'static, ()> {
    RENAME.lock()
}

static RECENT: Lock<VecDeque<Weak<Dentry>>> = Lock::new(Rank::LEAF, VecDeque::new());

fn remember(dentry: &Arc<Dentry>) {
    let full = {
        let mut recent = RECENT.lock();
        recent.push_back(Arc::downgrade(dentry));
        recent.len() > max_cached()
    };
    if full {
        shrink(4);
    }
}

/// Looks at the `count` names cached longest ago and forgets those that nobody used since and nobody holds.
pub fn shrink(count: usize) {
    for _ in 0..count {
        let Some(oldest) = RECENT.lock().pop_front() else {
            return;
        };
        let Some(dentry) = oldest.upgrade() else {
            continue;
        };
        let busy = dentry.used.swap(false, Ordering::Relaxed) || !evict(&dentry);
        if busy && !dentry.is_unlinked() {
            RECENT.lock().push_back(oldest);
        }
    }
}

/// Its parent's map and the caller are the only holders: out it goes. Children and open files would hold it too.
fn evict(dentry: &Arc<Dentry>) -> bool {
    let (parent, name) = {
        let binding = dentry.binding.lock();
        (binding.parent.clone(), binding.name.clone())
    };
    let Some(parent) = parent else { return false };
    let mut children = parent.children.lock();
    let ours = children
        .get(&name)
        .is_some_and(|there| Arc::ptr_eq(there, dentry));
    if !ours || Arc::strong_count(dentry) > 2 {
        return !ours;
    }
    let gone = children.remove(&name);
    drop(children);
    drop(gone);
    true
}

/// Hashing for names: fast, and seeded at start so that nobody can choose colliding names.
#[derive(Clone, Copy, Default)]
struct NameHash;

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0u8));

impl BuildHasher for NameHash {
    type Hasher = NameHasher;
    fn build_hasher(&self) -> NameHasher {
        NameHasher(*SEED)
    }
}

struct NameHasher(u64);

impl NameHasher {
    fn mix(&mut self, word: u64) {
        let wide =
            u128::from(self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().expect("8 bytes")));
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.mix(u64::from_le_bytes(last));
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
