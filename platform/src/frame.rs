//! A thread area as the kernel process sees it: the mailbox, and the host's signal frame (`struct rt_sigframe` of
//! `arch/x86/include/asm/sigframe.h`) that holds a stopped thread's registers. The guest can change every byte.

use crate::control::{Control, Shared};
use crate::{Registers, TASK_SIZE, ThreadState, XState, sys};
use std::sync::atomic::{AtomicU32, Ordering};
use stub::layout::*;

/// Offset of the mailbox in an area.
pub const MAILBOX: u64 = AREA_SIZE - MAILBOX_SIZE;
/// Where the signal stack starts; operations are below.
const STACK: u64 = 4096;

// Offsets in struct ucontext.
const UC_STACK: u64 = 16;
const GREGS: u64 = 40;
const FPSTATE: u64 = GREGS + 23 * 8;
const SIGMASK: u64 = 296;
const UC_SIZE: u64 = 304;
/// UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS.
const UC_FLAGS: u64 = 7;
const SIGINFO_SIZE: u64 = 128;

/// SF, ZF, AF, PF, CF and the bit that is always set.
const LAHF_FLAGS: u64 = 0xd7;
const OVERFLOW: u64 = 1 << 11;
/// Interrupts on, and the bit that is always set.
const USER_FLAGS: u64 = 0x202;

// Indexes of greg words.
const RAX: u64 = 13;
const EFLAGS: u64 = 17;
const SEGMENTS: u64 = 18;
const ERR: u64 = 19;
const TRAPNO: u64 = 20;
const CR2: u64 = 22;

/// The host's vsyscall page.
const VSYSCALL: u64 = 0xffff_ffff_ff60_0000;

pub fn is_vsyscall(addr: u64) -> bool {
    addr >> 12 == VSYSCALL >> 12
}
const USER_CS: u64 = 0x33;
const USER32_CS: u64 = 0x23;
const USER_DS: u64 = 0x2b;

/// Where extended state lies in a frame that the kernel makes.
fn first_fpstate() -> u64 {
    (MAILBOX - XState::frame_size()) & !63
}

/// Offset of the frame that the kernel makes for a new thread.
pub fn first_frame() -> u64 {
    ((first_fpstate() - UC_SIZE - SIGINFO_SIZE - 8) & !15) - 8
}

/// One slot's area, mapped at `addr` in its stub process.
#[derive(Clone, Copy)]
pub struct Area {
    pub slot: u32,
    pub addr: u64,
    mem: Shared,
}

/// What a signal frame says about a trap, copied and unchecked.
pub struct TrapInfo {
    pub code: i32,
    pub addr: u64,
    pub trapno: u64,
    pub error_code: u64,
    pub cr2: u64,
}

impl Area {
    pub fn new(control: &Control, slot: u32, addr: u64) -> Area {
        Area {
            slot,
            addr,
            mem: control.area(slot),
        }
    }

    pub fn state(&self) -> &AtomicU32 {
        self.mem.u32(MAILBOX + mb::STATE)
    }

    pub fn is_gone(&self) -> bool {
        self.state().load(Ordering::Relaxed) == state::GONE
    }

    /// Prepares what a thread that is about to be cloned finds.
    pub fn init(&self, init: &ThreadState) {
        for i in (0..MAILBOX_SIZE).step_by(8) {
            self.mem.put(MAILBOX + i, 0);
        }
        let uc = first_frame() + 8;
        for i in (0..UC_SIZE + SIGINFO_SIZE).step_by(8) {
            self.mem.put(uc + i, 0);
        }
        self.mem.put(uc, UC_FLAGS);
        self.put_stack(uc);
        self.mem.put(MAILBOX + mb::UC, self.addr + uc);
        self.mem.put(MAILBOX + mb::INFO, self.addr + uc + UC_SIZE);
        self.start_with(init);
        self.state().store(state::KERNEL, Ordering::Release);
    }

