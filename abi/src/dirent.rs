//! Directory entries in the form that `getdents64` and `getdents` return.

/// Bytes of a `struct linux_dirent64` before the name.
pub const DIRENT64_HEADER: usize = 19;

/// Bytes that a name takes as a `struct linux_dirent64`: header, name, NUL, rounded up to 8.
pub const fn dirent64_len(name: usize) -> usize {
    (DIRENT64_HEADER + name + 1 + 7) & !7
}

/// Fills a buffer with directory entries as `getdents64` and `getdents` return them.
pub struct DirentWriter<'a> {
    buf: &'a mut [u8],
    used: usize,
    last: usize,
    old: bool,
}

impl<'a> DirentWriter<'a> {
    /// Records of `getdents64` (`struct linux_dirent64`).
    pub fn new(buf: &'a mut [u8]) -> Self {
        DirentWriter {
            buf,
            used: 0,
            last: usize::MAX,
            old: false,
        }
    }

    /// Records of the old `getdents` (`struct linux_dirent`, the type in the last byte).
    pub fn new_old(buf: &'a mut [u8]) -> Self {
        DirentWriter {
            buf,
            used: 0,
            last: usize::MAX,
            old: true,
        }
    }

    /// Appends an entry; `false` if there is no room for it, and then nothing is written. `off` is the position
    /// after this entry, `dtype` one of [`crate::fs::DT_TYPES`].
    pub fn push(&mut self, ino: u64, off: i64, dtype: u8, name: &[u8]) -> bool {
        let header = if self.old { 18 } else { DIRENT64_HEADER };
        let tail = if self.old { 2 } else { 1 };
        let len = (header + name.len() + tail + 7) & !7;
        let Some(rec) = self
            .buf
            .get_mut(self.used..)
            .and_then(|rest| rest.get_mut(..len))
        else {
            return false;
        };
        rec.fill(0);
        rec[0..8].copy_from_slice(&ino.to_ne_bytes());
        rec[8..16].copy_from_slice(&off.to_ne_bytes());
        rec[16..18].copy_from_slice(&(len as u16).to_ne_bytes());
        if self.old {
            rec[len - 1] = dtype
        } else {
            rec[18] = dtype
        }
        rec[header..header + name.len()].copy_from_slice(name);
        self.last = self.used;
        self.used += len;
        true
    }

    /// Replaces the position after the last entry, for directories that learn it from the next one.
    pub fn set_last_off(&mut self, off: i64) {
        if let Some(field) = self
            .buf
            .get_mut(self.last..)
            .and_then(|rest| rest.get_mut(8..16))
        {
            field.copy_from_slice(&off.to_ne_bytes());
        }
    }

    /// Bytes written: the result of the system call.
    pub fn written(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::*;

    #[test]
    fn entries_fill_the_buffer() {
        let mut buf = [0xffu8; 56];
        let mut w = DirentWriter::new(&mut buf);
        assert!(w.push(7, 1, DT_DIR, b"."));
        assert!(w.push(8, 2, DT_REG, b"name"));
        assert!(!w.push(9, 3, DT_REG, b"other"));
        w.set_last_off(99);
        assert_eq!(w.written(), 48);
        assert_eq!(&buf[16..21], &[24, 0, DT_DIR, b'.', 0]);
        assert_eq!(buf[24 + 8], 99);
        assert_eq!(&buf[24 + 19..24 + 24], b"name\0");
        let mut w = DirentWriter::new_old(&mut buf);
        assert!(w.push(7, 1, DT_LNK, b"abcd"));
        assert_eq!((w.written(), buf[23], buf[22]), (24, DT_LNK, 0));
    }
}
