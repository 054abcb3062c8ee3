//! Guests that attack the platform: they may lose their own process and nothing else.

mod common;
use common::*;
use platform::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stub::layout::*;

const SPIN: Spin = Spin::Auto;
/// What must come is waited for this long, on however busy a host.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kicks a vCPU every few milliseconds until dropped.
struct Kicker(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Kicker {
    fn new(v: &Arc<Vcpu>) -> Kicker {
        let (stop, v) = (Arc::new(AtomicBool::new(false)), v.clone());
        let s = stop.clone();
        Kicker(
            stop,
            Some(std::thread::spawn(move || {
                while !s.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(3));
                    v.kick();
                }
            })),
        )
    }
}

impl Drop for Kicker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(|t| t.join());
    }
}

guest!(answer, "mov eax, 42", "syscall", "jmp rbx");
guest!(spin, "1:", "jmp 1b");

/// The platform still works for others.
fn others_are_fine(c: &Cpu) {
    let mut t = thread(answer());
    loop {
        match t.run(&c.vcpu) {
            Trap::Interrupted => (),
            trap => {
                assert_eq!((trap, t.regs().rax), (Trap::Syscall, 42));
                return;
            }
        }
    }
}

/// Offset of a byte sequence in the stub's text.
fn find(bytes: &[u8]) -> u64 {
    STUB_BASE
        + stub::text()
            .windows(bytes.len())
            .position(|w| w == bytes)
            .expect("in the stub") as u64
}

/// Host processes whose parent is this process.
fn children() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("children")).ok())
        .map(|s| s.split_whitespace().count())
        .sum()
}

#[test]
fn jumps_to_every_byte_of_the_stub() {
    let c = cpu(0);
    let mut t = thread(answer());
    assert_eq!(t.run(&c.vcpu), Trap::Syscall);
    let s = t.address_space().clone();
    let before = children();
    let kicker = Kicker::new(&c.vcpu);
    // write, mmap, mprotect, munmap, rt_sigaction, clone, execve, exit_group, prctl, arch_prctl, seccomp
    let numbers = [1, 9, 10, 11, 13, 56, 59, 231, 157, 158, 317];
    for (i, offset) in (0..stub::text().len() as u64).enumerate() {
        let mut init = t.state();
        let r = &mut init.regs;
        r.rip = STUB_BASE + offset;
        r.rax = numbers[i % numbers.len()];
        (r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9) = (STUB_BASE, 0x10000, 7, 0x32, u64::MAX, 0);
        // Registers of the agent and of a handler, pointing at memory of the guest's choice.
        (r.rbx, r.r12, r.r13, r.r14, r.r15) = (DATA + 0x800, DATA, 0, REQUEST_ADDR, 0x1234);
        let (space, mut u) = s.fork(&init).expect("fork");
        for _ in 0..3 {
            if u.run(&c.vcpu) == Trap::Dead {
                break;
            }
        }
        drop((space, u));
    }
    drop(kicker);
    // Nothing that the guests did made a process of its own.
    let deadline = Instant::now() + PATIENCE;
    while children() > before + NCPUS {
        assert!(
            Instant::now() < deadline,
            "{} children, {before} before",
            children()
        );
        c.vcpu.idle(Some(clock::monotonic_ns() + 20_000_000));
    }
    others_are_fine(&c);
}

#[test]
fn unprivileged_calls_cannot_touch_the_stub() {
    let c = cpu(0);
    let syscall = find(&[0x0f, 0x05]);
    let calls: [(u64, [u64; 6]); 8] = [
        (11, [STUB_BASE, 0x1000, 0, 0, 0, 0]),
        (10, [REQUEST_ADDR, 0x1000, 7, 0, 0, 0]),
        (9, [STUB_BASE, 0x1000, 7, 0x32, u64::MAX, 0]),
        (9, [0x10_0000, 0x1000, 3, 1, 3, 0]),
        (28, [0x10_0000, 0x1000, 9, 0, 0, 0]),
        (1, [4, DATA, 8, 0, 0, 0]),
        (56, [0x11, 0, 0, 0, 0, 0]),
        (231, [0, 0, 0, 0, 0, 0]),
    ];
    for (nr, a) in calls {
        let mut t = thread(answer());
        assert_eq!(t.run(&c.vcpu), Trap::Syscall);
        let r = t.regs_mut();
        (r.rip, r.rax) = (syscall, nr);
        (r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9) = (a[0], a[1], a[2], a[3], a[4], a[5]);
        assert_eq!(t.run(&c.vcpu), Trap::Dead, "call {nr} {a:x?}");
        assert_eq!(t.run(&c.vcpu), Trap::Dead);
    }
    others_are_fine(&c);
}

