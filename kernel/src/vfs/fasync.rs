//! O_ASYNC: a signal to the file's owner when it becomes ready (fs/fcntl.c:kill_fasync()).
//!
//! The file is registered with the queues that poll(2) would wait on. Who wakes them may hold locks that signals need, so
//! the timer thread sends.

use super::{File, FileOwner, PollEvents};
use crate::signal::{send_group, send_task};
use crate::sync::{Deadline, PollTable, Wake};
use crate::task::{Task, pids};
use crate::time::timer;
use abi::fs::OpenFlags;
use abi::siginfo::Siginfo;
use abi::signal::{POLL_HUP, POLL_IN, POLL_OUT, POLL_PRI, SIGIO, SIGURG};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Registers `file`, known as descriptor `fd`, until the table is dropped.
pub fn register(file: &Arc<File>, fd: i32) -> PollTable {
    let wake = Arc::new_cyclic(|me| Async {
        me: me.clone(),
        file: Arc::downgrade(file),
        fd,
        due: AtomicBool::new(false),
        urgent: AtomicBool::new(false),
    });
    let mut table = PollTable::new(wake);
    file.ops().poll(file, Some(&mut table));
    table
}

struct Async {
    me: Weak<Async>,
    file: Weak<File>,
    fd: i32,
    due: AtomicBool,
    /// The same for [`tell_urgent`](Async::tell_urgent).
    urgent: AtomicBool,
}

impl Wake for Async {
    fn wake(&self, events: PollEvents) -> bool {
        let Some(me) = self.me.upgrade() else {
            return false;
        };
        if events == PollEvents::PRI {
            if !self.urgent.swap(true, Ordering::SeqCst) {
                timer::call_at(Deadline(0), move || me.tell_urgent()).detach();
            }
        } else if !self.due.swap(true, Ordering::SeqCst) {
            timer::call_at(Deadline(0), move || me.tell(events)).detach();
        }
        false
    }
}

impl Async {
    fn tell_urgent(&self) {
        self.urgent.store(false, Ordering::SeqCst);
        if let Some(file) = self.file.upgrade() {
            let owner = *file.owner.lock();
            let band = i64::from((PollEvents::PRI | PollEvents::RDBAND).bits());
            send(&owner, Siginfo::poll(owner.signo, POLL_PRI, band, self.fd));
        }
    }

    fn tell(&self, events: PollEvents) {
        self.due.store(false, Ordering::SeqCst);
        let Some(file) = self.file.upgrade() else {
            return;
        };
        // Who wakes without saying why leaves it to the file.
        let events = if events.is_empty() {
            file.ops().poll(&file, None)
        } else {
            events
        };
        let (code, band) = if events.intersects(PollEvents::HUP | PollEvents::ERR) {
            (POLL_HUP, PollEvents::HUP | PollEvents::ERR)
        } else if file.readable() && events.intersects(PollEvents::READABLE) {
            (POLL_IN, PollEvents::READABLE)
        } else if file.writable() && events.intersects(PollEvents::WRITABLE) {
            (POLL_OUT, PollEvents::WRITABLE | PollEvents::WRBAND)
        } else {
            return;
        };
        let owner = *file.owner.lock();
        let info = match owner.signo {
            0 => Siginfo::kernel(SIGIO),
            signo => Siginfo::poll(signo, code, i64::from(band.bits()), self.fd),
        };
        send(&owner, info);
    }
}

/// Sends SIGURG to the file's owner; whether its readers with O_ASYNC must hear of an urgent byte beside that, which they
/// want with a signal of their own only (fs/fcntl.c:kill_fasync_rcu()). Without locks held.
pub fn send_sigurg(file: &Arc<File>) -> bool {
    let owner = *file.owner.lock();
    send(&owner, Siginfo::kernel(SIGURG));
    owner.pid != 0 && owner.signo != 0 && file.flags().contains(OpenFlags::FASYNC)
}

/// fs/fcntl.c:sigio_perm().
fn may_tell(owner: &FileOwner, task: &Task) -> bool {
    let cred = task.cred();
    owner.euid == 0
        || [cred.suid, cred.uid]
            .iter()
            .any(|uid| [owner.euid, owner.uid].contains(uid))
}

pub(super) fn send(owner: &FileOwner, info: Siginfo) {
    let number = owner.pid.unsigned_abs();
    if number == 0 {
        return;
    }
    if owner.thread {
        if let Some(task) = pids().task(number).filter(|t| may_tell(owner, t)) {
            // A queue that is full loses the signal, as in Linux.
            let _ = send_task(&task, info);
        }
        return;
    }
    for group in pids().groups() {
        let meant = if owner.pid > 0 {
            group.pid() == number
        } else {
            group.pgid() == number
        };
        let leader = group.threads().first().cloned();
        if meant && leader.is_some_and(|task| may_tell(owner, &task)) {
            let _ = send_group(&group, info);
        }
    }
}
