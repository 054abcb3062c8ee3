//! Direct calls: what a patched call site does, by hand.

mod common;
use common::*;
use platform::*;
use std::time::{Duration, Instant};

/// Both ways of waiting, by turns.
const SPIN: Spin = Spin::Always;

// As a trampoline: number in rax, return address in rcx, then through the gate of the process.
guest!(
    calls,
    "mov rbx, 0x1b",
    "mov rbp, 0x1c",
    "mov r12, 0x1d",
    "mov r15, 0x1e",
    "mov r13, rsp",
    "mov rax, 0x123456789abc",
    "movq xmm7, rax",
    "xor edi, edi",
    "1:",
    "inc rdi",
    "mov r8, 8",
    "mov r9, 9",
    "mov r10, 10",
    "mov rdx, 11",
    "cmp rdi, 0",
    "stc",
    "mov eax, 39",
    "lea rcx, [rip + 2f]",
    "movabs r11, 0x7fff00100030",
    "jmp [r11]",
    "syscall",
    "2:",
    "jnc 9f",
    "jz 9f",
    "add rsi, rax",
    "cmp rbx, 0x1b",
    "jne 9f",
    "cmp rbp, 0x1c",
    "jne 9f",
    "cmp r12, 0x1d",
    "jne 9f",
    "cmp r15, 0x1e",
    "jne 9f",
    "cmp r13, rsp",
    "jne 9f",
    "cmp r8, 8",
    "jne 9f",
    "cmp r9, 9",
    "jne 9f",
    "cmp r10, 10",
    "jne 9f",
    "cmp rdx, 11",
    "jne 9f",
    "movq r14, xmm7",
    "mov rax, 0x123456789abc",
    "cmp rax, r14",
    "je 1b",
    "9:",
    "ud2"
);

#[test]
fn registers_and_flags_come_and_go() {
    let c = cpu(0);
    let mut t = thread(calls());
    for i in 1..=1000u64 {
        let r = call(&mut t, &c);
        assert_eq!((r.orig_rax, r.rdi, r.rsi), (39, i, 5 * (i - 1)));
        assert_eq!((r.rbx, r.rbp, r.r12, r.r15), (0x1b, 0x1c, 0x1d, 0x1e));
        assert_eq!((r.r8, r.r9, r.r10, r.rdx), (8, 9, 10, 11));
        assert_eq!((r.rsp, r.r13, r.rcx), (STACK_TOP, STACK_TOP, r.rip));
        assert_eq!(r.eflags & 0x841, 1);
        t.set_result(5);
    }
}

#[test]
fn all_state_can_be_read_and_replaced() {
    let c = cpu(0);
    let mut t = thread(calls());
    for i in 1..=200u64 {
        let r = call(&mut t, &c);
        assert_eq!((r.rdi, r.rsi), (i, 5 * (i - 1)));
        match i % 4 {
            0 => t.regs_mut().rax = 5,
            1 => {
                let x = t.xstate();
                assert_eq!(
                    x.as_bytes()[160 + 16 * 7..][..8],
                    0x1234_5678_9abcu64.to_le_bytes()
                );
                t.set_result(5);
            }
            2 => {
                let x = t.xstate();
                t.set_xstate(&x);
                t.set_result(5);
            }
            _ => t.set_result(5),
        }
    }
}

#[test]
fn a_child_goes_on_where_its_parent_called() {
    let c = cpu(0);
    let mut t = thread(calls());
    call(&mut t, &c);
    t.set_result(5);
    call(&mut t, &c);
    let space = t.address_space().clone();
    let mut state = t.state();
    state.regs.rax = 7;
    let (_child_space, mut child) = space.fork(&state).expect("fork");
    let r = call(&mut child, &c);
    assert_eq!((r.rdi, r.rsi), (3, 12));
    t.set_result(5);
    assert_eq!(call(&mut t, &c).rsi, 10);
}

