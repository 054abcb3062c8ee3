//! Credentials: who a task acts as. Immutable once made; a change replaces the whole (kernel/cred.c).

use abi::cap;

/// A set of capabilities, bit n for capability n.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CapSet(pub u64);

impl CapSet {
    pub const EMPTY: CapSet = CapSet(0);
    /// Every capability up to CAP_LAST_CAP.
    pub const FULL: CapSet = CapSet(cap::CAP_FULL_SET);

    pub fn has(self, cap: u32) -> bool {
        self.0 & (1 << cap) != 0
    }
}

/// `struct cred`.
#[derive(Clone, Debug)]
pub struct Cred {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub groups: Vec<u32>,
    pub inheritable: CapSet,
    pub permitted: CapSet,
    pub effective: CapSet,
    pub bounding: CapSet,
    pub ambient: CapSet,
    pub securebits: u32,
    pub no_new_privs: bool,
}

impl Cred {
    /// What init starts with.
    pub fn root() -> Cred {
        Cred {
            uid: 0,
            euid: 0,
            suid: 0,
            fsuid: 0,
            gid: 0,
            egid: 0,
            sgid: 0,
            fsgid: 0,
            groups: Vec::new(),
            inheritable: CapSet::EMPTY,
            permitted: CapSet::FULL,
            effective: CapSet::FULL,
            bounding: CapSet::FULL,
            ambient: CapSet::EMPTY,
            securebits: 0,
            no_new_privs: false,
        }
    }

    /// Whether capability `cap` (CAP_*) is effective.
    pub fn capable(&self, cap: u32) -> bool {
        self.effective.has(cap)
    }

    /// Whether `gid` is the file-system group or a supplementary one.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }

    /// Whether `gid` is the effective group or a supplementary one.
    pub fn in_egroup(&self, gid: u32) -> bool {
        self.egid == gid || self.groups.contains(&gid)
    }
}

/// Which of the caller's ids and capabilities count: PTRACE_MODE_FSCREDS and PTRACE_MODE_REALCREDS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acting {
    /// Those of the file system's user, for files of /proc.
    FileSystem,
    /// The real ones, for system calls.
    Real,
}

/// Whether `task` may look into `target`: kernel/ptrace.c:__ptrace_may_access(), where reading and attaching are the same
/// without Yama.
pub fn may_inspect(task: &super::Task, target: &super::Task, by: Acting) -> bool {
    if std::ptr::eq(&*task.group, &*target.group) {
        return true;
    }
    let (cred, other) = (task.cred(), target.cred());
    if cred.capable(cap::CAP_SYS_PTRACE) {
        return true;
    }
    let (uid, gid, rights) = match by {
        Acting::FileSystem => (cred.fsuid, cred.fsgid, cred.effective),
        Acting::Real => (cred.uid, cred.gid, cred.permitted),
    };
    let same = [other.euid, other.suid, other.uid] == [uid; 3]
        && [other.egid, other.sgid, other.gid] == [gid; 3];
    same && target.is_dumpable() && other.permitted.0 & !rights.0 == 0
}
