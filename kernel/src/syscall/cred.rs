//! Users, groups and capabilities.

use super::Context;
use crate::error::{Result, err};
use crate::task::{CapSet, Pid, identity, pids};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::task::{
    _LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_3,
    CAP_SETGID, CAP_SETPCAP, CapUserData, CapUserHeader,
};

/// Most supplementary groups: NGROUPS_MAX.
const NGROUPS_MAX: i32 = 65_536;

pub fn getuid(cx: &mut Context) -> Result<u32> {
    Ok(cx.task.cred().uid)
}

pub fn geteuid(cx: &mut Context) -> Result<u32> {
    Ok(cx.task.cred().euid)
}

pub fn getgid(cx: &mut Context) -> Result<u32> {
    Ok(cx.task.cred().gid)
}

pub fn getegid(cx: &mut Context) -> Result<u32> {
    Ok(cx.task.cred().egid)
}

pub fn setuid(cx: &mut Context, uid: u32) -> Result<()> {
    identity::set_uid(&cx.task, uid)
}

pub fn setgid(cx: &mut Context, gid: u32) -> Result<()> {
    identity::set_gid(&cx.task, gid)
}

pub fn setreuid(cx: &mut Context, real: u32, effective: u32) -> Result<()> {
    identity::set_reuid(&cx.task, real, effective)
}

pub fn setregid(cx: &mut Context, real: u32, effective: u32) -> Result<()> {
    identity::set_regid(&cx.task, real, effective)
}

pub fn setresuid(cx: &mut Context, real: u32, effective: u32, saved: u32) -> Result<()> {
    identity::set_resuid(&cx.task, real, effective, saved)
}

pub fn setresgid(cx: &mut Context, real: u32, effective: u32, saved: u32) -> Result<()> {
    identity::set_resgid(&cx.task, real, effective, saved)
}

pub fn getresuid(
    cx: &mut Context,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<()> {
    let cred = cx.task.cred();
    real.write(&cred.uid)?;
    effective.write(&cred.euid)?;
    saved.write(&cred.suid)
}

pub fn getresgid(
    cx: &mut Context,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<()> {
    let cred = cx.task.cred();
    real.write(&cred.gid)?;
    effective.write(&cred.egid)?;
    saved.write(&cred.sgid)
}

pub fn setfsuid(cx: &mut Context, uid: u32) -> Result<u32> {
    Ok(identity::set_fsuid(&cx.task, uid))
}

pub fn setfsgid(cx: &mut Context, gid: u32) -> Result<u32> {
    Ok(identity::set_fsgid(&cx.task, gid))
}

pub fn getgroups(cx: &mut Context, size: i32, list: UserPtr<u32>) -> Result<usize> {
    let cred = cx.task.cred();
    if size < 0 || (size != 0 && (size as usize) < cred.groups.len()) {
        return err(Errno::EINVAL);
    }
    if size != 0 {
        list.write_array(&cred.groups)?;
    }
    Ok(cred.groups.len())
}

pub fn setgroups(cx: &mut Context, size: i32, list: UserPtr<u32>) -> Result<()> {
    if !cx.task.capable(CAP_SETGID) {
        return err(Errno::EPERM);
    }
    if !(0..=NGROUPS_MAX).contains(&size) {
        return err(Errno::EINVAL);
    }
    let mut groups = list.read_array(size as usize)?;
    if groups.contains(&identity::UNCHANGED) {
        return err(Errno::EINVAL);
    }
    groups.sort_unstable();
    let mut cred = (*cx.task.cred()).clone();
    cred.groups = groups;
    identity::commit(&cx.task, cred);
    Ok(())
}

/// How many [`CapUserData`] the header's version has; None for an unknown one, with the right one stored.
fn data_count(header: UserPtr<CapUserHeader>) -> Result<(CapUserHeader, Option<usize>)> {
    let mut value = header.read()?;
    let count = match value.version {
        _LINUX_CAPABILITY_VERSION_1 => Some(1),
        _LINUX_CAPABILITY_VERSION_2 | _LINUX_CAPABILITY_VERSION_3 => Some(2),
        _ => {
            value.version = _LINUX_CAPABILITY_VERSION_3;
            header.cast::<u32>().write(&value.version)?;
            None
        }
    };
    Ok((value, count))
}

pub fn capget(
    cx: &mut Context,
    header: UserPtr<CapUserHeader>,
    data: UserPtr<CapUserData>,
) -> Result<()> {
    let (header, count) = data_count(header)?;
    let Some(count) = count else {
        return if data.is_null() {
            Ok(())
        } else {
            err(Errno::EINVAL)
        };
    };
    let cred = match header.pid {
        0 => cx.task.cred(),
        1.. => pids().task(header.pid as Pid).ok_or(Errno::ESRCH)?.cred(),
        _ => return err(Errno::EINVAL),
    };
    let half = |set: CapSet, i: usize| (set.0 >> (32 * i)) as u32;
    let halves = [0, 1].map(|i| CapUserData {
        effective: half(cred.effective, i),
        permitted: half(cred.permitted, i),
        inheritable: half(cred.inheritable, i),
    });
    if data.is_null() {
        return Ok(());
    }
    data.write_array(&halves[..count])
}

/// security/commoncap.c:cap_capset().
pub fn capset(
    cx: &mut Context,
    header: UserPtr<CapUserHeader>,
    data: UserPtr<CapUserData>,
) -> Result<()> {
    let (header, count) = data_count(header)?;
    let Some(count) = count else {
        return err(Errno::EINVAL);
    };
    if header.pid != 0 && header.pid != cx.task.tid() as i32 {
        return err(Errno::EPERM);
    }
    let halves = data.read_array(count)?;
    let join = |of: fn(&CapUserData) -> u32| {
        let bits = halves
            .iter()
            .rev()
            .fold(0, |all, h| all << 32 | u64::from(of(h)));
        CapSet(bits & CapSet::FULL.0)
    };
    let effective = join(|h| h.effective);
    let permitted = join(|h| h.permitted);
    let inheritable = join(|h| h.inheritable);

    let old = cx.task.cred();
    let within = |a: CapSet, b: u64| a.0 & !b == 0;
    let capped = !old.capable(CAP_SETPCAP);
    if (capped && !within(inheritable, old.inheritable.0 | old.permitted.0))
        || !within(inheritable, old.inheritable.0 | old.bounding.0)
        || !within(permitted, old.permitted.0)
        || !within(effective, permitted.0)
    {
        return err(Errno::EPERM);
    }
    let mut new = (*old).clone();
    new.effective = effective;
    new.permitted = permitted;
    new.inheritable = inheritable;
    new.ambient = CapSet(new.ambient.0 & permitted.0 & inheritable.0);
    identity::commit(&cx.task, new);
    Ok(())
}
