//! A guest thread: one host thread of a stub process, and the way into and out of the guest.

use crate::aspace::Parked;
use crate::frame::{self, Area};
use crate::vcpu::{self, Patience, Vcpu};
use crate::{AddressSpace, MapOp, OpError, Registers, Trap, XState, sys, zygote};
use std::sync::atomic::Ordering;
use std::time::Duration;
use stub::layout::{mb, state};

/// Everything a new thread starts with. `xstate: None` is the CPU's reset state.
#[derive(Clone, Debug, Default)]
pub struct ThreadState {
    pub regs: Registers,
    pub xstate: Option<XState>,
}

/// A guest thread. Owned by one kernel task; dropping it ends the host thread.
pub struct GuestThread {
    space: AddressSpace,
    area: Area,
    tid: i32,
    cpu: usize,
    regs: Registers,
    /// FS and GS base as the host thread has them.
    bases: (u64, u64),
    /// Offset of the ucontext of the last trap in the area.
    uc: u64,
    dirty: bool,
    /// A result to write back, when nothing else changed.
    result: bool,
    /// It stopped in a direct call: its registers are in the mailbox, extended state in the CPU's registers, and there is no
    /// frame.
    direct: bool,
    dead: bool,
    ops: Vec<MapOp>,
}

const ARCH_X86_64: u32 = 0xc000_003e;
const PAGE_FAULT: u64 = 14;

/// How often, and for how long each time, a thread is waited for that owes nothing but a frame.
const MAX_LOOKS: u32 = 4;
const LOOK: Duration = Duration::from_millis(20);
/// Spin-loop hints before that, when it is on another CPU.
const SOON: u32 = 1000;

/// How a guest thread is left by its owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Waiting, with a frame.
    Stopped,
    /// Waiting in a direct call.
    Direct,
    /// Gone, or about to be.
    Dead,
}

impl GuestThread {
    pub(crate) fn new(
        space: AddressSpace,
        area: Area,
        tid: i32,
        cpu: usize,
        init: &ThreadState,
    ) -> GuestThread {
        let regs = init.regs;
        let bases = (regs.fs_base, regs.gs_base);
        let uc = crate::frame::first_frame() + 8;
        space.0.stopped(area, false);
        GuestThread {
            space,
            area,
            tid,
            cpu,
            regs,
            bases,
            uc,
            dirty: false,
            result: false,
            direct: false,
            dead: false,
            ops: Vec::new(),
        }
    }

    /// A thread from a host thread that waits for an owner since its last one was dropped.
    pub(crate) fn reuse(space: AddressSpace, parked: Parked, init: &ThreadState) -> GuestThread {
        let area = parked.area;
        let mut t = GuestThread::new(space, area, parked.tid, parked.cpu, init);
        t.direct = parked.direct;
        t.need_frame();
        match area.ucontext() {
            Some(uc) if !t.dead => {
                t.uc = uc;
                t.regs = init.regs;
                area.reset_frame(uc);
                match &init.xstate {
                    Some(x) => area.put_xstate(uc, x),
                    None => area.reset_xstate(uc),
                }
                area.put_bases(init.regs.fs_base, init.regs.gs_base);
                t.dirty = true;
            }
            _ => t.dead = true,
        }
        t
    }

    /// Number of its area: its own among all threads of the machine.
    pub fn slot(&self) -> u32 {
        self.area.slot
    }

    /// The kernel's copy of the registers.
    pub fn regs(&self) -> &Registers {
        &self.regs
    }

    /// The kernel's copy of the registers, written back by the next [`run`](Self::run).
    pub fn regs_mut(&mut self) -> &mut Registers {
        self.dirty = true;
        &mut self.regs
    }

    /// Sets what the system call that it trapped with returns: cheaper than [`regs_mut`](Self::regs_mut).
    #[inline]
    pub fn set_result(&mut self, value: u64) {
        self.regs.rax = value;
        self.result = true;
    }

    /// Sees to it that its state is in a signal frame, where all of it can be read and replaced.
    fn need_frame(&mut self) {
        if !self.direct || self.dead {
            return;
        }
        self.area.ask_frame();
        let answered = self.wait_unkicked();
        self.direct = false;
        match self.area.ucontext() {
            // A kick may have come first: any frame will do.
            Some(uc)
                if answered
                    && matches!(self.area.signo() as i32, libc::SIGSYS | zygote::PREEMPT) =>
            {
                self.uc = uc;
                self.regs.eflags |= self.area.other_flags(uc);
                self.dirty = true;
            }
            _ => {
                self.give_up();
            }
        }
    }

