//! System V IPC and POSIX message queues.

abi_struct! {
    /// `struct ipc64_perm`.
    pub struct Ipc64Perm [48] {
        pub key: i32,
        pub uid: u32,
        pub gid: u32,
        pub cuid: u32,
        pub cgid: u32,
        pub mode: u32,
        pub seq: u16,
        pub _pad0: u16,
        pub _pad1: u32,
        pub _unused: [u64; 2],
    }

    /// `struct msqid64_ds`. Times are seconds.
    pub struct Msqid64Ds [120] {
        pub msg_perm: Ipc64Perm,
        pub msg_stime: i64,
        pub msg_rtime: i64,
        pub msg_ctime: i64,
        /// Bytes in the queue.
        pub msg_cbytes: u64,
        pub msg_qnum: u64,
        /// Most bytes it may hold.
        pub msg_qbytes: u64,
        pub msg_lspid: i32,
        pub msg_lrpid: i32,
        pub _unused: [u64; 2],
    }

    /// `struct shmid64_ds`. Times are seconds.
    pub struct Shmid64Ds [112] {
        pub shm_perm: Ipc64Perm,
        /// Bytes.
        pub shm_segsz: u64,
        pub shm_atime: i64,
        pub shm_dtime: i64,
        pub shm_ctime: i64,
        pub shm_cpid: i32,
        pub shm_lpid: i32,
        pub shm_nattch: u64,
        pub _unused: [u64; 2],
    }

    /// `struct semid64_ds` of x86-64. Times are seconds.
    pub struct Semid64Ds [104] {
        pub sem_perm: Ipc64Perm,
        pub sem_otime: i64,
        pub _unused1: u64,
        pub sem_ctime: i64,
        pub _unused2: u64,
        pub sem_nsems: u64,
        pub _unused3: [u64; 2],
    }

    /// `struct sembuf`.
    pub struct Sembuf [6] {
        pub sem_num: u16,
        pub sem_op: i16,
        /// `IPC_NOWAIT`, [`SEM_UNDO`].
        pub sem_flg: i16,
    }

    /// `struct seminfo`.
    pub struct Seminfo [40] {
        pub semmap: i32,
        pub semmni: i32,
        pub semmns: i32,
        pub semmnu: i32,
        pub semmsl: i32,
        pub semopm: i32,
        pub semume: i32,
        pub semusz: i32,
        pub semvmx: i32,
        pub semaem: i32,
    }

    /// `struct shminfo64`; `shmall` is pages, `shmmax` and `shmmin` bytes.
    pub struct Shminfo64 [72] {
        pub shmmax: u64,
        pub shmmin: u64,
        pub shmmni: u64,
        pub shmseg: u64,
        pub shmall: u64,
        pub _unused: [u64; 4],
    }

    /// `struct shm_info`, pages.
    pub struct ShmInfo [48] {
        pub used_ids: i32,
        pub _pad: u32,
        pub shm_tot: u64,
        pub shm_rss: u64,
        pub shm_swp: u64,
        pub swap_attempts: u64,
        pub swap_successes: u64,
    }

    /// `struct msginfo`.
    pub struct Msginfo [32] {
        pub msgpool: i32,
        pub msgmap: i32,
        pub msgmax: i32,
        pub msgmnb: i32,
        pub msgmni: i32,
        pub msgssz: i32,
        pub msgtql: i32,
        pub msgseg: u16,
        pub _pad: u16,
    }

    /// `struct mq_attr`.
    pub struct MqAttr [64] {
        /// `O_NONBLOCK` or 0.
        pub mq_flags: i64,
        pub mq_maxmsg: i64,
        /// Bytes.
        pub mq_msgsize: i64,
        pub mq_curmsgs: i64,
        pub _reserved: [i64; 4],
    }
}

/// Key of an object that only its id leads to.
pub const IPC_PRIVATE: i32 = 0;
flags! {
    /// Flags of the `*get` calls and of operations.
    pub struct IpcFlags: u32 {
        const IPC_CREAT = 0o1000;
        const IPC_EXCL = 0o2000;
        const IPC_NOWAIT = 0o4000;
    }
}
consts! {
    /// Commands of all `*ctl` calls.
    IPC_CMDS: u32 {
        IPC_RMID = 0;
        IPC_SET = 1;
        IPC_STAT = 2;
        IPC_INFO = 3;
    }
}
/// Mark in a `*ctl` command, to be ignored: the 64-bit structs are the only ones here.
pub const IPC_64: u32 = 0x100;
consts! {
    /// Commands of `msgctl`.
    MSG_CMDS: u32 {
        MSG_STAT = 11;
        MSG_INFO = 12;
        MSG_STAT_ANY = 13;
    }
}
flags! {
    /// Flags of `msgrcv`.
    pub struct MsgRcvFlags: u32 {
        const MSG_NOERROR = 0o10000;
        const MSG_EXCEPT = 0o20000;
        const MSG_COPY = 0o40000;
    }
}
consts! {
    /// Commands of `semctl`.
    SEM_CMDS: u32 {
        GETPID = 11;
        GETVAL = 12;
        GETALL = 13;
        GETNCNT = 14;
        GETZCNT = 15;
        SETVAL = 16;
        SETALL = 17;
        SEM_STAT = 18;
        SEM_INFO = 19;
        SEM_STAT_ANY = 20;
    }
}
/// `sem_flg`: undone when the process ends.
pub const SEM_UNDO: i16 = 0x1000;
/// Largest value of a semaphore.
pub const SEMVMX: i32 = 32767;
consts! {
    /// Commands of `shmctl`.
    SHM_CMDS: u32 {
        SHM_LOCK = 11;
        SHM_UNLOCK = 12;
        SHM_STAT = 13;
        SHM_INFO = 14;
        SHM_STAT_ANY = 15;
    }
}
flags! {
    /// Flags of `shmget` (huge pages, no reserve) and `shmat`.
    pub struct ShmFlags: u32 {
        const SHM_HUGETLB = 0o4000;
        const SHM_RDONLY = 0o10000;
        const SHM_RND = 0o20000;
        const SHM_REMAP = 0o40000;
        const SHM_EXEC = 0o100000;
    }
}
/// `shmget`: reserve no memory (the bit that is `SHM_RDONLY` for `shmat`).
pub const SHM_NORESERVE: u32 = 0o10000;
flags! {
    /// State in `shm_perm.mode`.
    pub struct ShmMode: u32 {
        const SHM_DEST = 0o1000;
        const SHM_LOCKED = 0o2000;
    }
}
/// Highest priority of a message, plus 1.
pub const MQ_PRIO_MAX: u32 = 32768;
