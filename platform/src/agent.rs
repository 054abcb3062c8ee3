//! Requests to the agents of stub processes. A caller (a vCPU, or everyone else together) fills the process's request page,
//! wakes its agent and sleeps on its event descriptor. The result comes as a file position, set by the agent from a
//! register: no guest thread can forge it.

use crate::control::Shared;
use crate::sys;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex};
use stub::layout::{fd, req};

/// One operation of a request.
#[derive(Clone, Copy)]
pub struct Op {
    pub nr: i64,
    pub kind: u32,
    pub args: [u64; 6],
}

impl Op {
    pub fn plain(nr: i64, args: &[u64]) -> Op {
        let mut a = [0; 6];
        a[..args.len()].copy_from_slice(args);
        Op {
            nr,
            kind: req::KIND_PLAIN,
            args: a,
        }
    }
    pub fn mmap(addr: u64, len: u64, prot: i32, flags: i32, fd: u32, offset: u64) -> Op {
        let args = [addr, len, prot as u64, flags as u64, fd as u64, offset];
        Op {
            nr: libc::SYS_mmap,
            kind: req::KIND_MMAP,
            args,
        }
    }
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All operations; the last one's result, lower half.
    All(u32),
    /// `index` failed with `errno`; those before it were done.
    Failed { index: usize, errno: i32 },
    /// The process is gone.
    Gone,
}

impl Done {
    /// The last result, or the failure as an I/O error.
    pub fn result(self) -> io::Result<u32> {
        match self {
            Done::All(v) => Ok(v),
            Done::Failed { errno, .. } => Err(io::Error::from_raw_os_error(errno)),
            Done::Gone => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    }
}

/// The descriptors by which agents answer one caller.
pub struct Caller {
    index: u32,
    pid: u32,
    /// The last request's tag.
    tag: u32,
    event: Arc<Event>,
    result: OwnedFd,
    child: OwnedFd,
}

/// Added to an event by who isn't an agent.
const NUDGE: u64 = 1 << 32;

/// What a caller sleeps on. Who sees it sleep for long wakes it to look whether the agent still lives: a timeout on every
/// wait would cost more than the rest of it.
pub struct Event {
    fd: OwnedFd,
    /// Waits so far; odd during one.
    waits: AtomicU32,
    /// Somebody looks after it.
    watched: AtomicBool,
}

impl Event {
    /// Wakes the caller if it has been in one and the same wait since `seen` was returned. Returns the number to give
    /// the next time.
    pub fn nudge(&self, seen: u32) -> u32 {
        self.watched.store(true, Ordering::Relaxed);
        let now = self.waits.load(Ordering::Relaxed);
        if now == seen && now % 2 == 1 {
            sys::eventfd_add(self.fd.as_raw_fd(), NUDGE);
        }
        now
    }
}

/// An agent to call: its request page and what was last asked.
pub struct Agent {
    pub page: Shared,
    pub pid: i32,
    pub seq: u32,
}

impl Caller {
    pub fn new(index: usize) -> io::Result<Mutex<Caller>> {
        Ok(Mutex::new(Caller {
            index: index as u32,
            pid: std::process::id(),
            tag: 0,
            event: Arc::new(Event {
                fd: sys::eventfd()?,
                waits: AtomicU32::new(0),
                watched: AtomicBool::new(false),
            }),
            result: sys::memfd(c"umlaut-result", false)?,
            child: sys::memfd(c"umlaut-result", false)?,
        }))
    }

    /// What it sleeps on.
    pub fn event(&self) -> Arc<Event> {
        self.event.clone()
    }

    /// Pairs of (descriptor here, number in stub processes).
    pub fn descriptors(&self) -> [(i32, u32); 3] {
        let n = fd::CALLERS + self.index * fd::PER_CALLER;
        [
            (self.event.fd.as_raw_fd(), n),
            (self.result.as_raw_fd(), n + 1),
            (self.child.as_raw_fd(), n + 2),
        ]
    }

    /// Writes a request without posting it. A child's result goes to a descriptor of its own.
    fn fill(&self, page: &Shared, ops: &[Op], child: bool) {
        assert!(!ops.is_empty() && ops.len() <= req::MAX_OPS);
        let n = fd::CALLERS + self.index * fd::PER_CALLER;
        page.put32(req::COUNT, ops.len() as u32);
        page.put32(req::EVENT_FD, n);
        page.put32(req::RESULT_FD, n + 1 + child as u32);
        page.put(req::EVENT, 1);
        page.put32(req::AWAITED, 0);
        page.put32(req::TAG, self.tag);
        page.put32(req::KERNEL_PID, self.pid);
        for (i, op) in ops.iter().enumerate() {
            let at = req::OPS + req::OP_SIZE * i as u64;
            page.put32(at, op.nr as u32);
            page.put32(at + 4, op.kind);
            for (j, a) in op.args.iter().enumerate() {
                page.put(at + 8 + 8 * j as u64, *a);
            }
        }
    }

