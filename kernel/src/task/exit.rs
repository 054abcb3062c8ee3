//! The end of threads and processes (kernel/exit.c).
//!
//! A call or a signal decides that a task ends: [`exit_thread`], [`exit_process`], or another thread's
//! `signal::begin_group_exit`. The task's fiber then leaves its loop and runs [`finish`], which gives everything back
//! in Linux's order, and last tells whoever waits.

use super::{Accounting, Context, ExitStatus, LastMemory, Task, ThreadGroup, family, jobs, pids};
use crate::ipc::futex;
use crate::mm::Mm;
use crate::signal;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// exit(2): this thread ends with `code`.
pub fn exit_thread(cx: &mut Context, code: i32) {
    cx.task.exit_code.store((code as u32 & 0xff) << 8, Relaxed);
    cx.exiting = true;
}

/// exit_group(2) and fatal signals: the whole process ends with `status`, unless it is ending already.
pub fn exit_process(cx: &mut Context, status: ExitStatus) {
    let status = signal::begin_group_exit(&cx.task.group, status);
    cx.task
        .exit_code
        .store(status.wait_status() as u32, Relaxed);
    cx.exiting = true;
}

/// Whether somebody else has decided that this task ends.
pub fn must_die(task: &Task) -> bool {
    let inner = task.group.inner.lock();
    if let Some(status) = inner.group_exit {
        task.exit_code.store(status.wait_status() as u32, Relaxed);
        return true;
    }
    inner.exec_by.is_some_and(|by| by != task.tid())
}

/// How the process of a last thread ends.
fn group_status(group: &ThreadGroup) -> ExitStatus {
    let inner = group.inner.lock();
    let word = inner
        .leader
        .as_ref()
        .map_or(0, |leader| leader.exit_code.load(Relaxed));
    inner
        .group_exit
        .unwrap_or_else(|| ExitStatus::from_wait_status(word))
}

/// What execve does for the old address space before it goes: robust futexes, and who waits for this thread's end
/// (kernel/fork.c:mm_release()).
pub fn release_memory(task: &Arc<Task>) {
    futex::exit_robust_list(task);
    let at = task.clear_child_tid.swap(0, Relaxed);
    if at != 0
        && let Some(mm) = task.mm()
    {
        // Pointless when nobody else has the memory.
        if Arc::strong_count(&mm) > 2 && mm.write(at, &0u32.to_ne_bytes()) == 4 {
            mm.settle();
            futex::wake_one_at(&mm, at);
        }
    }
}

/// Wakes the parent that waits in vfork(2).
pub fn complete_vfork(task: &Task) {
    let done = task.vfork_done.lock().take();
    if let Some(queue) = done {
        queue.wake_all();
    }
}

/// The last thing a task does: gives everything back and tells whoever waits.
pub fn finish(cx: Context) {
    let Context { task, guest, .. } = cx;
    signal::exit_signals(&task);
    let group = task.group.clone();
    let last = group.live.fetch_sub(1, SeqCst) == 1;
    if last {
        // The last thread's status is the process's (synchronize_group_exit()).
        let word = task.exit_code.load(Relaxed);
        let mut inner = group.inner.lock();
        inner
            .group_exit
            .get_or_insert(ExitStatus::from_wait_status(word));
    }
    if last && group.pid() == 1 {
        let status = group_status(&group).wait_status();
        let message = format!("Attempted to kill init! exitcode=0x{status:08x}");
        crate::machine::panic_at(&message, Some(guest.regs()));
    }
    release_memory(&task);
    complete_vfork(&task);
    if last {
        note_memory(&task);
    }
    drop(guest);
    task.was_dumpable.store(task.is_dumpable(), Relaxed);
    drop(task.set_mm(None));
    drop(task.set_files(None));
    drop_paths(&task);
    if last {
        crate::time::exit_timers(&group);
        crate::tty::session_leader_exit(&group);
    }
    notify(&task, last);
}

/// Keeps hold of what the host will tell of the memory that is about to go, for getrusage(2).
fn note_memory(task: &Task) {
    if let Some(mm) = task.mm() {
        let memory = LastMemory::of(&mm, task.group.pid());
        task.group.inner.lock().last_memory = Some(memory);
    }
}

/// Minor faults in memory of the process that the host resolved alone. Memory borrowed from another process (vfork) counts
/// there.
pub fn host_faults(group: &ThreadGroup, mm: &Mm) -> u64 {
    if mm.owner.load(Relaxed) == group.pid() {
        mm.address_space().minor_faults()
    } else {
        0
    }
}

