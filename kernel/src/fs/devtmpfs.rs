//! devtmpfs: one tmpfs for the machine that drivers put their nodes into (drivers/base/devtmpfs.c).

use super::tmpfs::{Options, TmpFs};
use crate::error::Result;
use crate::vfs::{FileSystem, InodeKind, NewNode};
use abi::errno::Errno;
use abi::fs::makedev;
use std::sync::{Arc, OnceLock};

static DEV: OnceLock<Arc<TmpFs>> = OnceLock::new();

/// The machine's devtmpfs: every mount shows the same nodes.
pub fn instance() -> Arc<dyn FileSystem> {
    DEV.get_or_init(|| {
        TmpFs::named(
            "devtmpfs",
            Options {
                mode: 0o755,
                ..Options::default()
            },
        )
    })
    .clone()
}

fn node(path: &str, kind: InodeKind, mode: u32, gid: u32, rdev: u64, target: &[u8]) -> Result<()> {
    let mut dir = instance().root();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() {
            let new = NewNode {
                kind: InodeKind::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                rdev: 0,
                target: b"",
            };
            dir = match dir.lookup(part.as_bytes()) {
                Err(e) if e == Errno::ENOENT => dir.create(part.as_bytes(), &new)?,
                found => found?,
            };
        } else {
            dir.create(
                part.as_bytes(),
                &NewNode {
                    kind,
                    mode,
                    uid: 0,
                    gid,
                    rdev,
                    target,
                },
            )?;
        }
    }
    Ok(())
}

/// Adds a character device. `path` relative to /dev. EEXIST.
pub fn add_char(path: &str, major: u32, minor: u32, mode: u32, gid: u32) -> Result<()> {
    node(
        path,
        InodeKind::CharDevice,
        mode,
        gid,
        makedev(major, minor),
        b"",
    )
}

/// Adds a block device. EEXIST.
pub fn add_block(path: &str, major: u32, minor: u32, mode: u32, gid: u32) -> Result<()> {
    node(
        path,
        InodeKind::BlockDevice,
        mode,
        gid,
        makedev(major, minor),
        b"",
    )
}

/// Adds a symbolic link. EEXIST.
pub fn add_link(path: &str, target: &str) -> Result<()> {
    node(path, InodeKind::Symlink, 0o777, 0, 0, target.as_bytes())
}

/// Removes a node that was added; nothing when it isn't there.
pub fn remove(path: &str) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut inode = instance().root();
    for part in dir.split('/').filter(|p| !p.is_empty()) {
        match inode.lookup(part.as_bytes()) {
            Ok(next) => inode = next,
            Err(_) => return,
        }
    }
    // The guest may have removed it before.
    let _gone = inode.unlink(name.as_bytes());
}

/// The nodes of the kernel's own devices, and the links and mount points that udev would make.
pub fn populate() -> Result<()> {
    for (name, minor) in [
        ("null", 3),
        ("zero", 5),
        ("full", 7),
        ("random", 8),
        ("urandom", 9),
    ] {
        add_char(name, 1, minor, 0o666, 0)?;
    }
    add_char("kmsg", 1, 11, 0o644, 0)?;
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
        ("core", "/proc/kcore"),
    ] {
        add_link(name, target)?;
    }
    for dir in ["pts", "shm", "mqueue"] {
        let new = NewNode {
            kind: InodeKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: b"",
        };
        instance().root().create(dir.as_bytes(), &new)?;
    }
    Ok(())
}
