//! Leases: a file's holder is told before somebody opens or truncates it, and has some time to give way (fs/locks.c).
//!
//! One table by inode address; a lease goes with its open file, which keeps the inode alive. Who breaks leases sleeps on
//! one queue until none conflicts any more or the time is over.

use super::inode::address;
use super::{File, FileOwner, Inode, InodeKind, PollEvents, access, fasync};
use crate::error::{Result, err};
use crate::fs::proc::sys::Knob;
use crate::sync::{Deadline, Lock, Rank, WaitQueue};
use crate::task::{Cred, Task};
use abi::cap::CAP_LEASE;
use abi::errno::Errno;
use abi::fs::{F_RDLCK, F_UNLCK, F_WRLCK};
use abi::siginfo::Siginfo;
use abi::signal::{POLL_MSG, SIGIO};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// fs.leases-enable.
pub static ENABLED: Knob = Knob::new(1, i32::MIN as i64, i32::MAX as i64);
/// fs.lease-break-time: seconds that a holder has, 0 for no limit.
pub static BREAK_TIME: Knob = Knob::new(45, 0, i32::MAX as i64);

struct Lease {
    /// Of the open file.
    id: u64,
    file: Weak<File>,
    fd: i32,
    pid: i32,
    write: bool,
    /// Asked to become a read lease, or to go, by then.
    downgrade: Option<Deadline>,
    unlock: Option<Deadline>,
}

#[derive(Default)]
struct Leased {
    leases: Vec<Lease>,
    /// Who waits to open the file for writing.
    waiting_writers: usize,
}

static TABLE: LazyLock<Lock<HashMap<usize, Leased>>> =
    LazyLock::new(|| Lock::new(Rank::LEAF, HashMap::new()));
static INODES: AtomicUsize = AtomicUsize::new(0);
static QUEUE: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);

impl Lease {
    fn conflicts(&self, write: bool) -> bool {
        write || self.write
    }

    fn is_broken(&self) -> bool {
        self.downgrade.is_some() || self.unlock.is_some()
    }

    /// What it is on its way to: F_GETLEASE.
    fn target(&self) -> i16 {
        match self.write {
            _ if self.unlock.is_some() => F_UNLCK,
            true if self.downgrade.is_none() => F_WRLCK,
            _ => F_RDLCK,
        }
    }
}

impl Leased {
    /// fs/locks.c:time_out_leases().
    fn time_out(&mut self) {
        self.leases
            .retain(|l| l.unlock.is_none_or(|at| !at.passed()));
        for lease in &mut self.leases {
            if lease.downgrade.is_some_and(|at| at.passed()) {
                lease.write = false;
                lease.downgrade = None;
            }
        }
    }

    /// When the first conflicting lease goes by itself; None: nothing conflicts.
    fn blocked_until(&mut self, write: bool) -> Option<Deadline> {
        self.time_out();
        let lease = self.leases.iter().find(|l| l.conflicts(write))?;
        let (unlock, downgrade) = (lease.unlock, lease.downgrade);
        Some(unlock.or(downgrade).unwrap_or(Deadline(u64::MAX)))
    }
}

fn tidy(table: &mut HashMap<usize, Leased>, key: usize) {
    if table
        .get(&key)
        .is_some_and(|l| l.leases.is_empty() && l.waiting_writers == 0)
    {
        table.remove(&key);
    }
    INODES.store(table.len(), Ordering::SeqCst);
}

/// F_GETLEASE: F_RDLCK, F_WRLCK or F_UNLCK.
pub fn get(file: &File) -> i16 {
    let mut table = TABLE.lock();
    let Some(leased) = table.get_mut(&address(file.inode())) else {
        return F_UNLCK;
    };
    leased.time_out();
    let own = leased.leases.iter().find(|l| l.id == file.id());
    own.map_or(F_UNLCK, Lease::target)
}

/// F_SETLEASE through descriptor `fd`. EACCES for others' files, EAGAIN when open files or leases are in the way, EINVAL.
pub fn set(task: &Task, file: &Arc<File>, fd: i32, kind: i16) -> Result<()> {
    if !matches!(kind, F_RDLCK | F_WRLCK | F_UNLCK) {
        return err(Errno::EINVAL);
    }
    let inode = file.inode();
    if inode.kind() != InodeKind::Regular || file.path().mount.fs.name() == "anon_inodefs" {
        return err(Errno::EINVAL);
    }
    if file.path().mount.fs.name() == "pidfs" {
        // Always open for writing.
        return err(Errno::EAGAIN);
    }
    let cred = task.cred();
    if inode.metadata()?.uid != cred.fsuid && !cred.capable(CAP_LEASE) {
        return err(Errno::EACCES);
    }
    if kind == F_UNLCK {
        return remove(file);
    }
    add(task, &cred, file, fd, kind == F_WRLCK)
}

