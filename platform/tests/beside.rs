//! vCPUs that answer from the CPU beside, as often as they can.

mod common;
use common::*;
use platform::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SPIN: Spin = Spin::Always;

// Calls with the loop's count in rdi; before every 64th it computes for longer than the vCPU waits awake.
guest!(
    bursts,
    "xor edi, edi",
    "1:",
    "inc rdi",
    "test edi, 63",
    "jnz 3f",
    "mov ecx, 300000",
    "2:",
    "dec ecx",
    "jnz 2b",
    "3:",
    "mov eax, 39",
    "lea rcx, [rip + 4f]",
    "movabs r11, 0x7fff00100030",
    "jmp [r11]",
    "4:",
    "mov [rsp - 8], rax",
    "jmp 1b"
);

#[test]
fn bursts_with_computing_between() {
    let c = cpu(0);
    let mut t = thread(bursts());
    for i in 1..=5000u64 {
        let r = call(&mut t, &c);
        assert_eq!((r.orig_rax, r.rdi), (39, i));
        if i > 1 {
            assert_eq!(word(t.address_space(), STACK_TOP - 8), i - 1);
        }
        t.set_result(i);
    }
}

#[test]
fn threads_take_turns_and_the_vcpu_idles() {
    let c = cpu(1);
    let mut all: Vec<_> = (0..3).map(|_| thread(bursts())).collect();
    let mut counts = [0u64; 3];
    for round in 0..300u64 {
        for (t, n) in all.iter_mut().zip(&mut counts) {
            for _ in 0..round % 7 + 1 {
                *n += 1;
                assert_eq!(call(t, &c).rdi, *n);
                t.set_result(0);
            }
            if round % 5 == 0 {
                c.vcpu.idle(Some(clock::monotonic_ns() + 100_000));
            }
        }
    }
}

#[test]
fn kicks_find_the_guest() {
    let c = cpu(2);
    let mut t = thread(bursts());
    let stop = Arc::new(AtomicBool::new(false));
    let kicker = {
        let (vcpu, stop) = (c.vcpu.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                vcpu.kick();
                std::thread::sleep(Duration::from_micros(30));
            }
        })
    };
    let (mut calls, mut interruptions) = (0u64, 0u64);
    while calls < 3000 || interruptions < 20 {
        match t.run(&c.vcpu) {
            Trap::Syscall => {
                calls += 1;
                assert_eq!(t.regs().rdi, calls);
                t.set_result(calls);
            }
            Trap::Interrupted => interruptions += 1,
            other => panic!("{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    kicker.join().unwrap();
}

#[test]
fn memory_is_changed_and_copied_meanwhile() {
    let c = cpu(0);
    let mut t = thread(bursts());
    for i in 1..=2000u64 {
        assert_eq!(call(&mut t, &c).rdi, i);
        let prot = if i % 2 == 0 {
            Prot::RW
        } else {
            Prot {
                write: false,
                ..Prot::RW
            }
        };
        let op = MapOp::Protect {
            addr: DATA,
            len: 0x1000,
            prot,
        };
        if i % 3 == 0 {
            t.address_space().apply(&[op]).unwrap();
        } else {
            t.queue(op);
        }
        if i % 100 == 0 {
            t.flush().unwrap();
            let state = t.state();
            let (child, mut first) = t.address_space().fork(&state).unwrap();
            first.set_result(0);
            assert_eq!(call(&mut first, &c).rdi, i + 1);
            drop((first, child));
        }
        t.set_result(0);
    }
}

#[test]
fn a_dead_guest_is_noticed() {
    let c = cpu(1);
    for kills in 0..10 {
        let mut t = thread(bursts());
        for i in 1..=100 + kills {
            assert_eq!(call(&mut t, &c).rdi, i);
            t.set_result(0);
        }
        let pid = t.address_space().host_pid();
        // SAFETY: no pointers; a child of this process that nobody has reaped.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        while t.run(&c.vcpu) != Trap::Dead {}
    }
}
