//! seccomp: modes, what filters see and return, and the filters' instructions.

consts! {
    /// `PR_SET_SECCOMP` modes.
    SECCOMP_MODES: u32 {
        SECCOMP_MODE_DISABLED = 0;
        SECCOMP_MODE_STRICT = 1;
        SECCOMP_MODE_FILTER = 2;
    }
}
consts! {
    /// `seccomp` operations.
    SECCOMP_OPS: u32 {
        SECCOMP_SET_MODE_STRICT = 0;
        SECCOMP_SET_MODE_FILTER = 1;
        SECCOMP_GET_ACTION_AVAIL = 2;
        SECCOMP_GET_NOTIF_SIZES = 3;
    }
}
flags! {
    /// Flags of `SECCOMP_SET_MODE_FILTER`.
    pub struct SeccompFlags: u32 {
        const SECCOMP_FILTER_FLAG_TSYNC = 1;
        const SECCOMP_FILTER_FLAG_LOG = 2;
        const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
        const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
        const SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 0x10;
        const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 0x20;
    }
}
consts! {
    /// What a filter returns: action and data, and their masks.
    SECCOMP_RETS: u32 {
        SECCOMP_RET_KILL_THREAD = 0;
        SECCOMP_RET_DATA = 0xffff;
        SECCOMP_RET_TRAP = 0x30000;
        SECCOMP_RET_ERRNO = 0x50000;
        SECCOMP_RET_USER_NOTIF = 0x7fc00000;
        SECCOMP_RET_TRACE = 0x7ff00000;
        SECCOMP_RET_LOG = 0x7ffc0000;
        SECCOMP_RET_ALLOW = 0x7fff0000;
        SECCOMP_RET_ACTION = 0x7fff0000;
        SECCOMP_RET_KILL_PROCESS = 0x80000000;
        SECCOMP_RET_ACTION_FULL = 0xffff0000;
    }
}

abi_struct! {
    /// `struct seccomp_data`.
    pub struct SeccompData [64] {
        pub nr: i32,
        /// `AUDIT_ARCH_`.
        pub arch: u32,
        pub instruction_pointer: u64,
        pub args: [u64; 6],
    }

    /// `struct sock_filter`: one BPF instruction.
    pub struct SockFilter [8] {
        pub code: u16,
        pub jt: u8,
        pub jf: u8,
        pub k: u32,
    }

    /// `struct sock_fprog`.
    pub struct SockFprog [16] {
        /// Number of instructions.
        pub len: u16,
        pub _pad: [u16; 3],
        pub filter: u64,
    }

    /// `struct seccomp_notif_sizes`, bytes.
    pub struct SeccompNotifSizes [6] {
        pub seccomp_notif: u16,
        pub seccomp_notif_resp: u16,
        pub seccomp_data: u16,
    }
}
