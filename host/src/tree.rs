//! A directory tree of the host that can't be left.
//!
//! Every operation works on one name in an open directory and never follows a symbolic link, so whatever links lie in
//! the tree, nothing outside it is reached. Names with a slash, `.`, `..` and empty ones are refused with EINVAL.

use rustix::fs::{
    self, AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, RawMode, RenameFlags, StatVfs, Timespec,
    Timestamps, Uid,
};
use rustix::io::Errno;
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

pub use rustix::fs::Stat;

/// Bytes of records that one call fetches.
const RECORDS: usize = 32 << 10;

thread_local! {
    /// Not on the stack: that may be a small one whose pages stay.
    static BUFFER: RefCell<Box<[MaybeUninit<u8>]>> =
        RefCell::new(vec![MaybeUninit::uninit(); RECORDS].into_boxed_slice());
}

/// An open directory of the tree: the root, a place to find names in, or one whose names can be read as well.
pub struct Dir {
    fd: OwnedFd,
    /// Whether the position has left the start, where names can be read.
    reader: Option<Mutex<bool>>,
}

/// One record of a directory.
pub struct Entry<'a> {
    pub name: &'a [u8],
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
        Ok(Dir::place(fs::openat(CWD, path, flags, Mode::empty())?))
    }

    fn place(fd: OwnedFd) -> Dir {
        Dir { fd, reader: None }
    }

    /// A directory in it.
    pub fn open_dir(&self, name: &[u8]) -> Result<Dir, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::openat(&self.fd, component(name)?, flags, Mode::empty())?;
        Ok(Dir::place(fd))
    }

    /// A directory in it whose names can be read. EACCES.
    pub fn open_dir_to_read(&self, name: &[u8]) -> Result<Dir, Errno> {
        self.reader_at(component(name)?)
    }

    /// The directory itself, opened so that its names can be read. EACCES.
    pub fn open_self_to_read(&self) -> Result<Dir, Errno> {
        self.reader_at(b".")
    }

    fn reader_at(&self, name: &[u8]) -> Result<Dir, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Dir {
            fd: fs::openat(&self.fd, name, flags, Mode::empty())?,
            reader: Some(Mutex::new(false)),
        })
    }

    /// Whether [`entries`](Self::entries) works.
    pub fn is_readable(&self) -> bool {
        self.reader.is_some()
    }

    /// A regular file in it, and what it is. `append`: every write goes to the end. Never blocks and never opens devices for
    /// their side effects: the caller has seen that it is a regular file, and O_NONBLOCK covers a swap behind its back.
    pub fn open_file(
        &self,
        name: &[u8],
        write: bool,
        append: bool,
    ) -> Result<(OwnedFd, Stat), Errno> {
        let mut flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        flags |= if write { OFlags::RDWR } else { OFlags::RDONLY };
        if append {
            flags |= OFlags::APPEND;
        }
        let fd = fs::openat(&self.fd, component(name)?, flags, Mode::empty())?;
        let stat = fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            Ok((fd, stat))
        } else {
            Err(Errno::INVAL)
        }
    }

    pub fn stat_self(&self) -> Result<Stat, Errno> {
        fs::fstat(&self.fd)
    }

    /// Magic number of the file system it lies on (statfs(2)).
    pub fn magic(&self) -> Result<u64, Errno> {
        Ok(fs::fstatfs(&self.fd)?.f_type as u64)
    }

    pub fn statvfs(&self) -> Result<StatVfs, Errno> {
        fs::fstatvfs(&self.fd)
    }

    pub fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        fs::statat(&self.fd, component(name)?, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        Ok(fs::readlinkat(&self.fd, component(name)?, Vec::new())?.into_bytes())
    }

    /// A new regular file, opened for reading and writing. `mode`: permission bits; the process's umask must be 0.
    pub fn create_file(&self, name: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(
            &self.fd,
            component(name)?,
            flags,
            Mode::from_raw_mode(mode & 0o7777),
        )
    }

    pub fn make_dir(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        fs::mkdirat(
            &self.fd,
            component(name)?,
            Mode::from_raw_mode(mode & 0o7777),
        )
    }

    /// A device, FIFO or socket node. `mode` with its type bits; `rdev` as stat tells it.
    pub fn make_node(&self, name: &[u8], mode: u32, rdev: u64) -> Result<(), Errno> {
        let kind = FileType::from_raw_mode(mode as RawMode);
        fs::mknodat(
            &self.fd,
            component(name)?,
            kind,
            Mode::from_raw_mode(mode & 0o7777),
            rdev as Dev,
        )
    }

    pub fn symlink(&self, name: &[u8], target: &[u8]) -> Result<(), Errno> {
        fs::symlinkat(target, &self.fd, component(name)?)
    }

    pub fn link(&self, name: &[u8], new_dir: &Dir, new_name: &[u8]) -> Result<(), Errno> {
        fs::linkat(
            &self.fd,
            component(name)?,
            &new_dir.fd,
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
            &self.fd,
            component(name)?,
            &new_dir.fd,
            component(new_name)?,
            flags,
        )
    }

    pub fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        fs::unlinkat(&self.fd, component(name)?, AtFlags::empty())
    }

    pub fn remove_dir(&self, name: &[u8]) -> Result<(), Errno> {
        fs::unlinkat(&self.fd, component(name)?, AtFlags::REMOVEDIR)
    }

    /// chmod(2) of a name that isn't a symbolic link (EOPNOTSUPP otherwise).
    pub fn chmod(&self, name: &[u8], mode: u32) -> Result<(), Errno> {
        let fd = fs::openat(
            &self.fd,
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
        chmod_handle(self.fd.as_fd(), mode)
    }

    /// lchown(2); None leaves an id.
    pub fn chown(&self, name: &[u8], uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        fs::chownat(
            &self.fd,
            component(name)?,
            uid,
            gid,
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }

    pub fn chown_self(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        fs::chownat(&self.fd, "", uid, gid, AtFlags::EMPTY_PATH)
    }

    /// utimensat(2) without following; `tv_nsec` may be UTIME_NOW or UTIME_OMIT.
    pub fn set_times(
        &self,
        name: &[u8],
        access: (i64, i64),
        modification: (i64, i64),
    ) -> Result<(), Errno> {
        fs::utimensat(
            &self.fd,
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
        let path = handle_path(self.fd.as_fd());
        fs::utimensat(CWD, path, &stamps(access, modification), AtFlags::empty())
    }

    /// fsync(2) of the directory itself.
    pub fn sync(&self) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::fsync(fs::openat(&self.fd, ".", flags, Mode::empty())?)
    }

    /// Gives `each` every record but `.` and `..`, in the host's order. EBADF unless it was opened to read.
    // Never inlined, so that no fiber keeps the address of this thread's buffer.
    #[inline(never)]
    pub fn entries(&self, mut each: impl FnMut(Entry<'_>)) -> Result<(), Errno> {
        let reader = self.reader.as_ref().ok_or(Errno::BADF)?;
        let mut moved = reader.lock().unwrap_or_else(PoisonError::into_inner);
        if *moved {
            fs::seek(&self.fd, fs::SeekFrom::Start(0))?;
        }
        *moved = true;
        BUFFER.with_borrow_mut(|buffer| {
            let mut raw = fs::RawDir::new(&self.fd, buffer);
            while let Some(entry) = raw.next() {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name != b"." && name != b".." {
                    let kind = match entry.file_type() {
                        FileType::Unknown => 0,
                        kind => (kind.as_raw_mode() >> 12) as u8,
                    };
                    let ino = entry.ino();
                    each(Entry { name, ino, kind });
                }
            }
            Ok(())
        })
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
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

/// lseek(2) with SEEK_HOLE, or SEEK_DATA. ENXIO at the end, and when only a hole follows data.
pub fn seek(fd: BorrowedFd<'_>, offset: u64, hole: bool) -> Result<u64, Errno> {
    let from = if hole {
        fs::SeekFrom::Hole(offset)
    } else {
        fs::SeekFrom::Data(offset)
    };
    fs::seek(fd, from)
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
