//! Path walk (fs/namei.c): from text to a place, component by component through the dentry cache.

use super::perm::may_search;
use super::{Dentry, Inode, InodeKind, Path, mount};
use crate::error::{Result, err};
use crate::task::{Cred, Task};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, MAXSYMLINKS, NAME_MAX, PATH_MAX, ResolveFlags};
use abi::mount::MountFlags;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

bitflags::bitflags! {
    /// How the last component is treated.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct LookupFlags: u32 {
        /// A symbolic link at the end is followed.
        const FOLLOW = 1;
        /// ENOTDIR unless it is a directory.
        const DIRECTORY = 2;
        /// An empty path is the starting place itself (AT_EMPTY_PATH).
        const EMPTY = 4;
        /// Don't step onto what is mounted at the end (umount's last component excepted by the caller).
        const NO_MOUNT = 8;
    }
}

/// On whose behalf, and from where, paths are walked.
#[derive(Clone)]
pub struct Actor {
    pub cred: Arc<Cred>,
    pub root: Path,
    pub cwd: Path,
    pub umask: u32,
}

impl Actor {
    pub fn of(task: &Task) -> Actor {
        let fs = task.fs();
        let paths = fs.inner.read();
        let (root, cwd) = (paths.root.clone(), paths.cwd.clone());
        drop(paths);
        Actor {
            cred: task.cred(),
            root,
            cwd,
            umask: fs.umask(),
        }
    }

    /// As `of`, judged by the real ids and, without them being root's, without capabilities (access(2)).
    pub fn of_real(task: &Task) -> Actor {
        let mut actor = Actor::of(task);
        let mut cred = (*actor.cred).clone();
        cred.fsuid = cred.uid;
        cred.fsgid = cred.gid;
        cred.effective = if cred.uid == 0 {
            cred.permitted
        } else {
            crate::task::CapSet::EMPTY
        };
        actor.cred = Arc::new(cred);
        actor
    }
}

/// The last component of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Last {
    /// The path was nothing but slashes.
    Root,
    Dot,
    DotDot,
    Name(Range<usize>),
}

/// A walk under way.
pub struct Walk<'a> {
    pub actor: &'a Actor,
    root: Path,
    pub at: Path,
    text: Cow<'a, [u8]>,
    position: usize,
    links: usize,
    pub flags: LookupFlags,
    resolve: ResolveFlags,
    /// Slashes follow the last component.
    pub trailing: bool,
}

