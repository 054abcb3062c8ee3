//! What fork copies.

use super::vma::VmFlags;
use super::{Inner, Mm, rmap, sizes};
use crate::error::Result;
use abi::errno::Errno;
use abi::task::PR_MDWE_NO_INHERIT;
use platform::{GuestThread, MapOp, ThreadState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Mm {
    /// A copy of the address space with one thread, which starts with `init`. ENOMEM; EAGAIN when the host has no more
    /// processes.
    pub fn fork(&self, init: &ThreadState) -> Result<(Arc<Mm>, GuestThread)> {
        // Held until the copy is known to the mappings: no page may be taken from the one and stay in the other.
        let parent = self.inner.lock();
        sizes::may_commit(parent.vmas.counts().committed)?;
        let (aspace, guest) =
            self.address_space()
                .fork(init)
                .map_err(|e| match e.raw_os_error() {
                    Some(12) => Errno::ENOMEM,
                    _ => Errno::EAGAIN,
                })?;
        let mut child = Inner {
            vmas: parent.vmas.clone(),
            mapped: parent.mapped.clone(),
            writable: parent.writable.clone(),
            guards: parent.guards.clone(),
            top: parent.top,
            legacy_base: parent.legacy_base,
            layout: parent.layout,
            exe: parent.exe.clone(),
            auxv: parent.auxv.clone(),
            peak_total: parent.vmas.counts().total,
            ..Inner::empty()
        };
        let mut ops = Vec::new();
        let special =
            VmFlags::DONTFORK | VmFlags::WIPEONFORK | VmFlags::LOCKED | VmFlags::LOCKONFAULT;
        let areas: Vec<_> = parent
            .vmas
            .iter()
            .filter(|v| v.flags.intersects(special))
            .map(|v| (v.start, v.end, v.flags))
            .collect();
        for (start, end, flags) in areas {
            if flags.intersects(VmFlags::DONTFORK | VmFlags::WIPEONFORK) {
                child.guards.remove(start / super::PAGE..end / super::PAGE);
            }
            if flags.contains(VmFlags::DONTFORK) {
                child.mapped.remove(start / super::PAGE..end / super::PAGE);
                child
                    .writable
                    .remove(start / super::PAGE..end / super::PAGE);
                child.vmas.remove(start, end);
                child.top.freed(&child.vmas, end);
                ops.push(MapOp::Unmap {
                    addr: start,
                    len: end - start,
                });
                continue;
            }
            if flags.contains(VmFlags::WIPEONFORK) {
                ops.push(MapOp::Anon {
                    addr: start,
                    len: end - start,
                    prot: flags.prot(),
                    noreserve: true,
                });
            }
            child.vmas.update(start, end, |v| {
                v.flags -= VmFlags::LOCKED | VmFlags::LOCKONFAULT
            });
        }
        let child = Mm::with(aspace.into(), child);
        child
            .membarrier
            .store(self.membarrier.load(Ordering::Relaxed), Ordering::Relaxed);
        let dumpable = self.dumpable.load(Ordering::Relaxed);
        child.dumpable.store(dumpable, Ordering::Relaxed);
        let mdwe = self.mdwe.load(Ordering::Relaxed);
        if mdwe & PR_MDWE_NO_INHERIT == 0 {
            child.mdwe.store(mdwe, Ordering::Relaxed);
        }
        for vma in child.inner.lock().vmas.iter() {
            rmap::link(&child, vma);
        }
        drop(parent);
        if !ops.is_empty() && child.address_space().apply(&ops).is_err() {
            return Err(Errno::ENOMEM.into());
        }
        Ok((child, guest))
    }
}
