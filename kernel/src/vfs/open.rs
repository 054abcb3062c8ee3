//! Opening: from a path and flags to an open file (fs/namei.c:do_open(), fs/open.c:do_dentry_open()).

use super::create::new_node;
use super::perm::{MAY_EXEC, MAY_READ, MAY_WRITE, inode_permission, is_owner, path_permission};
use super::walk::{Actor, Last, LookupFlags, Walk, lookup_locked};
use super::{Dentry, File, FileOps, InodeKind, Path, attr, device};
use crate::error::{Result, err};
use crate::task::Task;
use abi::errno::Errno;
use abi::fs::{OpenFlags, ResolveFlags};
use std::any::Any;
use std::sync::Arc;

/// What open(2) and openat2(2) were asked for, as they come; [`How::new`] checks it.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub flags: OpenFlags,
    /// Permission bits of a new file, before the umask.
    pub mode: u32,
    pub resolve: ResolveFlags,
}

/// The bit of O_TMPFILE that is its own.
const TMPFILE_BIT: OpenFlags = OpenFlags::O_TMPFILE.difference(OpenFlags::O_DIRECTORY);
const PATH_FLAGS: OpenFlags = OpenFlags::O_DIRECTORY
    .union(OpenFlags::O_NOFOLLOW)
    .union(OpenFlags::O_PATH)
    .union(OpenFlags::O_CLOEXEC);

impl How {
    /// fs/open.c:build_open_flags() for flags that were already cleaned of unknown bits. EINVAL.
    pub fn new(flags: OpenFlags, mode: u32, resolve: ResolveFlags) -> Result<How> {
        let mut flags = flags.intersection(OpenFlags::all());
        let mut mode = mode & 0o7777;
        if !flags.intersects(OpenFlags::O_CREAT | TMPFILE_BIT) {
            mode = 0;
        }
        if flags.intersects(TMPFILE_BIT) {
            if !flags.contains(OpenFlags::O_DIRECTORY)
                || flags.contains(OpenFlags::O_CREAT)
                || !flags.writable()
            {
                return err(Errno::EINVAL);
            }
        } else if flags.contains(OpenFlags::O_DIRECTORY | OpenFlags::O_CREAT) {
            return err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::O_PATH) {
            flags = flags.intersection(PATH_FLAGS);
            mode = 0;
        }
        Ok(How {
            flags,
            mode,
            resolve,
        })
    }

    fn access(&self) -> u32 {
        let mut mask = match self.flags.bits() & 3 {
            0 => MAY_READ,
            1 => MAY_WRITE,
            _ => MAY_READ | MAY_WRITE,
        };
        if self.flags.contains(OpenFlags::O_TRUNC) {
            mask |= MAY_WRITE;
        }
        mask
    }
}

/// Opens `path` for `task` as open(2) does, from its working directory.
pub fn open(task: &Task, path: &[u8], flags: OpenFlags, mode: u32) -> Result<Arc<File>> {
    open_at(
        &Actor::of(task),
        None,
        path,
        How::new(flags, mode, ResolveFlags::empty())?,
    )
}

/// Opens `path` for `actor`, from `start` (or the working directory) when it is relative.
pub fn open_at(actor: &Actor, start: Option<&Path>, path: &[u8], how: How) -> Result<Arc<File>> {
    let mut lookup = LookupFlags::empty();
    lookup.set(
        LookupFlags::FOLLOW,
        !how.flags.contains(OpenFlags::O_NOFOLLOW),
    );
    lookup.set(
        LookupFlags::DIRECTORY,
        how.flags.contains(OpenFlags::O_DIRECTORY),
    );
    let walk = Walk::new(actor, start, path, lookup, how.resolve)?;
    if how.flags.intersects(TMPFILE_BIT) {
        return open_tmpfile(actor, &walk.finish()?, how);
    }
    if !how.flags.contains(OpenFlags::O_CREAT) {
        let place = walk.finish()?;
        return open_checked(actor, &place, how, false);
    }
    let (place, created) = find_or_create(walk, how)?;
    open_checked(actor, &place, how, created)
}

/// fs/namei.c:open_last_lookups() with O_CREAT: the file there, or a new one (true).
fn find_or_create(mut walk: Walk<'_>, how: How) -> Result<(Path, bool)> {
    if how.flags.contains(OpenFlags::O_EXCL) {
        walk.flags.remove(LookupFlags::FOLLOW);
    }
    loop {
        let Last::Name(name) = walk.to_parent()? else {
            let exclusive = how.flags.contains(OpenFlags::O_EXCL);
            return err(if exclusive {
                Errno::EEXIST
            } else {
                Errno::EISDIR
            });
        };
        if walk.trailing {
            return err(Errno::EISDIR);
        }
        let Some(child) = walk.child(name.clone())? else {
            let place = create_last(&walk, walk.name(&name), how)?;
            match place {
                Some(place) => return Ok((place, true)),
                // Somebody else made it meanwhile.
                None => {
                    walk.rewind(&name);
                    continue;
                }
            }
        };
        if how.flags.contains(OpenFlags::O_EXCL) {
            return err(Errno::EEXIST);
        }
        match child.inode().kind() {
            InodeKind::Directory => return err(Errno::EISDIR),
            InodeKind::Symlink if walk.flags.contains(LookupFlags::FOLLOW) => walk.follow(child)?,
            _ => return Ok((child, false)),
        }
    }
}

