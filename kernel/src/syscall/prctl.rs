//! prctl and arch_prctl (kernel/sys.c, security/commoncap.c:cap_task_prctl(), arch/x86/kernel/process_64.c).

use super::Context;
use crate::error::{Result, err};
use crate::task::{CapSet, Cred};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::task::*;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Locked halves and plain halves of the securebits.
const ALL_BITS: u32 =
    SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS | SECBIT_NO_CAP_AMBIENT_RAISE;
const ALL_LOCKS: u32 = ALL_BITS << 1;
const PR_TSC_ENABLE: u32 = 1;
/// Bytes of an address space's saved auxiliary vector: AT_VECTOR_SIZE longs of x86-64.
pub(super) const AUXV_BYTES: usize = 2 * (3 + 22 + 1) * 8;

fn change_cred(cx: &Context, change: impl FnOnce(&mut Cred)) {
    let mut cred = (*cx.task.cred()).clone();
    change(&mut cred);
    cx.task.set_cred(cred);
}

fn capability(raw: u64) -> Result<u32> {
    match u32::try_from(raw) {
        Ok(cap) if cap <= CAP_LAST_CAP => Ok(cap),
        _ => err(Errno::EINVAL),
    }
}

pub fn prctl(cx: &mut Context, option: u32, a2: u64, a3: u64, a4: u64, a5: u64) -> Result<u64> {
    let task = cx.task.clone();
    match option {
        PR_SET_PDEATHSIG => {
            if a2 > 64 {
                return err(Errno::EINVAL);
            }
            task.pdeath_signal.store(a2 as i32, Relaxed);
        }
        PR_GET_PDEATHSIG => {
            UserPtr::<i32>::new(a2).write(&task.pdeath_signal.load(Relaxed))?;
        }
        PR_GET_DUMPABLE => {
            let mm = task.mm().ok_or(Errno::EFAULT)?;
            return Ok(u64::from(mm.dumpable.load(Relaxed)));
        }
        PR_SET_DUMPABLE => {
            if a2 > 1 {
                return err(Errno::EINVAL);
            }
            let mm = task.mm().ok_or(Errno::EFAULT)?;
            mm.dumpable.store(a2 as u32, Relaxed);
        }
        PR_SET_NAME => {
            let mut name = [0u8; TASK_COMM_LEN];
            let text = match UserPtr::<u8>::new(a2).read_cstr(TASK_COMM_LEN) {
                Err(e) if e.errno() == Errno::ENAMETOOLONG => {
                    UserPtr::<u8>::new(a2).read_bytes(&mut name)?;
                    name[..TASK_COMM_LEN - 1].to_vec()
                }
                other => other?,
            };
            task.set_comm(&text);
        }
        PR_GET_NAME => {
            let name = *task.comm.lock();
            UserPtr::<u8>::new(a2).write_bytes(&name)?;
        }
        PR_GET_TIMING => return Ok(0),
        PR_SET_TIMING if a2 == 0 => {}
        PR_GET_TSC => UserPtr::<u32>::new(a2).write(&PR_TSC_ENABLE)?,
        PR_SET_TSC if a2 == u64::from(PR_TSC_ENABLE) => {}
        PR_SET_TIMERSLACK => {
            let slack = if a2 as i64 <= 0 {
                task.default_slack_ns.load(Relaxed)
            } else {
                a2
            };
            task.timer_slack_ns.store(slack, Relaxed);
        }
        PR_GET_TIMERSLACK => return Ok(task.timer_slack_ns.load(Relaxed)),
        PR_SET_CHILD_SUBREAPER => task.group.inner.lock().child_subreaper = a2 != 0,
        PR_GET_CHILD_SUBREAPER => {
            let on = i32::from(task.group.inner.lock().child_subreaper);
            UserPtr::<i32>::new(a2).write(&on)?;
        }
        PR_SET_NO_NEW_PRIVS => {
            if a2 != 1 || a3 | a4 | a5 != 0 {
                return err(Errno::EINVAL);
            }
            change_cred(cx, |cred| cred.no_new_privs = true);
        }
        PR_GET_NO_NEW_PRIVS => {
            if a2 | a3 | a4 | a5 != 0 {
                return err(Errno::EINVAL);
            }
            return Ok(u64::from(task.cred().no_new_privs));
        }
        PR_GET_TID_ADDRESS => {
            UserPtr::<u64>::new(a2).write(&task.clear_child_tid.load(Relaxed))?;
        }
        PR_GET_THP_DISABLE => {
            if a2 | a3 | a4 | a5 != 0 {
                return err(Errno::EINVAL);
            }
            return Ok(u64::from(task.group.thp_disabled.load(Relaxed)));
        }
        PR_SET_THP_DISABLE => {
            if a3 | a4 | a5 != 0 {
                return err(Errno::EINVAL);
            }
            task.group.thp_disabled.store(a2 != 0, Relaxed);
        }
        PR_GET_KEEPCAPS => {
            return Ok(u64::from(task.cred().securebits & SECBIT_KEEP_CAPS != 0));
        }
        PR_SET_KEEPCAPS => set_keepcaps(cx, a2)?,
        PR_GET_SECUREBITS => return Ok(u64::from(task.cred().securebits)),
        PR_SET_SECUREBITS => set_securebits(cx, a2)?,
        PR_CAPBSET_READ => return Ok(u64::from(task.cred().bounding.has(capability(a2)?))),
        PR_CAPBSET_DROP => {
            if !task.capable(CAP_SETPCAP) {
                return err(Errno::EPERM);
            }
            let cap = capability(a2)?;
            change_cred(cx, |cred| {
                cred.bounding = CapSet(cred.bounding.0 & !(1 << cap))
            });
        }
        PR_CAP_AMBIENT => return ambient(cx, a2, a3, a4, a5),
        PR_SET_MM => super::prctl_mm::set(cx, a2 as u32, a3, a4, a5)?,
        PR_MCE_KILL => set_mce_policy(cx, a2, a3, a4, a5)?,
        PR_MCE_KILL_GET => {
            if a2 | a3 | a4 | a5 != 0 {
                return err(Errno::EINVAL);
            }
            return Ok(u64::from(task.mce_policy.load(Relaxed)));
        }
        PR_SET_IO_FLUSHER | PR_GET_IO_FLUSHER => {
            if !task.capable(CAP_SYS_RESOURCE) {
                return err(Errno::EPERM);
            }
            if a3 | a4 | a5 != 0 || a2 > u64::from(option == PR_SET_IO_FLUSHER) {
                return err(Errno::EINVAL);
            }
            if option == PR_GET_IO_FLUSHER {
                return Ok(u64::from(task.io_flusher.load(Relaxed)));
            }
            task.io_flusher.store(a2 == 1, Relaxed);
        }
        PR_GET_SPECULATION_CTRL if a3 | a4 | a5 != 0 => return err(Errno::EINVAL),
        PR_SET_SPECULATION_CTRL if a4 | a5 != 0 => return err(Errno::EINVAL),
        PR_GET_SPECULATION_CTRL | PR_SET_SPECULATION_CTRL => return err(Errno::ENODEV),
        PR_SET_MDWE => set_mdwe(cx, a2, a3 | a4 | a5)?,
        PR_GET_MDWE => {
            if a2 | a3 | a4 | a5 != 0 {
                return err(Errno::EINVAL);
            }
            return Ok(task.mm().map_or(0, |mm| mm.mdwe.load(Relaxed)).into());
        }
        PR_GET_AUXV => return get_auxv(cx, a2, a3, a4, a5),
        _ => return err(Errno::EINVAL),
    }
    Ok(0)
}

