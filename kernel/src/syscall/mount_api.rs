//! The newer calls for mounts: open_tree, move_mount, mount_setattr, fsopen, fsconfig, fsmount, fspick.

use super::mount::may_mount;
use super::open::{install, read_extensible};
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::user::{PATH_MAX, UserPtr};
use crate::vfs::fscontext::MountContext;
use crate::vfs::{LookupFlags, Path, detached, filesystem_type, lookup, open_path};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, AtFlags, OpenFlags};
use abi::mount::*;
use std::sync::Arc;

/// Longest parameter of a file system, with its NUL (fs/fsopen.c).
const PARAMETER_MAX: usize = 256;
/// Most bytes of a binary parameter.
const BLOB_MAX: i32 = 1 << 20;

/// A place, by path or by an empty one and the descriptor.
fn place(cx: &Context, dirfd: i32, path: UserPtr<u8>, empty: bool, follow: bool) -> Result<Path> {
    let name = if path.is_null() && empty {
        Vec::new()
    } else {
        path.read_path()?
    };
    let mut look = LookupFlags::empty();
    look.set(LookupFlags::FOLLOW, follow);
    look.set(LookupFlags::EMPTY, empty);
    if name.is_empty() && empty && dirfd != AT_FDCWD {
        return Ok(cx.task.files().get_any(dirfd)?.path().clone());
    }
    lookup(&cx.task, dirfd, &name, look)
}

pub fn open_tree(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, flags: u32) -> Result<Fd> {
    let flags = OpenTreeFlags::from_bits_retain(flags);
    let clone = flags.contains(OpenTreeFlags::OPEN_TREE_CLONE);
    let recursive = flags.contains(OpenTreeFlags::AT_RECURSIVE);
    if flags.unknown_bits() != 0 || recursive && !clone {
        return err(Errno::EINVAL);
    }
    if clone {
        may_mount(cx)?;
    }
    let empty = flags.contains(OpenTreeFlags::AT_EMPTY_PATH);
    let follow = !flags.contains(OpenTreeFlags::AT_SYMLINK_NOFOLLOW);
    let at = place(cx, dirfd.0, path, empty, follow)?;
    let file = if clone {
        detached::clone_tree(&at, recursive)?
    } else {
        open_path(&at, OpenFlags::O_PATH)?
    };
    let mut open = OpenFlags::empty();
    open.set(
        OpenFlags::O_CLOEXEC,
        flags.contains(OpenTreeFlags::OPEN_TREE_CLOEXEC),
    );
    install(cx, file, open)
}

pub fn move_mount(
    cx: &mut Context,
    from_fd: Fd,
    from: UserPtr<u8>,
    to_fd: Fd,
    to: UserPtr<u8>,
    flags: u32,
) -> Result<()> {
    use MoveMountFlags as F;
    may_mount(cx)?;
    let flags = F::from_bits_retain(flags);
    let has = |f: F| flags.contains(f);
    let (beneath, group) = (F::MOVE_MOUNT_BENEATH, F::MOVE_MOUNT_SET_GROUP);
    if flags.unknown_bits() != 0 || has(beneath) && has(group) {
        return err(Errno::EINVAL);
    }
    let to = place(
        cx,
        to_fd.0,
        to,
        has(F::MOVE_MOUNT_T_EMPTY_PATH),
        has(F::MOVE_MOUNT_T_SYMLINKS),
    )?;
    let from = place(
        cx,
        from_fd.0,
        from,
        has(F::MOVE_MOUNT_F_EMPTY_PATH),
        has(F::MOVE_MOUNT_F_SYMLINKS),
    )?;
    if has(group) {
        return detached::set_group(&from, &to);
    }
    detached::move_mount(&from, &to, has(beneath))
}

/// MS_* for MOUNT_ATTR_*, but for the times of access.
fn plain_flags(attributes: u64) -> MountFlags {
    let pairs = [
        (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::MS_RDONLY),
        (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::MS_NOSUID),
        (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::MS_NODEV),
        (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::MS_NOEXEC),
        (
            MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            MountFlags::MS_NODIRATIME,
        ),
        (
            MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW,
            MountFlags::MS_NOSYMFOLLOW,
        ),
    ];
    let attributes = MountAttrFlags::from_bits_retain(attributes);
    pairs
        .iter()
        .filter(|(attribute, _)| attributes.contains(*attribute))
        .fold(MountFlags::empty(), |all, (_, flag)| all | *flag)
}

