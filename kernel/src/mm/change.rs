//! One change of an address space: edits of the tree and the operations that make the host agree.

use super::pagecache::PAGE;
use super::vma::{Backing, Counts, VmFlags, Vma};
use super::{Inner, Mm, rmap, sizes};
use crate::error::{Result, err};
use crate::sync::MutexGuard;
use crate::syscall::Context;
use crate::task::Task;
use abi::errno::Errno;
use abi::task::{RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK};
use platform::{GuestThread, MapOp, Prot, TASK_SIZE};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Runs of file pages mapped by one change at most; the rest faults later.
const MAX_RUNS: usize = 128;

/// On whose behalf memory is changed: whose limits hold, and which guest thread may do the work itself.
pub struct Caller<'a> {
    pub task: Arc<Task>,
    guest: Option<&'a mut GuestThread>,
}

impl<'a> Caller<'a> {
    /// A system call on the caller's own memory.
    pub fn guest(cx: &'a mut Context) -> Caller<'a> {
        Caller {
            task: cx.task.clone(),
            guest: Some(&mut cx.guest),
        }
    }

    /// The kernel for `task`: all work goes by the agent.
    pub fn kernel(task: Arc<Task>) -> Caller<'static> {
        Caller { task, guest: None }
    }

    /// Soft limit in pages.
    pub(super) fn limit_pages(&self, resource: u32) -> u64 {
        match self.task.group.rlimit(resource as usize) {
            u64::MAX => u64::MAX,
            bytes => bytes / PAGE,
        }
    }
}

/// A change in the making. Dropping it unfinished leaves tree and host as edited so far.
pub(super) struct Change<'a> {
    pub mm: &'a Mm,
    pub inner: MutexGuard<'a, Inner>,
    pub ops: Vec<MapOp>,
    /// Files' areas are only noted ([`Inner::pending`]), not mapped yet.
    pub lazy: bool,
    /// Dropped when the lock is released: files do things then.
    gone: Vec<Vma>,
    before: Counts,
}

impl Mm {
    pub(super) fn change(&self) -> Change<'_> {
        let inner = self.inner.lock();
        Change {
            mm: self,
            before: inner.vmas.counts(),
            inner,
            ops: Vec::new(),
            lazy: false,
            gone: Vec::new(),
        }
    }

    /// Whether one task alone uses it, which is in a system call (its own reference and the call's).
    fn is_single(&self) -> bool {
        self.me.strong_count() <= 2
    }
}

