//! fcntl, flock, and the ioctls that files of any kind know.

use super::open::nofile;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::ipc::pipe;
use crate::task::pids;
use crate::user::UserPtr;
use crate::vfs::locks::{self, Owner, Record};
use crate::vfs::perm::is_owner;
use crate::vfs::{File, FileOwner, InodeKind, flags, lease, memfd};
use abi::errno::Errno;
use abi::fs::*;
use std::sync::Arc;

/// What an O_PATH descriptor allows: fs/fcntl.c:check_fcntl_cmd().
fn allowed_on_path(cmd: u32) -> bool {
    matches!(
        cmd,
        F_DUPFD | F_DUPFD_CLOEXEC | F_DUPFD_QUERY | F_GETFD | F_SETFD | F_GETFL
    )
}

pub fn fcntl(cx: &mut Context, fd: Fd, cmd: u32, arg: u64) -> Result<i64> {
    let files = cx.task.files();
    let file = files.get_any(fd.0)?;
    if file.is_path_only() && !allowed_on_path(cmd) {
        return err(Errno::EBADF);
    }
    match cmd {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = nofile(cx);
            let from = i32::try_from(arg as u32).map_err(|_| Errno::EINVAL)?;
            if from as u64 >= limit {
                return err(Errno::EINVAL);
            }
            files
                .install(file, cmd == F_DUPFD_CLOEXEC, from, limit)
                .map(i64::from)
        }
        F_DUPFD_QUERY => {
            let other = files.get_any(arg as i32)?;
            Ok(i64::from(Arc::ptr_eq(&file, &other)))
        }
        F_GETFD => Ok(i64::from(files.cloexec(fd.0)?)),
        F_SETFD => files
            .set_cloexec(fd.0, arg as u32 & FD_CLOEXEC != 0)
            .map(|()| 0),
        F_GETFL => Ok(i64::from(file.flags().bits())),
        F_SETFL => set_flags(cx, &file, fd, arg as u32).map(|()| 0),
        F_GETLK | F_OFD_GETLK => {
            get_lock(cx, &file, UserPtr::new(arg), cmd == F_OFD_GETLK).map(|()| 0)
        }
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => {
            let ofd = matches!(cmd, F_OFD_SETLK | F_OFD_SETLKW);
            let wait = matches!(cmd, F_SETLKW | F_OFD_SETLKW);
            set_lock(cx, &file, UserPtr::new(arg), ofd, wait).map(|()| 0)
        }
        F_SETOWN | F_GETOWN | F_SETSIG | F_GETSIG | F_SETOWN_EX | F_GETOWN_EX | F_GETOWNER_UIDS => {
            owner(cx, &file, cmd, arg)
        }
        F_GETLEASE => Ok(i64::from(lease::get(&file))),
        F_SETLEASE => {
            let kind = i16::try_from(arg as i32).map_err(|_| Errno::EINVAL)?;
            lease::set(&cx.task, &file, fd.0, kind).map(|()| 0)
        }
        F_GETPIPE_SZ => Ok(pipe::size(&file)? as i64),
        F_SETPIPE_SZ => Ok(pipe::set_size(&cx.task, &file, arg as u32)? as i64),
        F_ADD_SEALS => memfd::add(&file, SealFlags::from_bits_retain(arg as u32)).map(|()| 0),
        F_GET_SEALS => Ok(i64::from(memfd::get(&file)?.bits())),
        _ => err(Errno::EINVAL),
    }
}

/// fs/fcntl.c:setfl().
fn set_flags(cx: &Context, file: &Arc<File>, fd: Fd, arg: u32) -> Result<()> {
    let new = OpenFlags::from_bits_retain(arg).intersection(OpenFlags::SETFL_MASK);
    let old = file.flags();
    let gains_noatime = new.contains(OpenFlags::O_NOATIME) && !old.contains(OpenFlags::O_NOATIME);
    if gains_noatime && !is_owner(&cx.task.cred(), &file.inode().metadata()?) {
        return err(Errno::EPERM);
    }
    if (new ^ old).contains(OpenFlags::O_APPEND) && flags::is_append(&**file.inode()) {
        return err(Errno::EPERM);
    }
    let flags = old.difference(OpenFlags::SETFL_MASK) | new;
    file.change_flags(flags, fd.0)
}