#[test]
fn threads_find_their_own_mailboxes() {
    let c = cpu(0);
    let mut first = thread(calls());
    call(&mut first, &c);
    first.set_result(5);
    let space = first.address_space().clone();
    for round in 0..20u64 {
        // All but the first time two of them are threads that were parked in a direct call.
        let mut others: Vec<_> = (0..3)
            .map(|_| space.spawn(&start()).expect("spawn"))
            .collect();
        for i in 1..=20u64 {
            for t in &mut others {
                let r = call(t, &c);
                assert_eq!((r.rdi, r.rsi, r.gs_base), (i, 5 * (i - 1), 0));
                t.set_result(5);
            }
            let n = round * 20 + i;
            let r = call(&mut first, &c);
            assert_eq!((r.rdi, r.rsi), (n + 1, 5 * n));
            first.set_result(5);
        }
    }
}

// The same call, with a GS base of its own from the second on.
guest!(
    own_gs,
    "xor edi, edi",
    "1:",
    "inc rdi",
    "stc",
    "mov eax, 39",
    "lea rcx, [rip + 2f]",
    "movabs r11, 0x7fff00100030",
    "jmp [r11]",
    "syscall",
    "2:",
    "jnc 9f",
    "cmp eax, 5",
    "jne 9f",
    "mov r8d, 0x500123",
    "wrgsbase r8",
    "jmp 1b",
    "9:",
    "ud2"
);

#[test]
fn gs_belongs_to_the_guest() {
    let c = cpu(0);
    let mut t = thread(own_gs());
    for i in 1..=50u64 {
        let r = call(&mut t, &c);
        let gs = if i == 1 { 0 } else { 0x50_0123 };
        assert_eq!((r.orig_rax, r.rdi, r.gs_base), (39, i, gs));
        t.set_result(5);
    }
    call(&mut t, &c);
    t.regs_mut().gs_base = 0;
    t.regs_mut().rax = 5;
    let r = call(&mut t, &c);
    assert_eq!((r.rdi, r.gs_base), (52, 0x50_0123));
}

#[test]
fn a_gs_base_among_the_stubs_addresses_is_the_guests_too() {
    let c = cpu(0);
    let mut t = thread(calls());
    for (i, gs) in [0x7fff_ffff_e000, 0x7fff_0000_0000, 0x7fff_0020_0000, 0]
        .into_iter()
        .cycle()
        .take(40)
        .enumerate()
    {
        assert_eq!(call(&mut t, &c).rdi, 2 * i as u64 + 1);
        t.regs_mut().gs_base = gs;
        t.regs_mut().rax = 5;
        assert_eq!(call(&mut t, &c).gs_base, gs);
        t.set_result(5);
    }
}

#[test]
fn queued_operations_and_failures() {
    let c = cpu(0);
    let mut t = thread(calls());
    call(&mut t, &c);
    t.set_result(5);
    t.queue(MapOp::Protect {
        addr: DATA,
        len: 0x1000,
        prot: Prot::NONE,
    });
    assert_eq!(call(&mut t, &c).rsi, 5);
    t.set_result(5);
    t.queue(MapOp::Protect {
        addr: 0x1000_0000,
        len: 0x1000,
        prot: Prot::RW,
    });
    let errno = libc::ENOMEM;
    assert_eq!(t.run(&c.vcpu), Trap::OpFailed { index: 0, errno });
    assert_eq!((t.regs().rdi, t.regs().rax), (2, 5));
    assert_eq!(call(&mut t, &c).rsi, 10);
}

#[test]
fn kicks_at_any_moment() {
    let c = cpu(0);
    let mut t = thread(calls());
    let vcpu = c.vcpu.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = stop.clone();
    let kicker = std::thread::spawn(move || {
        let mut n = 0u32;
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            vcpu.kick();
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0..n >> 22).for_each(|_| std::hint::spin_loop());
        }
    });
    let (mut calls, mut kicks) = (0u64, 0);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        match t.run(&c.vcpu) {
            Trap::Syscall => {
                calls += 1;
                assert_eq!((t.regs().rdi, t.regs().rsi), (calls, 5 * (calls - 1)));
                if calls.is_multiple_of(7) {
                    let x = t.xstate();
                    t.set_xstate(&x);
                }
                t.set_result(5);
            }
            Trap::Interrupted => kicks += 1,
            other => panic!("{other:?} at {:x}", t.regs().rip),
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    kicker.join().expect("the kicker ends");
    assert!(calls > 0 && kicks > 0, "{calls} calls, {kicks} kicks");
}