impl Change<'_> {
    /// Makes the host agree: by the guest thread itself on its way back if nobody else can see the difference, by the
    /// agent at once otherwise. ENOMEM when the host refuses.
    pub fn finish(self, caller: &mut Caller<'_>) -> Result<()> {
        // Advice of one of several threads may come late: it is as if the call had been made later.
        let advice = |ops: &[MapOp]| ops.iter().all(|op| matches!(op, MapOp::Advise { .. }));
        let queue = match &mut caller.guest {
            Some(guest) if self.mm.is_single() || advice(&self.ops) => Some(guest),
            _ => None,
        };
        self.end(queue.map(|g| &mut **g))
    }

    /// As [`finish`](Self::finish), always by the agent.
    pub fn finish_now(self) -> Result<()> {
        self.end(None)
    }

    fn end(mut self, guest: Option<&mut GuestThread>) -> Result<()> {
        let counts = self.inner.vmas.counts();
        sizes::commit(self.before, counts);
        self.before = counts;
        self.inner.peak_total = self.inner.peak_total.max(counts.total);
        let ops = without_needless(std::mem::take(&mut self.ops));
        let gone = std::mem::take(&mut self.gone);
        let result = match guest {
            Some(guest) if ops.iter().all(MapOp::guest_applied) => {
                for op in &ops {
                    guest.queue(*op);
                }
                self.inner.queued.clear();
                if self.mm.is_single() {
                    self.inner.queued.extend_from_slice(&ops);
                }
                Ok(())
            }
            _ => apply(self.mm, &ops),
        };
        if result.is_err() {
            for op in &ops {
                if let MapOp::File { addr, len, .. } = op {
                    let pages = addr / PAGE..(addr + len) / PAGE;
                    self.inner.mapped.remove(pages);
                }
            }
        }
        drop(self.inner);
        drop(gone);
        result
    }

    /// EPERM when a sealed area is in `[start, end)`: mseal(2).
    pub fn check_sealed(&self, start: u64, end: u64) -> Result<()> {
        let sealed = |v: &Vma| v.flags.contains(VmFlags::SEALED);
        if self.inner.vmas.touching(start, end).any(sealed) {
            return err(Errno::EPERM);
        }
        Ok(())
    }

    /// Takes `[start, end)` out of the tree. The caller takes it from the host. Returns whether that maps anything of it.
    pub fn cut(&mut self, start: u64, end: u64) -> bool {
        let first = self.gone.len();
        let on_host = self.cut_alone(start, end);
        let texts: Vec<Vma> = self.gone[first..]
            .iter()
            .filter(|vma| vma.mapping().is_some_and(|(m, _)| m.is_text()))
            .cloned()
            .collect();
        self.drop_trampolines(&texts);
        on_host
    }

    /// As [`cut`](Self::cut), but trampolines of text stay.
    pub fn cut_alone(&mut self, start: u64, end: u64) -> bool {
        let removed = self.inner.vmas.remove(start, end);
        if removed.is_empty() {
            return false;
        }
        let mut on_host = false;
        for vma in &removed {
            rmap::unlink(self.mm.id, vma);
            if vma.is_anon() {
                self.inner.guards.remove(vma.pages());
                on_host = true;
            } else {
                on_host |= self.inner.mapped.remove(vma.pages()) != 0;
                self.inner.writable.remove(vma.pages());
                self.inner.pending.remove(vma.pages());
            }
        }
        let inner = &mut *self.inner;
        inner.top.freed(&inner.vmas, end);
        self.gone.extend(removed);
        on_host
    }

    /// Puts `vma` to a free place of the tree.
    pub fn put(&mut self, vma: Vma) {
        rmap::link(self.mm, &vma);
        self.inner.vmas.insert(vma);
    }

    /// Changes the areas' flags in `[start, end)`.
    pub fn update(&mut self, start: u64, end: u64, mut change: impl FnMut(&mut Vma)) {
        let mm = self.mm;
        self.inner.vmas.update(start, end, |vma| {
            rmap::unlink(mm.id, vma);
            change(vma);
            rmap::link(mm, vma);
        });
    }

    /// Maps `vma` on the host: anonymous memory whole, of a file the pages that the cache holds. The place is free on the
    /// host or holds old pages that `replace` says to remove.
    pub fn map_on_host(&mut self, vma: &Vma, replace: bool) {
        // What is to be removed first can't wait: the guest thread might do that after the mapping has been made.
        if self.lazy && !replace && !vma.is_anon() {
            self.inner.pending.insert(vma.pages());
            return;
        }
        match &vma.backing {
            Backing::Anon => self.ops.push(MapOp::Anon {
                addr: vma.start,
                len: vma.len(),
                prot: vma.flags.prot(),
                noreserve: true,
            }),
            Backing::Kernel { offset } => {
                self.ops.push(MapOp::File {
                    addr: vma.start,
                    len: vma.len(),
                    prot: vma.flags.prot(),
                    offset: *offset,
                    private: false,
                    may_write: false,
                    populate: false,
                });
                self.inner.mapped.insert(vma.pages());
            }
            Backing::File { .. } => {
                if replace {
                    self.ops.push(MapOp::Unmap {
                        addr: vma.start,
                        len: vma.len(),
                    });
                }
                self.map_cached(vma, vma.start, vma.end);
            }
        }
    }

    /// Maps what was only noted so far.
    pub fn map_pending(&mut self) {
        let pending = std::mem::take(&mut self.inner.pending);
        for run in pending.runs(0..TASK_SIZE / PAGE) {
            let (start, end) = (run.start * PAGE, run.end * PAGE);
            let areas: Vec<Vma> = self.inner.vmas.touching(start, end).cloned().collect();
            for vma in areas {
                match vma.backing {
                    Backing::Anon => {}
                    Backing::Kernel { .. } => self.map_on_host(&vma, false),
                    Backing::File { .. } => {
                        // While it moves, a fault waits for it.
                        self.map_cached(&vma, start.max(vma.start), end.min(vma.end));
                    }
                }
            }
        }
    }

    /// Maps those pages of a file's vma in `[start, end)` that the cache holds and the host doesn't map yet. False while
    /// the mapping moves.
    pub fn map_cached(&mut self, vma: &Vma, start: u64, end: u64) -> bool {
        let Some((mapping, offset)) = vma.mapping() else {
            return true;
        };
        let to_file = |addr: u64| (addr - vma.start + offset) / PAGE;
        let Some(runs) = mapping.mappable(to_file(start)..to_file(end)) else {
            return false;
        };
        let mut prot = vma.flags.prot();
        prot.write &= !vma.tracks_dirty();
        for (run, cache) in runs.into_iter().take(MAX_RUNS) {
            let addr = vma.start + (run.start * PAGE - offset);
            let pages = addr / PAGE..addr / PAGE + (run.end - run.start);
            for gap in self.inner.mapped.gaps(pages) {
                self.ops.push(MapOp::File {
                    addr: gap.start * PAGE,
                    len: (gap.end - gap.start) * PAGE,
                    prot,
                    offset: cache + (gap.start * PAGE - addr),
                    private: !vma.flags.contains(VmFlags::MAYSHARE),
                    may_write: vma.flags.contains(VmFlags::SHARED)
                        && vma.flags.contains(VmFlags::MAYWRITE),
                    populate: false,
                });
                self.inner.mapped.insert(gap);
            }
        }
        true
    }

    /// The parts of `[start, end)` in `vma` that the host maps: all of anonymous memory, the mapped runs of files.
    pub fn on_host(&self, vma: &Vma, start: u64, end: u64) -> Vec<Range<u64>> {
        let (start, end) = (start.max(vma.start), end.min(vma.end));
        if vma.is_anon() {
            return std::iter::once(start..end).collect();
        }
        self.inner
            .mapped
            .runs(start / PAGE..end / PAGE)
            .map(|r| r.start * PAGE..r.end * PAGE)
            .collect()
    }

    /// Protects what the host maps of `vma`. With dirty tracking, pages become read-only until they are written.
    pub fn protect_on_host(&mut self, vma: &Vma, start: u64, end: u64) {
        let mut prot: Prot = vma.flags.prot();
        if vma.tracks_dirty() {
            prot.write = false;
            self.inner.writable.remove(start / PAGE..end / PAGE);
        }
        for part in self.on_host(vma, start, end) {
            self.ops.push(MapOp::Protect {
                addr: part.start,
                len: part.end - part.start,
                prot,
            });
        }
    }

    /// Whether `pages` more may be mapped with `flags`: RLIMIT_AS, RLIMIT_DATA, the count of areas, overcommit. ENOMEM.
    pub fn may_expand(&self, caller: &Caller<'_>, pages: u64, flags: VmFlags) -> Result<()> {
        let counts = self.inner.vmas.counts();
        if counts.total.saturating_add(pages) > caller.limit_pages(RLIMIT_AS) {
            return err(Errno::ENOMEM);
        }
        let data = flags.contains(VmFlags::WRITE)
            && !flags.intersects(VmFlags::SHARED | VmFlags::GROWSDOWN);
        if data && counts.data.saturating_add(pages) > caller.limit_pages(RLIMIT_DATA) {
            return err(Errno::ENOMEM);
        }
        if self.inner.vmas.area_count() >= sizes::MAX_MAP_COUNT {
            return err(Errno::ENOMEM);
        }
        if flags.contains(VmFlags::ACCOUNT) {
            sizes::may_commit(pages)?;
        }
        Ok(())
    }

    /// Whether `pages` more may be locked. EAGAIN.
    pub fn may_lock(&self, caller: &Caller<'_>, pages: u64) -> Result<()> {
        let locked = self.inner.vmas.counts().locked.saturating_add(pages);
        if locked > caller.limit_pages(RLIMIT_MEMLOCK)
            && !caller.task.capable(abi::cap::CAP_IPC_LOCK)
        {
            return err(Errno::EAGAIN);
        }
        Ok(())
    }
}

