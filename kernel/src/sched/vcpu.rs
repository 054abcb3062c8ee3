//! The vCPU threads and their run queues.

use super::entity::RunState;
use crate::sync::{Lock, Rank, assert_none_held};
use crate::task::Task;
use crate::time;
use platform::fiber::{self, Fiber, Resumed};
use platform::{GuestThread, Platform, Trap, Vcpu};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Why a fiber suspended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    Park {
        interruptible: bool,
    },
    /// Still runnable: back to the queue.
    Yield,
}

/// A running task is preempted for one that lags by more than this, in weighted nanoseconds.
const GRANULARITY_NS: u64 = 1_000_000;
/// How long a task runs while others of its vCPU wait.
pub const SLICE_NS: u64 = 4_000_000;

#[derive(Default)]
struct Queue {
    tasks: BTreeMap<(u64, u64), Arc<Task>>,
    sequence: u64,
    /// The clock of this queue: what the task that is furthest behind has had. It never goes back.
    min_vruntime: u64,
    running: Option<Running>,
}

/// The task that its vCPU runs.
struct Running {
    /// When it was switched in.
    vruntime: u64,
    task: Arc<Task>,
}

/// A virtual run time by the clock of another queue: as far behind or ahead there as it was here.
fn carried(vruntime: u64, from_min: u64, to_min: u64) -> u64 {
    to_min.saturating_add_signed(vruntime.wrapping_sub(from_min).cast_signed())
}

struct Cpu {
    platform: Arc<Vcpu>,
    queue: Lock<Queue>,
    queued: AtomicUsize,
    resched: AtomicBool,
    idle: AtomicBool,
    idle_ns: AtomicU64,
    user_ns: AtomicU64,
    system_ns: AtomicU64,
    /// When the running task was taken from its queue, nanoseconds.
    since: AtomicU64,
}

impl Cpu {
    /// Moves the clock of its queue on to the least of the running and the waiting, as of `now`
    /// (kernel/sched/fair.c:update_min_vruntime()). Gives the running task's virtual run time.
    fn advance(&self, queue: &mut Queue, now: u64) -> Option<u64> {
        let ran = now.saturating_sub(self.since.load(Ordering::Relaxed));
        let running = queue.running.as_ref().map(|running| {
            let policy = running.task.policy.load(Ordering::Relaxed);
            running.vruntime + running.task.sched.weigh(ran, policy)
        });
        let first = queue.tasks.keys().next().map(|key| key.0);
        if let Some(least) = first.into_iter().chain(running).min() {
            queue.min_vruntime = queue.min_vruntime.max(least);
        }
        running
    }
}

static CPUS: OnceLock<Vec<Cpu>> = OnceLock::new();
static TICKING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static THIS: RefCell<Option<(usize, Option<Arc<Task>>)>> = const { RefCell::new(None) };
}

fn cpus() -> &'static [Cpu] {
    CPUS.get().expect("the scheduler has started")
}

/// Number of vCPUs.
pub fn ncpus() -> usize {
    CPUS.get().map_or(1, Vec::len)
}

/// A set of all vCPUs: bit n for vCPU n (at most 64).
pub fn every_vcpu() -> u64 {
    u64::MAX >> (64 - ncpus().clamp(1, 64))
}

/// The task that runs on this host thread. Panics outside a task.
#[inline(never)]
pub fn current() -> Arc<Task> {
    try_current().expect("in a task")
}

/// The task that runs on this host thread, if it is a vCPU that runs one.
#[inline(never)]
pub fn try_current() -> Option<Arc<Task>> {
    THIS.with_borrow(|this| this.as_ref().and_then(|(_, task)| task.clone()))
}

/// The guest thread of the task that runs on this host thread ([`GuestThread::slot`]); of no thread outside a task.
#[inline(never)]
pub fn guest_slot() -> u32 {
    THIS.with_borrow(|this| {
        let task = this.as_ref().and_then(|(_, task)| task.as_ref());
        task.map_or(u32::MAX, |t| t.sched.guest_slot.load(Ordering::Relaxed))
    })
}

