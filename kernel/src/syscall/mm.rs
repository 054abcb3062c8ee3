//! Memory: mmap(2) and its kin.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::mm::{Caller, MapRequest, Mm};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::mm::{
    MLOCK_ONFAULT, MapFlags, MlockFlags, MremapFlags, MsyncFlags, PkeyRights, ProtFlags,
};
use platform::{PAGE_SIZE, TASK_SIZE};
use std::sync::Arc;

fn own(cx: &Context) -> Result<Arc<Mm>> {
    Ok(cx.task.mm().ok_or(Errno::EFAULT)?)
}

pub fn mmap(
    cx: &mut Context,
    addr: u64,
    len: u64,
    prot: ProtFlags,
    flags: MapFlags,
    fd: Fd,
    offset: u64,
) -> Result<u64> {
    if !offset.is_multiple_of(PAGE_SIZE) {
        return err(Errno::EINVAL);
    }
    let huge = flags.contains(MapFlags::MAP_HUGETLB);
    let file = if flags.contains(MapFlags::MAP_ANONYMOUS) {
        if huge {
            // There are no huge pages: mm/hugetlb.c:hugetlb_file_setup().
            return err(Errno::ENOMEM);
        }
        None
    } else {
        let file = cx.task.files().get(fd.0)?;
        if huge {
            return err(Errno::EINVAL);
        }
        Some(file)
    };
    let offset = if file.is_some() { offset } else { 0 };
    let request = MapRequest {
        addr,
        len,
        prot,
        flags,
        file,
        offset,
    };
    let at = own(cx)?.mmap(&mut Caller::guest(cx), &request)?;
    cx.maps_pending |= request.file.is_some();
    Ok(at)
}

pub fn munmap(cx: &mut Context, addr: u64, len: u64) -> Result<()> {
    own(cx)?.munmap(&mut Caller::guest(cx), addr, len)
}

pub fn mprotect(cx: &mut Context, addr: u64, len: u64, prot: ProtFlags) -> Result<()> {
    own(cx)?.mprotect(&mut Caller::guest(cx), addr, len, prot)
}

pub fn mremap(
    cx: &mut Context,
    addr: u64,
    old_len: u64,
    new_len: u64,
    flags: MremapFlags,
    new_addr: u64,
) -> Result<u64> {
    own(cx)?.mremap(
        &mut Caller::guest(cx),
        addr,
        old_len,
        new_len,
        flags,
        new_addr,
    )
}

pub fn brk(cx: &mut Context, new: u64) -> Result<u64> {
    Ok(own(cx)?.brk(&mut Caller::guest(cx), new))
}

pub fn madvise(cx: &mut Context, addr: u64, len: u64, advice: i32) -> Result<()> {
    own(cx)?.madvise(&mut Caller::guest(cx), addr, len, advice)
}

pub fn mseal(cx: &mut Context, addr: u64, len: u64, flags: u64) -> Result<()> {
    if flags != 0 || !addr.is_multiple_of(PAGE_SIZE) {
        return err(Errno::EINVAL);
    }
    let end = len
        .checked_next_multiple_of(PAGE_SIZE)
        .and_then(|len| addr.checked_add(len))
        .ok_or(Errno::EINVAL)?;
    if end == addr {
        return Ok(());
    }
    own(cx)?.seal(addr, end)
}

pub fn mincore(cx: &mut Context, addr: u64, len: u64, vec: UserPtr<u8>) -> Result<()> {
    if !addr.is_multiple_of(PAGE_SIZE) {
        return err(Errno::EINVAL);
    }
    if addr.checked_add(len).is_none_or(|end| end > TASK_SIZE) {
        return err(Errno::ENOMEM);
    }
    let mm = own(cx)?;
    let pages = len.div_ceil(PAGE_SIZE);
    let mut done = 0;
    while done < pages {
        let step = (pages - done).min(1 << 16);
        let bytes = mm.mincore(addr + done * PAGE_SIZE, step)?;
        vec.byte_add(done).write_bytes(&bytes)?;
        done += step;
    }
    Ok(())
}

pub fn msync(cx: &mut Context, addr: u64, len: u64, flags: MsyncFlags) -> Result<()> {
    let both = MsyncFlags::MS_ASYNC | MsyncFlags::MS_SYNC;
    if flags.unknown_bits() != 0 || flags.contains(both) || !addr.is_multiple_of(PAGE_SIZE) {
        return err(Errno::EINVAL);
    }
    let len = len
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)?;
    if len == 0 {
        return Ok(());
    }
    own(cx)?.msync(
        addr,
        len,
        flags.contains(MsyncFlags::MS_SYNC),
        flags.contains(MsyncFlags::MS_INVALIDATE),
    )
}

pub fn mlock(cx: &mut Context, addr: u64, len: u64) -> Result<()> {
    own(cx)?.mlock(&mut Caller::guest(cx), addr, len, false)
}

pub fn mlock2(cx: &mut Context, addr: u64, len: u64, flags: u32) -> Result<()> {
    if flags & !MLOCK_ONFAULT != 0 {
        return err(Errno::EINVAL);
    }
    own(cx)?.mlock(&mut Caller::guest(cx), addr, len, flags != 0)
}

pub fn munlock(cx: &mut Context, addr: u64, len: u64) -> Result<()> {
    own(cx)?.munlock(addr, len)
}

pub fn mlockall(cx: &mut Context, flags: MlockFlags) -> Result<()> {
    own(cx)?.mlockall(&mut Caller::guest(cx), flags)
}

pub fn munlockall(cx: &mut Context) -> Result<()> {
    own(cx)?.munlockall()
}

pub fn remap_file_pages(
    cx: &mut Context,
    addr: u64,
    len: u64,
    prot: u64,
    page: u64,
    _flags: u64,
) -> Result<()> {
    if prot != 0 {
        return err(Errno::EINVAL);
    }
    own(cx)?.remap_file_pages(&mut Caller::guest(cx), addr, len, page)
}

/// No protection keys, as on CPUs without them.
pub fn pkey_alloc(_cx: &mut Context, flags: u64, rights: u64) -> Result<i32> {
    if flags != 0 || rights & !u64::from(PkeyRights::all().bits()) != 0 {
        return err(Errno::EINVAL);
    }
    err(Errno::ENOSPC)
}

pub fn pkey_free(_cx: &mut Context, _key: i32) -> Result<()> {
    err(Errno::EINVAL)
}

pub fn pkey_mprotect(
    cx: &mut Context,
    addr: u64,
    len: u64,
    prot: ProtFlags,
    key: i32,
) -> Result<()> {
    if key != -1 {
        return err(Errno::EINVAL);
    }
    mprotect(cx, addr, len, prot)
}
