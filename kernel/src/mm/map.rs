//! mmap(2) and munmap(2).

use super::change::{Caller, Change};
use super::pagecache::{Mapping, PAGE};
use super::place::{self, MIN_ADDR};
use super::text::{self, Text};
use super::vma::{Backing, VmFlags, Vma};
use super::{Mm, sizes};
use crate::error::{Result, err};
use crate::vfs::{File, InodeKind, memfd};
use abi::cap::CAP_IPC_LOCK;
use abi::errno::Errno;
use abi::fs::SealFlags;
use abi::mm::{MapFlags, ProtFlags};
use abi::task::RLIMIT_MEMLOCK;
use platform::{MapOp, TASK_SIZE};
use std::sync::Arc;

/// Mappings of at most this many bytes are read whole when they are made.
const READ_WHOLE: u64 = 512 << 10;
/// With more areas than this the host maps at once, and can still refuse.
const LAZY_AREAS: usize = 4096;
/// /dev/zero.
const ZERO_RDEV: u64 = (1 << 8) | 5;

/// What mmap(2) is asked for. `offset` and `len` in bytes.
pub struct MapRequest {
    pub addr: u64,
    pub len: u64,
    pub prot: ProtFlags,
    pub flags: MapFlags,
    pub file: Option<Arc<File>>,
    pub offset: u64,
}

/// VmFlags for PROT_* bits.
pub(super) fn access_flags(prot: ProtFlags) -> VmFlags {
    let mut flags = VmFlags::empty();
    flags.set(VmFlags::READ, prot.contains(ProtFlags::PROT_READ));
    flags.set(VmFlags::WRITE, prot.contains(ProtFlags::PROT_WRITE));
    flags.set(VmFlags::EXEC, prot.contains(ProtFlags::PROT_EXEC));
    flags
}

const MAY_ALL: VmFlags = VmFlags::MAYREAD
    .union(VmFlags::MAYWRITE)
    .union(VmFlags::MAYEXEC);

/// `len` in whole pages; ENOMEM when that overflows.
pub(super) fn page_align(len: u64) -> Result<u64> {
    Ok(len
        .checked_next_multiple_of(PAGE)
        .filter(|l| *l <= TASK_SIZE)
        .ok_or(Errno::ENOMEM)?)
}

/// What to map, decided before the lock is taken.
struct Plan {
    flags: VmFlags,
    backing: Backing,
    name: Option<Arc<str>>,
}

impl MapRequest {
    fn kind(&self) -> MapFlags {
        self.flags & MapFlags::MAP_TYPE
    }

