//! Descriptors in flight (net/unix/garbage.c): counting them, and finding sockets that are only reachable through each
//! other's queues.
//!
//! Every file in a [`Rights`] that is a Unix socket is counted here. Such a socket all of whose references are in flight
//! can only be reached by receiving it; if every queue it lies in belongs to another one of these, it is garbage.

use super::{UnixSocket, unix_of};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use crate::task::Task;
use crate::vfs::File;
use abi::cap::{CAP_SYS_ADMIN, CAP_SYS_RESOURCE};
use abi::errno::Errno;
use abi::task::RLIMIT_NOFILE;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Files on their way between processes.
pub struct Rights {
    files: Vec<Arc<File>>,
    uid: u32,
}

#[derive(Default)]
struct Flying {
    sockets: BTreeMap<u64, (Weak<File>, usize)>,
    /// Files in flight by sender, for RLIMIT_NOFILE.
    by_user: BTreeMap<u32, u64>,
}

static FLYING: Lock<Flying> = Lock::new(
    Rank::INFLIGHT,
    Flying {
        sockets: BTreeMap::new(),
        by_user: BTreeMap::new(),
    },
);
static COLLECTING: AtomicBool = AtomicBool::new(false);
/// A socket was closed since the last search began.
static WANTED: AtomicBool = AtomicBool::new(false);

impl Rights {
    /// Takes off. ETOOMANYREFS when the sender's user has more in flight than it may have open.
    pub fn new(files: Vec<Arc<File>>, task: &Task) -> Result<Rights> {
        let uid = task.cred().uid;
        let limit = task.group.rlimit(RLIMIT_NOFILE as usize);
        let exempt = task.capable(CAP_SYS_RESOURCE) || task.capable(CAP_SYS_ADMIN);
        let mut flying = FLYING.lock();
        let user = flying.by_user.entry(uid).or_default();
        if *user > limit && !exempt {
            return err(Errno::ETOOMANYREFS);
        }
        *user += files.len() as u64;
        for file in &files {
            if unix_of(file).is_some() {
                let entry = flying
                    .sockets
                    .entry(file.id())
                    .or_insert_with(|| (Arc::downgrade(file), 0));
                entry.1 += 1;
            }
        }
        drop(flying);
        Ok(Rights { files, uid })
    }

    /// Lands: the receiver has them.
    pub fn land(mut self) -> Vec<Arc<File>> {
        self.leave()
    }

    fn leave(&mut self) -> Vec<Arc<File>> {
        let files = std::mem::take(&mut self.files);
        if files.is_empty() {
            return files;
        }
        let mut flying = FLYING.lock();
        if let Some(user) = flying.by_user.get_mut(&self.uid) {
            *user -= files.len() as u64;
            if *user == 0 {
                flying.by_user.remove(&self.uid);
            }
        }
        for file in &files {
            if let Some(entry) = flying.sockets.get_mut(&file.id()) {
                entry.1 -= 1;
                if entry.1 == 0 {
                    flying.sockets.remove(&file.id());
                }
            }
        }
        files
    }

