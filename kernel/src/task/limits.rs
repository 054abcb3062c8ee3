//! Resource limits (kernel/sys.c).

use super::{Task, ThreadGroup};
use crate::error::{Result, err};
use abi::errno::Errno;
use abi::task::*;
use std::sync::Arc;

/// Most descriptors that RLIMIT_NOFILE may allow: fs.nr_open.
pub const NR_OPEN: u64 = 1 << 20;
/// Threads that the platform carries.
const MAX_THREADS: u64 = 32_768;

/// Threads that the machine carries (kernel.threads-max): their stacks take at most an eighth of the memory
/// (kernel/fork.c:set_max_threads()).
pub fn max_threads() -> u64 {
    const STACK_PAGES: u64 = 4;
    (crate::mm::total_pages() / (8 * STACK_PAGES)).clamp(20, MAX_THREADS)
}

/// What init starts with: include/asm-generic/resource.h:INIT_RLIMITS.
pub fn initial() -> [Rlimit; RLIM_NLIMITS] {
    let both = |n: u64| Rlimit {
        rlim_cur: n,
        rlim_max: n,
    };
    let mut all = [both(RLIM_INFINITY); RLIM_NLIMITS];
    let mut set = |which: u32, cur: u64, max: u64| {
        all[which as usize] = Rlimit {
            rlim_cur: cur,
            rlim_max: max,
        };
    };
    set(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
    set(RLIMIT_CORE, 0, RLIM_INFINITY);
    set(RLIMIT_NPROC, max_threads() / 2, max_threads() / 2);
    set(RLIMIT_NOFILE, 1024, 4096);
    set(RLIMIT_MEMLOCK, 8 << 20, 8 << 20);
    set(RLIMIT_SIGPENDING, max_threads() / 2, max_threads() / 2);
    set(RLIMIT_MSGQUEUE, 819_200, 819_200);
    set(RLIMIT_NICE, 0, 0);
    set(RLIMIT_RTPRIO, 0, 0);
    all
}

/// prlimit(2): stores `new` if given and returns what was there. EINVAL, EPERM.
pub fn change(
    task: &Task,
    target: &Arc<ThreadGroup>,
    resource: u32,
    new: Option<Rlimit>,
) -> Result<Rlimit> {
    let slot = resource as usize;
    if slot >= RLIM_NLIMITS {
        return err(Errno::EINVAL);
    }
    if let Some(new) = &new {
        if new.rlim_cur > new.rlim_max {
            return err(Errno::EINVAL);
        }
        if resource == RLIMIT_NOFILE && new.rlim_max > NR_OPEN {
            return err(Errno::EPERM);
        }
    }
    let may_raise = task.capable(CAP_SYS_RESOURCE);
    let mut inner = target.inner.lock();
    let old = inner.rlimits[slot];
    if let Some(new) = new {
        if new.rlim_max > old.rlim_max && !may_raise {
            return err(Errno::EPERM);
        }
        inner.rlimits[slot] = new;
    }
    drop(inner);
    if new.is_some() && slot == RLIMIT_CPU as usize {
        crate::time::cpu::limit_changed(target);
    }
    Ok(old)
}

/// kernel/sys.c:check_prlimit_permission(). EPERM.
pub fn check_permission(task: &Task, target: &Task) -> Result<()> {
    if Arc::ptr_eq(&task.group, &target.group) {
        return Ok(());
    }
    let (cred, other) = (task.cred(), target.cred());
    let same = [other.euid, other.suid, other.uid]
        .iter()
        .all(|id| *id == cred.uid)
        && [other.egid, other.sgid, other.gid]
            .iter()
            .all(|id| *id == cred.gid);
    if same || cred.capable(CAP_SYS_RESOURCE) {
        Ok(())
    } else {
        err(Errno::EPERM)
    }
}
