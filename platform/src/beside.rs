//! Answers from the CPU beside. Guest thread and vCPU share a host CPU, since a hand-off across CPUs that has to wake the other
//! side is dear; but what costs most of a system call then is the host's two context switches. So while guest threads
//! make call after call, their vCPU's host thread moves to a host CPU that idles, and each waits for the other awake. It comes
//! home when the guest computes for longer than that pays, when nothing is to run, and when somebody else wants that CPU.

use crate::frame::Area;
use crate::sys;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stub::layout::state;

/// When vCPUs answer from the CPU beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spin {
    /// Never.
    Off,
    /// When it pays.
    #[default]
    Auto,
    /// As often as there is a second CPU, whoever else wants it: for tests.
    Always,
}

/// How long the vCPU waits awake in any case; about what it costs to go home and come back.
const PATIENCE: Duration = Duration::from_micros(50);
/// What each answer from beside saves. What a stay has saved it may spend on waiting for longer, up to `LONGEST_WAIT`.
const SAVED: Duration = Duration::from_micros(3);
const LONGEST_WAIT: Duration = Duration::from_micros(500);
/// How long guest threads wait for an answer awake: on a CPU that nobody else of the machine has work for.
const GUEST_PATIENCE: Duration = Duration::from_micros(200);
/// How often the wait looks whether another vCPU wants the CPU, in spin-loop hints.
const GLANCE: u32 = 64;
/// Traps since it last idled after which a vCPU leaves home: least and most. Moving there and back costs what some 15
/// traps gain.
const LEAST: u32 = 8;
const MOST: u32 = 4096;
/// Traps answered beside from which on it was worth it.
const WORTH: u32 = 64;
/// Copies from or to guest memory of this size, in bytes, are made faster at home, where the guests' CPU has the data in its cache:
/// so many traps with one, more than without, and it comes home.
const BULK: usize = 16 << 10;
const MANY: u32 = 4;
/// How often it looks whether the CPU is wanted, in traps.
const LOOK: u32 = 64;
/// Time without the CPU, while it could have run, that tells of somebody else on it.
const CROWDED: Duration = Duration::from_micros(300);
/// How long it then stays at home: first and longest. After a stay with `GOOD` traps the first again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const GOOD: u32 = 5000;

thread_local! {
    /// A copy of `BULK` bytes was made since the last trap.
    static BULKY: Cell<bool> = const { Cell::new(false) };
}

/// Guest memory of `len` bytes was copied. Never inlined: fibers move between host threads.
#[inline(never)]
pub fn note_copy(len: usize) {
    if len >= BULK {
        BULKY.set(true);
    }
}

/// Whether that was so.
#[inline(never)]
fn take_note() -> bool {
    BULKY.take()
}

/// The host CPUs of a machine, and how many of its vCPUs want each: at home and not idle, or away there.
pub struct Claims {
    cpus: Vec<usize>,
    wanted: Vec<AtomicU32>,
}

impl Claims {
    pub fn new(cpus: Vec<usize>) -> Claims {
        let wanted = cpus.iter().map(|_| AtomicU32::new(0)).collect();
        Claims { cpus, wanted }
    }

    fn of(&self, cpu: usize) -> Option<&AtomicU32> {
        let i = self.cpus.iter().position(|c| *c == cpu)?;
        Some(&self.wanted[i])
    }

