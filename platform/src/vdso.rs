//! The guest's vDSO: an ELF image that answers clock calls from the vvar page, which lies in the page before it. Made at
//! run time from a few routines and tables, so that no second linker run is needed. Symbols and version are those of
//! `arch/x86/entry/vdso/vdso.lds.S`.

use crate::clock::{SHARED_CPU, Vvar};
use std::arch::global_asm;
use std::mem::offset_of;
use std::sync::OnceLock;

/// Offset of the code in the image, and so its distance from the vvar page (plus one page).
const TEXT: u64 = 0x800;

global_asm!(
    ".pushsection .rodata.umlaut_vdso, \"a\", @progbits",
    ".balign 16",
    ".globl umlaut_vdso_text",
    ".hidden umlaut_vdso_text",
    "umlaut_vdso_text:",
    // Time in rax by clock id in edi (supported ones only); r8 the vvar page; carry set when it can't be told.
    "20:",
    "lea r8, [rip + umlaut_vdso_text - {back}]",
    "cmp dword ptr [r8 + {mode}], 1",
    "jne 22f",
    "21:",
    "mov r9d, [r8]",
    "test r9d, 1",
    "jnz 23f",
    "lfence",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "xor ecx, ecx",
    "sub rax, [r8 + {base_tsc}]",
    "cmovb rax, rcx",
    "mul qword ptr [r8 + {mult}]",
    "shrd rax, rdx, 32",
    "add rax, [r8 + {base_ns}]",
    "mov ecx, edi",
    "add rax, [r8 + rcx * 8 + {offsets}]",
    "cmp r9d, [r8]",
    "jne 21b",
    "clc",
    "ret",
    "22:",
    "stc",
    "ret",
    "23:",
    "pause",
    "jmp 21b",
    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    ".balign 16",
    ".globl umlaut_vdso_clock_gettime",
    ".hidden umlaut_vdso_clock_gettime",
    "umlaut_vdso_clock_gettime:",
    "cmp edi, 7",
    "ja 31f",
    "mov eax, {clocks}",
    "bt eax, edi",
    "jnc 31f",
    "call 20b",
    "jc 31f",
    "xor edx, edx",
    "mov ecx, 1000000000",
    "div rcx",
    "mov [rsi], rax",
    "mov [rsi + 8], rdx",
    "xor eax, eax",
    "ret",
    "31:",
    "mov eax, 228",
    "syscall",
    "ret",
    // int clock_getres(clockid_t edi, struct timespec *rsi); the coarse clocks' is the kernel's to tell
    ".balign 16",
    ".globl umlaut_vdso_clock_getres",
    ".hidden umlaut_vdso_clock_getres",
    "umlaut_vdso_clock_getres:",
    "cmp edi, 7",
    "ja 33f",
    "mov eax, {fine_clocks}",
    "bt eax, edi",
    "jnc 33f",
    "test rsi, rsi",
    "jz 32f",
    "mov qword ptr [rsi], 0",
    "mov qword ptr [rsi + 8], 1",
    "32:",
    "xor eax, eax",
    "ret",
    "33:",
    "mov eax, 229",
    "syscall",
    "ret",
    // int gettimeofday(struct timeval *rdi, struct timezone *rsi): the kernel's when somebody asks for the time zone
    ".balign 16",
    ".globl umlaut_vdso_gettimeofday",
    ".hidden umlaut_vdso_gettimeofday",
    "umlaut_vdso_gettimeofday:",
    "test rsi, rsi",
    "jnz 35f",
    "test rdi, rdi",
    "jz 34f",
    "mov r10, rdi",
    "xor edi, edi",
    "call 20b",
    "mov rdi, r10",
    "jc 35f",
    "xor edx, edx",
    "mov ecx, 1000000000",
    "div rcx",
    "mov [rdi], rax",
    "mov rax, rdx",
    "xor edx, edx",
    "mov ecx, 1000",
    "div rcx",
    "mov [rdi + 8], rax",
    "34:",
    "xor eax, eax",
    "ret",
    "35:",
    "mov eax, 96",
    "syscall",
    "ret",
    // time_t time(time_t *rdi)
    ".balign 16",
    ".globl umlaut_vdso_time",
    ".hidden umlaut_vdso_time",
    "umlaut_vdso_time:",
    "mov r10, rdi",
    "xor edi, edi",
    "call 20b",
    "mov rdi, r10",
    "jc 37f",
    "xor edx, edx",
    "mov ecx, 1000000000",
    "div rcx",
    "test rdi, rdi",
    "jz 36f",
    "mov [rdi], rax",
    "36:",
    "ret",
    "37:",
    "mov eax, 201",
    "syscall",
    "ret",
    // int getcpu(unsigned *rdi, unsigned *rsi, void *): the host's CPU number is in a segment limit
    ".balign 16",
    ".globl umlaut_vdso_getcpu",
    ".hidden umlaut_vdso_getcpu",
    "umlaut_vdso_getcpu:",
    "mov ecx, 0x7b",
    "lsl eax, ecx",
    "jnz 39f",
    "and eax, 0xfff",
    "cmp eax, 1024",
    "jae 39f",
    "lea r8, [rip + umlaut_vdso_text - {back}]",
    "movzx eax, byte ptr [r8 + rax + {vcpus}]",
    "cmp eax, {shared_cpu}",
    "jae 39f",
    "test rdi, rdi",
    "jz 38f",
    "mov [rdi], eax",
    "38:",
    "test rsi, rsi",
    "jz 40f",
    "mov dword ptr [rsi], 0",
    "40:",
    "xor eax, eax",
    "ret",
    "39:",
    "mov eax, 309",
    "syscall",
    "ret",
    ".globl umlaut_vdso_end",
    ".hidden umlaut_vdso_end",
    "umlaut_vdso_end:",
    ".popsection",
    back = const TEXT + 4096,
    mode = const offset_of!(Vvar, mode),
    base_tsc = const offset_of!(Vvar, base_tsc),
    base_ns = const offset_of!(Vvar, base_ns),
    mult = const offset_of!(Vvar, mult),
    offsets = const offset_of!(Vvar, offsets),
    vcpus = const offset_of!(Vvar, vcpus),
    shared_cpu = const SHARED_CPU,
    // REALTIME, MONOTONIC, MONOTONIC_RAW, BOOTTIME; and the coarse ones
    clocks = const 0b1111_0011u32,
    fine_clocks = const 0b1001_0011u32,
);

