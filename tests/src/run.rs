//! Runs a list of programs through the driver, on the host or in machines, and
//! splits the driver's report into one outcome a program.

use crate::guest::{self, Program};
use crate::machine::Boot;
use crate::paths::Scratch;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What one program did: its output, and `exit <n>`, `signal <n>` or `timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub output: String,
    pub end: String,
}

/// Where the guest's side of a run takes place.
pub enum Place<'a> {
    Host,
    /// A machine started with these further arguments; `prepare` may change
    /// how it is started.
    Guest {
        args: &'a [&'a str],
        prepare: &'a dyn Fn(&mut Boot),
    },
}

/// Runs `programs` and returns the outcome of each by name. In a guest, a
/// machine that dies or hangs is started again for the programs that are
/// left; the one that ran at that moment gets the console's tail as output.
pub fn run(programs: &[Program], place: &Place) -> HashMap<String, Outcome> {
    let mut outcomes = HashMap::new();
    for on_disk in [false, true] {
        let mut left: Vec<&Program> = programs.iter().filter(|p| p.on_disk == on_disk).collect();
        while !left.is_empty() {
            let (report, note) = run_once(&left, on_disk, place);
            let (done, running) = split(&report);
            let before = left.len();
            left.retain(|p| !done.contains_key(&p.name));
            outcomes.extend(done);
            if left.is_empty() {
                break;
            }
            let culprit = running.unwrap_or_else(|| left[0].name.clone());
            left.retain(|p| p.name != culprit);
            outcomes.insert(
                culprit,
                Outcome {
                    output: note,
                    end: "machine died".into(),
                },
            );
            if left.len() == before {
                break;
            }
        }
    }
    outcomes
}

/// One driver run: its report and, for a guest, what to say about a machine
/// that didn't finish.
fn run_once(programs: &[&Program], on_disk: bool, place: &Place) -> (String, String) {
    let scratch = if on_disk {
        Scratch::on_disk("work")
    } else {
        Scratch::in_memory("work")
    };
    let plans = Scratch::on_disk("plan");
    let plan = plans.path().join("plan");
    let text: String = programs
        .iter()
        .map(|p| format!("{}\t{}\t{}\n", p.name, p.timeout, p.argv.join("\t")))
        .collect();
    std::fs::write(&plan, text).expect("the plan can be written");
    match place {
        Place::Host => (run_on_host(&plan, scratch.path()), String::new()),
        Place::Guest { args, prepare } => {
            let budget: u32 = programs.iter().map(|p| p.timeout).sum();
            let mut words: Vec<String> = args.iter().map(|a| (*a).to_string()).collect();
            words.push(format!("init={}", guest::driver().display()));
            words.push("--".into());
            words.push(plan.display().to_string());
            words.push(scratch.path().display().to_string());
            let mut boot = Boot::quiet(words);
            boot.timeout = Duration::from_secs(u64::from(budget) + 20);
            prepare(&mut boot);
            let mut watcher = Watchdog::new(programs);
            let ended = boot.run_watched(|console, _| watcher.still_alive(console));
            let how = match ended.status {
                Some(status) => format!("the machine ended with {status}"),
                None => "the machine was killed: no progress".to_string(),
            };
            let stray = if ended.strays.is_empty() {
                String::new()
            } else {
                format!("; {} processes stayed behind", ended.strays.len())
            };
            let note = format!("{how}{stray}; its last lines:\n{}\n", ended.tail(60));
            (ended.console, note)
        }
    }
}

/// Ends a machine whose present program is far over its own time, instead of
/// waiting for the sum of all times.
struct Watchdog {
    timeouts: HashMap<String, u32>,
    begun: usize,
    since: std::time::Instant,
}

impl Watchdog {
    fn new(programs: &[&Program]) -> Watchdog {
        Watchdog {
            timeouts: programs
                .iter()
                .map(|p| (p.name.clone(), p.timeout))
                .collect(),
            begun: 0,
            since: std::time::Instant::now(),
        }
    }

    fn still_alive(&mut self, console: &str) -> bool {
        let marks = console.matches("@begin ").count() + console.matches("@end ").count();
        if marks != self.begun {
            self.begun = marks;
            self.since = std::time::Instant::now();
        }
        let current = console
            .rsplit_once("@begin ")
            .and_then(|(_, rest)| rest.lines().next())
            .and_then(|name| self.timeouts.get(name.trim()));
        let patience = u64::from(current.copied().unwrap_or(30)) + 15;
        self.since.elapsed() < Duration::from_secs(patience)
    }
}

fn run_on_host(plan: &Path, dir: &Path) -> String {
    let output = Command::new(guest::driver())
        .arg(plan)
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .expect("the driver runs on the host");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The finished programs of a report, and the one that began but didn't end.
pub fn split(report: &str) -> (HashMap<String, Outcome>, Option<String>) {
    let mut done = HashMap::new();
    let mut current: Option<(String, String)> = None;
    for line in report.lines() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(name) = line.strip_prefix("@begin ") {
            current = Some((name.to_string(), String::new()));
        } else if let Some(rest) = line.strip_prefix("@end ") {
            if let Some((name, output)) = current.take()
                && let Some(end) = rest.strip_prefix(&name)
            {
                done.insert(
                    name,
                    Outcome {
                        output,
                        end: end.trim().to_string(),
                    },
                );
            }
        } else if let Some((_, output)) = &mut current {
            if let Some(text) = line.strip_prefix("@| ") {
                output.push_str(text);
                output.push('\n');
            } else if let Some(text) = line.strip_prefix("@+ ") {
                output.push_str(text);
            }
        }
    }
    (done, current.map(|(name, _)| name))
}

/// A line diff: ` ` common, `-` host, `+` guest; common lines only near changes.
pub fn diff(host: &str, guest: &str) -> String {
    let lines = full_diff(host, guest);
    let near = |i: usize| {
        let from = i.saturating_sub(CONTEXT);
        lines[from..(i + CONTEXT + 1).min(lines.len())]
            .iter()
            .any(|(mark, _)| *mark != ' ')
    };
    let (mut text, mut skipped) = (String::new(), false);
    for (i, (mark, line)) in lines.iter().enumerate() {
        if near(i) {
            if skipped {
                text.push_str("   ...\n");
            }
            text.push_str(&format!(" {mark} {line}\n"));
        }
        skipped = !near(i);
    }
    text
}

/// Unchanged lines shown before and after a change.
const CONTEXT: usize = 2;

fn full_diff<'a>(host: &'a str, guest: &'a str) -> Vec<(char, &'a str)> {
    let a: Vec<&str> = host.lines().collect();
    let b: Vec<&str> = guest.lines().collect();
    // Longest common subsequence; outputs are a few hundred lines at most.
    let mut table = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            table[i][j] = if a[i] == b[j] {
                table[i + 1][j + 1] + 1
            } else {
                table[i + 1][j].max(table[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push((' ', a[i]));
            i += 1;
            j += 1;
        } else if i < a.len() && (j == b.len() || table[i + 1][j] >= table[i][j + 1]) {
            lines.push(('-', a[i]));
            i += 1;
        } else {
            lines.push(('+', b[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_split_and_the_running_program_named() {
        let report = "[    0.1] noise\n@begin a/b\n@| x: 1\r\n[ 0.2] noise\n@+ y\n@end a/b exit 0\n@begin c/d\n@| z\n";
        let (done, running) = split(report);
        assert_eq!(
            done["a/b"],
            Outcome {
                output: "x: 1\ny".into(),
                end: "exit 0".into()
            }
        );
        assert_eq!(running.as_deref(), Some("c/d"));
    }

    #[test]
    fn a_diff_shows_both_sides() {
        assert_eq!(diff("a\nb\nc", "a\nx\nc\n"), "   a\n - b\n + x\n   c\n");
    }
}
