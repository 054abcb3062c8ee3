//! Signal frames: what a handler finds on its stack, and the way back (arch/x86/kernel/signal_64.c, fpu/signal.c).

use super::{altstack, fault, set_blocked};
use crate::error::{Result, err};
use crate::syscall::Context;
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::signal::{
    self as sig, FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FpxSwBytes, KernelSigaction, MINSIGSTKSZ,
    RED_ZONE, RtSigframe, SS_AUTODISARM, SaFlags, SigContext, SigStack, Siginfo, UContext, UcFlags,
};
use platform::{Registers, XState};
use std::mem::offset_of;
use zerocopy::{FromBytes, IntoBytes};

/// Selectors of 64-bit user code and of user data.
const USER_CS: u16 = 0x33;
const USER_DS: u16 = 0x2b;
/// Bytes of the FXSAVE image, and where the kernel's own words lie in it.
const FXSAVE: usize = 512;
const SW_BYTES: usize = 464;
const XSTATE_HEADER: usize = 64;
const MAGIC2_SIZE: usize = 4;

/// Flags of a program that rt_sigreturn changes (FIX_EFLAGS).
const RESTORED_FLAGS: u64 = sig::X86_EFLAGS_AC
    | sig::X86_EFLAGS_OF
    | sig::X86_EFLAGS_DF
    | sig::X86_EFLAGS_TF
    | sig::X86_EFLAGS_SF
    | sig::X86_EFLAGS_ZF
    | sig::X86_EFLAGS_AF
    | sig::X86_EFLAGS_PF
    | sig::X86_EFLAGS_CF
    | sig::X86_EFLAGS_RF;

/// Where the parts of a frame lie.
struct Layout {
    frame: u64,
    fpstate: u64,
}

/// `xstate_len`: bytes of the extended state. None when the alternate stack is too small (get_sigframe()).
fn place(sp: u64, stack: &SigStack, want_alt: bool, xstate_len: usize) -> Option<Layout> {
    let nested = altstack::on_stack(stack, sp);
    let mut at = sp.wrapping_sub(RED_ZONE);
    let mut entering = false;
    if want_alt && altstack::state(stack, at) == 0 {
        at = stack.ss_sp.wrapping_add(stack.ss_size);
        entering = true;
    }
    let fpstate = at.wrapping_sub((xstate_len + MAGIC2_SIZE) as u64) & !63;
    let frame = (fpstate.wrapping_sub(size_of::<RtSigframe>() as u64) & !15).wrapping_sub(8);
    if (nested || entering) && !altstack::contains(stack, frame) {
        return None;
    }
    Some(Layout { frame, fpstate })
}

/// The extended state as frames hold it: with the kernel's words and the second mark.
fn stored_xstate(state: &XState) -> Vec<u8> {
    let mut bytes = state.as_bytes().to_vec();
    let len = bytes.len();
    if len < FXSAVE + XSTATE_HEADER {
        return bytes;
    }
    let features = match FpxSwBytes::read_from_bytes(&bytes[SW_BYTES..FXSAVE]) {
        Ok(old) if old.magic1 == FP_XSTATE_MAGIC1 => old.xfeatures,
        _ => u64::from_le_bytes(bytes[FXSAVE..FXSAVE + 8].try_into().expect("8 bytes")) | 3,
    };
    let words = FpxSwBytes {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: (len + MAGIC2_SIZE) as u32,
        xfeatures: features,
        xstate_size: len as u32,
        ..FpxSwBytes::default()
    };
    bytes[SW_BYTES..FXSAVE].copy_from_slice(words.as_bytes());
    bytes.extend_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    bytes
}

/// The state that a handler starts with (fpu__clear_user_states()).
pub(super) fn initial_xstate() -> Option<XState> {
    let mut image = [0u8; FXSAVE];
    image[0..2].copy_from_slice(&0x37fu16.to_le_bytes());
    image[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    XState::from_bytes(&image)
}

fn context(regs: &Registers, fault: &super::FaultRecord, oldmask: u64, fpstate: u64) -> SigContext {
    SigContext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        rip: regs.rip,
        eflags: regs.eflags,
        cs: USER_CS,
        ss: USER_DS,
        err: fault.error_code,
        trapno: fault.trapno,
        oldmask,
        cr2: fault.cr2,
        fpstate,
        ..SigContext::default()
    }
}