/// Memory of an address space that is there, in KiB.
pub fn resident_kib(mm: &Mm) -> u64 {
    let counts = mm.memory_counts();
    (counts.resident_anon + counts.resident_file + counts.resident_shared) * 4
}

/// A zombie holds no working directory.
fn drop_paths(task: &Task) {
    let root = pids()
        .task(1)
        .map_or_else(|| task.fs().root(), |init| init.fs().root());
    task.set_fs(super::FsContext::new(root.clone(), root, 0o022));
}

/// Takes the task out of its process; the last one makes the process a zombie (exit_notify()).
fn notify(task: &Arc<Task>, last: bool) {
    let group = &task.group;
    let held = family();
    reparent_children(task, last);
    let empty = {
        let mut inner = group.inner.lock();
        inner.dead_threads.add(&Accounting::of_task(task));
        inner.threads.retain(|t| !Arc::ptr_eq(t, task));
        inner.threads.is_empty()
    };
    if !task.is_leader() {
        pids().remove(task.tid());
    }
    if empty {
        let status = group_status(group);
        if let Some(parent) = group.parent() {
            jobs::orphan_check(group, &parent, true);
        }
        group.inner.lock().zombie = Some(status);
        if signal::notify_parent_of_exit(group, status) {
            release(group);
        }
    }
    drop(held);
    group.exit_wait.wake_all();
}

/// Who takes over the children of a process that ends: the nearest subreaper above it, or init.
fn find_reaper(group: &Arc<ThreadGroup>) -> Option<Arc<ThreadGroup>> {
    let init = pids().group(1)?;
    let mut at = group.parent();
    while let Some(ancestor) = at {
        if Arc::ptr_eq(&ancestor, &init) {
            break;
        }
        let inner = ancestor.inner.lock();
        if inner.child_subreaper && !inner.threads.is_empty() {
            drop(inner);
            return Some(ancestor);
        }
        at = inner.parent.upgrade();
    }
    Some(init)
}

/// Gives the task's children to another thread, or all of the process's to its reaper (forget_original_parent()).
fn reparent_children(task: &Arc<Task>, last: bool) {
    let group = &task.group;
    let tid = task.tid();
    let (children, heir) = {
        let mut inner = group.inner.lock();
        if last {
            (std::mem::take(&mut inner.children), None)
        } else {
            let heir = inner
                .threads
                .iter()
                .find(|t| !Arc::ptr_eq(t, task) && !t.exiting.load(SeqCst))
                .or_else(|| inner.threads.iter().find(|t| !Arc::ptr_eq(t, task)))
                .map(|t| t.tid());
            (inner.children.clone(), heir)
        }
    };
    let reaper = if last && !children.is_empty() {
        find_reaper(group)
    } else {
        None
    };
    for child in children {
        if !last {
            let mut inner = child.inner.lock();
            if inner.parent_tid != tid {
                continue;
            }
            inner.parent_tid = heir.unwrap_or(tid);
        }
        signal_parent_death(&child);
        if let Some(reaper) = &reaper {
            adopt(&child, group, reaper);
        }
    }
}

/// PR_SET_PDEATHSIG of each thread.
fn signal_parent_death(child: &Arc<ThreadGroup>) {
    for thread in child.threads() {
        let signo = thread.pdeath_signal.load(Relaxed);
        if signo != 0 {
            let _ = signal::send_group(child, abi::signal::Siginfo::kill(signo, 0, 0));
        }
    }
}

/// kernel/exit.c:reparent_leader().
fn adopt(child: &Arc<ThreadGroup>, old: &Arc<ThreadGroup>, reaper: &Arc<ThreadGroup>) {
    let status = {
        let mut inner = child.inner.lock();
        inner.parent = Arc::downgrade(reaper);
        inner.parent_tid = reaper.pid();
        inner.exit_signal = abi::signal::SIGCHLD;
        inner.zombie
    };
    reaper.inner.lock().children.push(child.clone());
    if let Some(status) = status
        && signal::notify_parent_of_exit(child, status)
    {
        release(child);
    }
    jobs::orphan_check(child, old, false);
}

/// Takes a zombie out of the world. Under [`family`].
pub fn release(group: &Arc<ThreadGroup>) {
    if let Some(parent) = group.parent() {
        parent
            .inner
            .lock()
            .children
            .retain(|child| !Arc::ptr_eq(child, group));
    }
    pids().forget(group);
    let leader = group.inner.lock().leader.take();
    drop(leader);
    group.exit_wait.wake_all();
}
