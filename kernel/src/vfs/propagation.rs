//! Mount propagation: which mounts get what is mounted on another one, and lose it again (fs/pnode.c).
//!
//! Mounts with the same `peer` number are a peer group: what happens on one happens on all. What happens in group `master`
//! also happens on the mount, but not the other way. A master is a group, not a mount as in Linux: all of a
//! group have the same effect on their slaves. Changes are made under the lock of the tree ([`super::namespace`]).

use super::mount::{self, Mount};
use super::{Dentry, Path};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use abi::mount::MountFlags;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// A mount's part in propagation. Group 0 is none.
#[derive(Default)]
pub struct Propagation {
    peer: AtomicU32,
    master: AtomicU32,
    unbindable: AtomicBool,
}

impl Propagation {
    /// The group that it shares with.
    pub fn peer(&self) -> u32 {
        self.peer.load(Ordering::Relaxed)
    }

    /// The group that it only receives from.
    pub fn master(&self) -> u32 {
        self.master.load(Ordering::Relaxed)
    }

    pub fn is_shared(&self) -> bool {
        self.peer() != 0
    }

    pub fn is_unbindable(&self) -> bool {
        self.unbindable.load(Ordering::Relaxed)
    }

    fn set(&self, peer: u32, master: u32) {
        self.peer.store(peer, Ordering::Relaxed);
        self.master.store(master, Ordering::Relaxed);
    }
}

impl Drop for Propagation {
    fn drop(&mut self) {
        let (peer, master) = (self.peer(), self.master());
        if peer != 0 {
            left(peer, master);
        }
    }
}

/// Mounts that are or were other than private.
static KNOWN: Lock<Vec<Weak<Mount>>> = Lock::new(Rank::LEAF, Vec::new());

fn know(mount: &Arc<Mount>) {
    let mut known = KNOWN.lock();
    known.retain(|m| m.strong_count() > 0);
    if !known.iter().any(|m| m.as_ptr() == Arc::as_ptr(mount)) {
        known.push(Arc::downgrade(mount));
    }
}

fn known(which: impl Fn(&Propagation) -> bool) -> Vec<Arc<Mount>> {
    let all: Vec<_> = KNOWN.lock().iter().filter_map(Weak::upgrade).collect();
    let mut all: Vec<_> = all.into_iter().filter(|m| which(&m.propagation)).collect();
    all.sort_by_key(|m| m.id);
    all
}

fn peers(group: u32) -> Vec<Arc<Mount>> {
    known(|p| group != 0 && p.peer() == group)
}

fn slaves(group: u32) -> Vec<Arc<Mount>> {
    known(|p| group != 0 && p.master() == group)
}

/// The lowest number that no group has.
fn new_group() -> u32 {
    let used: BTreeSet<u32> = known(Propagation::is_shared)
        .iter()
        .map(|m| m.propagation.peer())
        .collect();
    (1..)
        .find(|n| !used.contains(n))
        .expect("more numbers than mounts")
}

/// Somebody has left `group`, whose master was `master`: when it was the last, the group's slaves go to that.
fn left(group: u32, master: u32) {
    if peers(group).is_empty() {
        for slave in slaves(group) {
            slave.propagation.master.store(master, Ordering::Relaxed);
        }
    }
}

/// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE for one mount: fs/pnode.c:change_mnt_propagation().
pub fn change(mount: &Arc<Mount>, kind: MountFlags) {
    if kind.contains(MountFlags::MS_SHARED) {
        return share(mount);
    }
    let p = &mount.propagation;
    let (peer, master) = (p.peer(), p.master());
    if peer != 0 {
        p.peer.store(0, Ordering::Relaxed);
        if !peers(peer).is_empty() {
            p.master.store(peer, Ordering::Relaxed);
        }
        left(peer, master);
    }
    if kind.contains(MountFlags::MS_SLAVE) {
        return;
    }
    p.master.store(0, Ordering::Relaxed);
    let unbindable = kind.contains(MountFlags::MS_UNBINDABLE);
    p.unbindable.store(unbindable, Ordering::Relaxed);
}

/// Makes `mount` shared, in a group of its own if it wasn't.
pub fn share(mount: &Arc<Mount>) {
    if !mount.propagation.is_shared() {
        mount.propagation.peer.store(new_group(), Ordering::Relaxed);
    }
    mount.propagation.unbindable.store(false, Ordering::Relaxed);
    know(mount);
}

/// MOVE_MOUNT_SET_GROUP: `to`, a private mount, joins the groups of `from`.
pub fn join(from: &Arc<Mount>, to: &Arc<Mount>) {
    let (peer, master) = (from.propagation.peer(), from.propagation.master());
    to.propagation.set(peer, master);
    know(to);
}

/// What a copy of a mount is to its original.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kin {
    /// In the same groups.
    Same,
    /// A slave of the original's group.
    Slave,
    /// The same, and shared in a new group.
    SharedSlave,
}