/// Writes the frame of `info` and makes the guest thread enter its handler. EFAULT (x64_setup_rt_frame()).
pub fn setup(cx: &mut Context, info: &Siginfo, action: &KernelSigaction) -> Result<()> {
    let flags = action.sa_flags();
    if !flags.contains(SaFlags::SA_RESTORER) {
        return err(Errno::EFAULT);
    }
    let xstate = stored_xstate(&cx.guest.xstate());
    let xstate_len = if xstate.len() > FXSAVE {
        xstate.len() - MAGIC2_SIZE
    } else {
        FXSAVE
    };
    let (stack, mask, record) = {
        let own = cx.task.signal.lock();
        let mask = own.saved_mask.unwrap_or(own.blocked);
        (own.altstack, mask, own.fault)
    };
    let regs = *cx.guest.regs();
    let want_alt = flags.contains(SaFlags::SA_ONSTACK);
    let Some(layout) = place(regs.rsp, &stack, want_alt, xstate_len) else {
        crate::pr_info!(
            "{}[{}] overflowed sigaltstack",
            String::from_utf8_lossy(&cx.task.comm()),
            cx.task.tid()
        );
        return err(Errno::EFAULT);
    };
    let mut uc_flags = UcFlags::UC_SIGCONTEXT_SS | UcFlags::UC_STRICT_RESTORE_SS;
    if xstate.len() > FXSAVE {
        uc_flags |= UcFlags::UC_FP_XSTATE;
    }
    let with_info = flags.contains(SaFlags::SA_SIGINFO);
    let frame = RtSigframe {
        pretcode: action.restorer,
        uc: UContext {
            uc_flags: uc_flags.bits(),
            uc_link: 0,
            uc_stack: stack,
            uc_mcontext: context(&regs, &record, mask.0, layout.fpstate),
            uc_sigmask: mask,
        },
        info: *info,
    };
    let bytes = if with_info {
        frame.as_bytes()
    } else {
        &frame.as_bytes()[..offset_of!(RtSigframe, info)]
    };
    // In one copy; the bytes between the parts are below the stack, and nobody's.
    let mut image = vec![0u8; (layout.fpstate - layout.frame) as usize];
    image[..bytes.len()].copy_from_slice(bytes);
    image.extend_from_slice(&xstate);
    UserPtr::<u8>::new(layout.frame).write_bytes(&image)?;

    if stack.ss_flags as u32 & SS_AUTODISARM != 0 {
        cx.task.signal.lock().altstack = SigStack::disabled();
    }
    let regs = cx.guest.regs_mut();
    regs.rdi = info.si_signo as u64;
    regs.rax = 0;
    regs.rsi = layout.frame + offset_of!(RtSigframe, info) as u64;
    regs.rdx = layout.frame + offset_of!(RtSigframe, uc) as u64;
    regs.rip = action.handler;
    regs.rsp = layout.frame;
    regs.cs = USER_CS.into();
    regs.ss = USER_DS.into();
    regs.eflags &= !(sig::X86_EFLAGS_DF | sig::X86_EFLAGS_RF | sig::X86_EFLAGS_TF);
    if let Some(initial) = initial_xstate() {
        cx.guest.set_xstate(&initial);
    }
    Ok(())
}

/// A frame copied in: in one piece, as [`setup`] lays it out, whose end may be missing.
struct Image {
    at: u64,
    bytes: Vec<u8>,
    uc: UContext,
}

impl Image {
    /// None on a fault in the context itself.
    fn read(cx: &Context, frame: u64) -> Option<Image> {
        let at = frame.wrapping_add(offset_of!(RtSigframe, uc) as u64);
        let room = size_of::<RtSigframe>() + 64 + XState::size() + MAGIC2_SIZE;
        let mut bytes = vec![0u8; room];
        let got = cx.task.mm()?.address_space().read(at, &mut bytes);
        bytes.truncate(got);
        let uc = match UContext::read_from_prefix(&bytes) {
            Ok((uc, _)) => uc,
            // Perhaps its page has to be brought in.
            Err(_) => UserPtr::<UContext>::new(at).read().ok()?,
        };
        Some(Image { at, bytes, uc })
    }

    /// Fills `out` from guest memory at `addr`. EFAULT.
    fn fetch(&self, addr: u64, out: &mut [u8]) -> Result<()> {
        let start = usize::try_from(addr.wrapping_sub(self.at)).unwrap_or(usize::MAX);
        let end = start.saturating_add(out.len());
        match self.bytes.get(start..end) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => UserPtr::<u8>::new(addr).read_bytes(out)?,
        }
        Ok(())
    }
}

/// rt_sigreturn(2): back to what the frame at the stack pointer says. A bad frame is SIGSEGV. Returns rax.
pub fn sigreturn(cx: &mut Context) -> u64 {
    // The handler's `ret` has taken the return address off.
    let frame = cx.guest.regs().rsp.wrapping_sub(8);
    cx.guest.regs_mut().orig_rax = u64::MAX;
    let Some(image) = Image::read(cx, frame) else {
        bad_frame(cx, frame);
        return 0;
    };
    let uc = image.uc;
    set_blocked(&cx.task, uc.uc_sigmask);
    if restore(cx, &image).is_err() {
        bad_frame(cx, frame);
        return 0;
    }
    let sp = cx.guest.regs().rsp;
    let _ = altstack::replace(
        &mut cx.task.signal.lock().altstack,
        uc.uc_stack,
        sp,
        MINSIGSTKSZ,
    );
    if cx.guest.regs().rip >> 47 != 0 {
        // The processor's own check of the address, as its user would see it.
        fault::force_fault(cx, sig::SIGSEGV, sig::SI_KERNEL, 0, 13, 0);
    }
    cx.guest.regs().rax
}

