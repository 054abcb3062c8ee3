//! inotify(7): queues of events about watched inodes (fs/notify/inotify).

use super::notify::{self, Event, Registration, Watcher};
use super::{File, FileOps, Inode, InodeKind, PollEvents, Sink};
use crate::error::{Result, err};
use crate::fs::proc::sys::Knob;
use crate::sync::{Lock, PollTable, Rank, WaitQueue};
use crate::syscall::Context;
use crate::task::account::{Charged, INOTIFY_INSTANCES, INOTIFY_WATCHES};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::fs::FIONREAD;
use abi::inotify::{InotifyEvent, InotifyMask as M};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use zerocopy::IntoBytes;

/// Events that a new queue holds: fs.inotify.max_queued_events.
pub static MAX_QUEUED: Knob = Knob::new(16384, 0, i32::MAX as i64);

#[derive(Clone, PartialEq, Eq)]
struct Queued {
    wd: i32,
    mask: M,
    cookie: u32,
    name: Vec<u8>,
}

impl Queued {
    /// Bytes of the name with its NULs: a multiple of the header, as Linux rounds it.
    fn name_len(&self) -> usize {
        if self.name.is_empty() {
            0
        } else {
            (self.name.len() + 1).next_multiple_of(size_of::<InotifyEvent>())
        }
    }

    fn len(&self) -> usize {
        size_of::<InotifyEvent>() + self.name_len()
    }

    fn bytes(&self) -> Vec<u8> {
        let len = self.name_len();
        let header = InotifyEvent {
            wd: self.wd,
            mask: self.mask.bits(),
            cookie: self.cookie,
            len: len as u32,
        };
        let mut out = header.as_bytes().to_vec();
        out.extend_from_slice(&self.name);
        out.resize(size_of::<InotifyEvent>() + len, 0);
        out
    }
}

struct Watch {
    instance: Weak<Instance>,
    wd: i32,
    mask: Lock<M>,
    inode: Arc<dyn Inode>,
    registration: Lock<Option<Registration>>,
    _charged: Charged,
}

struct State {
    queue: VecDeque<Queued>,
    watches: BTreeMap<i32, Arc<Watch>>,
    next: i32,
}

/// One inotify instance.
pub struct Instance {
    state: Lock<State>,
    max_queued: usize,
    wait: WaitQueue,
    _charged: Charged,
}

impl Instance {
    fn push(&self, event: Queued) {
        {
            let mut state = self.state.lock();
            if state.queue.back() == Some(&event) {
                return;
            }
            let overflow = Queued {
                wd: -1,
                mask: M::IN_Q_OVERFLOW,
                cookie: 0,
                name: Vec::new(),
            };
            if state.queue.len() >= self.max_queued {
                if state.queue.back() != Some(&overflow) {
                    state.queue.push_back(overflow);
                }
            } else {
                state.queue.push_back(event);
            }
        }
        self.wait.wake(PollEvents::READABLE);
    }

    /// Takes a watch away and says so in the queue.
    fn drop_watch(&self, wd: i32) -> Result<()> {
        let watch = self.state.lock().watches.remove(&wd).ok_or(Errno::EINVAL)?;
        self.push(Queued {
            wd,
            mask: M::IN_IGNORED,
            cookie: 0,
            name: Vec::new(),
        });
        let registration = watch.registration.lock().take();
        drop(watch);
        drop(registration);
        Ok(())
    }
}

impl Watcher for Watch {
    fn tell(&self, event: &Event<'_>) {
        let mask = *self.mask.lock();
        if !mask.intersects(event.mask.intersection(M::IN_ALL_EVENTS)) {
            if event.mask.contains(M::IN_DELETE_SELF)
                && let Some(instance) = self.instance.upgrade()
            {
                let _ = instance.drop_watch(self.wd);
            }
            return;
        }
        if event.unlinked && event.name.is_some() && mask.contains(M::IN_EXCL_UNLINK) {
            return;
        }
        let Some(instance) = self.instance.upgrade() else {
            return;
        };
        let told = event.mask.intersection(mask | M::IN_ISDIR);
        // A watched file hears of itself without the directory mark when it goes or moves.
        let told = if told.intersects(M::IN_DELETE_SELF | M::IN_MOVE_SELF) {
            told.difference(M::IN_ISDIR)
        } else {
            told
        };
        let name = event.name.unwrap_or_default().to_vec();
        instance.push(Queued {
            wd: self.wd,
            mask: told,
            cookie: event.cookie,
            name,
        });
        if event.mask.contains(M::IN_DELETE_SELF) || mask.contains(M::IN_ONESHOT) {
            // Gone already when two events came at once.
            let _ = instance.drop_watch(self.wd);
        }
    }
}

