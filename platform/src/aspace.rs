//! A guest address space: one host process, its agent, and the thread areas it maps.

use crate::agent::{Agent, Done, Op};
use crate::control::{Shared, area_offset};
use crate::frame::{self, Area};
use crate::machine::Machine;
use crate::remains::Obituary;
use crate::small::Small;
use crate::sys::{self, Dir};
use crate::thread::Left;
use crate::{GuestThread, MapOp, OpError, Prot, TASK_SIZE, ThreadState, beside, vcpu};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use stub::layout::*;

/// A guest address space. Clones share it; when the last one (and the last [`GuestThread`]) is dropped, the host
/// process behind it ends.
#[derive(Clone)]
pub struct AddressSpace(pub(crate) Arc<Space>);

pub(crate) struct Space {
    pub machine: Arc<Machine>,
    pub pid: i32,
    /// The agent, which one caller at a time may use.
    agent: Mutex<Agent>,
    /// Host CPU the agent is pinned to.
    agent_cpu: AtomicUsize,
    areas: Mutex<Areas>,
    small: Mutex<Small>,
    pub obituary: Arc<Obituary>,
}

#[derive(Default)]
struct Areas {
    /// All slots that the process maps; the first is its home.
    slots: Vec<u32>,
    /// Areas without a thread.
    empty: Vec<Area>,
    /// Areas of threads that were told to exit.
    exiting: Vec<Area>,
    /// Threads that nobody owns, waiting in their areas.
    parked: Vec<Parked>,
}

/// A thread that waits in its area for an owner.
pub(crate) struct Parked {
    pub area: Area,
    /// Host thread id, and the host CPU it is pinned to.
    pub tid: i32,
    pub cpu: usize,
    /// It waits in a direct call.
    pub direct: bool,
}

/// Threads kept for the next `spawn` rather than ended.
const MAX_PARKED: usize = 4;

impl AddressSpace {
    pub(crate) fn new(machine: &Arc<Machine>) -> io::Result<AddressSpace> {
        let (space, _) = AddressSpace::from_zygote(machine, &[], None)?;
        Ok(space)
    }

    /// A new address space in which `ops` have been done, with a thread, in one request.
    pub(crate) fn with_thread(
        machine: &Arc<Machine>,
        ops: &[MapOp],
        init: &ThreadState,
    ) -> io::Result<(AddressSpace, GuestThread)> {
        // The child's agent also maps the thread's area and makes the thread.
        if ops.len() > req::MAX_OPS - 2 {
            let space = AddressSpace::new(machine)?;
            space
                .apply(ops)
                .map_err(|e| io::Error::from_raw_os_error(e.errno))?;
            let thread = space.spawn(init)?;
            return Ok((space, thread));
        }
        if let Some(born) = machine.nursery.take() {
            machine.reap();
            born.area.start_with(init);
            let (space, thread) = born.adopt(machine, Some(init));
            space
                .apply(ops)
                .map_err(|e| io::Error::from_raw_os_error(e.errno))?;
            return Ok((space, thread.expect("it has one")));
        }
        let (space, thread) = AddressSpace::from_zygote(machine, ops, Some(init))?;
        Ok((space, thread.expect("a thread was asked for")))
    }

    fn from_zygote(
        machine: &Arc<Machine>,
        ops: &[MapOp],
        init: Option<&ThreadState>,
    ) -> io::Result<(AddressSpace, Option<GuestThread>)> {
        machine.reap();
        let cpu = vcpu::current().map(|(_, cpu)| cpu);
        Ok(Born::from_zygote(machine, cpu, ops, init)?.adopt(machine, init))
    }

    /// Applies operations in order, in as few requests as fit. On an error those before `index` have been applied.
    pub fn apply(&self, ops: &[MapOp]) -> Result<(), OpError> {
        for (n, part) in ops.chunks(req::MAX_OPS).enumerate() {
            let list: Vec<Op> = part.iter().map(agent_op).collect();
            match self.call(&list) {
                Done::All(_) => (),
                Done::Failed { index, errno } => {
                    return Err(OpError {
                        index: n * req::MAX_OPS + index,
                        errno,
                    });
                }
                Done::Gone => {
                    return Err(OpError {
                        index: n * req::MAX_OPS,
                        errno: libc::ESRCH,
                    });
                }
            }
        }
        Ok(())
    }

    /// Unmaps everything below `TASK_SIZE`.
    pub fn clear(&self) -> Result<(), OpError> {
        self.apply(&[MapOp::Unmap {
            addr: 0,
            len: TASK_SIZE,
        }])
    }

