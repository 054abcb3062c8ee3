//! mprotect(2).

use super::change::Caller;
use super::map::{access_flags, page_align};
use super::pagecache::PAGE;
use super::vma::{VmFlags, Vma};
use super::{Mm, sizes};
use crate::error::{Result, err};
use abi::errno::Errno;
use abi::mm::ProtFlags;
use std::sync::atomic::Ordering::Relaxed;

impl Mm {
    /// Whether an area that had the access `old` may get `new`: mm/util.c:map_deny_write_exec(). EACCES.
    pub(super) fn check_exec_gain(&self, old: VmFlags, new: VmFlags) -> Result<()> {
        let gains = new.contains(VmFlags::EXEC)
            && (new.contains(VmFlags::WRITE) || !old.contains(VmFlags::EXEC));
        if gains && self.mdwe.load(Relaxed) != 0 {
            return err(Errno::EACCES);
        }
        Ok(())
    }

    /// mprotect(2): EINVAL, ENOMEM for holes (what lies before is changed), EACCES.
    pub fn mprotect(
        &self,
        caller: &mut Caller<'_>,
        addr: u64,
        len: u64,
        prot: ProtFlags,
    ) -> Result<()> {
        let grows = ProtFlags::PROT_GROWSDOWN | ProtFlags::PROT_GROWSUP;
        if prot.contains(grows) || !addr.is_multiple_of(PAGE) {
            return err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let len = page_align(len)?;
        let mut end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        if prot.unknown_bits() != 0 {
            return err(Errno::EINVAL);
        }
        let mut change = self.change();
        let mut start = addr;
        if prot.intersects(grows) {
            let vma = change.inner.vmas.find_next(addr).ok_or(Errno::ENOMEM)?;
            if prot.contains(ProtFlags::PROT_GROWSUP) {
                return err(Errno::EINVAL);
            }
            if vma.start >= end {
                return err(Errno::ENOMEM);
            }
            if !vma.flags.contains(VmFlags::GROWSDOWN) {
                return err(Errno::EINVAL);
            }
            start = vma.start;
            end = end.max(start + PAGE);
        }
        let access = access_flags(prot);
        let areas: Vec<Vma> = change.inner.vmas.touching(start, end).cloned().collect();
        if change.inner.vmas.area_count() + 2 > sizes::MAX_MAP_COUNT
            && change.inner.vmas.splits(start, end) > 0
        {
            return err(Errno::ENOMEM);
        }
        let mut at = start;
        let mut result = Ok(());
        for vma in areas {
            if vma.start > at {
                break;
            }
            let (from, to) = (at, vma.end.min(end));
            let may = VmFlags::from_bits_truncate((vma.flags.bits() >> 4) & VmFlags::ACCESS.bits());
            if !may.contains(access) {
                result = err(Errno::EACCES);
                break;
            }
            result = self.check_exec_gain(vma.flags, access);
            if result.is_ok() && vma.flags.contains(VmFlags::SEALED) {
                result = err(Errno::EPERM);
            }
            if result.is_err() {
                break;
            }
            let mut flags = (vma.flags - VmFlags::ACCESS) | access;
            if flags.contains(VmFlags::WRITE) && !flags.contains(VmFlags::MAYSHARE) {
                if !flags.intersects(VmFlags::NORESERVE | VmFlags::ACCOUNT) {
                    sizes::may_commit((to - from) / PAGE)?;
                    flags |= VmFlags::ACCOUNT;
                }
                if !vma.is_anon() {
                    flags |= VmFlags::COW;
                }
            }
            at = to;
            if flags == vma.flags {
                continue;
            }
            if flags.contains(VmFlags::WRITE) {
                change.leave_text(from, to);
            }
            change.update(from, to, |v| v.flags = flags);
            if (flags ^ vma.flags).intersects(VmFlags::ACCESS) {
                let mut changed = vma;
                changed.flags = flags;
                change.protect_on_host(&changed, from, to);
            }
        }
        if result.is_ok() && at < end {
            result = err(Errno::ENOMEM);
        }
        let simple = change.ops.iter().all(|op| {
            matches!(op, platform::MapOp::Protect { addr, .. }
                if change.inner.vmas.find(*addr).is_some_and(|v| !v.flags.contains(VmFlags::MAYSHARE)))
        });
        // Pages of private files may go before the guest thread gets to them (operation_failed() sees to that); shared ones
        // could be mapped anew with their dirty pages tracked.
        let finished = if simple {
            change.finish(caller)
        } else {
            change.finish_now()
        };
        result.and(finished)
    }
}