/// `ops` without removals of what the next operation replaces anyway.
fn without_needless(mut ops: Vec<MapOp>) -> Vec<MapOp> {
    let replaced = |addr: u64, len: u64, next: &MapOp| match *next {
        MapOp::Anon {
            addr: at,
            len: size,
            ..
        }
        | MapOp::File {
            addr: at,
            len: size,
            ..
        } => at <= addr && addr + len <= at + size,
        _ => false,
    };
    let mut i = 0;
    while i + 1 < ops.len() {
        match ops[i] {
            MapOp::Unmap { addr, len } if replaced(addr, len, &ops[i + 1]) => {
                ops.remove(i);
            }
            _ => i += 1,
        }
    }
    ops
}

/// Applies `ops`. ENOMEM. Our areas may be several on the host, and it moves one at a time: what it refuses to move is
/// moved in halves.
fn apply(mm: &Mm, ops: &[MapOp]) -> Result<()> {
    let mut todo: VecDeque<MapOp> = ops.iter().copied().collect();
    while !todo.is_empty() {
        let Err(e) = mm.address_space().apply(todo.make_contiguous()) else {
            return Ok(());
        };
        todo.drain(..e.index.min(todo.len()));
        match todo.pop_front() {
            Some(MapOp::Move {
                from,
                from_len,
                to,
                keep,
                ..
            }) if from_len > PAGE => {
                let half = (from_len / 2).next_multiple_of(PAGE);
                for (at, len) in [(half, from_len - half), (0, half)] {
                    todo.push_front(MapOp::Move {
                        from: from + at,
                        from_len: len,
                        to: to + at,
                        to_len: len,
                        keep,
                    });
                }
            }
            op => {
                crate::pr_warn!("host refused {op:?}: errno {}", e.errno);
                return err(Errno::ENOMEM);
            }
        }
    }
    Ok(())
}

