//! Credentials of a new program: setuid and setgid files, file capabilities, root's privileges
//! (fs/exec.c:bprm_fill_uid(), security/commoncap.c:cap_bprm_creds_from_file()).

use crate::error::{Result, err};
use crate::task::{CapSet, Cred, Task};
use crate::vfs::File;
use abi::errno::Errno;
use abi::task::{
    CAP_SETUID, SECBIT_KEEP_CAPS, SECBIT_NOROOT, VFS_CAP_FLAGS_EFFECTIVE, VFS_CAP_REVISION_1,
    VFS_CAP_REVISION_2, VFS_CAP_REVISION_3, VFS_CAP_REVISION_MASK,
};
use std::sync::Arc;

/// Capabilities that a file carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileCaps {
    permitted: u64,
    inheritable: u64,
    effective: bool,
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let part = bytes.get(4 * index..4 * index + 4)?;
    Some(u32::from_le_bytes(part.try_into().ok()?))
}

/// Reads `struct vfs_cap_data`. EINVAL when it has no sense.
fn parse_file_caps(bytes: &[u8]) -> Result<FileCaps> {
    let magic = word(bytes, 0).ok_or(Errno::EINVAL)?;
    let (pairs, size) = match magic & VFS_CAP_REVISION_MASK {
        VFS_CAP_REVISION_1 => (1, 12),
        VFS_CAP_REVISION_2 => (2, 20),
        VFS_CAP_REVISION_3 => (2, 24),
        _ => return err(Errno::EINVAL),
    };
    if bytes.len() != size {
        return err(Errno::EINVAL);
    }
    let mut caps = FileCaps {
        permitted: 0,
        inheritable: 0,
        effective: magic & VFS_CAP_FLAGS_EFFECTIVE != 0,
    };
    for i in 0..pairs {
        let at = |index| word(bytes, index).map_or(0, u64::from) << (32 * i);
        caps.permitted |= at(1 + 2 * i);
        caps.inheritable |= at(2 + 2 * i);
    }
    caps.permitted &= CapSet::FULL.0;
    caps.inheritable &= CapSet::FULL.0;
    Ok(caps)
}

fn file_caps(file: &File) -> Result<Option<FileCaps>> {
    match file.inode().get_xattr(b"security.capability") {
        Ok(bytes) => parse_file_caps(&bytes).map(Some),
        Err(_) => Ok(None),
    }
}

/// Whether somebody outside the process shares root and working directory (LSM_UNSAFE_SHARE).
fn shares_paths(task: &Task) -> bool {
    let fs = task.fs();
    let mine = task
        .group
        .threads()
        .iter()
        .filter(|t| Arc::ptr_eq(&t.fs(), &fs))
        .count();
    Arc::strong_count(&fs) > mine + 1
}

/// New credentials, and whether the program must distrust its environment (AT_SECURE).
pub fn for_program(task: &Task, file: &File) -> Result<(Cred, bool)> {
    let old = task.cred();
    let mut new = (*old).clone();
    let mut from_file = None;
    let privileged = !file.path().mount.nosuid() && !old.no_new_privs;
    if privileged {
        let meta = file.inode().metadata()?;
        if meta.mode & abi::fs::S_ISUID != 0 {
            new.euid = meta.uid;
        }
        if meta.mode & (abi::fs::S_ISGID | 0o010) == abi::fs::S_ISGID | 0o010 {
            new.egid = meta.gid;
        }
        from_file = file_caps(file)?;
    }
    let mut effective = from_file.is_some_and(|f| f.effective);
    if let Some(caps) = from_file {
        new.permitted =
            CapSet(caps.permitted & old.bounding.0 | caps.inheritable & old.inheritable.0);
        if caps.effective && caps.permitted & !new.permitted.0 != 0 {
            return err(Errno::EPERM);
        }
    } else {
        new.permitted = CapSet::EMPTY;
    }
    let no_root = old.securebits & SECBIT_NOROOT != 0;
    // A setuid-root file with capabilities of its own gives its caller those only.
    let suid_with_caps = from_file.is_some() && new.uid != 0 && new.euid == 0;
    if !no_root && !suid_with_caps {
        if new.euid == 0 || new.uid == 0 {
            new.permitted = CapSet(old.bounding.0 | old.inheritable.0);
        }
        if new.euid == 0 {
            effective = true;
        }
    }
    let is_setid = new.euid != old.uid || new.egid != old.gid;
    let gained = new.permitted.0 & !old.permitted.0 != 0;
    if (is_setid || gained) && (old.no_new_privs || shares_paths(task)) {
        if !old.capable(CAP_SETUID) || old.no_new_privs {
            (new.euid, new.egid) = (new.uid, new.gid);
        }
        new.permitted = CapSet(new.permitted.0 & old.permitted.0);
    }
    (new.suid, new.fsuid) = (new.euid, new.euid);
    (new.sgid, new.fsgid) = (new.egid, new.egid);
    if from_file.is_some() || is_setid {
        new.ambient = CapSet::EMPTY;
    }
    new.permitted = CapSet(new.permitted.0 | new.ambient.0);
    new.effective = if effective {
        new.permitted
    } else {
        new.ambient
    };
    new.securebits &= !SECBIT_KEEP_CAPS;
    let grew = new.permitted.0 & !new.ambient.0 != 0;
    let secure = is_setid || (new.uid != 0 && (effective || grew));
    Ok((new, secure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_capabilities() {
        let mut bytes = vec![0u8; 20];
        bytes[0] = 1;
        bytes[3] = 2;
        bytes[5] = 0x20;
        bytes[16] = 1;
        let caps = parse_file_caps(&bytes).unwrap();
        assert_eq!(caps.permitted, 1 << 13);
        assert_eq!(caps.inheritable, 1 << 32);
        assert!(caps.effective);
        assert!(parse_file_caps(&bytes[..19]).is_err());
        assert!(parse_file_caps(&[]).is_err());
    }
}
