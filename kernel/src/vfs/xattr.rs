//! Extended attributes: who may use which name space (fs/xattr.c:xattr_permission()).

use super::perm::{MAY_READ, MAY_WRITE, inode_permission, is_owner};
use super::{InodeKind, Path, SetAttr, notify};
use crate::error::{Result, err};
use crate::task::Cred;
use abi::cap::{CAP_SETFCAP, CAP_SYS_ADMIN};
use abi::errno::Errno;

fn check(cred: &Cred, path: &Path, name: &[u8], write: bool) -> Result<()> {
    if write {
        path.mount.want_write()?;
        super::flags::check_fixed(&*path.inode())?;
    }
    let inode = path.inode();
    let admin = cred.capable(CAP_SYS_ADMIN);
    let refused = if write { Errno::EPERM } else { Errno::ENODATA };
    if name.starts_with(b"trusted.") {
        return if admin { Ok(()) } else { err(refused) };
    }
    if name.starts_with(b"security.") {
        let allowed =
            !write || admin || name == b"security.capability" && cred.capable(CAP_SETFCAP);
        return if allowed { Ok(()) } else { err(Errno::EPERM) };
    }
    if name.starts_with(b"system.") {
        // POSIX access lists; no file system here keeps any.
        return err(Errno::EOPNOTSUPP);
    }
    if !name.starts_with(b"user.") || name.len() == b"user.".len() {
        return err(if name == b"user." {
            Errno::EINVAL
        } else {
            Errno::EOPNOTSUPP
        });
    }
    match inode.kind() {
        InodeKind::Regular => {}
        InodeKind::Directory => {
            let meta = inode.metadata()?;
            if write && meta.mode & abi::fs::S_ISVTX != 0 && !is_owner(cred, &meta) {
                return err(refused);
            }
        }
        _ => return err(refused),
    }
    inode_permission(cred, &*inode, if write { MAY_WRITE } else { MAY_READ })
}

/// getxattr(2). ENODATA, EOPNOTSUPP.
pub fn get(cred: &Cred, path: &Path, name: &[u8]) -> Result<Vec<u8>> {
    check(cred, path, name, false)?;
    path.inode().get_xattr(name)
}

fn told(path: &Path) {
    let now = Some(super::TimeSet::Now);
    notify::attributes(
        &path.dentry,
        &path.inode(),
        &SetAttr {
            ctime: now,
            ..SetAttr::default()
        },
    );
}

/// setxattr(2). EEXIST, ENODATA, EPERM, EROFS.
pub fn set(cred: &Cred, path: &Path, name: &[u8], value: &[u8], flags: u32) -> Result<()> {
    check(cred, path, name, true)?;
    path.inode().set_xattr(name, value, flags)?;
    told(path);
    Ok(())
}

/// removexattr(2).
pub fn remove(cred: &Cred, path: &Path, name: &[u8]) -> Result<()> {
    check(cred, path, name, true)?;
    path.inode().remove_xattr(name)?;
    told(path);
    Ok(())
}

/// listxattr(2): the names, each with its NUL; `trusted.` only for the privileged.
pub fn list(cred: &Cred, path: &Path) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for name in path.inode().list_xattr()? {
        if name.starts_with(b"trusted.") && !cred.capable(CAP_SYS_ADMIN) {
            continue;
        }
        out.extend_from_slice(&name);
        out.push(0);
    }
    Ok(out)
}
