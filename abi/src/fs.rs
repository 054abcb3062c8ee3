//! Files: what `stat` tells, flags of `open` and its kin, directory entries, device numbers, `fcntl`, ioctls of files.
//!
//! Mounts and file system kinds are in [`crate::mount`], inotify in [`crate::inotify`].

pub use crate::dirent::*;
use crate::time::Timespec;

consts! {
    /// File types in `st_mode`, under the mask [`S_IFMT`].
    FILE_TYPES: u32 {
        S_IFIFO = 0o10000;
        S_IFCHR = 0o20000;
        S_IFDIR = 0o40000;
        S_IFBLK = 0o60000;
        S_IFREG = 0o100000;
        S_IFLNK = 0o120000;
        S_IFSOCK = 0o140000;
        S_IFMT = 0o170000;
    }
}
consts! {
    /// Permission bits of `st_mode`.
    MODE_BITS: u32 {
        S_IXOTH = 0o1;
        S_IWOTH = 0o2;
        S_IROTH = 0o4;
        S_IRWXO = 0o7;
        S_IXGRP = 0o10;
        S_IWGRP = 0o20;
        S_IRGRP = 0o40;
        S_IRWXG = 0o70;
        S_IXUSR = 0o100;
        S_IWUSR = 0o200;
        S_IRUSR = 0o400;
        S_IRWXU = 0o700;
        S_ISVTX = 0o1000;
        S_ISGID = 0o2000;
        S_ISUID = 0o4000;
    }
}

/// Read, write and execute for all.
pub const S_IRWXUGO: u32 = 0o777;
/// All the bits that `chmod` changes.
pub const S_IALLUGO: u32 = 0o7777;

/// Whether a mode is that of a directory.
pub const fn is_dir(mode: u32) -> bool {
    mode & S_IFMT == S_IFDIR
}

/// Whether a mode is that of a regular file.
pub const fn is_reg(mode: u32) -> bool {
    mode & S_IFMT == S_IFREG
}

/// Whether a mode is that of a symbolic link.
pub const fn is_lnk(mode: u32) -> bool {
    mode & S_IFMT == S_IFLNK
}

/// Whether a mode is that of a block or character device.
pub const fn is_dev(mode: u32) -> bool {
    matches!(mode & S_IFMT, S_IFBLK | S_IFCHR)
}

/// The directory entry type (`DT_`) for a mode.
pub const fn dirent_type(mode: u32) -> u8 {
    ((mode & S_IFMT) >> 12) as u8
}

consts! {
    /// Types of directory entries.
    DT_TYPES: u8 {
        DT_UNKNOWN = 0;
        DT_FIFO = 1;
        DT_CHR = 2;
        DT_DIR = 4;
        DT_BLK = 6;
        DT_REG = 8;
        DT_LNK = 10;
        DT_SOCK = 12;
        DT_WHT = 14;
    }
}