/// The auxiliary vector, as much as fits; its whole size in bytes.
fn get_auxv(cx: &Context, buf: u64, len: u64, a4: u64, a5: u64) -> Result<u64> {
    if a4 | a5 != 0 {
        return err(Errno::EINVAL);
    }
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    let mut bytes: Vec<u8> = mm
        .auxv()
        .iter()
        .flat_map(|(key, value)| [key.to_ne_bytes(), value.to_ne_bytes()].concat())
        .collect();
    // The kernel keeps room for more: AT_VECTOR_SIZE.
    bytes.resize(bytes.len().max(AUXV_BYTES), 0);
    let fits = bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
    UserPtr::<u8>::new(buf).write_bytes(&bytes[..fits])?;
    Ok(bytes.len() as u64)
}

/// kernel/sys.c: PR_MCE_KILL.
fn set_mce_policy(cx: &Context, what: u64, policy: u64, a4: u64, a5: u64) -> Result<()> {
    let policy = match (what, policy) {
        _ if a4 | a5 != 0 => return err(Errno::EINVAL),
        (PR_MCE_KILL_CLEAR, 0) => PR_MCE_KILL_DEFAULT,
        (PR_MCE_KILL_SET, PR_MCE_KILL_LATE | PR_MCE_KILL_EARLY | PR_MCE_KILL_DEFAULT) => policy,
        _ => return err(Errno::EINVAL),
    };
    cx.task.mce_policy.store(policy as u32, Relaxed);
    Ok(())
}

