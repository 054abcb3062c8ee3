//! How Unix sockets come together: bind, connect, listen, accept, pairs.

use super::address::{self, Address, Name};
use super::{Kind, Phase, SHUT_RECEIVE, UnixSocket};
use crate::error::{Result, err};
use crate::ipc::socket::{deadline, options::Flag, wait};
use crate::sched;
use crate::task::{Task, pids};
use crate::vfs::perm::{MAY_WRITE, path_permission};
use crate::vfs::{self, Actor, InodeKind, LookupFlags};
use abi::errno::Errno;
use abi::fs::AT_FDCWD;
use abi::net::{AF_UNSPEC, Ucred};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Who is at the other end: SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD.
#[derive(Clone)]
pub(super) struct PeerIdentity {
    pub cred: Ucred,
    pub groups: Arc<[u32]>,
    pub leader: Weak<Task>,
}

fn identity(task: &Task) -> PeerIdentity {
    let cred = task.cred();
    let leader = pids().task(task.pid());
    PeerIdentity {
        cred: Ucred {
            pid: task.pid() as i32,
            uid: cred.euid,
            gid: cred.egid,
        },
        groups: cred.groups.iter().copied().collect(),
        leader: leader.map_or_else(Weak::new, |task| Arc::downgrade(&task)),
    }
}

impl UnixSocket {
    /// Whether the two are connected with each other, seen from `other`.
    pub(super) fn is_peer_of(&self, other: &UnixSocket) -> bool {
        other.peer().is_some_and(|peer| peer.is(self))
    }

    pub(super) fn do_bind(&self, addr: &[u8]) -> Result<()> {
        let me = self.arc();
        let name = Name::parse(addr, true)?;
        let _held = self.binder.lock();
        if self.address().is_some() {
            // An automatic address asked for again is no error.
            return match name {
                Name::Auto => Ok(()),
                _ => err(Errno::EINVAL),
            };
        }
        let address = match name {
            Name::Auto => Address::bind_auto(&me)?,
            Name::Abstract(name) => Address::bind_abstract(&me, name)?,
            Name::Path(name) => {
                let actor = Actor::of(&sched::current());
                let made = vfs::create::mknod(&actor, None, &name, InodeKind::Socket, 0o777, 0);
                let path = made.map_err(|e| match e.errno() {
                    Errno::EEXIST => Errno::EADDRINUSE.into(),
                    _ => e,
                })?;
                Address::bind_path(&me, &name, path)?
            }
        };
        self.state.lock().address = Some(address);
        Ok(())
    }

    /// A sender that wants to be known by credentials gets an address: unix_autobind().
    fn bind_if_named(&self) -> Result<()> {
        if self.options.get(Flag::PassCred) && self.address().is_none() {
            let _held = self.binder.lock();
            if self.address().is_none() {
                let address = Address::bind_auto(&self.arc())?;
                self.state.lock().address = Some(address);
            }
        }
        Ok(())
    }

    /// unix_find_other(): ECONNREFUSED, EPROTOTYPE, EACCES, and what the path walk says.
    fn find(&self, name: Name) -> Result<Arc<UnixSocket>> {
        let found = match name {
            Name::Abstract(name) => address::find_abstract(self.kind, name),
            Name::Auto => None,
            Name::Path(name) => {
                let task = sched::current();
                let path = vfs::lookup(&task, AT_FDCWD, &name, LookupFlags::FOLLOW)?;
                path_permission(&task.cred(), &path, MAY_WRITE)?;
                if path.inode().kind() != InodeKind::Socket {
                    return err(Errno::ECONNREFUSED);
                }
                address::find_path(&path)?
            }
        };
        let found = found.ok_or(Errno::ECONNREFUSED)?;
        if found.kind != self.kind {
            return err(Errno::EPROTOTYPE);
        }
        Ok(found)
    }

    /// Finds the destination of a datagram.
    pub(super) fn find_destination(&self, addr: &[u8]) -> Result<Arc<UnixSocket>> {
        let name = Name::parse(addr, false)?;
        self.bind_if_named()?;
        self.find(name)
    }

