//! Small copies between kernel and guest without a call to the host, which costs as much as several of a guest's calls: the
//! thread itself reads ahead what a call points to, and writes on its way back what the kernel has for it. Only in an address
//! space with one thread, and only while that is stopped; whoever else looks at that memory meanwhile sees it as if all
//! had been copied at once.

use crate::aspace::Space;
use crate::frame::Area;
use stub::layout::mb;

/// Longest copy to the guest that waits for the thread, in bytes.
pub const LATER_MAX: usize = 1024;

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

/// What is under way for the one thread of an address space.
#[derive(Default)]
pub struct Small {
    /// The stopped thread's area; `None` while it runs, or when it isn't alone.
    area: Option<Area>,
    /// Where the bytes were that were read ahead, and how many.
    ahead: (u64, usize),
    /// Copies that wait: address, length, offset among the copies.
    waiting: Vec<(u64, usize, u64)>,
    used: u64,
}

fn overlap(a: u64, a_len: usize, b: u64, b_len: usize) -> bool {
    a < b.saturating_add(b_len as u64) && b < a.saturating_add(a_len as u64)
}

impl Small {
    /// The only thread has stopped. `direct`: in a direct call, which reads ahead.
    #[inline]
    pub fn stopped(&mut self, area: Area, direct: bool) {
        self.area = Some(area);
        self.ahead = if direct { area.ahead() } else { (0, 0) };
    }

    /// The thread is about to run: gives it the copies that wait.
    #[inline]
    pub fn resume(&mut self) {
        if let Some(area) = self.area.take()
            && !self.waiting.is_empty()
        {
            area.put_copies(self.waiting.len());
        }
        self.forget();
    }

    /// What waits is for memory that goes, or was given away.
    #[inline]
    pub fn forget(&mut self) {
        self.area = None;
        self.ahead.1 = 0;
        self.waiting.clear();
        self.used = 0;
    }

    /// Bytes at `addr` that were read ahead, at most as many as fit; returns how many.
    #[inline]
    pub fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        let (start, len) = self.ahead;
        let Some(area) = self
            .area
            .filter(|_| addr >= start && addr - start < len as u64)
        else {
            return 0;
        };
        let at = (addr - start) as usize;
        let n = buf.len().min(len - at);
        let mut bytes = [0; mb::AHEAD_SIZE as usize];
        area.get_ahead(&mut bytes[..len]);
        buf[..n].copy_from_slice(&bytes[at..at + n]);
        n
    }

    /// Takes a copy to the guest; false when there is no room, or no thread to do it.
    #[inline]
    pub fn later(&mut self, addr: u64, bytes: &[u8]) -> bool {
        let Some(area) = self.area else { return false };
        let size = 16 + bytes.len().next_multiple_of(8) as u64;
        if bytes.len() > LATER_MAX || self.used + size > mb::COPIES_SIZE {
            return false;
        }
        area.put_copy(self.used, addr, bytes);
        self.waiting.push((addr, bytes.len(), self.used));
        self.used += size;
        self.changed(addr, bytes.len());
        true
    }

    /// Guest memory is about to change: what was read ahead there isn't true any more.
    #[inline]
    pub fn changed(&mut self, addr: u64, len: usize) {
        if overlap(addr, len, self.ahead.0, self.ahead.1) {
            self.ahead.1 = 0;
        }
    }

    /// Whether copies wait for memory in a range.
    #[inline]
    pub fn waits_for(&self, addr: u64, len: usize) -> bool {
        self.waiting.iter().any(|w| overlap(addr, len, w.0, w.1))
    }

    /// The agent is about to change what is where.
    pub fn memory_changes(&mut self, space: &Space) {
        self.flush(space);
        self.ahead.1 = 0;
    }

    /// The thread isn't alone any more.
    pub fn flush_and_forget(&mut self, space: &Space) {
        self.flush(space);
        self.forget();
    }

    /// Does the copies that wait, by the host.
    pub fn flush(&mut self, space: &Space) {
        let Some(area) = self.area.filter(|_| !self.waiting.is_empty()) else {
            return;
        };
        let mut bytes = [0; LATER_MAX];
        for (addr, len, at) in self.waiting.drain(..) {
            area.get_copy(at, &mut bytes[..len.next_multiple_of(8)]);
            space.write(addr, &bytes[..len]);
        }
        self.used = 0;
    }
}