    fn socket_ids(&self) -> impl Iterator<Item = u64> + '_ {
        let sockets = self.files.iter().filter(|f| unix_of(f).is_some());
        sockets.map(|f| f.id())
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

/// The files, for a reader that leaves them in flight (MSG_PEEK).
pub fn peek(rights: &Lock<Option<Rights>>) -> Vec<Arc<File>> {
    let _not_collecting = FLYING.lock();
    let rights = rights.lock();
    rights.as_ref().map_or_else(Vec::new, |r| r.files.clone())
}

/// The sockets in flight that `socket`'s queue holds, once for each time.
fn children(socket: &Arc<UnixSocket>) -> Vec<u64> {
    let mut ids = Vec::new();
    socket.each_rights(&mut |rights| ids.extend(rights.iter().flat_map(Rights::socket_ids)));
    ids
}

/// Bytes of kernel memory of the files in `socket`'s queue, about; without what further sockets hold.
pub fn bytes_held(socket: &UnixSocket) -> usize {
    let mut sockets = 0;
    let mut others = Vec::new();
    socket.each_rights(&mut |rights| {
        for file in rights.iter().flat_map(|r| &r.files) {
            match unix_of(file) {
                Some(socket) => sockets += socket.sent.load(Ordering::Relaxed),
                None => others.push(file.clone()),
            }
        }
    });
    sockets + others.iter().map(|f| f.kernel_bytes()).sum::<usize>()
}

/// Drops what only garbage refers to. Called when a socket is closed.
pub fn collect() {
    if FLYING.lock().sockets.is_empty() {
        return;
    }
    WANTED.store(true, Ordering::SeqCst);
    // What is dropped here may close further sockets, whose call comes back at once and is heeded by this one.
    while WANTED.load(Ordering::SeqCst) && !COLLECTING.swap(true, Ordering::SeqCst) {
        while WANTED.swap(false, Ordering::SeqCst) {
            drop(take_garbage());
        }
        COLLECTING.store(false, Ordering::SeqCst);
    }
}

fn take_garbage() -> Vec<Rights> {
    let mut kept_alive = Vec::new();
    let mut garbage = Vec::new();
    {
        let flying = FLYING.lock();
        let mut candidates: BTreeMap<u64, (Arc<UnixSocket>, usize)> = BTreeMap::new();
        for (id, (file, count)) in &flying.sockets {
            if file.strong_count() != *count {
                continue;
            }
            let Some(file) = file.upgrade() else { continue };
            if let Some(socket) = unix_of(&file) {
                candidates.insert(*id, (socket, *count));
            }
            kept_alive.push(file);
        }
        let edges: BTreeMap<u64, Vec<u64>> = candidates
            .iter()
            .map(|(id, (socket, _))| (*id, children(socket)))
            .collect();
        let found = unreachable(
            candidates.iter().map(|(id, (_, count))| (*id, *count)),
            &edges,
        );
        for id in found {
            candidates[&id].0.each_rights(&mut |rights| {
                garbage.extend(rights.take());
            });
        }
    }
    drop(kept_alive);
    garbage
}

/// Of `nodes` (number, references in flight) those all of whose references come from other ones of the result.
/// `edges`: what each one's queue holds.
fn unreachable(
    nodes: impl Iterator<Item = (u64, usize)>,
    edges: &BTreeMap<u64, Vec<u64>>,
) -> BTreeSet<u64> {
    let mut outside: BTreeMap<u64, usize> = nodes.collect();
    for child in edges.values().flatten() {
        if let Some(count) = outside.get_mut(child) {
            *count = count.saturating_sub(1);
        }
    }
    let mut garbage: BTreeSet<u64> = outside.keys().copied().collect();
    let roots = outside.iter().filter(|(_, count)| **count > 0);
    let mut reach: Vec<u64> = roots.map(|(id, _)| *id).collect();
    while let Some(id) = reach.pop() {
        if garbage.remove(&id) {
            reach.extend(edges.get(&id).into_iter().flatten());
        }
    }
    garbage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(nodes: &[(u64, usize)], edges: &[(u64, &[u64])]) -> Vec<u64> {
        let edges = edges.iter().map(|(id, to)| (*id, to.to_vec())).collect();
        unreachable(nodes.iter().copied(), &edges)
            .into_iter()
            .collect()
    }

    #[test]
    fn a_cycle_is_garbage_unless_reached_from_outside() {
        // Each lies in the other's queue.
        assert_eq!(run(&[(1, 1), (2, 1)], &[(1, &[2]), (2, &[1])]), [1, 2]);
        // One of them lies in the queue of an open socket as well.
        assert!(run(&[(1, 2), (2, 1)], &[(1, &[2]), (2, &[1])]).is_empty());
        // In its own queue, twice; and one that hangs off it.
        assert_eq!(run(&[(1, 2), (3, 1)], &[(1, &[1, 1, 3])]), [1, 3]);
        // In an open socket's queue only.
        assert!(run(&[(5, 1)], &[]).is_empty());
    }
}
