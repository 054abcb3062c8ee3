//! Tasks: making them, waiting for them, their limits and attributes, and what the machine says of itself.
//!
//! Scheduling is in [`crate::sched`], futexes in [`crate::futex`], capabilities in [`crate::cap`], seccomp in
//! [`crate::seccomp`].

pub use crate::cap::*;
pub use crate::futex::*;
pub use crate::sched::*;
pub use crate::seccomp::*;

flags! {
    /// Flags of `clone`, `clone3`, `unshare`, `setns`. `CLONE_NEWTIME` lies in the byte where `clone` has the exit signal, so `clone` can't say it.
    pub struct CloneFlags: u64 {
        const CLONE_NEWTIME = 0x80;
        const CLONE_VM = 0x100;
        const CLONE_FS = 0x200;
        const CLONE_FILES = 0x400;
        const CLONE_SIGHAND = 0x800;
        const CLONE_PIDFD = 0x1000;
        const CLONE_PTRACE = 0x2000;
        const CLONE_VFORK = 0x4000;
        const CLONE_PARENT = 0x8000;
        const CLONE_THREAD = 0x10000;
        const CLONE_NEWNS = 0x20000;
        const CLONE_SYSVSEM = 0x40000;
        const CLONE_SETTLS = 0x80000;
        const CLONE_PARENT_SETTID = 0x100000;
        const CLONE_CHILD_CLEARTID = 0x200000;
        const CLONE_DETACHED = 0x400000;
        const CLONE_UNTRACED = 0x800000;
        const CLONE_CHILD_SETTID = 0x1000000;
        const CLONE_NEWCGROUP = 0x2000000;
        const CLONE_NEWUTS = 0x4000000;
        const CLONE_NEWIPC = 0x8000000;
        const CLONE_NEWUSER = 0x10000000;
        const CLONE_NEWPID = 0x20000000;
        const CLONE_NEWNET = 0x40000000;
        const CLONE_IO = 0x80000000;
        const CLONE_CLEAR_SIGHAND = 0x100000000;
        const CLONE_INTO_CGROUP = 0x200000000;
    }
}

/// The byte of `clone`'s flags that holds the exit signal.
pub const CSIGNAL: u64 = 0xff;

abi_struct! {
    /// `struct prctl_mm_map`.
    pub struct MmMap [104] {
        /// From start_code to env_end.
        pub marks: [u64; 11],
        pub auxv: u64,
        pub auxv_size: u32,
        pub exe_fd: u32,
    }
}

