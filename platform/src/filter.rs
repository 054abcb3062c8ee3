//! The seccomp filter of all stub processes, assembled with the secret as immediates. `docs/platform.md` says what it
//! lets pass and why that is safe.

use libc::sock_filter;
use stub::layout::STUB_HI;

const LD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const RET: u16 = 0x06;
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const JSET: u16 = 0x45;
const AND: u16 = 0x54;
const ADD_X: u16 = 0x0c;
const TAX: u16 = 0x07;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const TRAP: u32 = libc::SECCOMP_RET_TRAP;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ARCH_X86_64: u32 = 0xc000_003e;

// Offsets in struct seccomp_data.
const NR: u32 = 0;
const ARCH: u32 = 4;
const IP_HI: u32 = 12;
const fn lo(arg: u32) -> u32 {
    16 + 8 * arg
}
const fn hi(arg: u32) -> u32 {
    20 + 8 * arg
}

/// The highest upper half that an address or a length may have: their sum, rounded up twice, still ends below the stub.
const MAX_HI: u32 = STUB_HI - 3;

/// Advice of Linux 6.13: pages that nobody can touch, without an area of their own.
pub const GUARD_INSTALL: i32 = 102;
const GUARD_REMOVE: i32 = 103;

/// Advice that touches nothing but the caller's own pages. Not among them: MADV_REMOVE, which punches holes in the
/// page cache, and MADV_DONTFORK, which would change what fork copies.
const ADVICE: [i32; 15] = [
    libc::MADV_NORMAL,
    libc::MADV_RANDOM,
    libc::MADV_SEQUENTIAL,
    libc::MADV_WILLNEED,
    libc::MADV_DONTNEED,
    libc::MADV_FREE,
    libc::MADV_HUGEPAGE,
    libc::MADV_NOHUGEPAGE,
    libc::MADV_COLD,
    libc::MADV_PAGEOUT,
    libc::MADV_POPULATE_READ,
    libc::MADV_POPULATE_WRITE,
    25, // MADV_COLLAPSE
    GUARD_INSTALL,
    GUARD_REMOVE,
];

/// Flags an anonymous mapping made without the secret must have, and all that it may have.
const MMAP_MUST: u32 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u32;
const MMAP_MAY: u32 = MMAP_MUST | (libc::MAP_NORESERVE | libc::MAP_POPULATE) as u32;

#[derive(Default)]
struct Asm {
    code: Vec<sock_filter>,
}

