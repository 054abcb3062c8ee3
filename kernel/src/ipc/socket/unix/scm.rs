//! Control messages of Unix sockets: descriptors and credentials (net/core/scm.c).

use super::UnixSocket;
use super::rights::Rights;
use crate::error::{Result, err};
use crate::ipc::socket::{Incoming, options::Flag};
use crate::sched;
use crate::task::{Task, pidfd, pids};
use crate::vfs::File;
use abi::cap::{CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::net::*;
use abi::task::RLIMIT_NOFILE;
use abi::time::{Timespec, Timeval};
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

/// Users and groups that aren't known (/proc/sys/kernel/overflowuid).
const OVERFLOW_ID: u32 = 65534;

/// What a sender attaches.
#[derive(Default)]
pub struct Attached {
    pub files: Vec<Arc<File>>,
    pub creds: Option<Ucred>,
}

impl Attached {
    /// The files as descriptors in flight. ETOOMANYREFS.
    pub fn take_rights(&mut self, task: &Task) -> Result<Option<Rights>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rights::new(std::mem::take(&mut self.files), task)?))
    }

    /// The credentials to send: those given, or the sender's own when a side asks for them.
    pub fn creds_for(&self, task: &Task, from: &UnixSocket, to: &UnixSocket) -> Option<Ucred> {
        let wanted = [from, to].iter().any(|side| asks_for_sender(side));
        self.creds.or_else(|| wanted.then(|| own(task)))
    }
}

/// Whether a socket tells its reader who sent: unix_may_passcred().
pub fn asks_for_sender(socket: &UnixSocket) -> bool {
    socket.options.get(Flag::PassCred) || socket.options.get(Flag::PassPidfd)
}

fn own(task: &Task) -> Ucred {
    let cred = task.cred();
    Ucred {
        pid: task.pid() as i32,
        uid: cred.uid,
        gid: cred.gid,
    }
}

/// Reads what a program attached. EINVAL, EBADF, EPERM, ESRCH.
pub fn parse(task: &Task, control: &[u8]) -> Result<Attached> {
    let mut attached = Attached::default();
    let mut at = 0;
    while at + size_of::<Cmsghdr>() <= control.len() {
        let (header, data, next) = cmsg_at(control, at).ok_or(Errno::EINVAL)?;
        at = next;
        if header.cmsg_level != SOL_SOCKET as i32 {
            continue;
        }
        match header.cmsg_type {
            SCM_RIGHTS => {
                let count = data.len() / 4;
                if attached.files.len() + count > SCM_MAX_FD {
                    return err(Errno::EINVAL);
                }
                let table = task.files();
                for fd in data.chunks_exact(4) {
                    let fd = i32::from_ne_bytes([fd[0], fd[1], fd[2], fd[3]]);
                    attached.files.push(table.get_any(fd)?);
                }
            }
            SCM_CREDENTIALS => {
                let creds = Ucred::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                check(task, creds)?;
                attached.creds = Some(creds);
            }
            _ => return err(Errno::EINVAL),
        }
    }
    Ok(attached)
}

/// net/core/scm.c:scm_check_creds().
fn check(task: &Task, claimed: Ucred) -> Result<()> {
    let cred = task.cred();
    let pid_ok = claimed.pid == task.pid() as i32 || cred.capable(CAP_SYS_ADMIN);
    let uid_ok =
        [cred.uid, cred.euid, cred.suid].contains(&claimed.uid) || cred.capable(CAP_SETUID);
    let gid_ok =
        [cred.gid, cred.egid, cred.sgid].contains(&claimed.gid) || cred.capable(CAP_SETGID);
    if !(pid_ok && uid_ok && gid_ok) {
        return err(Errno::EPERM);
    }
    let exists = u32::try_from(claimed.pid).is_ok_and(|pid| pids().task(pid).is_some());
    if !exists {
        return err(Errno::ESRCH);
    }
    Ok(())
}

/// Hands the receiver what came with its bytes: scm_recv_unix().
pub fn deliver(
    socket: &UnixSocket,
    message: &mut Incoming<'_>,
    creds: Option<Ucred>,
    files: Vec<Arc<File>>,
) {
    if socket.options.get(Flag::PassCred) {
        let creds = creds.unwrap_or(Ucred {
            pid: 0,
            uid: OVERFLOW_ID,
            gid: OVERFLOW_ID,
        });
        message.put_control(SOL_SOCKET, SCM_CREDENTIALS, creds.as_bytes());
    }
    if !files.is_empty() {
        deliver_files(message, files);
    }
    if socket.options.get(Flag::PassPidfd) {
        deliver_pidfd(message, creds);
    }
}

/// net/core/scm.c:scm_pidfd_recv(): an error takes the descriptor's place.
fn deliver_pidfd(message: &mut Incoming<'_>, creds: Option<Ucred>) {
    if message.control.data_room().unwrap_or(0) < size_of::<i32>() {
        message.out_flags |= MsgFlags::MSG_CTRUNC;
        return;
    }
    let sender = creds
        .and_then(|creds| u32::try_from(creds.pid).ok())
        .and_then(|pid| pids().task(pid));
    let fd = match sender {
        Some(sender) => pidfd::install(&sched::current(), &sender, false, OpenFlags::empty())
            .unwrap_or_else(|e| -i32::from(e.errno().0)),
        None => -i32::from(Errno::ESRCH.0),
    };
    message.put_control(SOL_SOCKET, SCM_PIDFD, fd.as_bytes());
}

/// SO_TIMESTAMP and SO_TIMESTAMPNS: when a datagram was sent (net/socket.c:__sock_recv_timestamp()).
pub fn deliver_time(socket: &UnixSocket, message: &mut Incoming<'_>, sent_ns: u64) {
    let ns = sent_ns as i64;
    if socket.options.get(Flag::TimestampNs) {
        let at = Timespec::from_nanos(ns);
        message.put_control(SOL_SOCKET, SO_TIMESTAMPNS_OLD as i32, at.as_bytes());
    } else if socket.options.get(Flag::Timestamp) {
        let at = Timeval::from_nanos(ns);
        message.put_control(SOL_SOCKET, SO_TIMESTAMP_OLD as i32, at.as_bytes());
    }
}

/// net/core/scm.c:scm_detach_fds(): as many as fit and as there are numbers for; the rest is closed.
fn deliver_files(message: &mut Incoming<'_>, files: Vec<Arc<File>>) {
    let room = message.control.data_room().map_or(0, |bytes| bytes / 4);
    let task = sched::current();
    let table = task.files();
    let limit = task.group.rlimit(RLIMIT_NOFILE as usize);
    let cloexec = message.flags.contains(MsgFlags::MSG_CMSG_CLOEXEC);
    let count = files.len();
    let mut fds: Vec<i32> = Vec::new();
    for file in files.into_iter().take(room) {
        match table.install(file, cloexec, 0, limit) {
            Ok(fd) => fds.push(fd),
            Err(_) => break,
        }
    }
    if !fds.is_empty() {
        message.put_control(SOL_SOCKET, SCM_RIGHTS, fds.as_bytes());
    }
    if fds.len() < count {
        message.out_flags |= MsgFlags::MSG_CTRUNC;
    }
}