    pub fn claim(&self, cpu: usize) {
        if let Some(n) = self.of(cpu) {
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn drop_claim(&self, cpu: usize) {
        if let Some(n) = self.of(cpu) {
            n.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether another one than the caller, who has claimed it, wants a CPU.
    fn contested(&self, cpu: usize) -> bool {
        self.of(cpu).is_none_or(|n| n.load(Ordering::Relaxed) > 1)
    }

    /// The first CPU after the `nth` that nobody wants, but for `home`; with `any` whoever wants it.
    pub fn free(&self, home: usize, nth: usize, any: bool) -> Option<usize> {
        let n = self.cpus.len();
        (0..n)
            .map(|i| (nth + i) % n)
            .find(|&i| self.cpus[i] != home && (any || self.wanted[i].load(Ordering::Relaxed) == 0))
            .map(|i| self.cpus[i])
    }
}

/// Where a vCPU's host thread is: at home, the CPU of its guest threads, or away. All but [`Beside::is_away`] and
/// [`Beside::move_home`] is for that thread.
pub struct Beside {
    spin: Spin,
    /// Traps since it came or idled, at home; answered there, away.
    streak: AtomicU32,
    /// Of these, traps in a row of the thread that runs.
    turns: AtomicU32,
    /// The streak that sends it away.
    needed: AtomicU32,
    /// Traps with bulky copies lately.
    bulky: AtomicU32,
    /// Spin-loop hints that stand for the times above.
    pauses: Pauses,
    /// Hints that this stay has saved and not spent.
    saved: AtomicU32,
    away: AtomicBool,
    /// The CPU it is at.
    at: Arc<AtomicUsize>,
    stay: Mutex<Stay>,
}

#[derive(Default)]
struct Pauses {
    patience: u32,
    saved: u32,
    longest: u32,
    guest: u32,
}

struct Stay {
    /// The thread that runs, and the one before it until that was sent to sleep.
    guest: Option<Area>,
    left: Option<Area>,
    /// Not away before this, and how long that was set for.
    not_before: Option<Instant>,
    pause: Duration,
    /// Where the search for a free CPU starts.
    nth: usize,
    /// As of the last look: the time, the thread's CPU time, its involuntary switches.
    last: Sample,
}

impl Beside {
    pub fn new(spin: Spin, home: usize) -> Beside {
        Beside {
            spin,
            streak: AtomicU32::new(0),
            turns: AtomicU32::new(0),
            bulky: AtomicU32::new(0),
            needed: AtomicU32::new(if spin == Spin::Always { 1 } else { LEAST }),
            pauses: if spin == Spin::Off {
                Pauses::default()
            } else {
                Pauses::measure()
            },
            saved: AtomicU32::new(0),
            away: AtomicBool::new(false),
            at: Arc::new(AtomicUsize::new(home)),
            stay: Mutex::new(Stay {
                guest: None,
                left: None,
                not_before: None,
                pause: FIRST_PAUSE,
                nth: 0,
                last: Sample::take(),
            }),
        }
    }

    #[inline]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Where the CPU is written that it is at.
    pub fn place(&self) -> Arc<AtomicUsize> {
        self.at.clone()
    }

    /// From any thread: gives it another home, unless it is away or on its way, by `f`, which says whether that worked.
    pub fn move_home(&self, cpu: usize, f: impl FnOnce() -> bool) {
        let _stay = self.stay.lock().unwrap();
        if !self.is_away() && f() {
            self.at.store(cpu, Ordering::Relaxed);
        }
    }

    /// Before the guest thread in `area` runs (`same`: the one that trapped last): comes home if staying makes no sense.
    #[inline]
    pub fn before_run(&self, home: usize, claims: &Claims, area: &Area, same: bool) {
        if self.pauses.patience == 0 {
            return;
        }
        let streak = self.streak.load(Ordering::Relaxed);
        self.streak.store(streak.wrapping_add(1), Ordering::Relaxed);
        let turns = if same {
            self.turns.load(Ordering::Relaxed).saturating_add(1)
        } else {
            0
        };
        self.turns.store(turns, Ordering::Relaxed);
        let bulky = take_note();
        if !self.is_away() {
            area.set_patience(0);
            if bulky && self.spin == Spin::Auto {
                self.streak.store(0, Ordering::Relaxed);
            }
            return;
        }
        let lately = self.bulky.load(Ordering::Relaxed);
        let lately = if bulky {
            lately + 1
        } else {
            lately.saturating_sub(1)
        };
        self.bulky.store(lately, Ordering::Relaxed);
        area.set_patience(self.pauses.guest);
        if !same {
            let mut stay = self.stay.lock().unwrap();
            stay.left = stay.guest.replace(*area);
        }
        // The first answers find it asleep: it didn't know yet.
        if turns > 2 && area.sleeps() || lately > MANY && self.spin == Spin::Auto {
            self.come_home(home, claims);
        } else if streak.is_multiple_of(LOOK) && self.spin == Spin::Auto && self.crowded(claims) {
            self.stay_at_home();
            self.come_home(home, claims);
        }
    }

    /// After the guest thread in `area` got its answer: goes away if that pays.
    #[inline]
    pub fn after_reply(&self, home: usize, claims: &Claims, area: &Area) {
        if self.pauses.patience == 0 {
            return;
        }
        if self.is_away() {
            // Only now: so the guests' CPU goes from one to the other without idling, or an interrupt from here.
            if self.turns.load(Ordering::Relaxed) == 0
                && let Some(left) = self.stay.lock().unwrap().left.take()
            {
                left.let_sleep();
            }
        } else if self.streak.load(Ordering::Relaxed) >= self.needed.load(Ordering::Relaxed) {
            self.go(home, claims, area);
        }
    }

    /// Away, waits awake until it is the kernel's turn, or until that takes too long: then it is at home.
    #[inline]
    pub fn await_turn(&self, home: usize, claims: &Claims, word: &AtomicU32) {
        if !self.is_away() {
            return;
        }
        let (patience, saved) = (self.pauses.patience, self.saved.load(Ordering::Relaxed));
        for n in 0..patience + saved {
            match word.load(Ordering::Acquire) {
                state::GUEST | state::GUEST_WAITED => std::hint::spin_loop(),
                _ => {
                    let spent = n.saturating_sub(patience);
                    let left = (saved - spent + self.pauses.saved).min(self.pauses.longest);
                    self.saved.store(left, Ordering::Relaxed);
                    return;
                }
            }
            if n % GLANCE == GLANCE - 1
                && self.spin == Spin::Auto
                && claims.contested(self.at.load(Ordering::Relaxed))
            {
                break;
            }
        }
        self.come_home(home, claims);
    }

    /// Nothing is to run.
    pub fn idle(&self, home: usize, claims: &Claims) {
        self.come_home(home, claims);
        self.streak.store(0, Ordering::Relaxed);
    }

    #[cold]
    fn go(&self, home: usize, claims: &Claims, area: &Area) {
        self.streak.store(0, Ordering::Relaxed);
        self.turns.store(0, Ordering::Relaxed);
        self.saved.store(0, Ordering::Relaxed);
        self.bulky.store(0, Ordering::Relaxed);
        let mut stay = self.stay.lock().unwrap();
        let start = Instant::now();
        if self.spin == Spin::Auto && stay.not_before.is_some_and(|t| start < t) {
            return;
        }
        let Some(cpu) = claims.free(home, stay.nth, self.spin == Spin::Always) else {
            return;
        };
        claims.claim(cpu);
        if sys::set_affinity(0, cpu).is_err() {
            claims.drop_claim(cpu);
            stay.not_before = Some(start + LONGEST_PAUSE);
            return;
        }
        self.at.store(cpu, Ordering::Relaxed);
        self.away.store(true, Ordering::Relaxed);
        area.set_patience(self.pauses.guest);
        stay.guest = Some(*area);
        stay.last = Sample::take();
        let late = start.elapsed() > CROWDED;
        drop(stay);
        if late && self.spin == Spin::Auto {
            self.stay_at_home();
            self.come_home(home, claims);
        }
    }

    #[cold]
    pub fn come_home(&self, home: usize, claims: &Claims) {
        if !self.is_away() {
            return;
        }
        let mut stay = self.stay.lock().unwrap();
        for area in [stay.guest.take(), stay.left.take()].into_iter().flatten() {
            area.set_patience(0);
            area.let_sleep();
        }
        claims.drop_claim(self.at.load(Ordering::Relaxed));
        // A refusal (a CPU set changed from outside) costs speed only.
        let _ = sys::set_affinity(0, home);
        self.at.store(home, Ordering::Relaxed);
        self.away.store(false, Ordering::Relaxed);
        let answered = self.streak.swap(0, Ordering::Relaxed);
        if self.spin == Spin::Always {
            return;
        }
        let needed = self.needed.load(Ordering::Relaxed);
        self.needed.store(
            if answered >= WORTH {
                (needed / 4).max(LEAST)
            } else {
                (needed * 2).min(MOST)
            },
            Ordering::Relaxed,
        );
        if answered >= GOOD {
            stay.pause = FIRST_PAUSE;
        }
    }

    /// Whether somebody else wants the CPU.
    #[cold]
    fn crowded(&self, claims: &Claims) -> bool {
        let mut stay = self.stay.lock().unwrap();
        let now = Sample::take();
        let last = std::mem::replace(&mut stay.last, now);
        let lost = (now.at - last.at).saturating_sub(now.ran.saturating_sub(last.ran));
        claims.contested(self.at.load(Ordering::Relaxed))
            || now.switches > last.switches && lost > CROWDED
    }

    fn stay_at_home(&self) {
        let mut stay = self.stay.lock().unwrap();
        stay.not_before = Some(Instant::now() + stay.pause);
        stay.pause = (stay.pause * 2).min(LONGEST_PAUSE);
        stay.nth += 1;
    }
}

/// What tells whether the calling thread got its CPU.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    ran: Duration,
    switches: i64,
}

impl Sample {
    fn take() -> Sample {
        let (ran, switches) = sys::own_activity();
        Sample {
            at: Instant::now(),
            ran,
            switches,
        }
    }
}

impl Pauses {
    /// Measures how long a spin-loop hint takes.
    fn measure() -> Pauses {
        const SAMPLE: u32 = 1000;
        let once = || {
            let start = Instant::now();
            (0..SAMPLE).for_each(|_| std::hint::spin_loop());
            start.elapsed()
        };
        let sample = (0..3).map(|_| once()).min().unwrap_or_default();
        let sample = sample.as_nanos().max(1);
        let count =
            |time: Duration| (time.as_nanos() * u128::from(SAMPLE) / sample).min(1 << 24) as u32;
        Pauses {
            patience: count(PATIENCE).max(1),
            saved: count(SAVED),
            longest: count(LONGEST_WAIT),
            guest: count(GUEST_PATIENCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_cpus_are_those_that_nobody_claims() {
        let claims = Claims::new(vec![2, 5, 7]);
        claims.claim(2);
        assert_eq!(claims.free(2, 0, false), Some(5));
        assert_eq!(claims.free(2, 2, false), Some(7));
        claims.claim(5);
        assert!(!claims.contested(5));
        claims.claim(5);
        assert!(claims.contested(5));
        claims.claim(7);
        assert_eq!(claims.free(2, 0, false), None);
        assert_eq!(claims.free(2, 0, true), Some(5));
        claims.drop_claim(7);
        assert_eq!(claims.free(2, 0, false), Some(7));
    }
}
