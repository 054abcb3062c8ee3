//! The overlay as mount(2) makes it: `lowerdir=`, `upperdir=`, `workdir=` (fs/overlayfs/params.c).

use super::OverlayFs;
use crate::error::{Result, err};
use crate::vfs::{FileSystem, LookupFlags, Path, lookup, register_filesystem};
use abi::errno::Errno;
use abi::fs::AT_FDCWD;
use std::sync::Arc;

/// Makes `overlay` known to mount(2).
pub fn register() {
    register_filesystem("overlay", false, |_source, data, _flags| construct(data));
}

fn directory(path: &str) -> Result<Path> {
    let task = crate::sched::current();
    let flags = LookupFlags::FOLLOW | LookupFlags::DIRECTORY;
    lookup(&task, AT_FDCWD, path.as_bytes(), flags)
}

/// EINVAL without a lower or an upper directory, or with more than one lower: this overlay has two layers.
fn construct(data: &[u8]) -> Result<Arc<dyn FileSystem>> {
    let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    let (mut lower, mut upper, mut work) = (None, None, None);
    for word in text.split(',').filter(|w| !w.is_empty()) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "lowerdir" => lower = Some(value),
            "upperdir" => upper = Some(value),
            "workdir" => work = Some(value),
            "index" | "xino" | "redirect_dir" | "metacopy" | "nfs_export" | "uuid"
                if value == "off" => {}
            _ => return err(Errno::EINVAL),
        }
    }
    let lower = lower.filter(|l| !l.contains(':')).ok_or(Errno::EINVAL)?;
    let lower_at = directory(lower)?;
    let (Some(upper), Some(work)) = (upper, work) else {
        return err(Errno::EINVAL);
    };
    let (upper_at, work_at) = (directory(upper)?, directory(work)?);
    if !Arc::ptr_eq(&upper_at.mount, &work_at.mount) {
        return err(Errno::EINVAL);
    }
    upper_at.mount.want_write()?;
    let options = format!(",lowerdir={lower},upperdir={upper},workdir={work}");
    let fs = OverlayFs::new(
        upper_at.mount.fs.clone(),
        upper_at.inode(),
        lower_at.mount.fs.clone(),
        lower_at.inode(),
        options,
    )?;
    Ok(fs)
}
