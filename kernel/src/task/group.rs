//! Thread groups: what the threads of a process share whatever the clone flags (Linux's `signal_struct`).

use super::{Io, Pid, Task};
use crate::mm::Mm;
use crate::signal::SigQueue;
use crate::sync::{Lock, Rank, WaitQueue};
use crate::tty::Tty;
use abi::task::{RLIM_NLIMITS, RLIMIT_CPU, Rlimit};
use abi::time::{Rusage, Timeval};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// How a process ended, as wait(2) tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// exit(2) with the low 8 bits.
    Code(u8),
    Signal {
        signo: i32,
        core: bool,
    },
}

impl ExitStatus {
    /// From the word that wait4(2) stores for an ended process.
    pub fn from_wait_status(word: u32) -> ExitStatus {
        match word & 0x7f {
            0 => ExitStatus::Code((word >> 8) as u8),
            signo => ExitStatus::Signal {
                signo: signo as i32,
                core: word & 0x80 != 0,
            },
        }
    }

    /// The word that wait4(2) stores.
    pub fn wait_status(self) -> i32 {
        match self {
            ExitStatus::Code(code) => i32::from(code) << 8,
            ExitStatus::Signal { signo, core } => signo | if core { 0x80 } else { 0 },
        }
    }
}

/// CPU time and faults, summed over threads or children that have ended. Nanoseconds and counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Accounting {
    pub utime_ns: u64,
    pub stime_ns: u64,
    pub voluntary: u64,
    pub involuntary: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub max_rss_kib: u64,
    pub io: Io,
}

impl Accounting {
    /// What one thread has used so far.
    pub fn of_task(task: &Task) -> Accounting {
        let entity = &task.sched;
        let (utime_ns, stime_ns) = entity.times();
        Accounting {
            utime_ns,
            stime_ns,
            voluntary: entity.voluntary_switches.load(Ordering::Relaxed),
            involuntary: entity.involuntary_switches.load(Ordering::Relaxed),
            minor_faults: task.minor_faults.load(Ordering::Relaxed),
            major_faults: task.major_faults.load(Ordering::Relaxed),
            max_rss_kib: 0,
            io: task.io.sums(),
        }
    }

    /// Adds up; of the resident sizes the larger counts.
    pub fn add(&mut self, other: &Accounting) {
        self.utime_ns += other.utime_ns;
        self.stime_ns += other.stime_ns;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
        self.minor_faults += other.minor_faults;
        self.major_faults += other.major_faults;
        self.max_rss_kib = self.max_rss_kib.max(other.max_rss_kib);
        self.io.add(&other.io);
    }

    /// As getrusage(2) tells it.
    pub fn rusage(&self) -> Rusage {
        Rusage {
            ru_utime: Timeval::from_nanos(self.utime_ns as i64),
            ru_stime: Timeval::from_nanos(self.stime_ns as i64),
            ru_maxrss: self.max_rss_kib as i64,
            ru_minflt: self.minor_faults as i64,
            ru_majflt: self.major_faults as i64,
            ru_nvcsw: self.voluntary as i64,
            ru_nivcsw: self.involuntary as i64,
            ..Rusage::default()
        }
    }
}

/// The memory that a process had when it ended.
pub struct LastMemory {
    remains: platform::Remains,
    /// Its own, not borrowed from another process (vfork), where faults count.
    own: bool,
}

impl LastMemory {
    pub fn of(mm: &Mm, pid: Pid) -> LastMemory {
        LastMemory {
            remains: mm.address_space().remains(),
            own: mm.owner.load(Ordering::Relaxed) == pid,
        }
    }

    fn count(&self, used: platform::Used) -> Accounting {
        Accounting {
            minor_faults: if self.own { used.minor_faults } else { 0 },
            max_rss_kib: used.peak_bytes / 1024,
            ..Accounting::default()
        }
    }

    /// What it took, if the host has told already.
    fn known(&self) -> Option<Accounting> {
        self.remains.known().map(|used| self.count(used))
    }

    /// What it took; waits until the host tells.
    fn used(&self) -> Accounting {
        self.count(self.remains.used())
    }
}

