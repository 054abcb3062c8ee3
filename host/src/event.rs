//! The event loop: one host thread that waits for descriptors and calls back.
//!
//! A registration watches one descriptor, once: after each call it stays quiet until it is armed again, by what the
//! callback returns or by [`Watch::arm`]. So a callback is never called twice at a time, and a descriptor whose data nobody wants
//! costs nothing. Dropping the [`Watch`] ends it; a callback that runs at this moment on the loop's thread is waited for,
//! unless the dropper is that callback.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::ThreadId;

/// What to wait for. Errors and hang-ups are told with either; [`Interest::NONE`] waits for nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    pub readable: bool,
    pub writable: bool,
}

impl Interest {
    pub const NONE: Interest = Interest {
        readable: false,
        writable: false,
    };
    pub const READ: Interest = Interest {
        readable: true,
        writable: false,
    };
    pub const WRITE: Interest = Interest {
        readable: false,
        writable: true,
    };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::ONESHOT;
        flags.set(EventFlags::IN, self.readable);
        flags.set(EventFlags::OUT, self.writable);
        flags
    }

    fn is_none(self) -> bool {
        !self.readable && !self.writable
    }
}

/// What has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// A read will not block; it may be the end of the file or an error.
    pub readable: bool,
    pub writable: bool,
    /// The other end is gone, or the descriptor is in error.
    pub hangup: bool,
}

type Callback = Box<dyn FnMut(Ready) -> Interest + Send>;

struct Entry {
    fd: Arc<OwnedFd>,
    callback: Mutex<Callback>,
    dead: AtomicBool,
}

struct State {
    entries: HashMap<u64, Arc<Entry>>,
    next: u64,
    /// What the loop's thread is calling.
    running: Option<u64>,
}

struct Shared {
    epoll: OwnedFd,
    wake: OwnedFd,
    state: Mutex<State>,
    idle: Condvar,
    thread: Mutex<Option<ThreadId>>,
    stop: AtomicBool,
}

/// The machine's event loop; clones are the same one.
#[derive(Clone)]
pub struct EventLoop(Arc<Shared>);

/// A watched descriptor; dropping it ends the watch.
#[must_use]
pub struct Watch {
    shared: Arc<Shared>,
    id: u64,
    entry: Arc<Entry>,
}

const WAKE: u64 = 0;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A callback that panicked has left nothing half done here.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl EventLoop {
    /// Starts the loop's thread.
    pub fn start() -> io::Result<EventLoop> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let shared = Arc::new(Shared {
            epoll,
            wake,
            state: Mutex::new(State {
                entries: HashMap::new(),
                next: WAKE + 1,
                running: None,
            }),
            idle: Condvar::new(),
            thread: Mutex::new(None),
            stop: AtomicBool::new(false),
        });
        let own = shared.clone();
        std::thread::Builder::new()
            .name("events".into())
            .stack_size(256 << 10)
            .spawn(move || own.run())?;
        Ok(EventLoop(shared))
    }

    /// Watches `fd`. The callback runs on the loop's thread and must not block; what it returns is waited for next.
    /// EPERM: the descriptor is a regular file or another kind that is always ready.
    pub fn watch(
        &self,
        fd: Arc<OwnedFd>,
        interest: Interest,
        callback: impl FnMut(Ready) -> Interest + Send + 'static,
    ) -> io::Result<Watch> {
        let entry = Arc::new(Entry {
            fd,
            callback: Mutex::new(Box::new(callback)),
            dead: AtomicBool::new(false),
        });
        let mut state = lock(&self.0.state);
        let id = state.next;
        state.next += 1;
        // Without any interest epoll would still tell of hang-ups, for ever: such a descriptor is put in when armed.
        epoll::add(
            &self.0.epoll,
            &*entry.fd,
            EventData::new_u64(id),
            interest.flags(),
        )?;
        if interest.is_none() {
            epoll::delete(&self.0.epoll, &*entry.fd)?;
        }
        state.entries.insert(id, entry.clone());
        Ok(Watch {
            shared: self.0.clone(),
            id,
            entry,
        })
    }

    /// Ends the loop's thread; watches stay silent from then on.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::SeqCst);
        // Full counter: it is awake already.
        let _full = rustix::io::write(&self.0.wake, &1u64.to_ne_bytes());
    }
}

