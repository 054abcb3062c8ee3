//! Queues of pending signals: a bit for each number, and what is known about each one sent.
//!
//! A standard signal is pending once, real-time ones as often as they were sent, within RLIMIT_SIGPENDING of the
//! receiver's real user. A bit without an entry is a signal whose details were lost or never kept (SIGKILL).

use crate::sync::{Lock, Rank};
use abi::signal::{SIGRTMIN, SigSet, Siginfo};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A timer behind a queued signal: told, without locks held, when the signal is taken.
pub trait SignalSource: Send + Sync {
    /// Completes `info` (the overrun count) and rearms. False: the timer is gone, the signal isn't delivered.
    fn taken(&self, info: &mut Siginfo) -> bool;
}

/// A pending signal with its details.
pub struct Queued {
    pub info: Siginfo,
    pub source: Option<Arc<dyn SignalSource>>,
    _charge: Option<Charge>,
}

impl Queued {
    pub fn new(info: Siginfo, charge: Option<Charge>) -> Queued {
        Queued {
            info,
            source: None,
            _charge: charge,
        }
    }

    /// A timer's signal; timers are charged when they are created, not when they fire.
    pub fn from_source(info: Siginfo, source: Arc<dyn SignalSource>) -> Queued {
        Queued {
            info,
            source: Some(source),
            _charge: None,
        }
    }
}

/// Pending signals of a thread or a process.
#[derive(Default)]
pub struct SigQueue {
    pub set: SigSet,
    queue: VecDeque<Queued>,
}

impl SigQueue {
    /// Whether a standard signal is pending already, so that another one changes nothing (legacy_queue()).
    pub fn merges(&self, signo: i32) -> bool {
        signo < SIGRTMIN && self.set.contains(signo)
    }

    pub fn push(&mut self, entry: Queued) {
        self.set.add(entry.info.si_signo);
        self.queue.push_back(entry);
    }

    /// The next signal outside of `blocked`: faults first, then by number (next_signal()).
    pub fn next(&self, blocked: SigSet) -> Option<i32> {
        let open = self.set.difference(blocked);
        open.intersection(SigSet::SYNCHRONOUS)
            .first()
            .or_else(|| open.first())
    }

    /// Takes the oldest `signo`, which must be pending (collect_signal()).
    pub fn take(&mut self, signo: i32) -> Queued {
        let at = self.queue.iter().position(|q| q.info.si_signo == signo);
        let entry = at.and_then(|at| self.queue.remove(at));
        if !self.queue.iter().any(|q| q.info.si_signo == signo) {
            self.set.del(signo);
        }
        entry.unwrap_or_else(|| Queued::new(Siginfo::kill(signo, 0, 0), None))
    }

    /// Takes the oldest fault signal that the kernel raised (dequeue_synchronous_signal()).
    pub fn take_synchronous(&mut self, blocked: SigSet) -> Option<Queued> {
        let open = self
            .set
            .difference(blocked)
            .intersection(SigSet::SYNCHRONOUS);
        if open.is_empty() {
            return None;
        }
        let at = self
            .queue
            .iter()
            .position(|q| open.contains(q.info.si_signo) && q.info.si_code > 0)?;
        let entry = self.queue.remove(at)?;
        let signo = entry.info.si_signo;
        if !self.queue.iter().any(|q| q.info.si_signo == signo) {
            self.set.del(signo);
        }
        Some(entry)
    }

    /// Drops every signal of `mask`; the entries are handed out to be dropped without locks held.
    #[must_use]
    pub fn flush(&mut self, mask: SigSet) -> Vec<Queued> {
        if !self.set.intersects(mask) {
            return Vec::new();
        }
        self.set = self.set.difference(mask);
        let (gone, kept) = self
            .queue
            .drain(..)
            .partition(|q| mask.contains(q.info.si_signo));
        self.queue = kept;
        gone.into()
    }