abi_struct! {
    /// `struct clone_args`.
    pub struct CloneArgs [88] {
        /// [`CloneFlags`] bits.
        pub flags: u64,
        pub pidfd: u64,
        pub child_tid: u64,
        pub parent_tid: u64,
        pub exit_signal: u64,
        /// Lowest byte of the stack.
        pub stack: u64,
        /// Bytes.
        pub stack_size: u64,
        pub tls: u64,
        pub set_tid: u64,
        /// Number of elements.
        pub set_tid_size: u64,
        /// File descriptor of a cgroup directory.
        pub cgroup: u64,
    }

    /// `struct rlimit`, `struct rlimit64`.
    pub struct Rlimit [16] {
        pub rlim_cur: u64,
        pub rlim_max: u64,
    }

    /// `struct new_utsname`: NUL-terminated strings.
    pub struct Utsname [390] {
        pub sysname: [u8; 65],
        pub nodename: [u8; 65],
        pub release: [u8; 65],
        pub version: [u8; 65],
        pub machine: [u8; 65],
        pub domainname: [u8; 65],
    }

    /// `struct sysinfo`.
    pub struct Sysinfo [112] {
        /// Seconds.
        pub uptime: i64,
        /// Over 1, 5 and 15 minutes, times 65,536.
        pub loads: [u64; 3],
        /// This and the next: units of `mem_unit` bytes.
        pub totalram: u64,
        pub freeram: u64,
        pub sharedram: u64,
        pub bufferram: u64,
        pub totalswap: u64,
        pub freeswap: u64,
        pub procs: u16,
        pub pad: u16,
        pub _pad0: u32,
        pub totalhigh: u64,
        pub freehigh: u64,
        pub mem_unit: u32,
        pub _pad1: u32,
    }

    /// `struct rseq`, the first published version.
    pub struct Rseq [32] {
        pub cpu_id_start: u32,
        pub cpu_id: u32,
        /// Address of the [`RseqCs`] the thread is in, or 0.
        pub rseq_cs: u64,
        pub flags: u32,
        pub node_id: u32,
        pub mm_cid: u32,
        pub _pad: u32,
    }

    /// `struct rseq_cs`.
    pub struct RseqCs [32] {
        pub version: u32,
        pub flags: u32,
        pub start_ip: u64,
        /// Bytes after `start_ip`.
        pub post_commit_offset: u64,
        pub abort_ip: u64,
    }

    /// `struct prctl_mm_map`.
    pub struct PrctlMmMap [104] {
        pub start_code: u64,
        pub end_code: u64,
        pub start_data: u64,
        pub end_data: u64,
        pub start_brk: u64,
        pub brk: u64,
        pub start_stack: u64,
        pub arg_start: u64,
        pub arg_end: u64,
        pub env_start: u64,
        pub env_end: u64,
        pub auxv: u64,
        /// Bytes.
        pub auxv_size: u32,
        pub exe_fd: u32,
    }

    /// `struct pidfd_info`, its first version.
    pub struct PidfdInfo [64] {
        /// PIDFD_INFO_* that is asked for, and that is told.
        pub mask: u64,
        pub cgroupid: u64,
        pub pid: u32,
        pub tgid: u32,
        pub ppid: u32,
        pub ruid: u32,
        pub rgid: u32,
        pub euid: u32,
        pub egid: u32,
        pub suid: u32,
        pub sgid: u32,
        pub fsuid: u32,
        pub fsgid: u32,
        /// As wait(2) tells it.
        pub exit_code: i32,
    }

    /// `struct kcmp_epoll_slot`.
    pub struct KcmpEpollSlot [12] {
        pub efd: u32,
        pub tfd: u32,
        pub toff: u32,
    }

    /// `struct user_regs_struct`: registers as ptrace and core dumps have them.
    pub struct UserRegs [216] {
        pub r15: u64,
        pub r14: u64,
        pub r13: u64,
        pub r12: u64,
        pub rbp: u64,
        pub rbx: u64,
        pub r11: u64,
        pub r10: u64,
        pub r9: u64,
        pub r8: u64,
        pub rax: u64,
        pub rcx: u64,
        pub rdx: u64,
        pub rsi: u64,
        pub rdi: u64,
        pub orig_rax: u64,
        pub rip: u64,
        pub cs: u64,
        pub eflags: u64,
        pub rsp: u64,
        pub ss: u64,
        pub fs_base: u64,
        pub gs_base: u64,
        pub ds: u64,
        pub es: u64,
        pub fs: u64,
        pub gs: u64,
    }
}

consts! {
    /// Sizes of the published versions of [`CloneArgs`], bytes.
    CLONE_ARGS_SIZES: usize {
        CLONE_ARGS_SIZE_VER0 = 64;
        CLONE_ARGS_SIZE_VER1 = 80;
        CLONE_ARGS_SIZE_VER2 = 88;
    }
}

flags! {
    /// Options of `wait4` and `waitid`.
    pub struct WaitFlags: u32 {
        const WNOHANG = 1;
        const WUNTRACED = 2;
        const WSTOPPED = 2;
        const WEXITED = 4;
        const WCONTINUED = 8;
        const WNOWAIT = 0x1000000;
        const __WNOTHREAD = 0x20000000;
        const __WALL = 0x40000000;
        const __WCLONE = 0x80000000;
    }
}
consts! {
    /// Whom `waitid` waits for.
    WAIT_ID: u32 {
        P_ALL = 0;
        P_PID = 1;
        P_PGID = 2;
        P_PIDFD = 3;
    }
}

/// Wait status of a process that called `exit(code)`.
pub const fn wait_exited(code: i32) -> i32 {
    (code & 0xff) << 8
}

/// Wait status of a process that a signal ended.
pub const fn wait_signaled(sig: i32, core: bool) -> i32 {
    sig & 0x7f | if core { 0x80 } else { 0 }
}

/// Wait status of a process that a signal stopped.
pub const fn wait_stopped(sig: i32) -> i32 {
    sig << 8 | 0x7f
}

/// Wait status of a process that goes on after a stop.
pub const WAIT_CONTINUED: i32 = 0xffff;

