//! Small copies between kernel and guest without a call to the host, which costs as much as several of a guest's calls: the
//! thread itself reads ahead what a call points to, and writes on its way back what the kernel has for it. Whoever else
//! looks at that memory through the kernel meanwhile sees it as if all had been copied at once.

use crate::aspace::Space;
use crate::frame::Area;
use stub::layout::mb;

/// Longest copy to the guest that waits for the thread, in bytes.
pub const LATER_MAX: usize = 1024;
/// Most bytes that a thread reads ahead of its system call.
pub const AHEAD_MAX: usize = mb::AHEAD_SIZE as usize;

/// System calls that read what an argument points to, and which argument that is.
pub const AHEAD: &[(i64, u32)] = &[
    (libc::SYS_open, 0),
    (libc::SYS_stat, 0),
    (libc::SYS_lstat, 0),
    (libc::SYS_access, 0),
    (libc::SYS_readlink, 0),
    (libc::SYS_chdir, 0),
    (libc::SYS_mkdir, 0),
    (libc::SYS_rmdir, 0),
    (libc::SYS_unlink, 0),
    (libc::SYS_chmod, 0),
    (libc::SYS_statfs, 0),
    (libc::SYS_execve, 0),
    (libc::SYS_poll, 0),
    (libc::SYS_ppoll, 0),
    (libc::SYS_nanosleep, 0),
    (libc::SYS_clone3, 0),
    (libc::SYS_write, 1),
    (libc::SYS_pwrite64, 1),
    (libc::SYS_writev, 1),
    (libc::SYS_readv, 1),
    (libc::SYS_sendto, 1),
    (libc::SYS_sendmsg, 1),
    (libc::SYS_recvmsg, 1),
    (libc::SYS_rt_sigaction, 1),
    (libc::SYS_rt_sigprocmask, 1),
    (libc::SYS_openat, 1),
    (libc::SYS_openat2, 1),
    (libc::SYS_newfstatat, 1),
    (libc::SYS_statx, 1),
    (libc::SYS_faccessat, 1),
    (libc::SYS_faccessat2, 1),
    (libc::SYS_readlinkat, 1),
    (libc::SYS_mkdirat, 1),
    (libc::SYS_unlinkat, 1),
    (libc::SYS_fchmodat, 1),
    (libc::SYS_utimensat, 1),
    (libc::SYS_epoll_ctl, 3),
];

/// What is under way for the stopped threads of an address space.
#[derive(Default)]
pub struct Small {
    stopped: Vec<Stopped>,
    /// Room for the copies of the next one.
    spare: Vec<Waiting>,
}

/// A stopped thread.
struct Stopped {
    area: Area,
    /// Where the bytes were that it read ahead, and how many.
    ahead: (u64, usize),
    /// Copies that wait for it, and the room they take.
    waiting: Vec<Waiting>,
    used: u64,
}

struct Waiting {
    addr: u64,
    len: usize,
    /// Offset among the area's copies.
    at: u64,
}

fn overlap(a: u64, a_len: usize, b: u64, b_len: usize) -> bool {
    a < b.saturating_add(b_len as u64) && b < a.saturating_add(a_len as u64)
}

impl Small {
    /// A thread has stopped. `direct`: in a direct call, which reads ahead.
    #[inline]
    pub fn stopped(&mut self, area: Area, direct: bool) {
        let waiting = std::mem::take(&mut self.spare);
        self.stopped.push(Stopped {
            area,
            ahead: if direct { area.ahead() } else { (0, 0) },
            waiting,
            used: 0,
        });
    }

    /// A thread is about to run: gives it the copies that wait.
    #[inline]
    pub fn resume(&mut self, slot: u32) {
        let Some(i) = self.index(slot) else { return };
        let mut stopped = self.stopped.swap_remove(i);
        if !stopped.waiting.is_empty() {
            stopped.area.put_copies(stopped.waiting.len());
            stopped.waiting.clear();
        }
        self.spare = stopped.waiting;
    }

    #[inline]
    fn index(&self, slot: u32) -> Option<usize> {
        self.stopped.iter().position(|s| s.area.slot == slot)
    }

    /// Bytes at `addr` that the thread in `slot` read ahead, at most as many as fit; returns how many.
    #[inline]
    pub fn peek(&self, slot: u32, addr: u64, buf: &mut [u8]) -> usize {
        let Some(i) = self.index(slot) else { return 0 };
        let Stopped { area, ahead, .. } = &self.stopped[i];
        let (start, len) = *ahead;
        if addr < start || addr - start >= len as u64 || self.waits_for(addr, buf.len()) {
            return 0;
        }
        let at = (addr - start) as usize;
        let n = buf.len().min(len - at);
        let mut bytes = [0; AHEAD_MAX];
        area.get_ahead(&mut bytes[..len]);
        buf[..n].copy_from_slice(&bytes[at..at + n]);
        n
    }

    /// Takes a copy to the guest for the thread in `slot`; false when there is no room, or when it isn't stopped here.
    #[inline]
    pub fn later(&mut self, slot: u32, addr: u64, bytes: &[u8]) -> bool {
        let Some(i) = self.index(slot) else {
            return false;
        };
        let stopped = &mut self.stopped[i];
        let size = 16 + bytes.len().next_multiple_of(8) as u64;
        if bytes.len() > LATER_MAX || stopped.used + size > mb::COPIES_SIZE {
            return false;
        }
        let at = stopped.used;
        stopped.area.put_copy(at, addr, bytes);
        stopped.waiting.push(Waiting {
            addr,
            len: bytes.len(),
            at,
        });
        stopped.used += size;
        self.changed(addr, bytes.len());
        true
    }

    /// Guest memory is about to change: what was read ahead there isn't true any more.
    #[inline]
    pub fn changed(&mut self, addr: u64, len: usize) {
        for s in &mut self.stopped {
            if overlap(addr, len, s.ahead.0, s.ahead.1) {
                s.ahead.1 = 0;
            }
        }
    }

    /// Whether copies wait for memory in a range.
    #[inline]
    pub fn waits_for(&self, addr: u64, len: usize) -> bool {
        let waits = |w: &Waiting| overlap(addr, len, w.addr, w.len);
        self.stopped.iter().any(|s| s.waiting.iter().any(waits))
    }

    /// The agent is about to change what is where.
    pub fn memory_changes(&mut self, space: &Space) {
        self.flush(space);
        self.stopped.iter_mut().for_each(|s| s.ahead.1 = 0);
    }

    /// The thread in `slot` won't go on.
    pub fn forget(&mut self, slot: u32, space: &Space) {
        self.flush(space);
        if let Some(i) = self.index(slot) {
            self.stopped.swap_remove(i);
        }
    }

    /// Does the copies that wait, by the host.
    pub fn flush(&mut self, space: &Space) {
        let mut bytes = [0; LATER_MAX];
        for s in &mut self.stopped {
            for w in s.waiting.drain(..) {
                s.area
                    .get_copy(w.at, &mut bytes[..w.len.next_multiple_of(8)]);
                space.write(w.addr, &bytes[..w.len]);
            }
            s.used = 0;
        }
    }
}
