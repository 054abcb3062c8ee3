//! Many threads and many processes.

mod common;
use common::*;
use platform::*;

const SPIN: Spin = Spin::Auto;

guest!(
    answer,
    "mov eax, 42",
    "syscall",
    "jmp answer_again",
    "answer_again:",
    "mov eax, 43",
    "syscall"
);

#[test]
fn a_thousand_threads() {
    let c = cpu(0);
    let s = space(answer());
    let mut all: Vec<_> = (0..1000)
        .map(|_| s.spawn(&start()).expect("spawn"))
        .collect();
    for nr in [42, 43] {
        for t in &mut all {
            assert_eq!(t.run(&c.vcpu), Trap::Syscall);
            assert_eq!(t.regs().orig_rax, nr);
        }
    }
    let (_child, mut u) = s
        .fork(&start())
        .expect("fork of a process with many threads");
    assert_eq!(u.run(&c.vcpu), Trap::Syscall);
}

#[test]
fn two_thousand_processes() {
    let c = cpu(0);
    let mut t = thread(answer());
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    let state = t.state();
    let s = t.address_space().clone();
    let mut all: Vec<_> = (0..2000).map(|_| s.fork(&state).expect("fork")).collect();
    for (_, u) in &mut all {
        assert_eq!(u.run(&c.vcpu), Trap::Syscall);
        assert_eq!(u.regs().orig_rax, 43);
    }
}
