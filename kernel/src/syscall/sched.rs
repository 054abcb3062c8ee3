//! System calls on scheduling: yielding, affinity, policies (kernel/sched/syscalls.c).

use crate::error::{Error, Result, err};
use crate::sched;
use crate::syscall::Context;
use crate::task::{Task, pids};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::sched::{
    SCHED_ATTR_SIZE_VER0, SCHED_BATCH, SCHED_DEADLINE, SCHED_EXT, SCHED_FIFO, SCHED_IDLE,
    SCHED_NORMAL, SCHED_RESET_ON_FORK, SCHED_RR, SchedAttr, SchedFlags, SchedParam,
};
use abi::task::{CAP_SYS_NICE, RLIMIT_NICE, RLIMIT_RTPRIO};
use abi::time::Timespec;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use zerocopy::{FromZeros, IntoBytes};

pub fn sched_yield(_cx: &mut Context) -> Result<()> {
    sched::yield_now();
    Ok(())
}

fn find(cx: &Context, pid: i32) -> Result<Arc<Task>> {
    match pid {
        0 => Ok(cx.task.clone()),
        _ => u32::try_from(pid)
            .ok()
            .and_then(|pid| pids().task(pid))
            .ok_or_else(|| Error::new(Errno::ESRCH)),
    }
}

/// EINVAL for the numbers that some calls refuse before looking.
fn find_positive(cx: &Context, pid: i32) -> Result<Arc<Task>> {
    if pid < 0 {
        return err(Errno::EINVAL);
    }
    find(cx, pid)
}

fn owns(cx: &Context, target: &Task) -> bool {
    let (caller, target) = (cx.task.cred(), target.cred());
    caller.euid == target.euid || caller.euid == target.uid
}

/// Bytes of a CPU mask: one word, as there are at most 64 vCPUs.
const MASK_BYTES: usize = 8;

pub fn sched_setaffinity(cx: &mut Context, pid: i32, len: u32, mask: UserPtr<u8>) -> Result<()> {
    let mut bytes = [0u8; MASK_BYTES];
    let len = (len as usize).min(MASK_BYTES);
    mask.read_bytes(&mut bytes[..len])?;
    let target = find(cx, pid)?;
    if !owns(cx, &target) && !cx.task.capable(CAP_SYS_NICE) {
        return err(Errno::EPERM);
    }
    let allowed = u64::from_le_bytes(bytes) & sched::every_vcpu();
    if allowed == 0 {
        return err(Errno::EINVAL);
    }
    target.sched.set_allowed(allowed);
    if !Arc::ptr_eq(&target, &cx.task) {
        sched::move_to_allowed(&target);
    } else if allowed & (1 << target.sched.last_vcpu()) == 0 {
        sched::migrate();
    }
    Ok(())
}

pub fn sched_getaffinity(cx: &mut Context, pid: i32, len: u32, mask: UserPtr<u8>) -> Result<usize> {
    if (len as usize) * 8 < sched::ncpus() || !len.is_multiple_of(8) {
        return err(Errno::EINVAL);
    }
    let allowed = find(cx, pid)?.sched.allowed() & sched::every_vcpu();
    let len = (len as usize).min(MASK_BYTES);
    mask.write_bytes(&allowed.to_le_bytes()[..len])?;
    Ok(len)
}

fn is_real_time(policy: u32) -> bool {
    matches!(policy, SCHED_FIFO | SCHED_RR)
}

fn is_fair(policy: u32) -> bool {
    matches!(policy, SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE)
}

/// What a task is to be scheduled by.
struct Wanted {
    policy: u32,
    priority: u32,
    nice: i32,
    reset_on_fork: bool,
}

