//! A vCPU: a host thread that runs kernel fibers and, one at a time, guest threads. And the watchdog, which sees to it
//! that no guest thread keeps a vCPU waiting for ever.

use crate::beside::{Beside, Claims};
use crate::frame::Area;
use crate::machine::Machine;
use crate::spread::Crowd;
use crate::{Platform, clock, sys, zygote};
use std::cell::RefCell;
use std::io;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

thread_local! {
    /// vCPU number of the calling host thread, and where the host CPU that it is at is written.
    static CURRENT: RefCell<Option<(usize, Arc<AtomicUsize>)>> = const { RefCell::new(None) };
}

/// The calling host thread's vCPU number and the host CPU it is at. Never inlined: fibers move between host threads.
#[inline(never)]
pub(crate) fn current() -> Option<(usize, usize)> {
    CURRENT.with_borrow(|c| c.as_ref().map(|(n, cpu)| (*n, cpu.load(Ordering::Relaxed))))
}

// Bits of a vCPU's word; above them a count of kickers that look at the guest thread.
const PENDING: u32 = 1;
const IN_GUEST: u32 = 2;
const IDLE: u32 = 4;
const KICKER: u32 = 0x100;

/// No host CPU.
const UNCLAIMED: usize = usize::MAX;

/// Time between two looks of the watchdog: at a machine that idles, at one that works, and while a kick is unanswered.
const IDLE_LOOK_NS: u64 = 500_000_000;
const BUSY_LOOK_NS: u64 = 100_000_000;
const LATE_LOOK_NS: u64 = 20_000_000;
/// Looks that must find that a thread could have obeyed a kick, before its process is killed, and how long the thread must
/// have run since the first, unless it sleeps. Counted in looks, not in time: a machine that was frozen for a while isn't
/// at fault.
const MAX_LATE: u32 = 3;
const COULD_OBEY_NS: u64 = 50_000_000;

/// One virtual CPU. Shared with whoever may kick it.
pub struct Vcpu {
    index: usize,
    /// The host CPU of its guest threads, and its own but for when it is away.
    host_cpu: AtomicUsize,
    beside: Beside,
    claims: Arc<Claims>,
    /// The host CPU that it has claimed: its home when it last began to work. `UNCLAIMED` while it idles.
    claimed: AtomicUsize,
    /// The host thread that entered it; 0 before.
    host_tid: AtomicI32,
    word: AtomicU32,
    machine: Weak<Machine>,
    /// The guest thread on it, valid while IN_GUEST is set and, for kickers that counted themselves, until they are done.
    pid: AtomicI32,
    tid: AtomicI32,
    mailbox: AtomicPtr<AtomicU32>,
    /// The guest thread is gone or was killed.
    lost: AtomicBool,
    /// When the unanswered kick was, 0 for none.
    kicked_at: AtomicU64,
    /// Entries into guests.
    entries: AtomicU64,
}

impl Vcpu {
    /// vCPU number `index` of `platform`, on a host CPU chosen among those this process may use.
    pub fn new(index: usize, platform: &Platform) -> Arc<Vcpu> {
        let cpus = &platform.0.cpus;
        // Machines start at different CPUs, so that several of them spread.
        let cpu = cpus[(std::process::id() as usize + index) % cpus.len()];
        let vcpu = Arc::new(Vcpu {
            index,
            host_cpu: AtomicUsize::new(cpu),
            beside: Beside::new(platform.0.config.spin, cpu),
            claims: platform.0.claims.clone(),
            claimed: AtomicUsize::new(UNCLAIMED),
            host_tid: AtomicI32::new(0),
            word: AtomicU32::new(0),
            machine: Arc::downgrade(&platform.0),
            pid: AtomicI32::new(0),
            tid: AtomicI32::new(0),
            mailbox: AtomicPtr::default(),
            lost: AtomicBool::new(false),
            kicked_at: AtomicU64::new(0),
            entries: AtomicU64::new(0),
        });
        platform
            .0
            .watchdog
            .vcpus
            .lock()
            .unwrap()
            .push(Arc::downgrade(&vcpu));
        vcpu
    }