    /// What a thread begins with that hasn't had its first turn.
    pub fn start_with(&self, init: &ThreadState) {
        let uc = first_frame() + 8;
        self.put_regs(uc, &init.regs);
        if let Some(x) = &init.xstate {
            self.put_xstate(uc, x);
        }
        self.put_bases(init.regs.fs_base, init.regs.gs_base);
    }

    fn put_stack(&self, uc: u64) {
        self.mem.put(uc + UC_STACK, self.addr + STACK);
        self.mem.put(uc + UC_STACK + 8, 0);
        self.mem.put(uc + UC_STACK + 16, MAILBOX - STACK);
    }

    /// The ucontext's offset, if the mailbox names one inside the area.
    pub fn ucontext(&self) -> Option<u64> {
        let uc = self.mem.get(MAILBOX + mb::UC).wrapping_sub(self.addr);
        (uc.is_multiple_of(8) && (STACK..=MAILBOX - UC_SIZE).contains(&uc)).then_some(uc)
    }

    fn fpstate(&self, uc: u64) -> Option<u64> {
        let fp = self.mem.get(uc + FPSTATE).wrapping_sub(self.addr);
        let end = MAILBOX - XState::frame_size();
        (fp.is_multiple_of(64) && (STACK..=end).contains(&fp)).then_some(fp)
    }

    /// The general registers in an array of gregs at `at`, FS and GS bases in the mailbox.
    #[inline]
    fn get_general(&self, at: u64, r: &mut Registers) {
        let g = |i: u64| self.mem.get(at + 8 * i);
        r.r8 = g(0);
        r.r9 = g(1);
        r.r10 = g(2);
        r.r11 = g(3);
        r.r12 = g(4);
        r.r13 = g(5);
        r.r14 = g(6);
        r.r15 = g(7);
        r.rdi = g(8);
        r.rsi = g(9);
        r.rbp = g(10);
        r.rbx = g(11);
        r.rdx = g(12);
        r.rax = g(13);
        r.rcx = g(14);
        r.rsp = g(15);
        r.rip = g(16);
        r.fs_base = self.mem.get(MAILBOX + mb::FS_BASE);
        r.gs_base = match self.mem.get(MAILBOX + mb::GS_BASE) {
            gs if gs == self.gs_mark() => 0,
            gs => gs,
        };
    }

    #[inline]
    pub fn get_regs(&self, uc: u64, r: &mut Registers) {
        self.get_general(uc + GREGS, r);
        let g = |i: u64| self.mem.get(uc + GREGS + 8 * i);
        r.eflags = g(EFLAGS);
        let seg = g(SEGMENTS);
        r.cs = seg & 0xffff;
        r.ss = seg >> 48;
    }

    #[inline]
    pub fn put_regs(&self, uc: u64, r: &Registers) {
        let words = [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx,
            r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags,
        ];
        for (i, w) in words.into_iter().enumerate() {
            self.mem.put(uc + GREGS + 8 * i as u64, w);
        }
        let cs = if r.cs == USER32_CS {
            USER32_CS
        } else {
            USER_CS
        };
        self.mem.put(uc + GREGS + 8 * SEGMENTS, cs | USER_DS << 48);
    }

    /// Registers at a direct call. Flags that arithmetic doesn't set are those of any user code.
    #[inline]
    pub fn get_direct_regs(&self, r: &mut Registers) {
        self.get_general(MAILBOX + mb::REGS, r);
        let kept = self.mem.u32(MAILBOX + mb::EFLAGS).load(Ordering::Relaxed);
        let arithmetic = u64::from(kept >> 8) & LAHF_FLAGS | u64::from(kept & 1) << 11;
        r.eflags = USER_FLAGS | arithmetic;
        // As the instruction leaves them.
        r.rcx = r.rip;
        r.r11 = r.eflags;
        r.cs = USER_CS;
        r.ss = USER_DS;
    }

    /// Flags in a frame that a direct call doesn't note: direction, alignment check and the like.
    pub fn other_flags(&self, uc: u64) -> u64 {
        self.mem.get(uc + GREGS + 8 * EFLAGS) & !(LAHF_FLAGS | OVERFLOW)
    }