    /// One more guest thread in this address space; it runs first when [`GuestThread::run`] is called.
    pub fn spawn(&self, init: &ThreadState) -> io::Result<GuestThread> {
        let mut areas = self.0.areas.lock().unwrap();
        if let Some(p) = areas.parked.pop() {
            drop(areas);
            return Ok(GuestThread::reuse(self.clone(), p, init));
        }
        let mut ops = Vec::with_capacity(3);
        let area = match areas.take_empty() {
            Some(a) => a,
            None => {
                let slot = self.0.machine.control.take_slot()?;
                let area = Area::new(
                    &self.0.machine.control,
                    slot,
                    AREAS_ADDR + slot as u64 * AREA_SIZE,
                );
                ops.push(map_area(&area));
                let dontfork = libc::MADV_DONTFORK as u64;
                ops.push(Op::plain(
                    libc::SYS_madvise,
                    &[area.addr, AREA_SIZE, dontfork],
                ));
                areas.slots.push(slot);
                area
            }
        };
        drop(areas);
        area.init(init);
        ops.push(clone_thread(&area));
        match self.call(&ops).result() {
            Ok(tid) => Ok(GuestThread::new(
                self.clone(),
                area,
                tid as i32,
                self.0.agent_cpu.load(Ordering::Relaxed),
                init,
            )),
            Err(e) => {
                let mut areas = self.0.areas.lock().unwrap();
                self.0.small().forget(area.slot, &self.0);
                if ops.len() == 1 {
                    areas.empty.push(area);
                }
                Err(e)
            }
        }
    }

    /// A copy-on-write copy of this address space with one thread.
    pub fn fork(&self, init: &ThreadState) -> io::Result<(AddressSpace, GuestThread)> {
        self.0.machine.reap();
        let mut agent = self.0.agent();
        let cpu = self.0.agent_cpu.load(Ordering::Relaxed);
        let born = Born::new(&self.0.machine, &mut agent, cpu, &[], Some(init))?;
        let (space, thread) = born.adopt(&self.0.machine, Some(init));
        Ok((space, thread.expect("a thread was asked for")))
    }

    fn call(&self, ops: &[Op]) -> Done {
        let mut agent = self.0.agent();
        self.0.machine.caller().call(&mut agent, ops)
    }

