//! Where data goes to and comes from: user vectors or kernel memory, Linux's `iov_iter`.

use crate::error::{Result, err};
use crate::mm::Mm;
use crate::mm::pagecache::memory;
use abi::errno::Errno;
use std::ops::Deref;
use std::sync::Arc;

/// Pieces of user memory, address and length; one piece needs no allocation.
pub enum Parts {
    One([(u64, usize); 1]),
    Many(Vec<(u64, usize)>),
}

impl Deref for Parts {
    type Target = [(u64, usize)];
    fn deref(&self) -> &[(u64, usize)] {
        match self {
            Parts::One(one) => one,
            Parts::Many(many) => many,
        }
    }
}

impl From<Vec<(u64, usize)>> for Parts {
    fn from(parts: Vec<(u64, usize)>) -> Parts {
        Parts::Many(parts)
    }
}

enum Target<'a> {
    User { mm: Arc<Mm>, parts: Parts },
    Kernel(&'a mut [u8]),
}

enum Origin<'a> {
    User { mm: Arc<Mm>, parts: Parts },
    Kernel(&'a [u8]),
}

/// The destination of a read: takes bytes until it is full. A fault after some bytes is a short transfer,
/// a fault at once EFAULT.
pub struct Sink<'a> {
    target: Target<'a>,
    /// Index of the part being filled and bytes done in it.
    part: usize,
    offset: usize,
    done: usize,
    total: usize,
}

/// The origin of a write: gives bytes until it is empty.
pub struct Source<'a> {
    origin: Origin<'a>,
    append: Option<bool>,
    part: usize,
    offset: usize,
    done: usize,
    total: usize,
}

fn total(parts: &[(u64, usize)]) -> usize {
    parts.iter().map(|p| p.1).sum()
}

impl<'a> Sink<'a> {
    /// User memory: pairs of address and length.
    pub fn user(mm: Arc<Mm>, parts: impl Into<Parts>) -> Sink<'static> {
        let parts = parts.into();
        let total = total(&parts);
        Sink {
            target: Target::User { mm, parts },
            part: 0,
            offset: 0,
            done: 0,
            total,
        }
    }

    pub fn kernel(buf: &'a mut [u8]) -> Sink<'a> {
        let total = buf.len();
        Sink {
            target: Target::Kernel(buf),
            part: 0,
            offset: 0,
            done: 0,
            total,
        }
    }

    /// Bytes that still fit.
    pub fn remaining(&self) -> usize {
        self.total - self.done
    }

    /// Bytes taken so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Lowers what still fits to `bytes`.
    pub fn truncate(&mut self, bytes: usize) {
        self.total = self.total.min(self.done + bytes);
    }

    /// Takes as much of `bytes` as fits and returns how much. EFAULT when nothing could be stored.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.fill(bytes.len(), |target, at, len| match target {
            Place::User(mm, addr) => mm.write(addr, &bytes[at..at + len]),
            Place::Kernel(buf) => {
                buf.copy_from_slice(&bytes[at..at + len]);
                len
            }
        })
    }

    /// Takes up to `len` bytes of page-cache memory at `offset`, without a copy in between.
    pub fn write_cache(&mut self, offset: u64, len: usize) -> Result<usize> {
        self.fill(len, |target, at, len| match target {
            Place::User(mm, addr) => mm.write_from_cache(addr, offset + at as u64, len),
            Place::Kernel(buf) => {
                memory().read(offset + at as u64, buf);
                len
            }
        })
    }

    /// Takes up to `len` zero bytes.
    pub fn write_zeros(&mut self, len: usize) -> Result<usize> {
        let zeros = [0u8; 4096];
        let mut done = 0;
        while done < len && self.remaining() > 0 {
            let step = self.write(&zeros[..(len - done).min(4096)])?;
            if step == 0 {
                break;
            }
            done += step;
        }
        Ok(done)
    }

    fn fill(
        &mut self,
        len: usize,
        mut put: impl FnMut(Place<'_>, usize, usize) -> usize,
    ) -> Result<usize> {
        let len = len.min(self.remaining());
        let mut at = 0;
        while at < len {
            match &mut self.target {
                Target::Kernel(buf) => {
                    let step = len - at;
                    put(
                        Place::Kernel(&mut buf[self.done..self.done + step]),
                        at,
                        step,
                    );
                    self.done += step;
                    at += step;
                }
                Target::User { mm, parts } => {
                    let (addr, size) = parts[self.part];
                    if self.offset == size {
                        self.part += 1;
                        self.offset = 0;
                        continue;
                    }
                    let step = (len - at).min(size - self.offset);
                    let moved = put(
                        Place::User(mm, addr.wrapping_add(self.offset as u64)),
                        at,
                        step,
                    );
                    self.offset += moved;
                    self.done += moved;
                    at += moved;
                    if moved < step {
                        return if at == 0 { err(Errno::EFAULT) } else { Ok(at) };
                    }
                }
            }
        }
        Ok(at)
    }
}

