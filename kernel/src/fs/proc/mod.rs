//! procfs: what ps, top, free, mount, df and C libraries read.
//!
//! [`Root`] lists the machine-wide names and a directory per process; [`task`] is one process or thread, [`memory`] what
//! shows its address space, [`activity`] what it does, [`knobs`] what can be set; [`sys`] is /proc/sys; the texts of others (maps, mounts, sockets) come from their own modules.

mod activity;
mod fd;
mod global;
mod knobs;
mod memory;
mod ns;
mod stat;
mod status;
pub mod sys;
mod task;

use super::pseudo::{Directory, Fixed, Name, Node, PseudoFs};
use crate::error::{Error, Result};
use crate::sched;
use crate::sync::{Lock, Rank};
use crate::task::{Acting, Pid, Task, may_inspect, pids};
use crate::vfs::{FileSystem, InodeKind};
use abi::errno::Errno;
use std::sync::{Arc, OnceLock};

pub use global::{memory, set_cpu_info};

/// The letter that ps shows for a task.
pub fn state_letter(task: &Task) -> char {
    stat::state(task).0
}

/// Names that drivers add to the root directory.
static ADDED: Lock<Vec<(&'static str, fn() -> Node)>> = Lock::new(Rank::LEAF, Vec::new());

/// Adds a name to the root directory. Before the first mount of procfs.
pub fn add(name: &'static str, make: fn() -> Node) {
    ADDED.lock().push((name, make));
}

/// PROC_SUPER_MAGIC.
const MAGIC: u64 = 0x9fa0;

/// The machine's procfs.
pub fn instance() -> Arc<dyn FileSystem> {
    static PROC: OnceLock<Arc<PseudoFs>> = OnceLock::new();
    PROC.get_or_init(|| {
        PseudoFs::new(
            "proc",
            MAGIC,
            Node::dir(Root {
                fixed: ADDED
                    .lock()
                    .iter()
                    .fold(global::names(), |names, (name, make)| {
                        names.with(name, *make)
                    }),
            }),
        )
    })
    .clone()
}

struct Root {
    fixed: Fixed,
}

fn number(name: &[u8]) -> Option<Pid> {
    if name.first() == Some(&b'0') && name.len() > 1 {
        return None;
    }
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The task a name of the root directory stands for: threads can be looked up, only processes are listed.
fn by_name(name: &[u8]) -> Result<Arc<Task>> {
    number(name)
        .and_then(|pid| pids().task(pid))
        .ok_or_else(|| Error::new(Errno::ENOENT))
}

impl Directory for Root {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        match name {
            b"self" => Ok(Node::link(|| Ok(current()?.pid().to_string().into_bytes()))),
            b"thread-self" => Ok(Node::link(|| {
                let task = current()?;
                Ok(format!("{}/task/{}", task.pid(), task.tid()).into_bytes())
            })),
            b"mounts" => Ok(Node::link(|| Ok(b"self/mounts".to_vec()))),
            b"net" => Ok(Node::link(|| Ok(b"self/net".to_vec()))),
            _ => match self.fixed.lookup(name) {
                Err(e) if e == Errno::ENOENT => Ok(task::directory(&by_name(name)?, true)),
                found => found,
            },
        }
    }

    fn names(&self) -> Result<Vec<Name>> {
        let mut names = self.fixed.names()?;
        for link in ["self", "thread-self", "mounts", "net"] {
            names.push(Name::link(link));
        }
        names.extend(
            pids()
                .groups()
                .iter()
                .map(|group| Name::dir(group.pid().to_string())),
        );
        Ok(names)
    }

    fn no_create(&self) -> Errno {
        Errno::ENOENT
    }

    fn still(&self, name: &[u8]) -> bool {
        match number(name) {
            Some(pid) => pids().task(pid).is_some(),
            None => true,
        }
    }
}

fn current() -> Result<Arc<Task>> {
    sched::try_current().ok_or_else(|| Error::new(Errno::ENOENT))
}

/// Whether the caller may look into another task (ptrace_may_access() with PTRACE_MODE_READ_FSCREDS): EACCES.
pub(super) fn may_look(task: &Task) -> Result<()> {
    if may_inspect(&*current()?, task, Acting::FileSystem) {
        Ok(())
    } else {
        Err(Error::new(Errno::EACCES))
    }
}

/// Kind of a name that is a directory of texts, for tables.
pub(super) const DIR: InodeKind = InodeKind::Directory;
