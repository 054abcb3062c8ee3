//! stat in its forms, statfs, access.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::perm::{inode_permission, path_permission};
use crate::vfs::{Actor, InodeKind, LookupFlags, Metadata, Mount, Path, lookup, lookup_as};
use abi::errno::Errno;
use abi::fs::InodeFlags;
use abi::fs::{
    AT_FDCWD, AccessMode, AtFlags, STATX__RESERVED, Stat, Statfs, Statx, StatxAttr, StatxMask,
    StatxTimestamp, major, minor,
};
use abi::mount::{MountFlags, StFlags};
use abi::time::Timespec;

/// LookupFlags of the AT_* bits that the stat-like calls share.
pub fn lookup_flags(flags: AtFlags) -> LookupFlags {
    let mut lookup = LookupFlags::FOLLOW;
    lookup.set(
        LookupFlags::FOLLOW,
        !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW),
    );
    lookup.set(LookupFlags::EMPTY, flags.contains(AtFlags::AT_EMPTY_PATH));
    lookup
}

/// The path argument; NULL counts as empty with AT_EMPTY_PATH.
pub fn path_or_empty(path: UserPtr<u8>, flags: AtFlags) -> Result<Vec<u8>> {
    if path.is_null() && flags.contains(AtFlags::AT_EMPTY_PATH) {
        return Ok(Vec::new());
    }
    path.read_path()
}

fn fill(meta: &Metadata) -> Stat {
    Stat {
        st_dev: meta.dev,
        st_ino: meta.ino,
        st_nlink: u64::from(meta.nlink),
        st_mode: meta.mode,
        st_uid: meta.uid,
        st_gid: meta.gid,
        st_rdev: meta.rdev,
        st_size: meta.size as i64,
        st_blksize: i64::from(meta.blksize),
        st_blocks: meta.blocks as i64,
        st_atime: meta.atime,
        st_mtime: meta.mtime,
        st_ctime: meta.ctime,
        ..Stat::default()
    }
}

fn stat_path(cx: &Context, dirfd: i32, path: &[u8], flags: LookupFlags) -> Result<Metadata> {
    if path.is_empty() && flags.contains(LookupFlags::EMPTY) && dirfd != AT_FDCWD {
        return cx.task.files().get_any(dirfd)?.inode().metadata();
    }
    lookup(&cx.task, dirfd, path, flags)?.inode().metadata()
}

pub fn stat(cx: &mut Context, path: UserPtr<u8>, out: UserPtr<Stat>) -> Result<()> {
    let meta = stat_path(cx, AT_FDCWD, &path.read_path()?, LookupFlags::FOLLOW)?;
    out.write(&fill(&meta))
}

pub fn lstat(cx: &mut Context, path: UserPtr<u8>, out: UserPtr<Stat>) -> Result<()> {
    let meta = stat_path(cx, AT_FDCWD, &path.read_path()?, LookupFlags::empty())?;
    out.write(&fill(&meta))
}

pub fn fstat(cx: &mut Context, fd: Fd, out: UserPtr<Stat>) -> Result<()> {
    let meta = cx.task.files().get_any(fd.0)?.inode().metadata()?;
    out.write(&fill(&meta))
}

pub fn newfstatat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    out: UserPtr<Stat>,
    flags: u32,
) -> Result<()> {
    let flags = AtFlags::from_bits_retain(flags);
    let known = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT | AtFlags::AT_EMPTY_PATH;
    if !known.contains(flags) {
        return err(Errno::EINVAL);
    }
    let path = path_or_empty(path, flags)?;
    let meta = stat_path(cx, dirfd.0, &path, lookup_flags(flags))?;
    out.write(&fill(&meta))
}

fn stamp(time: Timespec) -> StatxTimestamp {
    StatxTimestamp {
        tv_sec: time.tv_sec,
        tv_nsec: time.tv_nsec as u32,
        _pad: 0,
    }
}

const FLAG_ATTRIBUTES: [(InodeFlags, StatxAttr); 3] = [
    (InodeFlags::FS_APPEND_FL, StatxAttr::STATX_ATTR_APPEND),
    (InodeFlags::FS_IMMUTABLE_FL, StatxAttr::STATX_ATTR_IMMUTABLE),
    (InodeFlags::FS_NODUMP_FL, StatxAttr::STATX_ATTR_NODUMP),
];