/// kernel/sys.c:prctl_set_mdwe(). EINVAL; EPERM when other bits are set already.
fn set_mdwe(cx: &Context, bits: u64, others: u64) -> Result<()> {
    let known = u64::from(PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT);
    if others != 0 || bits & !known != 0 || bits == u64::from(PR_MDWE_NO_INHERIT) {
        return err(Errno::EINVAL);
    }
    let mm = cx.task.mm().ok_or(Errno::EINVAL)?;
    let now = mm.mdwe.load(Relaxed);
    if now != 0 && u64::from(now) != bits {
        return err(Errno::EPERM);
    }
    mm.mdwe.store(bits as u32, Relaxed);
    Ok(())
}

fn set_keepcaps(cx: &Context, on: u64) -> Result<()> {
    if on > 1 {
        return err(Errno::EINVAL);
    }
    if cx.task.cred().securebits & SECBIT_KEEP_CAPS_LOCKED != 0 {
        return err(Errno::EPERM);
    }
    change_cred(cx, |cred| {
        cred.securebits &= !SECBIT_KEEP_CAPS;
        if on == 1 {
            cred.securebits |= SECBIT_KEEP_CAPS;
        }
    });
    Ok(())
}

fn set_securebits(cx: &Context, wanted: u64) -> Result<()> {
    let old = cx.task.cred().securebits;
    let known = u64::from(ALL_BITS | ALL_LOCKS);
    let new = wanted as u32;
    let locked = (old & ALL_LOCKS) >> 1;
    if locked & (old ^ new) != 0
        || old & ALL_LOCKS & !new != 0
        || wanted & !known != 0
        || !cx.task.capable(CAP_SETPCAP)
    {
        return err(Errno::EPERM);
    }
    change_cred(cx, |cred| cred.securebits = new);
    Ok(())
}

fn ambient(cx: &Context, op: u64, cap: u64, a4: u64, a5: u64) -> Result<u64> {
    let op = u32::try_from(op).map_err(|_| Errno::EINVAL)?;
    if op == PR_CAP_AMBIENT_CLEAR_ALL {
        if cap | a4 | a5 != 0 {
            return err(Errno::EINVAL);
        }
        change_cred(cx, |cred| cred.ambient = CapSet::EMPTY);
        return Ok(0);
    }
    if a4 | a5 != 0 {
        return err(Errno::EINVAL);
    }
    let cap = capability(cap)?;
    let cred = cx.task.cred();
    match op {
        PR_CAP_AMBIENT_IS_SET => return Ok(u64::from(cred.ambient.has(cap))),
        PR_CAP_AMBIENT_RAISE => {
            if !cred.permitted.has(cap)
                || !cred.inheritable.has(cap)
                || cred.securebits & SECBIT_NO_CAP_AMBIENT_RAISE != 0
            {
                return err(Errno::EPERM);
            }
            change_cred(cx, |cred| cred.ambient = CapSet(cred.ambient.0 | 1 << cap));
        }
        PR_CAP_AMBIENT_LOWER => {
            change_cred(cx, |cred| {
                cred.ambient = CapSet(cred.ambient.0 & !(1 << cap))
            });
        }
        _ => return err(Errno::EINVAL),
    }
    Ok(0)
}

/// Bases must be addresses of programs.
fn check_base(addr: u64) -> Result<()> {
    if addr >= abi::mm::TASK_SIZE {
        return err(Errno::EPERM);
    }
    Ok(())
}

pub fn arch_prctl(cx: &mut Context, option: u32, arg: u64) -> Result<u64> {
    match option {
        ARCH_SET_FS => {
            check_base(arg)?;
            cx.guest.regs_mut().fs_base = arg;
        }
        ARCH_SET_GS => {
            check_base(arg)?;
            cx.guest.regs_mut().gs_base = arg;
        }
        ARCH_GET_FS => UserPtr::<u64>::new(arg).write(&cx.guest.regs().fs_base)?,
        ARCH_GET_GS => UserPtr::<u64>::new(arg).write(&cx.guest.regs().gs_base)?,
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return err(Errno::ENODEV),
        _ => return err(Errno::EINVAL),
    }
    Ok(0)
}

/// The old one; `u32::MAX` only asks.
pub fn personality(cx: &mut Context, persona: u32) -> Result<u32> {
    let old = cx.task.personality.load(SeqCst);
    if persona != u32::MAX {
        cx.task.personality.store(persona, SeqCst);
    }
    Ok(old)
}
