//! The table of pids: tasks by thread id, processes by process group and by session.

use super::{Task, ThreadGroup};
use crate::sync::{Lock, LockGuard, Rank, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A process, thread, group or session number.
pub type Pid = u32;

/// First pid after the last was used: kernel/pid.c RESERVED_PIDS.
const RESERVED: Pid = 300;
/// Numbers are below this (/proc/sys/kernel/pid_max).
pub const PID_MAX: Pid = 4_194_304;

type Members = BTreeMap<Pid, BTreeMap<Pid, Arc<ThreadGroup>>>;

struct Inner {
    tasks: BTreeMap<Pid, Arc<Task>>,
    process_groups: Members,
    sessions: Members,
    last: Pid,
}

/// All live and zombie tasks.
pub struct PidTable(RwLock<Inner>);

static PIDS: PidTable = PidTable(RwLock::new(
    Rank::TASKS,
    Inner {
        tasks: BTreeMap::new(),
        process_groups: BTreeMap::new(),
        sessions: BTreeMap::new(),
        last: 0,
    },
));

/// Guards relations between processes: parents and children, groups, sessions, who is a zombie. Taken before any
/// [`ThreadGroup`]'s own lock; Linux's `tasklist_lock`.
static FAMILY: Lock<()> = Lock::new(Rank::FAMILY, ());

/// The machine's table.
pub fn pids() -> &'static PidTable {
    &PIDS
}

/// Holds the relations between processes still.
pub fn family() -> LockGuard<'static, ()> {
    FAMILY.lock()
}

impl Inner {
    fn used(&self, pid: Pid) -> bool {
        self.tasks.contains_key(&pid)
            || self.process_groups.contains_key(&pid)
            || self.sessions.contains_key(&pid)
    }
}

fn join(members: &mut Members, id: Pid, group: &Arc<ThreadGroup>) {
    members
        .entry(id)
        .or_default()
        .insert(group.pid(), group.clone());
}

fn leave(members: &mut Members, id: Pid, pid: Pid) {
    if let Some(of_id) = members.get_mut(&id) {
        of_id.remove(&pid);
        if of_id.is_empty() {
            members.remove(&id);
        }
    }
}

impl PidTable {
    /// A number that no task, group or session uses. None when all are taken.
    pub fn allocate(&self) -> Option<Pid> {
        let mut inner = self.0.write();
        for _ in 0..PID_MAX {
            let next = if inner.last + 1 >= PID_MAX {
                RESERVED
            } else {
                inner.last + 1
            };
            inner.last = next;
            if !inner.used(next) {
                return Some(next);
            }
        }
        None
    }

    /// Whether `pid` is free (clone3's set_tid; a race for it ends with the later one's EEXIST).
    pub fn is_free(&self, pid: Pid) -> bool {
        !self.0.read().used(pid)
    }

    pub fn insert(&self, task: &Arc<Task>) {
        self.0.write().tasks.insert(task.tid(), task.clone());
    }

    pub fn remove(&self, tid: Pid) {
        let removed = self.0.write().tasks.remove(&tid);
        drop(removed);
    }

    /// Puts `task` under the number `to` (a thread that execs becomes the leader).
    pub fn rename(&self, task: &Arc<Task>, from: Pid, to: Pid) {
        let mut inner = self.0.write();
        inner.tasks.remove(&from);
        let old = inner.tasks.insert(to, task.clone());
        drop(inner);
        drop(old);
    }

    /// Enters a process under its group and session. Under [`family`].
    pub fn enter(&self, group: &Arc<ThreadGroup>, pgid: Pid, sid: Pid) {
        let mut inner = self.0.write();
        join(&mut inner.process_groups, pgid, group);
        join(&mut inner.sessions, sid, group);
    }

    /// Takes a reaped process out of everything. Under [`family`].
    pub fn forget(&self, group: &Arc<ThreadGroup>) {
        let (pgid, sid) = {
            let inner = group.inner.lock();
            (inner.pgid, inner.sid)
        };
        let mut inner = self.0.write();
        leave(&mut inner.process_groups, pgid, group.pid());
        leave(&mut inner.sessions, sid, group.pid());
        let removed = inner.tasks.remove(&group.pid());
        drop(inner);
        drop(removed);
    }

    /// Moves a process to another group and session. Under [`family`].
    pub fn regroup(&self, group: &Arc<ThreadGroup>, pgid: Pid, sid: Pid) {
        let (old_pgid, old_sid) = {
            let mut inner = group.inner.lock();
            (
                std::mem::replace(&mut inner.pgid, pgid),
                std::mem::replace(&mut inner.sid, sid),
            )
        };
        let mut inner = self.0.write();
        leave(&mut inner.process_groups, old_pgid, group.pid());
        leave(&mut inner.sessions, old_sid, group.pid());
        join(&mut inner.process_groups, pgid, group);
        join(&mut inner.sessions, sid, group);
    }

    /// The thread with this id.
    pub fn task(&self, tid: Pid) -> Option<Arc<Task>> {
        self.0.read().tasks.get(&tid).cloned()
    }

    /// The process with this id, living or zombie.
    pub fn group(&self, pid: Pid) -> Option<Arc<ThreadGroup>> {
        let task = self.task(pid)?;
        (task.group.pid() == pid).then(|| task.group.clone())
    }

    /// Every task, by number.
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        self.0.read().tasks.values().cloned().collect()
    }

    /// Every process, by number.
    pub fn groups(&self) -> Vec<Arc<ThreadGroup>> {
        self.0
            .read()
            .tasks
            .iter()
            .filter(|(tid, t)| t.group.pid() == **tid)
            .map(|(_, t)| t.group.clone())
            .collect()
    }

    /// The processes of process group `pgid`, zombies too.
    pub fn process_group(&self, pgid: Pid) -> Vec<Arc<ThreadGroup>> {
        let inner = self.0.read();
        let of_id = inner.process_groups.get(&pgid);
        of_id.map_or_else(Vec::new, |m| m.values().cloned().collect())
    }

    /// The processes of session `sid`, zombies too.
    pub fn session(&self, sid: Pid) -> Vec<Arc<ThreadGroup>> {
        let inner = self.0.read();
        let of_id = inner.sessions.get(&sid);
        of_id.map_or_else(Vec::new, |m| m.values().cloned().collect())
    }

    pub fn count(&self) -> usize {
        self.0.read().tasks.len()
    }

    /// The number given out last (/proc/loadavg).
    pub fn last(&self) -> Pid {
        self.0.read().last
    }
}