abi_struct! {
    /// `struct stat` of x86-64.
    pub struct Stat [144] {
        pub st_dev: u64,
        pub st_ino: u64,
        pub st_nlink: u64,
        pub st_mode: u32,
        pub st_uid: u32,
        pub st_gid: u32,
        pub _pad0: u32,
        pub st_rdev: u64,
        /// Bytes.
        pub st_size: i64,
        /// Bytes.
        pub st_blksize: i64,
        /// Units of 512 bytes.
        pub st_blocks: i64,
        pub st_atime: Timespec,
        pub st_mtime: Timespec,
        pub st_ctime: Timespec,
        pub _unused: [i64; 3],
    }

    /// `struct statx_timestamp`.
    pub struct StatxTimestamp [16] {
        pub tv_sec: i64,
        pub tv_nsec: u32,
        pub _pad: i32,
    }

    /// `struct statx`.
    pub struct Statx [256] {
        /// [`StatxMask`] of the fields that are filled.
        pub stx_mask: u32,
        /// Bytes.
        pub stx_blksize: u32,
        /// [`StatxAttr`] bits.
        pub stx_attributes: u64,
        pub stx_nlink: u32,
        pub stx_uid: u32,
        pub stx_gid: u32,
        pub stx_mode: u16,
        pub _spare0: u16,
        pub stx_ino: u64,
        /// Bytes.
        pub stx_size: u64,
        /// Units of 512 bytes.
        pub stx_blocks: u64,
        pub stx_attributes_mask: u64,
        pub stx_atime: StatxTimestamp,
        pub stx_btime: StatxTimestamp,
        pub stx_ctime: StatxTimestamp,
        pub stx_mtime: StatxTimestamp,
        pub stx_rdev_major: u32,
        pub stx_rdev_minor: u32,
        pub stx_dev_major: u32,
        pub stx_dev_minor: u32,
        pub stx_mnt_id: u64,
        pub stx_dio_mem_align: u32,
        pub stx_dio_offset_align: u32,
        pub stx_subvol: u64,
        pub stx_atomic_write_unit_min: u32,
        pub stx_atomic_write_unit_max: u32,
        pub stx_atomic_write_segments_max: u32,
        pub stx_dio_read_offset_align: u32,
        pub stx_atomic_write_unit_max_opt: u32,
        pub _spare2: u32,
        pub _spare3: [u64; 8],
    }

    /// `struct statfs`.
    pub struct Statfs [120] {
        /// One of [`crate::mount::FS_MAGIC`].
        pub f_type: i64,
        /// Block size, bytes.
        pub f_bsize: i64,
        /// Blocks of `f_frsize`.
        pub f_blocks: u64,
        pub f_bfree: u64,
        pub f_bavail: u64,
        pub f_files: u64,
        pub f_ffree: u64,
        pub f_fsid: [i32; 2],
        /// Longest file name, bytes.
        pub f_namelen: i64,
        pub f_frsize: i64,
        /// [`crate::mount::StFlags`] bits.
        pub f_flags: i64,
        pub f_spare: [i64; 4],
    }

    /// `struct iovec`.
    pub struct Iovec [16] {
        pub iov_base: u64,
        /// Bytes.
        pub iov_len: u64,
    }

    /// `struct flock`.
    pub struct Flock [32] {
        /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
        pub l_type: i16,
        /// `SEEK_`.
        pub l_whence: i16,
        pub _pad0: u32,
        pub l_start: i64,
        /// Bytes; 0 is to the end of the file.
        pub l_len: i64,
        pub l_pid: i32,
        pub _pad1: u32,
    }

    /// `struct fsxattr`.
    pub struct Fsxattr [28] {
        /// `FS_XFLAG_`.
        pub fsx_xflags: u32,
        pub fsx_extsize: u32,
        pub fsx_nextents: u32,
        pub fsx_projid: u32,
        pub fsx_cowextsize: u32,
        pub _pad: [u8; 8],
    }

    /// `struct f_owner_ex`.
    pub struct FOwnerEx [8] {
        /// One of [`F_OWNER`].
        pub r#type: i32,
        pub pid: i32,
    }

    /// `struct open_how`.
    pub struct OpenHow [24] {
        /// [`OpenFlags`] bits.
        pub flags: u64,
        pub mode: u64,
        /// [`ResolveFlags`] bits.
        pub resolve: u64,
    }

    /// `struct file_clone_range`.
    pub struct FileCloneRange [32] {
        pub src_fd: i64,
        pub src_offset: u64,
        pub src_length: u64,
        pub dest_offset: u64,
    }

    /// `struct utimbuf`.
    pub struct Utimbuf [16] {
        /// Seconds.
        pub actime: i64,
        /// Seconds.
        pub modtime: i64,
    }

    /// The fixed part of `struct file_handle`; `handle_bytes` bytes follow.
    pub struct FileHandleHeader [8] {
        pub handle_bytes: u32,
        pub handle_type: i32,
    }

    /// `struct xattr_args`.
    pub struct XattrArgs [16] {
        pub value: u64,
        /// Bytes.
        pub size: u32,
        pub flags: u32,
    }

    /// `struct cachestat_range`, in bytes; length 0: to the end.
    pub struct CachestatRange [16] {
        pub off: u64,
        pub len: u64,
    }

    /// `struct cachestat`, in pages.
    pub struct Cachestat [40] {
        pub nr_cache: u64,
        pub nr_dirty: u64,
        pub nr_writeback: u64,
        pub nr_evicted: u64,
        pub nr_recently_evicted: u64,
    }
}