    /// Checks of mm/mmap.c:do_mmap() that don't need the tree.
    fn plan(&self, len: u64) -> Result<Plan> {
        let mut flags = access_flags(self.prot) | MAY_ALL;
        for (map, vm) in [
            (MapFlags::MAP_GROWSDOWN, VmFlags::GROWSDOWN),
            (MapFlags::MAP_NORESERVE, VmFlags::NORESERVE),
            (MapFlags::MAP_LOCKED, VmFlags::LOCKED),
        ] {
            flags.set(vm, self.flags.contains(map));
        }
        let kind = self.kind();
        let shared = kind == MapFlags::MAP_SHARED || kind == MapFlags::MAP_SHARED_VALIDATE;
        if !shared && kind != MapFlags::MAP_PRIVATE {
            return err(Errno::EINVAL);
        }
        let grows = self.flags.contains(MapFlags::MAP_GROWSDOWN);
        let Some(file) = &self.file else {
            if kind == MapFlags::MAP_SHARED_VALIDATE {
                return err(Errno::EINVAL);
            }
            if !shared {
                return Ok(anonymous(flags));
            }
            if grows {
                return err(Errno::EINVAL);
            }
            return Ok(shared_anonymous(flags, len));
        };
        let readable = file.readable();
        let writable = file.writable();
        if file.is_path_only() {
            return err(Errno::EBADF);
        }
        if shared {
            if kind == MapFlags::MAP_SHARED_VALIDATE {
                let refused = MapFlags::MAP_SYNC | MapFlags::MAP_UNINITIALIZED;
                if self.flags.unknown_bits() != 0 || self.flags.intersects(refused) {
                    return err(Errno::EOPNOTSUPP);
                }
            }
            if self.prot.contains(ProtFlags::PROT_WRITE) && !writable {
                return err(Errno::EACCES);
            }
            flags |= VmFlags::MAYSHARE;
            let sealed = memfd::seals(file.inode())
                .intersects(SealFlags::F_SEAL_WRITE | SealFlags::F_SEAL_FUTURE_WRITE);
            if sealed && self.prot.contains(ProtFlags::PROT_WRITE) {
                return err(Errno::EPERM);
            }
            if writable {
                flags |= VmFlags::SHARED;
            }
            if sealed || !writable {
                flags -= VmFlags::MAYWRITE;
            }
        }
        if !readable {
            return err(Errno::EACCES);
        }
        if file.path().mount.noexec() {
            if self.prot.contains(ProtFlags::PROT_EXEC) {
                return err(Errno::EPERM);
            }
            flags -= VmFlags::MAYEXEC;
        }
        let inode = file.inode();
        if inode.kind() == InodeKind::CharDevice && inode.rdev() == ZERO_RDEV {
            return Ok(if shared {
                shared_anonymous(flags, len)
            } else {
                anonymous(flags)
            });
        }
        let mapping = file.ops().mapping(file)?;
        if grows {
            return err(Errno::EINVAL);
        }
        if !shared && flags.contains(VmFlags::WRITE) {
            flags |= VmFlags::COW | VmFlags::ACCOUNT;
        }
        Ok(Plan {
            flags,
            backing: Backing::File {
                mapping,
                file: Some(file.clone()),
                offset: self.offset,
            },
            name: None,
        })
    }
}

fn anonymous(mut flags: VmFlags) -> Plan {
    let account = flags.contains(VmFlags::WRITE) && !flags.contains(VmFlags::NORESERVE);
    flags.set(VmFlags::ACCOUNT, account);
    Plan {
        flags,
        backing: Backing::Anon,
        name: None,
    }
}

fn shared_anonymous(flags: VmFlags, len: u64) -> Plan {
    Plan {
        flags: flags | VmFlags::SHARED | VmFlags::MAYSHARE,
        backing: Backing::File {
            mapping: Mapping::new(None, len),
            file: None,
            offset: 0,
        },
        name: Some("/dev/zero (deleted)".into()),
    }
}

impl Change<'_> {
    /// Where `len` bytes go for `req`. EINVAL, EPERM, ENOMEM, EEXIST as mmap(2).
    fn choose(&mut self, req: &MapRequest, len: u64) -> Result<u64> {
        let fixed = req
            .flags
            .intersects(MapFlags::MAP_FIXED | MapFlags::MAP_FIXED_NOREPLACE);
        if fixed {
            if !req.addr.is_multiple_of(PAGE) {
                return err(Errno::EINVAL);
            }
            if req.addr > TASK_SIZE - len {
                return err(Errno::ENOMEM);
            }
            if req.addr < MIN_ADDR {
                return err(Errno::EPERM);
            }
            if req.flags.contains(MapFlags::MAP_FIXED_NOREPLACE)
                && !self.inner.vmas.is_free(req.addr, req.addr + len)
            {
                return err(Errno::EEXIST);
            }
            return Ok(req.addr);
        }
        // mm/mmap.c:round_hint_to_min().
        let hint = match req.addr & !(PAGE - 1) {
            0 => 0,
            addr => addr.max(MIN_ADDR),
        };
        if req.flags.contains(MapFlags::MAP_32BIT) {
            const LOW: u64 = 0x4000_0000;
            const HIGH: u64 = 0x8000_0000;
            if (LOW..HIGH).contains(&hint)
                && len <= HIGH - hint
                && place::fits(&self.inner.vmas, hint, len)
            {
                return Ok(hint);
            }
            return Ok(place::bottom_up(&self.inner.vmas, len, LOW, HIGH).ok_or(Errno::ENOMEM)?);
        }
        if hint != 0 && place::fits(&self.inner.vmas, hint, len) {
            return Ok(hint);
        }
        self.find_free(len)
    }

    /// A free place of `len` bytes. ENOMEM.
    pub fn find_free(&mut self, len: u64) -> Result<u64> {
        let inner = &mut *self.inner;
        let low = match inner.legacy_base {
            Some(base) => place::bottom_up(&inner.vmas, len, base, TASK_SIZE),
            None => inner.top.find(&inner.vmas, len),
        };
        Ok(low
            .or_else(|| place::bottom_up(&inner.vmas, len, MIN_ADDR, TASK_SIZE))
            .ok_or(Errno::ENOMEM)?)
    }

    /// Maps `vma`, replacing what is there.
    pub fn install(&mut self, vma: Vma) {
        let replaced = self.cut(vma.start, vma.end);
        self.map_on_host(&vma, replaced);
        self.put(vma);
    }
}

