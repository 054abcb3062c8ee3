//! A guest address space: one host process.

use crate::{GuestThread, MapOp, OpError, ThreadState};
use std::sync::Arc;

/// A guest address space. Clones share it; when the last one (and the last [`GuestThread`]) is dropped, the host
/// process behind it ends.
#[derive(Clone)]
pub struct AddressSpace(#[allow(dead_code)] Arc<()>);

impl AddressSpace {
    /// Applies operations in order, in as few requests as fit. On an error those before `index` have been applied.
    pub fn apply(&self, _ops: &[MapOp]) -> Result<(), OpError> {
        todo!()
    }
    /// Unmaps everything below `TASK_SIZE`.
    pub fn clear(&self) -> Result<(), OpError> {
        todo!()
    }
    /// One more guest thread in this address space; it runs first when [`GuestThread::run`] is called.
    pub fn spawn(&self, _init: &ThreadState) -> std::io::Result<GuestThread> {
        todo!()
    }
    /// A copy-on-write copy of this address space with one thread.
    pub fn fork(&self, _init: &ThreadState) -> std::io::Result<(AddressSpace, GuestThread)> {
        todo!()
    }
    /// Copies from guest memory; returns the bytes copied before the first fault.
    pub fn read(&self, _addr: u64, _buf: &mut [u8]) -> usize {
        todo!()
    }
    /// Copies to guest memory; returns the bytes copied before the first fault.
    pub fn write(&self, _addr: u64, _buf: &[u8]) -> usize {
        todo!()
    }
    /// Copies from several guest ranges (address, length) to several buffers; returns the bytes copied.
    pub fn readv(&self, _remote: &[(u64, usize)], _local: &mut [&mut [u8]]) -> usize {
        todo!()
    }
    /// Copies from several buffers to several guest ranges (address, length); returns the bytes copied.
    pub fn writev(&self, _remote: &[(u64, usize)], _local: &[&[u8]]) -> usize {
        todo!()
    }
    /// Anonymous memory resident on the host, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        todo!()
    }
    /// The host's id of the process behind this address space.
    pub fn host_pid(&self) -> i32 {
        todo!()
    }
}
