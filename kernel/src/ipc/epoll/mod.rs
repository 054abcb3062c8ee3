//! epoll (fs/eventpoll.c): an interest list of files and the list of those that may be ready.
//!
//! An [`Item`] stands in the wait queues of its file; being told puts it on the ready list and wakes a waiter. Whoever
//! takes it off polls the file again, so the list is a hint. Changes and harvests of one epoll exclude each other by a
//! sleeping mutex, `scan`; the lists are under a short lock that wake-ups also take. Epolls may watch epolls, without
//! loops, so `scan` is taken from the outer to the inner one.

mod item;
mod nest;

pub use item::Links;

use crate::error::{Result, err};
use crate::sync::{Deadline, Lock, Mutex, PollTable, Rank, WaitQueue};
use crate::task::account::EPOLL_WATCHES;
use crate::vfs::{File, FileOps, PollEvents};
use abi::errno::Errno;
use abi::poll::{EpollEvent, EpollEvents};
use item::Item;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

#[derive(Default)]
struct Lists {
    /// By descriptor and file number: a descriptor that now means another file is another item.
    items: BTreeMap<(i32, u64), Arc<Item>>,
    ready: VecDeque<Arc<Item>>,
}

/// An epoll instance.
pub struct Epoll {
    lists: Lock<Lists>,
    scan: Mutex<()>,
    /// Who sleeps in epoll_wait.
    wait: WaitQueue,
    /// Who polls this epoll's descriptor.
    poll_wait: WaitQueue,
    /// Its own open file, once it watches something.
    file: OnceLock<Weak<File>>,
}

/// The open file of an epoll.
pub struct EpollFile(Arc<Epoll>);

/// Events that every item reports.
const ALWAYS: EpollEvents = EpollEvents::EPOLLERR.union(EpollEvents::EPOLLHUP);
/// What may stand beside EPOLLEXCLUSIVE.
const EXCLUSIVE_OK: EpollEvents = EpollEvents::EPOLLIN
    .union(EpollEvents::EPOLLOUT)
    .union(ALWAYS)
    .union(EpollEvents::EPOLLWAKEUP)
    .union(EpollEvents::EPOLLET)
    .union(EpollEvents::EPOLLEXCLUSIVE);

/// A change to the interest list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Add(EpollEvents, u64),
    Modify(EpollEvents, u64),
    Delete,
}

/// The epoll behind `file`. EINVAL.
pub fn of(file: &File) -> Result<&Arc<Epoll>> {
    match file.ops_as::<EpollFile>() {
        Some(epoll) => Ok(&epoll.0),
        None => err(Errno::EINVAL),
    }
}

/// Changes what `epoll_file` watches of `file`, called `fd`. EPERM when that can't be polled, EINVAL, EEXIST, ENOENT,
/// ELOOP.
pub fn control(epoll_file: &Arc<File>, fd: i32, file: &Arc<File>, change: Change) -> Result<()> {
    if !file.ops().can_poll(file) {
        return err(Errno::EPERM);
    }
    if epoll_file.id() == file.id() {
        return err(Errno::EINVAL);
    }
    let epoll = of(epoll_file)?;
    epoll.file.get_or_init(|| Arc::downgrade(epoll_file));
    let nested = of(file).is_ok();
    if let Change::Add(events, _) | Change::Modify(events, _) = change
        && events.contains(EpollEvents::EPOLLEXCLUSIVE)
    {
        let modifies = matches!(change, Change::Modify(..));
        if modifies || nested || !(events - EXCLUSIVE_OK).is_empty() {
            return err(Errno::EINVAL);
        }
    }
    let adds = matches!(change, Change::Add(..));
    let _no_new_links = (adds && nested).then(nest::lock);
    if adds && nested {
        nest::check(epoll_file, file)?;
    }
    let _held = epoll.scan.lock();
    let key = (fd, file.id());
    let there = epoll.lists.lock().items.get(&key).cloned();
    match (change, there) {
        (Change::Add(..), Some(_)) => err(Errno::EEXIST),
        (Change::Add(events, data), None) => epoll.add(fd, file, events | ALWAYS, data),
        (_, None) => err(Errno::ENOENT),
        (Change::Modify(events, data), Some(item)) => {
            if item.events().contains(EpollEvents::EPOLLEXCLUSIVE) {
                return err(Errno::EINVAL);
            }
            item.set(events | ALWAYS, data);
            if item.poll(file).is_some() {
                epoll.make_ready(&item);
            }
            Ok(())
        }
        (Change::Delete, Some(item)) => {
            epoll.remove(&item);
            Ok(())
        }
    }
}

