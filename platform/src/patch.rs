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

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
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
/// `mov edi, AT_FDCWD`.
const FROM_HERE: [u8; 5] = [0xbf, 0x9c, 0xff, 0xff, 0xff];
/// `hlt` and `mov eax, esi`: the C library's _exit. A thread that ends with a frame is the better one to use again.
const LAST_CALL: [u8; 3] = [0xf4, 0x89, 0xf0];
/// What follows most calls: `cmp rax` or `cmp eax`, with -4096 or -4095.
const CHECKS: [&[u8]; 4] = [
    &[0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff],
    &[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff],
    &[0x3d, 0x00, 0xf0, 0xff, 0xff],
    &[0x3d, 0x01, 0xf0, 0xff, 0xff],
];
/// `jmp rel32`, and `jmp rel8`.
const JUMP: usize = 5;
const SHORT_JUMP: usize = 2;
/// Bytes of an instruction for which a trampoline has room.
const LONGEST: usize = SLOT as usize - 20;

/// Where decoding begins, in bytes before the place in question, and how many must meet it, all agreeing.
const STARTS: std::ops::Range<usize> = 49..57;
const VOTES: usize = 3;
/// The same where a check of the result follows, so that there surely is a call: three quarters must agree.
const CERTAIN_STARTS: std::ops::Range<usize> = 25..73;
const CERTAIN_VOTES: usize = 12;

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
        // All are found before the first is changed: what is decoded is the compiler's.
        let (mut sites, mut caves) = (Vec::new(), Vec::new());
        let mut i = JUMP;
        while let Some(next) = self
            .bytes
            .get(i..)
            .and_then(|rest| memmem::find(rest, &SYSCALL))
        {
            i += next;
            if let Some(patch) = self.site(i, &mut caves) {
                sites.push((i, patch));
            }
            i += SYSCALL.len();
        }
        for (i, patch) in sites {
            if let Some(slot) = slot(self.start + i as u64)
                && let Some(trampoline) = self.apply(i, &patch, slot)
            {
                put(slot, trampoline);
            }
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
        let rest = &b[i + SYSCALL.len()..];
        let checked = CHECKS.iter().any(|check| rest.starts_with(check));
        let before = &b[i - JUMP..i];
        let number = u32::from_le_bytes(before[1..].try_into().ok()?);
        let loads_number = before[0] == 0xb8 && number < MAX_NR;
        let needs_frame = loads_number && NEED_FRAME.contains(&libc::c_long::from(number));
        if needs_frame || before.ends_with(&LAST_CALL) {
            return None;
        }
        let known = loads_number || before == FROM_HERE;
        if !(known || checked) {
            return None;
        }
        let last = last_instruction(b, i, checked)?;
        let len = last.len();
        if !(known && len == JUMP || checked && can_move(&last)) {
            return None;
        }
        let at = i - len;
        if !self.in_page(at, len, i) {
            return None;
        }
        let jump_at = if len >= JUMP {
            at
        } else {
            let jump_at = self.cave(at + SHORT_JUMP, caves, i)?;
            caves.push(jump_at);
            jump_at
        };
        Some(Patch { at, len, jump_at })
    }

    /// Room for a jump that a short jump ending at `end` reaches, in the page of the `syscall` at `i`: padding between
    /// functions, behind a return.
    fn cave(&self, end: usize, taken: &[usize], i: usize) -> Option<usize> {
        let b = &*self.bytes;
        let from = end.saturating_sub(120).max(1);
        let to = (end + 120).min(b.len().saturating_sub(JUMP));
        (from..to).find(|&at| {
            b[at - 1] == 0xc3
                && padding(&b[at..]) >= JUMP
                && self.in_page(at, JUMP, i)
                && !taken.contains(&at)
                && last_instruction(b, at, false).is_some_and(|last| last.len() == 1)
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
            let short = patch.jump_at as i64 - (patch.at + SHORT_JUMP) as i64;
            let short = i8::try_from(short).ok()?;
            self.bytes[patch.at..patch.at + SHORT_JUMP].copy_from_slice(&[0xeb, short as u8]);
        }
        let to = &mut self.bytes[patch.jump_at..patch.jump_at + JUMP];
        to[0] = 0xe9;
        to[1..].copy_from_slice(&jump.to_le_bytes());
        Some(code)
    }
}

