//! Requests to the agents of stub processes. A caller (a vCPU, or everyone else together) fills the process's request page,
//! wakes its agent and sleeps on its event descriptor. The result comes as a file position, set by the agent from a
//! register: no guest thread can forge it.

use crate::control::Shared;
use crate::sys;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
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
    event: OwnedFd,
    result: OwnedFd,
    child: OwnedFd,
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
            event: sys::eventfd()?,
            result: sys::memfd(c"umlaut-result", false)?,
            child: sys::memfd(c"umlaut-result", false)?,
        }))
    }

    /// Pairs of (descriptor here, number in stub processes).
    pub fn descriptors(&self) -> [(i32, u32); 3] {
        let n = fd::CALLERS + self.index * fd::PER_CALLER;
        [
            (self.event.as_raw_fd(), n),
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
        page.put32(req::KERNEL_PID, std::process::id());
        for (i, op) in ops.iter().enumerate() {
            let at = req::OPS + req::OP_SIZE * i as u64;
            page.put32(at, op.nr as u32);
            page.put32(at + 4, op.kind);
            for (j, a) in op.args.iter().enumerate() {
                page.put(at + 8 + 8 * j as u64, *a);
            }
        }
    }

    /// Waits until the position of `result` says that a request of `count` operations is done.
    fn wait(&self, result: &OwnedFd, count: usize, pid: i32) -> Done {
        loop {
            let v = sys::file_position(result.as_raw_fd());
            if v != 0 {
                let (index, low) = ((v >> 32) as usize, v as u32);
                return if index >= count {
                    Done::All(low)
                } else {
                    Done::Failed {
                        index,
                        errno: -(low as i32),
                    }
                };
            }
            if sys::wait_readable(self.event.as_raw_fd(), 200) {
                sys::eventfd_take(self.event.as_raw_fd());
            } else if sys::has_ended(pid) && sys::file_position(result.as_raw_fd()) == 0 {
                return Done::Gone;
            }
        }
    }

    fn post(&self, agent: &mut Agent) {
        agent.seq = agent.seq.wrapping_add(1);
        let word = agent.page.u32(req::SEQ);
        word.store(agent.seq, Ordering::Release);
        sys::futex_wake(word, true);
    }

    /// Has an agent do operations in order, up to the first that fails.
    pub fn call(&self, agent: &mut Agent, ops: &[Op]) -> Done {
        self.fill(&agent.page, ops, false);
        sys::rewind(self.result.as_raw_fd());
        self.post(agent);
        self.wait(&self.result, ops.len(), agent.pid)
    }

    /// Clones an agent's address space. The child takes `child_page` (at `child_offset` of the control memory) and does
    /// `ops` first. Returns the child's process id and how its operations went.
    pub fn fork(
        &self,
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
        self.fill(&child_page, ops, true);
        child_page.u32(req::SEQ).store(1, Ordering::Relaxed);
        self.fill(&agent.page, &[clone], false);
        agent.page.put(req::CHILD, child_offset);
        sys::rewind(self.result.as_raw_fd());
        sys::rewind(self.child.as_raw_fd());
        self.post(agent);
        let pid = self.wait(&self.result, 1, agent.pid).result()? as i32;
        Ok((pid, self.wait(&self.child, ops.len(), pid)))
    }
}