const ATIME: u64 = MountAttrFlags::MOUNT_ATTR__ATIME.bits();

/// MS_* for the field of access times. EINVAL.
fn atime_flags(attributes: u64) -> Result<MountFlags> {
    const NOATIME: u64 = MountAttrFlags::MOUNT_ATTR_NOATIME.bits();
    const STRICT: u64 = MountAttrFlags::MOUNT_ATTR_STRICTATIME.bits();
    match attributes & ATIME {
        0 => Ok(MountFlags::MS_RELATIME),
        NOATIME => Ok(MountFlags::MS_NOATIME),
        STRICT => Ok(MountFlags::empty()),
        _ => err(Errno::EINVAL),
    }
}

const IDMAP: u64 = MountAttrFlags::MOUNT_ATTR_IDMAP.bits();

/// What fs/namespace.c:build_mount_kattr() makes of the attributes: MS_* to set, to clear. EINVAL.
fn changes(attr: &MountAttr) -> Result<(MountFlags, MountFlags)> {
    let all = attr.attr_set | attr.attr_clr;
    if MountAttrFlags::from_bits_retain(all).unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    let (mut set, mut clear) = (plain_flags(attr.attr_set), plain_flags(attr.attr_clr));
    if attr.attr_clr & ATIME != 0 {
        if attr.attr_clr & ATIME != ATIME {
            return err(Errno::EINVAL);
        }
        clear |= MountFlags::MS_RELATIME | MountFlags::MS_NOATIME;
        set |= atime_flags(attr.attr_set)?;
    } else if attr.attr_set & ATIME != 0 {
        return err(Errno::EINVAL);
    }
    // No user namespace could be given for it.
    if all & IDMAP != 0 {
        return err(Errno::EINVAL);
    }
    Ok((set, clear))
}

