//! Patching of call sites: a `syscall` instruction costs a signal, a jump into the stub program doesn't.
//!
//! Only the instruction *before* `syscall` is replaced, by a jump to a trampoline that does its work, notes the return
//! address and goes through the process's gate ([`GATE`]). The `syscall` stays where it is: whoever jumps to it traps as
//! ever, and so does a process whose gate leads back to it. So a patch is right wherever control comes from, provided the
//! bytes are what they seem. That is made sure by patterns which data doesn't form by chance, and by decoding forward
//! from several places before the site: all that meet it must agree on the instruction before it.
//!
//! Patched code is position independent. It lies in pages that all processes share; trampolines lie at a fixed distance
//! before the file's first byte, in slots of [`SLOT`] bytes.

use iced_x86::{Decoder, DecoderOptions};
use memchr::memmem;
use stub::layout::{REQUEST_ADDR, req};

/// Bytes of a trampoline.
pub const SLOT: u64 = 32;
/// Bytes before and behind a piece of code that decide about sites inside.
pub const CONTEXT: u64 = 128;
/// Where a process keeps the address that its trampolines jump to.
const GATE: u64 = REQUEST_ADDR + req::ENTRY;

const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// System call numbers below this are looked for.
const MAX_NR: u32 = 512;
/// Calls that need a signal frame anyhow: a direct call would only delay them.
const NEED_FRAME: [libc::c_long; 7] = [
    libc::SYS_rt_sigreturn,
    libc::SYS_clone,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone3,
];
/// `mov r9, [rsp + 8]`, the last argument in the C library's syscall(2).
const LAST_ARGUMENT: [u8; 5] = [0x4c, 0x8b, 0x4c, 0x24, 0x08];
/// `mov edi, AT_FDCWD`.
const FROM_HERE: [u8; 5] = [0xbf, 0x9c, 0xff, 0xff, 0xff];
/// `xor eax, eax`.
const ZERO: [u8; 2] = [0x31, 0xc0];
/// `cmp rax, -4096` and `cmp rax, -4095`.
const CHECKS: [[u8; 6]; 2] = [
    [0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff],
    [0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff],
];
/// `jmp rel32`.
const JUMP: usize = 5;

/// How decoding begins: at each of so many bytes, from so far before the place in question.
const STARTS: usize = 8;
const LEAD: usize = 48;
/// How many of them must meet the place, all agreeing.
const VOTES: usize = 3;

/// Part of a file, to be patched.
pub struct Code<'a> {
    /// Bytes of the file from `start` on.
    pub bytes: &'a mut [u8],
    pub start: u64,
    /// Only bytes of the file in this range may change.
    pub window: std::ops::Range<u64>,
    /// Bytes of trampolines before the file's first byte.
    pub gap: u64,
}

/// What is done at a site.
struct Patch {
    /// Where the replaced instruction is, its length, and where a jump of five bytes goes.
    at: usize,
    len: usize,
    jump_at: usize,
}

