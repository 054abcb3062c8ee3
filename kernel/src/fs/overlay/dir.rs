//! What a directory of two layers shows.

use super::inode::downcast;
use super::{OPAQUE, OvlInode, is_whiteout};
use crate::error::Result;
use crate::fs::FIRST_POSITION;
use crate::fs::listing::{List, Listed, Listing};
use crate::vfs::{DirEntry, DirentType, Inode, InodeKind};
use std::collections::HashMap;
use std::sync::Arc;

/// All records of a layer's directory.
pub(super) fn names(dir: &Arc<dyn Inode>) -> Result<Listing> {
    if let Ok(overlay) = downcast(dir) {
        return overlay.list();
    }
    let mut out = Listing::default();
    dir.read_dir(FIRST_POSITION, &mut |entry: DirEntry<'_>| {
        out.push(entry.name, entry.ino, entry.kind);
        true
    })?;
    Ok(out)
}

impl List for OvlInode {
    /// Upper records without whiteouts, then lower ones that nothing hides. Lower names are never looked up one by one:
    /// each would be a call to the host.
    fn list(&self) -> Result<Listing> {
        let lower = match self.lower_dir() {
            Some(dir) => names(dir)?,
            None => Listing::default(),
        };
        let upper = match self.upper() {
            Some(dir) => Some((names(&dir)?, dir)),
            None => None,
        };
        let Some((upper, dir)) = upper.filter(|(upper, _)| !upper.is_empty()) else {
            return Ok(lower);
        };
        let fs = self.fs()?;
        let mut below: HashMap<&[u8], Listed<'_>> = lower.iter().map(|r| (r.name, r)).collect();
        let mut out = Listing::default();
        for record in upper.iter() {
            let covered = below.remove(record.name);
            let Ok(inode) = dir.lookup(record.name) else {
                continue;
            };
            if is_whiteout(&inode) {
                continue;
            }
            // A merged directory goes by its lower number.
            let merged = covered.filter(|_| {
                inode.kind() == InodeKind::Directory && inode.get_xattr(OPAQUE).is_err()
            });
            let ino = match merged {
                Some(lower) if lower.kind == InodeKind::Directory.dirent_type() => lower.ino,
                // A layer that doesn't tell kinds.
                Some(lower) if lower.kind == DirentType(0) => {
                    self.lookup(record.name)?.metadata()?.ino
                }
                _ => fs.shown_ino(fs.upper_key(&inode)?),
            };
            out.push(record.name, ino, record.kind);
        }
        for record in lower.iter().filter(|r| below.contains_key(r.name)) {
            out.push(record.name, record.ino, record.kind);
        }
        Ok(out)
    }
}
