//! One watched file of an epoll, and the list that a file keeps of those who watch it.

use super::Epoll;
use crate::sync::{Lock, PollTable, Rank, Wake};
use crate::task::account::Charged;
use crate::vfs::{File, PollEvents};
use abi::poll::EpollEvents;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// `struct epitem`.
pub struct Item {
    me: Weak<Item>,
    epoll: Weak<Epoll>,
    fd: i32,
    file: Weak<File>,
    file_id: u64,
    events: AtomicU32,
    data: AtomicU64,
    /// On the ready list. Written under the lists' lock, as is `dead`.
    pub(super) queued: AtomicBool,
    dead: AtomicBool,
    /// The places in the file's queues, which refer back to the item: [`unregister`](Self::unregister) ends that.
    table: Lock<Option<PollTable>>,
    _charged: Charged,
}

impl Item {
    pub(super) fn new(
        epoll: &Arc<Epoll>,
        fd: i32,
        file: &Arc<File>,
        events: EpollEvents,
        data: u64,
        charged: Charged,
    ) -> Arc<Item> {
        Arc::new_cyclic(|me| Item {
            me: me.clone(),
            epoll: Arc::downgrade(epoll),
            fd,
            file: Arc::downgrade(file),
            file_id: file.id(),
            events: AtomicU32::new(events.bits()),
            data: AtomicU64::new(data),
            queued: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            table: Lock::new(Rank::LEAF, None),
            _charged: charged,
        })
    }

    pub(super) fn key(&self) -> (i32, u64) {
        (self.fd, self.file_id)
    }

    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.upgrade()
    }

    pub(super) fn epoll(&self) -> Option<Arc<Epoll>> {
        self.epoll.upgrade()
    }

    pub(super) fn events(&self) -> EpollEvents {
        EpollEvents::from_bits_retain(self.events.load(Ordering::SeqCst))
    }

    pub(super) fn data(&self) -> u64 {
        self.data.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, events: EpollEvents, data: u64) {
        self.data.store(data, Ordering::Relaxed);
        self.events.store(events.bits(), Ordering::SeqCst);
    }

    /// EPOLLONESHOT has fired: silent until modified.
    pub(super) fn disable(&self) {
        let kept = self.events() & EpollEvents::PRIVATE;
        self.events.store(kept.bits(), Ordering::SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    fn wanted(&self, found: PollEvents) -> Option<EpollEvents> {
        let wanted = self.events() - EpollEvents::PRIVATE;
        let found = EpollEvents::from_bits_retain(found.bits()) & wanted;
        (!found.is_empty()).then_some(found)
    }

    /// The events asked for that hold now.
    pub(super) fn poll(&self, file: &File) -> Option<EpollEvents> {
        self.wanted(file.ops().poll(file, None))
    }

    /// Enters the file's queues; the events asked for that hold already.
    pub(super) fn register(self: &Arc<Self>, file: &File) -> Option<EpollEvents> {
        let mut table = if self.events().contains(EpollEvents::EPOLLEXCLUSIVE) {
            PollTable::exclusive(self.clone())
        } else {
            PollTable::new(self.clone())
        };
        let found = file.ops().poll(file, Some(&mut table));
        *self.table.lock() = Some(table);
        if self.is_dead() {
            self.unregister();
        }
        self.wanted(found)
    }

    /// Leaves the file's queues.
    pub(super) fn unregister(&self) {
        let table = self.table.lock().take();
        drop(table);
    }
}

impl Wake for Item {
    /// fs/eventpoll.c:ep_poll_callback().
    fn wake(&self, events: PollEvents) -> bool {
        let wanted = self.events();
        if (wanted - EpollEvents::PRIVATE).is_empty() {
            return false;
        }
        let told = EpollEvents::from_bits_retain(events.bits());
        if !told.is_empty() && !told.intersects(wanted) {
            return false;
        }
        let (Some(epoll), Some(me)) = (self.epoll.upgrade(), self.me.upgrade()) else {
            return false;
        };
        let somebody_waits = epoll.wait.is_occupied();
        epoll.make_ready(&me);
        if !wanted.contains(EpollEvents::EPOLLEXCLUSIVE) {
            return true;
        }
        let direction = EpollEvents::EPOLLIN | EpollEvents::EPOLLOUT;
        let uses_up = match told & direction {
            EpollEvents::EPOLLIN => wanted.contains(EpollEvents::EPOLLIN),
            EpollEvents::EPOLLOUT => wanted.contains(EpollEvents::EPOLLOUT),
            other => other.is_empty(),
        };
        somebody_waits && uses_up
    }
}

/// The items that watch a file: a part of each open file.
pub struct Links(Lock<Vec<Weak<Item>>>);

impl Default for Links {
    fn default() -> Links {
        Links(Lock::new(Rank::LEAF, Vec::new()))
    }
}

impl Links {
    pub(super) fn add(&self, item: &Arc<Item>) {
        let mut links = self.0.lock();
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(item));
    }

    /// The epolls that watch the file.
    pub(super) fn epolls(&self) -> Vec<Arc<Epoll>> {
        let links = self.0.lock().clone();
        let items = links.iter().filter_map(Weak::upgrade);
        items
            .filter(|item| !item.is_dead())
            .filter_map(|item| item.epoll())
            .collect()
    }

    /// The file is gone, and leaves all epolls.
    pub fn closed(&self) {
        let links = std::mem::take(&mut *self.0.lock());
        for item in links.iter().filter_map(Weak::upgrade) {
            match item.epoll() {
                Some(epoll) => epoll.remove(&item),
                None => item.unregister(),
            }
        }
    }
}
