//! mremap(2).

use super::change::{Caller, Change};
use super::pagecache::PAGE;
use super::place::{self, MIN_ADDR};
use super::vma::{Backing, VmFlags, Vma};
use super::{Mm, sizes};
use crate::error::{Result, err};
use abi::errno::Errno;
use abi::mm::MremapFlags;
use platform::{MapOp, TASK_SIZE};

/// What mremap(2) is asked for, lengths in whole pages.
struct Move {
    from: u64,
    old_len: u64,
    new_len: u64,
    keep: bool,
}

impl Mm {
    /// mremap(2): returns the new address. EINVAL, EFAULT, EAGAIN, ENOMEM, EPERM.
    pub fn mremap(
        &self,
        caller: &mut Caller<'_>,
        from: u64,
        old_len: u64,
        new_len: u64,
        flags: MremapFlags,
        to: u64,
    ) -> Result<u64> {
        let fixed = flags.contains(MremapFlags::MREMAP_FIXED);
        let may_move = flags.contains(MremapFlags::MREMAP_MAYMOVE);
        let keep = flags.contains(MremapFlags::MREMAP_DONTUNMAP);
        let align = |len: u64| len.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL);
        if flags.unknown_bits() != 0
            || (fixed && !may_move)
            || (keep && (!may_move || old_len != new_len))
            || !from.is_multiple_of(PAGE)
        {
            return err(Errno::EINVAL);
        }
        let (old_len, new_len) = (align(old_len)?, align(new_len)?);
        if new_len == 0 {
            return err(Errno::EINVAL);
        }
        let mut change = self.change();
        let mut m = Move {
            from,
            old_len,
            new_len,
            keep,
        };
        let Some(vma) = change.inner.vmas.find(from).cloned() else {
            return err(Errno::EFAULT);
        };
        if vma.flags.contains(VmFlags::SEALED) {
            return err(Errno::EPERM);
        }
        if old_len > new_len {
            change.check_sealed(from.saturating_add(new_len), from.saturating_add(old_len))?;
        }
        if fixed {
            check_target(&m, to)?;
            change.check_sealed(to, to + new_len)?;
            if change.inner.vmas.area_count() + 3 > sizes::MAX_MAP_COUNT {
                return err(Errno::ENOMEM);
            }
            change.check(caller, &vma, &m)?;
            if change.cut(to, to + new_len) {
                change.ops.push(MapOp::Unmap {
                    addr: to,
                    len: new_len,
                });
            }
            if m.old_len > new_len {
                change.trim(&mut m);
            }
            change.move_area(&vma, &m, to);
            change.finish_now()?;
            return Ok(to);
        }
        if keep {
            change.check(caller, &vma, &m)?;
            let to = if to != 0 && place::fits(&change.inner.vmas, to & !(PAGE - 1), new_len) {
                to & !(PAGE - 1)
            } else {
                change.find_free(new_len)?
            };
            change.move_area(&vma, &m, to);
            change.finish_now()?;
            return Ok(to);
        }
        if old_len >= new_len {
            if !change.inner.vmas.covered(from, from + old_len) {
                return err(Errno::EFAULT);
            }
            if old_len > new_len {
                change.trim(&mut m);
            }
            change.finish(caller)?;
            return Ok(from);
        }
        change.check(caller, &vma, &m)?;
        let end = from + old_len;
        if old_len > 0 && end == vma.end && place::fits(&change.inner.vmas, end, new_len - old_len)
        {
            let tail = vma.part(end, from + new_len);
            change.map_on_host(&tail, false);
            change.put(tail);
            change.finish(caller)?;
            return Ok(from);
        }
        if !may_move {
            return err(Errno::ENOMEM);
        }
        let to = change.find_free(new_len)?;
        change.move_area(&vma, &m, to);
        change.finish_now()?;
        Ok(to)
    }
}

