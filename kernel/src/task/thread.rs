//! One thread.

use super::{Cred, IoCounts, Pid, ThreadGroup};
use crate::error::Result;
use crate::mm::Mm;
use crate::sched::{self, Entity};
use crate::signal::{FaultRecord, SigHand, SigQueue};
use crate::sync::{Lock, Rank, RwLock, Wake};
use crate::vfs::namespace::MountNamespace;
use crate::vfs::{FdTable, Path, PollEvents};
use abi::signal::{SigSet, SigStack};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// How late the first task's timers may be, nanoseconds.
const INITIAL_SLACK_NS: u64 = 50_000;

/// What CLONE_FS shares: root, working directory, umask.
pub struct FsContext {
    pub inner: RwLock<FsPaths>,
    pub umask: AtomicU32,
}

/// The paths of an [`FsContext`].
#[derive(Clone)]
pub struct FsPaths {
    pub root: Path,
    pub cwd: Path,
    /// The mount namespace; None for the one that the machine starts with.
    pub mounts: Option<Arc<MountNamespace>>,
}

impl FsContext {
    pub fn new(root: Path, cwd: Path, umask: u32) -> Arc<FsContext> {
        Arc::new(FsContext {
            inner: RwLock::new(
                Rank::LEAF,
                FsPaths {
                    root,
                    cwd,
                    mounts: None,
                },
            ),
            umask: AtomicU32::new(umask),
        })
    }

    /// With paths of a mount namespace.
    pub fn with_paths(paths: FsPaths, umask: u32) -> Arc<FsContext> {
        Arc::new(FsContext {
            inner: RwLock::new(Rank::LEAF, paths),
            umask: AtomicU32::new(umask),
        })
    }

    /// What fork copies.
    pub fn duplicate(&self) -> Arc<FsContext> {
        let paths = self.inner.read().clone();
        FsContext::with_paths(paths, self.umask())
    }

    /// A copy in a mount namespace of its own (CLONE_NEWNS).
    pub fn unshare_mounts(&self) -> Result<Arc<FsContext>> {
        let mut paths = self.inner.read().clone();
        MountNamespace::unshare(&mut paths)?;
        Ok(FsContext::with_paths(paths, self.umask()))
    }

    pub fn root(&self) -> Path {
        self.inner.read().root.clone()
    }

    pub fn cwd(&self) -> Path {
        self.inner.read().cwd.clone()
    }

    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }
}

/// Signal state of one thread.
pub struct TaskSignal {
    pub blocked: SigSet,
    /// The mask to go back to when a handler has been set up (sigsuspend, ppoll, epoll_pwait).
    pub saved_mask: Option<SigSet>,
    pub pending: SigQueue,
    pub altstack: SigStack,
    /// What sigtimedwait waits for: these are taken although blocked.
    pub awaited: SigSet,
    /// A stop signal was taken and SIGCONT hasn't come since.
    pub stop_dequeued: bool,
    pub fault: FaultRecord,
}