    /// What a direct call returns.
    #[inline]
    pub fn put_direct_result(&self, value: u64) {
        self.mem.put(MAILBOX + mb::REGS + 8 * RAX, value);
    }

    /// What a trapped call returns.
    #[inline]
    pub fn put_result(&self, uc: u64, value: u64) {
        self.mem.put(uc + GREGS + 8 * RAX, value);
    }

    /// Has the thread, which is in a direct call, make a signal frame and hand over again.
    pub fn ask_frame(&self) {
        self.add_flag(mb::F_FRAME);
        self.reply();
    }

    /// The GS base that stands for 0: by it a direct call finds its mailbox.
    fn gs_mark(&self) -> u64 {
        self.addr + MAILBOX
    }

    /// Has the thread load FS and GS bases before it goes on.
    pub fn put_bases(&self, fs: u64, gs: u64) {
        let fast = crate::zygote::fsgsbase();
        let gs = if fast && gs == 0 { self.gs_mark() } else { gs };
        self.mem.put(MAILBOX + mb::FS_BASE, fs);
        self.mem.put(MAILBOX + mb::GS_BASE, gs);
        self.add_flag(if fast {
            mb::F_BASES
        } else {
            mb::F_BASES_BY_SYSCALL
        });
    }

    fn add_flag(&self, flag: u32) {
        self.mem
            .u32(MAILBOX + mb::FLAGS)
            .fetch_or(flag, Ordering::Relaxed);
    }

    /// The extended state; reset state when the frame has none.
    pub fn get_xstate(&self, uc: u64) -> XState {
        self.fpstate(uc)
            .map_or_else(XState::initial, |fp| XState::load(&self.mem, fp))
    }

    pub fn put_xstate(&self, uc: u64, x: &XState) {
        let fp = self.fpstate(uc).unwrap_or_else(|| {
            // A frame without extended state is one that `init` made: its place is free.
            self.mem.put(uc + FPSTATE, self.addr + first_fpstate());
            first_fpstate()
        });
        x.store(&self.mem, fp);
    }

    /// Makes the next return load the CPU's reset state.
    pub fn reset_xstate(&self, uc: u64) {
        self.mem.put(uc + FPSTATE, 0);
    }

    /// Restores what a hostile guest may have left in a parked frame: nothing blocked, the area's signal stack.
    pub fn reset_frame(&self, uc: u64) {
        self.mem.put(uc, UC_FLAGS);
        self.put_stack(uc);
        self.mem.put(uc + SIGMASK, 0);
    }

    pub fn trap_info(&self, uc: u64) -> TrapInfo {
        let info = self.mem.get(MAILBOX + mb::INFO).wrapping_sub(self.addr);
        let ok = info.is_multiple_of(8) && (STACK..=MAILBOX - 32).contains(&info);
        let word = |at| if ok { self.mem.get(info + at) } else { 0 };
        TrapInfo {
            code: word(8) as i32,
            addr: word(16),
            trapno: self.mem.get(uc + GREGS + 8 * TRAPNO),
            error_code: self.mem.get(uc + GREGS + 8 * ERR),
            cr2: self.mem.get(uc + GREGS + 8 * CR2),
        }
    }

    #[inline]
    pub fn signo(&self) -> u32 {
        self.mem.u32(MAILBOX + mb::SIGNO).load(Ordering::Relaxed)
    }

    /// For SIGSYS: the audit architecture, or 0 when it wasn't the filter's signal.
    #[inline]
    pub fn syscall_arch(&self) -> u32 {
        let info = self.mem.get(MAILBOX + mb::INFO).wrapping_sub(self.addr);
        if !info.is_multiple_of(8)
            || !(STACK..=MAILBOX - 32).contains(&info)
            || self.mem.get(info + 8) as u32 != 1
        {
            return 0;
        }
        (self.mem.get(info + 24) >> 32) as u32
    }

    /// Whether the filter's signal came of a call into the vsyscall page, and of which address; after
    /// [`Area::syscall_arch`] said that it was the filter's.
    #[inline]
    pub fn vsyscall(&self) -> Option<u64> {
        let info = self.mem.get(MAILBOX + mb::INFO).wrapping_sub(self.addr);
        let addr = self.mem.get(info + 16);
        is_vsyscall(addr).then_some(addr)
    }

