//! A directory tree of the host that can't be left.
//!
//! Every operation works on one name in an open directory and never follows a symbolic link, so whatever links lie in
//! the tree, nothing outside it is reached. Names with a slash, `.`, `..` and empty ones are refused with EINVAL.

use rustix::fs::{
    self, AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, RawMode, RenameFlags, StatVfs, Timespec,
    Timestamps, Uid,
};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub use rustix::fs::Stat;

/// An open directory of the tree.
pub struct Dir(OwnedFd);

/// One record of a directory.
pub struct Entry {
    pub name: Box<[u8]>,
    pub ino: u64,
    /// DT_* value, 0 when the host doesn't tell.
    pub kind: u8,
}

fn component(name: &[u8]) -> Result<&[u8], Errno> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0)
    {
        return Err(Errno::INVAL);
    }
    Ok(name)
}

impl Dir {
    /// The root of a tree: any path the user may name; links in it are followed. ENOTDIR, ENOENT, EACCES.
    pub fn open_root(path: &std::path::Path) -> Result<Dir, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Dir(fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// A directory in it.
    pub fn open_dir(&self, name: &[u8]) -> Result<Dir, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Dir(fs::openat(
            &self.0,
            component(name)?,
            flags,
            Mode::empty(),
        )?))
    }

    /// A regular file in it. `append`: every write goes to the end. Never blocks and never opens devices for
    /// their side effects: the caller has seen that it is a regular file, and O_NONBLOCK covers a swap behind its back.
    pub fn open_file(&self, name: &[u8], write: bool, append: bool) -> Result<OwnedFd, Errno> {
        let mut flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        flags |= if write { OFlags::RDWR } else { OFlags::RDONLY };
        if append {
            flags |= OFlags::APPEND;
        }
        let fd = fs::openat(&self.0, component(name)?, flags, Mode::empty())?;
        if FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) == FileType::RegularFile {
            Ok(fd)
        } else {
            Err(Errno::INVAL)
        }
    }

    pub fn stat_self(&self) -> Result<Stat, Errno> {
        fs::fstat(&self.0)
    }

    /// Magic number of the file system it lies on (statfs(2)).
    pub fn magic(&self) -> Result<u64, Errno> {
        Ok(fs::fstatfs(&self.0)?.f_type as u64)
    }

    pub fn statvfs(&self) -> Result<StatVfs, Errno> {
        fs::fstatvfs(&self.0)
    }

    pub fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        fs::statat(&self.0, component(name)?, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        Ok(fs::readlinkat(&self.0, component(name)?, Vec::new())?.into_bytes())
    }

    /// A new regular file, opened for reading and writing. `mode`: permission bits; the process's umask must be 0.
    pub fn create_file(&self, name: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(
            &self.0,
            component(name)?,
            flags,
            Mode::from_raw_mode(mode & 0o7777),
        )
    }

    pub fn make_dir(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        fs::mkdirat(
            &self.0,
            component(name)?,
            Mode::from_raw_mode(mode & 0o7777),
        )
    }

    /// A device, FIFO or socket node. `mode` with its type bits; `rdev` as stat tells it.
    pub fn make_node(&self, name: &[u8], mode: u32, rdev: u64) -> Result<(), Errno> {
        let kind = FileType::from_raw_mode(mode as RawMode);
        fs::mknodat(
            &self.0,
            component(name)?,
            kind,
            Mode::from_raw_mode(mode & 0o7777),
            rdev as Dev,
        )
    }

    pub fn symlink(&self, name: &[u8], target: &[u8]) -> Result<(), Errno> {
        fs::symlinkat(target, &self.0, component(name)?)
    }

    pub fn link(&self, name: &[u8], new_dir: &Dir, new_name: &[u8]) -> Result<(), Errno> {
        fs::linkat(
            &self.0,
            component(name)?,
            &new_dir.0,
            component(new_name)?,
            AtFlags::empty(),
        )
    }

    /// renameat2(2); `exchange` and `no_replace` are its flags.
    pub fn rename(
        &self,
        name: &[u8],
        new_dir: &Dir,
        new_name: &[u8],
        exchange: bool,
        no_replace: bool,
    ) -> Result<(), Errno> {
        let mut flags = RenameFlags::empty();
        flags.set(RenameFlags::EXCHANGE, exchange);
        flags.set(RenameFlags::NOREPLACE, no_replace);
        fs::renameat_with(
            &self.0,
            component(name)?,
            &new_dir.0,
            component(new_name)?,
            flags,
        )
    }

    pub fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        fs::unlinkat(&self.0, component(name)?, AtFlags::empty())
    }

    pub fn remove_dir(&self, name: &[u8]) -> Result<(), Errno> {
        fs::unlinkat(&self.0, component(name)?, AtFlags::REMOVEDIR)
    }

    /// chmod(2) of a name that isn't a symbolic link (EOPNOTSUPP otherwise).
    pub fn chmod(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        let fd = fs::openat(
            &self.0,
            component(name)?,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        if FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) == FileType::Symlink {
            return Err(Errno::OPNOTSUPP);
        }
        chmod_handle(fd.as_fd(), mode)
    }

    pub fn chmod_self(&self, mode: u32) -> Result<(), Errno> {
        chmod_handle(self.0.as_fd(), mode)
    }

    /// lchown(2); None leaves an id.
    pub fn chown(&self, name: &[u8], uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        fs::chownat(
            &self.0,
            component(name)?,
            uid,
            gid,
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }

    pub fn chown_self(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        fs::chownat(&self.0, "", uid, gid, AtFlags::EMPTY_PATH)
    }

    /// utimensat(2) without following; `tv_nsec` may be UTIME_NOW or UTIME_OMIT.
    pub fn set_times(
        &self,
        name: &[u8],
        access: (i64, i64),
        modification: (i64, i64),
    ) -> Result<(), Errno> {
        fs::utimensat(
            &self.0,
            component(name)?,
            &stamps(access, modification),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }

    pub fn set_times_self(
        &self,
        access: (i64, i64),
        modification: (i64, i64),
    ) -> Result<(), Errno> {
        let path = handle_path(self.0.as_fd());
        fs::utimensat(CWD, path, &stamps(access, modification), AtFlags::empty())
    }

    /// fsync(2) of the directory itself.
    pub fn sync(&self) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::fsync(fs::openat(&self.0, ".", flags, Mode::empty())?)
    }

    /// Every record but `.` and `..`, in the host's order.
    pub fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let fd = fs::openat(
            &self.0,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut buf = [MaybeUninit::<u8>::uninit(); 32 << 10];
        let mut raw = fs::RawDir::new(fd, &mut buf);
        let mut out = Vec::new();
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let kind = match entry.file_type() {
                    FileType::Unknown => 0,
                    kind => (kind.as_raw_mode() >> 12) as u8,
                };
                out.push(Entry {
                    name: name.into(),
                    ino: entry.ino(),
                    kind,
                });
            }
        }
        Ok(out)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn stamps(access: (i64, i64), modification: (i64, i64)) -> Timestamps {
    let stamp = |(tv_sec, tv_nsec): (i64, i64)| Timespec { tv_sec, tv_nsec };
    Timestamps {
        last_access: stamp(access),
        last_modification: stamp(modification),
    }
}