fn create_last(walk: &Walk<'_>, name: &[u8], how: How) -> Result<Option<Path>> {
    let dir = &walk.at;
    let inode = dir.inode();
    let _content = dir.dentry.lock_content();
    let dentry = lookup_locked(&dir.dentry, &inode, dir.mount.fs.needs_revalidate(), name)?;
    if dentry.inode().is_some() {
        return Ok(None);
    }
    dir.mount.want_write()?;
    inode_permission(&walk.actor.cred, &*inode, MAY_WRITE | MAY_EXEC)?;
    let meta = inode.metadata()?;
    let new = new_node(walk.actor, &meta, InodeKind::Regular, how.mode);
    let child = inode.create(name, &new)?;
    let dentry = dir.dentry.bind(name, Some(child));
    super::notify::created(&dir.dentry, name, false);
    Ok(Some(dir.with(dentry)))
}

fn open_tmpfile(actor: &Actor, dir: &Path, how: How) -> Result<Arc<File>> {
    let inode = dir.inode();
    if inode.kind() != InodeKind::Directory {
        return err(Errno::ENOTDIR);
    }
    dir.mount.want_write()?;
    inode_permission(&actor.cred, &*inode, MAY_WRITE | MAY_EXEC)?;
    let new = new_node(actor, &inode.metadata()?, InodeKind::Regular, how.mode);
    let file = inode.create_unnamed(&new)?;
    let name = format!("#{}", file.metadata()?.ino);
    let linkable = !how.flags.contains(OpenFlags::O_EXCL);
    let place = dir.with(Dentry::unlinked_in(
        &dir.dentry,
        name.as_bytes(),
        file,
        linkable,
    ));
    open_path(&place, how.flags)
}

/// fs/namei.c:do_open(): the checks, the file, and O_TRUNC.
fn open_checked(actor: &Actor, place: &Path, how: How, created: bool) -> Result<Arc<File>> {
    let inode = place.inode();
    let kind = inode.kind();
    if how.flags.contains(OpenFlags::O_PATH) {
        return open_path(place, how.flags);
    }
    let mut truncate = how.flags.contains(OpenFlags::O_TRUNC) && !created;
    match kind {
        InodeKind::Symlink => return err(Errno::ELOOP),
        InodeKind::Directory if how.access() & MAY_WRITE != 0 => return err(Errno::EISDIR),
        InodeKind::CharDevice | InodeKind::BlockDevice if place.mount.nodev() => {
            return err(Errno::EACCES);
        }
        InodeKind::Regular => {}
        _ => truncate = false,
    }
    if !created {
        path_permission(&actor.cred, place, how.access())?;
    }
    if super::flags::is_append(&*inode)
        && (how.flags.writable() && !how.flags.contains(OpenFlags::O_APPEND)
            || how.flags.contains(OpenFlags::O_TRUNC))
    {
        return err(Errno::EPERM);
    }
    if how.flags.contains(OpenFlags::O_NOATIME) && !is_owner(&actor.cred, &inode.metadata()?) {
        return err(Errno::EPERM);
    }
    if kind == InodeKind::Regular && (how.access() & MAY_WRITE != 0) {
        place.mount.want_write()?;
    }
    let file = open_path(place, how.flags)?;
    if truncate {
        attr::truncate_opened(&actor.cred, &file)?;
    }
    Ok(file)
}

/// Opens the file at `path` without any check of permission.
pub fn open_path(path: &Path, flags: OpenFlags) -> Result<Arc<File>> {
    if flags.contains(OpenFlags::O_PATH) {
        return Ok(File::new(path.clone(), Box::new(PathOnly), flags));
    }
    let inode = path.inode();
    let kind = inode.kind();
    let counts =
        kind == InodeKind::Regular && flags.intersects(OpenFlags::O_WRONLY | OpenFlags::O_RDWR);
    if counts {
        super::access::check_not_running(&inode)?;
    }
    if kind == InodeKind::Regular {
        let nonblocking = flags.contains(OpenFlags::O_NONBLOCK);
        super::lease::break_for(&inode, flags.writable(), nonblocking)?;
    }
    let ops = match kind {
        InodeKind::Regular | InodeKind::Directory => inode.open(flags)?,
        InodeKind::Symlink => return err(Errno::ELOOP),
        InodeKind::CharDevice | InodeKind::BlockDevice => device::open(path, &*inode, flags)?,
        InodeKind::Fifo => device::open_fifo(path, flags)?,
        InodeKind::Socket => return err(Errno::ENXIO),
    };
    let file = File::new(path.clone(), ops, flags);
    if counts {
        super::access::writes(&file)?;
    } else if kind == InodeKind::Regular {
        super::access::reads(&file);
    }
    super::notify::opened(&file);
    Ok(file)
}

/// A descriptor that only names a place (O_PATH).
struct PathOnly;

impl FileOps for PathOnly {
    fn as_any(&self) -> &dyn Any {
        self
    }
}