/// Whether the caller is a task, and so may sleep.
pub fn in_task() -> bool {
    fiber::in_fiber()
}

/// Index of the vCPU that runs the caller. Panics on other host threads. May change at every sleep.
#[inline(never)]
pub fn this_vcpu() -> usize {
    THIS.with_borrow(|this| this.as_ref().expect("on a vCPU").0)
}

#[inline(never)]
fn is_this_vcpu(index: usize) -> bool {
    THIS.with_borrow(|this| this.as_ref().is_some_and(|(i, _)| *i == index))
}

#[inline(never)]
fn set_current(task: Option<Arc<Task>>) {
    THIS.with_borrow_mut(|this| this.as_mut().expect("on a vCPU").1 = task);
}

/// Starts the vCPU threads. Once, at boot, before the first [`spawn`].
pub fn start(platform: &Platform) {
    let all = (0..platform.ncpus())
        .map(|index| Cpu {
            platform: Vcpu::new(index, platform),
            queue: Lock::new(Rank::RUNQ, Queue::default()),
            queued: AtomicUsize::new(0),
            resched: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            idle_ns: AtomicU64::new(0),
            user_ns: AtomicU64::new(0),
            system_ns: AtomicU64::new(0),
            since: AtomicU64::new(0),
        })
        .collect();
    assert!(CPUS.set(all).is_ok(), "the scheduler starts once");
    for index in 0..platform.ncpus() {
        std::thread::Builder::new()
            .name(format!("vcpu{index}"))
            .spawn(move || run_vcpu(index))
            .expect("the host has a thread for each vCPU");
    }
}

fn run_vcpu(index: usize) {
    let cpu = &cpus()[index];
    cpu.platform.enter();
    THIS.set(Some((index, None)));
    loop {
        let Some(task) = pick(index) else {
            if cpu.queued.load(Ordering::SeqCst) > 0 {
                expel(index);
            }
            let since = time::monotonic_ns();
            cpu.idle.store(true, Ordering::SeqCst);
            if cpu.queued.load(Ordering::SeqCst) == 0 {
                cpu.platform.idle(None);
            }
            cpu.idle.store(false, Ordering::SeqCst);
            cpu.idle_ns
                .fetch_add(time::monotonic_ns() - since, Ordering::Relaxed);
            continue;
        };
        resume(index, task);
    }
}

fn resume(index: usize, task: Arc<Task>) {
    let cpu = &cpus()[index];
    task.sched.vcpu.store(index, Ordering::Relaxed);
    let mut fiber = task
        .sched
        .fiber
        .lock()
        .take()
        .expect("a queued task has its fiber");
    cpu.resched.store(false, Ordering::Relaxed);
    let start = cpu.since.load(Ordering::Relaxed);
    task.sched.accounted_ns.store(start, Ordering::Relaxed);
    time::cpu::resumed(&task.group);
    let user_before = task.sched.utime_ns.load(Ordering::Relaxed);
    set_current(Some(task.clone()));
    let result = fiber.resume();
    set_current(None);
    let end = time::monotonic_ns();
    task.sched.account(end, &task.sched.stime_ns);
    task.sched.accounted_ns.store(0, Ordering::Relaxed);
    let ran = end.saturating_sub(start);
    let user = task
        .sched
        .utime_ns
        .load(Ordering::Relaxed)
        .wrapping_sub(user_before);
    cpu.user_ns.fetch_add(user, Ordering::Relaxed);
    cpu.system_ns
        .fetch_add(ran.saturating_sub(user), Ordering::Relaxed);
    {
        let mut queue = cpu.queue.lock();
        cpu.advance(&mut queue, end);
        queue.running = None;
    }
    match result {
        Resumed::Finished => {
            task.sched.state.lock().run = RunState::Dead;
        }
        Resumed::Yielded(reason) => {
            *task.sched.fiber.lock() = Some(fiber);
            settle(&task, reason, ran);
        }
    }
}