impl Epoll {
    fn new() -> Arc<Epoll> {
        Arc::new(Epoll {
            lists: Lock::new(Rank::EPOLL, Lists::default()),
            scan: Mutex::new(()),
            wait: WaitQueue::new(),
            poll_wait: WaitQueue::new(),
            file: OnceLock::new(),
        })
    }

    fn add(
        self: &Arc<Self>,
        fd: i32,
        file: &Arc<File>,
        events: EpollEvents,
        data: u64,
    ) -> Result<()> {
        let charged = EPOLL_WATCHES.charge().ok_or(Errno::ENOSPC)?;
        let item = Item::new(self, fd, file, events, data, charged);
        self.lists.lock().items.insert(item.key(), item.clone());
        file.epoll_links.add(&item);
        if item.register(file).is_some() {
            self.make_ready(&item);
        }
        Ok(())
    }

    /// Puts the item on the ready list, if it is still watched, and wakes who waits.
    fn make_ready(&self, item: &Arc<Item>) {
        {
            let mut lists = self.lists.lock();
            if item.is_dead() {
                return;
            }
            if !item.queued.swap(true, Ordering::SeqCst) {
                lists.ready.push_back(item.clone());
            }
        }
        self.wait.wake_one();
        self.poll_wait.wake(PollEvents::READABLE);
    }

    /// Stops watching: the item is on no list and in no queue afterwards.
    fn remove(&self, item: &Arc<Item>) {
        {
            let mut lists = self.lists.lock();
            item.kill();
            lists.items.remove(&item.key());
            if item.queued.swap(false, Ordering::SeqCst) {
                lists.ready.retain(|other| !Arc::ptr_eq(other, item));
            }
        }
        item.unregister();
    }

    fn pop_ready(&self) -> Option<Arc<Item>> {
        let item = self.lists.lock().ready.pop_front()?;
        item.queued.store(false, Ordering::SeqCst);
        Some(item)
    }

    fn push_ready(&self, item: Arc<Item>, first: bool) {
        let mut lists = self.lists.lock();
        if item.is_dead() || item.queued.swap(true, Ordering::SeqCst) {
            return;
        }
        if first {
            lists.ready.push_front(item);
        } else {
            lists.ready.push_back(item);
        }
    }

    fn has_ready(&self) -> bool {
        !self.lists.lock().ready.is_empty()
    }

    /// Takes up to `max` events and gives them to `store`; when that fails nothing has happened. Items that are watched
    /// by level go to the end of the list, so that each gets its turn.
    fn harvest(
        &self,
        max: usize,
        store: &mut dyn FnMut(&[EpollEvent]) -> Result<()>,
    ) -> Result<usize> {
        let held = self.scan.lock();
        let mut taken = Vec::new();
        let mut events = Vec::new();
        let mut left = self.lists.lock().ready.len();
        while left > 0 && events.len() < max {
            let Some(item) = self.pop_ready() else { break };
            left -= 1;
            let Some(file) = item.file() else { continue };
            let Some(found) = item.poll(&file) else {
                continue;
            };
            events.push(EpollEvent {
                events: found.bits(),
                data: item.data(),
            });
            taken.push(item);
        }
        if events.is_empty() {
            return Ok(0);
        }
        if let Err(e) = store(&events) {
            for item in taken.into_iter().rev() {
                self.push_ready(item, true);
            }
            return Err(e);
        }
        for item in taken {
            let how = item.events();
            if how.contains(EpollEvents::EPOLLONESHOT) {
                item.disable();
            } else if !how.contains(EpollEvents::EPOLLET) {
                self.push_ready(item, false);
            }
        }
        drop(held);
        if self.has_ready() {
            self.wait.wake_one();
        }
        Ok(events.len())
    }

