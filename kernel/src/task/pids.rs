//! The table of pids: tasks by thread id; process groups and sessions are read off the thread groups.

use super::{Task, ThreadGroup};
use crate::sync::{Rank, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A process, thread, group or session number.
pub type Pid = u32;

/// First pid after the last was used: kernel/pid.c RESERVED_PIDS.
const RESERVED: Pid = 300;
/// Numbers are below this (/proc/sys/kernel/pid_max).
pub const PID_MAX: Pid = 4_194_304;

struct Inner {
    tasks: BTreeMap<Pid, Arc<Task>>,
    last: Pid,
}

/// All live and zombie tasks.
pub struct PidTable(RwLock<Inner>);

static PIDS: PidTable = PidTable(RwLock::new(
    Rank::TASKS,
    Inner {
        tasks: BTreeMap::new(),
        last: 0,
    },
));

/// The machine's table.
pub fn pids() -> &'static PidTable {
    &PIDS
}

impl PidTable {
    /// A number that no task, group or session uses. None when all are taken.
    pub fn allocate(&self) -> Option<Pid> {
        let mut inner = self.0.write();
        let used = |inner: &Inner, pid: Pid| inner.tasks.contains_key(&pid);
        for _ in 0..PID_MAX {
            let next = if inner.last + 1 >= PID_MAX {
                RESERVED
            } else {
                inner.last + 1
            };
            inner.last = next;
            if !used(&inner, next) {
                return Some(next);
            }
        }
        None
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
        inner.tasks.insert(to, task.clone());
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

    /// The processes of process group `pgid`.
    pub fn process_group(&self, pgid: Pid) -> Vec<Arc<ThreadGroup>> {
        self.groups()
            .into_iter()
            .filter(|g| g.pgid() == pgid)
            .collect()
    }

    /// The processes of session `sid`.
    pub fn session(&self, sid: Pid) -> Vec<Arc<ThreadGroup>> {
        self.groups()
            .into_iter()
            .filter(|g| g.sid() == sid)
            .collect()
    }

    pub fn count(&self) -> usize {
        self.0.read().tasks.len()
    }

    /// The number given out last (/proc/loadavg).
    pub fn last(&self) -> Pid {
        self.0.read().last
    }
}