fn settle(task: &Arc<Task>, reason: Reason, ran: u64) {
    let mut state = task.sched.state.lock();
    state.vruntime += task.sched.weigh(ran, task.policy.load(Ordering::Relaxed));
    match reason {
        Reason::Park { interruptible } if !state.token => {
            state.run = RunState::Parked { interruptible };
            task.sched
                .voluntary_switches
                .fetch_add(1, Ordering::Relaxed);
        }
        Reason::Park { .. } => {
            state.token = false;
            enqueue(task, &mut state);
        }
        Reason::Yield => {
            task.sched
                .involuntary_switches
                .fetch_add(1, Ordering::Relaxed);
            enqueue(task, &mut state);
        }
    }
}

/// Chooses a vCPU for `task` and queues it there. The caller holds the task's scheduler state.
fn enqueue(task: &Arc<Task>, state: &mut super::entity::State) {
    let index = choose(task);
    let cpu = &cpus()[index];
    let before = std::mem::replace(&mut state.run, RunState::Queued);
    let from_min = (state.clock != index).then(|| clock_of(state.clock));
    let (alone, preempts) = {
        let mut queue = cpu.queue.lock();
        let running = cpu.advance(&mut queue, time::monotonic_ns());
        if let Some(from_min) = from_min {
            state.vruntime = carried(state.vruntime, from_min, queue.min_vruntime);
            state.clock = index;
        }
        // A sleeper gets no credit for its sleep beyond half a slice, nor does it owe more than two slices after it:
        // kernel/sched/fair.c:update_entity_lag().
        let clock = queue.min_vruntime;
        state.vruntime = state.vruntime.max(clock.saturating_sub(SLICE_NS / 2));
        if matches!(before, RunState::Parked { .. }) {
            let policy = task.policy.load(Ordering::Relaxed);
            let most = clock + task.sched.weigh(2 * SLICE_NS, policy);
            state.vruntime = state.vruntime.min(most);
        }
        queue.sequence += 1;
        let key = (state.vruntime, queue.sequence);
        queue.tasks.insert(key, task.clone());
        cpu.queued.store(queue.tasks.len(), Ordering::SeqCst);
        let preempts = running.is_some_and(|running| state.vruntime + GRANULARITY_NS < running);
        (queue.tasks.len() == 1, preempts)
    };
    if cpu.idle.load(Ordering::SeqCst) {
        cpu.platform.kick();
    } else if preempts {
        mark_resched(index);
    }
    // A vCPU that idles takes the first at once; a second one waits behind that.
    if !TICKING.load(Ordering::SeqCst) && (!alone || !cpu.idle.load(Ordering::SeqCst)) {
        start_ticking();
    }
}

/// The clock of a vCPU's queue now.
fn clock_of(index: usize) -> u64 {
    let cpu = &cpus()[index];
    let mut queue = cpu.queue.lock();
    cpu.advance(&mut queue, time::monotonic_ns());
    queue.min_vruntime
}

fn choose(task: &Arc<Task>) -> usize {
    let all = cpus();
    if all.len() == 1 {
        return 0;
    }
    let allowed = task.sched.allowed();
    let may = |i: usize| allowed & (1 << i) != 0;
    let last = task.sched.last_vcpu();
    if may(last) && all[last].idle.load(Ordering::SeqCst) {
        return last;
    }
    if let Some(idle) = (0..all.len()).find(|&i| may(i) && all[i].idle.load(Ordering::SeqCst)) {
        return idle;
    }
    (0..all.len())
        .filter(|&i| may(i))
        .min_by_key(|&i| (all[i].queued.load(Ordering::Relaxed), i != last))
        .unwrap_or(last)
}

