//! inotify.

use super::open::install;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::UserPtr;
use crate::vfs::inotify::InotifyFile;
use crate::vfs::perm::{MAY_READ, path_permission};
use crate::vfs::{LookupFlags, anon_file, lookup};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, OpenFlags};
use abi::inotify::InotifyMask;

pub fn inotify_init(cx: &mut Context) -> Result<Fd> {
    inotify_init1(cx, OpenFlags::empty())
}

pub fn inotify_init1(cx: &mut Context, flags: OpenFlags) -> Result<Fd> {
    if !(OpenFlags::O_CLOEXEC | OpenFlags::O_NONBLOCK).contains(flags) {
        return err(Errno::EINVAL);
    }
    let file = anon_file(
        "inotify",
        Box::new(InotifyFile::new()?),
        flags.intersection(OpenFlags::O_NONBLOCK),
    );
    install(cx, file, flags)
}

pub fn inotify_add_watch(cx: &mut Context, fd: Fd, path: UserPtr<u8>, mask: u32) -> Result<i32> {
    let mask = InotifyMask::from_bits_retain(mask);
    let both = InotifyMask::IN_MASK_ADD | InotifyMask::IN_MASK_CREATE;
    if mask.is_empty() || mask.unknown_bits() != 0 || mask.contains(both) {
        return err(Errno::EINVAL);
    }
    let file = cx.task.files().get(fd.0)?;
    let inotify = file.ops_as::<InotifyFile>().ok_or(Errno::EINVAL)?;
    let mut look = LookupFlags::FOLLOW;
    look.set(
        LookupFlags::FOLLOW,
        !mask.contains(InotifyMask::IN_DONT_FOLLOW),
    );
    look.set(
        LookupFlags::DIRECTORY,
        mask.contains(InotifyMask::IN_ONLYDIR),
    );
    let place = lookup(&cx.task, AT_FDCWD, &path.read_path()?, look)?;
    path_permission(&cx.task.cred(), &place, MAY_READ)?;
    inotify.add(&place.inode(), mask)
}

pub fn inotify_rm_watch(cx: &mut Context, fd: Fd, wd: i32) -> Result<()> {
    let file = cx.task.files().get(fd.0)?;
    file.ops_as::<InotifyFile>()
        .ok_or(Errno::EINVAL)?
        .remove(wd)
}