fn check_target(m: &Move, to: u64) -> Result<()> {
    if !to.is_multiple_of(PAGE) || m.new_len > TASK_SIZE || to > TASK_SIZE - m.new_len {
        return err(Errno::EINVAL);
    }
    if m.from < to + m.new_len && to < m.from.saturating_add(m.old_len) {
        return err(Errno::EINVAL);
    }
    if to < MIN_ADDR {
        return err(Errno::EPERM);
    }
    Ok(())
}

impl Change<'_> {
    /// mm/mremap.c:vma_to_resize().
    fn check(&self, caller: &Caller<'_>, vma: &Vma, m: &Move) -> Result<()> {
        let shared = vma.flags.contains(VmFlags::MAYSHARE);
        if m.old_len == 0 && !shared {
            return err(Errno::EINVAL);
        }
        let rigid = vma.flags.contains(VmFlags::DONTEXPAND);
        if m.keep && rigid {
            return err(Errno::EINVAL);
        }
        if m.old_len > vma.end - m.from {
            return err(Errno::EFAULT);
        }
        if m.new_len <= m.old_len {
            return if m.keep {
                self.may_expand(caller, m.new_len / PAGE, vma.flags)
            } else {
                Ok(())
            };
        }
        if rigid {
            return err(Errno::EFAULT);
        }
        let more = (m.new_len - m.old_len) / PAGE;
        if vma.flags.contains(VmFlags::LOCKED) {
            self.may_lock(caller, more)?;
        }
        self.may_expand(caller, more, vma.flags)
    }

    /// Unmaps what is beyond the new length.
    fn trim(&mut self, m: &mut Move) {
        let (start, end) = (m.from + m.new_len, m.from + m.old_len);
        self.cut(start, end);
        self.ops.push(MapOp::Unmap {
            addr: start,
            len: end - start,
        });
        m.old_len = m.new_len;
    }

    /// Moves `[from, from + old_len)` of `vma` to the free place `to` and extends it to `new_len` there.
    fn move_area(&mut self, vma: &Vma, m: &Move, to: u64) {
        self.leave_text(m.from, m.from + m.old_len);
        let vma = &self.inner.vmas.find(m.from).unwrap_or(vma).clone();
        let source = vma.part(m.from, m.from + m.old_len.max(PAGE).min(vma.end - m.from));
        let mut target = source.clone();
        target.start = to;
        target.end = to + m.new_len;
        if m.old_len == 0 {
            self.map_on_host(&target, false);
            self.put(target);
            return;
        }
        let runs = self.on_host(&source, m.from, m.from + m.old_len);
        let writable: Vec<_> = self.inner.writable.runs(source.pages()).collect();
        let guards: Vec<_> = self.inner.guards.runs(source.pages()).collect();
        if m.keep {
            self.inner.guards.remove(source.pages());
            self.inner.mapped.remove(source.pages());
            self.inner.writable.remove(source.pages());
        } else {
            self.cut(m.from, m.from + m.old_len);
        }
        for run in runs {
            let len = run.end - run.start;
            let moved = to + (run.start - m.from);
            self.ops.push(MapOp::Move {
                from: run.start,
                from_len: len,
                to: moved,
                to_len: len,
                keep: m.keep,
            });
            if !target.is_anon() {
                self.inner.mapped.insert(moved / PAGE..(moved + len) / PAGE);
            }
        }
        let shift = |page: u64| page - m.from / PAGE + to / PAGE;
        for run in writable {
            self.inner.writable.insert(shift(run.start)..shift(run.end));
        }
        for run in guards {
            self.inner.guards.insert(shift(run.start)..shift(run.end));
        }
        if m.new_len > m.old_len {
            let tail = target.part(to + m.old_len, to + m.new_len);
            match tail.backing {
                Backing::Anon => self.map_on_host(&tail, false),
                _ => {
                    self.map_cached(&target, tail.start, tail.end);
                }
            }
        }
        self.put(target);
    }
}