    /// Makes the calling host thread this vCPU's: pins it to the host CPU. (Host threads that it starts later inherit that:
    /// start others first.)
    pub fn enter(&self) {
        let cpu = self.host_cpu();
        // A refusal costs speed only.
        let _ = sys::set_affinity(0, cpu);
        sys::leave_rseq();
        self.host_tid.store(sys::gettid(), Ordering::Relaxed);
        CURRENT.set(Some((self.index, self.beside.place())));
        self.claim_home();
        clock::vcpu_at(self.index, cpu);
    }

    /// The number it was made with.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The host CPU that its guest threads run on.
    pub fn host_cpu(&self) -> usize {
        self.host_cpu.load(Ordering::Relaxed)
    }

    /// Sleeps until [`kick`](Self::kick) or the deadline (nanoseconds of CLOCK_MONOTONIC). A kick since the last
    /// `idle` or `run` returned makes it return at once.
    pub fn idle(&self, deadline_ns: Option<u64>) {
        if let Some(m) = self.machine.upgrade() {
            m.reap();
        }
        self.beside.idle(self.host_cpu(), &self.claims);
        self.drop_claim();
        let mut word = self.word.fetch_or(IDLE, Ordering::AcqRel) | IDLE;
        while word & PENDING == 0 {
            let left = deadline_ns.map(|d| d.saturating_sub(clock::monotonic_ns()));
            if left == Some(0) {
                break;
            }
            sys::futex_wait(&self.word, word, false, left.map(Duration::from_nanos));
            word = self.word.load(Ordering::Acquire);
        }
        self.word.fetch_and(!(IDLE | PENDING), Ordering::AcqRel);
        self.claim_home();
    }

    /// It works from now on. The watchdog may move it meanwhile: the claim that goes is the one that came.
    fn claim_home(&self) {
        self.drop_claim();
        let home = self.host_cpu();
        self.claims.claim(home);
        self.claimed.store(home, Ordering::Relaxed);
    }

    fn drop_claim(&self) {
        let claimed = self.claimed.swap(UNCLAIMED, Ordering::Relaxed);
        if claimed != UNCLAIMED {
            self.claims.drop_claim(claimed);
        }
    }

    /// From any thread: interrupts a running guest, or ends `idle`, or makes the next `run` or `idle` return at once.
    pub fn kick(&self) {
        let old = self.word.fetch_or(PENDING, Ordering::AcqRel);
        if old & PENDING != 0 {
            return;
        }
        if old & IDLE != 0 {
            sys::futex_wake(&self.word, false);
        }
        if old & IN_GUEST != 0 {
            self.kicked_at
                .store(clock::monotonic_ns(), Ordering::Relaxed);
            self.with_guest(|pid, tid| sys::tgkill(pid, tid, zygote::PREEMPT));
        }
    }

    /// Moves it to another host CPU, from whatever thread.
    fn move_to(&self, cpu: usize) {
        self.beside.move_home(cpu, || {
            let moved = sys::set_affinity(self.host_tid.load(Ordering::Relaxed), cpu).is_ok();
            if moved {
                self.host_cpu.store(cpu, Ordering::Relaxed);
                clock::vcpu_at(self.index, cpu);
            }
            moved
        });
    }

    /// Before the guest thread in `area` runs.
    #[inline]
    pub(crate) fn before_run(&self, area: &Area) {
        let same = std::ptr::eq(self.mailbox.load(Ordering::Relaxed), area.state());
        self.beside
            .before_run(self.host_cpu(), &self.claims, area, same);
    }

    /// After the guest thread in `area` got its answer.
    #[inline]
    pub(crate) fn after_reply(&self, area: &Area) {
        self.beside.after_reply(self.host_cpu(), &self.claims, area);
    }

