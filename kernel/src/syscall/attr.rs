//! Attributes: chmod, chown, times, truncate.

use super::stat::{lookup_flags, path_or_empty};
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::{InodeKind, LookupFlags, Path, TimeSet, attr, limit_size, lookup};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, AtFlags, Utimbuf};
use abi::time::{Timespec, Timeval};

fn at(cx: &Context, dirfd: Fd, path: UserPtr<u8>, flags: u32) -> Result<Path> {
    let flags = AtFlags::from_bits_retain(flags);
    if !(AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH).contains(flags) {
        return err(Errno::EINVAL);
    }
    lookup(
        &cx.task,
        dirfd.0,
        &path_or_empty(path, flags)?,
        lookup_flags(flags),
    )
}

fn of_fd(cx: &Context, fd: Fd) -> Result<Path> {
    Ok(cx.task.files().get(fd.0)?.path().clone())
}

pub fn chmod(cx: &mut Context, path: UserPtr<u8>, mode: u32) -> Result<()> {
    fchmodat2(cx, Fd(AT_FDCWD), path, mode, 0)
}

pub fn fchmodat(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, mode: u32) -> Result<()> {
    fchmodat2(cx, dirfd, path, mode, 0)
}

pub fn fchmodat2(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    mode: u32,
    flags: u32,
) -> Result<()> {
    attr::chmod(&cx.task.cred(), &at(cx, dirfd, path, flags)?, mode)
}

pub fn fchmod(cx: &mut Context, fd: Fd, mode: u32) -> Result<()> {
    attr::chmod(&cx.task.cred(), &of_fd(cx, fd)?, mode)
}

/// -1 keeps an id.
fn id(raw: u32) -> Option<u32> {
    (raw != u32::MAX).then_some(raw)
}

pub fn chown(cx: &mut Context, path: UserPtr<u8>, uid: u32, gid: u32) -> Result<()> {
    fchownat(cx, Fd(AT_FDCWD), path, uid, gid, 0)
}

pub fn lchown(cx: &mut Context, path: UserPtr<u8>, uid: u32, gid: u32) -> Result<()> {
    fchownat(
        cx,
        Fd(AT_FDCWD),
        path,
        uid,
        gid,
        AtFlags::AT_SYMLINK_NOFOLLOW.bits(),
    )
}

pub fn fchownat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    uid: u32,
    gid: u32,
    flags: u32,
) -> Result<()> {
    attr::chown(
        &cx.task.cred(),
        &at(cx, dirfd, path, flags)?,
        id(uid),
        id(gid),
    )
}

pub fn fchown(cx: &mut Context, fd: Fd, uid: u32, gid: u32) -> Result<()> {
    attr::chown(&cx.task.cred(), &of_fd(cx, fd)?, id(uid), id(gid))
}

const UTIME_NOW: i64 = (1 << 30) - 1;
const UTIME_OMIT: i64 = (1 << 30) - 2;

fn set_times(
    cx: &Context,
    place: impl FnOnce() -> Result<Path>,
    times: Option<[Timespec; 2]>,
) -> Result<()> {
    let Some(times) = times else {
        let now = Some(TimeSet::Now);
        return attr::set_times(&cx.task.cred(), &place()?, now, now, true);
    };
    let valid = |t: &Timespec| matches!(t.tv_nsec, UTIME_NOW | UTIME_OMIT | 0..=999_999_999);
    if !times.iter().all(valid) {
        return err(Errno::EINVAL);
    }
    if times.iter().all(|t| t.tv_nsec == UTIME_OMIT) {
        return Ok(());
    }
    let stamp = |t: Timespec| match t.tv_nsec {
        UTIME_NOW => Some(TimeSet::Now),
        UTIME_OMIT => None,
        _ => Some(TimeSet::To(t)),
    };
    let both_now = times.iter().all(|t| t.tv_nsec == UTIME_NOW);
    attr::set_times(
        &cx.task.cred(),
        &place()?,
        stamp(times[0]),
        stamp(times[1]),
        both_now,
    )
}

pub fn utimensat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    times: UserPtr<[Timespec; 2]>,
    flags: u32,
) -> Result<()> {
    let times = times.non_null().map(|t| t.read()).transpose()?;
    let cx = &*cx;
    if path.is_null() && dirfd.0 != AT_FDCWD {
        if flags != 0 {
            return err(Errno::EINVAL);
        }
        return set_times(cx, || of_fd(cx, dirfd), times);
    }
    set_times(cx, || at(cx, dirfd, path, flags), times)
}

fn from_micros(times: UserPtr<[Timeval; 2]>) -> Result<Option<[Timespec; 2]>> {
    let Some(times) = times.non_null() else {
        return Ok(None);
    };
    let times = times.read()?;
    if times.iter().any(|t| !(0..1_000_000).contains(&t.tv_usec)) {
        return err(Errno::EINVAL);
    }
    Ok(Some(times.map(|t| Timespec {
        tv_sec: t.tv_sec,
        tv_nsec: t.tv_usec * 1000,
    })))
}

pub fn futimesat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    times: UserPtr<[Timeval; 2]>,
) -> Result<()> {
    let times = from_micros(times)?;
    let cx = &*cx;
    if path.is_null() && dirfd.0 != AT_FDCWD {
        return set_times(cx, || of_fd(cx, dirfd), times);
    }
    set_times(cx, || at(cx, dirfd, path, 0), times)
}

pub fn utimes(cx: &mut Context, path: UserPtr<u8>, times: UserPtr<[Timeval; 2]>) -> Result<()> {
    let times = from_micros(times)?;
    let cx = &*cx;
    set_times(cx, || at(cx, Fd(AT_FDCWD), path, 0), times)
}

pub fn utime(cx: &mut Context, path: UserPtr<u8>, times: UserPtr<Utimbuf>) -> Result<()> {
    let times = times.non_null().map(|t| t.read()).transpose()?;
    let seconds = |tv_sec| Timespec { tv_sec, tv_nsec: 0 };
    let times = times.map(|t| [seconds(t.actime), seconds(t.modtime)]);
    let cx = &*cx;
    set_times(cx, || at(cx, Fd(AT_FDCWD), path, 0), times)
}

fn size(raw: i64) -> Result<u64> {
    u64::try_from(raw).map_err(|_| Errno::EINVAL.into())
}

pub fn truncate(cx: &mut Context, path: UserPtr<u8>, len: i64) -> Result<()> {
    let len = size(len)?;
    let place = lookup(&cx.task, AT_FDCWD, &path.read_path()?, LookupFlags::FOLLOW)?;
    attr::truncate(&cx.task.cred(), &place, len)
}

pub fn ftruncate(cx: &mut Context, fd: Fd, len: i64) -> Result<()> {
    let len = size(len)?;
    let file = cx.task.files().get(fd.0)?;
    if file.inode().kind() != InodeKind::Regular || !file.writable() || !file.ops().positional() {
        return err(Errno::EINVAL);
    }
    crate::vfs::flags::check_append(&**file.inode())?;
    limit_size(file.inode(), len)?;
    attr::set_size(&cx.task.cred(), file.path(), file.inode(), len)
}