fn bad_frame(cx: &mut Context, frame: u64) {
    let regs = cx.guest.regs();
    crate::pr_info!(
        "{}[{}] bad frame in rt_sigreturn frame:{frame:x} ip:{:x} sp:{:x} orax:{:x}",
        String::from_utf8_lossy(&cx.task.comm()),
        cx.task.tid(),
        regs.rip,
        regs.rsp,
        regs.orig_rax
    );
    fault::force_segv(cx, 0);
}

fn restore(cx: &mut Context, image: &Image) -> Result<()> {
    let uc = &image.uc;
    let sc = &uc.uc_mcontext;
    let strict = uc.uc_flags & UcFlags::UC_STRICT_RESTORE_SS.bits() != 0;
    if sc.cs | 3 != USER_CS || (strict && sc.ss | 3 != USER_DS) {
        return err(Errno::EFAULT);
    }
    let xstate = load_xstate(image, sc.fpstate)?;
    let regs = cx.guest.regs_mut();
    regs.r8 = sc.r8;
    regs.r9 = sc.r9;
    regs.r10 = sc.r10;
    regs.r11 = sc.r11;
    regs.r12 = sc.r12;
    regs.r13 = sc.r13;
    regs.r14 = sc.r14;
    regs.r15 = sc.r15;
    regs.rdi = sc.rdi;
    regs.rsi = sc.rsi;
    regs.rbp = sc.rbp;
    regs.rbx = sc.rbx;
    regs.rdx = sc.rdx;
    regs.rax = sc.rax;
    regs.rcx = sc.rcx;
    regs.rsp = sc.rsp;
    regs.rip = sc.rip;
    regs.eflags = (regs.eflags & !RESTORED_FLAGS) | (sc.eflags & RESTORED_FLAGS);
    regs.cs = USER_CS.into();
    regs.ss = USER_DS.into();
    if let Some(xstate) = xstate.or_else(initial_xstate) {
        cx.guest.set_xstate(&xstate);
    }
    Ok(())
}

/// Reads the extended state of a frame; None for the initial one. A frame without valid marks holds x87 and SSE only
/// (check_xstate_in_sigframe()).
fn load_xstate(image: &Image, fpstate: u64) -> Result<Option<XState>> {
    if fpstate == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0u8; FXSAVE];
    image.fetch(fpstate, &mut bytes)?;
    if let Some(len) = extended_len(&bytes) {
        let mut mark = [0u8; MAGIC2_SIZE];
        image.fetch(fpstate.wrapping_add(len as u64), &mut mark)?;
        if u32::from_le_bytes(mark) == FP_XSTATE_MAGIC2 {
            bytes.resize(len, 0);
            image.fetch(fpstate, &mut bytes)?;
        }
    }
    match XState::from_bytes(&bytes) {
        Some(state) => Ok(Some(state)),
        None => err(Errno::EFAULT),
    }
}

fn extended_len(fxsave: &[u8]) -> Option<usize> {
    let words = FpxSwBytes::read_from_bytes(&fxsave[SW_BYTES..FXSAVE]).ok()?;
    let len = words.xstate_size as usize;
    let valid = words.magic1 == FP_XSTATE_MAGIC1
        && len >= FXSAVE + XSTATE_HEADER
        && len <= XState::size()
        && words.xstate_size <= words.extended_size;
    valid.then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_aligned_and_below_the_red_zone() {
        for sp in 0x7000_0000..0x7000_0080u64 {
            let at = place(sp, &SigStack::disabled(), true, 2696).expect("fits");
            assert_eq!(at.fpstate % 64, 0);
            assert_eq!((at.frame + 8) % 16, 0);
            assert!(at.fpstate + 2696 + 4 <= sp - RED_ZONE);
            assert!(at.frame + 440 <= at.fpstate);
        }
    }

    #[test]
    fn alternate_stack_is_entered_at_its_top_and_not_left() {
        let stack = SigStack {
            ss_sp: 0x10000,
            ss_size: 0x4000,
            ..SigStack::default()
        };
        let first = place(0x7000_0000, &stack, true, 2696).expect("fits");
        assert!(altstack::contains(&stack, first.frame));
        let nested = place(first.frame - 0x100, &stack, true, 2696).expect("fits");
        assert!(nested.frame < first.frame - 0x100 - RED_ZONE);
        assert!(place(0x10800, &stack, true, 2696).is_none());
        assert!(place(0x7000_0000, &stack, false, 2696).is_some_and(|l| l.frame > 0x6fff_0000));
    }
}