/// user_check_sched_setscheduler(): EPERM.
fn check_permission(cx: &Context, target: &Task, wanted: &Wanted) -> Result<()> {
    if cx.task.capable(CAP_SYS_NICE) {
        return Ok(());
    }
    let limit = |resource: i32| target.group.rlimit(resource as usize);
    let can_nice = |nice: i32| (20 - nice) as u64 <= limit(RLIMIT_NICE as i32);
    let policy = target.policy.load(Relaxed);
    let priority = target.rt_priority.load(Relaxed);
    let nice = target.sched.nice();
    if is_fair(wanted.policy) && wanted.nice < nice && !can_nice(wanted.nice) {
        return err(Errno::EPERM);
    }
    if is_real_time(wanted.policy) {
        let limit = limit(RLIMIT_RTPRIO as i32);
        if wanted.policy != policy && limit == 0 {
            return err(Errno::EPERM);
        }
        if wanted.priority > priority && u64::from(wanted.priority) > limit {
            return err(Errno::EPERM);
        }
    }
    if policy == SCHED_IDLE && wanted.policy != SCHED_IDLE && !can_nice(nice) {
        return err(Errno::EPERM);
    }
    if !owns(cx, target) || (target.reset_on_fork.load(Relaxed) && !wanted.reset_on_fork) {
        return err(Errno::EPERM);
    }
    Ok(())
}

/// __sched_setscheduler(): EINVAL, EPERM.
fn set_policy(cx: &Context, target: &Task, wanted: &Wanted) -> Result<()> {
    let valid = if is_real_time(wanted.policy) {
        (1..=99).contains(&wanted.priority)
    } else {
        is_fair(wanted.policy) && wanted.priority == 0
    };
    if !valid {
        return err(Errno::EINVAL);
    }
    check_permission(cx, target, wanted)?;
    target.policy.store(wanted.policy, Relaxed);
    target.rt_priority.store(wanted.priority, Relaxed);
    target.reset_on_fork.store(wanted.reset_on_fork, Relaxed);
    if is_fair(wanted.policy) {
        target.sched.set_nice(wanted.nice);
    }
    Ok(())
}

pub fn sched_setscheduler(
    cx: &mut Context,
    pid: i32,
    policy: i32,
    param: UserPtr<SchedParam>,
) -> Result<()> {
    if policy < 0 || param.is_null() || pid < 0 {
        return err(Errno::EINVAL);
    }
    let priority = param.read()?.sched_priority;
    let target = find(cx, pid)?;
    let wanted = Wanted {
        policy: policy as u32 & !SCHED_RESET_ON_FORK,
        priority: priority as u32,
        nice: target.sched.nice(),
        reset_on_fork: policy as u32 & SCHED_RESET_ON_FORK != 0,
    };
    set_policy(cx, &target, &wanted)
}

pub fn sched_setparam(cx: &mut Context, pid: i32, param: UserPtr<SchedParam>) -> Result<()> {
    if param.is_null() || pid < 0 {
        return err(Errno::EINVAL);
    }
    let priority = param.read()?.sched_priority;
    let target = find(cx, pid)?;
    let wanted = Wanted {
        policy: target.policy.load(Relaxed),
        priority: priority as u32,
        nice: target.sched.nice(),
        reset_on_fork: target.reset_on_fork.load(Relaxed),
    };
    set_policy(cx, &target, &wanted)
}

pub fn sched_getscheduler(cx: &mut Context, pid: i32) -> Result<u32> {
    let target = find_positive(cx, pid)?;
    let reset = if target.reset_on_fork.load(Relaxed) {
        SCHED_RESET_ON_FORK
    } else {
        0
    };
    Ok(target.policy.load(Relaxed) | reset)
}

pub fn sched_getparam(cx: &mut Context, pid: i32, param: UserPtr<SchedParam>) -> Result<()> {
    if param.is_null() {
        return err(Errno::EINVAL);
    }
    let target = find_positive(cx, pid)?;
    param.write(&SchedParam {
        sched_priority: target.rt_priority.load(Relaxed) as i32,
    })
}

/// Copies in a structure whose size the program says (sched_copy_attr()). E2BIG for sizes and bits that aren't known.
fn read_attr(attr: UserPtr<SchedAttr>) -> Result<SchedAttr> {
    const OWN: usize = size_of::<SchedAttr>();
    let too_big = || -> Result<SchedAttr> {
        attr.cast::<u32>().write(&(OWN as u32))?;
        err(Errno::E2BIG)
    };
    let size = match attr.cast::<u32>().read()? as usize {
        0 => SCHED_ATTR_SIZE_VER0,
        size => size,
    };
    if !(SCHED_ATTR_SIZE_VER0..=4096).contains(&size) {
        return too_big();
    }
    let bytes = attr.cast::<u8>().index(0);
    let mut value = SchedAttr::new_zeroed();
    bytes.read_bytes(&mut value.as_mut_bytes()[..size.min(OWN)])?;
    if size > OWN {
        let rest: Vec<u8> = bytes.byte_add(OWN as u64).read_array(size - OWN)?;
        if rest.iter().any(|b| *b != 0) {
            return too_big();
        }
    }
    Ok(value)
}