    /// Drops entries that `source` queued (timer_delete).
    #[must_use]
    pub fn remove_source(&mut self, source: &Arc<dyn SignalSource>) -> Vec<Queued> {
        let is_it = |q: &Queued| q.source.as_ref().is_some_and(|s| Arc::ptr_eq(s, source));
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = self.queue.drain(..).partition(is_it);
        self.queue = kept;
        for entry in &gone {
            let signo = entry.info.si_signo;
            if !self.queue.iter().any(|q| q.info.si_signo == signo) {
                self.set.del(signo);
            }
        }
        gone.into()
    }

    /// Whether an entry of `source` waits.
    pub fn has_source(&self, source: &Arc<dyn SignalSource>) -> bool {
        self.queue
            .iter()
            .any(|q| q.source.as_ref().is_some_and(|s| Arc::ptr_eq(s, source)))
    }
}

static CHARGED: Lock<BTreeMap<u32, u64>> = Lock::new(Rank::LEAF, BTreeMap::new());

/// One queued signal on the account of a user; given back on drop.
pub struct Charge(u32);

impl Charge {
    /// None when the user has `limit` signals queued already, unless `force`.
    pub fn new(uid: u32, limit: u64, force: bool) -> Option<Charge> {
        let mut charged = CHARGED.lock();
        let count = charged.entry(uid).or_insert(0);
        if *count >= limit && !force {
            return None;
        }
        *count += 1;
        Some(Charge(uid))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut charged = CHARGED.lock();
        if let Some(count) = charged.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                charged.remove(&self.0);
            }
        }
    }
}

/// Signals (and timers) charged to user `uid`: SigQ of /proc/pid/status.
pub fn charged(uid: u32) -> u64 {
    CHARGED.lock().get(&uid).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::signal as sig;

    fn queue(of: &[(i32, u64)]) -> SigQueue {
        let mut q = SigQueue::default();
        for (signo, value) in of {
            q.push(Queued::new(Siginfo::queue(*signo, 1, 0, *value), None));
        }
        q
    }

    #[test]
    fn realtime_signals_keep_order_and_count() {
        let mut q = queue(&[(40, 1), (35, 2), (40, 3)]);
        assert_eq!(q.next(SigSet::EMPTY), Some(35));
        assert_eq!(q.take(35).info.value(), 2);
        assert_eq!(q.take(40).info.value(), 1);
        assert!(q.set.contains(40));
        assert_eq!(q.take(40).info.value(), 3);
        assert!(q.set.is_empty());
    }

    #[test]
    fn faults_come_first() {
        let mut q = queue(&[(sig::SIGHUP, 0)]);
        q.push(Queued::new(
            Siginfo::fault(sig::SIGSEGV, sig::SEGV_MAPERR, 8),
            None,
        ));
        assert_eq!(q.next(SigSet::EMPTY), Some(sig::SIGSEGV));
        let fault = q.take_synchronous(SigSet::EMPTY).expect("a fault");
        assert_eq!(fault.info.addr(), 8);
        assert_eq!(q.next(SigSet::EMPTY), Some(sig::SIGHUP));
        assert_eq!(q.next(SigSet::of(&[sig::SIGHUP])), None);
    }

    #[test]
    fn a_bit_without_entry_comes_from_nobody() {
        let mut q = SigQueue::default();
        q.set.add(sig::SIGTERM);
        let info = q.take(sig::SIGTERM).info;
        assert_eq!((info.si_code, info.pid(), info.uid()), (sig::SI_USER, 0, 0));
        assert!(q.set.is_empty());
    }

    #[test]
    fn flushing_keeps_the_rest() {
        let mut q = queue(&[(sig::SIGCONT, 0), (40, 1), (sig::SIGTSTP, 0)]);
        assert_eq!(q.flush(SigSet::of(&[sig::SIGCONT])).len(), 1);
        assert_eq!(q.set, SigSet::of(&[40, sig::SIGTSTP]));
    }

    #[test]
    fn charges_are_limited_and_given_back() {
        let uid = 4_000_000_001;
        let one = Charge::new(uid, 1, false);
        assert!(one.is_some());
        assert!(Charge::new(uid, 1, false).is_none());
        assert!(Charge::new(uid, 1, true).is_some());
        drop(one);
        assert_eq!(charged(uid), 0);
    }
}