pub fn mount_setattr(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    flags: u32,
    attr: UserPtr<MountAttr>,
    size: u64,
) -> Result<()> {
    const RECURSIVE: u32 = 0x8000;
    let at = AtFlags::from_bits_retain(flags & !RECURSIVE);
    let known = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
    if !known.contains(at) {
        return err(Errno::EINVAL);
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > 4096 {
        return err(Errno::E2BIG);
    }
    if size < size_of::<MountAttr>() {
        return err(Errno::EINVAL);
    }
    may_mount(cx)?;
    let attr = read_extensible(attr, size, size_of::<MountAttr>())?;
    if attr.attr_set == 0 && attr.attr_clr == 0 && attr.propagation == 0 {
        return Ok(());
    }
    let propagation = MountFlags::from_bits_retain(attr.propagation);
    let kinds = MountFlags::MS_SHARED
        | MountFlags::MS_PRIVATE
        | MountFlags::MS_SLAVE
        | MountFlags::MS_UNBINDABLE;
    if !kinds.contains(propagation) || propagation.bits().count_ones() > 1 {
        return err(Errno::EINVAL);
    }
    let (set, clear) = changes(&attr)?;
    let follow = !at.contains(AtFlags::AT_SYMLINK_NOFOLLOW);
    let target = place(
        cx,
        dirfd.0,
        path,
        at.contains(AtFlags::AT_EMPTY_PATH),
        follow,
    )?;
    detached::set_attributes(&target, flags & RECURSIVE != 0, set, clear, propagation)
}

fn context(cx: &mut Context, context: MountContext, cloexec: bool) -> Result<Fd> {
    let mut flags = OpenFlags::O_RDWR;
    flags.set(OpenFlags::O_CLOEXEC, cloexec);
    let ops = Box::new(context);
    let file = crate::vfs::anon_file("[fscontext]", ops, OpenFlags::O_RDWR);
    install(cx, file, flags)
}

pub fn fsopen(cx: &mut Context, name: UserPtr<u8>, flags: u32) -> Result<Fd> {
    may_mount(cx)?;
    if flags & !FSOPEN_CLOEXEC != 0 {
        return err(Errno::EINVAL);
    }
    let name = match name.read_cstr(4096) {
        Err(e) if e == Errno::ENAMETOOLONG => return err(Errno::EINVAL),
        other => other?,
    };
    let kind = filesystem_type(&name).ok_or(Errno::ENODEV)?;
    context(cx, MountContext::new(kind), flags & FSOPEN_CLOEXEC != 0)
}

pub fn fspick(cx: &mut Context, dirfd: Fd, path: UserPtr<u8>, flags: u32) -> Result<Fd> {
    may_mount(cx)?;
    let flags = FspickFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    let empty = flags.contains(FspickFlags::FSPICK_EMPTY_PATH);
    let follow = !flags.contains(FspickFlags::FSPICK_SYMLINK_NOFOLLOW);
    let target = place(cx, dirfd.0, path, empty, follow)?;
    if !target.is_mount_root() {
        return err(Errno::EINVAL);
    }
    let kind = filesystem_type(target.mount.fs.name().as_bytes()).ok_or(Errno::EOPNOTSUPP)?;
    let superblock = target.mount.superblock().clone();
    let cloexec = flags.contains(FspickFlags::FSPICK_CLOEXEC);
    context(cx, MountContext::pick(kind, superblock), cloexec)
}

pub fn fsmount(cx: &mut Context, fd: Fd, flags: u32, attributes: u32) -> Result<Fd> {
    may_mount(cx)?;
    let attributes = u64::from(attributes);
    let unknown = MountAttrFlags::from_bits_retain(attributes).unknown_bits();
    if flags & !FSMOUNT_CLOEXEC != 0 || unknown != 0 || attributes & IDMAP != 0 {
        return err(Errno::EINVAL);
    }
    let mount_flags = plain_flags(attributes) | atime_flags(attributes)?;
    let file = cx.task.files().get(fd.0)?;
    let mount = MountContext::of(&file)?.mount(mount_flags)?;
    let mut open = OpenFlags::empty();
    open.set(OpenFlags::O_CLOEXEC, flags & FSMOUNT_CLOEXEC != 0);
    install(cx, detached::open(mount), open)
}

pub fn fsconfig(
    cx: &mut Context,
    fd: Fd,
    command: u32,
    key: UserPtr<u8>,
    value: UserPtr<u8>,
    aux: i32,
) -> Result<()> {
    if fd.0 < 0 {
        return err(Errno::EINVAL);
    }
    let (k, v) = (!key.is_null(), !value.is_null());
    let fits = match command {
        FSCONFIG_SET_FLAG => k && !v && aux == 0,
        FSCONFIG_SET_STRING => k && v && aux == 0,
        FSCONFIG_SET_BINARY => k && v && (1..=BLOB_MAX).contains(&aux),
        FSCONFIG_SET_PATH | FSCONFIG_SET_PATH_EMPTY => k && v && (aux == AT_FDCWD || aux >= 0),
        FSCONFIG_SET_FD => k && !v && aux >= 0,
        FSCONFIG_CMD_CREATE | FSCONFIG_CMD_CREATE_EXCL | FSCONFIG_CMD_RECONFIGURE => {
            !k && !v && aux == 0
        }
        _ => return err(Errno::EOPNOTSUPP),
    };
    if !fits {
        return err(Errno::EINVAL);
    }
    let file: Arc<_> = cx.task.files().get(fd.0)?;
    let context = MountContext::of(&file)?;
    let name = match key.non_null() {
        Some(key) => match key.read_cstr(PARAMETER_MAX) {
            Err(e) if e == Errno::ENAMETOOLONG => return err(Errno::EINVAL),
            other => other?,
        },
        None => Vec::new(),
    };
    match command {
        FSCONFIG_CMD_CREATE => context.create(false),
        FSCONFIG_CMD_CREATE_EXCL => context.create(true),
        FSCONFIG_CMD_RECONFIGURE => context.reconfigure(),
        FSCONFIG_SET_FLAG => context.set(&name, None),
        FSCONFIG_SET_STRING => {
            let value = match value.read_cstr(PARAMETER_MAX) {
                Err(e) if e == Errno::ENAMETOOLONG => return err(Errno::EINVAL),
                other => other?,
            };
            context.set(&name, Some(&value))
        }
        // No file system here has parameters that are files or bytes.
        FSCONFIG_SET_BINARY => {
            value.read_array((aux as usize).min(PATH_MAX))?;
            context.refuse(&name)
        }
        _ => context.refuse(&name),
    }
}
