//! What a user has of things that are limited by user and not by process: watches of epoll and inotify.

use crate::fs::proc::sys::Knob;
use crate::sched;
use crate::sync::{Lock, Rank};
use std::collections::BTreeMap;

/// A kind of thing with a limit a user, which root may change in /proc/sys.
pub struct Account {
    users: Lock<BTreeMap<u32, i64>>,
    pub limit: Knob,
}

/// Epoll items: fs.epoll.max_user_watches.
pub static EPOLL_WATCHES: Account = Account::new(0);
/// fs.inotify.max_user_watches.
pub static INOTIFY_WATCHES: Account = Account::new(0);
/// fs.inotify.max_user_instances.
pub static INOTIFY_INSTANCES: Account = Account::new(128);

/// Sets the limits that depend on the machine's memory of `bytes`: fs/eventpoll.c:eventpoll_init() (a twenty-fifth of
/// it for epoll) and fs/notify/inotify/inotify_user.c:inotify_user_setup() (a hundredth). Once, at boot.
pub fn init(bytes: u64) {
    const EPOLL_ITEM: u64 = 256;
    const INOTIFY_WATCH: u64 = 1024;
    let share = |part: u64, size: u64| i64::try_from(bytes / part / size).unwrap_or(i64::MAX);
    EPOLL_WATCHES.limit.set(share(25, EPOLL_ITEM));
    INOTIFY_WATCHES
        .limit
        .set(share(100, INOTIFY_WATCH).clamp(8_192, 1_048_576));
}

impl Account {
    const fn new(limit: i64) -> Account {
        Account {
            users: Lock::new(Rank::LEAF, BTreeMap::new()),
            limit: Knob::new(limit, 0, i64::MAX),
        }
    }

    /// One more for the caller's user, as long as the result lives. None at the limit.
    pub fn charge(&'static self) -> Option<Charged> {
        let uid = sched::try_current().map_or(0, |task| task.cred().uid);
        let mut users = self.users.lock();
        let count = users.entry(uid).or_insert(0);
        if *count >= self.limit.get() {
            return None;
        }
        *count += 1;
        Some(Charged { account: self, uid })
    }
}

/// A place on an [`Account`].
pub struct Charged {
    account: &'static Account,
    uid: u32,
}

impl Drop for Charged {
    fn drop(&mut self) {
        let mut users = self.account.users.lock();
        if let Some(count) = users.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.uid);
            }
        }
    }
}