    /// Copies from guest memory; returns the bytes copied before the first fault.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> usize {
        let local = [libc::iovec {
            iov_base: buf.as_mut_ptr().cast(),
            iov_len: buf.len(),
        }];
        // SAFETY: the local range is the buffer.
        unsafe { self.copy(Dir::FromGuest, &local, addr, buf.len()) }
    }

    /// Copies to guest memory; returns the bytes copied before the first fault.
    pub fn write(&self, addr: u64, buf: &[u8]) -> usize {
        self.before_copy(Dir::ToGuest, addr, buf.len());
        self.0.write(addr, buf)
    }

    /// Bytes at `addr` that the stopped thread in `slot` ([`GuestThread::slot`]) read ahead of its system call, as many as
    /// there are and fit.
    #[inline]
    pub fn peek(&self, slot: u32, addr: u64, buf: &mut [u8]) -> usize {
        self.0.small().peek(slot, addr, buf)
    }

    /// Leaves a copy to guest memory to the stopped thread in `slot`, which does it before it goes on. Everybody who asks the
    /// kernel finds it done. False when that can't be: more than [`LATER_MAX`](crate::LATER_MAX) bytes, too much already, no such thread. Only for
    /// memory that can be written without a fault that the kernel had to see.
    #[inline]
    pub fn write_later(&self, slot: u32, addr: u64, bytes: &[u8]) -> bool {
        self.0.small().later(slot, addr, bytes)
    }

    /// Does at once what was left to threads: before another thread may look at that memory by itself.
    pub fn settle(&self) {
        self.0.small().flush(&self.0);
    }

    /// Before guest memory is read or written by the host.
    fn before_copy(&self, dir: Dir, addr: u64, len: usize) {
        let mut small = self.0.small();
        if small.waits_for(addr, len) {
            small.flush(&self.0);
        }
        if dir == Dir::ToGuest {
            small.changed(addr, len);
        }
    }

    /// Copies between one guest range and local memory. The part at or above `TASK_SIZE` counts as a fault.
    ///
    /// The host may stop early at a page boundary when a page is missing; then this goes on behind the partial copy, so
    /// that the count is exact to the byte.
    ///
    /// # Safety
    /// The local ranges are valid for writes (`FromGuest`) or reads (`ToGuest`).
    pub(crate) unsafe fn copy(
        &self,
        dir: Dir,
        local: &[libc::iovec],
        addr: u64,
        len: usize,
    ) -> usize {
        self.before_copy(dir, addr, len);
        // SAFETY: passed on from the caller.
        unsafe { self.0.copy(dir, local, addr, len) }
    }

    /// Copies from several guest ranges (address, length) to several buffers; returns the bytes copied.
    pub fn readv(&self, remote: &[(u64, usize)], local: &mut [&mut [u8]]) -> usize {
        let local: Vec<_> = local
            .iter_mut()
            .map(|b| libc::iovec {
                iov_base: b.as_mut_ptr().cast(),
                iov_len: b.len(),
            })
            .collect();
        // SAFETY: the local ranges are the buffers.
        unsafe { self.copyv(Dir::FromGuest, &local, remote) }
    }

    /// Copies from several buffers to several guest ranges (address, length); returns the bytes copied.
    pub fn writev(&self, remote: &[(u64, usize)], local: &[&[u8]]) -> usize {
        let local: Vec<_> = local
            .iter()
            .map(|b| libc::iovec {
                iov_base: b.as_ptr().cast_mut().cast(),
                iov_len: b.len(),
            })
            .collect();
        // SAFETY: the local ranges are the buffers, which the host only reads.
        unsafe { self.copyv(Dir::ToGuest, &local, remote) }
    }

    /// # Safety
    /// As [`Self::copy`].
    unsafe fn copyv(&self, dir: Dir, local: &[libc::iovec], remote: &[(u64, usize)]) -> usize {
        const IOV_MAX: usize = 1024;
        let mut done = 0;
        for &(addr, len) in remote {
            self.before_copy(dir, addr, len);
        }
        // The host takes IOV_MAX pieces a call: walk both lists in step.
        let mut local = local
            .iter()
            .copied()
            .filter(|v| v.iov_len > 0)
            .collect::<std::collections::VecDeque<_>>();
        let mut remote = remote
            .iter()
            .copied()
            .filter(|v| v.1 > 0)
            .collect::<std::collections::VecDeque<_>>();
        loop {
            let l: Vec<_> = local.iter().take(IOV_MAX).copied().collect();
            let mut r = Vec::new();
            for &(addr, len) in remote.iter().take(IOV_MAX) {
                let ok = len.min(TASK_SIZE.saturating_sub(addr) as usize);
                r.push(libc::iovec {
                    iov_base: addr as *mut _,
                    iov_len: ok,
                });
                if ok < len {
                    break;
                }
            }
            let room = |v: &[libc::iovec]| v.iter().map(|i| i.iov_len).sum::<usize>();
            let want = room(&l).min(room(&r));
            if want == 0 {
                return done;
            }
            beside::note_copy(want);
            // SAFETY: passed on from the caller.
            let n = unsafe { sys::vm_copy(dir, self.0.pid, &l, &r) };
            done += n;
            if n < want {
                return done;
            }
            let mut skip = n;
            while let Some(v) = local.front_mut().filter(|_| skip > 0) {
                let part = skip.min(v.iov_len);
                v.iov_base = v.iov_base.wrapping_byte_add(part);
                v.iov_len -= part;
                skip -= part;
                if v.iov_len == 0 {
                    local.pop_front();
                }
            }
            let mut skip = n;
            while let Some(v) = remote.front_mut().filter(|_| skip > 0) {
                let part = skip.min(v.1);
                *v = (v.0 + part as u64, v.1 - part);
                skip -= part;
                if v.1 == 0 {
                    remote.pop_front();
                }
            }
        }
    }

    /// The host's id of the process behind this address space.
    pub fn host_pid(&self) -> i32 {
        self.0.pid
    }

    /// Takes back the host thread of a dropped [`GuestThread`].
    pub(crate) fn release(&self, area: Area, tid: i32, cpu: usize, how: Left) {
        if Arc::strong_count(&self.0) == 1 {
            return;
        }
        let mut areas = self.0.areas.lock().unwrap();
        self.0.small().forget(area.slot, &self.0);
        if how != Left::Dead && areas.parked.len() < MAX_PARKED {
            areas.parked.push(Parked {
                area,
                tid,
                cpu,
                direct: how == Left::Direct,
            });
        } else if how != Left::Dead {
            area.tell_exit();
            areas.exiting.push(area);
        }
    }
}

impl Areas {
    /// An area whose last thread has ended (the host says so in the state word), or that never had one.
    fn take_empty(&mut self) -> Option<Area> {
        if let Some(a) = self.empty.pop() {
            return Some(a);
        }
        let i = self.exiting.iter().position(|a| a.is_gone())?;
        Some(self.exiting.swap_remove(i))
    }
}

