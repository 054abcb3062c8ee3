//! Page faults: pages of files not read yet, growing stacks, and the signals for everything else.

use super::change::Change;
use super::pagecache::PAGE;
use super::place::{MIN_ADDR, STACK_GAP};
use super::vma::{Backing, VmFlags, Vma};
use super::{Mm, sizes};
use crate::error::{Result, err};
use crate::sched;
use crate::syscall::Context;
use abi::errno::Errno;
use abi::signal as sig;
use abi::task::{RLIMIT_AS, RLIMIT_STACK};
use platform::MapOp;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pages around a fault that are mapped with it when the cache has them.
const AROUND: u64 = 1 << 20;
/// Pages made writable together when dirty pages are tracked.
const WRITE_AROUND: u64 = 16 * PAGE;
/// A stack grows by at least this.
const STACK_STEP: u64 = 128 << 10;

static MINOR: AtomicU64 = AtomicU64::new(0);
static MAJOR: AtomicU64 = AtomicU64::new(0);

/// Faults since boot that the kernel saw: minor and major ones. The host resolves those of anonymous memory alone.
pub fn totals() -> (u64, u64) {
    (MINOR.load(Ordering::Relaxed), MAJOR.load(Ordering::Relaxed))
}

/// What an access wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    Exec,
}

/// Why an access can't be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// SIGSEGV with SEGV_MAPERR: nothing is mapped there.
    Unmapped,
    /// SIGSEGV with SEGV_ACCERR.
    Access,
    /// SIGBUS: beyond the end of the file, or it can't be read.
    Bus,
    /// No memory.
    Memory,
}

/// How a fault was resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolved {
    /// The host had all it needs: the access works when it is repeated.
    Nothing,
    Minor,
    /// Read from the file's source.
    Major,
}