fn pick(index: usize) -> Option<Arc<Task>> {
    let all = cpus();
    if let Some(task) = take_first(&all[index], index) {
        return Some(task);
    }
    // Nothing of our own: take over a task that waits for another vCPU.
    (0..all.len()).filter(|&i| i != index).find_map(|i| {
        if all[i].queued.load(Ordering::Relaxed) == 0 {
            None
        } else {
            take_first(&all[i], index)
        }
    })
}

/// Moves tasks that wait for vCPU `index` but may no longer run there.
fn expel(index: usize) {
    let cpu = &cpus()[index];
    let strangers: Vec<Arc<Task>> = {
        let mut queue = cpu.queue.lock();
        let may = |task: &Arc<Task>| task.sched.allowed() & (1 << index) != 0;
        let gone: Vec<_> = queue
            .tasks
            .iter()
            .filter(|(_, task)| !may(task))
            .map(|(key, task)| (*key, task.clone()))
            .collect();
        for (key, _) in &gone {
            queue.tasks.remove(key);
        }
        cpu.queued.store(queue.tasks.len(), Ordering::SeqCst);
        gone.into_iter().map(|(_, task)| task).collect()
    };
    for task in strangers {
        let mut state = task.sched.state.lock();
        enqueue(&task, &mut state);
    }
}

fn take_first(from: &Cpu, index: usize) -> Option<Arc<Task>> {
    let (task, from_min) = {
        let mut queue = from.queue.lock();
        let key = *queue
            .tasks
            .iter()
            .find(|(_, task)| task.sched.allowed() & (1 << index) != 0)?
            .0;
        let task = queue.tasks.remove(&key).expect("key was just read");
        from.queued.store(queue.tasks.len(), Ordering::SeqCst);
        (task, queue.min_vruntime)
    };
    let mut state = task.sched.state.lock();
    state.run = RunState::Running;
    let cpu = &cpus()[index];
    let since = time::monotonic_ns();
    cpu.since.store(since, Ordering::Relaxed);
    {
        let mut queue = cpu.queue.lock();
        if state.clock != index {
            state.vruntime = carried(state.vruntime, from_min, queue.min_vruntime);
            state.clock = index;
        }
        queue.running = Some(Running {
            vruntime: state.vruntime,
            task: task.clone(),
        });
        cpu.advance(&mut queue, since);
    }
    drop(state);
    Some(task)
}

/// Gives `task` its body and queues it. The body runs as a task of its own.
pub fn spawn(task: &Arc<Task>, stack_bytes: usize, body: impl FnOnce() + Send + 'static) {
    *task.sched.fiber.lock() = Some(Fiber::new(stack_bytes, body));
    if let Some(parent) = try_current() {
        // It owes nothing of what its parent does, and is owed nothing.
        let clock = parent.sched.state.lock().clock;
        let mut state = task.sched.state.lock();
        (state.vruntime, state.clock) = (clock_of(clock), clock);
        drop(state);
        task.sched
            .vcpu
            .store(parent.sched.last_vcpu(), Ordering::Relaxed);
    }
    let mut state = task.sched.state.lock();
    enqueue(task, &mut state);
}

/// Sleeps until [`unpark`]; may return without one. `interruptible`: what /proc shows, S or D.
pub fn park(interruptible: bool) {
    assert_none_held();
    fiber::suspend(Reason::Park { interruptible });
}

/// Makes `task` runnable, or its next [`park`] return at once. From any host thread.
pub fn unpark(task: &Arc<Task>) {
    let mut state = task.sched.state.lock();
    match state.run {
        RunState::Parked { .. } => enqueue(task, &mut state),
        RunState::Running => state.token = true,
        RunState::Queued | RunState::Dead => {}
    }
}

/// Lets others of this vCPU run.
pub fn yield_now() {
    assert_none_held();
    if cpus()[this_vcpu()].queued.load(Ordering::Relaxed) == 0 {
        return;
    }
    let task = current();
    let cpu = &cpus()[this_vcpu()];
    let behind = cpu.queue.lock().tasks.keys().next().map(|key| key.0);
    if let Some(first) = behind {
        let mut state = task.sched.state.lock();
        state.vruntime = state.vruntime.max(first);
    }
    drop(task);
    fiber::suspend(Reason::Yield);
}

