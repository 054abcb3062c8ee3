//! Arguments and environment on their way into a new program, with execve's limits (fs/exec.c).

use crate::error::{Result, err};
use crate::mm::Mm;
use abi::errno::Errno;
use std::sync::Arc;

/// Longest string with its NUL: MAX_ARG_STRLEN.
const MAX_STRING: usize = 32 * 4096;
/// Strings may always take this much: ARG_MAX.
const ARG_MAX: u64 = 131_072;
/// Three quarters of the default stack: no more than this whatever the limit.
const STACK_SHARE: u64 = 8 * 1024 * 1024 / 4 * 3;

/// NUL-terminated strings one behind the other.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Strings {
    pub bytes: Vec<u8>,
    pub count: usize,
}

impl Strings {
    /// From strings without their NULs.
    pub fn of(strings: &[&[u8]]) -> Strings {
        let mut all = Strings::default();
        for string in strings {
            all.push(string);
        }
        all
    }

    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        self.count += 1;
    }

    /// Replaces the first string by others.
    pub fn replace_first(&mut self, with: &[&[u8]]) {
        let mut all = Strings::of(with);
        if let Some(end) = self.bytes.iter().position(|b| *b == 0) {
            all.bytes.extend_from_slice(&self.bytes[end + 1..]);
            all.count += self.count - 1;
        }
        *self = all;
    }

    /// The strings without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|b| *b == 0).take(self.count)
    }
}

/// Pages kept at a time.
const KEPT: usize = 16;

/// Reads a guest's memory by pages, several with one copy, and keeps them: pointers and strings lie close together.
struct PageReader {
    mm: Arc<Mm>,
    /// Address, bytes that could be read, bytes.
    pages: Vec<(u64, usize, Box<[u8; 4096]>)>,
}

impl PageReader {
    fn new(mm: Arc<Mm>) -> PageReader {
        PageReader {
            mm,
            pages: Vec::with_capacity(KEPT),
        }
    }

    fn has(&self, page: u64) -> bool {
        self.pages.iter().any(|p| p.0 == page)
    }

    /// Reads the first pages of those that hold `addrs`, as far as they are there.
    fn fetch(&mut self, addrs: impl Iterator<Item = u64>) {
        let mut wanted: Vec<u64> = Vec::new();
        for addr in addrs {
            let page = addr & !4095;
            if page != 0 && !self.has(page) && !wanted.contains(&page) {
                wanted.push(page);
                if wanted.len() == KEPT / 2 {
                    break;
                }
            }
        }
        if wanted.len() < 2 {
            return;
        }
        let mut bufs: Vec<Box<[u8; 4096]>> = wanted.iter().map(|_| Box::new([0; 4096])).collect();
        let remote: Vec<(u64, usize)> = wanted.iter().map(|page| (*page, 4096)).collect();
        let mut local: Vec<&mut [u8]> = bufs.iter_mut().map(|b| &mut b[..]).collect();
        let read = self.mm.address_space().readv(&remote, &mut local);
        for (page, buf) in wanted.into_iter().zip(bufs).take(read / 4096) {
            self.keep(page, 4096, buf);
        }
    }

    fn keep(&mut self, page: u64, len: usize, buf: Box<[u8; 4096]>) {
        if self.pages.len() == KEPT {
            self.pages.remove(0);
        }
        self.pages.push((page, len, buf));
    }

    /// The bytes from `addr` to the end of its page. EFAULT.
    fn rest_of_page(&mut self, addr: u64) -> Result<&[u8]> {
        let page = addr & !4095;
        if !self.has(page) {
            let mut buf = Box::new([0; 4096]);
            let len = self.mm.read(page, &mut buf[..]);
            self.keep(page, len, buf);
        }
        let at = (addr - page) as usize;
        match self.pages.iter().find(|p| p.0 == page) {
            Some((_, len, buf)) if at < *len => Ok(&buf[at..*len]),
            _ => err(Errno::EFAULT),
        }
    }

    fn word(&mut self, addr: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        let rest = self.rest_of_page(addr)?;
        if rest.len() >= 8 {
            bytes.copy_from_slice(&rest[..8]);
        } else if self.mm.read(addr, &mut bytes) != 8 {
            return err(Errno::EFAULT);
        }
        Ok(u64::from_ne_bytes(bytes))
    }

    /// E2BIG when longer than [`MAX_STRING`].
    fn string(&mut self, mut addr: u64, into: &mut Vec<u8>) -> Result<()> {
        let start = into.len();
        loop {
            let rest = self.rest_of_page(addr)?;
            let end = rest.iter().position(|b| *b == 0);
            let part = &rest[..end.map_or(rest.len(), |at| at + 1)];
            if into.len() - start + part.len() > MAX_STRING {
                return err(Errno::E2BIG);
            }
            into.extend_from_slice(part);
            if end.is_some() {
                return Ok(());
            }
            addr = (addr & !4095) + 4096;
        }
    }
}

/// What may be spent on strings: bprm_stack_limits().
pub struct Budget {
    limit: u64,
    spent: u64,
}

impl Budget {
    /// `stack_limit`: RLIMIT_STACK.
    pub fn new(stack_limit: u64) -> Budget {
        Budget {
            limit: STACK_SHARE.min(stack_limit / 4).max(ARG_MAX),
            spent: 0,
        }
    }

    /// E2BIG.
    pub fn spend(&mut self, bytes: u64) -> Result<()> {
        self.spent += bytes;
        if self.spent > self.limit {
            return err(Errno::E2BIG);
        }
        Ok(())
    }
}

fn pointers(reader: &mut PageReader, array: u64, budget: &mut Budget) -> Result<Vec<u64>> {
    let mut all = Vec::new();
    if array == 0 {
        return Ok(all);
    }
    loop {
        let at = array.wrapping_add(8 * all.len() as u64);
        match reader.word(at)? {
            0 => return Ok(all),
            pointer => {
                budget.spend(8)?;
                all.push(pointer);
            }
        }
    }
}

/// Copies argv and envp (NULL-terminated arrays of pointers at these addresses; 0: empty). EFAULT, E2BIG.
pub fn copy_in(
    mm: Arc<Mm>,
    argv: u64,
    envp: u64,
    budget: &mut Budget,
) -> Result<(Strings, Strings)> {
    let mut reader = PageReader::new(mm);
    reader.fetch([argv, envp].into_iter());
    let arg_pointers = pointers(&mut reader, argv, budget)?;
    let env_pointers = pointers(&mut reader, envp, budget)?;
    reader.fetch(env_pointers.iter().chain(&arg_pointers).copied());
    let mut copy = |pointers: &[u64]| -> Result<Strings> {
        let mut strings = Strings::default();
        for pointer in pointers {
            let before = strings.bytes.len();
            reader.string(*pointer, &mut strings.bytes)?;
            budget.spend((strings.bytes.len() - before) as u64)?;
        }
        strings.count = pointers.len();
        Ok(strings)
    };
    let env = copy(&env_pointers)?;
    let mut args = copy(&arg_pointers)?;
    if args.count == 0 {
        // Programs count on an argv[0].
        args.push(b"");
        budget.spend(9)?;
    }
    Ok((args, env))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_string_is_replaced() {
        let mut s = Strings::of(&[b"script", b"a", b""]);
        s.replace_first(&[b"/bin/sh", b"./script"]);
        let all: Vec<&[u8]> = s.iter().collect();
        assert_eq!(all, [&b"/bin/sh"[..], b"./script", b"a", b""]);
        assert_eq!(s.count, 4);
    }
}
