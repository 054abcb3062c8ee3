//! Who may signal whom.

use super::send;
use crate::error::{Result, err};
use crate::task::{Cred, Task};
use abi::errno::Errno;
use abi::signal::{SIGCONT, Siginfo, valid};
use abi::task::CAP_KILL;
use std::sync::Arc;

fn same_user(from: &Cred, to: &Cred) -> bool {
    from.euid == to.suid || from.euid == to.uid || from.uid == to.suid || from.uid == to.uid
}

/// Whether `from` may send `signo` (0: ask only) to `to` (check_kill_permission()). EINVAL, EPERM.
pub fn check_kill(from: &Task, to: &Task, signo: i32) -> Result<()> {
    if signo != 0 && !valid(signo) {
        return err(Errno::EINVAL);
    }
    if std::ptr::eq(&*from.group, &*to.group) {
        return Ok(());
    }
    let cred = from.cred();
    if same_user(&cred, &to.cred()) || cred.capable(CAP_KILL) {
        return Ok(());
    }
    // SIGCONT goes to any member of the sender's session.
    if signo == SIGCONT && from.group.sid() == to.group.sid() {
        return Ok(());
    }
    err(Errno::EPERM)
}

/// A program's signal to `to` (`whole`: its process): kill(2) and its kin. Number 0 only asks. EINVAL, EPERM, EAGAIN.
pub fn send_checked(from: &Task, to: &Arc<Task>, whole: bool, info: Siginfo) -> Result<()> {
    check_kill(from, to, info.si_signo)?;
    if info.si_signo == 0 {
        return Ok(());
    }
    send::send(to, whole, info, false, None).map(drop)
}
