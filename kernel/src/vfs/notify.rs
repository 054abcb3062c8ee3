//! What happens to files, told to those who watch: the hooks that VFS operations call (fs/notify/fsnotify.c).
//!
//! Nobody watching costs one atomic load. Watches are found by the inode's address, which a watch keeps alive.

use super::inode::address;
use super::{Dentry, File, Inode, InodeKind, SetAttr};
use crate::sync::{Lock, Rank};
use abi::inotify::InotifyMask as M;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// An event as a watcher gets it.
pub struct Event<'a> {
    pub mask: M,
    pub cookie: u32,
    pub name: Option<&'a [u8]>,
    /// The file has no name any more.
    pub unlinked: bool,
}

/// Somebody who is told about one inode.
pub trait Watcher: Send + Sync {
    fn tell(&self, event: &Event<'_>);
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
static COOKIE: AtomicU32 = AtomicU32::new(1);
static WATCHERS: LazyLock<Lock<HashMap<usize, Vec<Weak<dyn Watcher>>>>> =
    LazyLock::new(|| Lock::new(Rank::LEAF, HashMap::new()));

/// A watcher's place in the table; left on drop.
pub struct Registration {
    inode: Arc<dyn Inode>,
    watcher: Weak<dyn Watcher>,
}

/// Tells `watcher` of events of `inode` until the registration is dropped.
pub fn register(inode: &Arc<dyn Inode>, watcher: Weak<dyn Watcher>) -> Registration {
    WATCHERS
        .lock()
        .entry(address(inode))
        .or_default()
        .push(watcher.clone());
    COUNT.fetch_add(1, Ordering::SeqCst);
    Registration {
        inode: inode.clone(),
        watcher,
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut watchers = WATCHERS.lock();
        let key = address(&self.inode);
        if let Some(list) = watchers.get_mut(&key) {
            let ours = self.watcher.as_ptr().cast::<()>();
            list.retain(|w| w.as_ptr().cast::<()>() != ours);
            if list.is_empty() {
                watchers.remove(&key);
            }
        }
        COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}

fn watched() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

fn tell(inode: &Arc<dyn Inode>, event: &Event<'_>) {
    let list = match WATCHERS.lock().get(&address(inode)) {
        Some(list) => list.clone(),
        None => return,
    };
    for watcher in list.iter().filter_map(Weak::upgrade) {
        watcher.tell(event);
    }
}

fn directory_bit(inode: &Arc<dyn Inode>) -> M {
    if inode.kind() == InodeKind::Directory {
        M::IN_ISDIR
    } else {
        M::empty()
    }
}

/// Something happened to the file: its watchers hear it, and its directory's with its name.
fn happened(dentry: &Dentry, inode: &Arc<dyn Inode>, mask: M) {
    about(dentry, inode, mask, dentry.is_unlinked());
}

/// `unlinked`: of a file that was open when its name went, which IN_EXCL_UNLINK hides.
fn about(dentry: &Dentry, inode: &Arc<dyn Inode>, mask: M, unlinked: bool) {
    let mask = mask | directory_bit(inode);
    if let Some(parent) = dentry.parent().and_then(|p| p.inode()) {
        let name = dentry.name();
        tell(
            &parent,
            &Event {
                mask,
                cookie: 0,
                name: Some(&name),
                unlinked,
            },
        );
    }
    itself(inode, mask);
}

fn itself(inode: &Arc<dyn Inode>, mask: M) {
    let event = Event {
        mask,
        cookie: 0,
        name: None,
        unlinked: false,
    };
    tell(inode, &event);
}

fn in_directory(dir: &Dentry, name: &[u8], mask: M, cookie: u32) {
    if let Some(inode) = dir.inode() {
        tell(
            &inode,
            &Event {
                mask,
                cookie,
                name: Some(name),
                unlinked: false,
            },
        );
    }
}

/// A name was made in `dir`.
pub fn created(dir: &Dentry, name: &[u8], is_dir: bool) {
    if watched() {
        let mask = if is_dir {
            M::IN_CREATE | M::IN_ISDIR
        } else {
            M::IN_CREATE
        };
        in_directory(dir, name, mask, 0);
    }
}

/// `name` of `dir` was removed; it was bound to `inode`.
pub fn deleted(dir: &Dentry, name: &[u8], inode: &Arc<dyn Inode>) {
    if watched() {
        in_directory(dir, name, M::IN_DELETE | directory_bit(inode), 0);
    }
}

/// `inode` moved, in place of `replaced`.
pub fn moved(
    (old_dir, old): (&Dentry, &[u8]),
    (new_dir, new): (&Dentry, &[u8]),
    inode: &Arc<dyn Inode>,
    replaced: Option<&Arc<dyn Inode>>,
) {
    if watched() {
        let cookie = COOKIE.fetch_add(1, Ordering::Relaxed);
        let is_dir = directory_bit(inode);
        in_directory(old_dir, old, M::IN_MOVED_FROM | is_dir, cookie);
        in_directory(new_dir, new, M::IN_MOVED_TO | is_dir, cookie);
        if let Some(replaced) = replaced {
            links_changed(replaced);
        }
        itself(inode, M::IN_MOVE_SELF);
    }
}

/// Attributes or size were set: fs/attr.c:fsnotify_change().
pub fn attributes(dentry: &Dentry, inode: &Arc<dyn Inode>, set: &SetAttr) {
    if !watched() {
        return;
    }
    let mut mask = M::empty();
    if set.size.is_some() {
        mask |= M::IN_MODIFY;
    }
    let stamps = set.atime.is_some() || set.mtime.is_some() && set.size.is_none();
    if set.mode.is_some() || set.uid.is_some() || set.gid.is_some() || stamps {
        mask |= M::IN_ATTRIB;
    }
    if !mask.is_empty() {
        about(dentry, inode, mask, false);
    }
}

/// A file was opened.
pub fn opened(file: &File) {
    if watched() {
        happened(&file.path().dentry, file.inode(), M::IN_OPEN);
    }
}

/// Bytes were read, or directory records.
pub fn accessed(file: &File) {
    if watched() {
        happened(&file.path().dentry, file.inode(), M::IN_ACCESS);
    }
}

/// Bytes were written.
pub fn modified(file: &File) {
    if watched() {
        happened(&file.path().dentry, file.inode(), M::IN_MODIFY);
    }
}

/// The last reference to an open file went away.
pub fn closed(file: &File) {
    if watched() && !file.is_path_only() {
        let mask = if file.writable() {
            M::IN_CLOSE_WRITE
        } else {
            M::IN_CLOSE_NOWRITE
        };
        happened(&file.path().dentry, file.inode(), mask);
    }
}

/// `inode` got a name or lost one: fsnotify_link_count().
pub fn links_changed(inode: &Arc<dyn Inode>) {
    if watched() {
        itself(inode, M::IN_ATTRIB | directory_bit(inode));
    }
}

/// A name that was removed let go of `inode`, maybe of its last hold: fs/dcache.c:dentry_unlink_inode().
pub fn let_go(inode: &Arc<dyn Inode>) {
    if watched() && inode.metadata().map_or(0, |m| m.nlink) == 0 {
        itself(inode, M::IN_DELETE_SELF);
    }
}