/// A fault of guest code at `addr`.
pub fn handle(cx: &mut Context, addr: u64, write: bool, exec: bool, present: bool) {
    let access = match (write, exec) {
        (true, _) => Access::Write,
        (_, true) => Access::Exec,
        _ => Access::Read,
    };
    let refusal = match cx.task.mm() {
        Some(mm) => match mm.resolve(addr, access) {
            Ok(Resolved::Major) => {
                cx.task.major_faults.fetch_add(1, Ordering::Relaxed);
                MAJOR.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(_) => {
                cx.task.minor_faults.fetch_add(1, Ordering::Relaxed);
                MINOR.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(refusal) => refusal,
        },
        None => Refusal::Unmapped,
    };
    let (signo, code) = match refusal {
        Refusal::Unmapped => (sig::SIGSEGV, sig::SEGV_MAPERR),
        Refusal::Access => (sig::SIGSEGV, sig::SEGV_ACCERR),
        Refusal::Bus => (sig::SIGBUS, sig::BUS_ADRERR),
        Refusal::Memory => return crate::signal::kill_group(cx, sig::SIGKILL),
    };
    let error_code = u64::from(present) | u64::from(write) << 1 | 4 | u64::from(exec) << 4;
    crate::signal::force_fault(cx, signo, code, addr, 14, error_code);
}

/// arch/x86/mm/fault.c:access_error().
fn allows(vma: &Vma, access: Access) -> bool {
    match access {
        Access::Write => vma.flags.contains(VmFlags::WRITE),
        Access::Exec => vma.flags.contains(VmFlags::EXEC),
        Access::Read => vma.flags.intersects(VmFlags::ACCESS),
    }
}

enum Step {
    Done(Resolved),
    /// Release the lock, give the mapping room up to this file offset, and try again.
    Settle(Vma, u64),
}

impl Mm {
    /// Makes one access to `addr` possible: fills and maps pages of files, grows stacks.
    pub fn resolve(&self, addr: u64, access: Access) -> Result<Resolved, Refusal> {
        self.map_pending();
        let mut settled = 0;
        loop {
            let change = self.change();
            match change.resolve(addr & !(PAGE - 1), access)? {
                Step::Done(how) => return Ok(how),
                Step::Settle(vma, end) => {
                    let (mapping, _) = vma.mapping().ok_or(Refusal::Bus)?;
                    mapping.settle(end).map_err(|_| Refusal::Bus)?;
                    settled += 1;
                    if settled > 1000 {
                        return Err(Refusal::Bus);
                    }
                }
            }
        }
    }
}

impl Change<'_> {
    fn resolve(mut self, addr: u64, access: Access) -> Result<Step, Refusal> {
        let vma = match self.inner.vmas.find(addr) {
            Some(vma) => vma.clone(),
            None => return self.grow_stack(addr, access),
        };
        if !allows(&vma, access) {
            return Err(Refusal::Access);
        }
        let Backing::File {
            mapping, offset, ..
        } = &vma.backing
        else {
            if !vma.is_anon() && !self.inner.mapped.contains(addr / PAGE) {
                self.map_on_host(&vma, false);
                self.finish_now().map_err(|_| Refusal::Memory)?;
                return Ok(Step::Done(Resolved::Minor));
            }
            if self.inner.guards.contains(addr / PAGE) {
                return Err(Refusal::Unmapped);
            }
            return Ok(Step::Done(Resolved::Nothing));
        };
        let at = addr - vma.start + offset;
        let page = addr / PAGE;
        if at >= mapping.size().next_multiple_of(PAGE) {
            return Err(Refusal::Bus);
        }
        let mut how = Resolved::Nothing;
        if !self.inner.mapped.contains(page) {
            let before = mapping.resident_pages();
            mapping.ensure(at, PAGE).map_err(|_| Refusal::Bus)?;
            how = if mapping.has_source() && mapping.resident_pages() != before {
                Resolved::Major
            } else {
                Resolved::Minor
            };
            let (start, end) = (addr & !(AROUND - 1), (addr | (AROUND - 1)) + 1);
            let ok = self.map_cached(&vma, start.max(vma.start), end.min(vma.end));
            if !ok || !self.inner.mapped.contains(page) {
                return Ok(Step::Settle(vma.clone(), at + PAGE));
            }
        }
        if access == Access::Write && vma.tracks_dirty() && !self.inner.writable.contains(page) {
            self.allow_writes(&vma, addr);
            how = how_at_least_minor(how);
        }
        self.finish_now().map_err(|_| Refusal::Memory)?;
        Ok(Step::Done(how))
    }

    /// Lets the guest write some pages at `addr` of a shared file mapping and notes that they are dirty.
    fn allow_writes(&mut self, vma: &Vma, addr: u64) {
        let Some((mapping, offset)) = vma.mapping() else {
            return;
        };
        let from = (addr & !(WRITE_AROUND - 1)).max(vma.start);
        let to = ((addr | (WRITE_AROUND - 1)) + 1).min(vma.end);
        for run in self.on_host(vma, from, to) {
            let first = (run.start - vma.start + offset) / PAGE;
            mapping.mark_dirty(first..first + (run.end - run.start) / PAGE);
            self.inner.writable.insert(run.start / PAGE..run.end / PAGE);
            self.ops.push(MapOp::Protect {
                addr: run.start,
                len: run.end - run.start,
                prot: vma.flags.prot(),
            });
        }
    }

    /// mm/mmap.c:expand_downwards().
    fn grow_stack(mut self, addr: u64, access: Access) -> Result<Step, Refusal> {
        let Some(stack) = self.inner.vmas.find_next(addr).cloned() else {
            return Err(Refusal::Unmapped);
        };
        if !stack.flags.contains(VmFlags::GROWSDOWN) || addr < MIN_ADDR {
            return Err(Refusal::Unmapped);
        }
        let (stack_limit, as_limit) = match sched::try_current() {
            Some(task) => (
                task.group.rlimit(RLIMIT_STACK as usize),
                task.group.rlimit(RLIMIT_AS as usize) / PAGE,
            ),
            None => (u64::MAX, u64::MAX),
        };
        let below = self.inner.vmas.find_before(addr);
        let floor = below.map_or(MIN_ADDR, |v| {
            // A neighbour without access is a guard itself.
            if v.flags.contains(VmFlags::GROWSDOWN) || !v.flags.intersects(VmFlags::ACCESS) {
                v.end
            } else {
                v.end.saturating_add(STACK_GAP)
            }
        });
        let lowest = floor.max(stack.end.saturating_sub(stack_limit));
        if addr < lowest {
            return Err(Refusal::Unmapped);
        }
        if !allows(&stack, access) {
            return Err(Refusal::Access);
        }
        let wanted = addr.min(stack.start.saturating_sub(STACK_STEP));
        let start = wanted.max(lowest.next_multiple_of(PAGE)).min(addr);
        let pages = (stack.start - start) / PAGE;
        let counts = self.inner.vmas.counts();
        if counts.total + pages > as_limit || sizes::may_commit(pages).is_err() {
            return Err(Refusal::Unmapped);
        }
        let mut grown = stack.clone();
        grown.start = start;
        grown.end = stack.start;
        self.map_on_host(&grown, false);
        self.put(grown);
        self.finish_now().map_err(|_| Refusal::Memory)?;
        Ok(Step::Done(Resolved::Minor))
    }
}

fn how_at_least_minor(how: Resolved) -> Resolved {
    match how {
        Resolved::Nothing => Resolved::Minor,
        other => other,
    }
}

/// Runs `copy(done)` until all is done, bringing missing pages in between. Returns the bytes done.
pub(super) fn with_retry(
    mm: &Mm,
    addr: u64,
    len: usize,
    write: bool,
    mut copy: impl FnMut(usize) -> usize,
) -> usize {
    if addr
        .checked_add(len as u64)
        .is_none_or(|end| end > platform::TASK_SIZE)
    {
        return 0;
    }
    let access = if write { Access::Write } else { Access::Read };
    let mut done = 0;
    let mut last_stuck = None;
    loop {
        done += copy(done);
        if done >= len {
            return done;
        }
        let at = addr + done as u64;
        // The host may have stopped before the page that is missing.
        let stuck = last_stuck == Some(done);
        if mm.resolve(at, access).is_err() {
            return done;
        }
        if stuck {
            let next = (at / PAGE + 1) * PAGE;
            if next >= addr + len as u64 || mm.resolve(next, access).is_err() {
                return done;
            }
            let again = copy(done);
            if again == 0 {
                return done;
            }
            done += again;
            if done >= len {
                return done;
            }
        }
        last_stuck = Some(done);
    }
}

/// EFAULT, for callers that need the page rather than its bytes.
pub fn fault_in(mm: &Mm, addr: u64, access: Access) -> Result<()> {
    match mm.resolve(addr, access) {
        Ok(_) => Ok(()),
        Err(_) => err(Errno::EFAULT),
    }
}
