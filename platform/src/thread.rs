//! A guest thread: one host thread of a stub process.

use crate::{MapOp, Registers, Trap, Vcpu};

/// Extended state (x87, SSE, AVX, ...) in the XSAVE standard format, as the host's signal frames hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XState(#[allow(dead_code)] Vec<u8>);

impl XState {
    /// The image: 512 bytes of FXSAVE area, then XSAVE header and components.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// Checks an image that came from the guest; `None` when the host would refuse it. 512 bytes (FXSAVE only) are fine.
    pub fn from_bytes(_bytes: &[u8]) -> Option<XState> {
        todo!()
    }
    /// Bytes of a full image on this host.
    pub fn size() -> usize {
        todo!()
    }
}

/// Everything a new thread starts with. `xstate: None` is the CPU's reset state.
#[derive(Clone, Debug, Default)]
pub struct ThreadState {
    pub regs: Registers,
    pub xstate: Option<XState>,
}

/// A guest thread. Owned by one kernel task; dropping it ends the host thread.
pub struct GuestThread(());

impl GuestThread {
    /// The kernel's copy of the registers.
    pub fn regs(&self) -> &Registers {
        todo!()
    }
    /// The kernel's copy of the registers, written back by the next [`run`](Self::run).
    pub fn regs_mut(&mut self) -> &mut Registers {
        todo!()
    }
    /// The extended state as of the last trap.
    pub fn xstate(&mut self) -> XState {
        todo!()
    }
    /// Replaces the extended state.
    pub fn set_xstate(&mut self, _xstate: &XState) {
        todo!()
    }
    /// Registers and extended state together.
    pub fn state(&mut self) -> ThreadState {
        todo!()
    }
    /// Adds an operation ([`MapOp::guest_applied`] only) that the thread itself does before it goes on.
    pub fn queue(&mut self, _op: MapOp) {
        todo!()
    }
    /// Lets the guest run on `vcpu`, which the calling thread has entered, until it traps.
    pub fn run(&mut self, _vcpu: &Vcpu) -> Trap {
        todo!()
    }
}
