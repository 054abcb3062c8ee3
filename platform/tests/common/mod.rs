//! A platform for tests, and guest code assembled by the test program itself.
#![allow(dead_code)]

use platform::*;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Defines a function that returns position-independent guest code.
#[macro_export]
macro_rules! guest {
    ($name:ident, $($line:literal),+ $(,)?) => {
        std::arch::global_asm!(
            ".pushsection .rodata",
            concat!("guest_", stringify!($name), "_start:"),
            $($line,)+
            concat!("guest_", stringify!($name), "_end:"),
            ".popsection",
        );
        pub fn $name() -> &'static [u8] {
            unsafe extern "C" {
                #[link_name = concat!("guest_", stringify!($name), "_start")]
                static START: u8;
                #[link_name = concat!("guest_", stringify!($name), "_end")]
                static END: u8;
            }
            // SAFETY: both symbols lie in one section, END behind START.
            unsafe { std::slice::from_raw_parts(&raw const START, &raw const END as usize - &raw const START as usize) }
        }
    };
}

pub const CODE: u64 = 0x40_0000;
pub const DATA: u64 = 0x50_0000;
pub const STACK_TOP: u64 = 0x60_0000;
pub const NCPUS: usize = 3;

/// The one platform of a test program. Tests end while it goes on, so a thread of its own holds it.
pub fn platform() -> &'static Platform {
    static P: OnceLock<Platform> = OnceLock::new();
    P.get_or_init(|| {
        let (tx, rx) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tx.send(
                Platform::start(Config {
                    ncpus: NCPUS,
                    fiber_stack: 128 << 10,
                    spin: crate::SPIN,
                    fsgsbase: true,
                })
                .expect("platform"),
            )
            .unwrap();
            loop {
                std::thread::park();
            }
        });
        rx.recv().unwrap()
    })
}

/// The calling thread as vCPU `n`, exclusively.
pub struct Cpu {
    pub vcpu: Arc<Vcpu>,
    _lock: MutexGuard<'static, ()>,
}

pub fn cpu(n: usize) -> Cpu {
    static LOCKS: [Mutex<()>; NCPUS] = [const { Mutex::new(()) }; NCPUS];
    let lock = LOCKS[n].lock().unwrap_or_else(PoisonError::into_inner);
    let vcpu = Vcpu::new(n, platform());
    vcpu.enter();
    Cpu { vcpu, _lock: lock }
}

/// An address space with code, two data pages and a stack.
pub fn space(code: &[u8]) -> AddressSpace {
    let s = platform().new_address_space().expect("address space");
    let rx = Prot {
        read: true,
        write: false,
        exec: true,
    };
    s.apply(&[
        MapOp::Anon {
            addr: CODE,
            len: 0x1000,
            prot: Prot::RW,
            noreserve: false,
        },
        MapOp::Anon {
            addr: DATA,
            len: 0x2000,
            prot: Prot::RW,
            noreserve: false,
        },
        MapOp::Anon {
            addr: STACK_TOP - 0x4000,
            len: 0x4000,
            prot: Prot::RW,
            noreserve: false,
        },
    ])
    .expect("map");
    assert_eq!(s.write(CODE, code), code.len());
    s.apply(&[MapOp::Protect {
        addr: CODE,
        len: 0x1000,
        prot: rx,
    }])
    .expect("protect");
    s
}

pub fn start() -> ThreadState {
    let regs = Registers {
        rip: CODE,
        rsp: STACK_TOP,
        ..Registers::default()
    };
    ThreadState { regs, xstate: None }
}

/// A thread that will run `code`.
pub fn thread(code: &[u8]) -> GuestThread {
    space(code).spawn(&start()).expect("spawn")
}

pub fn word(s: &AddressSpace, addr: u64) -> u64 {
    let mut b = [0; 8];
    assert_eq!(s.read(addr, &mut b), 8);
    u64::from_le_bytes(b)
}

/// Runs until the next system call, past interruptions.
pub fn call(t: &mut GuestThread, c: &Cpu) -> Registers {
    loop {
        match t.run(&c.vcpu) {
            Trap::Syscall => return *t.regs(),
            Trap::Interrupted => {}
            other => panic!("{other:?} at {:x}", t.regs().rip),
        }
    }
}