fn add(task: &Task, cred: &Cred, file: &Arc<File>, fd: i32, write: bool) -> Result<()> {
    let users = access::users(file.inode());
    let own_write = usize::from(file.writable());
    let own_read = usize::from(!file.writable() && file.readable());
    let key = address(file.inode());
    let mut table = TABLE.lock();
    let leased = table.entry(key).or_default();
    leased.time_out();
    let at = leased.leases.iter().position(|l| l.id == file.id());
    let mut others = leased.leases.iter().filter(|l| l.id != file.id());
    let free = if write {
        users.writers == own_write && users.readers == own_read && others.next().is_none()
    } else {
        users.writers == 0
            && leased.waiting_writers == 0
            && others.all(|lease| lease.unlock.is_none())
    };
    let answer = match at {
        _ if !free => err(Errno::EAGAIN),
        Some(at) => {
            let own = &mut leased.leases[at];
            own.write = write;
            if !write {
                own.downgrade = None;
            }
            Ok(false)
        }
        None if ENABLED.get() == 0 => err(Errno::EINVAL),
        None => {
            leased.leases.push(Lease {
                id: file.id(),
                file: Arc::downgrade(file),
                fd,
                pid: task.pid() as i32,
                write,
                downgrade: None,
                unlock: None,
            });
            Ok(true)
        }
    };
    tidy(&mut table, key);
    drop(table);
    if answer? {
        own(task, cred, file);
    }
    QUEUE.wake_all();
    Ok(())
}

/// Who is told: the lease's maker, unless F_SETOWN named somebody.
fn own(task: &Task, cred: &Cred, file: &File) {
    let mut owner = file.owner.lock();
    if owner.pid == 0 {
        *owner = FileOwner {
            pid: task.pid() as i32,
            signo: owner.signo,
            uid: cred.uid,
            euid: cred.euid,
            thread: false,
        };
    }
}

/// F_UNLCK, which forgets the file's owner too. EAGAIN without a lease.
fn remove(file: &File) -> Result<()> {
    if !forget(file) {
        return err(Errno::EAGAIN);
    }
    *file.owner.lock() = FileOwner::default();
    Ok(())
}

fn forget(file: &File) -> bool {
    let key = address(file.inode());
    let mut table = TABLE.lock();
    let Some(leased) = table.get_mut(&key) else {
        return false;
    };
    leased.time_out();
    let before = leased.leases.len();
    leased.leases.retain(|l| l.id != file.id());
    let found = leased.leases.len() < before;
    tidy(&mut table, key);
    drop(table);
    QUEUE.wake_all();
    found
}

/// The open file goes.
pub(super) fn file_gone(file: &File) {
    if INODES.load(Ordering::Relaxed) != 0 {
        forget(file);
    }
}

/// Somebody opens or truncates `inode`: tells the holders of leases that don't allow it and waits for them, or says
/// EAGAIN at once. ERESTARTSYS. fs/locks.c:__break_lease().
pub(super) fn break_for(inode: &Arc<dyn Inode>, write: bool, nonblocking: bool) -> Result<()> {
    if INODES.load(Ordering::SeqCst) == 0 {
        return Ok(());
    }
    let key = address(inode);
    let mut told = Vec::new();
    {
        let mut table = TABLE.lock();
        let Some(leased) = table.get_mut(&key) else {
            return Ok(());
        };
        leased.time_out();
        let until = match BREAK_TIME.get() {
            0 => Deadline(u64::MAX),
            seconds => Deadline::after(seconds as u64 * 1_000_000_000),
        };
        for lease in leased.leases.iter_mut().filter(|l| l.conflicts(write)) {
            if write && lease.unlock.is_none() {
                lease.unlock = Some(until);
            } else if !write && !lease.is_broken() {
                lease.downgrade = Some(until);
            } else {
                continue;
            }
            told.push((lease.file.clone(), lease.fd));
        }
        if leased.blocked_until(write).is_none() {
            tidy(&mut table, key);
            return Ok(());
        }
        leased.waiting_writers += usize::from(write && !nonblocking);
    }
    for (file, fd) in told {
        if let Some(file) = file.upgrade() {
            tell(&file, fd);
        }
    }
    if nonblocking {
        return err(Errno::EAGAIN);
    }
    let answer = wait(key, write);
    let mut table = TABLE.lock();
    if let Some(leased) = table.get_mut(&key) {
        leased.waiting_writers -= usize::from(write);
    }
    tidy(&mut table, key);
    answer
}

fn wait(key: usize, write: bool) -> Result<()> {
    let blocked = || {
        let mut table = TABLE.lock();
        table.get_mut(&key).and_then(|l| l.blocked_until(write))
    };
    while let Some(until) = blocked() {
        let until = (until.0 != u64::MAX).then_some(until);
        QUEUE.wait_deadline(until, || blocked().is_none().then_some(()))?;
    }
    Ok(())
}

fn tell(file: &Arc<File>, fd: i32) {
    let owner = *file.owner.lock();
    let band = PollEvents::READABLE | PollEvents::MSG;
    let info = match owner.signo {
        0 => Siginfo::kernel(SIGIO),
        signo => Siginfo::poll(signo, POLL_MSG, i64::from(band.bits()), fd),
    };
    fasync::send(&owner, info);
}

/// The leases of /proc/locks: pid, whether for writing, whether being broken, and a file.
pub(super) fn all() -> Vec<(i32, bool, bool, Weak<File>)> {
    let table = TABLE.lock();
    let leases = table.values().flat_map(|l| &l.leases);
    leases
        .map(|l| (l.pid, l.write, l.is_broken(), l.file.clone()))
        .collect()
}
