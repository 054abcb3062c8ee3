//! Regular files whose content is a page cache: what tmpfs, hostfs and others return from [`Inode::open`].

use super::inode::address;
use super::{File, FileOps, Inode, Sink, Source, attr};
use crate::error::{Result, err};
use crate::mm::pagecache::Mapping;
use crate::sync::{Mutex, MutexGuard};
use crate::task::Task;
use abi::errno::Errno;
use abi::fs::{OpenFlags, SEEK_DATA, SEEK_HOLE};
use abi::signal::{SIGXFSZ, Siginfo};
use abi::task::RLIMIT_FSIZE;
use std::any::Any;
use std::sync::{Arc, LazyLock};

/// Writers of an inode, one at a time: inodes share these by address. Never taken twice by one task.
static WRITERS: LazyLock<[Mutex<()>; 64]> =
    LazyLock::new(|| std::array::from_fn(|_| Mutex::new(())));

/// Keeps others from writing, truncating and allocating `inode`; may sleep.
pub fn lock_inode(inode: &Arc<dyn Inode>) -> MutexGuard<'static, ()> {
    WRITERS[(address(inode) >> 4).wrapping_mul(0x9e37_79b9) >> 8 & 63].lock()
}

/// An open regular file over its inode's [`Mapping`].
pub struct PageFile {
    mapping: Arc<Mapping>,
    append_only: bool,
}

impl PageFile {
    /// What [`Inode::mapping`] of the inode that is opened gives. The inode hears of reads and writes through
    /// [`Inode::touch_accessed`] and [`Inode::touch_modified`].
    pub fn new(mapping: Arc<Mapping>) -> PageFile {
        PageFile {
            mapping,
            append_only: false,
        }
    }

    /// As [`new`](Self::new); every write goes to the end.
    pub fn append_only(mapping: Arc<Mapping>) -> PageFile {
        PageFile {
            mapping,
            append_only: true,
        }
    }
}

impl FileOps for PageFile {
    fn read(&self, file: &File, sink: &mut Sink<'_>, offset: &mut u64) -> Result<usize> {
        let done = self.mapping.read(sink, *offset)?;
        *offset += done as u64;
        file.touch_accessed();
        Ok(done)
    }

    fn write(&self, file: &File, source: &mut Source<'_>, offset: &mut u64) -> Result<usize> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        let _writers = lock_inode(file.inode());
        if self.append_only
            || source
                .append()
                .unwrap_or(file.flags().contains(OpenFlags::O_APPEND))
        {
            *offset = self.mapping.size();
        }
        limit_write(source, *offset, file.inode().max_size())?;
        let end = offset.saturating_add(source.remaining() as u64);
        let allowed = super::memfd::check_write(file.inode(), self.mapping.size(), *offset, end)?;
        truncate_source(source, allowed);
        if let Some(task) = crate::sched::try_current() {
            let cred = task.cred();
            if !cred.capable(abi::cap::CAP_FSETID) {
                let mode = attr::without_privileges(&cred, &file.inode().metadata()?);
                if mode.is_some() {
                    file.inode().set_attr(&super::SetAttr {
                        mode,
                        ..Default::default()
                    })?;
                }
            }
        }
        let done = self.mapping.write(source, *offset)?;
        *offset += done as u64;
        if done != 0 {
            file.inode().touch_modified();
        }
        Ok(done)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, file: &File, offset: i64, whence: u32) -> Result<u64> {
        if whence != SEEK_DATA && whence != SEEK_HOLE {
            let at = super::file_seek(file, offset, whence)?;
            return if at > file.inode().max_size() {
                err(Errno::EINVAL)
            } else {
                Ok(at)
            };
        }
        let size = self.mapping.size();
        let start = u64::try_from(offset)
            .ok()
            .filter(|at| *at < size)
            .ok_or(Errno::ENXIO)?;
        if whence == SEEK_DATA {
            self.mapping.seek_data(start)
        } else {
            self.mapping.seek_hole(start)
        }
    }

    fn mapping(&self, _file: &File) -> Result<Arc<Mapping>> {
        Ok(self.mapping.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// fs/read_write.c:generic_write_checks(): RLIMIT_FSIZE and the largest size `max`. Shortens `source`; EFBIG, and
/// SIGXFSZ at the limit.
pub fn limit_write(source: &mut Source<'_>, offset: u64, max: u64) -> Result<()> {
    if let Some(task) = crate::sched::try_current() {
        let limit = task.group.rlimit(RLIMIT_FSIZE as usize);
        if limit != u64::MAX {
            if offset >= limit {
                file_size_signal(&task);
                return err(Errno::EFBIG);
            }
            truncate_source(source, limit - offset);
        }
    }
    if offset >= max {
        return err(Errno::EFBIG);
    }
    truncate_source(source, max - offset);
    Ok(())
}

/// fs/attr.c:inode_newsize_ok(): RLIMIT_FSIZE for a size to be set, and the inode's largest. EFBIG, and SIGXFSZ.
pub fn limit_size(inode: &Arc<dyn Inode>, size: u64) -> Result<()> {
    if let Some(task) = crate::sched::try_current()
        && size > task.group.rlimit(RLIMIT_FSIZE as usize)
    {
        file_size_signal(&task);
        return err(Errno::EFBIG);
    }
    if size > inode.max_size() {
        err(Errno::EFBIG)
    } else {
        Ok(())
    }
}

fn file_size_signal(task: &Arc<Task>) {
    let info = Siginfo::kernel(SIGXFSZ);
    // A task that is ending takes no signals, and needs none.
    let _ = crate::signal::send_task(task, info);
}

fn truncate_source(source: &mut Source<'_>, room: u64) {
    source.truncate(usize::try_from(room).unwrap_or(usize::MAX));
}
