//! mount, umount2, pivot_root.

use super::Context;
use crate::error::{Result, err};
use crate::user::{PATH_MAX, UserPtr};
use crate::vfs::mount::follow_mounts;
use crate::vfs::{LookupFlags, Path, lookup, namespace};
use abi::cap::CAP_SYS_ADMIN;
use abi::errno::Errno;
use abi::fs::AT_FDCWD;
use abi::mount::{MS_MGC_MSK, MS_MGC_VAL, MountFlags, UmountFlags};

/// Bytes of the data argument that count: a page.
const DATA_MAX: usize = 4096;

fn string(ptr: UserPtr<u8>) -> Result<Vec<u8>> {
    match ptr.non_null() {
        Some(ptr) => ptr.read_cstr(PATH_MAX),
        None => Ok(Vec::new()),
    }
}

/// The data argument: a string of at most a page, whose end may lie behind what can be read.
fn data(ptr: UserPtr<u8>) -> Result<Vec<u8>> {
    if ptr.is_null() {
        return Ok(Vec::new());
    }
    match ptr.read_cstr(DATA_MAX) {
        Err(e) if e == Errno::ENAMETOOLONG => ptr.read_array(DATA_MAX - 1),
        other => other,
    }
}

pub(super) fn may_mount(cx: &Context) -> Result<()> {
    if cx.task.capable(CAP_SYS_ADMIN) {
        Ok(())
    } else {
        err(Errno::EPERM)
    }
}

fn place(cx: &Context, path: &[u8], flags: LookupFlags) -> Result<Path> {
    lookup(&cx.task, AT_FDCWD, path, flags)
}

pub fn mount(
    cx: &mut Context,
    source: UserPtr<u8>,
    target: UserPtr<u8>,
    kind: UserPtr<u8>,
    flags: u64,
    options: UserPtr<u8>,
) -> Result<()> {
    let kind_name = string(kind)?;
    let source_name = string(source)?;
    let options = data(options)?;
    let flags = if flags & MS_MGC_MSK == MS_MGC_VAL {
        flags & !MS_MGC_MSK
    } else {
        flags
    };
    let flags = MountFlags::from_bits_retain(flags);
    let at = place(cx, &target.read_path()?, LookupFlags::FOLLOW)?;
    may_mount(cx)?;
    let propagation = MountFlags::MS_SHARED
        | MountFlags::MS_PRIVATE
        | MountFlags::MS_SLAVE
        | MountFlags::MS_UNBINDABLE;
    let bind = flags.contains(MountFlags::MS_BIND);
    let from = || -> Result<Path> {
        if source_name.is_empty() {
            return err(Errno::EINVAL);
        }
        place(cx, &source_name, LookupFlags::FOLLOW)
    };
    if flags.contains(MountFlags::MS_REMOUNT) {
        namespace::remount(&at, &options, flags, bind)
    } else if bind {
        namespace::bind(&from()?, &at, flags.contains(MountFlags::MS_REC))
    } else if flags.intersects(propagation) {
        namespace::set_propagation(&at, flags)
    } else if flags.contains(MountFlags::MS_MOVE) {
        namespace::move_mount(&from()?, &at, false)
    } else if kind.is_null() {
        err(Errno::EINVAL)
    } else {
        namespace::mount_new(&kind_name, &source_name, &options, &at, flags).map(drop)
    }
}

pub fn umount2(cx: &mut Context, target: UserPtr<u8>, flags: u32) -> Result<()> {
    let flags = UmountFlags::from_bits_retain(flags);
    let expire = flags.contains(UmountFlags::MNT_EXPIRE);
    if flags.unknown_bits() != 0
        || expire && flags.intersects(UmountFlags::MNT_FORCE | UmountFlags::MNT_DETACH)
    {
        return err(Errno::EINVAL);
    }
    let mut look = LookupFlags::FOLLOW;
    look.set(
        LookupFlags::FOLLOW,
        !flags.contains(UmountFlags::UMOUNT_NOFOLLOW),
    );
    let mut at = place(cx, &target.read_path()?, look)?;
    // "." may have something on it: LOOKUP_MOUNTPOINT.
    follow_mounts(&mut at);
    may_mount(cx)?;
    namespace::unmount(at, flags)
}

pub fn pivot_root(cx: &mut Context, new: UserPtr<u8>, put_old: UserPtr<u8>) -> Result<()> {
    may_mount(cx)?;
    let look = LookupFlags::FOLLOW | LookupFlags::DIRECTORY;
    let new = place(cx, &new.read_path()?, look)?;
    let put_old = place(cx, &put_old.read_path()?, look)?;
    namespace::pivot_root(&cx.task.fs().root(), &new, &put_old)
}
