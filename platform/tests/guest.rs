//! Real guest code on the real platform: traps, registers, memory, fork, threads, interruption.

mod common;
use common::*;
use platform::*;
use std::time::{Duration, Instant};

const SPIN: Spin = Spin::Auto;

guest!(
    count,
    "xor edi, edi",
    "1:",
    "inc rdi",
    "mov eax, 39",
    "syscall",
    "add rsi, rax",
    "jmp 1b"
);

#[test]
fn system_calls_trap_with_registers() {
    let c = cpu(0);
    let mut t = thread(count());
    for i in 1..=1000 {
        assert_eq!(t.run(&c.vcpu), Trap::Syscall);
        let r = *t.regs();
        assert_eq!((r.orig_rax, r.rdi), (39, i));
        assert_eq!(r.rcx, r.rip);
        assert_eq!((r.rsi), 5 * (i - 1));
        t.regs_mut().rax = 5;
    }
}

guest!(
    faults,
    "mov rax, [0x123456]",
    "mov [0x123456], rax",
    "mov rax, 0x8000000000000000",
    "mov rbx, [rax]",
    "ud2",
    "int3",
    "xor ecx, ecx",
    "div ecx",
    "int 0x80",
    "mov eax, 0x654000",
    "jmp rax"
);

#[test]
fn faults_are_reported() {
    let c = cpu(0);
    let mut t = thread(faults());
    let mut skip = 0;
    let mut next = |t: &mut GuestThread, n: u64| {
        t.regs_mut().rip += skip;
        skip = n;
        t.run(&c.vcpu)
    };
    let fault = |addr, write, exec| Trap::PageFault {
        addr,
        write,
        exec,
        present: false,
    };
    assert_eq!(next(&mut t, 8), fault(0x123456, false, false));
    assert_eq!(next(&mut t, 8), fault(0x123456, true, false));
    let Trap::Exception {
        signo: libc::SIGSEGV,
        trapno: 13,
        ..
    } = next(&mut t, 3)
    else {
        panic!()
    };
    let Trap::Exception {
        signo: libc::SIGILL,
        trapno: 6,
        addr,
        ..
    } = next(&mut t, 2)
    else {
        panic!()
    };
    assert_eq!(addr, t.regs().rip);
    let Trap::Exception {
        signo: libc::SIGTRAP,
        trapno: 3,
        ..
    } = next(&mut t, 0)
    else {
        panic!()
    };
    let Trap::Exception {
        signo: libc::SIGFPE,
        trapno: 0,
        ..
    } = next(&mut t, 2)
    else {
        panic!()
    };
    match next(&mut t, 0) {
        Trap::ForeignSyscall => (),
        Trap::Exception {
            signo: libc::SIGSEGV,
            ..
        } => t.regs_mut().rip += 2,
        x => panic!("{x:?}"),
    }
    assert_eq!(next(&mut t, 0), fault(0x654000, false, true));
}

guest!(
    retry,
    "mov rax, [0x700008]",
    "mov edi, eax",
    "mov eax, 60",
    "syscall"
);

#[test]
fn queued_operations_run_before_the_guest() {
    let c = cpu(0);
    let mut t = thread(retry());
    let Trap::PageFault {
        addr: 0x70_0008, ..
    } = t.run(&c.vcpu)
    else {
        panic!()
    };
    t.queue(MapOp::Anon {
        addr: 0x70_0000,
        len: 0x1000,
        prot: Prot::RW,
        noreserve: false,
    });
    t.queue(MapOp::Unmap {
        addr: DATA,
        len: 0x1000,
    });
    t.queue(MapOp::Protect {
        addr: DATA + 0x1000,
        len: 0x1000,
        prot: Prot::NONE,
    });
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    assert_eq!(t.regs().rdi, 0);
    let s = t.address_space().clone();
    assert_eq!(s.read(DATA, &mut [0; 8]), 0);
    t.queue(MapOp::Advise {
        addr: 0x70_0000,
        len: 0x1000,
        advice: libc::MADV_DONTNEED,
    });
    t.queue(MapOp::Protect {
        addr: 0x12_3000,
        len: 0x1000,
        prot: Prot::RW,
    });
    assert_eq!(
        t.run(&c.vcpu),
        Trap::OpFailed {
            index: 1,
            errno: libc::ENOMEM
        }
    );
    for i in 0..300 {
        t.queue(MapOp::Anon {
            addr: 0x80_0000 + i * 0x1000,
            len: 0x1000,
            prot: Prot::RW,
            noreserve: true,
        });
    }
    t.regs_mut().rip = CODE;
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    assert_eq!(s.write(0x80_0000, &vec![1; 300 << 12]), 300 << 12);
}

