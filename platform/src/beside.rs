//! Answers from the CPU beside. Guest thread and vCPU share a host CPU, since a hand-off across CPUs that has to wake the other
//! side is dear; but what costs most of a system call then is the host's two context switches. So while one guest thread
//! makes call after call, its vCPU's host thread moves to a host CPU that idles, and each waits for the other awake, for
//! some 50 microseconds at most. It comes home when the guest computes for longer, when the task blocks, and when somebody
//! else wants that CPU.

use crate::frame::Area;
use crate::sys;
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

/// How long each side waits for the other awake.
const PATIENCE: Duration = Duration::from_micros(50);
/// Traps of one thread in a row after which its vCPU leaves home: least and most. Moving there and back costs what some 15
/// traps gain.
const LEAST: u32 = 8;
const MOST: u32 = 4096;
/// Traps answered beside from which on it was worth it.
const WORTH: u32 = 16;
/// How often it looks whether the CPU is wanted, in traps.
const LOOK: u32 = 64;
/// Time without the CPU, while it could have run, that tells of somebody else on it.
const CROWDED: Duration = Duration::from_micros(300);
/// How long it then stays at home: first and longest. After a stay with `GOOD` traps the first again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const GOOD: u32 = 5000;

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
    fn free(&self, home: usize, nth: usize, any: bool) -> Option<usize> {
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
    /// Traps of the same thread in a row, at home; answered there, away.
    streak: AtomicU32,
    /// The streak that sends it away.
    needed: AtomicU32,
    /// Spin-loop hints that one side waits for the other.
    patience: u32,
    away: AtomicBool,
    /// The CPU it is at.
    at: Arc<AtomicUsize>,
    stay: Mutex<Stay>,
}

struct Stay {
    /// Whose traps are counted.
    guest: Option<Area>,
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
            needed: AtomicU32::new(if spin == Spin::Always { 1 } else { LEAST }),
            patience: if spin == Spin::Off {
                0
            } else {
                pauses(PATIENCE)
            },
            away: AtomicBool::new(false),
            at: Arc::new(AtomicUsize::new(home)),
            stay: Mutex::new(Stay {
                guest: None,
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
        if self.patience == 0 {
            return;
        }
        let streak = self.streak.load(Ordering::Relaxed);
        if !same {
            self.come_home(home, claims);
            self.streak.store(0, Ordering::Relaxed);
            return;
        }
        self.streak.store(streak + 1, Ordering::Relaxed);
        if !self.is_away() {
            return;
        }
        // The first answers find it asleep: it didn't know yet.
        if streak > 2 && area.sleeps() {
            self.come_home(home, claims);
        } else if streak.is_multiple_of(LOOK) && self.spin == Spin::Auto && self.crowded(claims) {
            self.stay_at_home();
            self.come_home(home, claims);
        }
    }

    /// After the guest thread in `area` got its answer: goes away if that pays.
    #[inline]
    pub fn after_reply(&self, home: usize, claims: &Claims, area: &Area) {
        if self.patience != 0
            && self.streak.load(Ordering::Relaxed) >= self.needed.load(Ordering::Relaxed)
            && !self.is_away()
        {
            self.go(home, claims, area);
        }
    }

    /// Away, waits awake until it is the kernel's turn, or until that takes too long: then it is at home.
    #[inline]
    pub fn await_turn(&self, home: usize, claims: &Claims, word: &AtomicU32) {
        if !self.is_away() {
            return;
        }
        for _ in 0..self.patience {
            match word.load(Ordering::Acquire) {
                state::GUEST | state::GUEST_WAITED => std::hint::spin_loop(),
                _ => return,
            }
        }
        self.come_home(home, claims);
    }

    #[cold]
    fn go(&self, home: usize, claims: &Claims, area: &Area) {
        self.streak.store(0, Ordering::Relaxed);
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
        area.set_patience(self.patience);
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
        if let Some(area) = stay.guest.take() {
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

/// How many spin-loop hints fill a time.
fn pauses(time: Duration) -> u32 {
    const SAMPLE: u32 = 1000;
    let once = || {
        let start = Instant::now();
        (0..SAMPLE).for_each(|_| std::hint::spin_loop());
        start.elapsed()
    };
    let sample = (0..3).map(|_| once()).min().unwrap_or(time);
    (time.as_nanos() * u128::from(SAMPLE) / sample.as_nanos().max(1)).min(1 << 20) as u32
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