    /// Writes operations for the thread to do before it goes on.
    pub fn put_ops<'a>(&self, ops: impl Iterator<Item = &'a crate::MapOp>) {
        let mut n = 0;
        for op in ops {
            let (nr, addr, len, third, fourth) = crate::aspace::plain_call(op);
            let at = n * mb::OP_SIZE;
            self.mem.put32(at, nr as u32);
            self.mem.put32(at + 4, fourth as u32);
            self.mem.put(at + 8, addr);
            self.mem.put(at + 16, len);
            self.mem.put(at + 24, third);
            n += 1;
        }
        self.mem.put32(MAILBOX + mb::OP_COUNT, n as u32);
        self.add_flag(mb::F_OPS);
    }

    /// Which operation failed, and how.
    pub fn op_failure(&self) -> (usize, i32) {
        let get = |at| self.mem.u32(MAILBOX + at).load(Ordering::Relaxed);
        (get(mb::OP_INDEX) as usize, get(mb::OP_ERRNO) as i32 & 0xfff)
    }

    /// Says how long the thread waits awake for its answers, in spin-loop hints.
    pub fn set_patience(&self, pauses: u32) {
        self.mem.put32(MAILBOX + mb::PATIENCE, pauses);
    }

    /// Whether the stopped thread waits asleep.
    #[inline]
    pub fn sleeps(&self) -> bool {
        self.state().load(Ordering::Relaxed) == state::KERNEL_WAITED
    }

    /// Sends a thread that waits awake to sleep.
    pub fn let_sleep(&self) {
        let _ = self.state().compare_exchange(
            state::KERNEL,
            state::KERNEL_WAITED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    /// Where a direct call read ahead, and how many bytes.
    #[inline]
    pub fn ahead(&self) -> (u64, usize) {
        let addr = self.mem.get(MAILBOX + mb::AHEAD_ADDR);
        let len = self
            .mem
            .u32(MAILBOX + mb::AHEAD_LEN)
            .load(Ordering::Relaxed) as u64;
        let ok = len <= mb::AHEAD_SIZE && addr < TASK_SIZE && len <= TASK_SIZE - addr;
        (addr, if ok { len as usize & !7 } else { 0 })
    }

    /// The bytes that it read, a multiple of 8.
    #[inline]
    pub fn get_ahead(&self, bytes: &mut [u8]) {
        self.mem.read(mb::AHEAD, bytes);
    }

    /// Writes a copy for the thread to do, at `at` among the copies.
    #[inline]
    pub fn put_copy(&self, at: u64, addr: u64, bytes: &[u8]) {
        let at = mb::COPIES + at;
        self.mem.put(at, addr);
        self.mem.put(at + 8, bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for (i, w) in words.iter().enumerate() {
            self.mem.put(at + 16 + 8 * i as u64, u64::from_ne_bytes(*w));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.mem
                .put(at + 16 + 8 * words.len() as u64, u64::from_ne_bytes(last));
        }
    }

    /// Reads back the bytes of a copy, filled up to a multiple of 8.
    pub fn get_copy(&self, at: u64, bytes: &mut [u8]) {
        self.mem.read(mb::COPIES + at + 16, bytes);
    }

    /// Has the thread do the first `count` copies before it goes on.
    #[inline]
    pub fn put_copies(&self, count: usize) {
        self.mem.put32(MAILBOX + mb::COPY_COUNT, count as u32);
        self.add_flag(mb::F_COPIES);
    }

    /// Ends a stopped thread.
    pub fn tell_exit(&self) {
        self.add_flag(mb::F_EXIT);
        self.reply();
    }

    /// Hands over to the guest thread.
    #[inline]
    pub fn reply(&self) {
        let word = self.state();
        if word.swap(state::GUEST, Ordering::AcqRel) == state::KERNEL_WAITED {
            sys::futex_wake(word, true);
        }
    }
}
