//! Changing who a task is: the set*id family and what it does to capabilities (kernel/sys.c, security/commoncap.c).

use super::{CapSet, Cred, Task, pids};
use crate::error::{Result, err};
use crate::fs::proc::sys;
use abi::errno::Errno;
use abi::task::{CAP_SETGID, CAP_SETUID, RLIMIT_NPROC, SECBIT_KEEP_CAPS, SECBIT_NO_SETUID_FIXUP};
use std::sync::atomic::Ordering::Relaxed;

/// "Leave it as it is" in the setre*id and setres*id calls.
pub const UNCHANGED: u32 = u32::MAX;

/// Capabilities that follow the file-system user: CAP_FS_SET.
const FS_CAPS: u64 = 1 << 0 // CHOWN
    | 1 << 1 // DAC_OVERRIDE
    | 1 << 2 // DAC_READ_SEARCH
    | 1 << 3 // FOWNER
    | 1 << 4 // FSETID
    | 1 << 9 // LINUX_IMMUTABLE
    | 1 << 27 // MKNOD
    | 1 << 32; // MAC_OVERRIDE

/// Makes `new` the task's credentials, with what a change of identity entails (kernel/cred.c:commit_creds()).
pub fn commit(task: &Task, new: Cred) {
    let old = task.cred();
    let changed = old.euid != new.euid
        || old.egid != new.egid
        || old.fsuid != new.fsuid
        || old.fsgid != new.fsgid
        || new.permitted.0 & !old.permitted.0 != 0;
    if changed {
        if let Some(mm) = task.mm() {
            mm.dumpable.store(sys::suid_dumpable(), Relaxed);
        }
        task.pdeath_signal.store(0, Relaxed);
    }
    task.set_cred(new);
}

/// security/commoncap.c:cap_emulate_setxuid().
fn emulate_setxuid(old: &Cred, new: &mut Cred) {
    if old.securebits & SECBIT_NO_SETUID_FIXUP != 0 {
        return;
    }
    let was_root = old.uid == 0 || old.euid == 0 || old.suid == 0;
    let is_root = new.uid == 0 || new.euid == 0 || new.suid == 0;
    if was_root && !is_root {
        if old.securebits & SECBIT_KEEP_CAPS == 0 {
            new.permitted = CapSet::EMPTY;
            new.effective = CapSet::EMPTY;
        }
        new.ambient = CapSet::EMPTY;
    }
    if old.euid == 0 && new.euid != 0 {
        new.effective = CapSet::EMPTY;
    }
    if old.euid != 0 && new.euid == 0 {
        new.effective = new.permitted;
    }
}

/// kernel/sys.c:flag_nproc_exceeded().
fn note_process_limit(task: &Task, uid: u32) {
    let limit = task.group.rlimit(RLIMIT_NPROC as usize);
    let over = uid != 0 && limit != u64::MAX && {
        let theirs = pids()
            .tasks()
            .iter()
            .filter(|t| t.cred().uid == uid)
            .count();
        theirs as u64 >= limit
    };
    task.nproc_exceeded.store(over, Relaxed);
}

fn commit_users(task: &Task, old: &Cred, mut new: Cred) -> Result<()> {
    emulate_setxuid(old, &mut new);
    if new.uid != old.uid {
        note_process_limit(task, new.uid);
    }
    commit(task, new);
    Ok(())
}