impl Code<'_> {
    /// Patches all sites in the window. `slot` says which slot the trampoline of the site at a file offset has, if there is
    /// one; `put` stores a trampoline.
    pub fn patch(
        &mut self,
        mut slot: impl FnMut(u64) -> Option<u64>,
        mut put: impl FnMut(u64, [u8; SLOT as usize]),
    ) {
        let mut caves = Vec::new();
        let mut i = JUMP;
        while let Some(next) = self
            .bytes
            .get(i..)
            .and_then(|rest| memmem::find(rest, &SYSCALL))
        {
            i += next;
            if let Some(patch) = self.site(i, &mut caves)
                && let Some(slot) = slot(self.start + i as u64)
                && let Some(trampoline) = self.apply(i, &patch, slot)
            {
                put(slot, trampoline);
            }
            i += SYSCALL.len();
        }
    }

    /// Whether bytes from index `at` on, and the `syscall` at `i`, lie in the window and in one page: pages come and go
    /// one by one.
    fn in_page(&self, at: usize, len: usize, i: usize) -> bool {
        let (at, i) = (self.start + at as u64, self.start + i as u64);
        let end = at + len as u64;
        let page = |at: u64| at / crate::PAGE_SIZE;
        self.window.start <= at
            && end <= self.window.end
            && page(at) == page(end - 1)
            && page(at) == page(i)
    }

    /// Whether and how the site whose `syscall` is at `i` can be patched.
    fn site(&self, i: usize, caves: &mut Vec<usize>) -> Option<Patch> {
        let b = &*self.bytes;
        let checked = b
            .get(i + 2..i + 8)
            .is_some_and(|next| CHECKS.iter().any(|c| c == next));
        let before = &b[i - JUMP..i];
        let number = u32::from_le_bytes(before[1..].try_into().ok()?);
        let loads_number = before[0] == 0xb8
            && number < MAX_NR
            && !NEED_FRAME.contains(&libc::c_long::from(number));
        if loads_number || before == FROM_HERE || (checked && before == LAST_ARGUMENT) {
            let at = i - JUMP;
            return (self.in_page(at, JUMP, i) && ends_with(b, i, JUMP)).then_some(Patch {
                at,
                len: JUMP,
                jump_at: at,
            });
        }
        if checked && b[i - 2..i] == ZERO && self.in_page(i - 2, 2, i) && ends_with(b, i, 2) {
            let jump_at = self.cave(i, caves)?;
            caves.push(jump_at);
            return Some(Patch {
                at: i - 2,
                len: 2,
                jump_at,
            });
        }
        None
    }

    /// Room for a jump that a short jump at `i - 2` reaches: padding between functions, behind a return.
    fn cave(&self, i: usize, taken: &[usize]) -> Option<usize> {
        let b = &*self.bytes;
        let from = i.saturating_sub(120).max(1);
        let to = (i + 120).min(b.len().saturating_sub(JUMP));
        (from..to).find(|&at| {
            b[at - 1] == 0xc3
                && padding(&b[at..]) >= JUMP
                && self.in_page(at, JUMP, i)
                && !taken.contains(&at)
                && ends_with(b, at, 1)
        })
    }

    /// Changes the bytes, and returns the trampoline.
    fn apply(&mut self, i: usize, patch: &Patch, slot: u64) -> Option<[u8; SLOT as usize]> {
        // Addresses relative to the file's first byte.
        let place = |at: usize| self.start as i64 + at as i64;
        let trampoline = slot as i64 * SLOT as i64 - self.gap as i64;
        let relative = |from: i64, to: i64| i32::try_from(to - from).ok();
        let mut code = [0xcc; SLOT as usize];
        let mut at = 0;
        let mut add = |bytes: &[u8]| {
            code[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        add(&self.bytes[patch.at..patch.at + patch.len]);
        // lea rcx, [rip + return address]
        let end = trampoline + patch.len as i64 + 7;
        add(&[0x48, 0x8d, 0x0d]);
        add(&relative(end, place(i + 2))?.to_le_bytes());
        // movabs r11, GATE; jmp [r11]
        add(&[0x49, 0xbb]);
        add(&GATE.to_le_bytes());
        add(&[0x41, 0xff, 0x23]);

        let jump = relative(place(patch.jump_at + JUMP), trampoline)?;
        if patch.jump_at != patch.at {
            let short = patch.jump_at as i64 - (patch.at + 2) as i64;
            let short = i8::try_from(short).ok()?;
            self.bytes[patch.at..patch.at + 2].copy_from_slice(&[0xeb, short as u8]);
        }
        let to = &mut self.bytes[patch.jump_at..patch.jump_at + JUMP];
        to[0] = 0xe9;
        to[1..].copy_from_slice(&jump.to_le_bytes());
        Some(code)
    }
}

/// Whether the instruction that ends at `end` surely has `len` bytes (a return, for one byte).
fn ends_with(bytes: &[u8], end: usize, len: usize) -> bool {
    let mut votes = 0;
    for start in (end.saturating_sub(LEAD + STARTS)..end).take(STARTS) {
        let mut decoder = Decoder::with_ip(64, &bytes[start..end], 0, DecoderOptions::NONE);
        let mut last = 0;
        let mut at = start;
        while at < end && decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                break;
            }
            last = instruction.len();
            at += last;
        }
        if at == end {
            if last != len {
                return false;
            }
            votes += 1;
        }
    }
    votes >= VOTES
}