consts! {
    /// Resources of `getrlimit`.
    RLIMITS: u32 {
        RLIMIT_CPU = 0;
        RLIMIT_FSIZE = 1;
        RLIMIT_DATA = 2;
        RLIMIT_STACK = 3;
        RLIMIT_CORE = 4;
        RLIMIT_RSS = 5;
        RLIMIT_NPROC = 6;
        RLIMIT_NOFILE = 7;
        RLIMIT_MEMLOCK = 8;
        RLIMIT_AS = 9;
        RLIMIT_LOCKS = 10;
        RLIMIT_SIGPENDING = 11;
        RLIMIT_MSGQUEUE = 12;
        RLIMIT_NICE = 13;
        RLIMIT_RTPRIO = 14;
        RLIMIT_RTTIME = 15;
    }
}

/// Number of resources.
pub const RLIM_NLIMITS: usize = 16;
/// No limit.
pub const RLIM_INFINITY: u64 = !0;

consts! {
    /// `prctl` operations.
    PRCTL: u32 {
        PR_SET_PDEATHSIG = 1;
        PR_GET_PDEATHSIG = 2;
        PR_GET_DUMPABLE = 3;
        PR_SET_DUMPABLE = 4;
        PR_GET_UNALIGN = 5;
        PR_SET_UNALIGN = 6;
        PR_GET_KEEPCAPS = 7;
        PR_SET_KEEPCAPS = 8;
        PR_GET_FPEMU = 9;
        PR_SET_FPEMU = 10;
        PR_GET_FPEXC = 11;
        PR_SET_FPEXC = 12;
        PR_GET_TIMING = 13;
        PR_SET_TIMING = 14;
        PR_SET_NAME = 15;
        PR_GET_NAME = 16;
        PR_GET_ENDIAN = 19;
        PR_SET_ENDIAN = 20;
        PR_GET_SECCOMP = 21;
        PR_SET_SECCOMP = 22;
        PR_CAPBSET_READ = 23;
        PR_CAPBSET_DROP = 24;
        PR_GET_TSC = 25;
        PR_SET_TSC = 26;
        PR_GET_SECUREBITS = 27;
        PR_SET_SECUREBITS = 28;
        PR_SET_TIMERSLACK = 29;
        PR_GET_TIMERSLACK = 30;
        PR_TASK_PERF_EVENTS_DISABLE = 31;
        PR_TASK_PERF_EVENTS_ENABLE = 32;
        PR_MCE_KILL = 33;
        PR_MCE_KILL_GET = 34;
        PR_SET_MM = 35;
        PR_SET_CHILD_SUBREAPER = 36;
        PR_GET_CHILD_SUBREAPER = 37;
        PR_SET_NO_NEW_PRIVS = 38;
        PR_GET_NO_NEW_PRIVS = 39;
        PR_GET_TID_ADDRESS = 40;
        PR_SET_THP_DISABLE = 41;
        PR_GET_THP_DISABLE = 42;
        PR_MPX_ENABLE_MANAGEMENT = 43;
        PR_MPX_DISABLE_MANAGEMENT = 44;
        PR_SET_FP_MODE = 45;
        PR_GET_FP_MODE = 46;
        PR_CAP_AMBIENT = 47;
        PR_SVE_SET_VL = 50;
        PR_SVE_GET_VL = 51;
        PR_GET_SPECULATION_CTRL = 52;
        PR_SET_SPECULATION_CTRL = 53;
        PR_SET_TAGGED_ADDR_CTRL = 55;
        PR_GET_TAGGED_ADDR_CTRL = 56;
        PR_SET_IO_FLUSHER = 57;
        PR_GET_IO_FLUSHER = 58;
        PR_SET_SYSCALL_USER_DISPATCH = 59;
        PR_SCHED_CORE = 62;
        PR_SET_MDWE = 65;
        PR_GET_MDWE = 66;
        PR_SET_MEMORY_MERGE = 67;
        PR_GET_MEMORY_MERGE = 68;
        PR_GET_SHADOW_STACK_STATUS = 74;
        PR_SET_SHADOW_STACK_STATUS = 75;
        PR_FUTEX_HASH = 78;
        PR_GET_AUXV = 1096112214;
        PR_SET_VMA = 1398164801;
        PR_SET_PTRACER = 1499557217;
    }
}
consts! {
    /// Second argument of `PR_SET_MM`.
    PR_SET_MM_OPS: u32 {
        PR_SET_MM_START_CODE = 1;
        PR_SET_MM_END_CODE = 2;
        PR_SET_MM_START_DATA = 3;
        PR_SET_MM_END_DATA = 4;
        PR_SET_MM_START_STACK = 5;
        PR_SET_MM_START_BRK = 6;
        PR_SET_MM_BRK = 7;
        PR_SET_MM_ARG_START = 8;
        PR_SET_MM_ARG_END = 9;
        PR_SET_MM_ENV_START = 10;
        PR_SET_MM_ENV_END = 11;
        PR_SET_MM_AUXV = 12;
        PR_SET_MM_EXE_FILE = 13;
        PR_SET_MM_MAP = 14;
        PR_SET_MM_MAP_SIZE = 15;
    }
}
consts! {
    /// Second argument of `PR_CAP_AMBIENT`.
    PR_CAP_AMBIENT_OPS: u32 {
        PR_CAP_AMBIENT_IS_SET = 1;
        PR_CAP_AMBIENT_RAISE = 2;
        PR_CAP_AMBIENT_LOWER = 3;
        PR_CAP_AMBIENT_CLEAR_ALL = 4;
    }
}
consts! {
    /// Bits of `PR_SET_MDWE`.
    PR_MDWE: u32 {
        PR_MDWE_REFUSE_EXEC_GAIN = 1;
        PR_MDWE_NO_INHERIT = 2;
    }
}
consts! {
    /// Arguments of `PR_MCE_KILL`.
    PR_MCE: u64 {
        PR_MCE_KILL_CLEAR = 0;
        PR_MCE_KILL_SET = 1;
        PR_MCE_KILL_LATE = 0;
        PR_MCE_KILL_EARLY = 1;
        PR_MCE_KILL_DEFAULT = 2;
    }
}
/// Second argument of `PR_SET_VMA`: name a range of anonymous memory.
pub const PR_SET_VMA_ANON_NAME: u32 = 0;
/// Second argument of `PR_SET_PTRACER`: anyone.
pub const PR_SET_PTRACER_ANY: u64 = !0;
/// Bytes of a task's name with its NUL.
pub const TASK_COMM_LEN: usize = 16;

