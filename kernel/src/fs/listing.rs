//! Directories that are read as they were when reading began, as Linux's overlayfs does (fs/overlayfs/readdir.c): their
//! records come from somewhere else and have no lasting positions of their own.

use super::{FIRST_POSITION, Records};
use crate::error::Result;
use crate::sync::{Lock, Rank};
use crate::vfs::{DirEntry, DirSink, DirentType, File};
use std::sync::Arc;

struct Record {
    ino: u64,
    /// Where its name ends in the text of all names.
    end: usize,
    kind: DirentType,
}

/// All records of a directory but `.` and `..`, the names in one piece.
#[derive(Default)]
pub struct Listing {
    names: Vec<u8>,
    records: Vec<Record>,
}

/// One record of a [`Listing`].
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    pub name: &'a [u8],
    pub ino: u64,
    pub kind: DirentType,
}

impl Listing {
    pub fn push(&mut self, name: &[u8], ino: u64, kind: DirentType) {
        self.names.extend_from_slice(name);
        let end = self.names.len();
        self.records.push(Record { ino, end, kind });
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records from number `start` on.
    pub fn iter_from(&self, start: usize) -> impl Iterator<Item = Listed<'_>> {
        let before = start.min(self.records.len());
        let mut from = before.checked_sub(1).map_or(0, |i| self.records[i].end);
        self.records[before..].iter().map(move |record| {
            let name = &self.names[from..record.end];
            from = record.end;
            Listed {
                name,
                ino: record.ino,
                kind: record.kind,
            }
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        self.iter_from(0)
    }

    /// Gives the records from position `offset` on, as [`Inode::read_dir`](crate::vfs::Inode::read_dir) does.
    pub fn emit(&self, offset: u64, sink: &mut DirSink<'_>) {
        let offset = offset.max(FIRST_POSITION);
        let start = usize::try_from(offset - FIRST_POSITION).unwrap_or(usize::MAX);
        for (next, record) in (offset.saturating_add(1)..).zip(self.iter_from(start)) {
            let taken = sink(DirEntry {
                ino: record.ino,
                next,
                kind: record.kind,
                name: record.name,
            });
            if !taken {
                return;
            }
        }
    }
}

/// A directory that can tell all its records at once.
pub trait List: Send + Sync + 'static {
    fn list(&self) -> Result<Listing>;
}

/// The records of an open one.
pub struct Snapshot<T> {
    dir: Arc<T>,
    kept: Lock<Option<Arc<Listing>>>,
}

impl<T: List> Snapshot<T> {
    pub fn new(dir: Arc<T>) -> Snapshot<T> {
        Snapshot {
            dir,
            kept: Lock::new(Rank::LEAF, None),
        }
    }

    fn listing(&self, fresh: bool) -> Result<Arc<Listing>> {
        let kept = self.kept.lock().clone();
        match kept {
            Some(names) if !fresh => Ok(names),
            _ => {
                let names = Arc::new(self.dir.list()?);
                let old = self.kept.lock().replace(names.clone());
                drop(old);
                Ok(names)
            }
        }
    }
}

impl<T: List> Records for Snapshot<T> {
    fn records(
        &self,
        _file: &File,
        from_start: bool,
        offset: u64,
        sink: &mut DirSink<'_>,
    ) -> Result<()> {
        self.listing(from_start)?.emit(offset, sink);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_continue_where_the_sink_was_full() {
        let mut listing = Listing::default();
        for (i, name) in [&b"a"[..], b"", b"longer", b"z"].into_iter().enumerate() {
            listing.push(name, i as u64, DirentType(8));
        }
        let mut seen = Vec::new();
        let mut offset = 0;
        loop {
            let before = seen.len();
            let mut room = 1;
            listing.emit(offset, &mut |entry| {
                if room == 0 {
                    return false;
                }
                room -= 1;
                seen.push((entry.name.to_vec(), entry.ino));
                offset = entry.next;
                true
            });
            if seen.len() == before {
                break;
            }
        }
        let expected: Vec<_> = listing.iter().map(|r| (r.name.to_vec(), r.ino)).collect();
        assert_eq!(seen, expected);
        assert_eq!(seen.len(), 4);
    }
}
