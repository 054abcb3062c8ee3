//! A set of numbers (pages) kept as disjoint, non-adjacent ranges: compact where pages come and go in runs.

use std::collections::BTreeMap;
use std::ops::Range;

/// The set.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct RangeSet {
    /// Start to end, exclusive.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl RangeSet {
    pub const fn new() -> RangeSet {
        RangeSet {
            runs: BTreeMap::new(),
            count: 0,
        }
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds `range`; returns how many of it are new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let (mut start, mut end) = (range.start, range.end);
        let mut absorbed = 0;
        if let Some((&s, &e)) = self.runs.range(..=start).next_back()
            && e >= start
        {
            if e >= end {
                return 0;
            }
            start = s;
            absorbed += e - s;
            self.runs.remove(&s);
        }
        while let Some((&s, &e)) = self.runs.range(start..=end).next() {
            end = end.max(e);
            absorbed += e - s;
            self.runs.remove(&s);
        }
        self.runs.insert(start, end);
        let new = (end - start) - absorbed;
        self.count += new;
        new
    }

    /// Takes `range` out; returns how many of it were in.
    pub fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut removed = 0;
        if let Some((&s, &e)) = self.runs.range(..range.start).next_back()
            && e > range.start
        {
            self.runs.insert(s, range.start);
            removed += e.min(range.end) - range.start;
            if e > range.end {
                self.runs.insert(range.end, e);
            }
        }
        while let Some((&s, &e)) = self.runs.range(range.clone()).next() {
            self.runs.remove(&s);
            removed += e.min(range.end) - s;
            if e > range.end {
                self.runs.insert(range.end, e);
            }
        }
        self.count -= removed;
        removed
    }

    pub fn clear(&mut self) {
        self.runs.clear();
        self.count = 0;
    }

    /// The run that `n` is in.
    pub fn run_at(&self, n: u64) -> Option<Range<u64>> {
        let (&s, &e) = self.runs.range(..=n).next_back()?;
        (n < e).then_some(s..e)
    }

    pub fn contains(&self, n: u64) -> bool {
        self.run_at(n).is_some()
    }

    /// Whether all of `range` is in.
    pub fn covers(&self, range: Range<u64>) -> bool {
        range.is_empty() || self.run_at(range.start).is_some_and(|r| r.end >= range.end)
    }

    /// The first member from `n` on.
    pub fn next_in(&self, n: u64) -> Option<u64> {
        if self.contains(n) {
            return Some(n);
        }
        self.runs.range(n..).next().map(|(&s, _)| s)
    }

    /// The first number from `n` on that isn't in.
    pub fn next_out(&self, n: u64) -> u64 {
        self.run_at(n).map_or(n, |r| r.end)
    }

    /// The runs inside `within`, cut to it.
    pub fn runs(&self, within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.run_at(within.start).map_or(within.start, |r| r.start);
        self.runs
            .range(first..within.end.max(first))
            .map(move |(&s, &e)| s.max(within.start)..e.min(within.end))
            .filter(|r| !r.is_empty())
    }

    /// The runs inside `within` that aren't in the set.
    pub fn gaps(&self, within: Range<u64>) -> Vec<Range<u64>> {
        let mut at = within.start;
        let mut out = Vec::new();
        for run in self.runs(within.clone()) {
            if run.start > at {
                out.push(at..run.start);
            }
            at = run.end;
        }
        if at < within.end {
            out.push(at..within.end);
        }
        out
    }

    /// How many of `within` are in.
    pub fn count_in(&self, within: Range<u64>) -> u64 {
        self.runs(within).map(|r| r.end - r.start).sum()
    }

    /// One past the greatest member; 0 when empty.
    pub fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, &e)| e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A small generator, so that failures repeat.
    struct Random(u64);
    impl Random {
        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    #[test]
    fn agrees_with_a_plain_set() {
        for seed in 1..60 {
            let mut rng = Random(0x9e37_79b9_7f4a_7c15 ^ (seed << 20));
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for _ in 0..300 {
                let a = rng.below(64);
                let b = a + rng.below(12);
                if rng.below(2) == 0 {
                    let new = (a..b).filter(|n| model.insert(*n)).count() as u64;
                    assert_eq!(set.insert(a..b), new);
                } else {
                    let old = (a..b).filter(|n| model.remove(n)).count() as u64;
                    assert_eq!(set.remove(a..b), old);
                }
                assert_eq!(set.count(), model.len() as u64);
                let flat: Vec<u64> = set.runs(0..100).flatten().collect();
                assert_eq!(flat, model.iter().copied().collect::<Vec<_>>());
                let gaps: Vec<u64> = set.gaps(5..50).into_iter().flatten().collect();
                let expected: Vec<u64> = (5..50).filter(|n| !model.contains(n)).collect();
                assert_eq!(gaps, expected);
                assert_eq!(set.next_in(a), model.range(a..).next().copied());
                assert_eq!(set.next_out(a), (a..).find(|n| !model.contains(n)).unwrap());
                assert_eq!(set.covers(a..b), (a..b).all(|n| model.contains(&n)));
                assert_eq!(set.end(), model.last().map_or(0, |n| n + 1));
                let mut last = None;
                for (&s, &e) in &set.runs {
                    assert!(s < e && last.is_none_or(|l| l < s), "not normal: {set:?}");
                    last = Some(e);
                }
            }
        }
    }
}