    /// Away from home, waits awake for a while until the guest thread hands over.
    #[inline]
    pub(crate) fn await_turn(&self, word: &AtomicU32) {
        self.beside.await_turn(self.host_cpu(), &self.claims, word);
    }

    /// Whether a guest thread is running on it at this moment.
    pub fn in_guest(&self) -> bool {
        self.word.load(Ordering::Relaxed) & IN_GUEST != 0
    }

    /// Does something to the running guest thread, if there is one; when that says that the thread is gone, the vCPU
    /// learns it.
    fn with_guest(&self, f: impl FnOnce(i32, i32) -> Result<(), i32>) {
        if self.word.fetch_add(KICKER, Ordering::AcqRel) & IN_GUEST != 0
            && f(
                self.pid.load(Ordering::Relaxed),
                self.tid.load(Ordering::Relaxed),
            ) == Err(libc::ESRCH)
        {
            self.lost.store(true, Ordering::Release);
            // SAFETY: the word lies in the control memory, which lives as long as the guest thread on this vCPU, and that
            // can't leave before the count goes down.
            let word = unsafe { &*self.mailbox.load(Ordering::Relaxed) };
            sys::futex_wake(word, true);
        }
        self.word.fetch_sub(KICKER, Ordering::AcqRel);
    }

    /// The guest is about to run; false (and the kick is taken) when one is pending.
    #[inline]
    pub(crate) fn enter_guest(&self, pid: i32, tid: i32, mailbox: &AtomicU32) -> bool {
        self.pid.store(pid, Ordering::Relaxed);
        self.tid.store(tid, Ordering::Relaxed);
        self.mailbox
            .store(std::ptr::from_ref(mailbox).cast_mut(), Ordering::Relaxed);
        self.lost.store(false, Ordering::Relaxed);
        self.kicked_at.store(0, Ordering::Relaxed);
        self.entries
            .store(self.entries.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if self.word.fetch_or(IN_GUEST, Ordering::AcqRel) & PENDING != 0 {
            self.leave_guest(true);
            return false;
        }
        true
    }

    /// The guest has stopped. `interrupted`: because of a kick, which is thereby done.
    #[inline]
    pub(crate) fn leave_guest(&self, interrupted: bool) {
        let clear = if interrupted {
            IN_GUEST | PENDING
        } else {
            IN_GUEST
        };
        let mut word = self.word.fetch_and(!clear, Ordering::AcqRel);
        while word >= KICKER {
            std::thread::yield_now();
            word = self.word.load(Ordering::Acquire);
        }
    }

    pub(crate) fn guest_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.drop_claim();
    }
}

/// Looks whether guest threads that a vCPU waits for still exist, and kills those that don't obey a kick. Twice a second it
/// also spreads vCPUs, nudges who waits for an agent, and keeps the clock true.
#[derive(Default)]
pub(crate) struct Watchdog {
    vcpus: Mutex<Vec<Weak<Vcpu>>>,
}

impl Watchdog {
    pub fn start(machine: &Arc<Machine>) -> io::Result<()> {
        let weak = Arc::downgrade(machine);
        std::thread::Builder::new()
            .name("watchdog".into())
            .stack_size(64 << 10)
            .spawn(move || {
                let mut seen = Vec::new();
                let mut waits = vec![0; weak.upgrade().map_or(0, |m| m.events.len())];
                let mut left = 0;
                while let Some(m) = weak.upgrade() {
                    let pause = m.watchdog.look(&mut seen);
                    if left == 0 {
                        m.watchdog.spread(&mut seen, &m.cpus);
                        for (event, seen) in m.events.iter().zip(&mut waits) {
                            *seen = event.nudge(*seen);
                        }
                        clock::follow_host();
                        left = IDLE_LOOK_NS;
                    }
                    drop(m);
                    let pause = pause.min(left);
                    left -= pause;
                    std::thread::sleep(Duration::from_nanos(pause));
                }
            })?;
        Ok(())
    }