/// The range of a `struct flock`: fs/locks.c:flock64_to_posix_lock(). EINVAL, EOVERFLOW.
fn range(file: &File, lock: &Flock) -> Result<(u64, u64)> {
    let base = match lock.l_whence as u32 {
        SEEK_SET => 0,
        SEEK_CUR => file.position() as i64,
        SEEK_END => file.inode().metadata()?.size as i64,
        _ => return err(Errno::EINVAL),
    };
    let start = base.checked_add(lock.l_start).ok_or(Errno::EOVERFLOW)?;
    if start < 0 {
        return err(Errno::EINVAL);
    }
    let (start, end) = match lock.l_len {
        0 => (start, i64::MAX),
        len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        len => (
            start
                .checked_add(len)
                .filter(|s| *s >= 0)
                .ok_or(Errno::EINVAL)?,
            start - 1,
        ),
    };
    Ok((start as u64, end as u64))
}

fn lock_owner(cx: &Context, file: &File, lock: &Flock, ofd: bool) -> Result<(Owner, i32)> {
    if !ofd {
        return Ok((Owner::Table(cx.task.files().id()), cx.task.pid() as i32));
    }
    if lock.l_pid != 0 {
        return err(Errno::EINVAL);
    }
    Ok((Owner::File(file.id()), -1))
}

fn get_lock(cx: &Context, file: &File, ptr: UserPtr<Flock>, ofd: bool) -> Result<()> {
    let mut lock = ptr.read()?;
    if !matches!(lock.l_type, F_RDLCK | F_WRLCK) {
        return err(Errno::EINVAL);
    }
    let (start, end) = range(file, &lock)?;
    let (owner, pid) = lock_owner(cx, file, &lock, ofd)?;
    let wanted = Record {
        owner,
        write: lock.l_type == F_WRLCK,
        start,
        end,
        pid,
    };
    match locks::test(file.inode(), &wanted) {
        None => lock.l_type = F_UNLCK,
        Some(found) => {
            lock.l_type = if found.write { F_WRLCK } else { F_RDLCK };
            lock.l_whence = SEEK_SET as i16;
            lock.l_start = found.start as i64;
            lock.l_len = if found.end == locks::LAST {
                0
            } else {
                (found.end - found.start + 1) as i64
            };
            lock.l_pid = found.pid;
        }
    }
    ptr.write(&lock)
}

fn set_lock(cx: &Context, file: &File, ptr: UserPtr<Flock>, ofd: bool, wait: bool) -> Result<()> {
    let lock = ptr.read()?;
    let (start, end) = range(file, &lock)?;
    let (owner, pid) = lock_owner(cx, file, &lock, ofd)?;
    match lock.l_type {
        F_UNLCK => {
            locks::unlock(file.inode(), owner, start, end);
            return Ok(());
        }
        F_RDLCK if file.readable() => {}
        F_WRLCK if file.writable() => {}
        F_RDLCK | F_WRLCK => return err(Errno::EBADF),
        _ => return err(Errno::EINVAL),
    }
    let wanted = Record {
        owner,
        write: lock.l_type == F_WRLCK,
        start,
        end,
        pid,
    };
    locks::set(file.inode(), wanted, wait)
}

fn owner(cx: &Context, file: &File, cmd: u32, arg: u64) -> Result<i64> {
    let set = |pid: i32, thread: bool| -> Result<i64> {
        if pid > 0 && pids().task(pid as u32).is_none()
            || pid < 0 && pids().process_group(pid.unsigned_abs()).is_empty()
        {
            return err(Errno::ESRCH);
        }
        let cred = cx.task.cred();
        let signo = file.owner.lock().signo;
        *file.owner.lock() = FileOwner {
            pid,
            signo,
            uid: cred.uid,
            euid: cred.euid,
            thread,
        };
        Ok(0)
    };
    let now = *file.owner.lock();
    match cmd {
        F_SETOWN => {
            let pid = arg as i32;
            if pid == i32::MIN {
                return err(Errno::EINVAL);
            }
            set(pid, false)
        }
        F_GETOWN => Ok(i64::from(now.pid)),
        F_SETSIG => {
            let signo = i32::try_from(arg)
                .ok()
                .filter(|s| (0..=64).contains(s))
                .ok_or(Errno::EINVAL)?;
            file.owner.lock().signo = signo;
            Ok(0)
        }
        F_GETSIG => Ok(i64::from(now.signo)),
        F_SETOWN_EX => {
            let who: FOwnerEx = UserPtr::new(arg).read()?;
            match who.r#type {
                F_OWNER_TID => set(who.pid, true),
                F_OWNER_PID => set(who.pid, false),
                F_OWNER_PGRP => set(-who.pid, false),
                _ => err(Errno::EINVAL),
            }
        }
        F_GETOWN_EX => {
            let kind = match now.pid {
                pid if pid < 0 => F_OWNER_PGRP,
                _ if now.thread => F_OWNER_TID,
                _ => F_OWNER_PID,
            };
            UserPtr::new(arg).write(&FOwnerEx {
                r#type: kind,
                pid: now.pid.abs(),
            })?;
            Ok(0)
        }
        _ => {
            UserPtr::<u32>::new(arg).write_array(&[now.uid, now.euid])?;
            Ok(0)
        }
    }
}

