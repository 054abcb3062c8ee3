//! prctl(PR_SET_MM): where a program says that its parts lie (kernel/sys.c:prctl_set_mm()).
//!
//! The kernel goes by these marks only where it shows them; the heap alone follows `brk`.

use super::prctl::AUXV_BYTES;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::mm::{Layout, Mm};
use crate::syscall::file::file;
use crate::user::UserPtr;
use crate::vfs::perm::{MAY_EXEC, path_permission};
use crate::vfs::{InodeKind, access};
use abi::errno::Errno;
use abi::task::*;
use std::sync::Arc;

/// vm.mmap_min_addr.
const LOWEST: u64 = 0x1_0000;
/// No new program file.
const NO_FILE: u32 = u32::MAX;

fn marks(layout: &Layout) -> [u64; 11] {
    let l = layout;
    [
        l.start_code,
        l.end_code,
        l.start_data,
        l.end_data,
        l.start_brk,
        l.brk,
        l.start_stack,
        l.arg_start,
        l.arg_end,
        l.env_start,
        l.env_end,
    ]
}

fn layout(marks: [u64; 11], mmap_base: u64) -> Layout {
    let m = marks;
    Layout {
        start_code: m[0],
        end_code: m[1],
        start_data: m[2],
        end_data: m[3],
        start_brk: m[4],
        brk: m[5],
        start_stack: m[6],
        arg_start: m[7],
        arg_end: m[8],
        env_start: m[9],
        env_end: m[10],
        mmap_base,
    }
}

/// kernel/sys.c:validate_prctl_map_addr(). `data_limit`: RLIMIT_DATA.
fn validate(l: &Layout, data_limit: u64) -> Result<()> {
    let addresses = LOWEST..abi::mm::TASK_SIZE;
    let ordered = l.start_code < l.end_code
        && l.start_data <= l.end_data
        && l.start_brk <= l.brk
        && l.arg_start <= l.arg_end
        && l.env_start <= l.env_end;
    if !ordered || !marks(l).iter().all(|mark| addresses.contains(mark)) {
        return err(Errno::EINVAL);
    }
    let data = (l.brk - l.start_brk) + (l.end_data - l.start_data);
    if data > data_limit {
        return err(Errno::EINVAL);
    }
    Ok(())
}

pub(super) fn set(cx: &Context, what: u32, addr: u64, a4: u64, a5: u64) -> Result<()> {
    let of_map = matches!(what, PR_SET_MM_MAP | PR_SET_MM_MAP_SIZE);
    if a5 != 0 || a4 != 0 && !of_map && what != PR_SET_MM_AUXV {
        return err(Errno::EINVAL);
    }
    if what == PR_SET_MM_MAP_SIZE {
        return UserPtr::<u32>::new(addr).write(&(size_of::<MmMap>() as u32));
    }
    if what == PR_SET_MM_MAP {
        return set_map(cx, addr, a4);
    }
    if !cx.task.capable(CAP_SYS_RESOURCE) {
        return err(Errno::EPERM);
    }
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    match what {
        PR_SET_MM_EXE_FILE => set_program(cx, &mm, Fd(addr as i32)),
        PR_SET_MM_AUXV => {
            let words = read_auxv(addr, a4)?;
            mm.set_auxv(&words);
            Ok(())
        }
        _ => set_mark(cx, &mm, what, addr),
    }
}

fn set_mark(cx: &Context, mm: &Mm, what: u32, addr: u64) -> Result<()> {
    if !(LOWEST..abi::mm::TASK_SIZE).contains(&addr) {
        return err(Errno::EINVAL);
    }
    let old = mm.layout();
    let mut all = marks(&old);
    let (at, points_there) = match what {
        PR_SET_MM_START_CODE => (0, false),
        PR_SET_MM_END_CODE => (1, false),
        PR_SET_MM_START_DATA => (2, false),
        PR_SET_MM_END_DATA => (3, false),
        PR_SET_MM_START_BRK => (4, false),
        PR_SET_MM_BRK => (5, false),
        PR_SET_MM_START_STACK => (6, true),
        PR_SET_MM_ARG_START => (7, true),
        PR_SET_MM_ARG_END => (8, true),
        PR_SET_MM_ENV_START => (9, true),
        PR_SET_MM_ENV_END => (10, true),
        _ => return err(Errno::EINVAL),
    };
    all[at] = addr;
    let new = layout(all, old.mmap_base);
    validate(&new, cx.task.group.rlimit(RLIMIT_DATA as usize))?;
    // Below the highest area there is always one at or behind it: find_vma().
    if points_there && mm.areas().last().is_none_or(|area| addr >= area.end) {
        return err(Errno::EFAULT);
    }
    mm.set_layout(new);
    Ok(())
}