/// A memory operation queued for the guest thread failed on the host: an mmap becomes ENOMEM, advice doesn't matter,
/// anything else can't be undone.
pub fn operation_failed(cx: &mut Context, index: usize, errno: i32) {
    let Some(mm) = cx.task.mm() else { return };
    let mut change = mm.change();
    let ops = std::mem::take(&mut change.inner.queued);
    let rest = ops.get(index + 1..).unwrap_or_default().to_vec();
    match ops.get(index) {
        Some(MapOp::Advise { .. }) => {
            change.ops = rest;
            let _ = change.finish_now();
        }
        // Advice of one of several threads, overtaken by another's call.
        None if !change.mm.is_single() => {}
        // Pages of a file that was cut, or whose pages went for others' sake.
        Some(MapOp::Protect { addr, len, .. }) => {
            let (start, end) = (*addr, addr + len);
            let areas: Vec<Vma> = change.inner.vmas.touching(start, end).cloned().collect();
            for vma in &areas {
                change.protect_on_host(vma, vma.start.max(start), vma.end.min(end));
            }
            change.ops.extend(rest);
            if change.finish_now().is_err() {
                crate::signal::kill_group(cx, abi::signal::SIGKILL);
            }
        }
        Some(MapOp::Anon { addr, len, .. }) => {
            change.cut(*addr, addr + len);
            let _ = change.finish_now();
            cx.guest.regs_mut().rax = (-i64::from(Errno::ENOMEM.as_raw())) as u64;
        }
        op => {
            crate::pr_warn!("memory operation {op:?} failed on the host with errno {errno}");
            drop(change);
            crate::signal::kill_group(cx, abi::signal::SIGKILL);
        }
    }
}

/// Does at once what waits for the guest thread, before the kernel itself touches that memory (signal frames).
pub fn flush(cx: &mut Context) {
    if let Err(e) = cx.guest.flush() {
        operation_failed(cx, e.index, e.errno);
    }
}