/// Bytes of no-operations of several bytes that `code` begins with.
fn padding(code: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let prefixes = code[at..].iter().take_while(|b| **b == 0x66).count();
        let mut next = at + prefixes;
        if code.get(next) == Some(&0x2e) {
            next += 1;
        }
        let rest = &code[next..];
        let len = match rest {
            [0x0f, 0x1f, 0x00, ..] => 3,
            [0x0f, 0x1f, 0x40, 0, ..] => 4,
            [0x0f, 0x1f, 0x44, 0, 0, ..] => 5,
            [0x0f, 0x1f, 0x80, 0, 0, 0, 0, ..] => 7,
            [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, ..] => 8,
            _ => return at,
        };
        at = next + len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: u64 = 0x2000;

    fn patched(code: &[u8]) -> (Vec<u8>, Vec<(u64, [u8; 32])>) {
        // Something to decode before and behind.
        let mut bytes = vec![0x90; 64];
        bytes.extend_from_slice(code);
        bytes.extend_from_slice(&[0x90; 64]);
        let end = 0x1000 + bytes.len() as u64;
        let mut trampolines = Vec::new();
        let mut next = 0;
        Code {
            bytes: &mut bytes,
            start: 0x1000,
            window: 0x1000..end,
            gap: GAP,
        }
        .patch(
            |_| {
                next += 1;
                Some(next)
            },
            |slot, code| trampolines.push((slot, code)),
        );
        (bytes[64..64 + code.len()].to_vec(), trampolines)
    }

    #[test]
    fn a_number_is_loaded() {
        // mov eax, 39; syscall; ret
        let (code, trampolines) = patched(&[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3]);
        let (slot, t) = trampolines[0];
        assert_eq!(slot, 1);
        let to = 32 - 0x2000i64;
        let jump = i32::from_le_bytes(code[1..5].try_into().unwrap());
        assert_eq!((code[0], i64::from(jump)), (0xe9, to - 0x1040 - 5));
        assert_eq!(code[5..], [0x0f, 0x05, 0xc3]);
        assert_eq!(t[..5], [0xb8, 39, 0, 0, 0]);
        let back = i32::from_le_bytes(t[8..12].try_into().unwrap());
        assert_eq!(to + 12 + i64::from(back), 0x1040 + 7);
    }

    #[test]
    fn read_goes_by_padding() {
        // xor eax, eax; syscall; cmp rax, -4096; ja; ret; nop of 6 bytes
        let site = [
            0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x10, 0xc3, 0x66,
            0x0f, 0x1f, 0x44, 0, 0,
        ];
        let (code, trampolines) = patched(&site);
        assert_eq!(trampolines.len(), 1);
        assert_eq!(trampolines[0].1[..2], ZERO);
        assert_eq!(code[..4], [0xeb, 11, 0x0f, 0x05]);
        assert_eq!(code[13], 0xe9);
        // The same with the padding inside another instruction's reach: mov rbx, rax before it.
        let mut inside = site.to_vec();
        inside.splice(12..13, [0x48, 0x89, 0xc3]);
        assert!(patched(&inside).1.is_empty());
    }

    #[test]
    fn what_only_looks_like_a_site_stays() {
        for code in [
            // mov r8d, 39; syscall
            &[0x41, 0xb8, 39, 0, 0, 0, 0x0f, 0x05][..],
            // mov dword [rbp - 0x48], 39; syscall
            &[0xc7, 0x45, 0xb8, 39, 0, 0, 0, 0x0f, 0x05],
            // mov eax, 15; syscall: the C library's way back from a signal is known by its bytes
            &[0xb8, 15, 0, 0, 0, 0x0f, 0x05],
            // mov eax, 0x12345678; syscall
            &[0xb8, 0x78, 0x56, 0x34, 0x12, 0x0f, 0x05],
            // movabs rax, with the bytes inside
            &[0x48, 0xb8, 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0x00],
        ] {
            assert!(patched(code).1.is_empty(), "{code:x?}");
        }
    }

    #[test]
    fn nothing_outside_the_window_changes() {
        let mut bytes = vec![0x90; 60];
        bytes.extend([0xb8, 39, 0, 0, 0, 0x0f, 0x05]);
        let before = bytes.clone();
        Code {
            bytes: &mut bytes,
            start: 0,
            window: 62..67,
            gap: GAP,
        }
        .patch(|_| Some(0), |_, _| panic!("nothing to patch"));
        assert_eq!(bytes, before);
    }
}
