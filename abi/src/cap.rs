//! Capabilities and the bits that steer them.

consts! {
    /// Capabilities, by bit number.
    CAPS: u32 {
        CAP_CHOWN = 0;
        CAP_DAC_OVERRIDE = 1;
        CAP_DAC_READ_SEARCH = 2;
        CAP_FOWNER = 3;
        CAP_FSETID = 4;
        CAP_KILL = 5;
        CAP_SETGID = 6;
        CAP_SETUID = 7;
        CAP_SETPCAP = 8;
        CAP_LINUX_IMMUTABLE = 9;
        CAP_NET_BIND_SERVICE = 10;
        CAP_NET_BROADCAST = 11;
        CAP_NET_ADMIN = 12;
        CAP_NET_RAW = 13;
        CAP_IPC_LOCK = 14;
        CAP_IPC_OWNER = 15;
        CAP_SYS_MODULE = 16;
        CAP_SYS_RAWIO = 17;
        CAP_SYS_CHROOT = 18;
        CAP_SYS_PTRACE = 19;
        CAP_SYS_PACCT = 20;
        CAP_SYS_ADMIN = 21;
        CAP_SYS_BOOT = 22;
        CAP_SYS_NICE = 23;
        CAP_SYS_RESOURCE = 24;
        CAP_SYS_TIME = 25;
        CAP_SYS_TTY_CONFIG = 26;
        CAP_MKNOD = 27;
        CAP_LEASE = 28;
        CAP_AUDIT_WRITE = 29;
        CAP_AUDIT_CONTROL = 30;
        CAP_SETFCAP = 31;
        CAP_MAC_OVERRIDE = 32;
        CAP_MAC_ADMIN = 33;
        CAP_SYSLOG = 34;
        CAP_WAKE_ALARM = 35;
        CAP_BLOCK_SUSPEND = 36;
        CAP_AUDIT_READ = 37;
        CAP_PERFMON = 38;
        CAP_BPF = 39;
        CAP_CHECKPOINT_RESTORE = 40;
    }
}

/// The last capability there is.
pub const CAP_LAST_CAP: u32 = CAP_CHECKPOINT_RESTORE;

/// A set of all capabilities.
pub const CAP_FULL_SET: u64 = (1 << (CAP_LAST_CAP + 1)) - 1;

consts! {
    /// Versions of [`CapUserHeader`]; the first has one [`CapUserData`], the others two.
    CAP_VERSIONS: u32 {
        _LINUX_CAPABILITY_VERSION_1 = 0x19980330;
        _LINUX_CAPABILITY_VERSION_2 = 0x20071026;
        _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    }
}

abi_struct! {
    /// `struct __user_cap_header_struct`.
    pub struct CapUserHeader [8] {
        /// One of [`CAP_VERSIONS`].
        pub version: u32,
        pub pid: i32,
    }

    /// `struct __user_cap_data_struct`: 32 bits of each set.
    pub struct CapUserData [12] {
        pub effective: u32,
        pub permitted: u32,
        pub inheritable: u32,
    }

    /// `struct vfs_ns_cap_data`: the `security.capability` attribute, version 3; version 2 is its first 20 bytes.
    pub struct VfsNsCapData [24] {
        pub magic_etc: u32,
        /// Permitted and inheritable, low half then high half.
        pub data: [[u32; 2]; 2],
        pub rootid: u32,
    }
}

consts! {
    /// Revisions and flags of the `security.capability` attribute.
    VFS_CAP: u32 {
        VFS_CAP_FLAGS_EFFECTIVE = 1;
        VFS_CAP_REVISION_1 = 0x1000000;
        VFS_CAP_REVISION_2 = 0x2000000;
        VFS_CAP_REVISION_3 = 0x3000000;
        VFS_CAP_REVISION_MASK = 0xff000000;
    }
}
flags! {
    /// `PR_SET_SECUREBITS`.
    pub struct Securebits: u32 {
        const SECBIT_NOROOT = 1;
        const SECBIT_NOROOT_LOCKED = 2;
        const SECBIT_NO_SETUID_FIXUP = 4;
        const SECBIT_NO_SETUID_FIXUP_LOCKED = 8;
        const SECBIT_KEEP_CAPS = 0x10;
        const SECBIT_KEEP_CAPS_LOCKED = 0x20;
        const SECBIT_NO_CAP_AMBIENT_RAISE = 0x40;
        const SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED = 0x80;
    }
}