    /// Waits for a thread that has a few instructions to do. False when it is gone or takes too long.
    fn wait_unkicked(&self) -> bool {
        let word = self.area.state();
        // It is on another CPU when the vCPU is away from home: so soon back that sleeping would take longer.
        if vcpu::current().is_some_and(|(_, at)| at != self.cpu) {
            for _ in 0..SOON {
                if word.load(Ordering::Acquire) >= state::KERNEL {
                    break;
                }
                std::hint::spin_loop();
            }
        }
        let mut looks = 0;
        let mut patience = Patience::default();
        loop {
            match word.load(Ordering::Acquire) {
                state::KERNEL | state::KERNEL_WAITED => return true,
                now @ (state::GUEST | state::GUEST_WAITED) => {
                    // It had time enough, and hasn't answered since that was seen.
                    if looks > MAX_LOOKS {
                        return false;
                    }
                    let next = state::GUEST_WAITED;
                    let swapped =
                        word.compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed);
                    if swapped.is_err() {
                        continue;
                    }
                    sys::futex_wait(word, next, true, Some(LOOK));
                    if word.load(Ordering::Relaxed) == next && sys::has_ended(self.space.0.pid) {
                        return false;
                    }
                }
                _ => return false,
            }
            let mut could = || patience.could_obey(self.space.0.pid, self.tid) != Some(false);
            looks += u32::from(looks < MAX_LOOKS || could());
        }
    }

    /// The extended state as of the last trap.
    pub fn xstate(&mut self) -> XState {
        self.need_frame();
        self.area.get_xstate(self.uc)
    }

    /// Replaces the extended state.
    pub fn set_xstate(&mut self, xstate: &XState) {
        self.need_frame();
        self.area.put_xstate(self.uc, xstate);
    }

    /// Registers and extended state together.
    pub fn state(&mut self) -> ThreadState {
        let xstate = Some(self.xstate());
        ThreadState {
            regs: self.regs,
            xstate,
        }
    }

    /// Adds an operation ([`MapOp::guest_applied`] only) that the thread itself does before it goes on.
    pub fn queue(&mut self, op: MapOp) {
        assert!(op.guest_applied());
        self.ops.push(op);
    }

    /// Does at once, by the agent, what is queued: for a kernel that is about to touch that memory itself.
    pub fn flush(&mut self) -> Result<(), OpError> {
        if self.ops.is_empty() {
            return Ok(());
        }
        let ops = std::mem::take(&mut self.ops);
        self.space.apply(&ops)
    }

    /// The address space it runs in.
    pub fn address_space(&self) -> &AddressSpace {
        &self.space
    }

    /// Lets the guest run on `vcpu`, which the calling thread has entered, until it traps.
    pub fn run(&mut self, vcpu: &Vcpu) -> Trap {
        if self.dirty {
            self.need_frame();
        }
        if self.dead {
            return Trap::Dead;
        }
        vcpu.before_run(&self.area);
        let cpu = vcpu.host_cpu();
        if self.cpu != cpu {
            // A refusal (a CPU set changed from outside) costs speed only.
            let _ = sys::set_affinity(self.tid, cpu);
            self.cpu = cpu;
        }
        if !vcpu.enter_guest(self.space.0.pid, self.tid, self.area.state()) {
            return Trap::Interrupted;
        }
        if self.dirty {
            self.area.put_regs(self.uc, &self.regs);
            let bases = (self.regs.fs_base, self.regs.gs_base);
            if bases != self.bases {
                self.area.put_bases(bases.0, bases.1);
            }
        } else if self.result {
            if self.direct {
                self.area.put_direct_result(self.regs.rax);
            } else {
                self.area.put_result(self.uc, self.regs.rax);
            }
        }
        self.dirty = false;
        self.result = false;
        if !self.ops.is_empty()
            && let Some(trap) = self.flush_ops()
        {
            vcpu.leave_guest(false);
            return trap;
        }
        self.space.0.resume(self.area.slot);
        self.area.reply();
        vcpu.after_reply(&self.area);
        let stopped = self.wait(vcpu);
        let trap = if stopped {
            self.take_trap()
        } else {
            self.give_up()
        };
        if !self.dead {
            self.space.0.stopped(self.area, self.direct);
        }
        vcpu.leave_guest(trap == Trap::Interrupted);
        trap
    }

    /// Gives the operations to the thread; those too many for the area go by the agent.
    fn flush_ops(&mut self) -> Option<Trap> {
        if self.ops.len() > mb::MAX_OPS {
            let r = self.space.apply(&self.ops);
            self.ops.clear();
            return r.err().map(|e| Trap::OpFailed {
                index: e.index,
                errno: e.errno,
            });
        }
        self.area.put_ops(self.ops.iter());
        self.ops.clear();
        None
    }

    /// Sleeps until it is the kernel's turn; false when the thread is gone or must be killed.
    #[inline]
    fn wait(&self, vcpu: &Vcpu) -> bool {
        let word = self.area.state();
        vcpu.await_turn(word);
        // A hostile guest could flip the word as often as it likes.
        for _ in 0..100_000 {
            match word.load(Ordering::Acquire) {
                state::KERNEL | state::KERNEL_WAITED => return true,
                state::GUEST => {
                    let next = state::GUEST_WAITED;
                    if word
                        .compare_exchange(state::GUEST, next, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        sys::futex_wait(word, state::GUEST_WAITED, true, None);
                    }
                }
                state::GUEST_WAITED => {
                    if vcpu.guest_lost() {
                        return false;
                    }
                    sys::futex_wait(word, state::GUEST_WAITED, true, None);
                }
                _ => return false,
            }
        }
        false
    }

    /// The thread ended, or plays tricks: its process must not go on.
    fn give_up(&mut self) -> Trap {
        self.dead = true;
        sys::kill(self.space.0.pid);
        Trap::Dead
    }

    /// The host emulated a call into the vsyscall page up to its return; a kernel without that page has a fault there.
    fn vsyscall(&mut self, addr: u64) -> Trap {
        self.regs.rip = addr;
        self.regs.rsp = self.regs.rsp.wrapping_sub(8);
        Trap::PageFault {
            addr,
            write: false,
            exec: true,
            present: false,
        }
    }

    fn op_failed(&self) -> Trap {
        let (index, errno) = self.area.op_failure();
        Trap::OpFailed { index, errno }
    }

    #[inline]
    fn take_direct(&mut self, signo: u32) -> Trap {
        self.area.get_direct_regs(&mut self.regs);
        self.bases = (self.regs.fs_base, self.regs.gs_base);
        self.regs.orig_rax = u64::MAX;
        match signo {
            mb::DIRECT_CALL => {
                self.regs.orig_rax = self.regs.rax;
                Trap::Syscall
            }
            mb::OP_FAILED => self.op_failed(),
            _ => Trap::Interrupted,
        }
    }

    fn take_trap(&mut self) -> Trap {
        let area = self.area;
        let signo = area.signo();
        let direct = match signo {
            mb::DIRECT_CALL | mb::DIRECT_INTERRUPTED => true,
            mb::OP_FAILED => self.direct,
            _ => false,
        };
        self.direct = direct;
        if direct {
            return self.take_direct(signo);
        }
        let Some(uc) = area.ucontext() else {
            return self.give_up();
        };
        self.uc = uc;
        area.get_regs(uc, &mut self.regs);
        self.bases = (self.regs.fs_base, self.regs.gs_base);
        self.regs.orig_rax = u64::MAX;
        if signo == libc::SIGSYS as u32 {
            return match area.syscall_arch() {
                ARCH_X86_64 => {
                    if let Some(addr) = area.vsyscall() {
                        return self.vsyscall(addr);
                    }
                    self.regs.orig_rax = self.regs.rax;
                    Trap::Syscall
                }
                0 => Trap::Interrupted,
                _ => Trap::ForeignSyscall,
            };
        }
        if signo == libc::SIGSEGV as u32 && frame::is_vsyscall(self.regs.rip) {
            // No call of the host's: its signal tells nothing of the fault that a kernel without the page has.
            return Trap::PageFault {
                addr: self.regs.rip,
                write: false,
                exec: true,
                present: false,
            };
        }
        if signo == mb::OP_FAILED {
            return self.op_failed();
        }
        let i = area.trap_info(uc);
        match signo as i32 {
            zygote::PREEMPT => Trap::Interrupted,
            // Sent by somebody on the host rather than raised by the CPU.
            _ if i.code <= 0 => Trap::Interrupted,
            libc::SIGSEGV | libc::SIGBUS if i.trapno == PAGE_FAULT => Trap::PageFault {
                addr: i.cr2,
                write: i.error_code & 2 != 0,
                exec: i.error_code & 16 != 0,
                present: i.error_code & 1 != 0,
            },
            signo
            @ (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP) => {
                Trap::Exception {
                    signo,
                    code: i.code,
                    addr: i.addr,
                    trapno: i.trapno,
                    error_code: i.error_code,
                }
            }
            _ => self.give_up(),
        }
    }
}

impl Drop for GuestThread {
    fn drop(&mut self) {
        let how = match (self.dead, self.direct) {
            (true, _) => Left::Dead,
            (false, true) => Left::Direct,
            (false, false) => Left::Stopped,
        };
        self.space.release(self.area, self.tid, self.cpu, how);
    }
}
