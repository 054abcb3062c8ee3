//! clone, fork, vfork: a new task that shares or copies what the flags say (kernel/fork.c).

use super::{
    Accounting, Context, GroupInner, KERNEL_STACK, Pid, Task, TaskParts, ThreadGroup, family, pids,
    run_user,
};
use crate::error::{Result, err};
use crate::mm::Mm;
use crate::sched;
use crate::signal::{self, SigHand};
use crate::sync::WaitQueue;
use crate::user::UserPtr;
use crate::vfs::FdTable;
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::signal::SigStack;
use abi::task::{
    CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CloneFlags, RLIMIT_NPROC,
};
use platform::{GuestThread, ThreadState};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// What clone(2), clone3(2), fork(2) and vfork(2) come down to.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest {
    pub flags: CloneFlags,
    pub exit_signal: i32,
    /// The child's stack pointer; 0: as the parent's.
    pub stack: u64,
    pub parent_tid: u64,
    pub child_tid: u64,
    /// Where CLONE_PIDFD stores the descriptor.
    pub pidfd: u64,
    pub tls: u64,
    /// The number that the child must get.
    pub set_tid: Option<Pid>,
}

const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWCGROUP
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUSER)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWTIME);

/// The combinations that copy_process() refuses.
fn check_flags(task: &Task, flags: CloneFlags) -> Result<()> {
    use CloneFlags as F;
    let has = |f: CloneFlags| flags.contains(f);
    if has(F::CLONE_NEWNS | F::CLONE_FS)
        || has(F::CLONE_NEWUSER | F::CLONE_FS)
        || (has(F::CLONE_THREAD) && !has(F::CLONE_SIGHAND))
        || (has(F::CLONE_SIGHAND) && !has(F::CLONE_VM))
        || (has(F::CLONE_PARENT) && task.pid() == 1)
        || (has(F::CLONE_THREAD) && flags.intersects(F::CLONE_NEWUSER | F::CLONE_NEWPID))
        || has(F::CLONE_PIDFD | F::CLONE_DETACHED)
    {
        return err(Errno::EINVAL);
    }
    if has(F::CLONE_NEWNS) && !task.capable(CAP_SYS_ADMIN) {
        return err(Errno::EPERM);
    }
    if flags.intersects(NAMESPACES) {
        // A kernel without these namespaces, after the permission check that comes first with them.
        let needs_admin = !has(F::CLONE_NEWUSER) && !task.capable(CAP_SYS_ADMIN);
        return err(if needs_admin {
            Errno::EPERM
        } else {
            Errno::EINVAL
        });
    }
    Ok(())
}

/// RLIMIT_NPROC: kernel/fork.c:copy_process() and is_rlimit_overlimit(). EAGAIN.
fn check_process_limit(task: &Task) -> Result<()> {
    if pids().count() as u64 >= super::limits::max_threads() {
        return err(Errno::EAGAIN);
    }
    let limit = task.group.rlimit(RLIMIT_NPROC as usize);
    let cred = task.cred();
    if limit == u64::MAX
        || cred.uid == 0
        || cred.capable(CAP_SYS_RESOURCE)
        || cred.capable(CAP_SYS_ADMIN)
    {
        return Ok(());
    }
    let mine = pids()
        .tasks()
        .iter()
        .filter(|t| t.cred().uid == cred.uid)
        .count();
    if mine as u64 >= limit {
        return err(Errno::EAGAIN);
    }
    Ok(())
}

fn choose_tid(task: &Task, wanted: Option<Pid>) -> Result<Pid> {
    let Some(tid) = wanted else {
        return Ok(pids().allocate().ok_or(Errno::EAGAIN)?);
    };
    if !task.capable(CAP_CHECKPOINT_RESTORE) && !task.capable(CAP_SYS_ADMIN) {
        return err(Errno::EPERM);
    }
    if !pids().is_free(tid) {
        return err(Errno::EEXIST);
    }
    Ok(tid)
}

/// The registers and extended state that the child starts with.
fn child_state(cx: &mut Context, r: &CloneRequest) -> Result<ThreadState> {
    let mut state = cx.guest.state();
    state.regs.rax = 0;
    state.regs.orig_rax = u64::MAX;
    if r.stack != 0 {
        state.regs.rsp = r.stack;
    }
    if r.flags.contains(CloneFlags::CLONE_SETTLS) {
        if r.tls >= platform::TASK_SIZE {
            return err(Errno::EPERM);
        }
        state.regs.fs_base = r.tls;
    }
    Ok(state)
}

fn child_memory(
    cx: &Context,
    flags: CloneFlags,
    state: &ThreadState,
) -> Result<(Arc<Mm>, GuestThread)> {
    let mm = cx.task.mm().ok_or(Errno::EINVAL)?;
    if flags.contains(CloneFlags::CLONE_VM) {
        // The host has no thread, process or memory left for it.
        let guest = mm.address_space().spawn(state).map_err(|_| Errno::EAGAIN)?;
        return Ok((mm, guest));
    }
    mm.fork(state)
}

