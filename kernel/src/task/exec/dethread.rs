//! execve in a process of several threads: the others end, the caller becomes the leader (fs/exec.c:de_thread()).

use crate::error::{Result, err};
use crate::signal;
use crate::task::{Task, family, pids};
use abi::errno::Errno;
use std::sync::Arc;

/// Leaves the calling task as its process's only thread, under the process's number. EAGAIN when the process is ending
/// or another thread was first.
pub fn alone(task: &Arc<Task>) -> Result<()> {
    let group = task.group.clone();
    if group.inner.lock().threads.len() > 1 || !task.is_leader() {
        if !signal::begin_exec(&group, task) {
            return err(Errno::EAGAIN);
        }
        let alone = || group.inner.lock().threads.len() == 1;
        group
            .exit_wait
            .wait_uninterruptible(|| (alone() || task.has_fatal_signal()).then_some(()));
        if !alone() {
            group.inner.lock().exec_by = None;
            return err(Errno::EAGAIN);
        }
        take_leadership(task);
    }
    // Handlers of somebody else's process must not be touched.
    let sighand = task.sighand();
    if Arc::strong_count(&sighand) > 2 {
        task.set_sighand(sighand.duplicate());
    }
    Ok(())
}

fn take_leadership(task: &Arc<Task>) {
    let group = &task.group;
    let _family = family();
    let old_leader = {
        let mut inner = group.inner.lock();
        inner.exec_by = None;
        if task.is_leader() {
            return;
        }
        inner.leader.replace(task.clone())
    };
    let tid = task.tid();
    task.set_tid(group.pid());
    pids().rename(task, tid, group.pid());
    for child in group.inner.lock().children.clone() {
        child.inner.lock().parent_tid = group.pid();
    }
    drop(old_leader);
}