pub fn statx(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: u32,
    mask: u32,
    out: UserPtr<Statx>,
) -> Result<()> {
    let flags = AtFlags::from_bits_retain(flags);
    let sync = AtFlags::AT_STATX_FORCE_SYNC | AtFlags::AT_STATX_DONT_SYNC;
    let known =
        AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT | AtFlags::AT_EMPTY_PATH | sync;
    if mask & STATX__RESERVED != 0 || flags.contains(sync) || !known.contains(flags) {
        return err(Errno::EINVAL);
    }
    let name = path_or_empty(path, flags)?;
    let place = if name.is_empty() && flags.contains(AtFlags::AT_EMPTY_PATH) && dirfd.0 != AT_FDCWD
    {
        cx.task.files().get_any(dirfd.0)?.path().clone()
    } else {
        lookup(&cx.task, dirfd.0, &name, lookup_flags(flags))?
    };
    let meta = place.inode().metadata()?;
    let mut filled = StatxMask::STATX_BASIC_STATS | StatxMask::STATX_MNT_ID;
    filled.set(StatxMask::STATX_BTIME, meta.btime.is_some());
    let mut attributes = StatxAttr::empty();
    attributes.set(StatxAttr::STATX_ATTR_MOUNT_ROOT, place.is_mount_root());
    let mut known = StatxAttr::STATX_ATTR_MOUNT_ROOT;
    if let Some(flags) = place.inode().flags() {
        for (flag, attribute) in FLAG_ATTRIBUTES {
            attributes.set(attribute, flags.contains(flag));
            known |= attribute;
        }
    }
    let unique = mask & StatxMask::STATX_MNT_ID_UNIQUE.bits() != 0;
    if unique {
        filled = filled.difference(StatxMask::STATX_MNT_ID) | StatxMask::STATX_MNT_ID_UNIQUE;
    }
    out.write(&Statx {
        stx_mask: filled.bits(),
        stx_blksize: meta.blksize,
        stx_attributes: attributes.bits(),
        stx_attributes_mask: known.bits(),
        stx_nlink: meta.nlink,
        stx_uid: meta.uid,
        stx_gid: meta.gid,
        stx_mode: meta.mode as u16,
        stx_ino: meta.ino,
        stx_size: meta.size,
        stx_blocks: meta.blocks,
        stx_atime: stamp(meta.atime),
        stx_btime: meta.btime.map(stamp).unwrap_or_default(),
        stx_ctime: stamp(meta.ctime),
        stx_mtime: stamp(meta.mtime),
        stx_rdev_major: major(meta.rdev),
        stx_rdev_minor: minor(meta.rdev),
        stx_dev_major: major(meta.dev),
        stx_dev_minor: minor(meta.dev),
        stx_mnt_id: u64::from(place.mount.id) + if unique { 1 << 31 } else { 0 },
        ..Statx::default()
    })
}

/// ST_* of a mount, as statfs(2) shows them.
fn statfs_flags(mount: &Mount) -> StFlags {
    let pairs = [
        (MountFlags::MS_NOSUID, StFlags::ST_NOSUID),
        (MountFlags::MS_NODEV, StFlags::ST_NODEV),
        (MountFlags::MS_NOEXEC, StFlags::ST_NOEXEC),
        (MountFlags::MS_NOATIME, StFlags::ST_NOATIME),
        (MountFlags::MS_NODIRATIME, StFlags::ST_NODIRATIME),
        (MountFlags::MS_RELATIME, StFlags::ST_RELATIME),
        (MountFlags::MS_NOSYMFOLLOW, StFlags::ST_NOSYMFOLLOW),
    ];
    let mut out = StFlags::ST_VALID;
    out.set(StFlags::ST_RDONLY, mount.read_only());
    for (flag, shown) in pairs {
        out.set(shown, mount.flags().contains(flag));
    }
    out
}

fn do_statfs(place: &Path, out: UserPtr<Statfs>) -> Result<()> {
    let s = place.mount.fs.statfs()?;
    out.write(&Statfs {
        f_type: s.magic as i64,
        f_bsize: s.bsize as i64,
        f_blocks: s.blocks,
        f_bfree: s.bfree,
        f_bavail: s.bavail,
        f_files: s.files,
        f_ffree: s.ffree,
        f_fsid: [s.fsid as i32, (s.fsid >> 32) as i32],
        f_namelen: s.namelen as i64,
        f_frsize: s.bsize as i64,
        f_flags: i64::from(statfs_flags(&place.mount).bits()),
        f_spare: [0; 4],
    })
}

pub fn statfs(cx: &mut Context, path: UserPtr<u8>, out: UserPtr<Statfs>) -> Result<()> {
    do_statfs(
        &lookup(&cx.task, AT_FDCWD, &path.read_path()?, LookupFlags::FOLLOW)?,
        out,
    )
}

pub fn fstatfs(cx: &mut Context, fd: Fd, out: UserPtr<Statfs>) -> Result<()> {
    do_statfs(cx.task.files().get_any(fd.0)?.path(), out)
}

fn do_access(cx: &Context, dirfd: i32, path: &[u8], mode: u32, flags: AtFlags) -> Result<()> {
    if AccessMode::from_bits_retain(mode).unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    let known = AtFlags::AT_EACCESS | AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH;
    if !known.contains(flags) {
        return err(Errno::EINVAL);
    }
    let actor = if flags.contains(AtFlags::AT_EACCESS) {
        Actor::of(&cx.task)
    } else {
        Actor::of_real(&cx.task)
    };
    let place = lookup_as(&actor, &cx.task, dirfd, path, lookup_flags(flags))?;
    if mode == 0 {
        return Ok(());
    }
    path_permission(&actor.cred, &place, mode)?;
    let writes = mode & AccessMode::W_OK.bits() != 0;
    let kind = place.inode().kind();
    let stored = matches!(
        kind,
        InodeKind::Regular | InodeKind::Directory | InodeKind::Symlink
    );
    if writes && stored {
        place.mount.want_write()
    } else {
        Ok(())
    }
}

pub fn access(cx: &mut Context, path: UserPtr<u8>, mode: u32) -> Result<()> {
    do_access(cx, AT_FDCWD, &path.read_path()?, mode, AtFlags::empty())
}

pub fn faccessat(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, mode: u32) -> Result<()> {
    do_access(cx, dirfd.0, &path.read_path()?, mode, AtFlags::empty())
}

pub fn faccessat2(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    mode: u32,
    flags: u32,
) -> Result<()> {
    let flags = AtFlags::from_bits_retain(flags);
    do_access(cx, dirfd.0, &path_or_empty(path, flags)?, mode, flags)
}

/// Whether the caller may search a directory it is about to enter.
pub fn may_enter(cx: &Context, place: &Path) -> Result<()> {
    inode_permission(&cx.task.cred(), &*place.inode(), 1)
}
