//! Time. One clock for the kernel and its guests: a line through (TSC, nanoseconds) in a page that guests map read-only in
//! front of the vDSO image. The line is bent twice a second so that it follows the host's CLOCK_MONOTONIC; it never
//! goes back. Where the host doesn't trust its TSC, everybody asks the host.

use crate::PageCacheMemory;
use crate::sys::Mapping;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The page, as the vDSO's code reads it.
#[repr(C)]
pub(crate) struct Vvar {
    /// Odd while the line changes.
    pub seq: AtomicU32,
    /// 1: the TSC counts.
    pub mode: AtomicU32,
    pub base_tsc: AtomicU64,
    pub base_ns: AtomicU64,
    /// Nanoseconds a tick, 32.32 fixed point.
    pub mult: AtomicU64,
    pub reserved: [u64; 4],
    /// What to add to the line, by clock id (0 to 7).
    pub offsets: [AtomicI64; 8],
    /// vCPU number by host CPU; `NO_VCPU` where that isn't one vCPU's alone.
    pub vcpus: [AtomicU8; 1024],
}

/// No single vCPU on this host CPU.
pub(crate) const NO_VCPU: u8 = 255;

static PAGE: AtomicPtr<Vvar> = AtomicPtr::new(std::ptr::null_mut());
static OFFSET: AtomicU64 = AtomicU64::new(0);
/// The guest's real time minus the host's; its monotonic time minus the host's.
static REAL: AtomicI64 = AtomicI64::new(0);
static MONO: AtomicI64 = AtomicI64::new(0);

/// Where the TSC isn't trusted: the guest's monotonic time while it stands still.
static STANDS_AT: AtomicU64 = AtomicU64::new(0);
/// The host's monotonic time at which the guest's stopped; 0 while it runs. Changed by writers of the page.
static STOPPED_AT: AtomicU64 = AtomicU64::new(0);

/// Writers of the page: what they remember is the pair that the rate is measured from.
static STATE: Mutex<Option<Pair>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Pair {
    tsc: u64,
    ns: u64,
}

