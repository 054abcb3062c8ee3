//! The files of /proc/<pid> that set something.

use super::current;
use super::task::alive;
use crate::error::{Result, err};
use crate::fs::pseudo::Node;
use crate::task::Task;
use abi::errno::Errno;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// The name; a process may set its threads' names.
pub(super) fn comm(task: Weak<Task>) -> Node {
    let read = task.clone();
    let node = Node::setting(
        move || {
            let mut comm = alive(&read)?.comm();
            comm.push(b'\n');
            Ok(comm)
        },
        move |bytes| {
            let task = alive(&task)?;
            if task.pid() != current()?.pid() {
                return err(Errno::EINVAL);
            }
            task.set_comm(bytes);
            Ok(())
        },
    );
    node.sized(false)
}

/// uid_map, gid_map and projid_map of the one user namespace: all numbers stand for themselves, for good
/// (kernel/user_namespace.c:proc_uid_map_write()).
pub(super) fn id_map() -> Node {
    let text = format!("{:>10} {:>10} {:>10}\n", 0, 0, u32::MAX);
    let node = Node::setting(move || Ok(text.clone().into_bytes()), |_| err(Errno::EPERM));
    node.sized(false)
}

/// Whether setgroups(2) may be called in the user namespace: always in the first (kernel/user_namespace.c:
/// proc_setgroups_write()).
pub(super) fn setgroups() -> Node {
    let write = |bytes: &[u8]| {
        // A buffer of eight bytes with its end.
        if bytes.len() >= 8 {
            return err(Errno::EINVAL);
        }
        match bytes.trim_ascii_end() {
            b"allow" => Ok(()),
            b"deny" => err(Errno::EPERM),
            _ => err(Errno::EINVAL),
        }
    };
    let node = Node::setting(|| Ok(b"allow\n".to_vec()), write);
    node.sized(false).checked(|flags| {
        if flags.writable() && !current()?.capable(abi::task::CAP_SYS_ADMIN) {
            return err(Errno::EACCES);
        }
        Ok(())
    })
}

/// Set once by whoever logs a user in, for all processes to come (kernel/audit.c:audit_set_loginuid()).
pub(super) fn login_uid(task: Weak<Task>) -> Node {
    static SESSIONS: AtomicU32 = AtomicU32::new(0);
    let read = task.clone();
    Node::setting(
        move || {
            Ok(alive(&read)?
                .group
                .login
                .0
                .load(Relaxed)
                .to_string()
                .into_bytes())
        },
        move |bytes| {
            let task = alive(&task)?;
            let current = current()?;
            if !Arc::ptr_eq(&current.group, &task.group) {
                return err(Errno::EPERM);
            }
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let uid: u32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            let (user, session) = &task.group.login;
            let is_set = user.load(Relaxed) != u32::MAX;
            if is_set && !current.capable(abi::task::CAP_AUDIT_CONTROL) {
                return err(Errno::EPERM);
            }
            let number = match uid {
                u32::MAX => u32::MAX,
                _ => SESSIONS.fetch_add(1, Relaxed) + 1,
            };
            user.store(uid, Relaxed);
            session.store(number, Relaxed);
            Ok(())
        },
    )
}

/// fs/proc/base.c:timerslack_ns_write(): 0 is the default; CAP_SYS_NICE for other processes.
pub(super) fn timer_slack(task: Weak<Task>) -> Node {
    let read = task.clone();
    let may = |task: &Task| -> Result<()> {
        let caller = current()?;
        if caller.pid() != task.pid() && !caller.capable(abi::cap::CAP_SYS_NICE) {
            return err(Errno::EPERM);
        }
        Ok(())
    };
    Node::setting(
        move || {
            let task = alive(&read)?;
            may(&task)?;
            Ok(format!("{}\n", task.timer_slack_ns.load(Relaxed)).into_bytes())
        },
        move |bytes| {
            let task = alive(&task)?;
            may(&task)?;
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let slack: u64 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            let slack = if slack == 0 {
                task.default_slack_ns.load(Relaxed)
            } else {
                slack
            };
            task.timer_slack_ns.store(slack, Relaxed);
            Ok(())
        },
    )
    .mode(0o666)
}

/// Which areas a core dump holds: MMF_DUMP_* bits, kept for programs that ask.
pub(super) fn coredump_filter(task: Weak<Task>) -> Node {
    let read = task.clone();
    Node::setting(
        move || {
            let task = alive(&read)?;
            if task.mm().is_none() {
                return Ok(Vec::new());
            }
            let bits = task.group.coredump_filter.load(Relaxed);
            Ok(format!("{bits:08x}\n").into_bytes())
        },
        move |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let text = text.trim();
            let parsed = match text.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => text.parse(),
            };
            let bits = parsed.map_err(|_| Errno::EINVAL)?;
            let task = alive(&task)?;
            let _mm = task.mm().ok_or(Errno::ESRCH)?;
            task.group.coredump_filter.store(bits & 0x1ff, Relaxed);
            Ok(())
        },
    )
}

/// oom_adj is the older scale, -17 to 15, of oom_score_adj: fs/proc/base.c:oom_adj_write().
pub(super) fn oom_adj(task: Weak<Task>) -> Node {
    let read = task.clone();
    Node::setting(
        move || {
            let adj = alive(&read)?.group.oom_score_adj.load(Relaxed);
            let old = if adj == 1000 { 15 } else { adj * 17 / 1000 };
            Ok(format!("{old}\n").into_bytes())
        },
        move |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let old: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            match old {
                15 => set_oom_score_adj(&task, 1000),
                -17..=14 => set_oom_score_adj(&task, old * 1000 / 17),
                _ => err(Errno::EINVAL),
            }
        },
    )
}

fn set_oom_score_adj(task: &Weak<Task>, value: i32) -> Result<()> {
    let task = alive(task)?;
    let lower = value < task.group.oom_score_adj.load(Relaxed);
    if lower && !current()?.capable(abi::task::CAP_SYS_RESOURCE) {
        return err(Errno::EACCES);
    }
    task.group.oom_score_adj.store(value, Relaxed);
    Ok(())
}

pub(super) fn oom_score_adj(task: Weak<Task>) -> Node {
    let read = task.clone();
    Node::setting(
        move || Ok(format!("{}\n", alive(&read)?.group.oom_score_adj.load(Relaxed)).into_bytes()),
        move |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            if !(-1000..=1000).contains(&value) {
                return err(Errno::EINVAL);
            }
            set_oom_score_adj(&task, value)
        },
    )
}
