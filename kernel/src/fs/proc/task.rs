//! /proc/<pid> and /proc/<pid>/task/<tid>.

use super::{DIR, activity, fd, knobs, may_look, memory, ns, stat, status};
use crate::error::{Error, Result, err};
use crate::fs::pseudo::{Directory, Name, Node, Owner, Read};
use crate::mm::Mm;
use crate::task::{Pid, Task, pids};
use crate::vfs::{self, InodeKind, Path};
use abi::errno::Errno;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

/// The directory of a process, or of one of its threads.
pub(super) fn directory(task: &Arc<Task>, process: bool) -> Node {
    Node::dir(TaskDir {
        task: Arc::downgrade(task),
        process,
    })
    .owned(owner(task, true))
}

/// fs/proc/base.c:task_dump_owner(): the files are root's when the process isn't dumpable or has no memory; directories that
/// everybody may list are always the task's.
pub(super) fn owner(task: &Arc<Task>, open: bool) -> Owner {
    let task = Arc::downgrade(task);
    Arc::new(move || match task.upgrade() {
        Some(task) if open || task.mm().is_some_and(|mm| mm.is_dumpable()) => {
            let cred = task.cred();
            (cred.euid, cred.egid)
        }
        _ => (0, 0),
    })
}

struct TaskDir {
    task: Weak<Task>,
    process: bool,
}

/// The task, or ESRCH when it is gone.
pub(super) fn alive(task: &Weak<Task>) -> Result<Arc<Task>> {
    task.upgrade()
        .filter(|t| pids().task(t.tid()).is_some())
        .ok_or_else(|| Error::new(Errno::ESRCH))
}

const FILE: InodeKind = InodeKind::Regular;
const LINK: InodeKind = InodeKind::Symlink;

const NAMES: &[(&str, InodeKind)] = &[
    ("attr", DIR),
    ("auxv", FILE),
    ("cgroup", FILE),
    ("clear_refs", FILE),
    ("cmdline", FILE),
    ("comm", FILE),
    ("cwd", LINK),
    ("environ", FILE),
    ("exe", LINK),
    ("fd", DIR),
    ("fdinfo", DIR),
    ("gid_map", FILE),
    ("io", FILE),
    ("limits", FILE),
    ("loginuid", FILE),
    ("maps", FILE),
    ("mem", FILE),
    ("mountinfo", FILE),
    ("mounts", FILE),
    ("net", DIR),
    ("ns", DIR),
    ("oom_adj", FILE),
    ("oom_score", FILE),
    ("oom_score_adj", FILE),
    ("pagemap", FILE),
    ("personality", FILE),
    ("projid_map", FILE),
    ("root", LINK),
    ("sched", FILE),
    ("schedstat", FILE),
    ("sessionid", FILE),
    ("setgroups", FILE),
    ("smaps", FILE),
    ("smaps_rollup", FILE),
    ("stack", FILE),
    ("stat", FILE),
    ("statm", FILE),
    ("status", FILE),
    ("syscall", FILE),
    ("uid_map", FILE),
    ("wchan", FILE),
];

/// Only of processes, and only of threads.
const OF_PROCESS: &[(&str, InodeKind)] = &[
    ("coredump_filter", FILE),
    ("map_files", DIR),
    ("mountstats", FILE),
    ("task", DIR),
    ("timers", FILE),
    ("timerslack_ns", FILE),
];
const OF_THREAD: &[(&str, InodeKind)] = &[("children", FILE)];

impl Directory for TaskDir {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        // ESRCH as fs/proc/base.c:proc_pid_permission() has it.
        let task = alive(&self.task)?;
        let node = self.node(name)?;
        let open = node.is_open_directory();
        Ok(node.owned(owner(&task, open)))
    }

    fn no_create(&self) -> Errno {
        Errno::ENOENT
    }

    fn process(&self) -> Option<Arc<Task>> {
        self.task.upgrade().filter(|_| self.process)
    }

    fn still(&self, _name: &[u8]) -> bool {
        alive(&self.task).is_ok()
    }

    fn names(&self) -> Result<Vec<Name>> {
        alive(&self.task).map_err(|_| Errno::ENOENT)?;
        let more = if self.process { OF_PROCESS } else { OF_THREAD };
        let name = |(name, kind): &(&str, InodeKind)| Name {
            name: (*name).into(),
            kind: *kind,
        };
        Ok(NAMES.iter().chain(more).map(name).collect())
    }
}

type Text = fn(&Arc<Task>) -> Result<Vec<u8>>;

impl TaskDir {
    fn text(&self, text: Text) -> Node {
        let task = self.task.clone();
        Node::text(move || text(&alive(&task)?))
    }

    /// A text about the mounts that the task sees when the file is opened. EINVAL when it has ended.
    fn mounts(&self, text: fn(&Path) -> Vec<u8>) -> Node {
        let task = self.task.clone();
        Node::opened(move || {
            let task = alive(&task)?;
            if task.has_left() {
                return err(Errno::EINVAL);
            }
            let root = task.fs().root();
            Ok(Box::new(move || Ok(text(&root))) as Read)
        })
    }

    fn place(&self, place: fn(&Arc<Task>) -> Result<Path>) -> Node {
        let (text, follow) = (self.task.clone(), self.task.clone());
        Node::magic(
            move || {
                let task = with_paths(&text)?;
                Ok(vfs::path_string(
                    &place(&task)?,
                    &super::current()?.fs().root(),
                ))
            },
            move || place(&with_paths(&follow)?),
        )
    }