impl<'a> Walk<'a> {
    /// A walk of `text` from `start` (for relative paths). ENOENT for an empty path, EXDEV when the resolve flags
    /// forbid an absolute one.
    pub fn new(
        actor: &'a Actor,
        start: Option<&Path>,
        text: &'a [u8],
        flags: LookupFlags,
        resolve: ResolveFlags,
    ) -> Result<Walk<'a>> {
        if text.len() >= PATH_MAX {
            return err(Errno::ENAMETOOLONG);
        }
        let scoped =
            resolve.intersects(ResolveFlags::RESOLVE_BENEATH | ResolveFlags::RESOLVE_IN_ROOT);
        let start = start.unwrap_or(&actor.cwd);
        let root = if scoped { start } else { &actor.root };
        let absolute = text.first() == Some(&b'/');
        if absolute && resolve.contains(ResolveFlags::RESOLVE_BENEATH) {
            return err(Errno::EXDEV);
        }
        if text.is_empty() && !flags.contains(LookupFlags::EMPTY) {
            return err(Errno::ENOENT);
        }
        Ok(Walk {
            actor,
            root: root.clone(),
            at: if absolute {
                root.clone()
            } else {
                start.clone()
            },
            text: Cow::Borrowed(text),
            position: 0,
            links: 0,
            flags,
            resolve,
            trailing: false,
        })
    }

    /// The bytes of a last component.
    pub fn name(&self, range: &Range<usize>) -> &[u8] {
        &self.text[range.clone()]
    }

    /// Walks all components but the last; `at` is then the directory of the last.
    pub fn to_parent(&mut self) -> Result<Last> {
        loop {
            let skip = |text: &[u8], from: usize| {
                text[from..]
                    .iter()
                    .position(|b| *b != b'/')
                    .map_or(text.len(), |n| from + n)
            };
            let start = skip(&self.text, self.position);
            if start == self.text.len() {
                self.trailing = false;
                return Ok(Last::Root);
            }
            let end = self.text[start..]
                .iter()
                .position(|b| *b == b'/')
                .map_or(self.text.len(), |n| start + n);
            let next = skip(&self.text, end);
            let inode = self.at.inode();
            if inode.kind() != InodeKind::Directory {
                return err(Errno::ENOTDIR);
            }
            may_search(&self.actor.cred, &*inode)?;
            let last = match &self.text[start..end] {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                name if name.len() > NAME_MAX => return err(Errno::ENAMETOOLONG),
                _ => Last::Name(start..end),
            };
            self.position = next;
            if next == self.text.len() {
                self.trailing = end != next;
                return Ok(last);
            }
            match last {
                Last::DotDot => self.dotdot()?,
                Last::Name(name) => {
                    let child = self.child_at(&inode, name)?.ok_or(Errno::ENOENT)?;
                    self.enter(child)?;
                }
                Last::Dot | Last::Root => {}
            }
        }
    }

    /// Goes to a child: through its symbolic link, or to itself, which must be a directory.
    fn enter(&mut self, child: Path) -> Result<()> {
        match child.dentry.inode().map(|i| i.kind()) {
            Some(InodeKind::Symlink) => self.follow(child),
            Some(InodeKind::Directory) => {
                self.at = child;
                Ok(())
            }
            Some(_) => err(Errno::ENOTDIR),
            None => err(Errno::ENOENT),
        }
    }

    /// Goes back to before the last component, to look it up again.
    pub fn rewind(&mut self, name: &Range<usize>) {
        self.position = name.start;
    }

    /// The child of this name with what is mounted on it; None when there is no such name.
    pub fn child(&mut self, name: Range<usize>) -> Result<Option<Path>> {
        let inode = self.at.inode();
        self.child_at(&inode, name)
    }

    fn child_at(&mut self, dir: &Arc<dyn Inode>, name: Range<usize>) -> Result<Option<Path>> {
        let dentry = lookup_child(&self.at, dir, &self.text[name])?;
        if dentry.inode().is_none() {
            return Ok(None);
        }
        let mut child = Path {
            mount: self.at.mount.clone(),
            dentry,
        };
        if !self.flags.contains(LookupFlags::NO_MOUNT) || self.position != self.text.len() {
            self.cross(&mut child)?;
        }
        Ok(Some(child))
    }

    fn cross(&self, at: &mut Path) -> Result<()> {
        if mount::follow_mounts(at) && self.resolve.contains(ResolveFlags::RESOLVE_NO_XDEV) {
            return err(Errno::EXDEV);
        }
        Ok(())
    }

    /// `..`: fs/namei.c:follow_dotdot(). Stays at the root.
    pub fn dotdot(&mut self) -> Result<()> {
        loop {
            if self.at.same(&self.root) {
                if self.resolve.contains(ResolveFlags::RESOLVE_BENEATH) {
                    return err(Errno::EXDEV);
                }
                break;
            }
            if !self.at.is_mount_root() {
                if let Some(parent) = self.at.dentry.parent() {
                    self.at.dentry = parent;
                }
                break;
            }
            let Some(outside) = self.at.mount.mountpoint() else {
                break;
            };
            if self.resolve.contains(ResolveFlags::RESOLVE_NO_XDEV) {
                return err(Errno::EXDEV);
            }
            self.at = outside;
        }
        let mut at = self.at.clone();
        mount::follow_mounts(&mut at);
        self.at = at;
        Ok(())
    }

    /// Follows the symbolic link `link`, found in `at`: what is left of the text goes behind its target. ELOOP.
    pub fn follow(&mut self, link: Path) -> Result<()> {
        self.links += 1;
        if self.links > MAXSYMLINKS
            || self.resolve.contains(ResolveFlags::RESOLVE_NO_SYMLINKS)
            || link.mount.flags().contains(MountFlags::MS_NOSYMFOLLOW)
        {
            return err(Errno::ELOOP);
        }
        let inode = link.inode();
        let rest_start = self.position;
        if let Some(place) = inode.follow_magic() {
            if self.resolve.contains(ResolveFlags::RESOLVE_NO_MAGICLINKS) {
                return err(Errno::ELOOP);
            }
            let place = place?;
            if self
                .resolve
                .intersects(ResolveFlags::RESOLVE_BENEATH | ResolveFlags::RESOLVE_IN_ROOT)
                || (self.resolve.contains(ResolveFlags::RESOLVE_NO_XDEV)
                    && !Arc::ptr_eq(&place.mount, &self.at.mount))
            {
                return err(Errno::EXDEV);
            }
            self.at = place;
            let mut rest = Vec::new();
            if self.trailing || rest_start < self.text.len() {
                rest.extend_from_slice(b"./");
                rest.extend_from_slice(&self.text[rest_start..]);
            }
            self.text = Cow::Owned(rest);
            self.position = 0;
            return Ok(());
        }
        let mut target = inode.read_link()?;
        if target.is_empty() {
            return err(Errno::ENOENT);
        }
        if target[0] == b'/' {
            if self.resolve.contains(ResolveFlags::RESOLVE_BENEATH)
                || (self.resolve.contains(ResolveFlags::RESOLVE_NO_XDEV)
                    && !Arc::ptr_eq(&self.root.mount, &self.at.mount))
            {
                return err(Errno::EXDEV);
            }
            self.at = self.root.clone();
        }
        if rest_start < self.text.len() {
            target.push(b'/');
            target.extend_from_slice(&self.text[rest_start..]);
        } else if self.trailing {
            target.push(b'/');
        }
        self.text = Cow::Owned(target);
        self.position = 0;
        Ok(())
    }

    /// Walks to the end.
    pub fn finish(mut self) -> Result<Path> {
        loop {
            match self.to_parent()? {
                Last::Root | Last::Dot => {}
                Last::DotDot => self.dotdot()?,
                Last::Name(name) => {
                    let child = self.child(name)?.ok_or(Errno::ENOENT)?;
                    let follow = self.flags.contains(LookupFlags::FOLLOW) || self.trailing;
                    if follow && child.inode().kind() == InodeKind::Symlink {
                        self.follow(child)?;
                        continue;
                    }
                    self.at = child;
                }
            }
            if (self.trailing || self.flags.contains(LookupFlags::DIRECTORY))
                && self.at.inode().kind() != InodeKind::Directory
            {
                return err(Errno::ENOTDIR);
            }
            return Ok(self.at);
        }
    }
}