/// A thread.
pub struct Task {
    me: Weak<Task>,
    tid: AtomicU32,
    pub group: Arc<ThreadGroup>,
    pub sched: Entity,
    cred: RwLock<Arc<Cred>>,
    fs: RwLock<Arc<FsContext>>,
    files: RwLock<Option<Arc<FdTable>>>,
    mm: RwLock<Option<Arc<Mm>>>,
    sighand: RwLock<Arc<SigHand>>,
    pub signal: Lock<TaskSignal>,
    /// A deliverable signal, a stop or the group's end is waiting; kept up to date by `signal`.
    pub signal_pending: AtomicBool,
    /// SIGKILL or the group's end is waiting.
    pub fatal_pending: AtomicBool,
    /// Something to do before the next guest instruction (signals count by themselves).
    pub work: AtomicBool,
    pub comm: Lock<[u8; 16]>,
    /// Told when vfork's child lets go of the parent's memory.
    pub vfork_done: Lock<Option<crate::sync::WaitQueue>>,
    pub clear_child_tid: AtomicU64,
    pub set_child_tid: AtomicU64,
    pub robust_list: AtomicU64,
    pub rseq: AtomicU64,
    pub pdeath_signal: AtomicI32,
    /// Time at which the thread started, CLOCK_MONOTONIC nanoseconds.
    pub start_ns: u64,
    pub minor_faults: AtomicU64,
    pub major_faults: AtomicU64,
    pub io: IoCounts,
    pub timer_slack_ns: AtomicU64,
    /// What a task goes back to: its parent's at the fork.
    pub default_slack_ns: AtomicU64,
    /// PR_MCE_KILL_*: what it wants of broken memory.
    pub mce_policy: AtomicU32,
    /// PR_SET_IO_FLUSHER.
    pub io_flusher: AtomicBool,
    pub policy: AtomicU32,
    pub rt_priority: AtomicU32,
    pub reset_on_fork: AtomicBool,
    pub personality: AtomicU32,
    pub ioprio: AtomicU32,
    pub exiting: AtomicBool,
    /// Its memory, which has gone, was dumpable.
    pub was_dumpable: AtomicBool,
    /// Takes part in a group stop. Changed under the GROUP lock.
    pub job_stopped: AtomicBool,
    /// A set*uid call brought its user over RLIMIT_NPROC: execve looks again (PF_NPROC_EXCEEDED).
    pub nproc_exceeded: AtomicBool,
    /// The status word of exit(2), for the leader's wait(2); a group exit has its own.
    pub exit_code: AtomicU32,
    /// What its descriptors are made of, once there are any.
    pub pidfs: OnceLock<Arc<super::pidfd::PidInode>>,
    /// What an interrupted call does on restart_syscall(2).
    pub restart: Lock<Option<crate::syscall::RestartBlock>>,
    /// Number of the system call it is in, for /proc/pid/syscall and the hung-task log; `u64::MAX` outside.
    pub in_syscall: AtomicU64,
    /// Its arguments, the guest's stack pointer and instruction pointer.
    pub syscall_words: [AtomicU64; 8],
}

/// The parts that a new task starts with.
pub struct TaskParts {
    pub tid: Pid,
    pub group: Arc<ThreadGroup>,
    pub cred: Arc<Cred>,
    pub fs: Arc<FsContext>,
    pub files: Arc<FdTable>,
    pub mm: Option<Arc<Mm>>,
    pub sighand: Arc<SigHand>,
    pub blocked: SigSet,
    pub comm: [u8; 16],
    pub nice: i32,
    pub allowed: u64,
}

impl Task {
    pub fn new(p: TaskParts) -> Arc<Task> {
        Arc::new_cyclic(|me| Task {
            me: me.clone(),
            tid: AtomicU32::new(p.tid),
            group: p.group,
            sched: Entity::new(p.nice, p.allowed),
            cred: RwLock::new(Rank::LEAF, p.cred),
            fs: RwLock::new(Rank::LEAF, p.fs),
            files: RwLock::new(Rank::LEAF, Some(p.files)),
            mm: RwLock::new(Rank::LEAF, p.mm),
            sighand: RwLock::new(Rank::LEAF, p.sighand),
            signal: Lock::new(
                Rank::TASK,
                TaskSignal {
                    blocked: p.blocked,
                    saved_mask: None,
                    pending: SigQueue::default(),
                    altstack: SigStack::default(),
                    awaited: SigSet::EMPTY,
                    stop_dequeued: false,
                    fault: FaultRecord::default(),
                },
            ),
            signal_pending: AtomicBool::new(false),
            fatal_pending: AtomicBool::new(false),
            work: AtomicBool::new(false),
            comm: Lock::new(Rank::LEAF, p.comm),
            vfork_done: Lock::new(Rank::LEAF, None),
            clear_child_tid: AtomicU64::new(0),
            set_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            rseq: AtomicU64::new(0),
            pdeath_signal: AtomicI32::new(0),
            start_ns: crate::time::monotonic_ns(),
            minor_faults: AtomicU64::new(0),
            major_faults: AtomicU64::new(0),
            io: IoCounts::default(),
            timer_slack_ns: AtomicU64::new(INITIAL_SLACK_NS),
            default_slack_ns: AtomicU64::new(INITIAL_SLACK_NS),
            mce_policy: AtomicU32::new(abi::task::PR_MCE_KILL_DEFAULT as u32),
            io_flusher: AtomicBool::new(false),
            policy: AtomicU32::new(0),
            rt_priority: AtomicU32::new(0),
            reset_on_fork: AtomicBool::new(false),
            personality: AtomicU32::new(0),
            ioprio: AtomicU32::new(0),
            exiting: AtomicBool::new(false),
            was_dumpable: AtomicBool::new(false),
            job_stopped: AtomicBool::new(false),
            nproc_exceeded: AtomicBool::new(false),
            exit_code: AtomicU32::new(0),
            pidfs: OnceLock::new(),
            restart: Lock::new(Rank::LEAF, None),
            in_syscall: AtomicU64::new(u64::MAX),
            syscall_words: [const { AtomicU64::new(0) }; 8],
        })
    }