fn state() -> MutexGuard<'static, Option<Pair>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn host(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the timespec is valid for the call.
    unsafe { libc::clock_gettime(clock, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

fn tsc() -> u64 {
    // SAFETY: every x86-64 CPU has both; they touch no memory.
    unsafe {
        std::arch::x86_64::_mm_lfence();
        std::arch::x86_64::_rdtsc()
    }
}

/// TSC and CLOCK_MONOTONIC at one moment: the tightest of a few readings.
fn pair() -> Pair {
    (0..5)
        .map(|_| {
            let (before, ns, after) = (tsc(), host(libc::CLOCK_MONOTONIC), tsc());
            (
                after.wrapping_sub(before),
                Pair {
                    tsc: before + after.wrapping_sub(before) / 2,
                    ns,
                },
            )
        })
        .min_by_key(|p| p.0)
        .expect("five readings")
        .1
}

/// Whether the TSC runs at one rate always, and the host itself keeps time by it.
fn trusted() -> bool {
    let invariant = std::arch::x86_64::__cpuid(0x8000_0000).eax >= 0x8000_0007
        && std::arch::x86_64::__cpuid(0x8000_0007).edx >> 8 & 1 == 1;
    let name =
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    invariant
        && name.is_ok_and(|n| {
            matches!(
                n.trim(),
                "tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page"
            )
        })
}

fn page() -> Option<&'static Vvar> {
    // SAFETY: null, or the page in the page-cache mapping that `start` published and that is never unmapped.
    unsafe { PAGE.load(Ordering::Acquire).as_ref() }
}

/// Begins time: puts the page at `offset` of the page-cache memory. With several platforms in one process, the last one's
/// guests have the vDSO's fast clocks.
pub(crate) fn start(cache: &PageCacheMemory, offset: u64) -> std::io::Result<()> {
    let mut st = state();
    // A mapping of its own, kept for ever: readers of the clock hold no reference to a platform.
    let map = std::mem::ManuallyDrop::new(Mapping::shared(
        cache.read_write(),
        offset,
        crate::PAGE_SIZE,
    )?);
    let raw: *mut Vvar = map.at(0, crate::PAGE_SIZE).cast();
    // SAFETY: page-aligned, zero-filled memory of the mapping, big enough, all fields are atomics or unused.
    let v = unsafe { &*raw };
    v.vcpus
        .iter()
        .for_each(|c| c.store(NO_VCPU, Ordering::Relaxed));
    if trusted() {
        let a = pair();
        std::thread::sleep(std::time::Duration::from_millis(10));
        let b = pair();
        v.base_tsc.store(b.tsc, Ordering::Relaxed);
        v.base_ns.store(b.ns, Ordering::Relaxed);
        v.mult.store(rate(a, b), Ordering::Relaxed);
        v.mode.store(1, Ordering::Relaxed);
        *st = Some(a);
    }
    OFFSET.store(offset, Ordering::Relaxed);
    PAGE.store(raw, Ordering::Release);
    put_offsets(v);
    Ok(())
}

fn rate(a: Pair, b: Pair) -> u64 {
    (((b.ns - a.ns) as u128) << 32)
        .checked_div((b.tsc - a.tsc) as u128)
        .unwrap_or(0) as u64
}

/// A line through a pair, with a slope in nanoseconds a tick, 32.32 fixed point.
#[derive(Clone, Copy)]
struct Line {
    base: Pair,
    mult: u64,
}

impl Line {
    fn of(v: &Vvar) -> Line {
        Line {
            base: Pair {
                tsc: v.base_tsc.load(Ordering::Relaxed),
                ns: v.base_ns.load(Ordering::Relaxed),
            },
            mult: v.mult.load(Ordering::Relaxed),
        }
    }

    fn put(&self, v: &Vvar) {
        v.base_tsc.store(self.base.tsc, Ordering::Relaxed);
        v.base_ns.store(self.base.ns, Ordering::Relaxed);
        v.mult.store(self.mult, Ordering::Relaxed);
    }

    fn at(&self, tsc: u64) -> u64 {
        let ticks = tsc.saturating_sub(self.base.tsc);
        self.base.ns + ((ticks as u128 * self.mult as u128) >> 32) as u64
    }

    /// The line from `tsc` on that makes up for the error seen at `seen`, somewhat earlier, in a second: at most one part in
    /// a hundred faster or slower; a jump of the host is followed at once if it is ahead. `measured`: the host's slope.
    /// It begins no lower than this one is by then, however late that is.
    fn bent(&self, seen: Pair, measured: u64, tsc: u64) -> Line {
        let here = self.at(tsc);
        let error = seen.ns as i64 - self.at(seen.tsc) as i64;
        let (ns, bend) = if error > 10_000_000 {
            let host = Line {
                base: seen,
                mult: measured,
            };
            (here.max(host.at(tsc)), 0)
        } else {
            (here, error.clamp(-10_000_000, 10_000_000))
        };
        let mult = measured as i128 + measured as i128 * bend as i128 / 1_000_000_000;
        Line {
            base: Pair { tsc, ns },
            mult: mult as u64,
        }
    }
}

/// Bends the line towards the host's clock. Called about twice a second.
pub(crate) fn follow_host() {
    let mut st = state();
    let (Some(v), Some(first)) = (page(), *st) else {
        return;
    };
    if stands_still() {
        return;
    }
    let now = pair();
    if now.tsc <= v.base_tsc.load(Ordering::Relaxed) || now.ns <= first.ns {
        return;
    }
    let measured = rate(first, now);
    // This thread may have lost the CPU since `now`: what readers saw meanwhile counts.
    change(v, || Line::of(v).bent(now, measured, tsc()).put(v));
    put_offsets(v);
    // Measure the rate over the last minute or so: the host's own rate is adjusted from outside.
    if now.ns - first.ns > 60_000_000_000 {
        *st = Some(Pair {
            tsc: first.tsc + (now.tsc - first.tsc) / 2,
            ns: first.ns + (now.ns - first.ns) / 2,
        });
    }
}

fn change(v: &Vvar, f: impl FnOnce()) {
    let seq = v.seq.load(Ordering::Relaxed);
    v.seq.store(seq.wrapping_add(1), Ordering::Relaxed);
    // In full: no reader may look at the clock after `f` does and then still find the old number.
    fence(Ordering::SeqCst);
    f();
    v.seq.store(seq.wrapping_add(2), Ordering::Release);
}

/// The host's real time may be set: its distance from the monotonic one is looked up anew.
fn put_offsets(v: &Vvar) {
    let mono = MONO.load(Ordering::Relaxed);
    // The two readings are some tens of nanoseconds apart: only a real change counts.
    let old = v.offsets[0].load(Ordering::Relaxed);
    let new = real_offset();
    let real = if (new - old).abs() > 2_000 { new } else { old };
    change(v, || set_offsets(v, real, mono));
}

/// How far the guest's real time is ahead of the host's monotonic one.
fn real_offset() -> i64 {
    host(libc::CLOCK_REALTIME) as i64 - host(libc::CLOCK_MONOTONIC) as i64
        + REAL.load(Ordering::Relaxed)
}

fn set_offsets(v: &Vvar, real: i64, mono: i64) {
    for (id, o) in v.offsets.iter().enumerate() {
        let is_real = id as i32 == libc::CLOCK_REALTIME || id as i32 == libc::CLOCK_REALTIME_COARSE;
        o.store(if is_real { real } else { mono }, Ordering::Relaxed);
    }
}

/// The line plus a clock's offset, or `None` where the TSC isn't trusted.
fn read(id: usize) -> Option<u64> {
    let v = page()?;
    loop {
        let seq = v.seq.load(Ordering::Acquire);
        if v.mode.load(Ordering::Relaxed) != 1 {
            return None;
        }
        let t = Line::of(v).at(tsc()) as i64 + v.offsets[id].load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if seq & 1 == 0 && v.seq.load(Ordering::Relaxed) == seq {
            return Some(t as u64);
        }
        std::hint::spin_loop();
    }
}

/// The host's CLOCK_MONOTONIC in nanoseconds (to within a few microseconds), as deadlines are given in.
pub fn monotonic_ns() -> u64 {
    match read(libc::CLOCK_MONOTONIC as usize) {
        Some(t) => (t as i64 - MONO.load(Ordering::Relaxed)) as u64,
        None => host(libc::CLOCK_MONOTONIC),
    }
}

/// The guest's CLOCK_MONOTONIC in nanoseconds: [`monotonic_ns`] plus its offset.
pub fn guest_monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC as usize).unwrap_or_else(|| {
        // With writers kept out, so that it never goes back.
        let _st = state();
        match STANDS_AT.load(Ordering::Relaxed) {
            0 => (host(libc::CLOCK_MONOTONIC) as i64 + MONO.load(Ordering::Relaxed)) as u64,
            at => at,
        }
    })
}

