//! A guest thread: one host thread of a stub process, and the way into and out of the guest.

use crate::frame::Area;
use crate::{AddressSpace, MapOp, OpError, Registers, Trap, Vcpu, XState, sys, zygote};
use std::sync::atomic::Ordering;
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
    dead: bool,
    ops: Vec<MapOp>,
}

const ARCH_X86_64: u32 = 0xc000_003e;
const PAGE_FAULT: u64 = 14;

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
        GuestThread {
            space,
            area,
            tid,
            cpu,
            regs,
            bases,
            uc,
            dirty: false,
            dead: false,
            ops: Vec::new(),
        }
    }

    /// A thread from a host thread that waits in `area` since its last owner was dropped.
    pub(crate) fn reuse(
        space: AddressSpace,
        area: Area,
        tid: i32,
        cpu: usize,
        init: &ThreadState,
    ) -> GuestThread {
        let mut t = GuestThread::new(space, area, tid, cpu, init);
        match area.ucontext() {
            Some(uc) => {
                t.uc = uc;
                area.reset_frame(uc);
                match &init.xstate {
                    Some(x) => area.put_xstate(uc, x),
                    None => area.reset_xstate(uc),
                }
                area.put_bases(init.regs.fs_base, init.regs.gs_base);
                t.dirty = true;
            }
            None => t.dead = true,
        }
        t
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

    /// The extended state as of the last trap.
    pub fn xstate(&mut self) -> XState {
        self.area.get_xstate(self.uc)
    }

    /// Replaces the extended state.
    pub fn set_xstate(&mut self, xstate: &XState) {
        self.area.put_xstate(self.uc, xstate);
    }

    /// Registers and extended state together.
    pub fn state(&mut self) -> ThreadState {
        ThreadState {
            regs: self.regs,
            xstate: Some(self.xstate()),
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
        if self.dead {
            return Trap::Dead;
        }
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
            self.dirty = false;
        }
        if !self.ops.is_empty()
            && let Some(trap) = self.flush_ops()
        {
            vcpu.leave_guest(false);
            return trap;
        }
        self.area.reply();
        let stopped = self.wait(vcpu);
        let trap = if stopped {
            self.take_trap()
        } else {
            self.give_up()
        };
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

    fn take_trap(&mut self) -> Trap {
        let area = self.area;
        let Some(uc) = area.ucontext() else {
            return self.give_up();
        };
        self.uc = uc;
        area.get_regs(uc, &mut self.regs);
        self.bases = (self.regs.fs_base, self.regs.gs_base);
        self.regs.orig_rax = u64::MAX;
        let signo = area.signo();
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
        if signo == mb::OP_FAILED {
            let (index, errno) = area.op_failure();
            return Trap::OpFailed { index, errno };
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
        self.space
            .release(self.area, self.tid, self.cpu, !self.dead);
    }
}
