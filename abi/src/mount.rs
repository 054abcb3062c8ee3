//! Mounts: flags of `mount` and of the newer mount calls, and the magic numbers by which `statfs` names file systems.

flags! {
    /// Flags of `mount`.
    pub struct MountFlags: u64 {
        const MS_RDONLY = 1;
        const MS_NOSUID = 2;
        const MS_NODEV = 4;
        const MS_NOEXEC = 8;
        const MS_SYNCHRONOUS = 0x10;
        const MS_REMOUNT = 0x20;
        const MS_MANDLOCK = 0x40;
        const MS_DIRSYNC = 0x80;
        const MS_NOSYMFOLLOW = 0x100;
        const MS_NOATIME = 0x400;
        const MS_NODIRATIME = 0x800;
        const MS_BIND = 0x1000;
        const MS_MOVE = 0x2000;
        const MS_REC = 0x4000;
        const MS_SILENT = 0x8000;
        const MS_POSIXACL = 0x10000;
        const MS_UNBINDABLE = 0x20000;
        const MS_PRIVATE = 0x40000;
        const MS_SLAVE = 0x80000;
        const MS_SHARED = 0x100000;
        const MS_RELATIME = 0x200000;
        const MS_I_VERSION = 0x800000;
        const MS_STRICTATIME = 0x1000000;
        const MS_LAZYTIME = 0x2000000;
    }
}

/// Old mark in the upper half of the flags of `mount`, to be ignored.
pub const MS_MGC_VAL: u64 = 0xc0ed_0000;
/// The half where [`MS_MGC_VAL`] is.
pub const MS_MGC_MSK: u64 = 0xffff_0000;