/// Whether [`stop`] has stopped time.
pub fn stands_still() -> bool {
    STOPPED_AT.load(Ordering::Relaxed) != 0
}

/// Stops time for the kernel and its guests: all clocks that are read through the page stand still, [`monotonic_ns`] too. To
/// be called when no guest runs.
pub fn stop() {
    let _st = state();
    if stands_still() {
        return;
    }
    let now = host(libc::CLOCK_MONOTONIC);
    STOPPED_AT.store(now, Ordering::Relaxed);
    STANDS_AT.store(
        (now as i64 + MONO.load(Ordering::Relaxed)) as u64,
        Ordering::Relaxed,
    );
    if let Some(v) = page() {
        change(v, || {
            let tsc = tsc();
            let ns = Line::of(v).at(tsc);
            let base = Pair { tsc, ns };
            Line { base, mult: 0 }.put(v);
        });
    }
}

/// Time goes on: the guest's monotonic clock from where it stopped, its real time where the host's is now. Returns how long it
/// stood, in nanoseconds.
pub fn go_on() -> u64 {
    let st = state();
    if !stands_still() {
        return 0;
    }
    let (now, stopped) = (pair(), STOPPED_AT.load(Ordering::Relaxed));
    let stood = now.ns.saturating_sub(stopped);
    match (page(), *st) {
        (Some(v), Some(first)) => {
            // The line had an error of its own when it was stopped: it is the line that must not go back.
            let stood = now.ns.saturating_sub(v.base_ns.load(Ordering::Relaxed));
            let mono = MONO.load(Ordering::Relaxed) - stood as i64;
            MONO.store(mono, Ordering::Relaxed);
            let real = real_offset();
            change(v, || {
                let mult = rate(first, now);
                Line { base: now, mult }.put(v);
                set_offsets(v, real, mono);
            });
        }
        _ => {
            MONO.fetch_sub(stood as i64, Ordering::Relaxed);
        }
    }
    STANDS_AT.store(0, Ordering::Relaxed);
    STOPPED_AT.store(0, Ordering::Relaxed);
    stood
}