consts! {
    /// `arch_prctl` operations.
    ARCH_PRCTL: u32 {
        ARCH_SET_GS = 0x1001;
        ARCH_SET_FS = 0x1002;
        ARCH_GET_FS = 0x1003;
        ARCH_GET_GS = 0x1004;
        ARCH_GET_CPUID = 0x1011;
        ARCH_SET_CPUID = 0x1012;
        ARCH_GET_XCOMP_SUPP = 0x1021;
        ARCH_GET_XCOMP_PERM = 0x1022;
        ARCH_REQ_XCOMP_PERM = 0x1023;
        ARCH_GET_XCOMP_GUEST_PERM = 0x1024;
        ARCH_REQ_XCOMP_GUEST_PERM = 0x1025;
        ARCH_MAP_VDSO_X32 = 0x2001;
        ARCH_MAP_VDSO_32 = 0x2002;
        ARCH_MAP_VDSO_64 = 0x2003;
        ARCH_SHSTK_ENABLE = 0x5001;
        ARCH_SHSTK_DISABLE = 0x5002;
        ARCH_SHSTK_LOCK = 0x5003;
        ARCH_SHSTK_UNLOCK = 0x5004;
        ARCH_SHSTK_STATUS = 0x5005;
    }
}

consts! {
    /// Keys of the auxiliary vector.
    AUXV: u64 {
        AT_NULL = 0;
        AT_IGNORE = 1;
        AT_EXECFD = 2;
        AT_PHDR = 3;
        AT_PHENT = 4;
        AT_PHNUM = 5;
        AT_PAGESZ = 6;
        AT_BASE = 7;
        AT_FLAGS = 8;
        AT_ENTRY = 9;
        AT_NOTELF = 10;
        AT_UID = 11;
        AT_EUID = 12;
        AT_GID = 13;
        AT_EGID = 14;
        AT_PLATFORM = 15;
        AT_HWCAP = 16;
        AT_CLKTCK = 17;
        AT_SECURE = 23;
        AT_BASE_PLATFORM = 24;
        AT_RANDOM = 25;
        AT_HWCAP2 = 26;
        AT_RSEQ_FEATURE_SIZE = 27;
        AT_RSEQ_ALIGN = 28;
        AT_HWCAP3 = 29;
        AT_HWCAP4 = 30;
        AT_EXECFN = 31;
        AT_SYSINFO_EHDR = 33;
        AT_MINSIGSTKSZ = 51;
    }
}

