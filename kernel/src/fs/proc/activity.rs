//! The files of /proc/<pid> that show what a task does: its place in a system call, its turns on the vCPUs, its timers.

use super::task::alive;
use super::{current, may_look};
use crate::error::{Result, err};
use crate::fs::pseudo::{Node, Read};
use crate::sched::RunState;
use crate::sysrq;
use crate::task::{Acting, Task, may_inspect};
use abi::errno::Errno;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

/// fs/proc/base.c:lock_trace(): EPERM rather than EACCES.
fn may_trace(task: &Task) -> Result<()> {
    if may_inspect(&*current()?, task, Acting::FileSystem) {
        Ok(())
    } else {
        err(Errno::EPERM)
    }
}

/// fs/proc/base.c:proc_pid_syscall(): number, arguments, stack pointer and instruction pointer of a task that waits.
pub(super) fn syscall(task: &Arc<Task>) -> Result<Vec<u8>> {
    may_trace(task)?;
    let parked = matches!(task.sched.run_state(), RunState::Parked { .. });
    let own = std::ptr::eq(&**task, &*current()?);
    let words = task.syscall_words.each_ref().map(|word| word.load(Relaxed));
    let text = match task.in_syscall.load(Relaxed) {
        _ if task.has_left() => "-1 0x0 0x0\n".into(),
        _ if !parked && !own => "running\n".into(),
        // In a fault, or held on its way into guest code: what it did before tells nothing.
        u64::MAX => "-1 0x0 0x0\n".into(),
        nr => {
            let words = words.map(|word| format!(" {word:#x}"));
            format!("{nr}{}\n", words.concat())
        }
    };
    Ok(text.into_bytes())
}

pub(super) fn personality(task: &Arc<Task>) -> Result<Vec<u8>> {
    may_trace(task)?;
    Ok(format!("{:08x}\n", task.personality.load(Relaxed)).into_bytes())
}

pub(super) fn stack(task: &Arc<Task>) -> Result<Vec<u8>> {
    if !current()?.capable(abi::task::CAP_SYS_ADMIN) {
        return err(Errno::EACCES);
    }
    may_trace(task)?;
    Ok(sysrq::stack(task))
}

/// fs/proc/base.c:do_io_accounting(), of the process with its ended threads or of a thread alone.
pub(super) fn io(task: &Arc<Task>, process: bool) -> Result<Vec<u8>> {
    may_look(task)?;
    let io = if process && !task.group.is_zombie() {
        task.group.accounting_of_threads().io
    } else {
        task.io.sums()
    };
    let text = format!(
        "rchar: {}\nwchar: {}\nsyscr: {}\nsyscw: {}\nread_bytes: {}\nwrite_bytes: {}\ncancelled_write_bytes: 0\n",
        io.read, io.written, io.reads, io.writes, io.stored_read, io.stored_dirtied
    );
    Ok(text.into_bytes())
}

pub(super) fn schedstat(task: &Arc<Task>) -> Result<Vec<u8>> {
    let (user, system) = task.sched.times();
    let turns = task.sched.voluntary_switches.load(Relaxed);
    Ok(format!("{} 0 {turns}\n", user + system).into_bytes())
}

/// kernel/sched/debug.c:proc_sched_show_task(), as far as this scheduler has the same figures.
pub(super) fn sched(task: Weak<Task>) -> Node {
    let read = task.clone();
    let node = Node::setting(
        move || {
            let task = alive(&read)?;
            let (user, system) = task.sched.times();
            let voluntary = task.sched.voluntary_switches.load(Relaxed);
            let involuntary = task.sched.involuntary_switches.load(Relaxed);
            let mut text = format!(
                "{} ({}, #threads: {})\n{:-<67}\n",
                String::from_utf8_lossy(&task.comm()),
                task.tid(),
                task.group.threads().len().max(1),
                ""
            );
            let ms = |ns: u64| format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
            for (name, value) in [
                ("se.vruntime", ms(task.sched.vruntime())),
                ("se.sum_exec_runtime", ms(user + system)),
                ("nr_switches", (voluntary + involuntary).to_string()),
                ("nr_voluntary_switches", voluntary.to_string()),
                ("nr_involuntary_switches", involuntary.to_string()),
                ("policy", task.policy.load(Relaxed).to_string()),
                ("prio", (super::stat::priority(&task) + 100).to_string()),
            ] {
                let _infallible = writeln!(text, "{name:<45}:{value:>21}");
            }
            Ok(text.into_bytes())
        },
        // Clears statistics of which there are none.
        move |_| alive(&task).map(drop),
    );
    node.sized(false)
}

/// fs/proc/base.c:proc_timers_open() since Linux 6.18 is for those who may look into the process.
pub(super) fn timers(task: Weak<Task>) -> Node {
    Node::opened(move || {
        may_look(&*alive(&task)?)?;
        let task = task.clone();
        Ok(Box::new(move || {
            let timers = alive(&task)?.group.timers.posix.all();
            // The newest first, as in the list that Linux puts them in front of.
            let texts = timers.iter().rev().map(|timer| timer.show().into_bytes());
            Ok(texts.flatten().collect())
        }) as Read)
    })
}