guest!(
    bases,
    "mov rax, fs:[0]",
    "mov rdi, gs:[8]",
    "mov eax, 1",
    "syscall",
    "rdfsbase rsi",
    "add rsi, 8",
    "wrfsbase rsi",
    "syscall",
    "mov rdi, fs:[0]",
    "syscall"
);

#[test]
fn fs_and_gs_bases() {
    let c = cpu(0);
    let s = space(bases());
    s.write(DATA, &[7, 0, 0, 0, 0, 0, 0, 0, 9]);
    let mut init = start();
    init.regs.fs_base = DATA + 8;
    init.regs.gs_base = DATA;
    let mut t = s.spawn(&init).unwrap();
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    assert_eq!(t.regs().rdi, 9);
    t.regs_mut().fs_base = DATA;
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    assert_eq!(t.regs().fs_base, DATA + 8);
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    assert_eq!(t.regs().rdi, 9);
}

guest!(
    vector,
    "mov eax, 0x1234",
    "movq xmm3, rax",
    "mov eax, 1",
    "syscall",
    "movq rdi, xmm3",
    "mov eax, 2",
    "syscall",
    "movq rdi, xmm3",
    "syscall"
);

#[test]
fn extended_state() {
    let c = cpu(0);
    let mut t = thread(vector());
    t.run(&c.vcpu);
    let x = t.xstate();
    let at = 160 + 3 * 16;
    assert_eq!(&x.as_bytes()[at..at + 2], &[0x34, 0x12]);
    t.run(&c.vcpu);
    assert_eq!(t.regs().rdi, 0x1234);
    let mut b = t.xstate().as_bytes().to_vec();
    b[at] = 0x99;
    t.set_xstate(&XState::from_bytes(&b).unwrap());
    let saved = t.state();
    t.run(&c.vcpu);
    assert_eq!(t.regs().rdi, 0x1299);
    // A thread that starts with the whole state of another.
    let mut u = t.address_space().spawn(&saved).unwrap();
    assert_eq!(u.run(&c.vcpu), Trap::Syscall);
    assert_eq!(u.regs().rdi, 0x1299);
}

guest!(
    upper,
    "vpcmpeqd ymm1, ymm1, ymm1",
    "mov eax, 1",
    "syscall",
    "vextracti128 xmm2, ymm1, 1",
    "vmovq rdi, xmm2",
    "syscall"
);

#[test]
fn avx_survives_a_trap() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    let c = cpu(0);
    let mut t = thread(upper());
    t.run(&c.vcpu);
    // Anything the kernel does with vector registers meanwhile must not matter.
    std::hint::black_box([0u64; 64].map(|x| x + 1));
    t.run(&c.vcpu);
    assert_eq!(t.regs().rdi, u64::MAX);
}

guest!(
    writer,
    "mov qword ptr [0x500000], 1",
    "syscall",
    "mov rdi, [0x500000]",
    "syscall"
);

#[test]
fn fork_copies_on_write() {
    let c = cpu(0);
    let mut t = thread(writer());
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    let parent = t.address_space().clone();
    let mut init = t.state();
    init.regs.rsi = 77;
    let (child, mut u) = parent.fork(&init).unwrap();
    assert_ne!(child.host_pid(), parent.host_pid());
    child.write(DATA, &[2]);
    assert_eq!(word(&parent, DATA), 1);
    assert_eq!(u.run(&c.vcpu), Trap::Syscall);
    assert_eq!((u.regs().rdi, u.regs().rsi), (2, 77));
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    assert_eq!(t.regs().rdi, 1);
    // A child outlives its parent, and has children itself.
    drop(t);
    drop(parent);
    let (grand, mut v) = child.fork(&init).unwrap();
    drop((child, u));
    assert_eq!(v.run(&c.vcpu), Trap::Syscall);
    assert_eq!(v.regs().rdi, 2);
    assert_eq!(word(&grand, DATA), 2);
}

guest!(
    shared_counter,
    "1:",
    "lock inc qword ptr [0x500000]",
    "cmp qword ptr [0x501000], 0",
    "je 1b",
    "mov eax, 60",
    "syscall"
);

#[test]
fn two_threads_on_two_vcpus() {
    let s = space(shared_counter());
    let mut threads = Vec::new();
    for n in 0..2 {
        let s = s.clone();
        threads.push(std::thread::spawn(move || {
            let c = cpu(n);
            let mut t = s.spawn(&start()).unwrap();
            assert_eq!(t.run(&c.vcpu), Trap::Syscall);
            assert_eq!(t.regs().orig_rax, 60);
        }));
    }
    let before = word(&s, DATA);
    let deadline = Instant::now() + Duration::from_secs(60);
    while word(&s, DATA) == before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(word(&s, DATA) > before);
    s.write(DATA + 0x1000, &[1]);
    threads.into_iter().for_each(|t| t.join().unwrap());
}

guest!(busy, "1:", "inc rdi", "jmp 1b");

