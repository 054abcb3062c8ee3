//! Waiting for children: wait4 and waitid in all forms (kernel/exit.c:do_wait()).

use super::{ExitStatus, Pid, Task, ThreadGroup, exit, family};
use crate::error::{Result, err};
use abi::errno::Errno;
use abi::signal as sig;
use abi::task::{WAIT_CONTINUED, WaitFlags, wait_stopped};
use abi::time::Rusage;
use std::sync::Arc;

/// Which children.
#[derive(Clone)]
pub enum Who {
    Any,
    Pid(Pid),
    /// Of this process group.
    Group(Pid),
    /// The one behind a pidfd.
    Process(Arc<ThreadGroup>),
}

/// A child's change of state.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub pid: Pid,
    pub uid: u32,
    /// CLD_*.
    pub code: i32,
    /// Exit code or signal.
    pub status: i32,
    /// The word of wait4(2).
    pub word: i32,
    /// Zeros unless it was asked for.
    pub rusage: Rusage,
}

fn eligible(task: &Task, child: &Arc<ThreadGroup>, who: &Who, options: WaitFlags) -> bool {
    let inner = child.inner.lock();
    let named = match who {
        Who::Any => true,
        Who::Pid(pid) => child.pid() == *pid,
        Who::Group(pgid) => inner.pgid == *pgid,
        Who::Process(group) => Arc::ptr_eq(child, group),
    };
    if !named || (options.contains(WaitFlags::__WNOTHREAD) && inner.parent_tid != task.tid()) {
        return false;
    }
    let is_clone = inner.exit_signal != sig::SIGCHLD;
    options.contains(WaitFlags::__WALL) || is_clone == options.contains(WaitFlags::__WCLONE)
}

fn report(child: &Arc<ThreadGroup>, code: i32, status: i32, word: i32, with_usage: bool) -> Report {
    let rusage = if with_usage {
        let mut used = child.accounting();
        used.add(&child.children_accounting());
        used.rusage()
    } else {
        Rusage::default()
    };
    Report {
        pid: child.pid(),
        uid: child.leader().map_or(0, |leader| leader.cred().uid),
        code,
        status,
        word,
        rusage,
    }
}

fn reap(
    task: &Task,
    child: &Arc<ThreadGroup>,
    status: ExitStatus,
    keep: bool,
    with_usage: bool,
) -> Report {
    let (code, value) = match status {
        ExitStatus::Code(code) => (sig::CLD_EXITED, i32::from(code)),
        ExitStatus::Signal { signo, core: true } => (sig::CLD_DUMPED, signo),
        ExitStatus::Signal { signo, core: false } => (sig::CLD_KILLED, signo),
    };
    let report = report(child, code, value, status.wait_status(), with_usage);
    if !keep {
        task.group.add_waited(child);
        exit::release(child);
    }
    report
}

/// What `child` has to report. Under the family lock.
fn consider(
    task: &Task,
    child: &Arc<ThreadGroup>,
    options: WaitFlags,
    with_usage: bool,
) -> Option<Report> {
    let keep = options.contains(WaitFlags::WNOWAIT);
    let zombie = child.inner.lock().zombie;
    if let Some(status) = zombie {
        return options
            .contains(WaitFlags::WEXITED)
            .then(|| reap(task, child, status, keep, with_usage));
    }
    if options.contains(WaitFlags::WSTOPPED) {
        let stopped = {
            let mut inner = child.inner.lock();
            if keep {
                inner.stop_report
            } else {
                inner.stop_report.take()
            }
        };
        if let Some(signo) = stopped {
            let word = wait_stopped(signo);
            return Some(report(child, sig::CLD_STOPPED, signo, word, with_usage));
        }
    }
    if options.contains(WaitFlags::WCONTINUED) {
        let continued = {
            let mut inner = child.inner.lock();
            let was = inner.continue_report;
            inner.continue_report = was && keep;
            was
        };
        if continued {
            return Some(report(
                child,
                sig::CLD_CONTINUED,
                sig::SIGCONT,
                WAIT_CONTINUED,
                with_usage,
            ));
        }
    }
    None
}

/// Waits for a child of the calling task. None with WNOHANG when none has anything to report yet; ECHILD when there is
/// none to wait for; ERESTARTSYS. `with_usage`: the report is to say what the child has used.
pub fn wait(
    task: &Arc<Task>,
    who: &Who,
    options: WaitFlags,
    with_usage: bool,
) -> Result<Option<Report>> {
    let group = task.group.clone();
    let attempt = || -> Option<Result<Option<Report>>> {
        let _family = family();
        let children = group.inner.lock().children.clone();
        let mut any = false;
        for child in &children {
            if !eligible(task, child, who, options) {
                continue;
            }
            // The dead have nothing but their end to tell.
            any |= options.contains(WaitFlags::WEXITED) || child.inner.lock().zombie.is_none();
            if let Some(report) = consider(task, child, options, with_usage) {
                return Some(Ok(Some(report)));
            }
        }
        if !any {
            return Some(err(Errno::ECHILD));
        }
        options.contains(WaitFlags::WNOHANG).then_some(Ok(None))
    };
    group.child_wait.wait_until(attempt)?
}