pub fn flock(cx: &mut Context, fd: Fd, operation: u32) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    let operation = FlockOp::from_bits_retain(operation);
    let exclusive = match operation.difference(FlockOp::LOCK_NB) {
        FlockOp::LOCK_SH => Some(false),
        FlockOp::LOCK_EX => Some(true),
        FlockOp::LOCK_UN => None,
        _ => return err(Errno::EINVAL),
    };
    if exclusive.is_some() && !file.readable() && !file.writable() {
        return err(Errno::EBADF);
    }
    locks::flock(&file, exclusive, !operation.contains(FlockOp::LOCK_NB))
}

pub fn ioctl(cx: &mut Context, fd: Fd, cmd: u32, arg: u64) -> Result<u64> {
    let files = cx.task.files();
    let file = files.get(fd.0)?;
    let switch = |flag: OpenFlags| -> Result<u64> {
        let on = UserPtr::<i32>::new(arg).read()? != 0;
        let mut flags = file.flags();
        flags.set(flag, on);
        if flag == OpenFlags::FASYNC {
            if flags != file.flags() && !file.ops().can_poll(&file) {
                return err(Errno::ENOTTY);
            }
            file.change_flags(flags, fd.0)?;
        } else {
            file.set_flags(flags);
        }
        Ok(0)
    };
    let regular = file.inode().kind() == InodeKind::Regular && file.ops().seekable();
    match cmd {
        FIOCLEX => files.set_cloexec(fd.0, true).map(|()| 0),
        FIONCLEX => files.set_cloexec(fd.0, false).map(|()| 0),
        FIONBIO => switch(OpenFlags::O_NONBLOCK),
        FIOASYNC => switch(OpenFlags::FASYNC),
        FIOQSIZE => {
            let meta = file.inode().metadata()?;
            match meta.kind() {
                InodeKind::Regular | InodeKind::Directory | InodeKind::Symlink => {
                    UserPtr::new(arg).write(&(meta.blocks * 512))?;
                    Ok(0)
                }
                _ => err(Errno::ENOTTY),
            }
        }
        FIGETBSZ => {
            UserPtr::new(arg).write(&(file.inode().metadata()?.blksize as i32))?;
            Ok(0)
        }
        FIONREAD if regular => {
            let left = file.inode().metadata()?.size as i64 - file.position() as i64;
            UserPtr::new(arg).write(&(left as i32))?;
            Ok(0)
        }
        FS_IOC_GETFLAGS => {
            UserPtr::new(arg).write(&flags::get(&file)?)?;
            Ok(0)
        }
        FS_IOC_SETFLAGS => {
            let new = UserPtr::<u32>::new(arg).read()?;
            flags::set(&cx.task, &file, new).map(|()| 0)
        }
        FS_IOC_FSGETXATTR => flags::get_extended(&file, UserPtr::new(arg)).map(|()| 0),
        FS_IOC_FSSETXATTR => flags::set_extended(&cx.task, &file, UserPtr::new(arg)).map(|()| 0),
        FIBMAP if regular => err(Errno::EINVAL),
        FS_IOC_FIEMAP if regular => err(Errno::EOPNOTSUPP),
        FICLONE | FICLONERANGE | FIDEDUPERANGE => err(Errno::EOPNOTSUPP),
        _ => file.ops().ioctl(&file, cx, cmd, arg),
    }
}