    /// A counted reference to itself.
    pub fn arc(&self) -> Arc<Task> {
        self.me
            .upgrade()
            .expect("called through a living reference")
    }

    pub fn tid(&self) -> Pid {
        self.tid.load(Ordering::Relaxed)
    }

    /// A thread that execs takes the leader's number.
    pub fn set_tid(&self, tid: Pid) {
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// The process's number.
    pub fn pid(&self) -> Pid {
        self.group.pid()
    }

    pub fn is_leader(&self) -> bool {
        self.tid() == self.pid()
    }

    pub fn cred(&self) -> Arc<Cred> {
        self.cred.read().clone()
    }

    pub fn set_cred(&self, cred: Cred) {
        *self.cred.write() = Arc::new(cred);
    }

    /// Whether capability CAP_* is effective.
    pub fn capable(&self, cap: u32) -> bool {
        self.cred.read().capable(cap)
    }

    pub fn fs(&self) -> Arc<FsContext> {
        self.fs.read().clone()
    }

    pub fn set_fs(&self, fs: Arc<FsContext>) {
        let old = std::mem::replace(&mut *self.fs.write(), fs);
        drop(old);
    }

    /// The descriptor table; an empty one after exit.
    pub fn files(&self) -> Arc<FdTable> {
        self.files.read().clone().unwrap_or_else(FdTable::new)
    }

    /// Whether those with the same ids may look into it (`mm`'s), also when the memory has gone: task_still_dumpable().
    pub fn is_dumpable(&self) -> bool {
        match self.mm() {
            Some(mm) => mm.is_dumpable(),
            None => self.was_dumpable.load(Ordering::Relaxed),
        }
    }

    /// Whether it has ended and given back its files and paths.
    pub fn has_left(&self) -> bool {
        self.files.read().is_none()
    }

    /// Replaces the table; the old one's last user closes its files, so drop the result without locks held.
    pub fn set_files(&self, files: Option<Arc<FdTable>>) -> Option<Arc<FdTable>> {
        std::mem::replace(&mut *self.files.write(), files)
    }

    /// The address space; None for kernel tasks and after exit.
    pub fn mm(&self) -> Option<Arc<Mm>> {
        self.mm.read().clone()
    }

    pub fn set_mm(&self, mm: Option<Arc<Mm>>) -> Option<Arc<Mm>> {
        std::mem::replace(&mut *self.mm.write(), mm)
    }

    pub fn sighand(&self) -> Arc<SigHand> {
        self.sighand.read().clone()
    }

    pub fn set_sighand(&self, sighand: Arc<SigHand>) {
        *self.sighand.write() = sighand;
    }

    /// A signal is to be handled: interruptible sleeps end.
    pub fn has_signal(&self) -> bool {
        self.signal_pending.load(Ordering::SeqCst)
    }

    /// The task is to die: killable sleeps end.
    pub fn has_fatal_signal(&self) -> bool {
        self.fatal_pending.load(Ordering::SeqCst)
    }

    /// Something must be done before the guest goes on.
    pub fn has_work(&self) -> bool {
        self.signal_pending.load(Ordering::SeqCst) || self.work.load(Ordering::SeqCst)
    }

    /// The name, without padding.
    pub fn comm(&self) -> Vec<u8> {
        let comm = *self.comm.lock();
        comm[..comm.iter().position(|b| *b == 0).unwrap_or(16)].to_vec()
    }

    /// Sets the name from the first 15 bytes.
    pub fn set_comm(&self, name: &[u8]) {
        let mut comm = [0; 16];
        let len = name.len().min(15);
        comm[..len].copy_from_slice(&name[..len]);
        *self.comm.lock() = comm;
    }
}

impl Wake for Task {
    fn wake(&self, _events: PollEvents) -> bool {
        match self.me.upgrade() {
            Some(task) => {
                sched::unpark(&task);
                true
            }
            None => false,
        }
    }
}