unsafe extern "C" {
    static umlaut_vdso_text: u8;
    static umlaut_vdso_clock_gettime: u8;
    static umlaut_vdso_clock_getres: u8;
    static umlaut_vdso_gettimeofday: u8;
    static umlaut_vdso_time: u8;
    static umlaut_vdso_getcpu: u8;
    static umlaut_vdso_end: u8;
}

const VERSION: &str = "LINUX_2.6";
const SONAME: &str = "linux-vdso.so.1";

/// The System V ABI's hash of a symbol name.
fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |h, c| {
        let h = (h << 4).wrapping_add(c as u32);
        (h ^ (h & 0xf000_0000) >> 24) & 0x0fff_ffff
    })
}

/// The image, to be mapped (readable, executable) right behind the vvar page. Whole pages.
pub fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(build)
}

struct Out(Vec<u8>);

impl Out {
    fn u16(&mut self, v: u16) {
        self.0.extend(v.to_le_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.0.extend(v.to_le_bytes());
    }
    fn u64(&mut self, v: u64) {
        self.0.extend(v.to_le_bytes());
    }
    /// Pads to a multiple of `n` and returns the offset.
    fn align(&mut self, n: usize) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(n), 0);
        self.0.len() as u64
    }
}

fn build() -> Vec<u8> {
    let text = &raw const umlaut_vdso_text;
    let len = &raw const umlaut_vdso_end as usize - text as usize;
    // SAFETY: both symbols lie in one section, the end behind the start, and nothing writes to it.
    let code = unsafe { std::slice::from_raw_parts(text, len) };
    let routines: [(&str, *const u8); 5] = [
        ("clock_gettime", &raw const umlaut_vdso_clock_gettime),
        ("clock_getres", &raw const umlaut_vdso_clock_getres),
        ("gettimeofday", &raw const umlaut_vdso_gettimeofday),
        ("time", &raw const umlaut_vdso_time),
        ("getcpu", &raw const umlaut_vdso_getcpu),
    ];
    // (name, address, weak): each routine under its own name and the plain one.
    let mut symbols = Vec::new();
    for (name, at) in routines {
        let addr = TEXT + (at as u64 - text as u64);
        symbols.push((format!("__vdso_{name}"), addr, false));
        symbols.push((name.to_string(), addr, true));
    }

    let mut strings = vec![0u8];
    let mut string = |s: &str| {
        let at = strings.len() as u32;
        strings.extend(s.as_bytes());
        strings.push(0);
        at
    };
    let (soname, version) = (string(SONAME), string(VERSION));
    let names: Vec<u32> = symbols.iter().map(|s| string(&s.0)).collect();

    let mut o = Out(vec![0; 64 + 4 * 56]);
    // Symbol table; 0 is the undefined symbol, the last the version's own.
    let symtab = o.align(8);
    o.0.extend([0; 24]);
    for (s, name) in symbols.iter().zip(&names) {
        o.u32(*name);
        o.u16(if s.2 { 0x22 } else { 0x12 }); // STB_WEAK or STB_GLOBAL, STT_FUNC
        o.u16(1);
        o.u64(s.1);
        o.u64(16);
    }
    o.u32(version);
    o.u16(0x11); // STT_OBJECT
    o.u16(0xfff1); // SHN_ABS
    o.u64(0);
    o.u64(0);
    let count = symbols.len() as u32 + 2;
    // Hash table: one bucket, all symbols chained.
    let hash = o.align(8);
    for v in [1, count, 1] {
        o.u32(v);
    }
    for i in 0..count {
        o.u32(if i == 0 || i == count - 1 { 0 } else { i + 1 });
    }
    let versym = o.align(2);
    o.u16(0);
    (1..count).for_each(|_| o.u16(2));
    let verdef = o.align(8);
    for (flags, index, name, next) in [(1u16, 1u16, soname, 28u32), (0, 2, version, 0)] {
        o.u16(1);
        o.u16(flags);
        o.u16(index);
        o.u16(1);
        o.u32(elf_hash(if index == 1 { SONAME } else { VERSION }));
        o.u32(20);
        o.u32(next);
        o.u32(name);
        o.u32(0);
    }
    let strtab = o.align(8);
    let strsz = strings.len() as u64;
    o.0.extend(strings);
    let note = o.align(4);
    // The kernel version the C library looks for: 0 (none needed).
    for v in [6, 4, 0] {
        o.u32(v);
    }
    o.0.extend(b"Linux\0\0\0");
    o.u32(0);
    let note_len = o.0.len() as u64 - note;
    let dynamic = o.align(8);
    let entries = [
        (14, soname as u64),
        (4, hash),
        (5, strtab),
        (6, symtab),
        (10, strsz),
        (11, 24),
        (0x6fff_fffc, verdef),
        (0x6fff_fffd, 2),
        (0x6fff_fff0, versym),
        (0, 0),
    ];
    for (tag, value) in entries {
        o.u64(tag);
        o.u64(value);
    }
    let dynamic_len = o.0.len() as u64 - dynamic;
    assert!(o.0.len() as u64 <= TEXT, "vDSO tables run into the code");
    o.0.resize(TEXT as usize, 0);
    o.0.extend(code);
    let end = o.0.len() as u64;
    o.align(4096);

    let mut h = Out(Vec::new());
    h.0.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    h.u16(3); // ET_DYN
    h.u16(62);
    h.u32(1);
    h.u64(TEXT);
    h.u64(64);
    h.u64(0);
    h.u32(0);
    for v in [64, 56, 3, 64, 0, 0] {
        h.u16(v);
    }
    // (type, flags, offset, length, alignment)
    for (kind, flags, at, len, align) in [
        (1, 5, 0, end, 4096),
        (2, 4, dynamic, dynamic_len, 8),
        (4, 4, note, note_len, 4),
    ] {
        h.u32(kind);
        h.u32(flags);
        for v in [at, at, at, len, len, align] {
            h.u64(v);
        }
    }
    o.0[..h.0.len()].copy_from_slice(&h.0);
    o.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_hash_is_the_well_known_one() {
        assert_eq!(elf_hash(VERSION), 0x3ae75f6);
        assert!(image().starts_with(b"\x7fELF") && image().len() == 4096);
    }
}
