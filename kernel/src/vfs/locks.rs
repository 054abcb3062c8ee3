//! File locks: POSIX and open-file-description record locks, and flock (fs/locks.c).
//!
//! One table by inode address; an entry keeps its inode alive. Waiters share one queue: a release tells all, and who
//! still conflicts sleeps on.

use super::inode::address;
use super::{File, Inode};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank, WaitQueue};
use abi::errno::Errno;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// Last byte that a lock can cover.
pub const LAST: u64 = i64::MAX as u64;

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// A descriptor table, so a process (POSIX).
    Table(u64),
    /// An open file (OFD, flock).
    File(u64),
}

/// A record lock on bytes `start..=end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    pub owner: Owner,
    pub write: bool,
    pub start: u64,
    pub end: u64,
    /// Who asked, for F_GETLK; -1 for OFD locks.
    pub pid: i32,
}

impl Record {
    fn conflicts(&self, other: &Record) -> bool {
        self.owner != other.owner
            && (self.write || other.write)
            && self.start <= other.end
            && other.start <= self.end
    }
}

struct Locked {
    inode: Arc<dyn Inode>,
    records: Vec<Record>,
    whole: Vec<(Owner, bool, i32)>,
}

#[derive(Default)]
struct Table {
    inodes: HashMap<usize, Locked>,
    /// Who waits for whom, of the owners that are processes.
    waiting: HashMap<Owner, Owner>,
}

static TABLE: LazyLock<Lock<Table>> = LazyLock::new(|| Lock::new(Rank::LEAF, Table::default()));
static INODES: AtomicUsize = AtomicUsize::new(0);
static QUEUE: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);

impl Table {
    fn entry(&mut self, inode: &Arc<dyn Inode>) -> &mut Locked {
        self.inodes.entry(address(inode)).or_insert_with(|| {
            INODES.fetch_add(1, Ordering::SeqCst);
            Locked {
                inode: inode.clone(),
                records: Vec::new(),
                whole: Vec::new(),
            }
        })
    }

    /// Drops the entry when nothing is locked; returns it to be dropped without the lock.
    fn tidy(&mut self, inode: &Arc<dyn Inode>) -> Option<Locked> {
        let key = address(inode);
        let empty = self
            .inodes
            .get(&key)
            .is_some_and(|l| l.records.is_empty() && l.whole.is_empty());
        empty.then(|| {
            INODES.fetch_sub(1, Ordering::SeqCst);
            self.inodes.remove(&key)
        })?
    }

    fn record_conflict(&self, inode: &Arc<dyn Inode>, wanted: &Record) -> Option<Record> {
        let locked = self.inodes.get(&address(inode))?;
        locked
            .records
            .iter()
            .filter(|r| r.conflicts(wanted))
            .min_by_key(|r| r.start)
            .copied()
    }

    /// Whether waiting for `blocker` would close a circle.
    fn deadlock(&self, me: Owner, blocker: Owner) -> bool {
        let mut at = blocker;
        for _ in 0..self.waiting.len() + 1 {
            if at == me {
                return true;
            }
            match self.waiting.get(&at) {
                Some(next) => at = *next,
                None => return false,
            }
        }
        false
    }
}

/// Replaces what `owner` holds of `start..=end`: `lock` None unlocks. Splits and joins records.
fn set_range(records: &mut Vec<Record>, owner: Owner, start: u64, end: u64, lock: Option<Record>) {
    let mut pieces = Vec::new();
    records.retain(|r| {
        if r.owner != owner || r.start > end || r.end < start {
            return true;
        }
        if r.start < start {
            pieces.push(Record {
                end: start - 1,
                ..*r
            });
        }
        if r.end > end {
            pieces.push(Record {
                start: end + 1,
                ..*r
            });
        }
        false
    });
    records.extend(pieces);
    if let Some(mut new) = lock {
        records.retain(|r| {
            let joins = r.owner == owner
                && r.write == new.write
                && (r.end.wrapping_add(1) == new.start || new.end.wrapping_add(1) == r.start);
            if joins {
                new.start = new.start.min(r.start);
                new.end = new.end.max(r.end);
            }
            !joins
        });
        records.push(new);
    }
}

/// F_GETLK: the first lock that `wanted` would wait for.
pub fn test(inode: &Arc<dyn Inode>, wanted: &Record) -> Option<Record> {
    TABLE.lock().record_conflict(inode, wanted)
}

/// F_SETLK and F_SETLKW. EAGAIN when `wait` is off, EDEADLK, ERESTARTSYS.
pub fn set(inode: &Arc<dyn Inode>, wanted: Record, wait: bool) -> Result<()> {
    let attempt = || -> Option<Result<()>> {
        let mut table = TABLE.lock();
        table.waiting.remove(&wanted.owner);
        let Some(blocker) = table.record_conflict(inode, &wanted) else {
            set_range(
                &mut table.entry(inode).records,
                wanted.owner,
                wanted.start,
                wanted.end,
                Some(wanted),
            );
            return Some(Ok(()));
        };
        if !wait {
            return Some(err(Errno::EAGAIN));
        }
        if let Owner::Table(_) = wanted.owner {
            if table.deadlock(wanted.owner, blocker.owner) {
                return Some(err(Errno::EDEADLK));
            }
            table.waiting.insert(wanted.owner, blocker.owner);
        }
        None
    };
    let outcome = QUEUE.wait_until(attempt);
    if outcome.is_err() {
        TABLE.lock().waiting.remove(&wanted.owner);
    }
    outcome??;
    // A write lock that became a read lock may let others in.
    QUEUE.wake_all();
    Ok(())
}

