//! Memory: mmap(2) and its kin.

use super::{Context, Fd};
use crate::error::{Result, err};
use crate::mm::{Caller, MapRequest, Mm};
use abi::errno::Errno;
use abi::mm::{MapFlags, MremapFlags, ProtFlags};
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
    if !offset.is_multiple_of(platform::PAGE_SIZE) {
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
    own(cx)?.mmap(&mut Caller::guest(cx), &request)
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
