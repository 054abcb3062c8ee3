//! A bounded number of open host descriptors, least recently used first to go.

use host::tree::Dir;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Descriptors kept open per file system; the default soft limit of a process is 1024.
const KEPT: usize = 256;

/// What is kept: a directory handle, or an open file (and whether for writing).
#[derive(Clone)]
pub enum Handle {
    Dir(Arc<Dir>),
    File(Arc<OwnedFd>, bool),
}

struct Inner {
    handles: HashMap<u64, (Handle, u64)>,
    order: BTreeMap<u64, u64>,
    clock: u64,
}

/// The cache: by inode identity.
pub struct FdCache(Mutex<Inner>);

impl FdCache {
    pub fn new() -> FdCache {
        FdCache(Mutex::new(Inner {
            handles: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
        }))
    }

    pub fn get(&self, id: u64) -> Option<Handle> {
        let mut inner = self.0.lock();
        inner.clock += 1;
        let clock = inner.clock;
        let (handle, used) = inner.handles.get_mut(&id)?;
        let handle = handle.clone();
        let before = std::mem::replace(used, clock);
        inner.order.remove(&before);
        inner.order.insert(clock, id);
        Some(handle)
    }

    pub fn put(&self, id: u64, handle: Handle) {
        let mut dropped = Vec::new();
        let mut inner = self.0.lock();
        inner.clock += 1;
        let clock = inner.clock;
        if let Some((old, used)) = inner.handles.insert(id, (handle, clock)) {
            inner.order.remove(&used);
            dropped.push(old);
        }
        inner.order.insert(clock, id);
        while inner.handles.len() > KEPT {
            let Some((_, oldest)) = inner.order.pop_first() else {
                break;
            };
            dropped.extend(inner.handles.remove(&oldest).map(|(handle, _)| handle));
        }
        drop(inner);
    }

    pub fn remove(&self, id: u64) {
        let mut inner = self.0.lock();
        let removed = inner.handles.remove(&id);
        if let Some((_, used)) = &removed {
            inner.order.remove(used);
        }
        drop(inner);
        drop(removed);
    }
}
