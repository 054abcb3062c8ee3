//! O_ASYNC: a signal to the file's owner when it becomes ready (fs/fcntl.c:kill_fasync()).
//!
//! The file is registered with the queues that poll(2) would wait on. Who wakes them may hold locks that signals need, so
//! the timer thread sends.

use super::{File, FileOwner, PollEvents};
use crate::signal::{send_group, send_task};
use crate::sync::{Deadline, PollTable, Wake};
use crate::task::{Task, pids};
use crate::time::timer;
use abi::siginfo::Siginfo;
use abi::signal::{POLL_HUP, POLL_IN, POLL_OUT, SIGIO};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Registers `file`, known as descriptor `fd`, until the table is dropped.
pub fn register(file: &Arc<File>, fd: i32) -> PollTable {
    let wake = Arc::new_cyclic(|me| Async {
        me: me.clone(),
        file: Arc::downgrade(file),
        fd,
        due: AtomicBool::new(false),
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
}

impl Wake for Async {
    fn wake(&self, events: PollEvents) -> bool {
        if !self.due.swap(true, Ordering::SeqCst)
            && let Some(me) = self.me.upgrade()
        {
            timer::call_at(Deadline(0), move || me.tell(events)).detach();
        }
        false
    }
}

impl Async {
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
