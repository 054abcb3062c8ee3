//! mlock(2) and its kin. Memory that is locked is accounted and brought in; the host decides what it pages out.

use super::Mm;
use super::change::{Caller, Change};
use super::pagecache::PAGE;
use super::vma::{VmFlags, Vma};
use crate::error::{Result, err};
use abi::cap::CAP_IPC_LOCK;
use abi::errno::Errno;
use abi::mm::{MADV_POPULATE_READ, MADV_POPULATE_WRITE, MlockFlags};
use abi::task::RLIMIT_MEMLOCK;
use platform::MapOp;

const LOCK_FLAGS: VmFlags = VmFlags::LOCKED.union(VmFlags::LOCKONFAULT);

fn may_lock_at_all(caller: &Caller<'_>) -> Result<()> {
    if caller.limit_pages(RLIMIT_MEMLOCK) == 0 && !caller.task.capable(CAP_IPC_LOCK) {
        return err(Errno::EPERM);
    }
    Ok(())
}

fn lock_flags(on_fault: bool) -> VmFlags {
    if on_fault {
        LOCK_FLAGS
    } else {
        VmFlags::LOCKED
    }
}

impl Mm {
    /// mlock2(2). EPERM, ENOMEM for holes, memory without access, or beyond RLIMIT_MEMLOCK, EINVAL.
    pub fn mlock(
        &self,
        caller: &mut Caller<'_>,
        addr: u64,
        len: u64,
        on_fault: bool,
    ) -> Result<()> {
        may_lock_at_all(caller)?;
        let (start, end) = span(addr, len)?;
        let mut change = self.change();
        let already: u64 = change
            .inner
            .vmas
            .touching(start, end)
            .filter(|v| v.flags.contains(VmFlags::LOCKED))
            .map(|v| v.end.min(end) - v.start.max(start))
            .sum();
        let more = (end - start - already) / PAGE;
        if change.may_lock(caller, more).is_err() {
            return err(Errno::ENOMEM);
        }
        let whole = change.inner.vmas.covered(start, end);
        let readable = |v: &Vma| v.flags.intersects(VmFlags::ACCESS);
        let guarded = change.inner.guards.count_in(start / PAGE..end / PAGE) > 0;
        let comes_in = on_fault || !guarded && change.inner.vmas.touching(start, end).all(readable);
        change.relock(start, end, lock_flags(on_fault));
        if !on_fault {
            change.populate(start, end);
        }
        change.finish_now()?;
        if whole && comes_in {
            Ok(())
        } else {
            err(Errno::ENOMEM)
        }
    }

    /// munlock(2). ENOMEM for holes, EINVAL.
    pub fn munlock(&self, addr: u64, len: u64) -> Result<()> {
        let (start, end) = span(addr, len)?;
        let mut change = self.change();
        let whole = change.inner.vmas.covered(start, end);
        change.relock(start, end, VmFlags::empty());
        change.finish_now()?;
        if whole { Ok(()) } else { err(Errno::ENOMEM) }
    }

    /// mlockall(2). EINVAL, EPERM, ENOMEM beyond RLIMIT_MEMLOCK.
    pub fn mlockall(&self, caller: &mut Caller<'_>, flags: MlockFlags) -> Result<()> {
        let on_fault = flags.contains(MlockFlags::MCL_ONFAULT);
        if flags.is_empty() || flags.unknown_bits() != 0 || flags == MlockFlags::MCL_ONFAULT {
            return err(Errno::EINVAL);
        }
        may_lock_at_all(caller)?;
        let mut change = self.change();
        let current = flags.contains(MlockFlags::MCL_CURRENT);
        if current
            && change.inner.vmas.counts().total > caller.limit_pages(RLIMIT_MEMLOCK)
            && !caller.task.capable(CAP_IPC_LOCK)
        {
            return err(Errno::ENOMEM);
        }
        change.inner.future = if flags.contains(MlockFlags::MCL_FUTURE) {
            lock_flags(on_fault)
        } else {
            VmFlags::empty()
        };
        if current {
            change.relock(0, platform::TASK_SIZE, lock_flags(on_fault));
        }
        change.finish_now()
    }

    pub fn munlockall(&self) -> Result<()> {
        let mut change = self.change();
        change.inner.future = VmFlags::empty();
        change.relock(0, platform::TASK_SIZE, VmFlags::empty());
        change.finish_now()
    }
}

/// The pages that `[addr, addr + len)` touches. EINVAL.
fn span(addr: u64, len: u64) -> Result<(u64, u64)> {
    let start = addr & !(PAGE - 1);
    let end = addr
        .checked_add(len)
        .and_then(|e| e.checked_next_multiple_of(PAGE))
        .ok_or(Errno::EINVAL)?;
    if end > platform::TASK_SIZE {
        return err(Errno::ENOMEM);
    }
    Ok((start, end))
}

impl Change<'_> {
    fn relock(&mut self, start: u64, end: u64, flags: VmFlags) {
        self.update(start, end, |v| {
            if !v.flags.contains(VmFlags::DONTEXPAND) {
                v.flags = (v.flags - LOCK_FLAGS) | flags;
            }
        });
    }

    /// Brings anonymous pages in.
    fn populate(&mut self, start: u64, end: u64) {
        let areas: Vec<Vma> = self.inner.vmas.touching(start, end).cloned().collect();
        for vma in areas
            .iter()
            .filter(|v| v.is_anon() && v.flags.intersects(VmFlags::ACCESS))
        {
            let (from, to) = (vma.start.max(start), vma.end.min(end));
            for run in self.inner.guards.gaps(from / PAGE..to / PAGE) {
                self.ops.push(MapOp::Advise {
                    addr: run.start * PAGE,
                    len: (run.end - run.start) * PAGE,
                    advice: if vma.flags.contains(VmFlags::WRITE) {
                        MADV_POPULATE_WRITE
                    } else {
                        MADV_POPULATE_READ
                    },
                });
            }
        }
    }
}