flags! {
    /// Fields of [`Statx`] that are asked for or filled.
    pub struct StatxMask: u32 {
        const STATX_TYPE = 1;
        const STATX_MODE = 2;
        const STATX_NLINK = 4;
        const STATX_UID = 8;
        const STATX_GID = 0x10;
        const STATX_ATIME = 0x20;
        const STATX_MTIME = 0x40;
        const STATX_CTIME = 0x80;
        const STATX_INO = 0x100;
        const STATX_SIZE = 0x200;
        const STATX_BLOCKS = 0x400;
        const STATX_BASIC_STATS = 0x7ff;
        const STATX_BTIME = 0x800;
        const STATX_MNT_ID = 0x1000;
        const STATX_DIOALIGN = 0x2000;
        const STATX_MNT_ID_UNIQUE = 0x4000;
        const STATX_SUBVOL = 0x8000;
        const STATX_WRITE_ATOMIC = 0x10000;
        const STATX_DIO_READ_ALIGN = 0x20000;
    }
}
flags! {
    /// `stx_attributes`.
    pub struct StatxAttr: u64 {
        const STATX_ATTR_COMPRESSED = 4;
        const STATX_ATTR_IMMUTABLE = 0x10;
        const STATX_ATTR_APPEND = 0x20;
        const STATX_ATTR_NODUMP = 0x40;
        const STATX_ATTR_ENCRYPTED = 0x800;
        const STATX_ATTR_AUTOMOUNT = 0x1000;
        const STATX_ATTR_MOUNT_ROOT = 0x2000;
        const STATX_ATTR_VERITY = 0x100000;
        const STATX_ATTR_DAX = 0x200000;
        const STATX_ATTR_WRITE_ATOMIC = 0x400000;
    }
}

/// In a `statx` mask: reserved, EINVAL.
pub const STATX__RESERVED: u32 = 0x8000_0000;

flags! {
    /// Flags of `open`, and of an open file (`F_GETFL`). The access mode is the two bits under `O_ACCMODE`.
    pub struct OpenFlags: u32 {
        const O_WRONLY = 0o1;
        const O_RDWR = 0o2;
        const O_ACCMODE = 0o3;
        const O_CREAT = 0o100;
        const O_EXCL = 0o200;
        const O_NOCTTY = 0o400;
        const O_TRUNC = 0o1000;
        const O_APPEND = 0o2000;
        const O_NONBLOCK = 0o4000;
        const O_DSYNC = 0o10000;
        const FASYNC = 0o20000;
        const O_DIRECT = 0o40000;
        const O_LARGEFILE = 0o100000;
        const O_DIRECTORY = 0o200000;
        const O_NOFOLLOW = 0o400000;
        const O_NOATIME = 0o1000000;
        const O_CLOEXEC = 0o2000000;
        const O_SYNC = 0o4010000;
        const O_PATH = 0o10000000;
        const O_TMPFILE = 0o20200000;
    }
}

/// Access mode: reading.
pub const O_RDONLY: u32 = 0;

impl OpenFlags {
    /// No flag: open for reading.
    pub const O_RDONLY: OpenFlags = OpenFlags::empty();
    /// The same as `O_NONBLOCK`.
    pub const O_NDELAY: OpenFlags = OpenFlags::O_NONBLOCK;
    /// What `F_SETFL` changes (`fs/fcntl.c:SETFL_MASK`).
    pub const SETFL_MASK: OpenFlags = OpenFlags::O_APPEND
        .union(OpenFlags::O_NONBLOCK)
        .union(OpenFlags::FASYNC)
        .union(OpenFlags::O_DIRECT)
        .union(OpenFlags::O_NOATIME);

    /// Whether the access mode lets read.
    pub const fn readable(self) -> bool {
        matches!(self.bits() & 3, 0 | 2)
    }

    /// Whether the access mode lets write.
    pub const fn writable(self) -> bool {
        matches!(self.bits() & 3, 1 | 2)
    }
}