fn child_actions(parent: &Task, flags: CloneFlags) -> Arc<SigHand> {
    let sighand = parent.sighand();
    if flags.contains(CloneFlags::CLONE_SIGHAND) {
        return sighand;
    }
    if flags.contains(CloneFlags::CLONE_CLEAR_SIGHAND) {
        return sighand.duplicate_for_exec();
    }
    sighand.duplicate()
}

/// A new process's shared part. Its place among the others is given when it is linked.
fn child_group(parent: &Arc<Task>, tid: Pid, exit_signal: i32) -> Arc<ThreadGroup> {
    let (pgid, sid, tty, rlimits) = {
        let inner = parent.group.inner.lock();
        (inner.pgid, inner.sid, inner.tty.clone(), inner.rlimits)
    };
    let group = ThreadGroup::new(
        tid,
        GroupInner {
            threads: Vec::new(),
            leader: None,
            parent: Arc::downgrade(&parent.group),
            parent_tid: parent.tid(),
            children: Vec::new(),
            pgid,
            sid,
            tty,
            pending: Default::default(),
            group_exit: None,
            exec_by: None,
            stopped: None,
            stop_report: None,
            continue_report: false,
            zombie: None,
            exit_signal,
            rlimits,
            dead_threads: Accounting::default(),
            waited_children: Accounting::default(),
            last_memory: None,
            waited_memory: Vec::new(),
            did_exec: false,
            child_subreaper: false,
        },
    );
    group
        .thp_disabled
        .store(parent.group.thp_disabled.load(Relaxed), Relaxed);
    group
        .oom_score_adj
        .store(parent.group.oom_score_adj.load(Relaxed), Relaxed);
    group
        .coredump_filter
        .store(parent.group.coredump_filter.load(Relaxed), Relaxed);
    let (user, session) = &parent.group.login;
    group.login.0.store(user.load(Relaxed), Relaxed);
    group.login.1.store(session.load(Relaxed), Relaxed);
    group
}

fn inherit(parent: &Task, child: &Task, r: &CloneRequest) {
    let flags = r.flags;
    let only_vm = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    if flags & only_vm != CloneFlags::CLONE_VM {
        let altstack = parent.signal.lock().altstack;
        child.signal.lock().altstack = altstack;
    } else {
        child.signal.lock().altstack = SigStack::disabled();
    }
    if flags.contains(CloneFlags::CLONE_CHILD_SETTID) {
        child.set_child_tid.store(r.child_tid, Relaxed);
    }
    if flags.contains(CloneFlags::CLONE_CHILD_CLEARTID) {
        child.clear_child_tid.store(r.child_tid, Relaxed);
    }
    if !flags.contains(CloneFlags::CLONE_VM) {
        child.rseq.store(parent.rseq.load(Relaxed), Relaxed);
    }
    child
        .personality
        .store(parent.personality.load(Relaxed), Relaxed);
    let slack = parent.timer_slack_ns.load(Relaxed);
    child.timer_slack_ns.store(slack, Relaxed);
    child.default_slack_ns.store(slack, Relaxed);
    child
        .mce_policy
        .store(parent.mce_policy.load(Relaxed), Relaxed);
    child
        .io_flusher
        .store(parent.io_flusher.load(Relaxed), Relaxed);
    child.ioprio.store(parent.ioprio.load(Relaxed), Relaxed);
    if parent.reset_on_fork.load(Relaxed) {
        let real_time = matches!(parent.policy.load(Relaxed), 1 | 2 | 6);
        if real_time || child.sched.nice() < 0 {
            child.sched.set_nice(0);
        }
        if !real_time {
            child.policy.store(parent.policy.load(Relaxed), Relaxed);
        }
    } else {
        child.policy.store(parent.policy.load(Relaxed), Relaxed);
        child
            .rt_priority
            .store(parent.rt_priority.load(Relaxed), Relaxed);
    }
}

/// Makes `child` known to the others. EINTR when the parent is dying.
fn link(parent: &Arc<Task>, child: &Arc<Task>, flags: CloneFlags) -> Result<()> {
    let _family = family();
    if parent.has_fatal_signal() {
        return err(Errno::EINTR);
    }
    if flags.contains(CloneFlags::CLONE_THREAD) {
        let mut inner = child.group.inner.lock();
        if inner.group_exit.is_some() || inner.exec_by.is_some() {
            return err(Errno::EINTR);
        }
        inner.threads.push(child.clone());
        child.group.live.fetch_add(1, SeqCst);
        drop(inner);
        pids().insert(child);
        return Ok(());
    }
    let (mut new_parent, mut parent_tid, mut exit_signal) =
        (parent.group.clone(), parent.tid(), None);
    if flags.contains(CloneFlags::CLONE_PARENT) {
        let inner = parent.group.inner.lock();
        if let Some(grandparent) = inner.parent.upgrade() {
            (new_parent, parent_tid) = (grandparent, inner.parent_tid);
        }
        exit_signal = Some(inner.exit_signal);
    }
    let (pgid, sid, tty) = {
        let inner = parent.group.inner.lock();
        (inner.pgid, inner.sid, inner.tty.clone())
    };
    {
        let mut inner = child.group.inner.lock();
        inner.threads.push(child.clone());
        inner.leader = Some(child.clone());
        inner.parent = Arc::downgrade(&new_parent);
        inner.parent_tid = parent_tid;
        inner.exit_signal = exit_signal.unwrap_or(inner.exit_signal);
        (inner.pgid, inner.sid, inner.tty) = (pgid, sid, tty);
    }
    new_parent.inner.lock().children.push(child.group.clone());
    pids().insert(child);
    pids().enter(&child.group, pgid, sid);
    Ok(())
}

