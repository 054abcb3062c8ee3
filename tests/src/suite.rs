//! Makes a libtest line of each program. All selected programs of a group
//! share one host run and one boot, done when the first of them is asked for.

use crate::guest::{self, Program};
use crate::machine::Boot;
use crate::paths;
use crate::run::{self, Outcome, Place};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

/// Runs on the host of a program whose first answer isn't the guest's.
const HOST_AGAIN: usize = 3;

/// The outcomes of one group on both sides.
struct Group {
    programs: Vec<Program>,
    args: Vec<&'static str>,
    both: OnceLock<(HashMap<String, Outcome>, HashMap<String, Outcome>)>,
}

impl Group {
    fn outcomes(&self) -> &(HashMap<String, Outcome>, HashMap<String, Outcome>) {
        self.both.get_or_init(|| {
            let hosted: Vec<Program> = self
                .programs
                .iter()
                .filter(|p| p.expect.is_none())
                .cloned()
                .collect();
            let mut host = run::run(&hosted, &Place::Host);
            for program in &self.programs {
                if let Some(expect) = &program.expect {
                    let fixed = Outcome {
                        output: expect.clone(),
                        end: "exit 0".into(),
                    };
                    host.insert(program.name.clone(), fixed);
                }
            }
            if std::env::var_os("UMLAUT_HOST_ONLY").is_some() {
                return (host.clone(), host);
            }
            let guest = run::run(
                &self.programs,
                &Place::Guest {
                    args: &self.args,
                    prepare: &|_: &mut Boot| {},
                },
            );
            (host, guest)
        })
    }

    /// Compares one program's two sides.
    fn verdict(&self, program: &Program) -> Result<(), String> {
        guest::build_if_c(program)?;
        let (host, guest) = self.outcomes();
        let missing = Outcome {
            output: String::new(),
            end: "not run".into(),
        };
        let mut host = host.get(&program.name).unwrap_or(&missing).clone();
        let guest = guest.get(&program.name).unwrap_or(&missing);
        // Some answers are left to chance by Linux itself (who of two is first):
        // any that the host gives is right.
        for _ in 0..HOST_AGAIN {
            if host == *guest || program.expect.is_some() {
                break;
            }
            let mut again = run::run(std::slice::from_ref(program), &Place::Host);
            let Some(other) = again.remove(&program.name) else {
                break;
            };
            if other == *guest && other.end == "exit 0" {
                eprintln!(
                    "{}: the host's answers differ, one is the guest's",
                    program.name
                );
            }
            if other == *guest || host.end != "exit 0" {
                host = other;
            }
        }
        if host.end != "exit 0" {
            return Err(format!(
                "the program fails on the host ({}):\n{}",
                host.end, host.output
            ));
        }
        if host == *guest {
            return Ok(());
        }
        let mut text = format!("host: {}, guest: {}\n", host.end, guest.end);
        if guest.end == "machine died" {
            text.push_str(&guest.output);
        } else {
            text.push_str("   (both)  - host  + guest\n");
            text.push_str(&run::diff(&host.output, &guest.output));
        }
        Err(text)
    }
}

/// Runs `programs` as libtest does, with its options.
pub fn main(programs: Vec<Program>) -> ExitCode {
    let mut args = Arguments::from_args();
    // A machine has both CPUs to itself unless asked otherwise.
    args.test_threads.get_or_insert(1);
    let known = expected_failures();
    for name in known.keys() {
        let group = name.split('/').next().unwrap_or_default();
        let ours = programs.iter().any(|p| p.group == group);
        if ours && !programs.iter().any(|p| &p.name == name) {
            eprintln!("tests/expected-failures.txt names {name}, which doesn't exist");
            return ExitCode::FAILURE;
        }
    }
    let root = rustix::process::geteuid().is_root();
    let shown = args.list;
    let selected: Vec<Program> = programs
        .into_iter()
        .filter(|p| !p.needs_root || root || shown)
        .filter(|p| !args.is_filtered_out(&Trial::test(p.name.clone(), || Ok(()))))
        .collect();
    if !shown && !selected.is_empty() {
        if let Err(message) = guest::build(&paths::root().join("tests/guest/driver.c")) {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
        for program in &selected {
            // A failure shows as this program's own, see verdict().
            let _ = guest::build_if_c(program);
        }
    }
    let mut groups: HashMap<String, Vec<Program>> = HashMap::new();
    for program in &selected {
        groups
            .entry(program.group.clone())
            .or_default()
            .push(program.clone());
    }
    let groups: HashMap<String, Arc<Group>> = groups
        .into_iter()
        .map(|(name, programs)| {
            let group = Group {
                programs,
                args: vec!["mem=1G", "ncpus=2", "rw"],
                both: OnceLock::new(),
            };
            (name, Arc::new(group))
        })
        .collect();
    let trials = selected
        .into_iter()
        .map(|program| {
            let group = groups[&program.group].clone();
            let reason = known.get(&program.name).cloned();
            Trial::ignorable_test(program.name.clone(), move || {
                judge(group.verdict(&program), reason)
            })
        })
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}

/// Weighs a verdict against the list of expected failures.
fn judge(verdict: Result<(), String>, reason: Option<String>) -> Result<Completion, Failed> {
    match (verdict, reason) {
        (Ok(()), None) => Ok(Completion::Completed),
        (Err(text), None) => Err(text.into()),
        (Err(_), Some(reason)) => Ok(Completion::ignored_with(format!(
            "expected failure: {reason}"
        ))),
        (Ok(()), Some(reason)) => Err(format!(
            "passes, but tests/expected-failures.txt expects it to fail ({reason}): remove the line"
        )
        .into()),
    }
}

/// `tests/expected-failures.txt`: a name and a reason a line, `#` for comments.
fn expected_failures() -> HashMap<String, String> {
    let path = paths::root().join("tests/expected-failures.txt");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|l| {
            let (name, reason) = l.split_once(char::is_whitespace).unwrap_or((l, ""));
            (name.to_string(), reason.trim().to_string())
        })
        .collect()
}

/// A named check that says what went wrong.
pub type Check = (&'static str, fn() -> Result<(), String>);

/// Runs plain checks as libtest does, with the same list of expected failures.
pub fn checks(list: &[Check]) -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(1);
    let known = expected_failures();
    let trials = list
        .iter()
        .map(|&(name, check)| {
            let reason = known.get(name).cloned();
            Trial::ignorable_test(name, move || judge(check(), reason))
        })
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}