/// The guarded part.
pub struct GroupInner {
    /// Living threads (a zombie leader stays in `leader`).
    pub threads: Vec<Arc<Task>>,
    pub leader: Option<Arc<Task>>,
    pub parent: Weak<ThreadGroup>,
    /// The thread that cloned this process (for PR_SET_PDEATHSIG and __WNOTHREAD).
    pub parent_tid: Pid,
    pub children: Vec<Arc<ThreadGroup>>,
    pub pgid: Pid,
    pub sid: Pid,
    pub tty: Option<Arc<Tty>>,
    /// Signals for the process as a whole.
    pub pending: SigQueue,
    /// Set once: every thread is to end with this.
    pub group_exit: Option<ExitStatus>,
    /// A thread that waits in execve for the others to end.
    pub exec_by: Option<Pid>,
    /// Stopped by this signal; threads park until SIGCONT or SIGKILL.
    pub stopped: Option<i32>,
    /// A stop or continuation that wait(2) hasn't reported yet.
    pub stop_report: Option<i32>,
    pub continue_report: bool,
    /// Ended and waiting to be reaped.
    pub zombie: Option<ExitStatus>,
    pub exit_signal: i32,
    pub rlimits: [Rlimit; RLIM_NLIMITS],
    /// Of threads that have ended.
    pub dead_threads: Accounting,
    /// Of children that were waited for.
    pub waited_children: Accounting,
    /// What the host is still to tell of its memory, after its end, and of these children's.
    pub last_memory: Option<LastMemory>,
    pub waited_memory: Vec<LastMemory>,
    pub did_exec: bool,
    pub child_subreaper: bool,
}

impl GroupInner {
    /// Of a process that nobody forked: init, and what the kernel starts by itself.
    pub fn parentless(pgid: Pid, sid: Pid, rlimits: [Rlimit; RLIM_NLIMITS]) -> GroupInner {
        GroupInner {
            threads: Vec::new(),
            leader: None,
            parent: Weak::new(),
            parent_tid: 0,
            children: Vec::new(),
            pgid,
            sid,
            tty: None,
            pending: Default::default(),
            group_exit: None,
            exec_by: None,
            stopped: None,
            stop_report: None,
            continue_report: false,
            zombie: None,
            exit_signal: abi::signal::SIGCHLD,
            rlimits,
            dead_threads: Accounting::default(),
            waited_children: Accounting::default(),
            last_memory: None,
            waited_memory: Vec::new(),
            did_exec: false,
            child_subreaper: false,
        }
    }
}

/// A process.
pub struct ThreadGroup {
    pid: Pid,
    pub inner: Lock<GroupInner>,
    /// Threads of this process that wait for children.
    pub child_wait: WaitQueue,
    /// Told when this process changes state: pidfds, and a thread in execve.
    pub exit_wait: WaitQueue,
    pub oom_score_adj: AtomicI32,
    /// MMF_DUMP_* bits of /proc/pid/coredump_filter.
    pub coredump_filter: AtomicU32,
    /// User who logged in, and the number of that login: /proc/<pid>/loginuid and sessionid. All bits set: nobody.
    pub login: (AtomicU32, AtomicU32),
    /// PR_SET_THP_DISABLE.
    pub thp_disabled: AtomicBool,
    /// A group stop by this signal is under way or done; 0: none. Changed under the GROUP lock.
    pub stopping: AtomicI32,
    /// Init: signals without a handler pass it by (SIGNAL_UNKILLABLE).
    pub unkillable: AtomicBool,
    /// Index of the thread that took a process's signal last.
    pub signal_turn: AtomicU32,
    pub timers: crate::time::GroupTimers,
    /// Threads not yet ended.
    pub live: AtomicU32,
    /// CLOCK_MONOTONIC nanoseconds at the start.
    pub start_ns: AtomicU64,
}