impl Space {
    fn small(&self) -> MutexGuard<'_, Small> {
        self.small.lock().unwrap()
    }

    /// A thread has stopped.
    #[inline]
    pub fn stopped(&self, area: Area, direct: bool) {
        self.small().stopped(area, direct);
    }

    /// A thread is about to run.
    #[inline]
    pub fn resume(&self, slot: u32) {
        self.small().resume(slot);
    }

    /// Writes guest memory by the host.
    pub fn write(&self, addr: u64, buf: &[u8]) -> usize {
        let local = [libc::iovec {
            iov_base: buf.as_ptr().cast_mut().cast(),
            iov_len: buf.len(),
        }];
        // SAFETY: the local range is the buffer, which the host only reads.
        unsafe { self.copy(Dir::ToGuest, &local, addr, buf.len()) }
    }

    /// # Safety
    /// The local ranges are valid for writes (`FromGuest`) or reads (`ToGuest`).
    unsafe fn copy(&self, dir: Dir, local: &[libc::iovec], addr: u64, len: usize) -> usize {
        let len = len.min(TASK_SIZE.saturating_sub(addr) as usize);
        if len == 0 {
            return 0;
        }
        beside::note_copy(len);
        let remote = [libc::iovec {
            iov_base: addr as *mut _,
            iov_len: len,
        }];
        // SAFETY: passed on from the caller.
        unsafe { sys::vm_copy(dir, self.pid, local, &remote) }
    }

    /// The agent, pinned to the calling vCPU's host CPU: a hand-off across CPUs costs 30 times more.
    fn agent(&self) -> MutexGuard<'_, Agent> {
        self.small().memory_changes(self);
        let guard = self.agent.lock().unwrap();
        pin(self.pid, &self.agent_cpu);
        guard
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let areas = self.areas.get_mut().unwrap();
        let slots = std::mem::take(&mut areas.slots);
        areas
            .parked
            .iter()
            .for_each(|thread| self.machine.send_away(thread.tid));
        self.machine.bury(self.pid, slots, self.obituary.clone());
    }
}

fn pin(pid: i32, at: &AtomicUsize) {
    if let Some((_, cpu)) = vcpu::current() {
        pin_to(pid, at, cpu);
    }
}

fn pin_to(pid: i32, at: &AtomicUsize, cpu: usize) {
    if at.load(Ordering::Relaxed) != cpu {
        // A refusal (a CPU set changed from outside) costs speed only.
        let _ = sys::set_affinity(pid, cpu);
        at.store(cpu, Ordering::Relaxed);
    }
}

/// A stub process just made, and the thread in it, if there is one, that waits for its first turn.
pub(crate) struct Born {
    page: Shared,
    slot: u32,
    pid: i32,
    area: Area,
    tid: Option<i32>,
    cpu: usize,
}

impl Born {
    /// A clone of the zygote, otherwise as [`new`](Self::new). `cpu`: the host CPU that the caller is pinned to, if it is.
    pub fn from_zygote(
        machine: &Arc<Machine>,
        cpu: Option<usize>,
        map: &[MapOp],
        init: Option<&ThreadState>,
    ) -> io::Result<Born> {
        let mut zygote = machine.zygote.lock().unwrap();
        if let Some(cpu) = cpu {
            pin_to(zygote.pid, &machine.zygote_cpu, cpu);
        }
        let cpu = machine.zygote_cpu.load(Ordering::Relaxed);
        Born::new(machine, &mut zygote, cpu, map, init)
    }

    /// Clones the process of `parent`; the child does `map`, and makes a thread if `init` is given.
    fn new(
        machine: &Arc<Machine>,
        parent: &mut Agent,
        cpu: usize,
        map: &[MapOp],
        init: Option<&ThreadState>,
    ) -> io::Result<Born> {
        let slot = machine.control.take_slot()?;
        let area = Area::new(&machine.control, slot, HOME_ADDR);
        let mut ops = Vec::with_capacity(map.len() + 2);
        ops.push(map_area(&area));
        ops.extend(map.iter().map(agent_op));
        if let Some(init) = init {
            area.init(init);
            ops.push(clone_thread(&area));
        }
        let page = machine.control.request(slot);
        page.put(req::ENTRY, entry());
        let r = machine
            .caller()
            .fork(parent, page, slot as u64 * REQUEST_SIZE, &ops);
        let (pid, done) = r.inspect_err(|_| machine.control.free_slot(slot))?;
        machine.born(pid)?;
        match done.result() {
            Ok(low) => Ok(Born {
                page,
                slot,
                pid,
                area,
                tid: init.map(|_| low as i32),
                cpu,
            }),
            Err(e) => {
                machine.bury(pid, vec![slot], Obituary::new(pid));
                Err(e)
            }
        }
    }