    /// Returns the time until the next look, nanoseconds.
    fn look(&self, seen: &mut Vec<Seen>) -> u64 {
        let vcpus = self.vcpus.lock().unwrap();
        seen.resize_with(vcpus.len(), Seen::default);
        let mut pause = IDLE_LOOK_NS;
        for (v, seen) in vcpus.iter().zip(seen) {
            if let Some(v) = v.upgrade() {
                pause = pause.min(v.look(seen));
            }
        }
        pause
    }
}

impl Vcpu {
    /// The watchdog's look. Returns when the next should be, nanoseconds.
    fn look(&self, seen: &mut Seen) -> u64 {
        let entries = self.entries.load(Ordering::Relaxed);
        let stuck = entries == seen.entries;
        seen.entries = entries;
        if !self.in_guest() {
            seen.owed = None;
            return IDLE_LOOK_NS;
        }
        let kicked = self.kicked_at.load(Ordering::Relaxed);
        let late = kicked != 0 && clock::monotonic_ns().saturating_sub(kicked) >= LATE_LOOK_NS;
        if !stuck || !late {
            seen.owed = None;
            if stuck {
                self.with_guest(|pid, tid| sys::tgkill(pid, tid, 0));
            }
            return if late { LATE_LOOK_NS } else { BUSY_LOOK_NS };
        }
        // One whose vCPU the host doesn't let run may have nothing to obey yet.
        let host_tid = self.host_tid.load(Ordering::Relaxed);
        let waits = sys::thread_activity(std::process::id() as i32, host_tid);
        if waits.is_none_or(|(sleeps, _)| !sleeps) {
            seen.owed = None;
            return LATE_LOOK_NS;
        }
        self.with_guest(|pid, tid| {
            let (patience, looks) = seen.owed.get_or_insert_default();
            match patience.could_obey(pid, tid) {
                None => return Err(libc::ESRCH),
                Some(could) => *looks += u32::from(could),
            }
            if *looks < MAX_LATE || self.entries.load(Ordering::Relaxed) != entries {
                return Ok(());
            }
            sys::kill(pid);
            Err(libc::ESRCH)
        });
        LATE_LOOK_NS
    }
}

impl Watchdog {
    /// Moves vCPUs from crowded host CPUs to idle ones.
    fn spread(&self, seen: &mut [Seen], allowed: &[usize]) {
        if allowed.len() < 2 {
            return;
        }
        let vcpus: Vec<_> = self
            .vcpus
            .lock()
            .unwrap()
            .iter()
            .map(Weak::upgrade)
            .collect();
        for (v, seen) in vcpus.iter().zip(seen) {
            let Some(v) = v
                .as_ref()
                .filter(|v| v.host_tid.load(Ordering::Relaxed) != 0)
            else {
                continue;
            };
            let others = vcpus.iter().flatten().filter(|o| o.index != v.index);
            let taken: Vec<_> = others.map(|o| o.host_cpu()).collect();
            let (now, tid) = (clock::monotonic_ns(), v.host_tid.load(Ordering::Relaxed));
            if let Some(cpu) = seen.crowd.look(now, tid, v.host_cpu(), allowed, &taken) {
                v.move_to(cpu);
            }
        }
    }
}

/// What was seen of a thread that owes an answer.
#[derive(Default)]
pub(crate) struct Patience {
    /// Its CPU time at the first look, nanoseconds.
    ran: Option<u64>,
}

impl Patience {
    /// Whether it could have answered since the first look: one that the host doesn't let run can't. None when it is gone.
    pub fn could_obey(&mut self, pid: i32, tid: i32) -> Option<bool> {
        let (sleeps, ran) = sys::thread_activity(pid, tid)?;
        let first = *self.ran.get_or_insert(ran);
        Some(sleeps || ran.saturating_sub(first) > COULD_OBEY_NS)
    }
}

/// What the watchdog remembers of a vCPU.
#[derive(Default)]
struct Seen {
    entries: u64,
    /// Of a kick that is unanswered: looks that found that the thread could have obeyed.
    owed: Option<(Patience, u32)>,
    crowd: Crowd,
}