impl ThreadGroup {
    pub fn new(pid: Pid, inner: GroupInner) -> Arc<ThreadGroup> {
        let timers = crate::time::GroupTimers::default();
        timers
            .cpu
            .inherit_limit(inner.rlimits[RLIMIT_CPU as usize].rlim_cur);
        Arc::new(ThreadGroup {
            pid,
            inner: Lock::new(Rank::GROUP, inner),
            child_wait: WaitQueue::new(),
            exit_wait: WaitQueue::new(),
            oom_score_adj: AtomicI32::new(0),
            coredump_filter: AtomicU32::new(0x33),
            login: (AtomicU32::new(u32::MAX), AtomicU32::new(u32::MAX)),
            thp_disabled: AtomicBool::new(false),
            stopping: AtomicI32::new(0),
            unkillable: AtomicBool::new(pid == 1),
            signal_turn: AtomicU32::new(0),
            timers,
            live: AtomicU32::new(1),
            start_ns: AtomicU64::new(crate::time::monotonic_ns()),
        })
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn pgid(&self) -> Pid {
        self.inner.lock().pgid
    }

    pub fn sid(&self) -> Pid {
        self.inner.lock().sid
    }

    pub fn parent(&self) -> Option<Arc<ThreadGroup>> {
        self.inner.lock().parent.upgrade()
    }

    /// The parent's pid; 0 for what the kernel started.
    pub fn ppid(&self) -> Pid {
        self.parent().map_or(0, |p| p.pid)
    }

    /// The first thread, also when it has ended before the others.
    pub fn leader(&self) -> Option<Arc<Task>> {
        self.inner.lock().leader.clone()
    }

    pub fn threads(&self) -> Vec<Arc<Task>> {
        self.inner.lock().threads.clone()
    }

    /// Soft limit of resource `RLIMIT_*`; `u64::MAX` for no limit.
    pub fn rlimit(&self, resource: usize) -> u64 {
        self.inner.lock().rlimits[resource].rlim_cur
    }

    pub fn is_zombie(&self) -> bool {
        self.inner.lock().zombie.is_some()
    }

    /// Whether it is the first process of its session.
    pub fn is_session_leader(&self) -> bool {
        self.inner.lock().sid == self.pid
    }

    /// Adds what the host tells of the memory of the process after its end; waits for it.
    pub fn settle_own_memory(&self) {
        let memory = self.inner.lock().last_memory.take();
        if let Some(memory) = memory {
            let used = memory.used();
            self.inner.lock().dead_threads.add(&used);
        }
    }

    /// The same of children that were waited for.
    pub fn settle_waited_memory(&self) {
        let memory = std::mem::take(&mut self.inner.lock().waited_memory);
        for used in memory.iter().map(LastMemory::used) {
            self.inner.lock().waited_children.add(&used);
        }
    }

    /// Takes over what a child that is waited for has used, with its own children.
    pub fn add_waited(&self, child: &ThreadGroup) {
        let mut used = child.accounting_of_threads();
        let memory = {
            let mut inner = child.inner.lock();
            used.add(&inner.waited_children);
            let own = inner.last_memory.take();
            let mut memory = std::mem::take(&mut inner.waited_memory);
            memory.extend(own);
            memory
        };
        let mut inner = self.inner.lock();
        inner.waited_memory.extend(memory);
        inner.waited_memory.retain(|memory| {
            let known = memory.known();
            known.iter().for_each(|known| used.add(known));
            known.is_none()
        });
        inner.waited_children.add(&used);
    }

    /// What all its threads, ended ones too, have used.
    pub fn accounting(&self) -> Accounting {
        self.settle_own_memory();
        self.accounting_of_threads()
    }

    /// The same but for what the host has to tell of the memory of a process that has ended, for which one would have to wait.
    pub fn accounting_of_threads(&self) -> Accounting {
        let inner = self.inner.lock();
        let mut sum = inner.dead_threads;
        for thread in &inner.threads {
            sum.add(&Accounting::of_task(thread));
        }
        sum
    }

    /// What children that were waited for have used.
    pub fn children_accounting(&self) -> Accounting {
        self.settle_waited_memory();
        self.inner.lock().waited_children
    }

    pub fn live_threads(&self) -> u32 {
        self.live.load(Ordering::SeqCst)
    }
}
