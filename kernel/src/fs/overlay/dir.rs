//! Reading merged directories.

use super::{OvlInode, is_whiteout};
use crate::error::{Result, err};
use crate::fs::{FIRST_POSITION, emit_dots};
use crate::sync::{Lock, PollTable, Rank};
use crate::vfs::{DirEntry, DirSink, DirentType, File, FileOps, Inode, PollEvents, Sink};
use abi::errno::Errno;
use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

/// A record kept for a snapshot.
pub(super) struct Name {
    pub name: Box<[u8]>,
    pub ino: u64,
    pub kind: DirentType,
}

/// All records of a layer's directory.
pub(super) fn names(dir: &Arc<dyn Inode>) -> Result<Vec<Name>> {
    let mut out = Vec::new();
    dir.read_dir(FIRST_POSITION, &mut |entry: DirEntry<'_>| {
        out.push(Name {
            name: entry.name.into(),
            ino: entry.ino,
            kind: entry.kind,
        });
        true
    })?;
    Ok(out)
}

impl OvlInode {
    /// The records that show: upper ones without whiteouts, then lower ones that nothing hides.
    pub(super) fn merged_names(&self) -> Result<Vec<Name>> {
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        if let Some(upper) = self.upper() {
            for mut name in names(&upper)? {
                let inode = upper.lookup(&name.name);
                seen.insert(name.name.clone());
                if let Ok(inode) = inode
                    && !is_whiteout(&inode)
                {
                    name.ino = self.lookup(&name.name)?.metadata()?.ino;
                    out.push(name);
                }
            }
        }
        if let Some(lower) = self.lower_dir() {
            out.extend(
                names(lower)?
                    .into_iter()
                    .filter(|name| !seen.contains(&name.name)),
            );
        }
        Ok(out)
    }
}

/// An open directory. A merged one is read as it was when reading began (as Linux's readdir cache).
pub(super) struct OvlDir {
    inode: Arc<OvlInode>,
    snapshot: Lock<Option<Arc<Vec<Name>>>>,
}

impl OvlDir {
    pub fn new(inode: Arc<OvlInode>) -> OvlDir {
        OvlDir {
            inode,
            snapshot: Lock::new(Rank::LEAF, None),
        }
    }

    fn snapshot(&self, fresh: bool) -> Result<Arc<Vec<Name>>> {
        let kept = self.snapshot.lock().clone();
        match kept {
            Some(names) if !fresh => Ok(names),
            _ => {
                let names = Arc::new(self.inode.merged_names()?);
                *self.snapshot.lock() = Some(names.clone());
                Ok(names)
            }
        }
    }
}

impl FileOps for OvlDir {
    fn seekable(&self) -> bool {
        true
    }

    fn read(&self, _file: &File, _sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        err(Errno::EISDIR)
    }

    fn poll(&self, _file: &File, _table: Option<&mut PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    fn read_dir(&self, file: &File, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        if !emit_dots(file, offset, sink)? {
            return Ok(());
        }
        let start = offset.max(FIRST_POSITION) - FIRST_POSITION;
        let names = self.snapshot(offset == 0)?;
        for (i, name) in names
            .iter()
            .enumerate()
            .skip(usize::try_from(start).unwrap_or(usize::MAX))
        {
            let next = FIRST_POSITION + i as u64 + 1;
            if !sink(DirEntry {
                ino: name.ino,
                next,
                kind: name.kind,
                name: &name.name,
            }) {
                break;
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