fn handle_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// An O_PATH handle has no fchmod before Linux 6.6, so by its /proc name (which names the object itself, not a path).
fn chmod_handle(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    fs::chmodat(
        CWD,
        handle_path(fd),
        Mode::from_raw_mode(mode & 0o7777),
        AtFlags::empty(),
    )
}

/// Size of an open file in bytes, and its modification time.
pub fn stat_file(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    fs::fstat(fd)
}

/// ftruncate(2).
pub fn truncate(fd: BorrowedFd<'_>, size: u64) -> Result<(), Errno> {
    fs::ftruncate(fd, size)
}

/// fallocate(2) with the FALLOC_FL_* bits `mode`.
pub fn allocate(fd: BorrowedFd<'_>, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
    fs::fallocate(fd, fs::FallocateFlags::from_bits_retain(mode), offset, len)
}

/// Largest size that the file can have, bytes: the host tells it by the positions that lseek(2) takes.
pub fn max_size(fd: BorrowedFd<'_>) -> u64 {
    let possible = |at: u64| fs::seek(fd, fs::SeekFrom::Start(at)).is_ok();
    let (mut low, mut high) = (0, i64::MAX as u64);
    if !possible(high) {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if possible(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        high = low;
    }
    // Back to the start; positions aren't used otherwise.
    let _at_start = possible(0);
    high
}

/// fsync(2), or fdatasync(2).
pub fn sync(fd: BorrowedFd<'_>, data_only: bool) -> Result<(), Errno> {
    if data_only {
        fs::fdatasync(fd)
    } else {
        fs::fsync(fd)
    }
}

/// Appends `bytes` to a file opened so.
pub fn append(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::io::write(fd, bytes)
}