fn set_map(cx: &Context, addr: u64, size: u64) -> Result<()> {
    if size != size_of::<MmMap>() as u64 {
        return err(Errno::EINVAL);
    }
    let map = UserPtr::<MmMap>::new(addr).read()?;
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    let new = layout(map.marks, mm.layout().mmap_base);
    validate(&new, cx.task.group.rlimit(RLIMIT_DATA as usize))?;
    let auxv = match map.auxv_size {
        0 => None,
        _ if map.auxv == 0 => return err(Errno::EINVAL),
        size => {
            let mut words = read_auxv(map.auxv, size.into())?;
            words.resize(AUXV_BYTES / 8, 0);
            Some(words)
        }
    };
    if map.exe_fd != NO_FILE {
        let may = [CAP_SYS_ADMIN, abi::cap::CAP_CHECKPOINT_RESTORE];
        if !may.iter().any(|cap| cx.task.capable(*cap)) {
            return err(Errno::EPERM);
        }
        set_program(cx, &mm, Fd(map.exe_fd as i32))?;
    }
    mm.set_layout(new);
    if let Some(words) = auxv {
        mm.set_auxv(&words);
    }
    Ok(())
}

/// Words of an auxiliary vector of `len` bytes. EINVAL when the kernel has no room for it, EFAULT.
fn read_auxv(addr: u64, len: u64) -> Result<Vec<u64>> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > AUXV_BYTES {
        return err(Errno::EINVAL);
    }
    let mut bytes = vec![0; len];
    UserPtr::<u8>::new(addr).read_bytes(&mut bytes)?;
    let (words, _part) = bytes.as_chunks();
    Ok(words.iter().map(|w| u64::from_ne_bytes(*w)).collect())
}

/// kernel/sys.c:prctl_set_mm_exe_file(). EBADF, EACCES; EBUSY while the old program's file is mapped.
fn set_program(cx: &Context, mm: &Mm, fd: Fd) -> Result<()> {
    let new = file(cx, fd)?;
    if new.inode().kind() != InodeKind::Regular || new.path().mount.noexec() {
        return err(Errno::EACCES);
    }
    path_permission(&cx.task.cred(), new.path(), MAY_EXEC)?;
    let old = mm.exe();
    let mapped = mm.areas().iter().any(|area| match (area.file(), &old) {
        (Some(file), Some(old)) => Arc::ptr_eq(file.inode(), old.inode()),
        _ => false,
    });
    if mapped {
        return err(Errno::EBUSY);
    }
    // A description of its own, which lets nobody write the file as long as it is the program.
    let held = crate::vfs::open_path(new.path(), abi::fs::OpenFlags::O_RDONLY)?;
    access::deny_write(&held)?;
    mm.set_exe(held);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_addresses_in_order() {
        let good = layout(
            [
                0x40_0000,
                0x40_1000,
                0x50_0000,
                0x50_1000,
                0x60_0000,
                0x60_0000,
                0x7000_0000,
                0x7000_0000,
                0x7000_0010,
                0x7000_0010,
                0x7000_0010,
            ],
            0,
        );
        assert!(validate(&good, u64::MAX).is_ok());
        assert!(validate(&good, 0xfff).is_err());
        let bad = |change: fn(&mut Layout)| {
            let mut l = good;
            change(&mut l);
            validate(&l, u64::MAX).is_err()
        };
        assert!(bad(|l| l.end_code = l.start_code));
        assert!(bad(|l| l.brk = l.start_brk - 1));
        assert!(bad(|l| l.start_stack = 0xffff));
        assert!(bad(|l| l.env_end = abi::mm::TASK_SIZE));
    }
}