impl Asm {
    fn op(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> &mut Self {
        self.code.push(sock_filter { code, jt, jf, k });
        self
    }
    fn ld(&mut self, at: u32) -> &mut Self {
        self.op(LD, at, 0, 0)
    }
    fn ret(&mut self, action: u32) -> &mut Self {
        self.op(RET, action, 0, 0)
    }
    /// Returns `action` unless the accumulator equals `k`.
    fn need(&mut self, k: u32, action: u32) -> &mut Self {
        self.op(JEQ, k, 1, 0).ret(action)
    }
    /// Returns `action` if the accumulator equals `k`.
    fn on(&mut self, k: u32, action: u32) -> &mut Self {
        self.op(JEQ, k, 0, 1).ret(action)
    }
    /// Does `then` (which must end in a return) if the accumulator equals `k`.
    fn case(&mut self, k: u32, then: impl FnOnce(&mut Asm)) -> &mut Self {
        let mut block = Asm::default();
        then(&mut block);
        let skip = u8::try_from(block.code.len()).expect("filter block too long");
        self.op(JEQ, k, 0, skip);
        self.code.append(&mut block.code);
        self
    }
    /// Kills unless the range in arguments 0 and 1 ends below the stub region.
    fn below_stub(&mut self) -> &mut Self {
        self.ld(hi(0)).op(JGT, MAX_HI, 0, 1).ret(KILL);
        self.op(TAX, 0, 0, 0)
            .ld(hi(1))
            .op(JGT, MAX_HI, 0, 1)
            .ret(KILL);
        self.op(ADD_X, 0, 0, 0).op(JGT, MAX_HI + 1, 0, 1).ret(KILL)
    }
    /// Allows when argument 5 is the secret.
    fn allow_secret(&mut self, secret: u64) -> &mut Self {
        self.ld(lo(5)).op(JEQ, secret as u32, 0, 3);
        self.ld(hi(5))
            .op(JEQ, (secret >> 32) as u32, 0, 1)
            .ret(ALLOW)
    }
}

/// The filter. `fsgsbase`: the host lets user code write FS and GS bases, so that no call for it need pass.
pub fn build(secret: u64, fsgsbase: bool) -> Vec<sock_filter> {
    let mut a = Asm::default();
    a.ld(IP_HI).need(STUB_HI, TRAP);
    a.ld(ARCH).need(ARCH_X86_64, KILL);
    a.ld(NR);
    a.case(libc::SYS_futex as u32, |a| {
        a.ld(lo(1))
            .on(libc::FUTEX_WAIT as u32, ALLOW)
            .on(libc::FUTEX_WAKE as u32, ALLOW)
            .ret(KILL);
    });
    a.on(libc::SYS_rt_sigreturn as u32, ALLOW);
    a.on(libc::SYS_exit as u32, ALLOW);
    a.on(stub::layout::mb::FRAME_NR, TRAP);
    a.case(libc::SYS_mmap as u32, |a| {
        // With the secret: its lower half is above flags, its upper half above the descriptor.
        a.ld(hi(3)).op(JEQ, secret as u32, 0, 3);
        a.ld(hi(4)).op(JEQ, (secret >> 32) as u32, 0, 1).ret(ALLOW);
        a.ld(hi(3)).need(0, KILL);
        a.ld(lo(3)).op(JSET, !MMAP_MAY, 0, 1).ret(KILL);
        a.op(AND, MMAP_MUST, 0, 0).need(MMAP_MUST, KILL);
        a.below_stub().ret(ALLOW);
    });
    a.case(libc::SYS_munmap as u32, |a| {
        a.allow_secret(secret).below_stub().ret(ALLOW);
    });
    a.case(libc::SYS_mprotect as u32, |a| {
        a.allow_secret(secret)
            .ld(lo(2))
            .op(JGE, 8, 0, 1)
            .ret(KILL)
            .below_stub()
            .ret(ALLOW);
    });
    a.case(libc::SYS_madvise as u32, |a| {
        a.allow_secret(secret).below_stub().ld(lo(2));
        for advice in ADVICE {
            a.on(advice as u32, ALLOW);
        }
        a.ret(KILL);
    });
    if !fsgsbase {
        a.on(libc::SYS_arch_prctl as u32, ALLOW);
    }
    let privileged = [
        libc::SYS_clone,
        libc::SYS_mremap,
        libc::SYS_lseek,
        libc::SYS_write,
        libc::SYS_prctl,
        libc::SYS_getppid,
    ];
    for nr in privileged {
        a.case(nr as u32, |a| {
            a.allow_secret(secret).ret(KILL);
        });
    }
    a.ret(KILL);
    a.code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the host would.
    fn run(code: &[sock_filter], nr: i64, arch: u32, ip: u64, args: [u64; 6]) -> u32 {
        let mut data = [0u32; 16];
        data[0] = nr as u32;
        data[1] = arch;
        data[2] = ip as u32;
        data[3] = (ip >> 32) as u32;
        for (i, a) in args.iter().enumerate() {
            data[4 + 2 * i] = *a as u32;
            data[5 + 2 * i] = (*a >> 32) as u32;
        }
        let (mut a, mut x, mut pc) = (0u32, 0u32, 0usize);
        loop {
            let i = code[pc];
            pc += 1;
            let mut jump = |c: bool| pc += if c { i.jt } else { i.jf } as usize;
            match i.code {
                LD => a = data[i.k as usize / 4],
                RET => return i.k,
                JEQ => jump(a == i.k),
                JGT => jump(a > i.k),
                JGE => jump(a >= i.k),
                JSET => jump(a & i.k != 0),
                AND => a &= i.k,
                ADD_X => a = a.wrapping_add(x),
                TAX => x = a,
                c => panic!("code {c:#x}"),
            }
        }
    }

    const SECRET: u64 = 0x1234_5678_9abc_def0;
    const IP: u64 = 0x7fff_0000_0123;

    #[test]
    fn guests_trap_and_the_stub_is_checked() {
        let f = build(SECRET, true);
        let call = |nr, args| run(&f, nr, ARCH_X86_64, IP, args);
        assert_eq!(
            run(&f, libc::SYS_futex, ARCH_X86_64, 0x40_0000, [0; 6]),
            TRAP
        );
        assert_eq!(
            run(&f, libc::SYS_futex, 0x4000_0003, 0x40_0000, [0; 6]),
            TRAP
        );
        assert_eq!(run(&f, libc::SYS_futex, 0x4000_0003, IP, [0; 6]), KILL);
        assert_eq!(call(libc::SYS_futex, [0; 6]), ALLOW);
        assert_eq!(call(libc::SYS_futex, [0, 3, 0, 0, 0, 0]), KILL);
        assert_eq!(call(libc::SYS_open, [0, 0, 0, 0, 0, SECRET]), KILL);
        assert_eq!(call(libc::SYS_clone, [0; 6]), KILL);
        assert_eq!(call(libc::SYS_clone, [0, 0, 0, 0, 0, SECRET]), ALLOW);
        assert_eq!(
            call(libc::SYS_clone, [0, 0, 0, 0, 0, SECRET ^ 1 << 40]),
            KILL
        );
        assert_eq!(
            call(libc::SYS_clone | 0x4000_0000, [0, 0, 0, 0, 0, SECRET]),
            KILL
        );
        assert_eq!(call(libc::SYS_arch_prctl, [0; 6]), KILL);
    }

    #[test]
    fn memory_calls_stay_below_the_stub() {
        let f = build(SECRET, true);
        let call = |nr, args| run(&f, nr, ARCH_X86_64, IP, args);
        let anon = MMAP_MUST as u64;
        let none = u32::MAX as u64 | (u32::MAX as u64) << 32;
        assert_eq!(
            call(libc::SYS_mmap, [0x1000, 0x1000, 3, anon, none, 0]),
            ALLOW
        );
        assert_eq!(
            call(libc::SYS_mmap, [0x7ffc_ffff_f000, 0x1000, 3, anon, none, 0]),
            ALLOW
        );
        assert_eq!(call(libc::SYS_mmap, [0x1000, 0x1000, 3, 2, 3, 0]), KILL);
        assert_eq!(
            call(libc::SYS_mmap, [0x1000, 0x1000, 3, anon | 0x100, none, 0]),
            KILL
        );
        let (fd, flags) = (3 | SECRET >> 32 << 32, 1 | SECRET << 32);
        assert_eq!(
            call(libc::SYS_mmap, [0x1000, 0x1000, 3, flags, fd, 0]),
            ALLOW
        );
        assert_eq!(call(libc::SYS_mmap, [0x1000, 0x1000, 3, flags, 3, 0]), KILL);
        for nr in [libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_madvise] {
            assert_eq!(call(nr, [0, 0x7ffd_0000_0000, 0, 0, 0, 0]), KILL);
            assert_eq!(call(nr, [0, 0x7ffc_ffff_f000, 0, 0, 0, 0]), ALLOW);
            assert_eq!(
                call(nr, [0x7ffc_ffff_f000, 0x1_0000_0000, 0, 0, 0, 0]),
                ALLOW
            );
            assert_eq!(
                call(nr, [0x7ffc_ffff_f000, 0x2_0000_0000, 0, 0, 0, 0]),
                KILL
            );
            assert_eq!(call(nr, [0x7fff_0000_0000, 0x1000, 0, 0, 0, 0]), KILL);
            assert_eq!(call(nr, [u64::MAX << 12, 0x1000, 0, 0, 0, 0]), KILL);
            assert_eq!(call(nr, [0x7fff_0000_0000, 0x1000, 0, 0, 0, SECRET]), ALLOW);
        }
        assert_eq!(
            call(
                libc::SYS_madvise,
                [0, 0x1000, libc::MADV_REMOVE as u64, 0, 0, 0]
            ),
            KILL
        );
        assert_eq!(
            call(
                libc::SYS_madvise,
                [0, 0x1000, libc::MADV_DONTFORK as u64, 0, 0, 0]
            ),
            KILL
        );
        assert_eq!(
            call(libc::SYS_mprotect, [0, 0x1000, 0x100_0001, 0, 0, 0]),
            KILL
        );
    }
}