#[test]
fn a_kick_interrupts_a_busy_loop() {
    let c = cpu(0);
    let mut t = thread(busy());
    let mut last = 0;
    for _ in 0..20 {
        let v = c.vcpu.clone();
        let kicker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            v.kick();
        });
        assert_eq!(t.run(&c.vcpu), Trap::Interrupted);
        assert!(t.regs().rdi >= last);
        last = t.regs().rdi;
        kicker.join().unwrap();
    }
    assert!(last > 0);
    // A kick that came before isn't lost, and is taken once.
    c.vcpu.kick();
    assert_eq!(t.run(&c.vcpu), Trap::Interrupted);
    c.vcpu.kick();
    let began = Instant::now();
    c.vcpu.idle(None);
    c.vcpu.idle(Some(clock::monotonic_ns() + 20_000_000));
    assert!(began.elapsed() >= Duration::from_millis(20));
}

#[test]
fn threads_are_reused_and_many() {
    let c = cpu(0);
    let s = space(count());
    let mut all: Vec<_> = (0..50).map(|_| s.spawn(&start()).unwrap()).collect();
    for t in &mut all {
        assert_eq!(t.run(&c.vcpu), Trap::Syscall);
        assert_eq!(t.regs().rdi, 1);
    }
    drop(all);
    for _ in 0..50 {
        let mut t = s.spawn(&start()).unwrap();
        assert_eq!(t.run(&c.vcpu), Trap::Syscall);
        assert_eq!(t.regs().rdi, 1);
        assert_eq!(t.regs().fs_base, 0);
    }
}

#[test]
fn memory_access_counts_to_the_fault() {
    let _c = cpu(0);
    let s = space(count());
    let mut b = vec![0; 0x3000];
    assert_eq!(s.read(DATA + 0x1800, &mut b), 0x800);
    assert_eq!(s.write(DATA + 0x1ffc, &[1; 16]), 4);
    assert_eq!(s.write(CODE, &[1; 16]), 0);
    assert_eq!(s.read(TASK_SIZE - 8, &mut b), 0);
    assert_eq!(s.read(u64::MAX - 8, &mut b), 0);
    assert_eq!(s.read(0x7fff_0000_0000, &mut b), 0);
    let (mut x, mut y) = ([0; 3], [0; 5]);
    s.write(DATA, b"abcdefgh");
    assert_eq!(
        s.readv(&[(DATA, 2), (DATA + 2, 6)], &mut [&mut x, &mut y]),
        8
    );
    assert_eq!((&x, &y), (b"abc", b"defgh"));
    assert_eq!(
        s.writev(&[(DATA + 0x1ffe, 4), (DATA, 4)], &[b"1234", b"5678"]),
        2
    );
    s.clear().unwrap();
    assert_eq!(s.read(DATA, &mut b), 0);
}

#[test]
fn page_cache_is_shared_or_private() {
    let _c = cpu(0);
    let p = platform().page_cache();
    let off = 1 << 30;
    p.write(off, b"hello");
    let s = platform().new_address_space().unwrap();
    let r = Prot {
        read: true,
        ..Prot::NONE
    };
    let file = |addr, prot, private, may_write| MapOp::File {
        addr,
        len: 0x2000,
        prot,
        offset: off,
        private,
        may_write,
        populate: false,
    };
    s.apply(&[
        file(0x10_0000, Prot::RW, false, true),
        file(0x20_0000, Prot::RW, true, false),
        file(0x30_0000, r, false, false),
    ])
    .unwrap();
    assert_eq!(s.write(0x10_0000, b"J"), 1);
    assert_eq!(s.write(0x20_0001, b"E"), 1);
    let mut b = [0; 5];
    p.read(off, &mut b);
    assert_eq!(&b, b"Jello");
    s.read(0x20_0000, &mut b);
    assert_eq!(&b, b"JEllo");
    // Never writable, not even later.
    let e = s
        .apply(&[MapOp::Protect {
            addr: 0x30_0000,
            len: 0x1000,
            prot: Prot::RW,
        }])
        .unwrap_err();
    assert_eq!(
        e,
        OpError {
            index: 0,
            errno: libc::EACCES
        }
    );
    s.apply(&[MapOp::Move {
        from: 0x30_0000,
        from_len: 0x2000,
        to: 0x40_0000,
        to_len: 0x2000,
        keep: false,
    }])
    .unwrap();
    assert_eq!(p.copy_from_guest(&s, off + 0x1000, 0x40_0000, 5), 5);
    assert_eq!(p.copy_to_guest(&s, off + 0x1000, 0x20_0000, 0x3000), 0x2000);
    let before = p.allocated_bytes();
    p.punch(off, 0x2000);
    assert!(p.allocated_bytes() < before);
    s.read(0x10_0000, &mut b);
    assert_eq!(b, [0; 5]);
}