impl Shared {
    fn run(&self) {
        *lock(&self.thread) = Some(std::thread::current().id());
        let mut events = Vec::with_capacity(64);
        while !self.stop.load(Ordering::SeqCst) {
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, buffer, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                let id = event.data.u64();
                if id != WAKE {
                    self.call(id, event.flags);
                }
            }
        }
    }

    fn call(&self, id: u64, flags: EventFlags) {
        let entry = {
            let mut state = lock(&self.state);
            let Some(entry) = state.entries.get(&id).cloned() else {
                return;
            };
            state.running = Some(id);
            entry
        };
        let hangup = flags.intersects(EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
        let ready = Ready {
            readable: flags.intersects(EventFlags::IN) || hangup,
            writable: flags.intersects(EventFlags::OUT) || hangup,
            hangup,
        };
        if !entry.dead.load(Ordering::SeqCst) {
            let next = (lock(&entry.callback))(ready);
            if !next.is_none() && !entry.dead.load(Ordering::SeqCst) {
                self.arm(id, &entry.fd, next);
            }
        }
        lock(&self.state).running = None;
        self.idle.notify_all();
    }

    fn arm(&self, id: u64, fd: &OwnedFd, interest: Interest) {
        let flags = interest.flags();
        let data = EventData::new_u64(id);
        if epoll::modify(&self.epoll, fd, data, flags).is_err() {
            // Not in the set: it was added without interest. A descriptor that can't be watched was refused at the start.
            let _refused = epoll::add(&self.epoll, fd, data, flags);
        }
    }
}

impl Watch {
    /// Waits for `interest` once; replaces what was waited for. From any thread.
    pub fn arm(&self, interest: Interest) {
        if !interest.is_none() && !self.entry.dead.load(Ordering::SeqCst) {
            self.shared.arm(self.id, &self.entry.fd, interest);
        }
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.entry.fd
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.entry.dead.store(true, Ordering::SeqCst);
        // It may not be in the set at this moment.
        let _absent = epoll::delete(&self.shared.epoll, self.entry.fd.as_fd());
        let mut state = lock(&self.shared.state);
        state.entries.remove(&self.id);
        let own_thread = *lock(&self.shared.thread) == Some(std::thread::current().id());
        while !own_thread && state.running == Some(self.id) {
            state = self
                .shared
                .idle
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn calls_back_once_for_each_arming_and_not_after_the_drop() {
        let events = EventLoop::start().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        let read = Arc::new(read);
        let (told, heard) = channel();
        let (from, _keep) = (read.clone(), read.clone());
        let watch = events
            .watch(read, Interest::READ, move |_| {
                let mut byte = [0];
                let got = rustix::io::read(&*from, &mut byte).unwrap();
                told.send((got, byte[0])).unwrap();
                Interest::NONE
            })
            .unwrap();
        let patience = Duration::from_secs(5);
        rustix::io::write(&write, b"ab").unwrap();
        assert_eq!(heard.recv_timeout(patience).unwrap(), (1, b'a'));
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        watch.arm(Interest::READ);
        assert_eq!(heard.recv_timeout(patience).unwrap(), (1, b'b'));
        drop(watch);
        rustix::io::write(&write, b"c").unwrap();
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        events.stop();
    }

    #[test]
    fn regular_files_are_refused() {
        let events = EventLoop::start().unwrap();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let refused = events.watch(Arc::new(file.into()), Interest::READ, |_| Interest::NONE);
        assert_eq!(
            refused.err().and_then(|e| e.raw_os_error()),
            Some(libc::EPERM)
        );
        events.stop();
    }
}
