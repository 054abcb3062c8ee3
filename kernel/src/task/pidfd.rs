//! Process descriptors: pidfd_open(2), CLONE_PIDFD (kernel/pid.c, fs/pidfs.c).

use super::{Context, Pid, Task, ThreadGroup};
use crate::error::{Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::sync::PollTable;
use crate::user::UserPtr;
use crate::vfs::{
    File, FileOps, Inode, InodeKind, Metadata, PollEvents, Pseudo, PseudoInode, SetAttr,
    pseudo_path,
};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::task::{
    PIDFD_GET_INFO_NR, PIDFD_INFO_CREDS, PIDFD_INFO_EXIT, PIDFD_INFO_PID, PIDFD_IOCTL_TYPE,
    PidfdInfo, RLIMIT_NOFILE,
};
use std::any::Any;
use std::sync::{Arc, Weak};

/// A descriptor of a process, or of one thread of it (PIDFD_THREAD).
pub struct PidFd {
    pub task: Arc<Task>,
    pub thread: bool,
}

impl PidFd {
    fn group(&self) -> &Arc<ThreadGroup> {
        &self.task.group
    }

    /// Whether it has been reaped.
    pub fn is_gone(&self) -> bool {
        let group = self.group();
        if self.thread && !self.task.is_leader() {
            return !group.threads().iter().any(|t| Arc::ptr_eq(t, &self.task));
        }
        group.leader().is_none()
    }

    /// Whether it has ended.
    fn has_ended(&self) -> bool {
        // A leader has ended with its process.
        if self.thread && !self.task.is_leader() {
            let group = self.group();
            return !group.threads().iter().any(|t| Arc::ptr_eq(t, &self.task));
        }
        self.group().is_zombie()
    }

    /// PIDFD_GET_INFO: fs/pidfs.c:pidfd_info(). ESRCH once it is reaped, unless its end is asked for.
    fn info(&self, asked: u64) -> Result<PidfdInfo> {
        let mut told = PidfdInfo::default();
        let group = self.group();
        if self.is_gone() {
            let status = group.inner.lock().zombie;
            let Some(status) = status.filter(|_| asked & PIDFD_INFO_EXIT != 0) else {
                return err(Errno::ESRCH);
            };
            told.mask = PIDFD_INFO_EXIT;
            told.exit_code = status.wait_status();
            return Ok(told);
        }
        let cred = self.task.cred();
        told.mask = PIDFD_INFO_PID | PIDFD_INFO_CREDS;
        (told.pid, told.tgid, told.ppid) = (self.task.tid(), group.pid(), group.ppid());
        (told.ruid, told.euid, told.suid, told.fsuid) =
            (cred.uid, cred.euid, cred.suid, cred.fsuid);
        (told.rgid, told.egid, told.sgid, told.fsgid) =
            (cred.gid, cred.egid, cred.sgid, cred.fsgid);
        Ok(told)
    }

    /// The process's number; ESRCH when it is reaped.
    pub fn pid(&self) -> Result<Pid> {
        if self.is_gone() {
            return err(Errno::ESRCH);
        }
        Ok(self.group().pid())
    }
}

impl FileOps for PidFd {
    fn positional(&self) -> bool {
        true
    }

    fn can_poll(&self, _file: &File) -> bool {
        true
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.group().exit_wait);
        }
        if self.is_gone() {
            PollEvents::READABLE | PollEvents::HUP
        } else if self.has_ended() {
            PollEvents::READABLE
        } else {
            PollEvents::empty()
        }
    }

    fn ioctl(&self, _file: &File, _cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        let (kind, nr, size) = (cmd >> 8 & 0xff, cmd & 0xff, (cmd >> 16 & 0x3fff) as usize);
        if kind != PIDFD_IOCTL_TYPE || nr != PIDFD_GET_INFO_NR {
            return err(Errno::ENOTTY);
        }
        if arg == 0 || size < size_of::<PidfdInfo>() {
            return err(Errno::EINVAL);
        }
        let at = UserPtr::<PidfdInfo>::new(arg);
        let asked = at.cast::<u64>().read()?;
        at.write(&self.info(asked)?)?;
        Ok(0)
    }

    fn fdinfo(&self, _file: &File) -> String {
        let pid = self.pid().map_or(-1, |pid| pid as i32);
        format!("Pid:\t{pid}\nNSpid:\t{pid}\n")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A descriptor file of `task`. `flags`: O_NONBLOCK counts.
pub fn open(task: &Arc<Task>, thread: bool, flags: OpenFlags) -> Arc<File> {
    let ops = PidFd {
        task: task.clone(),
        thread,
    };
    let inode = task.pidfs.get_or_init(|| PidInode::new(task)).clone();
    File::new(
        pseudo_path(Pseudo::Pid, b"anon_inode:[pidfd]", inode),
        Box::new(ops),
        OpenFlags::O_RDWR | (flags & OpenFlags::O_NONBLOCK),
    )
}

/// A task's inode in pidfs: the same number means the same task.
pub struct PidInode {
    task: Weak<Task>,
    node: Arc<PseudoInode>,
}

impl PidInode {
    fn new(task: &Arc<Task>) -> Arc<PidInode> {
        let dev = Pseudo::Pid.dev();
        Arc::new(PidInode {
            task: Arc::downgrade(task),
            node: PseudoInode::new(InodeKind::Regular, 0o700, dev, 0, 0),
        })
    }
}

impl Inode for PidInode {
    fn metadata(&self) -> Result<Metadata> {
        self.node.metadata()
    }

    fn kind(&self) -> InodeKind {
        InodeKind::Regular
    }

    fn set_attr(&self, _attr: &SetAttr) -> Result<()> {
        err(Errno::EOPNOTSUPP)
    }

    fn open(self: Arc<Self>, _flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        let task = self.task.upgrade().ok_or(Errno::ESRCH)?;
        let thread = !task.is_leader();
        Ok(Box::new(PidFd { task, thread }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Puts a new descriptor, close-on-exec, into the table of `caller`. EMFILE, ENFILE.
pub fn install(caller: &Task, task: &Arc<Task>, thread: bool, flags: OpenFlags) -> Result<i32> {
    check_file_max(caller, 0)?;
    let file = open(task, thread, flags);
    let limit = caller.group.rlimit(RLIMIT_NOFILE as usize);
    caller.files().install(file, true, 0, limit)
}

/// The process or thread behind descriptor `fd`. EBADF.
pub fn get(task: &Task, fd: i32) -> Result<Arc<File>> {
    let file = task.files().get(fd)?;
    if file.ops_as::<PidFd>().is_none() {
        return err(Errno::EBADF);
    }
    Ok(file)
}
