//! Where vCPUs run. A vCPU and the guest threads on it share one host CPU, so the host's balancer can't help: when one CPU has
//! more work than it can do while another idles, the watchdog moves the vCPU. Guest threads and agents follow when they
//! next run.

use std::collections::HashMap;

/// A vCPU is crowded when its host thread waited this part of the time for the CPU.
const CROWDED: f64 = 0.4;
/// Another CPU is worth a move when it idled this part of the time.
const ROOM: f64 = 0.4;

/// What is remembered of a vCPU between two looks.
#[derive(Default)]
pub struct Crowd {
    /// Time its host thread has waited for the CPU, nanoseconds.
    waited: u64,
    at: u64,
    /// Idle ticks of each CPU when it was first found crowded, and when that was.
    idle: Option<(u64, HashMap<usize, u64>)>,
}

impl Crowd {
    /// A look at `now` nanoseconds at the vCPU of host thread `tid`: where it should move, if anywhere. `allowed`: the CPUs
    /// the process may use; `taken`: those of the other vCPUs.
    pub fn look(
        &mut self,
        now: u64,
        tid: i32,
        cpu: usize,
        allowed: &[usize],
        taken: &[usize],
    ) -> Option<usize> {
        let waited = run_delay(tid)?;
        let part =
            waited.saturating_sub(self.waited) as f64 / now.saturating_sub(self.at).max(1) as f64;
        let first = self.at == 0;
        (self.waited, self.at) = (waited, now);
        if first || part < CROWDED {
            self.idle = None;
            return None;
        }
        let idle = idle_ticks(&std::fs::read_to_string("/proc/stat").ok()?);
        let (since, old) = self.idle.replace((now, idle))?;
        let ticks = (now - since) as f64 / 10_000_000.0;
        let (_, idle) = self.idle.as_ref()?;
        allowed
            .iter()
            .filter(|c| **c != cpu && !taken.contains(c))
            .filter_map(|c| Some((*c, idle.get(c)?.saturating_sub(*old.get(c)?) as f64 / ticks)))
            .filter(|c| c.1 > ROOM)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|c| c.0)
    }
}

/// Nanoseconds that a thread of this process has waited for a CPU; `None` on hosts that don't count it.
fn run_delay(tid: i32) -> Option<u64> {
    let s = std::fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).ok()?;
    s.split_whitespace().nth(1)?.parse().ok()
}

/// Idle time of each CPU in ticks of 10 ms, from /proc/stat.
fn idle_ticks(stat: &str) -> HashMap<usize, u64> {
    let cpu = |line: &str| {
        let mut f = line.split_whitespace();
        let n = f.next()?.strip_prefix("cpu")?.parse().ok()?;
        let (idle, iowait): (u64, u64) = (f.nth(3)?.parse().ok()?, f.next()?.parse().ok()?);
        Some((n, idle + iowait))
    };
    stat.lines().filter_map(cpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_times() {
        let t = idle_ticks("cpu  9 9 9 9 9 9\ncpu0 1 2 3 40 5 6 7\ncpu17 1 2 3 4 5\nintr 1\n");
        assert_eq!((t[&0], t[&17], t.len()), (45, 9, 2));
    }
}