/// After a change of another task's affinity: it goes where it may run (kernel/sched/core.c:affine_move_task()).
pub fn move_to_allowed(task: &Arc<Task>) {
    let allowed = task.sched.allowed();
    let mut state = task.sched.state.lock();
    match state.run {
        RunState::Queued => {
            let mut left = false;
            for (index, cpu) in cpus().iter().enumerate() {
                if allowed & (1 << index) == 0 {
                    let mut queue = cpu.queue.lock();
                    let before = queue.tasks.len();
                    queue.tasks.retain(|_, queued| !Arc::ptr_eq(queued, task));
                    left |= queue.tasks.len() < before;
                    cpu.queued.store(queue.tasks.len(), Ordering::SeqCst);
                }
            }
            // One that a vCPU has just taken from its queue moves at the end of its slice.
            if left {
                enqueue(task, &mut state);
            }
        }
        RunState::Running if allowed & (1 << task.sched.last_vcpu()) == 0 => {
            mark_resched(task.sched.last_vcpu());
        }
        _ => {}
    }
}

/// Goes on on a vCPU that the task may use: its affinity changed.
pub fn migrate() {
    assert_none_held();
    fiber::suspend(Reason::Yield);
}

/// Switches when the time slice is over or a more urgent task was woken.
pub fn preempt_if_needed() {
    if cpus()[this_vcpu()].resched.load(Ordering::Relaxed) {
        assert_none_held();
        fiber::suspend(Reason::Yield);
    }
}

/// Asks vCPU `index` to look at its queue before it goes on with a guest.
pub fn mark_resched(index: usize) {
    let cpu = &cpus()[index];
    // One that is on its way into a guest has looked at the mark already: only the kick stops it. The caller itself has not.
    if !cpu.resched.swap(true, Ordering::SeqCst) && !is_this_vcpu(index) {
        cpu.platform.kick();
    }
}

/// Makes `task` leave guest code, if it is there, to look at what has come for it.
pub fn kick_task(task: &Task) {
    if task.sched.in_guest.load(Ordering::SeqCst) {
        cpus()[task.sched.last_vcpu()].platform.kick();
    }
}

/// Runs the current task's guest thread until it traps, and accounts the time.
pub fn run_guest(task: &Task, guest: &mut GuestThread) -> Trap {
    let cpu = &cpus()[this_vcpu()];
    task.sched.in_guest.store(true, Ordering::SeqCst);
    let gate = CLOSED.load(Ordering::SeqCst);
    if gate != 0 || task.has_work() || cpu.resched.load(Ordering::SeqCst) {
        task.sched.in_guest.store(false, Ordering::SeqCst);
        if gate & BY_TASK != 0 {
            std::thread::yield_now();
        }
        if gate & BY_CONSOLE != 0 {
            super::stop::wait_at_gate(task, guest.regs());
        }
        return Trap::Interrupted;
    }
    task.sched
        .account(time::monotonic_ns(), &task.sched.stime_ns);
    task.sched.guest_slot.store(guest.slot(), Ordering::Relaxed);
    let trap = guest.run(&cpu.platform);
    task.sched
        .account(time::monotonic_ns(), &task.sched.utime_ns);
    task.sched.in_guest.store(false, Ordering::SeqCst);
    trap
}

static GATE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
/// Not 0: no vCPU lets a guest run.
static CLOSED: AtomicU8 = AtomicU8::new(0);
/// For a moment, by [`with_guests_stopped`].
const BY_TASK: u8 = 1;
/// Until somebody opens it again: [`stop`](super::stop).
const BY_CONSOLE: u8 = 2;