/// F_UNLCK of a range.
pub fn unlock(inode: &Arc<dyn Inode>, owner: Owner, start: u64, end: u64) {
    let gone = {
        let mut table = TABLE.lock();
        if let Some(locked) = table.inodes.get_mut(&address(inode)) {
            set_range(&mut locked.records, owner, start, end, None);
        }
        table.tidy(inode)
    };
    drop(gone);
    QUEUE.wake_all();
}

/// Gives up all record locks of `owner` on `inode`: any close of the file does it (fs/locks.c:locks_remove_posix()).
pub fn release(inode: &Arc<dyn Inode>, owner: Owner) {
    if INODES.load(Ordering::Relaxed) != 0 {
        unlock(inode, owner, 0, LAST);
    }
}

/// flock(2): None unlocks, else exclusive or shared. EAGAIN, ERESTARTSYS.
pub fn flock(file: &File, exclusive: Option<bool>, wait: bool) -> Result<()> {
    let inode = file.inode();
    let owner = Owner::File(file.id());
    let pid = crate::sched::try_current().map_or(0, |t| t.pid() as i32);
    let gone = {
        let mut table = TABLE.lock();
        if let Some(locked) = table.inodes.get_mut(&address(inode)) {
            if exclusive.is_some()
                && locked
                    .whole
                    .iter()
                    .any(|l| l.0 == owner && Some(l.1) == exclusive)
            {
                return Ok(());
            }
            locked.whole.retain(|l| l.0 != owner);
        }
        table.tidy(inode)
    };
    drop(gone);
    QUEUE.wake_all();
    let Some(exclusive) = exclusive else {
        return Ok(());
    };
    QUEUE.wait_until(|| {
        let mut table = TABLE.lock();
        let blocked = table
            .inodes
            .get(&address(inode))
            .is_some_and(|l| l.whole.iter().any(|h| h.0 != owner && (h.1 || exclusive)));
        if !blocked {
            table.entry(inode).whole.push((owner, exclusive, pid));
            return Some(Ok(()));
        }
        (!wait).then(|| err(Errno::EAGAIN))
    })?
}

/// The last reference to an open file is gone: its flock and its OFD locks go with it.
pub fn file_gone(file: &File) {
    if INODES.load(Ordering::Relaxed) == 0 {
        return;
    }
    let owner = Owner::File(file.id());
    let gone = {
        let mut table = TABLE.lock();
        let Some(locked) = table.inodes.get_mut(&address(file.inode())) else {
            return;
        };
        locked.whole.retain(|l| l.0 != owner);
        locked.records.retain(|r| r.owner != owner);
        table.tidy(file.inode())
    };
    drop(gone);
    QUEUE.wake_all();
}

/// /proc/locks.
pub fn proc_locks() -> String {
    let all: Vec<(Arc<dyn Inode>, Vec<Record>, Vec<(Owner, bool, i32)>)> = TABLE
        .lock()
        .inodes
        .values()
        .map(|l| (l.inode.clone(), l.records.clone(), l.whole.clone()))
        .collect();
    let mut text = String::new();
    let mut number = 0;
    let mut line = |kind: &str, write: bool, pid: i32, inode: &Arc<dyn Inode>, range: &str| {
        number += 1;
        let Ok(meta) = inode.metadata() else { return };
        let (major, minor) = (abi::fs::major(meta.dev), abi::fs::minor(meta.dev));
        let mode = if write { "WRITE" } else { "READ" };
        let _ = writeln!(
            text,
            "{number}: {kind} {mode} {pid} {major:02x}:{minor:02x}:{} {range}",
            meta.ino
        );
    };
    for (inode, records, whole) in &all {
        for (_, exclusive, pid) in whole {
            line("FLOCK  ADVISORY ", *exclusive, *pid, inode, "0 EOF");
        }
        for r in records {
            let end = if r.end == LAST {
                "EOF".into()
            } else {
                r.end.to_string()
            };
            let kind = if matches!(r.owner, Owner::Table(_)) {
                "POSIX  ADVISORY "
            } else {
                "OFDLCK ADVISORY "
            };
            line(kind, r.write, r.pid, inode, &format!("{} {end}", r.start));
        }
    }
    for (pid, write, broken, file) in super::lease::all() {
        let Some(file) = file.upgrade() else { continue };
        let kind = if broken {
            "LEASE  BREAKING "
        } else {
            "LEASE  ACTIVE   "
        };
        line(kind, write, pid, file.inode(), "0 EOF");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: u64, write: bool, start: u64, end: u64) -> Record {
        Record {
            owner: Owner::Table(owner),
            write,
            start,
            end,
            pid: owner as i32,
        }
    }

    #[test]
    fn ranges_split_and_join() {
        let mut all = Vec::new();
        let me = Owner::Table(1);
        set_range(&mut all, me, 0, 99, Some(record(1, true, 0, 99)));
        set_range(&mut all, me, 40, 59, None);
        all.sort_by_key(|r| r.start);
        assert_eq!(all, [record(1, true, 0, 39), record(1, true, 60, 99)]);
        set_range(&mut all, me, 40, 59, Some(record(1, true, 40, 59)));
        assert_eq!(all, [record(1, true, 0, 99)]);
        set_range(&mut all, me, 10, 19, Some(record(1, false, 10, 19)));
        all.sort_by_key(|r| r.start);
        assert_eq!(
            all,
            [
                record(1, true, 0, 9),
                record(1, false, 10, 19),
                record(1, true, 20, 99)
            ]
        );
    }

    #[test]
    fn circles_are_seen() {
        let mut table = Table::default();
        let [a, b, c] = [1, 2, 3].map(Owner::Table);
        table.waiting.insert(b, c);
        assert!(!table.deadlock(a, b));
        table.waiting.insert(c, a);
        assert!(table.deadlock(a, b));
    }
}
