//! Load averages: the number of runnable tasks, sampled every five seconds and decayed (kernel/sched/loadavg.c).

use crate::sched;
use crate::sync::{Deadline, Lock, Rank};
use crate::time::timer;

/// Nanoseconds between samples (LOAD_FREQ).
const INTERVAL_NS: u64 = 5_000_000_000;
/// Decay per sample for 1, 5 and 15 minutes: exp(-5/60), exp(-5/300), exp(-5/900).
const DECAY: [f64; 3] = [0.920_044_414_6, 0.983_471_453_8, 0.994_459_848_0];

static AVERAGES: Lock<[f64; 3]> = Lock::new(Rank::LEAF, [0.0; 3]);

/// Begins sampling. Once, at boot.
pub fn start() {
    timer::call_at(Deadline::after(INTERVAL_NS), sample).detach();
}

fn sample() {
    let running = sched::nr_running() as f64;
    {
        let mut averages = AVERAGES.lock();
        for (average, decay) in averages.iter_mut().zip(DECAY) {
            *average = *average * decay + running * (1.0 - decay);
        }
    }
    start();
}

/// Over 1, 5 and 15 minutes.
pub fn averages() -> [f64; 3] {
    *AVERAGES.lock()
}