/// Where addresses of programs end on x86-64 with four levels of page tables.
const LINUX_TASK_SIZE: u64 = (1 << 47) - PAGE;

impl Mm {
    /// mmap(2): returns the address. All errors of mmap(2) but those of the descriptor.
    pub fn mmap(&self, caller: &mut Caller<'_>, req: &MapRequest) -> Result<u64> {
        if req.len == 0 {
            return err(Errno::EINVAL);
        }
        let len = page_align(req.len)?;
        if !req.offset.is_multiple_of(PAGE) {
            return err(Errno::EINVAL);
        }
        if req
            .offset
            .checked_add(len)
            .is_none_or(|end| end > i64::MAX as u64)
        {
            return err(Errno::EOVERFLOW);
        }
        let plan = req.plan(len)?;
        self.check_exec_gain(plan.flags, plan.flags)?;
        let text = text::for_area(plan.flags, &plan.backing);
        let all =
            req.flags.contains(MapFlags::MAP_POPULATE) || plan.flags.contains(VmFlags::LOCKED);
        settle_area(&plan.backing, text.as_deref(), len, all);
        let mut change = self.change();
        let mut flags = plan.flags | change.inner.future;
        let addr = change.choose(req, len)?;
        change.check_sealed(addr, addr + len)?;
        let pages = len / PAGE;
        if flags.contains(VmFlags::LOCKED) {
            if caller.limit_pages(RLIMIT_MEMLOCK) == 0 && !caller.task.capable(CAP_IPC_LOCK) {
                return err(Errno::EPERM);
            }
            change.may_lock(caller, pages)?;
        }
        if flags.contains(VmFlags::NORESERVE) && sizes::overcommit().mode != 2 {
            flags -= VmFlags::ACCOUNT;
        }
        let replaced: u64 = change
            .inner
            .vmas
            .touching(addr, addr + len)
            .map(|v| v.end.min(addr + len) - v.start.max(addr))
            .sum();
        change.may_expand(caller, pages - replaced / PAGE, flags)?;
        let vma = Vma {
            start: addr,
            end: addr + len,
            flags,
            backing: plan.backing,
            name: plan.name,
            kept: Vec::new(),
        };
        // What may be written is written soon, and takes along what waits.
        change.lazy = req.file.is_some()
            && !all
            && !flags.intersects(VmFlags::WRITE | VmFlags::LOCKED)
            && change.inner.vmas.area_count() < LAZY_AREAS;
        change.install_text(vma, text, |_, _| false);
        let populate = flags.contains(VmFlags::LOCKED)
            || (req.flags.contains(MapFlags::MAP_POPULATE)
                && !req.flags.contains(MapFlags::MAP_NONBLOCK));
        if populate && flags.intersects(VmFlags::READ | VmFlags::WRITE) {
            let advice = if flags.contains(VmFlags::WRITE) {
                abi::mm::MADV_POPULATE_WRITE
            } else {
                abi::mm::MADV_POPULATE_READ
            };
            let anon = change.inner.vmas.find(addr).is_some_and(Vma::is_anon);
            if anon {
                change.ops.push(MapOp::Advise { addr, len, advice });
            }
        }
        if !change.lazy && req.file.is_some() {
            change.map_pending();
        }
        change.finish(caller)?;
        Ok(addr)
    }