flags! {
    /// `openat2`: how a path is walked.
    pub struct ResolveFlags: u64 {
        const RESOLVE_NO_XDEV = 1;
        const RESOLVE_NO_MAGICLINKS = 2;
        const RESOLVE_NO_SYMLINKS = 4;
        const RESOLVE_BENEATH = 8;
        const RESOLVE_IN_ROOT = 0x10;
        const RESOLVE_CACHED = 0x20;
    }
}
/// Directory file descriptor: the current directory.
pub const AT_FDCWD: i32 = -100;
flags! {
    /// Flags of the `*at` calls. `AT_REMOVEDIR`, `AT_EACCESS` and `AT_HANDLE_FID` are one bit.
    pub struct AtFlags: u32 {
        const AT_HANDLE_MNT_ID_UNIQUE = 1;
        const AT_HANDLE_CONNECTABLE = 2;
        const AT_SYMLINK_NOFOLLOW = 0x100;
        const AT_EACCESS = 0x200;
        const AT_REMOVEDIR = 0x200;
        const AT_HANDLE_FID = 0x200;
        const AT_SYMLINK_FOLLOW = 0x400;
        const AT_NO_AUTOMOUNT = 0x800;
        const AT_EMPTY_PATH = 0x1000;
        const AT_STATX_FORCE_SYNC = 0x2000;
        const AT_STATX_DONT_SYNC = 0x4000;
        const AT_RECURSIVE = 0x8000;
        const AT_EXECVE_CHECK = 0x10000;
    }
}
/// `access`: is it there?
pub const F_OK: u32 = 0;
flags! {
    /// `access`: what is asked; none is existence.
    pub struct AccessMode: u32 {
        const X_OK = 1;
        const W_OK = 2;
        const R_OK = 4;
    }
}
flags! {
    /// `fallocate` modes.
    pub struct FallocFlags: u32 {
        const FALLOC_FL_ALLOCATE_RANGE = 0;
        const FALLOC_FL_KEEP_SIZE = 1;
        const FALLOC_FL_PUNCH_HOLE = 2;
        const FALLOC_FL_NO_HIDE_STALE = 4;
        const FALLOC_FL_COLLAPSE_RANGE = 8;
        const FALLOC_FL_ZERO_RANGE = 0x10;
        const FALLOC_FL_INSERT_RANGE = 0x20;
        const FALLOC_FL_UNSHARE_RANGE = 0x40;
        const FALLOC_FL_WRITE_ZEROES = 0x80;
    }
}
flags! {
    /// `renameat2`.
    pub struct RenameFlags: u32 {
        const RENAME_NOREPLACE = 1;
        const RENAME_EXCHANGE = 2;
        const RENAME_WHITEOUT = 4;
    }
}
flags! {
    /// `splice`, `tee`, `vmsplice`.
    pub struct SpliceFlags: u32 {
        const SPLICE_F_MOVE = 1;
        const SPLICE_F_NONBLOCK = 2;
        const SPLICE_F_MORE = 4;
        const SPLICE_F_GIFT = 8;
    }
}
flags! {
    /// `preadv2`, `pwritev2`.
    pub struct RwfFlags: u32 {
        const RWF_HIPRI = 1;
        const RWF_DSYNC = 2;
        const RWF_SYNC = 4;
        const RWF_NOWAIT = 8;
        const RWF_APPEND = 0x10;
        const RWF_NOAPPEND = 0x20;
        const RWF_ATOMIC = 0x40;
        const RWF_DONTCACHE = 0x80;
    }
}
flags! {
    /// `sync_file_range`.
    pub struct SyncRangeFlags: u32 {
        const SYNC_FILE_RANGE_WAIT_BEFORE = 1;
        const SYNC_FILE_RANGE_WRITE = 2;
        const SYNC_FILE_RANGE_WAIT_AFTER = 4;
    }
}
flags! {
    /// `close_range`.
    pub struct CloseRangeFlags: u32 {
        const CLOSE_RANGE_UNSHARE = 2;
        const CLOSE_RANGE_CLOEXEC = 4;
    }
}
flags! {
    /// `flock` operations.
    pub struct FlockOp: u32 {
        const LOCK_SH = 1;
        const LOCK_EX = 2;
        const LOCK_NB = 4;
        const LOCK_UN = 8;
        const LOCK_MAND = 0x20;
    }
}
flags! {
    /// `setxattr`.
    pub struct XattrFlags: u32 {
        const XATTR_CREATE = 1;
        const XATTR_REPLACE = 2;
    }
}
consts! {
    /// Limits of extended attributes, bytes.
    XATTR_LIMITS: usize {
        XATTR_NAME_MAX = 255;
        XATTR_SIZE_MAX = 65536;
        XATTR_LIST_MAX = 65536;
    }
}
consts! {
    /// `lseek` origins.
    SEEK: u32 {
        SEEK_SET = 0;
        SEEK_CUR = 1;
        SEEK_END = 2;
        SEEK_DATA = 3;
        SEEK_HOLE = 4;
    }
}
consts! {
    /// `fcntl` commands.
    FCNTL: u32 {
        F_DUPFD = 0;
        F_GETFD = 1;
        F_SETFD = 2;
        F_GETFL = 3;
        F_SETFL = 4;
        F_GETLK = 5;
        F_SETLK = 6;
        F_SETLKW = 7;
        F_SETOWN = 8;
        F_GETOWN = 9;
        F_SETSIG = 10;
        F_GETSIG = 11;
        F_SETOWN_EX = 15;
        F_GETOWN_EX = 16;
        F_GETOWNER_UIDS = 17;
        F_OFD_GETLK = 36;
        F_OFD_SETLK = 37;
        F_OFD_SETLKW = 38;
        F_SETLEASE = 1024;
        F_GETLEASE = 1025;
        F_NOTIFY = 1026;
        F_DUPFD_QUERY = 1027;
        F_CREATED_QUERY = 1028;
        F_CANCELLK = 1029;
        F_DUPFD_CLOEXEC = 1030;
        F_SETPIPE_SZ = 1031;
        F_GETPIPE_SZ = 1032;
        F_ADD_SEALS = 1033;
        F_GET_SEALS = 1034;
        F_GET_RW_HINT = 1035;
        F_SET_RW_HINT = 1036;
        F_GET_FILE_RW_HINT = 1037;
        F_SET_FILE_RW_HINT = 1038;
    }
}
consts! {
    /// Kinds of owner of `F_SETOWN_EX`.
    F_OWNER: i32 {
        F_OWNER_TID = 0;
        F_OWNER_PID = 1;
        F_OWNER_PGRP = 2;
    }
}
consts! {
    /// Types of record locks and leases.
    F_LOCK_TYPES: i16 {
        F_RDLCK = 0;
        F_WRLCK = 1;
        F_UNLCK = 2;
    }
}
flags! {
    /// `F_ADD_SEALS`.
    pub struct SealFlags: u32 {
        const F_SEAL_SEAL = 1;
        const F_SEAL_SHRINK = 2;
        const F_SEAL_GROW = 4;
        const F_SEAL_WRITE = 8;
        const F_SEAL_FUTURE_WRITE = 0x10;
        const F_SEAL_EXEC = 0x20;
    }
}
/// File descriptor flag: closed by `execve`.
pub const FD_CLOEXEC: u32 = 1;
consts! {
    /// `fadvise64` advice.
    FADVISE: i32 {
        POSIX_FADV_NORMAL = 0;
        POSIX_FADV_RANDOM = 1;
        POSIX_FADV_SEQUENTIAL = 2;
        POSIX_FADV_WILLNEED = 3;
        POSIX_FADV_DONTNEED = 4;
        POSIX_FADV_NOREUSE = 5;
    }
}
consts! {
    /// ioctl numbers that files of any kind know.
    FILE_IOCTLS: u32 {
        FIBMAP = 1;
        FIGETBSZ = 2;
        FIONREAD = 0x541b;
        FIONBIO = 0x5421;
        FIONCLEX = 0x5450;
        FIOCLEX = 0x5451;
        FIOASYNC = 0x5452;
        FIOQSIZE = 0x5460;
        FICLONE = 0x40049409;
        FS_IOC_SETFLAGS = 0x40086602;
        FS_IOC_SETVERSION = 0x40087602;
        FS_IOC_FSSETXATTR = 0x401c5820;
        FICLONERANGE = 0x4020940d;
        FS_IOC_SETFSLABEL = 0x41009432;
        FS_IOC_GETFLAGS = 0x80086601;
        FS_IOC_GETVERSION = 0x80087601;
        FS_IOC_FSGETXATTR = 0x801c581f;
        FS_IOC_GETFSLABEL = 0x81009431;
        FIFREEZE = 0xc0045877;
        FITHAW = 0xc0045878;
        FITRIM = 0xc0185879;
        FIDEDUPERANGE = 0xc0189436;
        FS_IOC_FIEMAP = 0xc020660b;
    }
}
consts! {
    /// ioctl numbers of random(4).
    RANDOM_IOCTLS: u32 {
        RNDZAPENTCNT = 0x5204;
        RNDCLEARPOOL = 0x5206;
        RNDRESEEDCRNG = 0x5207;
        RNDADDTOENTCNT = 0x40045201;
        RNDADDENTROPY = 0x40085203;
        RNDGETENTCNT = 0x80045200;
    }
}
consts! {
    /// ioctl numbers of block devices.
    BLOCK_IOCTLS: u32 {
        HDIO_GETGEO = 0x301;
        BLKROSET = 0x125d;
        BLKROGET = 0x125e;
        BLKRRPART = 0x125f;
        BLKGETSIZE = 0x1260;
        BLKFLSBUF = 0x1261;
        BLKRASET = 0x1262;
        BLKRAGET = 0x1263;
        BLKSECTGET = 0x1267;
        BLKSSZGET = 0x1268;
        BLKDISCARD = 0x1277;
        BLKIOMIN = 0x1278;
        BLKIOOPT = 0x1279;
        BLKALIGNOFF = 0x127a;
        BLKPBSZGET = 0x127b;
        BLKDISCARDZEROES = 0x127c;
        BLKSECDISCARD = 0x127d;
        BLKROTATIONAL = 0x127e;
        BLKZEROOUT = 0x127f;
        BLKBSZSET = 0x40081271;
        BLKBSZGET = 0x80081270;
        BLKGETSIZE64 = 0x80081272;
        BLKGETDISKSEQ = 0x80081280;
    }
}
flags! {
    /// `FS_IOC_GETFLAGS`: what `lsattr` shows.
    pub struct InodeFlags: u32 {
        const FS_SECRM_FL = 1;
        const FS_UNRM_FL = 2;
        const FS_COMPR_FL = 4;
        const FS_SYNC_FL = 8;
        const FS_IMMUTABLE_FL = 0x10;
        const FS_APPEND_FL = 0x20;
        const FS_NODUMP_FL = 0x40;
        const FS_NOATIME_FL = 0x80;
        const FS_DIRTY_FL = 0x100;
        const FS_COMPRBLK_FL = 0x200;
        const FS_NOCOMP_FL = 0x400;
        const FS_ENCRYPT_FL = 0x800;
        const FS_BTREE_FL = 0x1000;
        const FS_INDEX_FL = 0x1000;
        const FS_IMAGIC_FL = 0x2000;
        const FS_JOURNAL_DATA_FL = 0x4000;
        const FS_NOTAIL_FL = 0x8000;
        const FS_DIRSYNC_FL = 0x10000;
        const FS_TOPDIR_FL = 0x20000;
        const FS_HUGE_FILE_FL = 0x40000;
        const FS_EXTENT_FL = 0x80000;
        const FS_VERITY_FL = 0x100000;
        const FS_EA_INODE_FL = 0x200000;
        const FS_EOFBLOCKS_FL = 0x400000;
        const FS_NOCOW_FL = 0x800000;
        const FS_DAX_FL = 0x2000000;
        const FS_INLINE_DATA_FL = 0x10000000;
        const FS_PROJINHERIT_FL = 0x20000000;
        const FS_CASEFOLD_FL = 0x40000000;
    }
}
consts! {
    /// Limits of paths and vectors: bytes, and elements for [`UIO_MAXIOV`] and [`UIO_FASTIOV`].
    LIMITS: usize {
        UIO_FASTIOV = 8;
        NAME_MAX = 255;
        UIO_MAXIOV = 1024;
        PATH_MAX = 4096;
        PIPE_BUF = 4096;
    }
}

/// Most bytes that one read or write moves (`MAX_RW_COUNT`).
pub const MAX_RW_COUNT: usize = 0x7fff_f000;
/// Most symbolic links that a path walk follows before ELOOP.
pub const MAXSYMLINKS: usize = 40;

/// A device number as `stat` and `mknod` carry it (`new_encode_dev`): 12 bits of major, 20 bits of minor.
pub const fn makedev(major: u32, minor: u32) -> u64 {
    ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12)) as u64
}

/// The major number of a device number.
pub const fn major(dev: u64) -> u32 {
    (dev as u32 & 0xf_ff00) >> 8
}

/// The minor number of a device number.
pub const fn minor(dev: u64) -> u32 {
    (dev as u32 & 0xff) | ((dev as u32 >> 12) & 0xf_ff00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive() {
        for (ma, mi) in [(1, 3), (8, 0), (136, 255), (0xfff, 0xf_ffff), (259, 70_000)] {
            assert_eq!((major(makedev(ma, mi)), minor(makedev(ma, mi))), (ma, mi));
        }
        assert_eq!(makedev(136, 300), 0x0010_882c);
    }
}