pub fn sched_setattr(
    cx: &mut Context,
    pid: i32,
    attr: UserPtr<SchedAttr>,
    flags: u32,
) -> Result<()> {
    if attr.is_null() || pid < 0 || flags != 0 {
        return err(Errno::EINVAL);
    }
    let attr = read_attr(attr)?;
    let set = SchedFlags::from_bits_retain(attr.sched_flags);
    if (attr.sched_policy as i32) < 0 || set.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    if set.intersects(SchedFlags::SCHED_FLAG_UTIL_CLAMP_MIN | SchedFlags::SCHED_FLAG_UTIL_CLAMP_MAX)
    {
        return err(Errno::EOPNOTSUPP);
    }
    let target = find(cx, pid)?;
    let keep_policy = set.contains(SchedFlags::SCHED_FLAG_KEEP_POLICY);
    let keep_params = set.contains(SchedFlags::SCHED_FLAG_KEEP_PARAMS);
    let policy = if keep_policy {
        target.policy.load(Relaxed)
    } else {
        attr.sched_policy
    };
    let wanted = Wanted {
        policy,
        priority: match keep_params {
            true => target.rt_priority.load(Relaxed),
            false => attr.sched_priority,
        },
        nice: match keep_params {
            true => target.sched.nice(),
            false => attr.sched_nice.clamp(-20, 19),
        },
        reset_on_fork: match keep_policy {
            true => target.reset_on_fork.load(Relaxed),
            false => set.contains(SchedFlags::SCHED_FLAG_RESET_ON_FORK),
        },
    };
    set_policy(cx, &target, &wanted)
}

pub fn sched_getattr(
    cx: &mut Context,
    pid: i32,
    attr: UserPtr<u8>,
    size: u32,
    flags: u32,
) -> Result<()> {
    let size = size as usize;
    if attr.is_null() || pid < 0 || flags != 0 || !(SCHED_ATTR_SIZE_VER0..=4096).contains(&size) {
        return err(Errno::EINVAL);
    }
    let target = find(cx, pid)?;
    let policy = target.policy.load(Relaxed);
    let size = size.min(size_of::<SchedAttr>());
    let value = SchedAttr {
        size: size as u32,
        sched_policy: policy,
        sched_flags: match target.reset_on_fork.load(Relaxed) {
            true => SchedFlags::SCHED_FLAG_RESET_ON_FORK.bits(),
            false => 0,
        },
        sched_nice: if is_fair(policy) {
            target.sched.nice()
        } else {
            0
        },
        sched_priority: target.rt_priority.load(Relaxed),
        sched_util_max: 1024,
        ..SchedAttr::default()
    };
    attr.write_bytes(&value.as_bytes()[..size])
}

pub fn sched_get_priority_max(_cx: &mut Context, policy: u32) -> Result<i32> {
    priority_limit(policy, 99)
}

pub fn sched_get_priority_min(_cx: &mut Context, policy: u32) -> Result<i32> {
    priority_limit(policy, 1)
}

fn priority_limit(policy: u32, real_time: i32) -> Result<i32> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(real_time),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE | SCHED_EXT => Ok(0),
        _ => err(Errno::EINVAL),
    }
}

/// Time slice of SCHED_RR, nanoseconds (sched_rr_timeslice).
const RR_SLICE_NS: i64 = 100_000_000;

pub fn sched_rr_get_interval(cx: &mut Context, pid: i32, out: UserPtr<Timespec>) -> Result<()> {
    let target = find_positive(cx, pid)?;
    let ns = match target.policy.load(Relaxed) {
        SCHED_RR => RR_SLICE_NS,
        SCHED_FIFO => 0,
        _ => sched::SLICE_NS as i64,
    };
    out.write(&Timespec::from_nanos(ns))
}
