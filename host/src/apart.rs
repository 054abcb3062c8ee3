//! How a process that was forked off the kernel's parts from it.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

/// Makes the calling process `name`, in a session of its own, with every signal blocked. Of the descriptors from `first` on
/// only `keep` stays, which is not below `first`.
pub fn set_apart(name: &CStr, first: u32, keep: &OwnedFd) {
    let keep = keep.as_raw_fd() as u32;
    // SAFETY: nobody in a process just forked uses a descriptor but `keep`; the rest are plain calls on the own process.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        if keep > first {
            libc::syscall(libc::SYS_close_range, first, keep - 1, 0u32);
        }
        libc::syscall(libc::SYS_close_range, keep + 1, u32::MAX, 0u32);
    }
}
