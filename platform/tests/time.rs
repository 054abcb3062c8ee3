//! The clocks of kernel and guest agree with each other and with the host.

mod common;
use common::*;
use platform::*;

const SPIN: Spin = Spin::Off;

guest!(
    ask, // rbx: the routine; rdi, rsi as it wants them
    "1:", "call rbx", "syscall", "jmp 1b"
);

const VDSO: u64 = 0x7f00_0000_1000;

/// Address of a symbol in the image, found as a C library does it.
fn symbol(image: &[u8], name: &str) -> u64 {
    let u64_at = |o: usize| u64::from_le_bytes(image[o..o + 8].try_into().unwrap());
    let u32_at = |o: usize| u32::from_le_bytes(image[o..o + 4].try_into().unwrap());
    let (mut hash, mut strtab, mut symtab) = (0, 0, 0);
    let phdrs = (0..3)
        .map(|i| 64 + 56 * i)
        .find(|p| u32_at(*p) == 2)
        .unwrap();
    let mut d = u64_at(phdrs + 8) as usize;
    while u64_at(d) != 0 {
        match u64_at(d) {
            4 => hash = u64_at(d + 8) as usize,
            5 => strtab = u64_at(d + 8) as usize,
            6 => symtab = u64_at(d + 8) as usize,
            _ => (),
        }
        d += 16;
    }
    for i in 1..u32_at(hash + 4) as usize {
        let at = strtab + u32_at(symtab + 24 * i) as usize;
        if image[at..].starts_with(name.as_bytes()) && image[at + name.len()] == 0 {
            return VDSO + u64_at(symtab + 24 * i + 8);
        }
    }
    panic!("no {name}");
}

fn map_vdso(s: &AddressSpace) {
    let r = Prot {
        read: true,
        ..Prot::NONE
    };
    s.apply(&[
        MapOp::File {
            addr: VDSO - 0x1000,
            len: 0x1000,
            prot: r,
            offset: clock::vvar_offset(),
            private: false,
            may_write: false,
            populate: false,
        },
        MapOp::Anon {
            addr: VDSO,
            len: 0x1000,
            prot: Prot::RW,
            noreserve: false,
        },
    ])
    .unwrap();
    s.write(VDSO, vdso::image());
    s.apply(&[MapOp::Protect {
        addr: VDSO,
        len: 0x1000,
        prot: Prot { exec: true, ..r },
    }])
    .unwrap();
}

#[test]
fn the_vdso_tells_the_kernels_time() {
    let c = cpu(0);
    let s = space(ask());
    map_vdso(&s);
    let mut t = s.spawn(&start()).unwrap();
    let mut call = |name: &str, rdi: u64, rsi: u64| {
        let r = t.regs_mut();
        (r.rip, r.rbx, r.rdi, r.rsi, r.rsp) =
            (CODE, symbol(vdso::image(), name), rdi, rsi, STACK_TOP);
        assert_eq!(t.run(&c.vcpu), Trap::Syscall);
        t.regs().rip < VDSO - 0x10_0000
    };
    let fast =
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
            .is_ok_and(|n| n.trim() == "tsc" || n.trim() == "kvm-clock");
    let time = || word(&s, DATA) * 1_000_000_000 + word(&s, DATA + 8);
    for (clock, now) in [
        (1, clock::monotonic_ns as fn() -> u64),
        (0, clock::realtime_ns),
        (7, clock::monotonic_ns),
    ] {
        let before = now();
        let answered = call("__vdso_clock_gettime", clock, DATA);
        if !fast {
            assert!(!answered);
            continue;
        }
        assert!(
            answered && before <= time() && time() <= now(),
            "clock {clock}"
        );
    }
    assert!(!call("clock_gettime", 2, DATA));
    if fast {
        clock::set_realtime_offset(3_600_000_000_000);
        let before = clock::realtime_ns();
        assert!(call("__vdso_gettimeofday", DATA, 0));
        let us = word(&s, DATA) * 1_000_000 + word(&s, DATA + 8);
        assert!(before / 1000 <= us && us <= clock::realtime_ns() / 1000);
        assert!(call("__vdso_time", 0, 0));
        clock::set_realtime_offset(0);
        assert!(call("__vdso_clock_getres", 1, DATA));
        assert_eq!(time(), 1);
    }
    s.write(DATA, &[0xff; 8]);
    if call("__vdso_getcpu", DATA, DATA + 4) {
        assert_eq!(word(&s, DATA), 0);
    }
}

#[test]
fn the_line_follows_the_host() {
    platform();
    let host = || {
        let mut ts = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the timespec is valid for the call.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
        ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
    };
    let mut last = 0;
    for _ in 0..30 {
        let (a, b, c) = (host(), clock::monotonic_ns(), host());
        assert!(b >= last);
        last = b;
        assert!(b + 20_000 > a && b < c + 20_000, "{a} {b} {c}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