/// The instruction that surely ends at `end`. `certain`: something there does.
fn last_instruction(bytes: &[u8], end: usize, certain: bool) -> Option<Instruction> {
    let mut ends: Vec<(Instruction, usize)> = Vec::new();
    let (starts, enough) = if certain {
        (CERTAIN_STARTS, CERTAIN_VOTES)
    } else {
        (STARTS, VOTES)
    };
    for start in starts.filter_map(|before| end.checked_sub(before)) {
        let mut decoder = Decoder::with_ip(64, &bytes[start..end], 0, DecoderOptions::NONE);
        let mut last = Instruction::default();
        let mut at = start;
        while at < end && decoder.can_decode() {
            decoder.decode_out(&mut last);
            if last.is_invalid() {
                break;
            }
            at += last.len();
        }
        if at == end {
            match ends.iter_mut().find(|(other, _)| other.len() == last.len()) {
                Some((_, votes)) => *votes += 1,
                None => ends.push((last, 1)),
            }
        }
    }
    let all: usize = ends.iter().map(|(_, votes)| votes).sum();
    let (last, votes) = ends.into_iter().max_by_key(|(_, votes)| *votes)?;
    let against = if certain { all / 4 } else { 0 };
    (votes >= enough && all - votes <= against).then_some(last)
}

/// Whether an instruction does the same in a trampoline, as the last deed before the call.
fn can_move(instruction: &Instruction) -> bool {
    use Mnemonic::{Add, And, Lea, Mov, Movsxd, Movzx, Or, Shl, Shr, Sub, Xor};
    [Add, And, Lea, Mov, Movsxd, Movzx, Or, Shl, Shr, Sub, Xor].contains(&instruction.mnemonic())
        && !instruction.is_ip_rel_memory_operand()
        && (SHORT_JUMP..=LONGEST).contains(&instruction.len())
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
        assert_eq!(trampolines[0].1[..2], [0x31, 0xc0]);
        assert_eq!(code[..4], [0xeb, 11, 0x0f, 0x05]);
        assert_eq!(code[13], 0xe9);
        // The same with the padding inside another instruction's reach: mov rbx, rax before it.
        let mut inside = site.to_vec();
        inside.splice(12..13, [0x48, 0x89, 0xc3]);
        assert!(patched(&inside).1.is_empty());
    }

    #[test]
    fn the_last_argument_comes_last() {
        // mov eax, 202; xor sil, 0x80; syscall; cmp rax, -4096; ja; ret; nop of 6 bytes
        let site = [
            0xb8, 202, 0, 0, 0, 0x40, 0x80, 0xf6, 0x80, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff,
            0xff, 0x77, 0x10, 0xc3, 0x66, 0x0f, 0x1f, 0x44, 0, 0,
        ];
        let (code, trampolines) = patched(&site);
        assert_eq!(trampolines[0].1[..4], [0x40, 0x80, 0xf6, 0x80]);
        assert_eq!(code[5..7], [0xeb, 13]);
        assert_eq!(code[9..11], SYSCALL);
        assert_eq!(code[20], 0xe9);
        // Without the check behind it, it may be anything.
        assert!(patched(&site[..11]).1.is_empty());
        // mov rsi, [rip + 0x10] means something else elsewhere; so does a jump.
        for before in [&[0x48, 0x8b, 0x35, 0x10, 0, 0, 0][..], &[0xe8, 0, 0, 0, 0]] {
            let site = [before, &site[9..]].concat();
            assert!(patched(&site).1.is_empty());
        }
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