fn check(id: u32) -> Result<()> {
    if id == UNCHANGED {
        err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

/// setuid(2).
pub fn set_uid(task: &Task, uid: u32) -> Result<()> {
    check(uid)?;
    let old = task.cred();
    let mut new = (*old).clone();
    if old.capable(CAP_SETUID) {
        (new.uid, new.suid) = (uid, uid);
    } else if uid != old.uid && uid != old.suid {
        return err(Errno::EPERM);
    }
    (new.euid, new.fsuid) = (uid, uid);
    commit_users(task, &old, new)
}

/// setreuid(2).
pub fn set_reuid(task: &Task, real: u32, effective: u32) -> Result<()> {
    let old = task.cred();
    let mut new = (*old).clone();
    let capable = old.capable(CAP_SETUID);
    if real != UNCHANGED {
        new.uid = real;
        if !capable && real != old.uid && real != old.euid {
            return err(Errno::EPERM);
        }
    }
    if effective != UNCHANGED {
        new.euid = effective;
        if !capable && ![old.uid, old.euid, old.suid].contains(&effective) {
            return err(Errno::EPERM);
        }
    }
    if real != UNCHANGED || (effective != UNCHANGED && effective != old.uid) {
        new.suid = new.euid;
    }
    new.fsuid = new.euid;
    commit_users(task, &old, new)
}

fn may_take(ids: [u32; 3], wanted: [u32; 3], capable: bool) -> bool {
    capable || wanted.iter().all(|id| *id == UNCHANGED || ids.contains(id))
}

fn take(slot: &mut u32, id: u32) {
    if id != UNCHANGED {
        *slot = id;
    }
}

/// setresuid(2).
pub fn set_resuid(task: &Task, real: u32, effective: u32, saved: u32) -> Result<()> {
    let old = task.cred();
    let ids = [old.uid, old.euid, old.suid];
    if !may_take(ids, [real, effective, saved], old.capable(CAP_SETUID)) {
        return err(Errno::EPERM);
    }
    let mut new = (*old).clone();
    take(&mut new.uid, real);
    take(&mut new.euid, effective);
    take(&mut new.suid, saved);
    new.fsuid = new.euid;
    commit_users(task, &old, new)
}

/// setgid(2).
pub fn set_gid(task: &Task, gid: u32) -> Result<()> {
    check(gid)?;
    let old = task.cred();
    let mut new = (*old).clone();
    if old.capable(CAP_SETGID) {
        (new.gid, new.sgid) = (gid, gid);
    } else if gid != old.gid && gid != old.sgid {
        return err(Errno::EPERM);
    }
    (new.egid, new.fsgid) = (gid, gid);
    commit(task, new);
    Ok(())
}

/// setregid(2).
pub fn set_regid(task: &Task, real: u32, effective: u32) -> Result<()> {
    let old = task.cred();
    let mut new = (*old).clone();
    let capable = old.capable(CAP_SETGID);
    if real != UNCHANGED {
        new.gid = real;
        if !capable && real != old.gid && real != old.egid {
            return err(Errno::EPERM);
        }
    }
    if effective != UNCHANGED {
        new.egid = effective;
        if !capable && ![old.gid, old.egid, old.sgid].contains(&effective) {
            return err(Errno::EPERM);
        }
    }
    if real != UNCHANGED || (effective != UNCHANGED && effective != old.gid) {
        new.sgid = new.egid;
    }
    new.fsgid = new.egid;
    commit(task, new);
    Ok(())
}

/// setresgid(2).
pub fn set_resgid(task: &Task, real: u32, effective: u32, saved: u32) -> Result<()> {
    let old = task.cred();
    let ids = [old.gid, old.egid, old.sgid];
    if !may_take(ids, [real, effective, saved], old.capable(CAP_SETGID)) {
        return err(Errno::EPERM);
    }
    let mut new = (*old).clone();
    take(&mut new.gid, real);
    take(&mut new.egid, effective);
    take(&mut new.sgid, saved);
    new.fsgid = new.egid;
    commit(task, new);
    Ok(())
}

/// setfsuid(2): the old one, whatever comes of it.
pub fn set_fsuid(task: &Task, uid: u32) -> u32 {
    let old = task.cred();
    let allowed =
        [old.uid, old.euid, old.suid, old.fsuid].contains(&uid) || old.capable(CAP_SETUID);
    if uid == UNCHANGED || !allowed || uid == old.fsuid {
        return old.fsuid;
    }
    let mut new = (*old).clone();
    new.fsuid = uid;
    if old.securebits & SECBIT_NO_SETUID_FIXUP == 0 {
        if old.fsuid == 0 {
            new.effective = CapSet(new.effective.0 & !FS_CAPS);
        } else if uid == 0 {
            new.effective = CapSet(new.effective.0 | new.permitted.0 & FS_CAPS);
        }
    }
    commit(task, new);
    old.fsuid
}

/// setfsgid(2).
pub fn set_fsgid(task: &Task, gid: u32) -> u32 {
    let old = task.cred();
    let allowed =
        [old.gid, old.egid, old.sgid, old.fsgid].contains(&gid) || old.capable(CAP_SETGID);
    if gid != UNCHANGED && allowed && gid != old.fsgid {
        let mut new = (*old).clone();
        new.fsgid = gid;
        commit(task, new);
    }
    old.fsgid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_root_drops_capabilities() {
        let old = Cred::root();
        let mut new = old.clone();
        (new.uid, new.euid, new.suid) = (1000, 1000, 1000);
        emulate_setxuid(&old, &mut new);
        assert_eq!(new.permitted, CapSet::EMPTY);
        assert_eq!(new.effective, CapSet::EMPTY);
    }

    #[test]
    fn effective_follows_euid() {
        let old = Cred::root();
        let mut user = old.clone();
        user.euid = 1000;
        emulate_setxuid(&old, &mut user);
        assert_eq!(
            (user.permitted, user.effective),
            (CapSet::FULL, CapSet::EMPTY)
        );
        let mut back = user.clone();
        back.euid = 0;
        emulate_setxuid(&user, &mut back);
        assert_eq!(back.effective, CapSet::FULL);
    }
}
