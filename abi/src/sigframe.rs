//! The signal frame of x86-64: `struct rt_sigframe` and what is in it.
//!
//! On the stack, from low to high addresses: [`RtSigframe`] (return address, [`UContext`], [`Siginfo`]), padding, then
//! the extended state (64-byte aligned for XSAVE), which begins with an [`Fpstate`] of 512 bytes and ends with
//! [`FP_XSTATE_MAGIC2`]. At the handler's entry `rsp` points at the return address, so `rsp + 8` is 16-byte aligned.

use crate::siginfo::Siginfo;
use crate::signal::{SigSet, SigStack};

flags! {
    /// `uc_flags`: what the context holds and how `rt_sigreturn` treats it.
    pub struct UcFlags: u64 {
        const UC_FP_XSTATE = 1;
        const UC_SIGCONTEXT_SS = 2;
        const UC_STRICT_RESTORE_SS = 4;
    }
}
consts! {
    /// Marks of an extended state area, and the size of the second (bytes).
    FP_XSTATE: u32 {
        FP_XSTATE_MAGIC2_SIZE = 4;
        FP_XSTATE_MAGIC2 = 0x46505845;
        FP_XSTATE_MAGIC1 = 0x46505853;
    }
}

abi_struct! {
    /// `struct sigcontext` (`mcontext_t`).
    pub struct SigContext [256] {
        pub r8: u64,
        pub r9: u64,
        pub r10: u64,
        pub r11: u64,
        pub r12: u64,
        pub r13: u64,
        pub r14: u64,
        pub r15: u64,
        pub rdi: u64,
        pub rsi: u64,
        pub rbp: u64,
        pub rbx: u64,
        pub rdx: u64,
        pub rax: u64,
        pub rcx: u64,
        pub rsp: u64,
        pub rip: u64,
        pub eflags: u64,
        pub cs: u16,
        /// Unused: 0.
        pub gs: u16,
        /// Unused: 0.
        pub fs: u16,
        pub ss: u16,
        /// Error code of the fault.
        pub err: u64,
        /// Number of the processor exception.
        pub trapno: u64,
        /// First word of the signal mask.
        pub oldmask: u64,
        /// Address of a page fault.
        pub cr2: u64,
        /// Address of the [`Fpstate`], or 0.
        pub fpstate: u64,
        pub reserved1: [u64; 8],
    }

    /// `struct ucontext`.
    pub struct UContext [304] {
        /// [`UcFlags`] bits.
        pub uc_flags: u64,
        pub uc_link: u64,
        pub uc_stack: SigStack,
        pub uc_mcontext: SigContext,
        pub uc_sigmask: SigSet,
    }

    /// `struct rt_sigframe`.
    pub struct RtSigframe [440] {
        /// Where the handler returns to: the restorer.
        pub pretcode: u64,
        pub uc: UContext,
        pub info: Siginfo,
    }

    /// `struct _fpx_sw_bytes`: what the kernel says of the extended state, in bytes 464 to 511 of the [`Fpstate`].
    pub struct FpxSwBytes [48] {
        /// [`FP_XSTATE_MAGIC1`], or 0 if there is no more than the [`Fpstate`].
        pub magic1: u32,
        /// Bytes from the start of the fpstate to the end of the second mark.
        pub extended_size: u32,
        /// Components present (XCR0 bits).
        pub xfeatures: u64,
        /// Bytes of the XSAVE area.
        pub xstate_size: u32,
        pub _pad: [u32; 7],
    }

    /// `struct _fpstate`: the FXSAVE area.
    pub struct Fpstate [512] {
        pub cwd: u16,
        pub swd: u16,
        pub twd: u16,
        pub fop: u16,
        pub rip: u64,
        pub rdp: u64,
        pub mxcsr: u32,
        pub mxcsr_mask: u32,
        pub st_space: [u32; 32],
        pub xmm_space: [u32; 64],
        pub reserved2: [u32; 12],
        pub sw_reserved: FpxSwBytes,
    }

    /// `struct _header`: the XSAVE header, behind the [`Fpstate`].
    pub struct XstateHeader [64] {
        /// Components not in their initial state (XSTATE_BV).
        pub xfeatures: u64,
        pub reserved1: [u64; 2],
        pub reserved2: [u64; 5],
    }
}

/// Bytes below the stack pointer that a function may use without moving it: a frame starts below them.
pub const RED_ZONE: u64 = 128;

consts! {
    /// Bits of RFLAGS.
    EFLAGS: u64 {
        X86_EFLAGS_CF = 1;
        X86_EFLAGS_PF = 4;
        X86_EFLAGS_AF = 0x10;
        X86_EFLAGS_ZF = 0x40;
        X86_EFLAGS_SF = 0x80;
        X86_EFLAGS_TF = 0x100;
        X86_EFLAGS_IF = 0x200;
        X86_EFLAGS_DF = 0x400;
        X86_EFLAGS_OF = 0x800;
        X86_EFLAGS_NT = 0x4000;
        X86_EFLAGS_RF = 0x10000;
        X86_EFLAGS_AC = 0x40000;
        X86_EFLAGS_ID = 0x200000;
    }
}