    /// The address space, and its thread, which begins with `init`.
    fn adopt(
        self,
        machine: &Arc<Machine>,
        init: Option<&ThreadState>,
    ) -> (AddressSpace, Option<GuestThread>) {
        let Born {
            page,
            slot,
            pid,
            area,
            tid,
            cpu,
        } = self;
        let space = AddressSpace(Arc::new(Space {
            machine: machine.clone(),
            pid,
            agent: Mutex::new(Agent { page, pid, seq: 1 }),
            agent_cpu: AtomicUsize::new(cpu),
            small: Mutex::default(),
            obituary: Obituary::new(pid),
            areas: Mutex::new(Areas {
                slots: vec![slot],
                ..Areas::default()
            }),
        }));
        let thread = match (tid, init) {
            (Some(tid), Some(init)) => Some(GuestThread::new(space.clone(), area, tid, cpu, init)),
            _ => {
                space.0.areas.lock().unwrap().empty.push(area);
                None
            }
        };
        (space, thread)
    }
}

/// Where patched call sites go.
fn entry() -> u64 {
    // Without FSGSBASE a direct call would need two system calls for the bases alone.
    if crate::zygote::fsgsbase() {
        stub::direct_entry()
    } else {
        stub::indirect_entry()
    }
}

fn map_area(area: &Area) -> Op {
    Op::mmap(
        area.addr,
        AREA_SIZE,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_FIXED,
        fd::CONTROL,
        area_offset(area.slot),
    )
}

fn clone_thread(area: &Area) -> Op {
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_CHILD_CLEARTID;
    let state = area.addr + frame::MAILBOX + mb::STATE;
    let args = [flags as u64, area.addr + frame::first_frame(), 0, state];
    Op {
        kind: req::KIND_THREAD,
        ..Op::plain(libc::SYS_clone, &args)
    }
}

fn host_prot(p: Prot) -> i32 {
    let bit = |on, bit| if on { bit } else { 0 };
    bit(p.read, libc::PROT_READ) | bit(p.write, libc::PROT_WRITE) | bit(p.exec, libc::PROT_EXEC)
}

/// The host call for an operation: number, then address, length, third and fourth argument.
pub(crate) fn plain_call(op: &MapOp) -> (i64, u64, u64, u64, u64) {
    match *op {
        MapOp::Anon {
            addr,
            len,
            prot,
            noreserve,
        } => {
            let flags = libc::MAP_PRIVATE
                | libc::MAP_ANONYMOUS
                | libc::MAP_FIXED
                | (noreserve as i32 * libc::MAP_NORESERVE);
            (
                libc::SYS_mmap,
                addr,
                len,
                host_prot(prot) as u64,
                flags as u64,
            )
        }
        MapOp::Unmap { addr, len } => (libc::SYS_munmap, addr, len, 0, 0),
        MapOp::Protect { addr, len, prot } => {
            (libc::SYS_mprotect, addr, len, host_prot(prot) as u64, 0)
        }
        MapOp::Advise { addr, len, advice } => (libc::SYS_madvise, addr, len, advice as u64, 0),
        MapOp::File { .. } | MapOp::Move { .. } => unreachable!("not a plain operation"),
    }
}

fn agent_op(op: &MapOp) -> Op {
    match *op {
        MapOp::Anon { addr, len, .. } => {
            let (_, _, _, prot, flags) = plain_call(op);
            Op::mmap(addr, len, prot as i32, flags as i32, u32::MAX, 0)
        }
        MapOp::File {
            addr,
            len,
            prot,
            offset,
            private,
            may_write,
            populate,
        } => {
            let kind = if private {
                libc::MAP_PRIVATE | libc::MAP_NORESERVE
            } else {
                libc::MAP_SHARED
            };
            let flags = kind | libc::MAP_FIXED | (populate as i32 * libc::MAP_POPULATE);
            let fd = if may_write && !private {
                fd::CACHE_RW
            } else {
                fd::CACHE_RO
            };
            Op::mmap(addr, len, host_prot(prot), flags, fd, offset)
        }
        MapOp::Move {
            from,
            from_len,
            to,
            to_len,
            keep,
        } => {
            let flags =
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | (keep as i32 * libc::MREMAP_DONTUNMAP);
            Op::plain(
                libc::SYS_mremap,
                &[from, from_len, to_len, flags as u64, to],
            )
        }
        _ => {
            let (nr, addr, len, third, fourth) = plain_call(op);
            Op::plain(nr, &[addr, len, third, fourth])
        }
    }
}
