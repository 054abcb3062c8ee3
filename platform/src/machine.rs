//! The platform as a whole: what one kernel process starts once.

use crate::agent::{Agent, Caller, Event};
use crate::beside::{Claims, Spin};
use crate::control::Control;
use crate::ready::Nursery;
use crate::remains::Obituary;
use crate::{
    AddressSpace, GuestThread, MapOp, PageCacheMemory, ThreadState, clock, sys, vcpu, zygote,
};
use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// What the platform is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of vCPUs.
    pub ncpus: usize,
    /// Bytes of virtual memory for a fiber's stack, guard page included.
    pub fiber_stack: usize,
    /// Whether vCPUs may answer from a second host CPU.
    pub spin: Spin,
    /// Whether guests' threads may write their FS and GS bases themselves, where the host's can.
    pub fsgsbase: bool,
}

/// The host side of a machine. Clones share it.
#[derive(Clone)]
pub struct Platform(pub(crate) Arc<Machine>);

pub(crate) struct Machine {
    pub control: Control,
    pub cache: PageCacheMemory,
    pub zygote: Mutex<Agent>,
    pub zygote_cpu: AtomicUsize,
    pub watchdog: vcpu::Watchdog,
    /// The host CPUs that the process could use when it started.
    pub cpus: Vec<usize>,
    pub claims: Arc<Claims>,
    pub nursery: Arc<Nursery>,
    pub config: Config,
    /// Index 0: whoever isn't a vCPU. Then one for each vCPU.
    callers: Vec<Mutex<Caller>>,
    /// What the callers sleep on.
    pub events: Vec<Arc<Event>>,
    /// Killed processes that haven't been reaped.
    dying: Mutex<Vec<Dying>>,
    dying_count: AtomicUsize,
    /// Processes of guest address spaces that nobody has ended; None when no more may be made.
    living: Mutex<Option<HashSet<i32>>>,
}

/// A killed process, and the slots that it mapped.
struct Dying {
    pid: i32,
    slots: Vec<u32>,
    obituary: Arc<Obituary>,
}

impl Platform {
    /// Starts the zygote and the page-cache memory. Call it on the main thread, which must live as long as the
    /// process: the stub processes die with the thread that started them.
    pub fn start(config: Config) -> io::Result<Platform> {
        zygote::use_fsgsbase(config.fsgsbase);
        let control = Control::new()?;
        let cache = PageCacheMemory::new()?;
        clock::start(&cache, cache.capacity())?;
        let callers = (0..=config.ncpus)
            .map(Caller::new)
            .collect::<io::Result<Vec<_>>>()?;
        let events = callers.iter().map(|c| c.lock().unwrap().event()).collect();
        let zygote = zygote::start(&control, &callers, cache.read_only(), cache.read_write())?;
        let cpus = sys::affinity();
        let machine = Arc::new(Machine {
            control,
            cache,
            zygote: Mutex::new(zygote),
            zygote_cpu: AtomicUsize::new(usize::MAX),
            watchdog: vcpu::Watchdog::default(),
            claims: Arc::new(Claims::new(cpus.clone())),
            nursery: Arc::default(),
            cpus,
            config,
            callers,
            events,
            dying: Mutex::default(),
            dying_count: AtomicUsize::new(0),
            living: Mutex::new(Some(HashSet::new())),
        });
        vcpu::Watchdog::start(&machine)?;
        Nursery::start(&machine)?;
        Ok(Platform(machine))
    }
    /// The memory that file mappings and tmpfs live in.
    pub fn page_cache(&self) -> &PageCacheMemory {
        &self.0.cache
    }
    /// An empty guest address space.
    pub fn new_address_space(&self) -> io::Result<AddressSpace> {
        AddressSpace::new(&self.0)
    }
    /// A guest address space in which `ops` have been done, and a thread in it: at the price of an empty one.
    pub fn new_process(
        &self,
        ops: &[MapOp],
        init: &ThreadState,
    ) -> io::Result<(AddressSpace, GuestThread)> {
        AddressSpace::with_thread(&self.0, ops, init)
    }
    /// Ends every guest process, now and for good: guest threads that run come back as [`Trap::Dead`](crate::Trap::Dead)
    /// and no address space can be made. Returns when the host has let go of all.
    pub fn shut_down(&self) {
        self.0.end_all();
    }
    /// Number of vCPUs the machine was configured with.
    pub fn ncpus(&self) -> usize {
        self.0.config.ncpus
    }
    /// Bytes of stack to give a [`fiber::Fiber`](crate::fiber::Fiber).
    pub fn fiber_stack(&self) -> usize {
        self.0.config.fiber_stack
    }
}

impl Machine {
    /// The descriptors of the calling host thread's vCPU, or the common ones.
    pub fn caller(&self) -> MutexGuard<'_, Caller> {
        let n = vcpu::current().map_or(0, |(index, _)| index + 1);
        self.callers[if n < self.callers.len() { n } else { 0 }]
            .lock()
            .unwrap()
    }

    /// Counts a new process among the living; refuses when the machine has been shut down.
    pub fn born(&self, pid: i32) -> io::Result<()> {
        match &mut *self.living.lock().unwrap() {
            Some(living) => {
                living.insert(pid);
                Ok(())
            }
            None => {
                sys::kill(pid);
                sys::reap(pid, true);
                Err(io::Error::other("the machine has ended"))
            }
        }
    }

    /// Ends a process; its slots become free when the host has let go of it.
    pub fn bury(&self, pid: i32, slots: Vec<u32>, obituary: Arc<Obituary>) {
        obituary.bury();
        let mut living = self.living.lock().unwrap();
        let Some(living) = living.as_mut() else {
            return; // ended with all others
        };
        living.remove(&pid);
        self.send_away(pid);
        sys::kill(pid);
        let dead = Dying {
            pid,
            slots,
            obituary,
        };
        self.dying.lock().unwrap().push(dead);
        self.dying_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends and reaps every process, once: their ids may be others' afterwards.
    fn end_all(&self) {
        self.nursery.end();
        let Some(living) = self.living.lock().unwrap().take() else {
            return;
        };
        let zygote = self.zygote.lock().unwrap().pid;
        for pid in living.into_iter().chain([zygote]) {
            sys::kill(pid);
            sys::reap(pid, true);
        }
        for dead in self.dying.lock().unwrap().drain(..) {
            sys::reap(dead.pid, true);
        }
    }

    /// Whether every process has been ended, for good.
    pub fn has_ended(&self) -> bool {
        self.living.lock().unwrap().is_none()
    }

    /// A host thread that waits asleep and is about to be killed: the work of that is done by a host CPU that no vCPU wants, while the
    /// machine goes on.
    pub fn send_away(&self, tid: i32) {
        if self.config.spin == Spin::Off {
            return;
        }
        if let Some((_, home)) = vcpu::current()
            && let Some(cpu) = self.claims.free(home, 0, false)
        {
            // A refusal (a CPU set changed from outside) costs speed only.
            let _ = sys::set_affinity(tid, cpu);
        }
    }

    /// Reaps what has ended. Cheap when nothing was killed.
    pub fn reap(&self) {
        if self.dying_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut dying = self.dying.lock().unwrap();
        dying.retain_mut(|dead| {
            let Some(used) = sys::reap(dead.pid, false) else {
                return true;
            };
            dead.obituary.write(used);
            dead.slots.drain(..).for_each(|s| self.control.free_slot(s));
            false
        });
        self.dying_count.store(dying.len(), Ordering::Relaxed);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end_all();
    }
}