/// Makes a task as `r` says and lets it run. Returns its number as the parent sees it.
///
/// EINVAL and EPERM for what may not be, EAGAIN at a limit, ERESTARTNOINTR when a signal is to be handled first.
pub fn clone_task(cx: &mut Context, r: &CloneRequest) -> Result<Pid> {
    let parent = cx.task.clone();
    let flags = r.flags;
    check_flags(&parent, flags)?;
    if flags.contains(CloneFlags::CLONE_PIDFD | CloneFlags::CLONE_PARENT_SETTID)
        && r.pidfd == r.parent_tid
    {
        return err(Errno::EINVAL);
    }
    signal::recalc(&parent);
    if parent.has_signal() {
        return err(Errno::ERESTARTNOINTR);
    }
    check_process_limit(&parent)?;
    let state = child_state(cx, r)?;
    let tid = choose_tid(&parent, r.set_tid)?;

    let group = if flags.contains(CloneFlags::CLONE_THREAD) {
        parent.group.clone()
    } else {
        child_group(&parent, tid, r.exit_signal)
    };
    let fs = parent.fs();
    let files = parent.files();
    let (mm, guest) = child_memory(cx, flags, &state)?;
    if !flags.contains(CloneFlags::CLONE_VM) {
        mm.owner.store(tid, Relaxed);
    }
    let child = Task::new(TaskParts {
        tid,
        group,
        cred: parent.cred(),
        fs: if flags.contains(CloneFlags::CLONE_FS) {
            fs
        } else if flags.contains(CloneFlags::CLONE_NEWNS) {
            fs.unshare_mounts()?
        } else {
            fs.duplicate()
        },
        files: if flags.contains(CloneFlags::CLONE_FILES) {
            files
        } else {
            FdTable::duplicate(&files)
        },
        mm: Some(mm),
        sighand: child_actions(&parent, flags),
        blocked: parent.signal.lock().blocked,
        comm: *parent.comm.lock(),
        nice: parent.sched.nice(),
        allowed: parent.sched.allowed(),
    });
    inherit(&parent, &child, r);
    let vfork = flags.contains(CloneFlags::CLONE_VFORK).then(WaitQueue::new);
    *child.vfork_done.lock() = vfork.clone();

    let pidfd = if flags.contains(CloneFlags::CLONE_PIDFD) {
        Some(super::pidfd::install(
            &cx.task,
            &child,
            flags.contains(CloneFlags::CLONE_THREAD),
            OpenFlags::empty(),
        )?)
    } else {
        None
    };
    let linked = match pidfd {
        Some(fd) => UserPtr::<i32>::new(r.pidfd).write(&fd),
        None => Ok(()),
    }
    .and_then(|()| link(&parent, &child, flags));
    if let Err(e) = linked {
        if let Some(fd) = pidfd {
            drop(parent.files().remove(fd));
        }
        drop(child.set_files(None));
        return Err(e);
    }
    if flags.contains(CloneFlags::CLONE_PARENT_SETTID) {
        // As in Linux, a bad address doesn't undo the fork.
        let _ = UserPtr::<u32>::new(r.parent_tid).write(&tid);
    }
    if flags.contains(CloneFlags::CLONE_VM)
        && let Some(mm) = parent.mm()
    {
        mm.settle();
    }
    let started = Context::new(child.clone(), guest);
    sched::spawn(&child, KERNEL_STACK, move || first_run(started));
    if let Some(done) = vfork {
        done.wait_uninterruptible(|| {
            (child.vfork_done.lock().is_none() || parent.has_fatal_signal()).then_some(())
        });
    }
    Ok(tid)
}

/// kernel/sched/core.c:schedule_tail().
fn first_run(cx: Context) {
    let at = cx.task.set_child_tid.load(Relaxed);
    if at != 0 {
        // The thread itself writes it, with the rest of its first way out.
        cx.task.sched.guest_slot.store(cx.guest.slot(), Relaxed);
        let _ = UserPtr::<u32>::new(at).write(&cx.task.tid());
    }
    run_user(cx);
}