flags! {
    /// Flags of `personality`; the low byte is the execution domain.
    pub struct Personality: u32 {
        const UNAME26 = 0x20000;
        const ADDR_NO_RANDOMIZE = 0x40000;
        const FDPIC_FUNCPTRS = 0x80000;
        const MMAP_PAGE_ZERO = 0x100000;
        const ADDR_COMPAT_LAYOUT = 0x200000;
        const READ_IMPLIES_EXEC = 0x400000;
        const ADDR_LIMIT_32BIT = 0x800000;
        const SHORT_INODE = 0x1000000;
        const WHOLE_SECONDS = 0x2000000;
        const STICKY_TIMEOUTS = 0x4000000;
        const ADDR_LIMIT_3GB = 0x8000000;
    }
}
consts! {
    /// Execution domains of use here, and their mask.
    PERSONALITIES: u32 {
        PER_LINUX = 0;
        PER_LINUX32 = 8;
        PER_MASK = 0xff;
    }
}
flags! {
    /// Flags of `getrandom`.
    pub struct GrndFlags: u32 {
        const GRND_NONBLOCK = 1;
        const GRND_RANDOM = 2;
        const GRND_INSECURE = 4;
    }
}
flags! {
    /// Flags of `pidfd_open`.
    pub struct PidfdFlags: u32 {
        const PIDFD_THREAD = 0x80;
        const PIDFD_NONBLOCK = 0x800;
    }
}
consts! {
    /// What `PIDFD_GET_INFO` tells.
    PIDFD_INFO: u64 {
        PIDFD_INFO_PID = 1;
        PIDFD_INFO_CREDS = 2;
        PIDFD_INFO_EXIT = 8;
    }
}
/// `ioctl` type of pidfds, and the number of `PIDFD_GET_INFO` in it.
pub const PIDFD_IOCTL_TYPE: u32 = 0xff;
pub const PIDFD_GET_INFO_NR: u32 = 11;
/// In place of a pidfd: the calling thread, the calling process.
pub const PIDFD_SELF_THREAD: i32 = -10000;
pub const PIDFD_SELF_THREAD_GROUP: i32 = -10001;
flags! {
    /// Flags of `pidfd_send_signal`.
    pub struct PidfdSignalFlags: u32 {
        const PIDFD_SIGNAL_THREAD = 1;
        const PIDFD_SIGNAL_THREAD_GROUP = 2;
        const PIDFD_SIGNAL_PROCESS_GROUP = 4;
    }
}
consts! {
    /// `kcmp` types.
    KCMP: u32 {
        KCMP_FILE = 0;
        KCMP_VM = 1;
        KCMP_FILES = 2;
        KCMP_FS = 3;
        KCMP_SIGHAND = 4;
        KCMP_IO = 5;
        KCMP_SYSVSEM = 6;
        KCMP_EPOLL_TFD = 7;
    }
}
flags! {
    /// Flags of the `rseq` call.
    pub struct RseqFlags: u32 {
        const RSEQ_FLAG_UNREGISTER = 1;
    }
}
flags! {
    /// Flags of a restartable sequence.
    pub struct RseqCsFlags: u32 {
        const RSEQ_CS_FLAG_NO_RESTART_ON_PREEMPT = 1;
        const RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL = 2;
        const RSEQ_CS_FLAG_NO_RESTART_ON_MIGRATE = 4;
    }
}
/// `cpu_id` of a thread that has not registered.
pub const RSEQ_CPU_ID_UNINITIALIZED: u32 = !0;
flags! {
    /// `membarrier` commands.
    pub struct Membarrier: u32 {
        const MEMBARRIER_CMD_GLOBAL = 1;
        const MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2;
        const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4;
        const MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8;
        const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 0x10;
        const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 0x20;
        const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 0x40;
        const MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ = 0x80;
        const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ = 0x100;
        const MEMBARRIER_CMD_GET_REGISTRATIONS = 0x200;
    }
}
/// `membarrier`: which commands there are.
pub const MEMBARRIER_CMD_QUERY: u32 = 0;
/// `membarrier` flag: the CPU argument counts.
pub const MEMBARRIER_CMD_FLAG_CPU: u32 = 1;
consts! {
    /// Arguments of `reboot`.
    REBOOT: u32 {
        LINUX_REBOOT_CMD_CAD_OFF = 0;
        LINUX_REBOOT_CMD_RESTART = 0x1234567;
        LINUX_REBOOT_MAGIC2A = 0x5121996;
        LINUX_REBOOT_MAGIC2B = 0x16041998;
        LINUX_REBOOT_MAGIC2C = 0x20112000;
        LINUX_REBOOT_MAGIC2 = 0x28121969;
        LINUX_REBOOT_CMD_POWER_OFF = 0x4321fedc;
        LINUX_REBOOT_CMD_KEXEC = 0x45584543;
        LINUX_REBOOT_CMD_CAD_ON = 0x89abcdef;
        LINUX_REBOOT_CMD_RESTART2 = 0xa1b2c3d4;
        LINUX_REBOOT_CMD_HALT = 0xcdef0123;
        LINUX_REBOOT_CMD_SW_SUSPEND = 0xd000fce2;
        LINUX_REBOOT_MAGIC1 = 0xfee1dead;
    }
}
consts! {
    /// `syslog` actions.
    SYSLOG_ACTIONS: u32 {
        SYSLOG_ACTION_CLOSE = 0;
        SYSLOG_ACTION_OPEN = 1;
        SYSLOG_ACTION_READ = 2;
        SYSLOG_ACTION_READ_ALL = 3;
        SYSLOG_ACTION_READ_CLEAR = 4;
        SYSLOG_ACTION_CLEAR = 5;
        SYSLOG_ACTION_CONSOLE_OFF = 6;
        SYSLOG_ACTION_CONSOLE_ON = 7;
        SYSLOG_ACTION_CONSOLE_LEVEL = 8;
        SYSLOG_ACTION_SIZE_UNREAD = 9;
        SYSLOG_ACTION_SIZE_BUFFER = 10;
    }
}
consts! {
    /// `ptrace` requests.
    PTRACE: u32 {
        PTRACE_TRACEME = 0;
        PTRACE_PEEKTEXT = 1;
        PTRACE_PEEKDATA = 2;
        PTRACE_PEEKUSR = 3;
        PTRACE_POKETEXT = 4;
        PTRACE_POKEDATA = 5;
        PTRACE_POKEUSR = 6;
        PTRACE_CONT = 7;
        PTRACE_KILL = 8;
        PTRACE_SINGLESTEP = 9;
        PTRACE_GETREGS = 12;
        PTRACE_SETREGS = 13;
        PTRACE_GETFPREGS = 14;
        PTRACE_SETFPREGS = 15;
        PTRACE_ATTACH = 16;
        PTRACE_DETACH = 17;
        PTRACE_SYSCALL = 24;
        PTRACE_ARCH_PRCTL = 30;
        PTRACE_SETOPTIONS = 16896;
        PTRACE_GETEVENTMSG = 16897;
        PTRACE_GETSIGINFO = 16898;
        PTRACE_SETSIGINFO = 16899;
        PTRACE_GETREGSET = 16900;
        PTRACE_SETREGSET = 16901;
        PTRACE_SEIZE = 16902;
        PTRACE_INTERRUPT = 16903;
        PTRACE_LISTEN = 16904;
        PTRACE_PEEKSIGINFO = 16905;
        PTRACE_GETSIGMASK = 16906;
        PTRACE_SETSIGMASK = 16907;
        PTRACE_SECCOMP_GET_FILTER = 16908;
        PTRACE_GET_SYSCALL_INFO = 16910;
        PTRACE_GET_RSEQ_CONFIGURATION = 16911;
    }
}
flags! {
    /// `PTRACE_SETOPTIONS`.
    pub struct PtraceOptions: u32 {
        const PTRACE_O_TRACESYSGOOD = 1;
        const PTRACE_O_TRACEFORK = 2;
        const PTRACE_O_TRACEVFORK = 4;
        const PTRACE_O_TRACECLONE = 8;
        const PTRACE_O_TRACEEXEC = 0x10;
        const PTRACE_O_TRACEVFORKDONE = 0x20;
        const PTRACE_O_TRACEEXIT = 0x40;
        const PTRACE_O_TRACESECCOMP = 0x80;
        const PTRACE_O_EXITKILL = 0x100000;
        const PTRACE_O_SUSPEND_SECCOMP = 0x200000;
    }
}
consts! {
    /// What a traced task stopped for.
    PTRACE_EVENTS: u32 {
        PTRACE_EVENT_FORK = 1;
        PTRACE_EVENT_VFORK = 2;
        PTRACE_EVENT_CLONE = 3;
        PTRACE_EVENT_EXEC = 4;
        PTRACE_EVENT_VFORK_DONE = 5;
        PTRACE_EVENT_EXIT = 6;
        PTRACE_EVENT_SECCOMP = 7;
        PTRACE_EVENT_STOP = 128;
    }
}
consts! {
    /// Range of `oom_score_adj` (its lower end is -1000).
    OOM: u32 {
        OOM_SCORE_ADJ_MAX = 1000;
    }
}