/// Runs `access` while no guest code runs on any vCPU: how the kernel changes a word of guest memory atomically, which
/// it can only reach by copying. `access` doesn't sleep. Other vCPUs wait meanwhile.
pub fn with_guests_stopped<R>(access: impl FnOnce() -> R) -> R {
    let all = cpus();
    if all.len() == 1 {
        return access();
    }
    let me = this_vcpu();
    let _turn = GATE.lock();
    CLOSED.fetch_or(BY_TASK, Ordering::SeqCst);
    let others = || all.iter().enumerate().filter(|(i, _)| *i != me);
    for (_, cpu) in others() {
        // One between the check in run_guest() and the guest comes back at once; one that idles will make that check.
        if !cpu.idle.load(Ordering::SeqCst) {
            cpu.platform.kick();
        }
    }
    while others().any(|(_, cpu)| cpu.platform.in_guest()) {
        std::thread::yield_now();
    }
    let result = access();
    CLOSED.fetch_and(!BY_TASK, Ordering::SeqCst);
    result
}

/// Lets no guest run from now on. They are on their way out when this returns; see [`any_in_guest`].
pub(super) fn close_gate() {
    CLOSED.fetch_or(BY_CONSOLE, Ordering::SeqCst);
    for cpu in cpus() {
        if !cpu.idle.load(Ordering::SeqCst) {
            cpu.platform.kick();
        }
    }
}

pub(super) fn open_gate() {
    CLOSED.fetch_and(!BY_CONSOLE, Ordering::SeqCst);
}

pub(super) fn gate_is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst) & BY_CONSOLE != 0
}

pub(super) fn any_in_guest() -> bool {
    cpus().iter().any(|cpu| cpu.platform.in_guest())
}

/// Whether no vCPU has anything to run.
pub(super) fn all_idle() -> bool {
    let idle =
        |cpu: &Cpu| cpu.idle.load(Ordering::SeqCst) && cpu.queued.load(Ordering::SeqCst) == 0;
    cpus().iter().all(idle)
}

fn start_ticking() {
    if !TICKING.swap(true, Ordering::SeqCst) {
        arm_tick();
    }
}

fn arm_tick() {
    time::timer::call_at(crate::sync::Deadline::after(SLICE_NS), tick).detach();
}

/// The periodic tick, on the timer thread; it stops by itself when no vCPU has a second task to run.
pub fn tick() {
    let mut busy = false;
    for (index, cpu) in cpus().iter().enumerate() {
        if cpu.queued.load(Ordering::SeqCst) > 0 {
            busy = true;
            let ran = time::monotonic_ns().saturating_sub(cpu.since.load(Ordering::Relaxed));
            if cpu.idle.load(Ordering::SeqCst) {
                cpu.platform.kick();
            } else if ran >= SLICE_NS / 2 {
                mark_resched(index);
            }
        }
    }
    if busy {
        arm_tick();
    } else {
        TICKING.store(false, Ordering::SeqCst);
        if cpus()
            .iter()
            .any(|cpu| cpu.queued.load(Ordering::SeqCst) > 0)
        {
            start_ticking();
        }
    }
}

/// Nanoseconds vCPU `index` spent in guest code and in the kernel since boot.
pub fn busy_ns(index: usize) -> (u64, u64) {
    let cpu = &cpus()[index];
    (
        cpu.user_ns.load(Ordering::Relaxed),
        cpu.system_ns.load(Ordering::Relaxed),
    )
}

/// Nanoseconds vCPU `index` was idle since boot.
pub fn idle_ns(index: usize) -> u64 {
    cpus()[index].idle_ns.load(Ordering::Relaxed)
}

/// Tasks that run or are queued.
pub fn nr_running() -> usize {
    cpus()
        .iter()
        .map(|cpu| {
            cpu.queued.load(Ordering::Relaxed) + usize::from(cpu.queue.lock().running.is_some())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_had_is_carried_to_another_clock() {
        assert_eq!(carried(105, 100, 7), 12);
        assert_eq!(carried(95, 100, 7), 2);
        assert_eq!(carried(5, 100, 7), 0);
    }
}
