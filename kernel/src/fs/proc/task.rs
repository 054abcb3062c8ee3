//! /proc/<pid> and /proc/<pid>/task/<tid>.

use super::{DIR, fd, may_look, ns, stat, status};
use crate::error::{Error, Result, err};
use crate::fs::pseudo::{Directory, Name, Node, Owner};
use crate::mm::Mm;
use crate::task::{Pid, Task, pids};
use crate::vfs::{self, File, FileOps, InodeKind, Path, PollEvents, Sink, Source};
use abi::errno::Errno;
use abi::fs::{SEEK_CUR, SEEK_SET};
use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// The directory of a process, or of one of its threads.
pub(super) fn directory(task: &Arc<Task>, process: bool) -> Node {
    Node::dir(TaskDir {
        task: Arc::downgrade(task),
        process,
    })
    .owned(owner(task))
}

fn owner(task: &Arc<Task>) -> Owner {
    let task = Arc::downgrade(task);
    Arc::new(move || match task.upgrade() {
        Some(task) if task.group.dumpable.load(Relaxed) => {
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
    ("cmdline", FILE),
    ("comm", FILE),
    ("coredump_filter", FILE),
    ("cwd", LINK),
    ("environ", FILE),
    ("exe", LINK),
    ("fd", DIR),
    ("fdinfo", DIR),
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
    ("personality", FILE),
    ("root", LINK),
    ("schedstat", FILE),
    ("sessionid", FILE),
    ("smaps", FILE),
    ("smaps_rollup", FILE),
    ("stack", FILE),
    ("stat", FILE),
    ("statm", FILE),
    ("status", FILE),
    ("syscall", FILE),
    ("timerslack_ns", FILE),
    ("wchan", FILE),
];

impl Directory for TaskDir {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        // ESRCH as fs/proc/base.c:proc_pid_permission() has it.
        let task = alive(&self.task)?;
        let node = self.node(&task, name)?;
        Ok(node.owned(owner(&task)))
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
        let mut names: Vec<Name> = NAMES
            .iter()
            .map(|(name, kind)| Name {
                name: (*name).into(),
                kind: *kind,
            })
            .collect();
        if self.process {
            names.push(Name::dir("task"));
        } else {
            names.push(Name::file("children"));
        }
        Ok(names)
    }
}

type Text = fn(&Arc<Task>) -> Result<Vec<u8>>;

impl TaskDir {
    fn text(&self, text: Text) -> Node {
        let task = self.task.clone();
        Node::text(move || text(&alive(&task)?))
    }

    /// A text for those who may look into the task.
    fn private(&self, text: Text) -> Node {
        let task = self.task.clone();
        Node::text(move || {
            let task = alive(&task)?;
            may_look(&task)?;
            text(&task)
        })
        .mode(0o400)
    }

    fn place(&self, place: fn(&Arc<Task>) -> Result<Path>) -> Node {
        let (text, follow) = (self.task.clone(), self.task.clone());
        Node::magic(
            move || {
                let task = alive(&text)?;
                may_look(&task)?;
                Ok(vfs::path_string(
                    &place(&task)?,
                    &super::current()?.fs().root(),
                ))
            },
            move || {
                let task = alive(&follow)?;
                may_look(&task)?;
                place(&task)
            },
        )
    }

    fn node(&self, task: &Arc<Task>, name: &[u8]) -> Result<Node> {
        let weak = || self.task.clone();
        Ok(match name {
            b"stat" => {
                let process = self.process;
                let task = weak();
                Node::text(move || stat::stat(&alive(&task)?, process))
            }
            b"status" => self.text(status::status),
            b"statm" => self.text(stat::statm),
            b"cmdline" => self.text(cmdline).sized(true),
            b"environ" => self.private(environ).sized(true),
            b"auxv" => self.private(auxv).sized(true),
            b"comm" => {
                let (read, write) = (weak(), weak());
                Node::setting(
                    move || {
                        let mut comm = alive(&read)?.comm();
                        comm.push(b'\n');
                        Ok(comm)
                    },
                    move |bytes| {
                        let task = alive(&write)?;
                        if task.pid() != super::current()?.pid() {
                            return err(Errno::EINVAL);
                        }
                        task.set_comm(bytes);
                        Ok(())
                    },
                )
                .sized(false)
            }
            b"limits" => self.text(status::limits),
            b"maps" => self.private(|task| mm_text(task, Mm::maps)).mode(0o444),
            b"smaps" => self.private(|task| mm_text(task, Mm::smaps)).mode(0o444),
            b"smaps_rollup" => self
                .private(|task| match task.mm() {
                    Some(mm) => Ok(mm.smaps_rollup()),
                    None => err(Errno::ESRCH),
                })
                .mode(0o444),
            b"mounts" => self
                .text(|task| Ok(vfs::mount_text::mounts(&task.fs().root())))
                .changing(vfs::mount::watch),
            b"mountinfo" => self
                .text(|task| Ok(vfs::mount_text::mountinfo(&task.fs().root())))
                .changing(vfs::mount::watch),
            b"cwd" => self.place(|task| Ok(task.fs().cwd())),
            b"root" => self.place(|task| Ok(task.fs().root())),
            b"exe" => self.place(exe),
            b"fd" => Node::dir(fd::FdDir { task: weak(), info: false }).mode(0o500),
            b"fdinfo" => Node::dir(fd::FdDir { task: weak(), info: true }),
            b"ns" => Node::dir(ns::NsDir { task: weak() }).mode(0o511),
            b"task" if self.process => Node::dir(Threads { task: weak() }),
            b"children" if !self.process => self.text(children),
            b"cgroup" => Node::fixed("0::/\n"),
            b"io" => self.private(|_| {
                Ok(b"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n".to_vec())
            }),
            b"loginuid" => login_uid(weak()),
            b"sessionid" => self.text(|task| {
                Ok(task.group.login.1.load(Relaxed).to_string().into_bytes())
            }),
            b"personality" => self.private(|task| Ok(format!("{:08x}\n", task.personality.load(Relaxed)).into_bytes())),
            b"coredump_filter" => coredump_filter(weak()),
            b"oom_score" => Node::fixed("0\n"),
            b"oom_score_adj" => oom_score_adj(weak()),
            b"oom_adj" => oom_adj(weak()),
            b"schedstat" => self.text(|task| {
                let ran = task.sched.utime_ns.load(Relaxed) + task.sched.stime_ns.load(Relaxed);
                Ok(format!("{ran} 0 {}\n", task.sched.voluntary_switches.load(Relaxed)).into_bytes())
            }),
            b"timerslack_ns" => timer_slack(weak()),
            b"wchan" => Node::fixed("0"),
            b"stack" => self.private(|_| Ok(Vec::new())),
            b"syscall" => self.private(|task| match task.in_syscall.load(Relaxed) {
                u64::MAX => Ok(b"running\n".to_vec()),
                nr => Ok(format!("{nr} 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n").into_bytes()),
            }),
            b"mem" => {
                let target = weak();
                Node::special(move |_flags| {
                    let task = alive(&target)?;
                    may_look(&task)?;
                    let mm = task.mm().ok_or(Errno::EACCES)?;
                    Ok(Box::new(MemFile(mm)) as Box<dyn FileOps>)
                })
                .mode(0o600)
            }
            b"net" => Node::dir(net()),
            b"attr" => Node::dir(crate::fs::pseudo::Fixed::new()),
            _ => {
                let _unknown = task;
                return err(Errno::ENOENT);
            }
        })
    }
}

fn net() -> crate::fs::pseudo::Fixed {
    crate::fs::pseudo::Fixed::new().with("unix", || {
        Node::text(|| Ok(crate::ipc::socket::unix::proc_net_unix()))
    })
}

type AreaText = fn(&Mm, fn(&File) -> Vec<u8>) -> Vec<u8>;

fn mm_text(task: &Arc<Task>, text: AreaText) -> Result<Vec<u8>> {
    Ok(task.mm().map_or_else(Vec::new, |mm| text(&mm, file_name)))
}

/// The path of a mapped file as the reader sees it.
fn file_name(file: &File) -> Vec<u8> {
    match super::current() {
        Ok(reader) => vfs::path_string(file.path(), &reader.fs().root()),
        Err(_) => Vec::new(),
    }
}

fn exe(task: &Arc<Task>) -> Result<Path> {
    let mm = task.mm().ok_or(Errno::ENOENT)?;
    match mm.exe() {
        Some(file) => Ok(file.path().clone()),
        None => err(Errno::ENOENT),
    }
}

/// Guest memory `[start, end)`, as far as it can be read, at most 1 MiB.
fn area(task: &Arc<Task>, range: impl Fn(&Mm) -> (u64, u64)) -> Vec<u8> {
    let Some(mm) = task.mm() else {
        return Vec::new();
    };
    let (start, end) = range(&mm);
    let mut bytes = vec![
        0;
        usize::try_from(end.saturating_sub(start))
            .unwrap_or(0)
            .min(1 << 20)
    ];
    let got = mm.read(start, &mut bytes);
    bytes.truncate(got);
    bytes
}

/// The arguments. A program that has overwritten their end with a longer title shows it: fs/proc/base.c:get_mm_cmdline().
fn cmdline(task: &Arc<Task>) -> Result<Vec<u8>> {
    let mut bytes = area(task, |mm| (mm.layout().arg_start, mm.layout().arg_end));
    if bytes.last().is_some_and(|last| *last != 0) {
        bytes.extend(area(task, |mm| {
            (mm.layout().env_start, mm.layout().env_end)
        }));
        let end = bytes
            .iter()
            .position(|b| *b == 0)
            .map_or(bytes.len(), |at| at + 1);
        bytes.truncate(end);
    }
    Ok(bytes)
}

fn environ(task: &Arc<Task>) -> Result<Vec<u8>> {
    Ok(area(task, |mm| {
        (mm.layout().env_start, mm.layout().env_end)
    }))
}

fn auxv(task: &Arc<Task>) -> Result<Vec<u8>> {
    Ok(task.mm().map_or_else(Vec::new, |mm| {
        mm.auxv()
            .iter()
            .flat_map(|(key, value)| [key.to_ne_bytes(), value.to_ne_bytes()].concat())
            .collect()
    }))
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

/// Set once by whoever logs a user in, for all processes to come (kernel/audit.c:audit_set_loginuid()).
fn login_uid(task: Weak<Task>) -> Node {
    static SESSIONS: AtomicU32 = AtomicU32::new(0);
    let read = task.clone();
    Node::setting(
        move || {
            Ok(alive(&read)?
                .group
                .login
                .0
                .load(Relaxed)
                .to_string()
                .into_bytes())
        },
        move |bytes| {
            let task = alive(&task)?;
            let current = super::current()?;
            if !Arc::ptr_eq(&current.group, &task.group) {
                return err(Errno::EPERM);
            }
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let uid: u32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            let (user, session) = &task.group.login;
            let is_set = user.load(Relaxed) != u32::MAX;
            if is_set && !current.capable(abi::task::CAP_AUDIT_CONTROL) {
                return err(Errno::EPERM);
            }
            let number = match uid {
                u32::MAX => u32::MAX,
                _ => SESSIONS.fetch_add(1, Relaxed) + 1,
            };
            user.store(uid, Relaxed);
            session.store(number, Relaxed);
            Ok(())
        },
    )
}

/// fs/proc/base.c:timerslack_ns_write(): 0 is the default; CAP_SYS_NICE for other processes.
fn timer_slack(task: Weak<Task>) -> Node {
    let read = task.clone();
    let may = |task: &Task| -> Result<()> {
        let caller = super::current()?;
        if caller.pid() != task.pid() && !caller.capable(abi::cap::CAP_SYS_NICE) {
            return err(Errno::EPERM);
        }
        Ok(())
    };
    Node::setting(
        move || {
            let task = alive(&read)?;
            may(&task)?;
            Ok(format!("{}\n", task.timer_slack_ns.load(Relaxed)).into_bytes())
        },
        move |bytes| {
            let task = alive(&task)?;
            may(&task)?;
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let slack: u64 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            let slack = if slack == 0 {
                task.default_slack_ns.load(Relaxed)
            } else {
                slack
            };
            task.timer_slack_ns.store(slack, Relaxed);
            Ok(())
        },
    )
    .mode(0o666)
}

/// Which areas a core dump holds: MMF_DUMP_* bits, kept for programs that ask.
fn coredump_filter(task: Weak<Task>) -> Node {
    let read = task.clone();
    Node::setting(
        move || {
            let bits = alive(&read)?.group.coredump_filter.load(Relaxed);
            Ok(format!("{bits:08x}\n").into_bytes())
        },
        move |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let text = text.trim();
            let parsed = match text.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => text.parse(),
            };
            let bits = parsed.map_err(|_| Errno::EINVAL)?;
            let group = &alive(&task)?.group;
            group.coredump_filter.store(bits & 0x1ff, Relaxed);
            Ok(())
        },
    )
}

/// oom_adj is the older scale, -17 to 15, of oom_score_adj: fs/proc/base.c:oom_adj_write().
fn oom_adj(task: Weak<Task>) -> Node {
    let read = task.clone();
    Node::setting(
        move || {
            let adj = alive(&read)?.group.oom_score_adj.load(Relaxed);
            let old = if adj == 1000 { 15 } else { adj * 17 / 1000 };
            Ok(format!("{old}\n").into_bytes())
        },
        move |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let old: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            match old {
                15 => set_oom_score_adj(&task, 1000),
                -17..=14 => set_oom_score_adj(&task, old * 1000 / 17),
                _ => err(Errno::EINVAL),
            }
        },
    )
}