guest!(
    forge,
    // rbx the mailbox, rcx a value: write it to the word at rdi, claim the kernel's turn, go on
    "1:",
    "mov [rdi], rcx",
    "mov dword ptr [rbx], 3",
    "inc rcx",
    "jmp 1b"
);

#[test]
fn forged_mailboxes() {
    let c = cpu(0);
    let mailbox = HOME_ADDR + AREA_SIZE - MAILBOX_SIZE;
    for field in (0..64).step_by(8) {
        for value in [7, HOME_ADDR + AREA_SIZE - 8, u64::MAX] {
            let s = space(forge());
            let mut init = start();
            (init.regs.rbx, init.regs.rdi, init.regs.rcx) = (mailbox, mailbox + field, value);
            let mut t = s.spawn(&init).unwrap();
            let kicker = (value == 7).then(|| Kicker::new(&c.vcpu));
            for _ in 0..20 {
                if kicker.is_none() {
                    c.vcpu.kick();
                }
                if t.run(&c.vcpu) == Trap::Dead {
                    break;
                }
                let _ = t.xstate();
            }
            drop(kicker);
            drop((s, t));
        }
    }
    others_are_fine(&c);
}

#[test]
fn blocked_signals_do_not_help() {
    let c = cpu(0);
    let sigreturn = find(&[0xb8, 15, 0, 0, 0, 0x0f, 0x05]);
    let mut t = thread(spin());
    let s = t.address_space().clone();
    // A signal frame of the guest's own: everything blocked, no alternate stack, then a busy loop.
    let (uc, gregs) = (DATA, DATA + 40);
    s.write(uc + 296, &[0xff; 8]);
    s.write(gregs + 16 * 8, &CODE.to_le_bytes());
    s.write(gregs + 15 * 8, &STACK_TOP.to_le_bytes());
    s.write(gregs + 18 * 8, &(0x33u64 | 0x2b << 48).to_le_bytes());
    let r = t.regs_mut();
    (r.rip, r.rsp) = (sigreturn, uc);
    let v = c.vcpu.clone();
    let kicker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        v.kick();
    });
    assert_eq!(t.run(&c.vcpu), Trap::Dead);
    kicker.join().unwrap();
    others_are_fine(&c);
}

#[test]
fn a_thread_that_exits_behind_the_kernels_back() {
    let c = cpu(0);
    let exit = find(&[0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
    let mut t = thread(spin());
    t.regs_mut().rip = exit;
    assert_eq!(t.run(&c.vcpu), Trap::Dead);
    others_are_fine(&c);
}

#[test]
fn a_process_killed_from_the_host() {
    let c = cpu(0);
    let mut t = thread(spin());
    let pid = t.address_space().host_pid();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: no pointers; the process is a child of this one that nobody has reaped.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    });
    assert_eq!(t.run(&c.vcpu), Trap::Dead);
    killer.join().unwrap();
    assert!(
        t.address_space()
            .apply(&[MapOp::Unmap {
                addr: DATA,
                len: 0x1000
            }])
            .is_err()
    );
    others_are_fine(&c);
}

/// Run by the test below, in a process of its own.
#[test]
#[ignore]
fn a_kernel_process_to_kill() {
    let c = cpu(0);
    let mut t = thread(spin());
    let (child, _u) = t.address_space().fork(&start()).unwrap();
    println!(
        "\nstubs {} {}",
        t.address_space().host_pid(),
        child.host_pid()
    );
    t.run(&c.vcpu);
}

#[test]
fn stubs_die_with_the_kernel_process() {
    use std::io::{BufRead, BufReader};
    let mut kernel = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_kernel_process_to_kill",
            "--ignored",
            "--nocapture",
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(kernel.stdout.take().unwrap())
        .lines()
        .map(|l| l.unwrap());
    let line = lines.find(|l| l.starts_with("stubs ")).unwrap();
    let pids: Vec<&str> = line.split(' ').skip(1).collect();
    let alive = |pid: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|s| !s.contains(") Z ") && !s.contains(") X "))
    };
    assert!(pids.iter().all(|p| alive(p)));
    std::thread::sleep(Duration::from_millis(50));
    kernel.kill().unwrap();
    kernel.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while pids.iter().any(|p| alive(p)) {
        assert!(
            Instant::now() < deadline,
            "stub processes outlive their kernel process"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