/// The guest's CLOCK_REALTIME in nanoseconds since 1970.
pub fn realtime_ns() -> u64 {
    read(libc::CLOCK_REALTIME as usize).unwrap_or_else(|| {
        (host(libc::CLOCK_REALTIME) as i64 + REAL.load(Ordering::Relaxed)) as u64
    })
}

/// Sets the guest's CLOCK_REALTIME to the host's plus `offset_ns`.
pub fn set_realtime_offset(offset_ns: i64) {
    let _st = state();
    REAL.store(offset_ns, Ordering::Relaxed);
    if let Some(v) = page() {
        put_offsets(v);
    }
}

/// Sets the guest's CLOCK_MONOTONIC (and BOOTTIME) to the host's CLOCK_MONOTONIC plus `offset_ns`; a guest that boots now
/// has `-(monotonic_ns() as i64)`. The vDSO and [`guest_monotonic_ns`] follow; `monotonic_ns` and deadlines don't.
pub fn set_monotonic_offset(offset_ns: i64) {
    let _st = state();
    MONO.store(offset_ns, Ordering::Relaxed);
    if let Some(v) = page() {
        put_offsets(v);
    }
}

/// Offset in the page-cache memory of the page that guests map read-only in front of the vDSO image.
pub fn vvar_offset() -> u64 {
    OFFSET.load(Ordering::Relaxed)
}

/// A vCPU is on this host CPU now.
pub(crate) fn vcpu_at(index: usize, host_cpu: usize) {
    let Some(v) = page() else { return };
    let Some(slot) = v.vcpus.get(host_cpu) else {
        return;
    };
    let mine = u8::try_from(index).unwrap_or(NO_VCPU);
    for (cpu, s) in v.vcpus.iter().enumerate() {
        if cpu != host_cpu {
            let _ = s.compare_exchange(mine, NO_VCPU, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
    // Two vCPUs on one CPU: neither can be told from it, for good (254).
    let old = slot.load(Ordering::Relaxed);
    let new = if old == NO_VCPU || old == mine {
        mine
    } else {
        SHARED_CPU
    };
    slot.store(new, Ordering::Relaxed);
}

/// Several vCPUs have been on this host CPU.
pub(crate) const SHARED_CPU: u8 = 254;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_of_a_gigahertz() {
        let (a, b) = (
            Pair { tsc: 0, ns: 0 },
            Pair {
                tsc: 2_000_000_000,
                ns: 1_000_000_000,
            },
        );
        assert_eq!(rate(a, b), 1 << 31);
    }

    #[test]
    fn a_line_bent_late_does_not_go_back() {
        let base = Pair { tsc: 0, ns: 0 };
        // One nanosecond a tick, but the host is slower by half.
        let (fast, measured) = (
            Line {
                base,
                mult: 1 << 32,
            },
            1 << 31,
        );
        let seen = Pair {
            tsc: 1_000_000,
            ns: 500_000,
        };
        for late in [0, 1000, 5_000_000] {
            let tsc = seen.tsc + late;
            let bent = fast.bent(seen, measured, tsc);
            assert!(bent.at(tsc) >= fast.at(tsc));
            assert!(bent.mult < measured);
        }
        // The host is ahead by more than it takes to follow at once.
        let ahead = Pair {
            ns: 50_000_000,
            ..seen
        };
        let bent = fast.bent(ahead, measured, seen.tsc + 2000);
        assert_eq!(bent.at(seen.tsc + 2000), 50_001_000);
    }
}
