//! What the platform's primitives cost on this host, next to what the host itself takes for the same. Run it with
//! `cargo run --release -p umlaut-platform --example costs`; everything is pinned to one CPU.

use platform::*;
use std::time::Instant;

const CODE: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;
/// mov eax, 110; 1: syscall; mov eax, 110; jmp 1b
const LOOP: [u8; 14] = [
    0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xb8, 110, 0, 0, 0, 0xeb, 0xf7,
];

/// 1: mov eax, 110; lea rcx, [rip + 2f]; movabs r11, gate; jmp [r11]; 2: jmp 1b
const DIRECT: [u8; 27] = [
    0xb8, 110, 0, 0, 0, 0x48, 0x8d, 0x0d, 13, 0, 0, 0, 0x49, 0xbb, 0x30, 0, 0x10, 0, 0xff, 0x7f, 0,
    0, 0x41, 0xff, 0x23, 0xeb, 0xe5,
];

fn time(name: &str, n: u32, mut f: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let t = Instant::now();
        (0..n).for_each(|_| f());
        best = best.min(t.elapsed().as_nanos() as f64 / n as f64);
    }
    println!("{name:<44} {best:>10.0} ns");
    best
}

fn main() {
    let platform = Platform::start(Config {
        ncpus: 1,
        fiber_stack: 128 << 10,
        spin: Spin::default(),
        fsgsbase: true,
    })
    .expect("platform");
    let vcpu = Vcpu::new(0, &platform);
    vcpu.enter();
    // SAFETY: no pointers.
    let native = time("host getppid", 200_000, || unsafe {
        libc::syscall(libc::SYS_getppid);
    });

    let space = platform.new_address_space().expect("address space");
    let map = |addr, len| MapOp::Anon {
        addr,
        len,
        prot: Prot {
            exec: true,
            ..Prot::RW
        },
        noreserve: false,
    };
    space
        .apply(&[map(CODE, 0x1000), map(DATA, 64 << 12)])
        .expect("map");
    space.write(CODE, &LOOP);
    space.write(DATA, &[1; 64 << 12]);
    let regs = Registers {
        rip: CODE,
        rsp: DATA + 0x1000,
        ..Registers::default()
    };
    let mut t = space
        .spawn(&ThreadState { regs, xstate: None })
        .expect("spawn");
    assert_eq!(t.run(&vcpu), Trap::Syscall);
    let null = time("system call, round trip", 100_000, || {
        t.set_result(1);
        assert_eq!(t.run(&vcpu), Trap::Syscall);
    });
    println!("{:<44} {:>10.1} x", "  of host getppid", null / native);
    // The same in turns, each shorter than a time slice, for hosts that are busy or whose speed varies.
    let mut ratios: Vec<f64> = (0..4000)
        .map(|_| {
            let a = Instant::now();
            for _ in 0..500 {
                // SAFETY: no pointers.
                unsafe { libc::syscall(libc::SYS_getppid) };
            }
            let (a, b) = (a.elapsed(), Instant::now());
            for _ in 0..20 {
                t.regs_mut().rax = 1;
                assert_eq!(t.run(&vcpu), Trap::Syscall);
            }
            b.elapsed().as_secs_f64() * 25.0 / a.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "{:<44} {:>10.1} x",
        "  of host getppid, median of turns", ratios[2000]
    );
    space.write(CODE + 0x800, &DIRECT);
    t.regs_mut().rip = CODE + 0x800;
    assert_eq!(t.run(&vcpu), Trap::Syscall);
    let direct = time("direct call, round trip", 100_000, || {
        t.set_result(1);
        assert_eq!(t.run(&vcpu), Trap::Syscall);
    });
    println!("{:<44} {:>10.1} x", "  of host getppid", direct / native);
    t.regs_mut().rip = CODE;
    assert_eq!(t.run(&vcpu), Trap::Syscall);
    time("kernel's side only: kick taken at once", 100_000, || {
        vcpu.kick();
        assert_eq!(t.run(&vcpu), Trap::Interrupted);
    });
    let mut b = [0; 64];
    time("read 64 bytes of user memory", 100_000, || {
        assert_eq!(space.read(DATA, &mut b), 64)
    });
    time("queued mprotect + system call", 50_000, || {
        t.queue(MapOp::Protect {
            addr: DATA,
            len: 0x1000,
            prot: Prot::RW,
        });
        assert_eq!(t.run(&vcpu), Trap::Syscall);
    });
    time("agent request, one mprotect", 50_000, || {
        space
            .apply(&[MapOp::Protect {
                addr: DATA,
                len: 0x1000,
                prot: Prot::RW,
            }])
            .expect("apply");
    });
    let state = t.state();
    time("thread: spawn, first trap, drop (reused)", 5_000, || {
        let mut u = space.spawn(&state).expect("spawn");
        assert_eq!(u.run(&vcpu), Trap::Syscall);
    });
    let mut kept = Vec::new();
    let began = Instant::now();
    for _ in 0..1000 {
        let mut u = space.spawn(&state).expect("spawn");
        assert_eq!(u.run(&vcpu), Trap::Syscall);
        kept.push(u);
    }
    println!(
        "{:<44} {:>10.0} ns",
        "thread: new",
        began.elapsed().as_nanos() as f64 / 1000.0
    );
    drop(kept);
    drop(t);
    drop(space);

    let space = platform.new_address_space().expect("address space");
    space
        .apply(&[map(CODE, 0x1000), map(DATA, 64 << 12)])
        .expect("map");
    space.write(CODE, &LOOP);
    space.write(DATA, &[1; 64 << 12]);
    let mut t = space
        .spawn(&ThreadState { regs, xstate: None })
        .expect("spawn");
    t.run(&vcpu);
    let state = t.state();
    time("fork alone (and kill), 64 dirty pages", 500, || {
        space.fork(&state).expect("fork");
    });
    time("fork, first trap, kill", 500, || {
        let (s, mut u) = space.fork(&state).expect("fork");
        assert_eq!(u.run(&vcpu), Trap::Syscall);
        drop((s, u));
    });
    time("fork, kill, wait till it is gone", 500, || {
        let (s, mut u) = space.fork(&state).expect("fork");
        assert_eq!(u.run(&vcpu), Trap::Syscall);
        drop((s, u));
        vcpu.idle(Some(0));
    });
    time("new address space", 500, || {
        platform.new_address_space().expect("address space");
    });
    // SAFETY: the child exits at once.
    time("host fork + exit + wait of this process", 200, || unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::_exit(0);
        }
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    });
}
