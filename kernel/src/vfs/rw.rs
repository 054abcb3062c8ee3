//! Reading and writing open files: vectors, limits, positions (fs/read_write.c, lib/iov_iter.c:import_iovec()).

use super::{File, Parts, Sink, Source, notify};
use crate::error::{Result, err};
use crate::sync::MutexGuard;
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::fs::{Iovec, MAX_RW_COUNT, OpenFlags, UIO_MAXIOV};

/// The pieces of user memory that an array of `count` iovecs names, cut at MAX_RW_COUNT. EINVAL, EFAULT.
pub fn import_iovec(vector: UserPtr<Iovec>, count: usize) -> Result<Vec<(u64, usize)>> {
    if count > UIO_MAXIOV {
        return err(Errno::EINVAL);
    }
    let vector = vector.read_array(count)?;
    let mut room = MAX_RW_COUNT;
    let mut parts = Vec::with_capacity(count);
    for part in vector {
        let len = usize::try_from(part.iov_len).map_err(|_| Errno::EINVAL)?;
        if isize::try_from(len).is_err() {
            return err(Errno::EINVAL);
        }
        check_range(part.iov_base, len)?;
        let len = len.min(room);
        room -= len;
        if len != 0 {
            parts.push((part.iov_base, len));
        }
    }
    Ok(parts)
}

/// One buffer, cut at MAX_RW_COUNT. EFAULT when it leaves user space.
pub fn import_buffer(addr: u64, len: usize) -> Result<Parts> {
    check_range(addr, len)?;
    Ok(Parts::One([(addr, len.min(MAX_RW_COUNT))]))
}

fn check_range(addr: u64, len: usize) -> Result<()> {
    match addr.checked_add(len as u64) {
        Some(end) if end <= platform::TASK_SIZE => Ok(()),
        _ => err(Errno::EFAULT),
    }
}

/// EINVAL where positions would leave their type: fs/read_write.c:rw_verify_area().
fn check_end(at: u64, len: usize) -> Result<()> {
    match i64::try_from(at.saturating_add(len as u64)) {
        Ok(_) => Ok(()),
        Err(_) => err(Errno::EINVAL),
    }
}

impl File {
    /// Holds the position, where the file has one; may sleep.
    pub fn lock_position(&self) -> Option<MutexGuard<'_, ()>> {
        self.ops().seekable().then(|| self.position_lock.lock())
    }

    /// Reads at the position, or at `at` (ESPIPE without positions, EINVAL beyond the largest). EBADF.
    pub fn read(&self, sink: &mut Sink<'_>, at: Option<u64>) -> Result<usize> {
        if !self.readable() {
            return err(Errno::EBADF);
        }
        let done = match at {
            Some(mut at) => {
                self.check_position(at, sink.remaining())?;
                self.ops().read(self, sink, &mut at)?
            }
            None => {
                let held = self.lock_position();
                let mut position = self.position();
                check_end(position, sink.remaining())?;
                let done = self.ops().read(self, sink, &mut position)?;
                if held.is_some() {
                    self.set_position(position);
                }
                done
            }
        };
        if done != 0 {
            notify::accessed(self);
        }
        Ok(done)
    }

    /// Writes at the position, or at `at`, and waits for the storage with O_SYNC and O_DSYNC. EBADF.
    pub fn write(&self, source: &mut Source<'_>, at: Option<u64>) -> Result<usize> {
        if !self.writable() {
            return err(Errno::EBADF);
        }
        let done = match at {
            Some(mut at) => {
                self.check_position(at, source.remaining())?;
                self.ops().write(self, source, &mut at)?
            }
            None => {
                let held = self.lock_position();
                let mut position = self.position();
                check_end(position, source.remaining())?;
                let done = self.ops().write(self, source, &mut position)?;
                if held.is_some() {
                    self.set_position(position);
                }
                done
            }
        };
        if done != 0 {
            notify::modified(self);
            if self.flags().contains(OpenFlags::O_DSYNC) {
                let data_only = !self.flags().contains(OpenFlags::O_SYNC);
                self.sync(data_only)?;
            }
        }
        Ok(done)
    }

    /// Writes back what is cached of the file, and the file system's own part.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        if let Some(mapping) = self.inode().mapping() {
            mapping.sync(0, mapping.size())?;
        }
        self.inode().sync(data_only)
    }

    fn check_position(&self, at: u64, len: usize) -> Result<()> {
        if i64::try_from(at).is_err() {
            return err(Errno::EINVAL);
        }
        if self.ops().positional() {
            check_end(at, len)
        } else {
            err(Errno::ESPIPE)
        }
    }

    /// Reads all that is there from `at` on into `buf`, as far as it goes; for the kernel's own use.
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let mut position = at + done as u64;
            let mut sink = Sink::kernel(&mut buf[done..]);
            match self.ops().read(self, &mut sink, &mut position)? {
                0 => break,
                got => done += got,
            }
        }
        Ok(done)
    }
}