    /// Waits for events, at the latest until `deadline` (None: for ever), and gives up to `max` of them to `store`, once.
    /// EINTR, and what `store` fails with.
    pub fn wait(
        &self,
        max: usize,
        deadline: Option<Deadline>,
        store: &mut dyn FnMut(&[EpollEvent]) -> Result<()>,
    ) -> Result<usize> {
        loop {
            if self.has_ready() {
                let found = self.harvest(max, store)?;
                if found > 0 {
                    return Ok(found);
                }
            }
            if deadline == Some(Deadline(0)) {
                return Ok(0);
            }
            let woken = self
                .wait
                .wait_deadline_exclusive(deadline, || self.has_ready().then_some(()));
            match woken {
                Ok(Some(())) => {}
                Ok(None) => return Ok(0),
                Err(_) => return err(Errno::EINTR),
            }
        }
    }

    /// Whether a file that is watched has an event; the first that has stays on the list.
    fn any_event(&self) -> bool {
        if !self.has_ready() {
            return false;
        }
        let _held = self.scan.lock();
        let mut left = self.lists.lock().ready.len();
        while left > 0 {
            let Some(item) = self.pop_ready() else { break };
            left -= 1;
            if item.file().is_some_and(|file| item.poll(&file).is_some()) {
                self.push_ready(item, true);
                return true;
            }
        }
        false
    }

    fn file(&self) -> Option<Arc<File>> {
        self.file.get().and_then(Weak::upgrade)
    }

    fn items(&self) -> Vec<Arc<Item>> {
        self.lists.lock().items.values().cloned().collect()
    }
}

impl EpollFile {
    /// epoll_create(2).
    #[expect(clippy::new_without_default, reason = "an epoll is made on purpose")]
    pub fn new() -> EpollFile {
        EpollFile(Epoll::new())
    }
}

impl Drop for EpollFile {
    fn drop(&mut self) {
        for item in self.0.items() {
            self.0.remove(&item);
        }
    }
}

impl FileOps for EpollFile {
    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.0.poll_wait);
        }
        if self.0.any_event() {
            PollEvents::READABLE
        } else {
            PollEvents::empty()
        }
    }

    fn can_poll(&self, _file: &File) -> bool {
        true
    }

    fn fdinfo(&self, _file: &File) -> String {
        let mut out = String::new();
        for item in self.0.items() {
            let Some(file) = item.file() else { continue };
            let (ino, dev) = file.inode().metadata().map_or((0, 0), |m| (m.ino, m.dev));
            out += &format!(
                "tfd: {:8} events: {:8x} data: {:16x}  pos:{} ino:{ino:x} sdev:{dev:x}\n",
                item.key().0,
                item.events().bits(),
                item.data(),
                file.position(),
            );
        }
        out
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The watched files that are epolls themselves.
fn inner_epolls(epoll: &Epoll) -> Vec<Arc<File>> {
    let files = epoll.items().into_iter().filter_map(|item| item.file());
    files.filter(|file| of(file).is_ok()).collect()
}

/// The `nth` file that the epoll behind `file` watches as descriptor `fd`. EINVAL when it is none, ENOENT.
pub fn watched(file: &File, fd: i32, nth: usize) -> Result<Arc<File>> {
    let epoll = file.ops_as::<EpollFile>().ok_or(Errno::EINVAL)?;
    let items = epoll.0.items();
    let mut files = items.iter().filter(|item| item.key().0 == fd);
    let item = files.nth(nth).ok_or(Errno::ENOENT)?;
    item.file().ok_or(Errno::ENOENT.into())
}