    pub(super) fn connect_stream(&self, addr: &[u8], nonblock: bool) -> Result<()> {
        let name = Name::parse(addr, false)?;
        self.bind_if_named()?;
        let me = self.arc();
        let task = sched::current();
        let listener = self.find(name)?;
        let at = deadline(nonblock, self.options.sndtimeo.load(Ordering::Relaxed));
        let embryo = UnixSocket::new(self.kind);
        embryo.set_phase(Phase::Connected);
        loop {
            if listener.phase() != Phase::Listening || listener.is_shut(SHUT_RECEIVE) {
                return err(Errno::ECONNREFUSED);
            }
            if listener.is_crowded() {
                if nonblock {
                    return err(Errno::EAGAIN);
                }
                wait(&listener.peer_wait, at, || {
                    let go = !listener.is_crowded()
                        || listener.phase() != Phase::Listening
                        || listener.is_shut(SHUT_RECEIVE);
                    go.then_some(())
                })?;
                continue;
            }
            let (address, listen_identity) = {
                let state = listener.state.lock();
                (state.address.clone(), state.listen_identity.clone())
            };
            {
                let mut theirs = embryo.state.lock();
                theirs.address = address;
                theirs.peer = Some(me.clone());
                theirs.peer_identity = Some(identity(&task));
            }
            let mut state = self.state.lock();
            match self.phase() {
                Phase::Closed if state.peer.is_none() => {}
                Phase::Listening => return err(Errno::EINVAL),
                _ => return err(Errno::EISCONN),
            }
            let mut queue = listener.queue.lock();
            if queue.dead || listener.phase() != Phase::Listening {
                continue;
            }
            if UnixSocket::queue_len(&queue) > listener.backlog.load(Ordering::Relaxed) {
                continue;
            }
            queue.pending.push_back(embryo.clone());
            state.peer = Some(embryo.clone());
            state.peer_identity = listen_identity;
            self.set_phase(Phase::Connected);
            drop(queue);
            drop(state);
            listener.told_data();
            return Ok(());
        }
    }

    pub(super) fn connect_datagram(&self, addr: &[u8], _nonblock: bool) -> Result<()> {
        let family = addr.get(..2).ok_or(Errno::EINVAL)?;
        let new = if family == AF_UNSPEC.to_ne_bytes() {
            None
        } else {
            let other = self.find_destination(addr)?;
            if !self.may_send_to(&other) {
                return err(Errno::EPERM);
            }
            Some(other)
        };
        let phase = if new.is_some() {
            Phase::Connected
        } else {
            Phase::Closed
        };
        let old = {
            let mut state = self.state.lock();
            self.set_phase(phase);
            std::mem::replace(&mut state.peer, new.clone())
        };
        if let Some(old) = old
            && !new.is_some_and(|new| new.is(&old))
        {
            self.disconnected(&old);
        }
        self.told_change();
        Ok(())
    }

    /// unix_dgram_disconnected(): what the old peer sent is thrown away, and it hears of it.
    fn disconnected(&self, old: &UnixSocket) {
        let packets = std::mem::take(&mut self.queue.lock().packets);
        if packets.is_empty() {
            return;
        }
        drop(packets);
        self.peer_wait.wake_all();
        if self.is_peer_of(old) {
            old.fail_later(Errno::ECONNRESET);
            old.told_change();
        }
    }

    /// A connected datagram socket takes only from its peer: unix_may_send().
    pub(super) fn may_send_to(&self, other: &UnixSocket) -> bool {
        other.peer().is_none_or(|peer| peer.is(self))
    }

    pub(super) fn do_listen(&self, backlog: u32) -> Result<()> {
        if self.kind == Kind::Datagram {
            return err(Errno::EOPNOTSUPP);
        }
        let identity = identity(&sched::current());
        let grown = {
            let mut state = self.state.lock();
            if state.address.is_none() || self.phase() == Phase::Connected {
                return err(Errno::EINVAL);
            }
            let old = self.backlog.swap(backlog as usize, Ordering::SeqCst);
            self.set_phase(Phase::Listening);
            state.listen_identity = Some(identity.clone());
            state.peer_identity = Some(identity);
            old < backlog as usize
        };
        if grown {
            self.peer_wait.wake_all();
        }
        Ok(())
    }

    pub(super) fn do_accept(&self, nonblock: bool) -> Result<Arc<UnixSocket>> {
        if self.kind == Kind::Datagram {
            return err(Errno::EOPNOTSUPP);
        }
        if self.phase() != Phase::Listening {
            return err(Errno::EINVAL);
        }
        let pop = || self.queue.lock().pending.pop_front();
        let next = match pop() {
            Some(next) => next,
            None => {
                self.check_error()?;
                if nonblock {
                    return err(Errno::EAGAIN);
                }
                let at = deadline(false, self.options.rcvtimeo.load(Ordering::Relaxed));
                let next = wait(&self.wait, at, || match pop() {
                    Some(next) => Some(Some(next)),
                    None if self.is_shut(SHUT_RECEIVE) => Some(None),
                    None => None,
                })?;
                next.ok_or(Errno::EINVAL)?
            }
        };
        self.peer_wait.wake_all();
        for flag in [Flag::PassCred, Flag::PassSec, Flag::PassPidfd] {
            next.options.set(flag, self.options.get(flag));
        }
        Ok(next)
    }

    pub(super) fn do_pair(&self, other: &UnixSocket) {
        let identity = identity(&sched::current());
        for (one, two) in [(self, other), (other, self)] {
            let mut state = one.state.lock();
            state.peer = Some(two.arc());
            state.peer_identity = Some(identity.clone());
            one.set_phase(Phase::Connected);
        }
    }
}
