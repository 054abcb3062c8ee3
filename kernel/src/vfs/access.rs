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

/// Writers, or when negative, programs that run.
static COUNTS: LazyLock<Lock<HashMap<usize, i64>>> =
    LazyLock::new(|| Lock::new(Rank::LEAF, HashMap::new()));

static READERS: LazyLock<Lock<HashMap<usize, usize>>> =
    LazyLock::new(|| Lock::new(Rank::LEAF, HashMap::new()));

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
    let key = address(inode);
    let writers = COUNTS.lock().get(&key).copied().unwrap_or(0);
    Users {
        writers: usize::try_from(writers).unwrap_or(0),
        readers: READERS.lock().get(&key).copied().unwrap_or(0),
    }
}

/// The file is open for reading alone: i_readcount_inc().
pub(super) fn reads(file: &File) {
    let key = address(file.inode());
    if file.claim.read.set(key).is_ok() {
        *READERS.lock().entry(key).or_insert(0) += 1;
    }
}

fn claim(file: &File, step: i64) -> Result<()> {
    let key = address(file.inode());
    let mut counts = COUNTS.lock();
    if counts.get(&key).is_some_and(|count| count * step < 0) {
        return err(Errno::ETXTBSY);
    }
    let count = counts.entry(key).or_insert(0);
    if file.claim.step.set((key, step)).is_ok() {
        *count += step;
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
    match COUNTS.lock().get(&address(inode)) {
        Some(count) if *count < 0 => err(Errno::ETXTBSY),
        _ => Ok(()),
    }
}

/// ETXTBSY when somebody has the file open for writing: execve's look at scripts and interpreters.
pub fn check_not_written(inode: &Arc<dyn Inode>) -> Result<()> {
    match COUNTS.lock().get(&address(inode)) {
        Some(count) if *count > 0 => err(Errno::ETXTBSY),
        _ => Ok(()),
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(mount) = self.mount.get() {
            mount.remove_writer();
        }
        if let Some(key) = self.read.get() {
            let mut readers = READERS.lock();
            if let Some(count) = readers.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    readers.remove(key);
                }
            }
        }
        let Some((key, step)) = self.step.get() else {
            return;
        };
        let mut counts = COUNTS.lock();
        if let Some(count) = counts.get_mut(key) {
            *count -= step;
            if *count == 0 {
                counts.remove(key);
            }
        }
    }
}