    fn node(&self, name: &[u8]) -> Result<Node> {
        let weak = || self.task.clone();
        Ok(match name {
            b"stat" => {
                let process = self.process;
                let task = weak();
                Node::text(move || stat::stat(&alive(&task)?, process))
            }
            b"status" => self.text(status::status),
            b"statm" => self.text(stat::statm),
            b"cmdline" => self.text(memory::cmdline).sized(true),
            b"environ" => memory::environ(weak()),
            b"auxv" => memory::auxv(weak()),
            b"maps" => memory::areas(weak(), Mm::maps),
            b"smaps" => memory::areas(weak(), Mm::smaps),
            b"smaps_rollup" => memory::smaps_rollup(weak()),
            b"mem" => memory::mem(weak()),
            b"pagemap" => memory::pagemap(weak()),
            b"clear_refs" => memory::clear_refs(weak()),
            b"map_files" if self.process => memory::map_files(weak()),
            b"comm" => knobs::comm(weak()),
            b"limits" => self.text(status::limits),
            b"mounts" => self
                .mounts(vfs::mount_text::mounts)
                .changing(vfs::mount::watch),
            b"mountinfo" => self
                .mounts(vfs::mount_text::mountinfo)
                .changing(vfs::mount::watch),
            b"mountstats" if self.process => self.mounts(vfs::mount_text::mountstats).mode(0o400),
            b"cwd" => self.place(|task| Ok(task.fs().cwd())),
            b"root" => self.place(|task| Ok(task.fs().root())),
            b"exe" => self.place(exe),
            b"fd" => fd::directory(weak(), false),
            b"fdinfo" => fd::directory(weak(), true),
            b"ns" => Node::dir(ns::NsDir { task: weak() }).mode(0o511),
            b"task" if self.process => Node::dir(Threads { task: weak() }),
            b"children" if !self.process => self.text(children),
            b"cgroup" => Node::fixed("0::/\n"),
            b"io" => {
                let process = self.process;
                let task = weak();
                let node = Node::text(move || activity::io(&alive(&task)?, process));
                node.mode(0o400)
            }
            b"loginuid" => knobs::login_uid(weak()),
            b"sessionid" => {
                self.text(|task| Ok(task.group.login.1.load(Relaxed).to_string().into_bytes()))
            }
            b"uid_map" | b"gid_map" | b"projid_map" => knobs::id_map(),
            b"setgroups" => knobs::setgroups(),
            b"coredump_filter" if self.process => knobs::coredump_filter(weak()),
            b"oom_score" => self.text(|task| {
                Ok(format!("{}\n", crate::mm::pressure::oom_score(task)).into_bytes())
            }),
            b"oom_score_adj" => knobs::oom_score_adj(weak()),
            b"oom_adj" => knobs::oom_adj(weak()),
            b"timerslack_ns" if self.process => knobs::timer_slack(weak()),
            b"personality" => self.text(activity::personality).mode(0o400),
            b"sched" => activity::sched(weak()),
            b"schedstat" => self.text(activity::schedstat),
            b"stack" => self.text(activity::stack).mode(0o400),
            b"syscall" => self.text(activity::syscall).mode(0o400),
            b"timers" if self.process => activity::timers(weak()),
            // As in a kernel without the names of its own functions.
            b"wchan" => self.text(|_| Ok(b"0".to_vec())),
            b"net" => Node::dir(net()),
            b"attr" => Node::dir(crate::fs::pseudo::Fixed::new()),
            _ => return err(Errno::ENOENT),
        })
    }
}

/// As [`alive`], for those who may look into it, and not ended. EACCES, ENOENT.
pub(super) fn with_paths(task: &Weak<Task>) -> Result<Arc<Task>> {
    let task = alive(task)?;
    may_look(&task)?;
    if task.has_left() {
        return err(Errno::ENOENT);
    }
    Ok(task)
}

fn net() -> crate::fs::pseudo::Fixed {
    crate::fs::pseudo::Fixed::new().with("unix", || {
        Node::text(|| Ok(crate::ipc::socket::unix::proc_net_unix()))
    })
}

fn exe(task: &Arc<Task>) -> Result<Path> {
    let mm = task.mm().ok_or(Errno::ENOENT)?;
    match mm.exe() {
        Some(file) => Ok(file.path().clone()),
        None => err(Errno::ENOENT),
    }
}

fn children(task: &Arc<Task>) -> Result<Vec<u8>> {
    let inner = task.group.inner.lock();
    let text: String = inner
        .children
        .iter()
        .map(|child| format!("{} ", child.pid()))
        .collect();
    Ok(text.into_bytes())
}

struct Threads {
    task: Weak<Task>,
}

impl Threads {
    fn find(&self, name: &[u8]) -> Option<Arc<Task>> {
        let tid: Pid = super::number(name)?;
        let group = &self.task.upgrade()?.group;
        pids().task(tid).filter(|t| Arc::ptr_eq(&t.group, group))
    }
}

impl Directory for Threads {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        match self.find(name) {
            Some(task) => Ok(directory(&task, false)),
            None => err(Errno::ENOENT),
        }
    }

    fn names(&self) -> Result<Vec<Name>> {
        let group = alive(&self.task)?.group.clone();
        let mut tids: Vec<Pid> = group.threads().iter().map(|t| t.tid()).collect();
        if tids.is_empty() {
            tids.push(group.pid());
        }
        tids.sort_unstable();
        Ok(tids
            .into_iter()
            .map(|tid| Name::dir(tid.to_string()))
            .collect())
    }

    fn still(&self, name: &[u8]) -> bool {
        self.find(name).is_some()
    }
}
