//! The overlay as mount(2) makes it: `lowerdir=`, `upperdir=`, `workdir=` (fs/overlayfs/params.c).

use super::dir::names;
use super::{Layer, OverlayFs, UPPER, find};
use crate::error::{Error, Result, err};
use crate::vfs::{
    FileSystem, Inode, InodeKind, LookupFlags, NewNode, Parameters, Path, lookup,
    register_with_parameters,
};
use abi::errno::Errno;
use abi::fs::AT_FDCWD;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Lower layers that inode numbers keep apart.
const MAX_LOWER: usize = 128;
/// In `work`: names of features for which the overlay can't be mounted again.
const INCOMPAT: &[u8] = b"incompat";

/// Makes `overlay` known to mount(2).
pub fn register() {
    let parameters = Parameters {
        names: &[
            "lowerdir",
            "upperdir",
            "workdir",
            "index",
            "xino",
            "metacopy",
            "nfs_export",
            "uuid",
            "redirect_dir",
            "volatile",
        ],
        check: |_| Ok(()),
    };
    register_with_parameters("overlay", false, parameters, |_source, data, _flags| {
        construct(data)
    });
}

fn directory(path: &str) -> Result<Path> {
    let task = crate::sched::current();
    let path = lookup(&task, AT_FDCWD, path.as_bytes(), LookupFlags::FOLLOW)?;
    if path.inode().kind() == InodeKind::Directory {
        Ok(path)
    } else {
        err(Errno::EINVAL)
    }
}

/// `a:b:c`, where a backslash takes the meaning from a colon.
fn split(list: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = list.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => out.push(String::new()),
            '\\' => out.last_mut().expect("never empty").extend(chars.next()),
            _ => out.last_mut().expect("never empty").push(c),
        }
    }
    out
}

impl Layer {
    fn at(path: &Path) -> Layer {
        Layer {
            fs: path.mount.fs.clone(),
            top: path.inode(),
        }
    }

    fn of(fs: Arc<OverlayFs>) -> Layer {
        Layer { top: fs.root(), fs }
    }
}

/// The object `name` in `dir`, made when there is none.
fn make(dir: &Arc<dyn Inode>, name: &[u8], kind: InodeKind) -> Result<Arc<dyn Inode>> {
    if let Some(there) = find(dir, name)? {
        return Ok(there);
    }
    let node = NewNode {
        kind,
        mode: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        target: b"",
    };
    dir.create(name, &node)
}

/// The directory `work` in the work directory, as Linux leaves it there. EINVAL when the last overlay there was one that
/// can't be mounted again: fs/overlayfs/readdir.c:ovl_workdir_cleanup().
fn make_work(dir: &Arc<dyn Inode>, volatile: bool) -> Result<()> {
    let work = make(dir, b"work", InodeKind::Directory)?;
    if let Some(incompat) = find(&work, INCOMPAT)?
        && let Some(feature) = names(&incompat)?.iter().next()
    {
        let feature = String::from_utf8_lossy(feature.name);
        crate::pr_err!("overlay: overlay with incompat feature '{feature}' cannot be mounted");
        return err(Errno::EINVAL);
    }
    if volatile {
        let incompat = make(&work, INCOMPAT, InodeKind::Directory)?;
        let mark = make(&incompat, b"volatile", InodeKind::Directory)?;
        make(&mark, b"dirty", InodeKind::Regular)?;
    }
    Ok(())
}

fn check_upper(upper: &Path, work: &Path) -> Result<()> {
    let nested =
        upper.dentry.is_ancestor_of(&work.dentry) || work.dentry.is_ancestor_of(&upper.dentry);
    if nested || !Arc::ptr_eq(&upper.mount, &work.mount) || upper.mount.fs.name() == "overlay" {
        return err(Errno::EINVAL);
    }
    upper.mount.want_write()
}

/// Layers are laid over each other in pairs: all lower ones together are the lower layer of the last overlay. EINVAL
/// without a lower layer, or one alone; for an upper directory without a work directory beside it, or on an overlay.
fn construct(data: &[u8]) -> Result<Arc<dyn FileSystem>> {
    let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    let (mut lower, mut upper, mut work, mut volatile) = (None, None, None, false);
    for word in text.split(',').filter(|w| !w.is_empty()) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("lowerdir", _) => lower = Some(value),
            ("upperdir", _) => upper = Some(value),
            ("workdir", _) => work = Some(value),
            ("volatile", "") => volatile = true,
            ("index" | "xino" | "metacopy" | "nfs_export" | "uuid", "off")
            | ("redirect_dir", "off" | "nofollow") => {}
            _ => {
                crate::pr_err!("overlay: mount option '{word}' is unknown, or not there");
                return err(Errno::EINVAL);
            }
        }
    }
    let lower = lower.ok_or(Errno::EINVAL)?;
    let names = split(lower);
    if names.len() > MAX_LOWER || names.iter().any(String::is_empty) {
        return err(Errno::EINVAL);
    }
    let mut layers = names
        .iter()
        .map(|name| Ok(Layer::at(&directory(name)?)))
        .collect::<Result<Vec<Layer>>>()?;
    let upper = match (upper, work) {
        (Some(upper), Some(work)) => {
            let (upper_at, work_at) = (directory(upper)?, directory(work)?);
            check_upper(&upper_at, &work_at)?;
            make_work(&work_at.inode(), volatile)?;
            let last = if volatile { ",volatile" } else { "" };
            let shown = format!(",lowerdir={lower},upperdir={upper},workdir={work}{last}");
            Some((Layer::at(&upper_at), shown))
        }
        (Some(_), None) => return err(Errno::EINVAL),
        (None, _) if layers.len() < 2 => return err(Errno::EINVAL),
        (None, _) => None,
    };
    let last = usize::from(upper.is_none());
    let mut below = layers.pop().ok_or_else(|| Error::new(Errno::EINVAL))?;
    let mut tag = 1;
    while layers.len() > last {
        let over = layers.pop().ok_or_else(|| Error::new(Errno::EINVAL))?;
        below = Layer::of(OverlayFs::lay(over, below, tag << 56, String::new())?);
        tag += 1;
    }
    let fs = match upper {
        Some((upper, shown)) => {
            let fs = OverlayFs::lay(upper, below, UPPER, shown)?;
            fs.volatile.store(volatile, Ordering::Relaxed);
            fs
        }
        None => {
            let over = layers.pop().ok_or_else(|| Error::new(Errno::EINVAL))?;
            OverlayFs::lay(over, below, tag << 56, format!(",lowerdir={lower}"))?
        }
    };
    Ok(fs)
}