flags! {
    /// Flags of `umount2`.
    pub struct UmountFlags: u32 {
        const MNT_FORCE = 1;
        const MNT_DETACH = 2;
        const MNT_EXPIRE = 4;
        const UMOUNT_NOFOLLOW = 8;
    }
}
flags! {
    /// `f_flags` of `statfs`.
    pub struct StFlags: u32 {
        const ST_RDONLY = 1;
        const ST_NOSUID = 2;
        const ST_NODEV = 4;
        const ST_NOEXEC = 8;
        const ST_SYNCHRONOUS = 0x10;
        const ST_VALID = 0x20;
        const ST_MANDLOCK = 0x40;
        const ST_NOATIME = 0x400;
        const ST_NODIRATIME = 0x800;
        const ST_RELATIME = 0x1000;
        const ST_NOSYMFOLLOW = 0x2000;
    }
}
consts! {
    /// Magic numbers of file systems (`f_type`).
    FS_MAGIC: i64 {
        QNX4_SUPER_MAGIC = 0x2f;
        AUTOFS_SUPER_MAGIC = 0x187;
        MINIX_SUPER_MAGIC = 0x137f;
        DEVPTS_SUPER_MAGIC = 0x1cd1;
        MINIX2_SUPER_MAGIC = 0x2468;
        NILFS_SUPER_MAGIC = 0x3434;
        MSDOS_SUPER_MAGIC = 0x4d44;
        MINIX3_SUPER_MAGIC = 0x4d5a;
        SMB_SUPER_MAGIC = 0x517b;
        NCP_SUPER_MAGIC = 0x564c;
        NFS_SUPER_MAGIC = 0x6969;
        JFFS2_SUPER_MAGIC = 0x72b6;
        ISOFS_SUPER_MAGIC = 0x9660;
        PROC_SUPER_MAGIC = 0x9fa0;
        OPENPROM_SUPER_MAGIC = 0x9fa1;
        USBDEVICE_SUPER_MAGIC = 0x9fa2;
        ADFS_SUPER_MAGIC = 0xadf5;
        AFFS_SUPER_MAGIC = 0xadff;
        EXT2_SUPER_MAGIC = 0xef53;
        EXT3_SUPER_MAGIC = 0xef53;
        EXT4_SUPER_MAGIC = 0xef53;
        ECRYPTFS_SUPER_MAGIC = 0xf15f;
        CGROUP_SUPER_MAGIC = 0x27e0eb;
        EFS_SUPER_MAGIC = 0x414a53;
        HOSTFS_SUPER_MAGIC = 0xc0ffee;
        CEPH_SUPER_MAGIC = 0xc36400;
        TMPFS_MAGIC = 0x1021994;
        V9FS_MAGIC = 0x1021997;
        RDTGROUP_SUPER_MAGIC = 0x7655821;
        ANON_INODE_FS_MAGIC = 0x9041934;
        FUTEXFS_SUPER_MAGIC = 0xbad1dea;
        MTD_INODE_FS_MAGIC = 0x11307854;
        UDF_SUPER_MAGIC = 0x15013346;
        MQUEUE_MAGIC = 0x19800202;
        EXFAT_SUPER_MAGIC = 0x2011bab0;
        BINFMTFS_MAGIC = 0x42494e4d;
        PID_FS_MAGIC = 0x50494446;
        PIPEFS_MAGIC = 0x50495045;
        REISERFS_SUPER_MAGIC = 0x52654973;
        AFS_SUPER_MAGIC = 0x5346414f;
        SOCKFS_MAGIC = 0x534f434b;
        XFS_SUPER_MAGIC = 0x58465342;
        PSTOREFS_MAGIC = 0x6165676c;
        BDEVFS_MAGIC = 0x62646576;
        SYSFS_MAGIC = 0x62656572;
        CGROUP2_SUPER_MAGIC = 0x63677270;
        DEBUGFS_MAGIC = 0x64626720;
        FUSE_SUPER_MAGIC = 0x65735546;
        QNX6_SUPER_MAGIC = 0x68191122;
        BINDERFS_SUPER_MAGIC = 0x6c6f6f70;
        NSFS_MAGIC = 0x6e736673;
        SECURITYFS_MAGIC = 0x73636673;
        SQUASHFS_MAGIC = 0x73717368;
        CODA_SUPER_MAGIC = 0x73757245;
        OCFS2_SUPER_MAGIC = 0x7461636f;
        TRACEFS_MAGIC = 0x74726163;
        OVERLAYFS_SUPER_MAGIC = 0x794c7630;
        RAMFS_MAGIC = 0x858458f6;
        BTRFS_SUPER_MAGIC = 0x9123683e;
        HUGETLBFS_MAGIC = 0x958458f6;
        XENFS_SUPER_MAGIC = 0xabba1974;
        BCACHEFS_SUPER_MAGIC = 0xca451a4e;
        BPF_FS_MAGIC = 0xcafe4a11;
        EFIVARFS_MAGIC = 0xde5e81e4;
        F2FS_SUPER_MAGIC = 0xf2f52010;
        SELINUX_MAGIC = 0xf97cff8c;
        HPFS_SUPER_MAGIC = 0xf995e849;
        SMB2_SUPER_MAGIC = 0xfe534d42;
        CIFS_SUPER_MAGIC = 0xff534d42;
    }
}
flags! {
    /// `open_tree`.
    pub struct OpenTreeFlags: u32 {
        const OPEN_TREE_CLONE = 1;
        const AT_SYMLINK_NOFOLLOW = 0x100;
        const AT_NO_AUTOMOUNT = 0x800;
        const AT_EMPTY_PATH = 0x1000;
        const AT_RECURSIVE = 0x8000;
        const OPEN_TREE_CLOEXEC = 0x80000;
    }
}
flags! {
    /// `move_mount`.
    pub struct MoveMountFlags: u32 {
        const MOVE_MOUNT_F_SYMLINKS = 1;
        const MOVE_MOUNT_F_AUTOMOUNTS = 2;
        const MOVE_MOUNT_F_EMPTY_PATH = 4;
        const MOVE_MOUNT_T_SYMLINKS = 0x10;
        const MOVE_MOUNT_T_AUTOMOUNTS = 0x20;
        const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
        const MOVE_MOUNT_SET_GROUP = 0x100;
        const MOVE_MOUNT_BENEATH = 0x200;
    }
}
flags! {
    /// `fsmount`, `mount_setattr`. The access-time values are one field, `MOUNT_ATTR__ATIME`.
    pub struct MountAttrFlags: u64 {
        const MOUNT_ATTR_RDONLY = 1;
        const MOUNT_ATTR_NOSUID = 2;
        const MOUNT_ATTR_NODEV = 4;
        const MOUNT_ATTR_NOEXEC = 8;
        const MOUNT_ATTR_NOATIME = 0x10;
        const MOUNT_ATTR_STRICTATIME = 0x20;
        const MOUNT_ATTR__ATIME = 0x70;
        const MOUNT_ATTR_NODIRATIME = 0x80;
        const MOUNT_ATTR_IDMAP = 0x100000;
        const MOUNT_ATTR_NOSYMFOLLOW = 0x200000;
    }
}
flags! {
    /// `fspick`.
    pub struct FspickFlags: u32 {
        const FSPICK_CLOEXEC = 1;
        const FSPICK_SYMLINK_NOFOLLOW = 2;
        const FSPICK_NO_AUTOMOUNT = 4;
        const FSPICK_EMPTY_PATH = 8;
    }
}
consts! {
    /// `fsconfig` commands.
    FSCONFIG: u32 {
        FSCONFIG_SET_FLAG = 0;
        FSCONFIG_SET_STRING = 1;
        FSCONFIG_SET_BINARY = 2;
        FSCONFIG_SET_PATH = 3;
        FSCONFIG_SET_PATH_EMPTY = 4;
        FSCONFIG_SET_FD = 5;
        FSCONFIG_CMD_CREATE = 6;
        FSCONFIG_CMD_RECONFIGURE = 7;
        FSCONFIG_CMD_CREATE_EXCL = 8;
    }
}

/// `fsopen` flag.
pub const FSOPEN_CLOEXEC: u32 = 1;
/// `fsmount` flag.
pub const FSMOUNT_CLOEXEC: u32 = 1;

abi_struct! {
    /// `struct mount_attr`.
    pub struct MountAttr [32] {
        /// [`MountAttrFlags`] bits to set.
        pub attr_set: u64,
        pub attr_clr: u64,
        /// `MS_SHARED` and its kin.
        pub propagation: u64,
        pub userns_fd: u64,
    }
}