    /// Has the host map what earlier calls of mmap left for later.
    pub fn map_pending(&self) {
        let mut change = self.change();
        if change.inner.pending.is_empty() {
            return;
        }
        change.map_pending();
        // Whoever touches what the host refused asks once more, and is told.
        let _ = change.finish_now();
    }

    /// munmap(2). EINVAL, ENOMEM.
    pub fn munmap(&self, caller: &mut Caller<'_>, addr: u64, len: u64) -> Result<()> {
        if !addr.is_multiple_of(PAGE) || len > LINUX_TASK_SIZE || addr > LINUX_TASK_SIZE - len {
            return err(Errno::EINVAL);
        }
        // Above what guests can have, nothing is mapped.
        let asked = len.next_multiple_of(PAGE);
        if asked == 0 {
            return err(Errno::EINVAL);
        }
        // Above what guests can have, nothing is mapped.
        let len = asked.min(TASK_SIZE.saturating_sub(addr));
        if len == 0 {
            return Ok(());
        }
        let mut change = self.change();
        let inside = change.inner.vmas.splits(addr, addr + len);
        if inside == 2 && change.inner.vmas.area_count() >= sizes::MAX_MAP_COUNT {
            return err(Errno::ENOMEM);
        }
        change.check_sealed(addr, addr + len)?;
        if change.cut(addr, addr + len) {
            // In two steps: the platform takes no range as long as everything.
            let first = len.min((TASK_SIZE / 2) & !(PAGE - 1));
            change.ops.push(MapOp::Unmap { addr, len: first });
            if first < len {
                change.ops.push(MapOp::Unmap {
                    addr: addr + first,
                    len: len - first,
                });
            }
        }
        change.finish(caller)
    }
}

/// Gets the pages of a file's area of `len` bytes ready, or those of its patched copy, as far as that pays or `all` of them,
/// before the `Mm` is locked.
pub(super) fn settle_area(backing: &Backing, text: Option<&Text>, len: u64, all: bool) {
    if let Backing::File {
        mapping, offset, ..
    } = backing
    {
        settle_file(text.map_or(&**mapping, Text::mapping), *offset, len, all);
    }
}

/// Gives `mapping` room for `[offset, offset + len)` and reads it if that is little, or `all` is wanted.
fn settle_file(mapping: &Mapping, offset: u64, len: u64, all: bool) {
    // What fails here fails again at the fault, where it can be told.
    let _ = mapping.settle(offset + len);
    if all || len <= READ_WHOLE {
        let _ = mapping.ensure(offset, len);
    }
}

impl Mm {
    /// remap_file_pages(2): shows other pages of the same file. EINVAL.
    pub fn remap_file_pages(
        &self,
        caller: &mut Caller<'_>,
        addr: u64,
        len: u64,
        page: u64,
    ) -> Result<()> {
        let (start, len) = (addr & !(PAGE - 1), len & !(PAGE - 1));
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        let offset = page.checked_mul(PAGE).ok_or(Errno::EINVAL)?;
        if len == 0 || offset.checked_add(len).is_none_or(|e| e > i64::MAX as u64) {
            return err(Errno::EINVAL);
        }
        let find = |change: &Change<'_>| {
            change
                .inner
                .vmas
                .find(start)
                .filter(|v| v.flags.contains(VmFlags::SHARED) && v.end >= end)
                .cloned()
        };
        let Some(vma) = find(&self.change()) else {
            return err(Errno::EINVAL);
        };
        if let Some((mapping, _)) = vma.mapping() {
            settle_file(mapping, offset, len, false);
        }
        let mut change = self.change();
        let Some(vma) = find(&change) else {
            return err(Errno::EINVAL);
        };
        let mut vma = vma.part(start, end);
        if let Backing::File { offset: at, .. } = &mut vma.backing {
            *at = offset;
        }
        change.install(vma);
        change.finish(caller)
    }
}
