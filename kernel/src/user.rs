//! User memory as claims: a pointer from a guest can't be read without the check, and a fault is EFAULT.
//!
//! All access goes through the calling task's address space, or through the one named.

use crate::error::{Error, Result, err};
use crate::mm::Mm;
use crate::sched;
use abi::errno::Errno;
use std::marker::PhantomData;
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Longest path name with its NUL (PATH_MAX).
pub const PATH_MAX: usize = 4096;

fn mm() -> Result<Arc<Mm>> {
    sched::current()
        .mm()
        .ok_or_else(|| Error::new(Errno::EFAULT))
}

/// A claimed pointer to a `T` in the guest.
pub struct UserPtr<T> {
    addr: u64,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> UserPtr<T> {
    pub const fn new(addr: u64) -> UserPtr<T> {
        UserPtr {
            addr,
            kind: PhantomData,
        }
    }

    pub fn addr(self) -> u64 {
        self.addr
    }

    pub fn is_null(self) -> bool {
        self.addr == 0
    }

    /// None for NULL, for optional arguments.
    pub fn non_null(self) -> Option<UserPtr<T>> {
        (self.addr != 0).then_some(self)
    }

    pub fn cast<U>(self) -> UserPtr<U> {
        UserPtr::new(self.addr)
    }

    /// The pointer `bytes` further on.
    pub fn byte_add(self, bytes: u64) -> UserPtr<T> {
        UserPtr::new(self.addr.wrapping_add(bytes))
    }

    /// The pointer to element `index` of an array.
    pub fn index(self, index: usize) -> UserPtr<T> {
        self.byte_add((index * size_of::<T>()) as u64)
    }
}

impl<T: FromBytes + IntoBytes> UserPtr<T> {
    /// Copies the value in. EFAULT.
    pub fn read(self) -> Result<T> {
        let mut value = T::new_zeroed();
        read_exact(&*mm()?, self.addr, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies `count` values in. EFAULT. The caller bounds `count`.
    pub fn read_array(self, count: usize) -> Result<Vec<T>>
    where
        T: Clone,
    {
        let mut values = vec![T::new_zeroed(); count];
        read_exact(&*mm()?, self.addr, values.as_mut_slice().as_mut_bytes())?;
        Ok(values)
    }
}

impl<T: IntoBytes + Immutable> UserPtr<T> {
    /// Copies the value out. EFAULT.
    pub fn write(self, value: &T) -> Result<()> {
        write_all(&*mm()?, self.addr, value.as_bytes())
    }

    /// Copies values out. EFAULT.
    pub fn write_array(self, values: &[T]) -> Result<()> {
        write_all(&*mm()?, self.addr, values.as_bytes())
    }
}

impl UserPtr<u8> {
    /// A NUL-terminated string of at most `max` bytes with its NUL. EFAULT; ENAMETOOLONG when there is no NUL.
    pub fn read_cstr(self, max: usize) -> Result<Vec<u8>> {
        let mm = mm()?;
        let mut out = Vec::new();
        let mut chunk = [0u8; 512];
        let got = mm.peek(self.addr, &mut chunk[..max.min(512)]);
        if let Some(end) = chunk[..got].iter().position(|b| *b == 0) {
            return Ok(chunk[..end].to_vec());
        }
        loop {
            let at = self.addr.wrapping_add(out.len() as u64);
            let to_page_end = 4096 - (at as usize & 4095);
            let want = chunk.len().min(to_page_end).min(max - out.len());
            if want == 0 {
                return err(Errno::ENAMETOOLONG);
            }
            let got = mm.read(at, &mut chunk[..want]);
            if let Some(end) = chunk[..got].iter().position(|b| *b == 0) {
                out.extend_from_slice(&chunk[..end]);
                return Ok(out);
            }
            if got < want {
                return err(Errno::EFAULT);
            }
            out.extend_from_slice(&chunk[..got]);
        }
    }

    /// A path name argument. ENAMETOOLONG beyond [`PATH_MAX`].
    pub fn read_path(self) -> Result<Vec<u8>> {
        self.read_cstr(PATH_MAX)
    }

    /// Copies bytes out. EFAULT.
    pub fn write_bytes(self, bytes: &[u8]) -> Result<()> {
        write_all(&*mm()?, self.addr, bytes)
    }

    /// Fills `bytes` from the guest. EFAULT.
    pub fn read_bytes(self, bytes: &mut [u8]) -> Result<()> {
        read_exact(&*mm()?, self.addr, bytes)
    }
}

fn read_exact(mm: &Mm, addr: u64, buf: &mut [u8]) -> Result<()> {
    if mm.read(addr, buf) == buf.len() {
        Ok(())
    } else {
        err(Errno::EFAULT)
    }
}

fn write_all(mm: &Mm, addr: u64, buf: &[u8]) -> Result<()> {
    if mm.write(addr, buf) == buf.len() {
        Ok(())
    } else {
        err(Errno::EFAULT)
    }
}