    /// The tag of the next request.
    fn next_tag(&mut self) {
        self.tag = self.tag % req::MAX_TAG + 1;
    }

    /// What the position of `result` says of the last request, of `count` operations.
    fn answer(&self, result: &OwnedFd, count: usize) -> Option<Done> {
        let v = sys::file_position(result.as_raw_fd());
        if v >> req::TAG_SHIFT != u64::from(self.tag) {
            return None;
        }
        let (index, low) = ((v >> 32) as usize & 0xff, v as u32);
        Some(if index >= count {
            Done::All(low)
        } else {
            Done::Failed {
                index,
                errno: -(low as i32),
            }
        })
    }

    /// Waits until `answer` says something; `ended` is asked now and then whether that can't be any more. Who answers sees
    /// in `pages` whether it must wake us: on one CPU all has been done, more often than not, before we look.
    fn wait(
        &self,
        pages: &[&Shared],
        answer: impl Fn() -> Option<Done>,
        ended: impl Fn() -> bool,
    ) -> Done {
        let event = self.event.fd.as_raw_fd();
        if let Some(done) = answer() {
            return done;
        }
        for page in pages {
            page.put32(req::AWAITED, 1);
        }
        fence(Ordering::SeqCst);
        let mut look = false;
        loop {
            if let Some(done) = answer() {
                return done;
            }
            if look && ended() {
                return answer().unwrap_or(Done::Gone);
            }
            self.event.waits.fetch_add(1, Ordering::Relaxed);
            look = if self.event.watched.load(Ordering::Relaxed) || sys::wait_readable(event, 200) {
                // An answer that was seen just before it was waited for leaves its event behind.
                sys::eventfd_take(event) >= NUDGE
            } else {
                true
            };
            self.event.waits.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn post(&self, agent: &mut Agent) {
        agent.seq = agent.seq.wrapping_add(1);
        let word = agent.page.u32(req::SEQ);
        word.store(agent.seq, Ordering::Release);
        sys::futex_wake(word, true);
    }

    /// Has an agent do operations in order, up to the first that fails.
    pub fn call(&mut self, agent: &mut Agent, ops: &[Op]) -> Done {
        self.next_tag();
        self.fill(&agent.page, ops, false);
        self.post(agent);
        let pid = agent.pid;
        self.wait(
            &[&agent.page],
            || self.answer(&self.result, ops.len()),
            || sys::has_ended(pid),
        )
    }

    /// Clones an agent's address space. The child takes `child_page` (at `child_offset` of the control memory) and does
    /// `ops` first. Returns the child's process id and how its operations went.
    pub fn fork(
        &mut self,
        agent: &mut Agent,
        child_page: Shared,
        child_offset: u64,
        ops: &[Op],
    ) -> io::Result<(i32, Done)> {
        let flags = libc::CLONE_PARENT | libc::CLONE_FILES | libc::CLONE_FS;
        let clone = Op {
            kind: req::KIND_PROCESS,
            ..Op::plain(libc::SYS_clone, &[flags as u64])
        };
        self.next_tag();
        self.fill(&child_page, ops, true);
        child_page.u32(req::SEQ).store(1, Ordering::Relaxed);
        self.fill(&agent.page, &[clone], false);
        agent.page.put(req::CHILD, child_offset);
        self.post(agent);
        // The parent's agent wakes nobody when it has cloned, the child's does when all is done.
        let pid = || self.answer(&self.result, 1);
        let done = self.wait(
            &[&child_page, &agent.page],
            || {
                let failed = || pid().filter(|done| !matches!(done, Done::All(_)));
                self.answer(&self.child, ops.len()).or_else(failed)
            },
            || {
                sys::has_ended(match pid() {
                    Some(Done::All(pid)) => pid as i32,
                    _ => agent.pid,
                })
            },
        );
        loop {
            match pid() {
                Some(Done::All(pid)) => return Ok((pid as i32, done)),
                Some(failed) => return failed.result().map(|_| unreachable!("it failed")),
                None if sys::has_ended(agent.pid) && pid().is_none() => {
                    return Done::Gone.result().map(|_| unreachable!("it is gone"));
                }
                // The child was faster.
                None => std::thread::yield_now(),
            }
        }
    }
}