/// The dentry of `name` in the directory `dir`, whose inode is `inode`; negative when there is no such name. Asks the
/// file system when the cache doesn't know, or when it has to be asked each time.
pub fn lookup_child(dir: &Path, inode: &Arc<dyn Inode>, name: &[u8]) -> Result<Arc<Dentry>> {
    let fs = &dir.mount.fs;
    if let Some(found) = dir.dentry.cached(name)
        && (!fs.needs_revalidate() || still_holds(inode, name, &found))
    {
        return Ok(found);
    }
    let _content = dir.dentry.lock_content();
    lookup_locked(&dir.dentry, inode, fs.needs_revalidate(), name)
}

/// As [`lookup_child`], for callers that hold the directory's content mutex.
pub fn lookup_locked(
    dir: &Arc<Dentry>,
    inode: &Arc<dyn Inode>,
    revalidate: bool,
    name: &[u8],
) -> Result<Arc<Dentry>> {
    if let Some(found) = dir.cached(name) {
        if !revalidate || still_holds(inode, name, &found) {
            return Ok(found);
        }
        found.unhash(found.inode().is_some() && !found.is_mountpoint());
    }
    if dir.is_unlinked() {
        return err(Errno::ENOENT);
    }
    match inode.lookup(name) {
        Ok(child) => Ok(dir.bind(name, Some(child))),
        Err(e) if e == Errno::ENOENT => Ok(dir.bind(name, None)),
        Err(e) => Err(e),
    }
}

fn still_holds(dir: &Arc<dyn Inode>, name: &[u8], found: &Arc<Dentry>) -> bool {
    found.is_mountpoint() || dir.revalidate(name, found.inode().as_ref())
}

/// The place that descriptor `dirfd` of `task` is: None for AT_FDCWD (the working directory). EBADF.
pub fn dirfd_path(task: &Task, dirfd: i32) -> Result<Option<Path>> {
    if dirfd == AT_FDCWD {
        return Ok(None);
    }
    Ok(Some(task.files().get_any(dirfd)?.path().clone()))
}

/// Walks `path` for `task`, from `dirfd` when it is relative.
pub fn lookup(task: &Task, dirfd: i32, path: &[u8], flags: LookupFlags) -> Result<Path> {
    lookup_as(&Actor::of(task), task, dirfd, path, flags)
}

/// As [`lookup`] with other credentials than the task's.
pub fn lookup_as(
    actor: &Actor,
    task: &Task,
    dirfd: i32,
    path: &[u8],
    flags: LookupFlags,
) -> Result<Path> {
    let start = if path.first() == Some(&b'/') {
        None
    } else {
        dirfd_path(task, dirfd)?
    };
    Walk::new(actor, start.as_ref(), path, flags, ResolveFlags::empty())?.finish()
}
