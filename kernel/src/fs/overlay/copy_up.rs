//! Copying an object from the lower layer to the upper one, before it is changed.

use super::{ESCAPED_PREFIX, ORIGIN, OvlInode, PRIVATE_PREFIX};
use crate::error::{Result, err};
use crate::vfs::{Inode, InodeKind, NewNode, SetAttr, Sink, Source, TimeSet};
use abi::errno::Errno;
use std::sync::Arc;

const CHUNK: usize = 256 << 10;

impl OvlInode {
    /// The upper inode, made from the lower one if it isn't there. `content`: false when the file is truncated anyway.
    pub(super) fn copy_up(&self, content: bool) -> Result<Arc<dyn Inode>> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let fs = self.fs()?;
        // Parents first, outermost first, so that the mutex isn't taken twice.
        let mut chain = Vec::new();
        let mut next = self.place.lock().as_ref().map(|p| p.parent.clone());
        while let Some(dir) = next.filter(|dir| dir.upper().is_none()) {
            next = dir.place.lock().as_ref().map(|p| p.parent.clone());
            chain.push(dir);
        }
        let copying = fs.copying.lock();
        for dir in chain.iter().rev() {
            dir.copy_one(true)?;
        }
        let upper = self.copy_one(content)?;
        drop(copying);
        Ok(upper)
    }

    fn copy_one(&self, content: bool) -> Result<Arc<dyn Inode>> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let Some(lower) = &self.lower else {
            return err(Errno::ENOENT);
        };
        let (dir, name) = match &*self.place.lock() {
            Some(place) => (place.parent.clone(), place.name.clone()),
            None => return err(Errno::EROFS),
        };
        let Some(dir) = dir.upper() else {
            return err(Errno::EROFS);
        };
        let meta = lower.metadata()?;
        let target = if lower.kind() == InodeKind::Symlink {
            lower.read_link()?
        } else {
            Vec::new()
        };
        let new = NewNode {
            kind: lower.kind(),
            mode: meta.mode & 0o7777,
            uid: meta.uid,
            gid: meta.gid,
            rdev: meta.rdev,
            target: &target,
        };
        // Content goes into a nameless file first: a failure leaves nothing behind.
        let upper = if lower.kind() == InodeKind::Regular {
            let file = dir.create_unnamed(&new)?;
            if content {
                copy_content(lower, &file)?;
            }
            dir.link(&name, &file)?;
            file
        } else {
            dir.create(&name, &new)?
        };
        for attribute in lower.list_xattr().unwrap_or_default() {
            // Those tell of a layer that was written to once.
            if attribute.starts_with(PRIVATE_PREFIX) && !attribute.starts_with(ESCAPED_PREFIX) {
                continue;
            }
            if let Ok(value) = lower.get_xattr(&attribute) {
                upper.set_xattr(&attribute, &value, 0)?;
            }
        }
        upper.set_xattr(ORIGIN, &meta.ino.to_le_bytes(), 0)?;
        upper.set_attr(&SetAttr {
            atime: Some(TimeSet::To(meta.atime)),
            mtime: Some(TimeSet::To(meta.mtime)),
            ..SetAttr::default()
        })?;
        *self.upper.lock() = Some(upper.clone());
        Ok(upper)
    }
}

fn copy_content(from: &Arc<dyn Inode>, to: &Arc<dyn Inode>) -> Result<()> {
    let (Some(from), Some(to)) = (from.mapping(), to.mapping()) else {
        return err(Errno::EIO);
    };
    let mut buf = vec![0u8; CHUNK];
    let mut offset = 0;
    loop {
        let got = from.read(&mut Sink::kernel(&mut buf), offset)?;
        if got == 0 {
            return Ok(());
        }
        let put = to.write(&mut Source::kernel(&buf[..got]), offset)?;
        if put != got {
            return err(Errno::ENOSPC);
        }
        offset += got as u64;
    }
}
