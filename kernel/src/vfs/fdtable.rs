//! Descriptor tables.

use super::File;
use super::locks::{self, Owner};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[derive(Clone)]
struct Slot {
    file: Arc<File>,
    cloexec: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What CLONE_FILES shares.
pub struct FdTable {
    id: u64,
    slots: Lock<Vec<Option<Slot>>>,
    /// No number below this is free; changed under the lock of `slots`.
    lowest: AtomicUsize,
}

impl FdTable {
    pub fn new() -> Arc<FdTable> {
        Arc::new(FdTable {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            slots: Lock::new(Rank::FILES, Vec::new()),
            lowest: AtomicUsize::new(0),
        })
    }

    /// Unique among all tables of the machine's life: who holds POSIX locks.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What fork copies.
    pub fn duplicate(&self) -> Arc<FdTable> {
        let slots = self.slots.lock().clone();
        Arc::new(FdTable {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            slots: Lock::new(Rank::FILES, slots),
            lowest: AtomicUsize::new(0),
        })
    }

    /// A file to do input and output with. EBADF, also for O_PATH descriptors.
    pub fn get(&self, fd: i32) -> Result<Arc<File>> {
        let file = self.get_any(fd)?;
        if file.is_path_only() {
            err(Errno::EBADF)
        } else {
            Ok(file)
        }
    }

    /// The file of a descriptor of any kind. EBADF.
    pub fn get_any(&self, fd: i32) -> Result<Arc<File>> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.slots.lock().get(index) {
            Some(Some(slot)) => Ok(slot.file.clone()),
            _ => err(Errno::EBADF),
        }
    }

    /// Puts `file` at the lowest free number from `from` on. EMFILE at `limit` (RLIMIT_NOFILE).
    pub fn install(&self, file: Arc<File>, cloexec: bool, from: i32, limit: u64) -> Result<i32> {
        let mut slots = self.slots.lock();
        let from = usize::try_from(from).map_err(|_| Errno::EINVAL)?;
        let lowest = self.lowest.load(Ordering::Relaxed);
        let start = from.max(lowest);
        let index = (start..slots.len())
            .find(|&i| slots[i].is_none())
            .unwrap_or(slots.len().max(start));
        if index as u64 >= limit {
            return err(Errno::EMFILE);
        }
        if index >= slots.len() {
            slots.resize(index + 1, None);
        }
        slots[index] = Some(Slot { file, cloexec });
        if from <= lowest {
            self.lowest.store(index + 1, Ordering::Relaxed);
        }
        Ok(i32::try_from(index).map_err(|_| Errno::EMFILE)?)
    }

    /// Puts `file` at `fd` and returns what was there (drop it without locks). EBADF at `limit`.
    pub fn replace(
        &self,
        fd: i32,
        file: Arc<File>,
        cloexec: bool,
        limit: u64,
    ) -> Result<Option<Arc<File>>> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        if index as u64 >= limit {
            return err(Errno::EBADF);
        }
        let mut slots = self.slots.lock();
        if index >= slots.len() {
            slots.resize(index + 1, None);
        }
        Ok(slots[index]
            .replace(Slot { file, cloexec })
            .map(|old| old.file))
    }

    /// Takes `fd` out. EBADF.
    pub fn remove(&self, fd: i32) -> Result<Arc<File>> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut slots = self.slots.lock();
        match slots.get_mut(index).and_then(Option::take) {
            Some(slot) => {
                self.lowest.fetch_min(index, Ordering::Relaxed);
                Ok(slot.file)
            }
            None => err(Errno::EBADF),
        }
    }

    /// FD_CLOEXEC. EBADF.
    pub fn cloexec(&self, fd: i32) -> Result<bool> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.slots.lock().get(index) {
            Some(Some(slot)) => Ok(slot.cloexec),
            _ => err(Errno::EBADF),
        }
    }

    /// EBADF.
    pub fn set_cloexec(&self, fd: i32, on: bool) -> Result<()> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.slots.lock().get_mut(index) {
            Some(Some(slot)) => {
                slot.cloexec = on;
                Ok(())
            }
            _ => err(Errno::EBADF),
        }
    }

    /// Takes out all that match (execve: close-on-exec). The caller gives them to [`closed`](Self::closed).
    pub fn remove_where(&self, mut which: impl FnMut(i32, bool) -> bool) -> Vec<Arc<File>> {
        let mut slots = self.slots.lock();
        let mut out = Vec::new();
        for (i, slot) in slots.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|s| which(i as i32, s.cloexec)) {
                out.extend(slot.take().map(|s| s.file));
                self.lowest.fetch_min(i, Ordering::Relaxed);
            }
        }
        out
    }

    /// Size of the table as select(2) sees it: a power of two, at least 64, above every open descriptor.
    pub fn capacity(&self) -> usize {
        self.slots.lock().len().next_power_of_two().max(64)
    }

    /// Sets FD_CLOEXEC where `which` says so.
    pub fn mark_cloexec(&self, which: impl Fn(i32) -> bool) {
        for (i, slot) in self.slots.lock().iter_mut().enumerate() {
            if let Some(slot) = slot.as_mut().filter(|_| which(i as i32)) {
                slot.cloexec = true;
            }
        }
    }

    /// What closing a descriptor does once it is out of the table: fs/open.c:filp_flush(). Says what flushing said.
    pub fn closed(&self, file: Arc<File>) -> Result<()> {
        if file.is_path_only() {
            return Ok(());
        }
        let said = file.ops().flush(&file);
        locks::release(file.inode(), Owner::Table(self.id));
        said
    }

    /// Every open descriptor with its file.
    pub fn entries(&self) -> Vec<(i32, Arc<File>, bool)> {
        let slots = self.slots.lock();
        slots
            .iter()
            .enumerate()
            .filter_map(|(i, s)| s.as_ref().map(|s| (i as i32, s.file.clone(), s.cloexec)))
            .collect()
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        let slots = std::mem::take(&mut *self.slots.lock());
        for slot in slots.into_iter().flatten() {
            // The process is gone: nobody is there to hear what flushing says.
            let _ = self.closed(slot.file);
        }
    }
}
