//! Who writes to a regular file, and who executes it: the two exclude each other (`i_writecount`). Who only reads is
//! counted for leases (`i_readcount`).
//!
//! Counted per inode, found by its address, which the file that holds the claim keeps alive.

use super::inode::address;
use super::{File, Inode, Mount};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

#[derive(Default)]
struct Count {
    /// Writers, or when negative, programs that run.
    writers: i64,
    readers: usize,
}

static COUNTS: LazyLock<Lock<HashMap<usize, Count>>> =
    LazyLock::new(|| Lock::new(Rank::LEAF, HashMap::new()));

fn writers(inode: &Arc<dyn Inode>) -> i64 {
    COUNTS.lock().get(&address(inode)).map_or(0, |c| c.writers)
}

fn give_back(key: usize, take: impl FnOnce(&mut Count)) {
    let mut counts = COUNTS.lock();
    if let Some(count) = counts.get_mut(&key) {
        take(count);
        if count.writers == 0 && count.readers == 0 {
            counts.remove(&key);
        }
    }
}

/// What an open file has claimed; given back with the file.
#[derive(Default)]
pub struct Claim {
    step: OnceLock<(usize, i64)>,
    read: OnceLock<usize>,
    mount: OnceLock<Arc<Mount>>,
}

/// How many open files write to an inode, and how many only read it.
pub(super) struct Users {
    pub writers: usize,
    pub readers: usize,
}

pub(super) fn users(inode: &Arc<dyn Inode>) -> Users {
    let counts = COUNTS.lock();
    let count = counts.get(&address(inode));
    Users {
        writers: count.map_or(0, |c| usize::try_from(c.writers).unwrap_or(0)),
        readers: count.map_or(0, |c| c.readers),
    }
}

/// The file is open for reading alone: i_readcount_inc().
pub(super) fn reads(file: &File) {
    let key = address(file.inode());
    if file.claim.read.set(key).is_ok() {
        COUNTS.lock().entry(key).or_default().readers += 1;
    }
}

fn claim(file: &File, step: i64) -> Result<()> {
    let key = address(file.inode());
    let mut counts = COUNTS.lock();
    if counts.get(&key).is_some_and(|c| c.writers * step < 0) {
        return err(Errno::ETXTBSY);
    }
    if file.claim.step.set((key, step)).is_ok() {
        counts.entry(key).or_default().writers += step;
    }
    Ok(())
}

/// The file is open for writing: get_write_access(). ETXTBSY when it runs as a program.
pub(super) fn writes(file: &File) -> Result<()> {
    claim(file, 1)?;
    let mount = &file.path().mount;
    if file.claim.mount.set(mount.clone()).is_ok() {
        mount.add_writer();
    }
    Ok(())
}

/// Nobody may open the file for writing while `file` is held: exe_file_deny_write_access(). ETXTBSY when
/// somebody has.
pub fn deny_write(file: &File) -> Result<()> {
    claim(file, -1)
}

/// ETXTBSY when `inode` runs as a program: truncate(2) by path.
pub(super) fn check_not_running(inode: &Arc<dyn Inode>) -> Result<()> {
    if writers(inode) < 0 {
        return err(Errno::ETXTBSY);
    }
    Ok(())
}

/// ETXTBSY when somebody has the file open for writing: execve's look at scripts and interpreters.
pub fn check_not_written(inode: &Arc<dyn Inode>) -> Result<()> {
    if writers(inode) > 0 {
        return err(Errno::ETXTBSY);
    }
    Ok(())
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(mount) = self.mount.get() {
            mount.remove_writer();
        }
        if let Some(key) = self.read.get() {
            give_back(*key, |count| count.readers -= 1);
        }
        if let Some((key, step)) = self.step.get() {
            give_back(*key, |count| count.writers -= step);
        }
    }
}
