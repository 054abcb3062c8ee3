//! Memory: flags of `mmap` and its kin.

flags! {
    /// Memory protection; none of them is `PROT_NONE`.
    pub struct ProtFlags: u32 {
        const PROT_READ = 1;
        const PROT_WRITE = 2;
        const PROT_EXEC = 4;
        const PROT_SEM = 8;
        const PROT_GROWSDOWN = 0x1000000;
        const PROT_GROWSUP = 0x2000000;
    }
}

/// No access.
pub const PROT_NONE: u32 = 0;

impl ProtFlags {
    /// No access.
    pub const PROT_NONE: ProtFlags = ProtFlags::empty();
}

flags! {
    /// Flags of `mmap`. The kind of mapping is the field under `MAP_TYPE`; a huge page size's log2 stands at `MAP_HUGE_SHIFT`.
    pub struct MapFlags: u32 {
        const MAP_SHARED = 1;
        const MAP_PRIVATE = 2;
        const MAP_SHARED_VALIDATE = 3;
        const MAP_TYPE = 0xf;
        const MAP_FIXED = 0x10;
        const MAP_ANONYMOUS = 0x20;
        const MAP_32BIT = 0x40;
        const MAP_ABOVE4G = 0x80;
        const MAP_GROWSDOWN = 0x100;
        const MAP_DENYWRITE = 0x800;
        const MAP_EXECUTABLE = 0x1000;
        const MAP_LOCKED = 0x2000;
        const MAP_NORESERVE = 0x4000;
        const MAP_POPULATE = 0x8000;
        const MAP_NONBLOCK = 0x10000;
        const MAP_STACK = 0x20000;
        const MAP_HUGETLB = 0x40000;
        const MAP_SYNC = 0x80000;
        const MAP_FIXED_NOREPLACE = 0x100000;
        const MAP_UNINITIALIZED = 0x4000000;
    }
}

/// Where the log2 of the huge page size stands in flags of `mmap`, `memfd_create`, `shmget`.
pub const MAP_HUGE_SHIFT: u32 = 26;
/// Mask of that log2 after the shift.
pub const MAP_HUGE_MASK: u32 = 0x3f;
/// Bytes of a page.
pub const PAGE_SIZE: u64 = 4096;
/// First address that is not a program's, 47-bit addresses (`TASK_SIZE_MAX` without 5-level paging).
pub const TASK_SIZE: u64 = 0x7fff_ffff_f000;

flags! {
    /// Flags of `mremap`.
    pub struct MremapFlags: u32 {
        const MREMAP_MAYMOVE = 1;
        const MREMAP_FIXED = 2;
        const MREMAP_DONTUNMAP = 4;
    }
}
flags! {
    /// Flags of `msync`.
    pub struct MsyncFlags: u32 {
        const MS_ASYNC = 1;
        const MS_INVALIDATE = 2;
        const MS_SYNC = 4;
    }
}
flags! {
    /// Flags of `mlockall`.
    pub struct MlockFlags: u32 {
        const MCL_CURRENT = 1;
        const MCL_FUTURE = 2;
        const MCL_ONFAULT = 4;
    }
}
/// Flag of `mlock2`: lock pages when they are touched.
pub const MLOCK_ONFAULT: u32 = 1;
flags! {
    /// Flags of `memfd_create`.
    pub struct MfdFlags: u32 {
        const MFD_CLOEXEC = 1;
        const MFD_ALLOW_SEALING = 2;
        const MFD_HUGETLB = 4;
        const MFD_NOEXEC_SEAL = 8;
        const MFD_EXEC = 0x10;
    }
}
consts! {
    /// `madvise` advice.
    MADVICE: i32 {
        MADV_NORMAL = 0;
        MADV_RANDOM = 1;
        MADV_SEQUENTIAL = 2;
        MADV_WILLNEED = 3;
        MADV_DONTNEED = 4;
        MADV_FREE = 8;
        MADV_REMOVE = 9;
        MADV_DONTFORK = 10;
        MADV_DOFORK = 11;
        MADV_MERGEABLE = 12;
        MADV_UNMERGEABLE = 13;
        MADV_HUGEPAGE = 14;
        MADV_NOHUGEPAGE = 15;
        MADV_DONTDUMP = 16;
        MADV_DODUMP = 17;
        MADV_WIPEONFORK = 18;
        MADV_KEEPONFORK = 19;
        MADV_COLD = 20;
        MADV_PAGEOUT = 21;
        MADV_POPULATE_READ = 22;
        MADV_POPULATE_WRITE = 23;
        MADV_DONTNEED_LOCKED = 24;
        MADV_COLLAPSE = 25;
        MADV_HWPOISON = 100;
        MADV_SOFT_OFFLINE = 101;
        MADV_GUARD_INSTALL = 102;
        MADV_GUARD_REMOVE = 103;
    }
}
consts! {
    /// Memory policies.
    MPOL: u32 {
        MPOL_DEFAULT = 0;
        MPOL_PREFERRED = 1;
        MPOL_BIND = 2;
        MPOL_INTERLEAVE = 3;
        MPOL_LOCAL = 4;
        MPOL_PREFERRED_MANY = 5;
        MPOL_WEIGHTED_INTERLEAVE = 6;
    }
}
flags! {
    /// `get_mempolicy` flags.
    pub struct MpolFlags: u32 {
        const MPOL_F_NODE = 1;
        const MPOL_F_ADDR = 2;
        const MPOL_F_MEMS_ALLOWED = 4;
    }
}
flags! {
    /// Flags in the mode of `set_mempolicy`.
    pub struct MpolModeFlags: u32 {
        const MPOL_F_NUMA_BALANCING = 0x2000;
        const MPOL_F_RELATIVE_NODES = 0x4000;
        const MPOL_F_STATIC_NODES = 0x8000;
    }
}
flags! {
    /// Initial rights of `pkey_alloc`.
    pub struct PkeyRights: u32 {
        const PKEY_DISABLE_ACCESS = 1;
        const PKEY_DISABLE_WRITE = 2;
    }
}