enum Place<'b> {
    User(&'b Arc<Mm>, u64),
    Kernel(&'b mut [u8]),
}

impl<'a> Source<'a> {
    /// User memory: pairs of address and length.
    pub fn user(mm: Arc<Mm>, parts: impl Into<Parts>) -> Source<'static> {
        let parts = parts.into();
        let total = total(&parts);
        Source {
            origin: Origin::User { mm, parts },
            append: None,
            part: 0,
            offset: 0,
            done: 0,
            total,
        }
    }

    pub fn kernel(buf: &'a [u8]) -> Source<'a> {
        Source {
            origin: Origin::Kernel(buf),
            append: None,
            part: 0,
            offset: 0,
            done: 0,
            total: buf.len(),
        }
    }

    /// Whether this write goes to the end whatever O_APPEND says (RWF_APPEND, RWF_NOAPPEND).
    pub fn append(&self) -> Option<bool> {
        self.append
    }

    pub fn set_append(&mut self, append: Option<bool>) {
        self.append = append;
    }

    /// Bytes that are still to come.
    pub fn remaining(&self) -> usize {
        self.total - self.done
    }

    /// Bytes given so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Lowers what is still to come to `bytes`.
    pub fn truncate(&mut self, bytes: usize) {
        self.total = self.total.min(self.done + bytes);
    }

    /// Fills the start of `buf` and returns how much. EFAULT when nothing could be fetched.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let len = buf.len();
        self.drain(len, |origin, at, len| match origin {
            Origin2::User(mm, addr) => mm.read(addr, &mut buf[at..at + len]),
            Origin2::Kernel(bytes) => {
                buf[at..at + len].copy_from_slice(bytes);
                len
            }
        })
    }

    /// Moves up to `len` bytes into page-cache memory at `offset`, without a copy in between.
    pub fn read_cache(&mut self, offset: u64, len: usize) -> Result<usize> {
        self.drain(len, |origin, at, len| match origin {
            Origin2::User(mm, addr) => mm.read_to_cache(addr, offset + at as u64, len),
            Origin2::Kernel(bytes) => {
                memory().write(offset + at as u64, bytes);
                len
            }
        })
    }

    /// Passes over up to `bytes` without looking at them; returns how many.
    pub fn skip(&mut self, bytes: usize) -> usize {
        let bytes = bytes.min(self.remaining());
        self.drain(bytes, |_, _, len| len).unwrap_or(0)
    }

    /// Takes back the last `bytes` given, which then come again.
    pub fn rewind(&mut self, bytes: usize) {
        self.done -= bytes;
        if let Origin::User { parts, .. } = &self.origin {
            let mut at = self.done;
            self.part = 0;
            while self.part + 1 < parts.len() && at >= parts[self.part].1 {
                at -= parts[self.part].1;
                self.part += 1;
            }
            self.offset = at;
        }
    }

    fn drain(
        &mut self,
        len: usize,
        mut get: impl FnMut(Origin2<'_>, usize, usize) -> usize,
    ) -> Result<usize> {
        let len = len.min(self.remaining());
        let mut at = 0;
        while at < len {
            match &self.origin {
                Origin::Kernel(bytes) => {
                    let step = len - at;
                    get(
                        Origin2::Kernel(&bytes[self.done..self.done + step]),
                        at,
                        step,
                    );
                    self.done += step;
                    at += step;
                }
                Origin::User { mm, parts } => {
                    let (addr, size) = parts[self.part];
                    if self.offset == size {
                        self.part += 1;
                        self.offset = 0;
                        continue;
                    }
                    let step = (len - at).min(size - self.offset);
                    let moved = get(
                        Origin2::User(mm, addr.wrapping_add(self.offset as u64)),
                        at,
                        step,
                    );
                    self.offset += moved;
                    self.done += moved;
                    at += moved;
                    if moved < step {
                        return if at == 0 { err(Errno::EFAULT) } else { Ok(at) };
                    }
                }
            }
        }
        Ok(at)
    }
}

enum Origin2<'b> {
    User(&'b Arc<Mm>, u64),
    Kernel(&'b [u8]),
}