fn set_oom_score_adj(task: &Weak<Task>, value: i32) -> Result<()> {
    let task = alive(task)?;
    let lower = value < task.group.oom_score_adj.load(Relaxed);
    if lower && !super::current()?.capable(abi::task::CAP_SYS_RESOURCE) {
        return err(Errno::EACCES);
    }
    task.group.oom_score_adj.store(value, Relaxed);
    Ok(())
}

fn oom_score_adj(task: Weak<Task>) -> Node {
    let read = task.clone();
    Node::setting(
        move || Ok(format!("{}\n", alive(&read)?.group.oom_score_adj.load(Relaxed)).into_bytes()),
        move |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            if !(-1000..=1000).contains(&value) {
                return err(Errno::EINVAL);
            }
            set_oom_score_adj(&task, value)
        },
    )
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

/// /proc/pid/mem: positions are addresses.
struct MemFile(Arc<Mm>);

impl FileOps for MemFile {
    fn seekable(&self) -> bool {
        true
    }

    /// fs/proc/base.c:mem_lseek(): memory has no end.
    fn seek(&self, file: &File, offset: i64, whence: u32) -> Result<u64> {
        match whence {
            SEEK_SET | SEEK_CUR => vfs::file_seek(file, offset, whence),
            _ => err(Errno::EINVAL),
        }
    }

    fn read(&self, _file: &File, sink: &mut Sink<'_>, offset: &mut u64) -> Result<usize> {
        let mut buf = vec![0; sink.remaining().min(64 << 10)];
        let got = self.0.read(*offset, &mut buf);
        if got == 0 && !buf.is_empty() {
            return err(Errno::EIO);
        }
        let done = sink.write(&buf[..got])?;
        *offset += done as u64;
        Ok(done)
    }

    fn write(&self, _file: &File, source: &mut Source<'_>, offset: &mut u64) -> Result<usize> {
        let mut buf = vec![0; source.remaining().min(64 << 10)];
        let got = source.read(&mut buf)?;
        let done = self.0.write(*offset, &buf[..got]);
        if done == 0 && got > 0 {
            return err(Errno::EIO);
        }
        *offset += done as u64;
        Ok(done)
    }

    fn poll(&self, _file: &File, _table: Option<&mut crate::sync::PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