/// An open inotify descriptor.
pub struct InotifyFile(Arc<Instance>);

impl InotifyFile {
    /// EMFILE when the user has as many as allowed.
    pub fn new() -> Result<InotifyFile> {
        let charged = INOTIFY_INSTANCES.charge().ok_or(Errno::EMFILE)?;
        let state = State {
            queue: VecDeque::new(),
            watches: BTreeMap::new(),
            next: 1,
        };
        Ok(InotifyFile(Arc::new(Instance {
            state: Lock::new(Rank::LEAF, state),
            max_queued: MAX_QUEUED.get() as usize,
            wait: WaitQueue::new(),
            _charged: charged,
        })))
    }

    /// Watches `inode`, or changes the watch that is there. EEXIST with IN_MASK_CREATE, ENOTDIR with IN_ONLYDIR.
    pub fn add(&self, inode: &Arc<dyn Inode>, mask: M) -> Result<i32> {
        if mask.contains(M::IN_ONLYDIR) && inode.kind() != InodeKind::Directory {
            return err(Errno::ENOTDIR);
        }
        let kept = mask.intersection(M::IN_ALL_EVENTS | M::IN_EXCL_UNLINK | M::IN_ONESHOT);
        let there = self
            .0
            .state
            .lock()
            .watches
            .values()
            .find(|w| Arc::ptr_eq(&w.inode, inode))
            .cloned();
        if let Some(watch) = there {
            if mask.contains(M::IN_MASK_CREATE) {
                return err(Errno::EEXIST);
            }
            let mut now = watch.mask.lock();
            *now = if mask.contains(M::IN_MASK_ADD) {
                *now | kept
            } else {
                kept
            };
            return Ok(watch.wd);
        }
        let charged = INOTIFY_WATCHES.charge().ok_or(Errno::ENOSPC)?;
        let watch = {
            let mut state = self.0.state.lock();
            let wd = state.next;
            state.next += 1;
            let watch = Arc::new(Watch {
                instance: Arc::downgrade(&self.0),
                wd,
                mask: Lock::new(Rank::LEAF, kept),
                inode: inode.clone(),
                registration: Lock::new(Rank::LEAF, None),
                _charged: charged,
            });
            state.watches.insert(wd, watch.clone());
            watch
        };
        let weak: Weak<dyn Watcher> = Arc::downgrade(&(watch.clone() as Arc<dyn Watcher>));
        let registration = notify::register(inode, weak);
        *watch.registration.lock() = Some(registration);
        Ok(watch.wd)
    }

    /// inotify_rm_watch(2). EINVAL.
    pub fn remove(&self, wd: i32) -> Result<()> {
        self.0.drop_watch(wd)
    }
}

impl FileOps for InotifyFile {
    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        let room = sink.remaining();
        let take = || {
            let mut state = self.0.state.lock();
            let first = state.queue.front()?;
            if first.len() > room {
                return Some(err(Errno::EINVAL));
            }
            let mut bytes = Vec::new();
            while let Some(event) = state.queue.front() {
                if bytes.len() + event.len() > room {
                    break;
                }
                bytes.extend(event.bytes());
                state.queue.pop_front();
            }
            Some(Ok(bytes))
        };
        let bytes = if file.nonblocking() {
            take().unwrap_or_else(|| err(Errno::EAGAIN))?
        } else {
            self.0.wait.wait_until(take)??
        };
        sink.write(&bytes)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.0.wait);
        }
        if self.0.state.lock().queue.is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::READABLE
        }
    }

    fn ioctl(&self, _file: &File, _cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        if cmd != FIONREAD {
            return err(Errno::ENOTTY);
        }
        let bytes: usize = self.0.state.lock().queue.iter().map(Queued::len).sum();
        UserPtr::new(arg).write(&(bytes as i32))?;
        Ok(0)
    }

    fn fdinfo(&self, _file: &File) -> String {
        let watches: Vec<_> = self.0.state.lock().watches.values().cloned().collect();
        let line = |watch: Arc<Watch>| {
            let meta = watch.inode.metadata().ok()?;
            let mask = watch.mask.lock().bits();
            Some(format!(
                "inotify wd:{:x} ino:{:x} sdev:{:x} mask:{mask:x} ignored_mask:0 \n",
                watch.wd, meta.ino, meta.dev
            ))
        };
        watches.into_iter().filter_map(line).collect()
    }

    fn release(&self, _file: &File) {
        let watches = std::mem::take(&mut self.0.state.lock().watches);
        for watch in watches.into_values() {
            let registration = watch.registration.lock().take();
            drop(watch);
            drop(registration);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