/// Gives `new`, a copy of `old`, its part.
pub fn inherit(old: &Arc<Mount>, new: &Arc<Mount>, kin: Kin) {
    let (from, to) = (&old.propagation, &new.propagation);
    match kin {
        Kin::Same => {
            to.set(from.peer(), from.master());
            to.unbindable.store(from.is_unbindable(), Ordering::Relaxed);
        }
        Kin::Slave => to.set(0, from.peer()),
        Kin::SharedSlave => to.set(new_group(), from.peer()),
    }
    if to.peer() != 0 || to.master() != 0 {
        know(new);
    }
}

/// A mount that receives, and how: which mount of those before it in the list (None: the original) it copies from, as
/// what.
pub struct Receiver {
    pub mount: Arc<Mount>,
    pub from: Option<usize>,
    pub kin: Kin,
}

/// Whether `mount` shows `dentry`, and is part of a tree.
fn shows(mount: &Mount, dentry: &Arc<Dentry>) -> bool {
    mount.is_attached() && mount.root.is_ancestor_of(dentry)
}

/// The mounts that receive what happens on `parent` at `dentry`: its peers, then slaves, theirs, and so on
/// (fs/pnode.c:propagation_next()).
pub fn receivers(parent: &Arc<Mount>, dentry: &Arc<Dentry>) -> Vec<Receiver> {
    let mut out = Vec::new();
    let group = parent.propagation.peer();
    for mount in peers(group) {
        if !Arc::ptr_eq(&mount, parent) && shows(&mount, dentry) {
            let kin = Kin::Same;
            out.push(Receiver {
                mount,
                from: None,
                kin,
            });
        }
    }
    slaves_receive(group, None, dentry, &mut out);
    out
}

fn slaves_receive(group: u32, from: Option<usize>, dentry: &Arc<Dentry>, out: &mut Vec<Receiver>) {
    let mut done = BTreeSet::new();
    for slave in slaves(group) {
        let own = slave.propagation.peer();
        if own == 0 {
            if shows(&slave, dentry) {
                let (mount, kin) = (slave, Kin::Slave);
                out.push(Receiver { mount, from, kin });
            }
            continue;
        }
        if !done.insert(own) {
            continue;
        }
        let mut first = None;
        for mount in peers(own).into_iter().filter(|m| shows(m, dentry)) {
            let (from, kin) = match first {
                None => (from, Kin::SharedSlave),
                Some(_) => (first, Kin::Same),
            };
            first = first.or(Some(out.len()));
            out.push(Receiver { mount, from, kin });
        }
        slaves_receive(own, first.or(from), dentry, out);
    }
}

/// What goes with the unmounting of `set`, parents before children: the mounts at the same places of receivers, unless
/// something else is mounted on them (fs/pnode.c:propagate_umount()). A mount that covers one of them exactly stays and
/// isn't counted.
pub fn unmounted_too(set: &[Arc<Mount>]) -> Vec<Arc<Mount>> {
    let in_set = |list: &[Arc<Mount>], m: &Arc<Mount>| list.iter().any(|o| Arc::ptr_eq(o, m));
    let mut out: Vec<Arc<Mount>> = Vec::new();
    for at in set.iter().filter_map(|m| m.mountpoint()) {
        for receiver in receivers(&at.mount, &at.dentry) {
            let place = Path {
                mount: receiver.mount,
                dentry: at.dentry.clone(),
            };
            if let Some(there) = mount::mounted_on(&place)
                && !in_set(set, &there)
                && !in_set(&out, &there)
            {
                out.push(there);
            }
        }
    }
    loop {
        let before = out.len();
        let all = out.clone();
        out.retain(|m| {
            mount::children(m)
                .iter()
                .all(|c| in_set(&all, c) || in_set(set, c) || covers(c, m))
        });
        if out.len() == before {
            return out;
        }
    }
}

/// Whether `upper` is mounted right on the root of `lower`.
pub fn covers(upper: &Mount, lower: &Arc<Mount>) -> bool {
    upper
        .mountpoint()
        .is_some_and(|at| Arc::ptr_eq(&at.mount, lower) && at.is_mount_root())
}

/// EINVAL when a mount of the tree may not be copied to where others would receive it.
pub fn check_bindable(tree: &[Arc<Mount>]) -> Result<()> {
    if tree.iter().any(|m| m.propagation.is_unbindable()) {
        return err(Errno::EINVAL);
    }
    Ok(())
}

/// The optional fields of /proc/pid/mountinfo for a reader that sees `visible`: fs/proc_namespace.c:show_mountinfo().
pub fn fields(mount: &Mount, visible: &[Arc<Mount>]) -> String {
    let p = &mount.propagation;
    let mut out = String::new();
    if p.is_shared() {
        out += &format!(" shared:{}", p.peer());
    }
    let master = p.master();
    if master != 0 {
        out += &format!(" master:{master}");
        let dominating = dominating(master, visible);
        if dominating != 0 && dominating != master {
            out += &format!(" propagate_from:{dominating}");
        }
    }
    if p.is_unbindable() {
        out += " unbindable";
    }
    out
}

/// The nearest group upwards from `group` of which a mount is visible; 0 when none is.
fn dominating(mut group: u32, visible: &[Arc<Mount>]) -> u32 {
    while group != 0 && !visible.iter().any(|m| m.propagation.peer() == group) {
        group = peers(group).first().map_or(0, |m| m.propagation.master());
    }
    group
}
