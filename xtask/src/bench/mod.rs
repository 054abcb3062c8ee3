//! `cargo xtask bench`: the same programs on the host, in Umlaut (as it is by
//! default, and with `spin=off`) and, where it runs, in Debian's
//! user-mode-linux; a table with the ratios to native and the goals of
//! `docs/specification.md`.

mod goals;
mod lua;
mod place;

use goals::{Better, GOALS, Goal};
use place::Place;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use umlaut_tests::paths::{self, Scratch};

/// How often each row is measured on the host and in Umlaut; the best counts.
const ROUNDS: usize = 2;
/// The same for the work of four threads.
const SCALING_ROUNDS: usize = 4;

/// Values by row name.
type Rows = HashMap<String, f64>;

/// Measures every row, or those whose name contains `only`.
pub fn run(only: Option<&str>) -> Result<(), String> {
    let linux = build()?;
    let tools = Scratch::on_disk("bench");
    let micro = tools.path().join("micro");
    let source = paths::root().join("tests/bench/micro.c");
    compile(&source, &micro)?;
    let real = paths::root().join("tests/bench/real.sh");
    let wants = |name: &str| only.is_none_or(|o| name.contains(o));
    let lua = if wants("lua_build") {
        lua::sources(tools.path())
    } else {
        Ok(tools.path().join("no-lua"))
    };
    if let Err(message) = &lua {
        eprintln!("lua_build is left out: {message}");
    }
    let lua = lua.unwrap_or_else(|_| tools.path().join("no-lua"));

    let one = |extra: &str| format!("{} \"$D\" {extra}", micro.display());
    let filter = only.unwrap_or_default();
    let all = format!(
        "{}\n/bin/sh {} \"$D\" {} {filter}\n",
        one(filter),
        real.display(),
        lua.display()
    );
    let wants_real = GOALS.iter().any(|g| g.real && wants(g.name));
    let script = if wants_real { all } else { one(filter) };

    // In turns, so that both see the same of what else the machine does.
    let (mut host, mut umlaut, mut alone) = (Rows::new(), Rows::new(), Rows::new());
    // These two have programs of their own.
    let figure = |o: &str| {
        ["smp_scaling", "boot_ms"]
            .iter()
            .any(|name| name.contains(o))
    };
    let rounds = if only.is_some_and(figure) { 0 } else { ROUNDS };
    for _ in 0..rounds {
        keep_best(&mut host, measure(&Place::Host { cpus: "0" }, &script)?);
        for (rows, off) in [(&mut umlaut, false), (&mut alone, true)] {
            let guest = Place::Umlaut {
                linux: &linux,
                ncpus: 1,
                off,
            };
            keep_best(rows, measure(&guest, &script)?);
        }
    }
    let uml = place::user_mode_linux()
        .filter(|_| rounds > 0)
        .map(|binary| measure(&Place::Uml { linux: &binary }, &script))
        .transpose()
        .unwrap_or_else(|message| {
            eprintln!("user-mode-linux is left out: {message}");
            None
        })
        .unwrap_or_default();
    if wants("smp_scaling") {
        scaling(&mut host, &mut umlaut, &linux, &one("four_threads"))?;
    }
    if wants("boot_ms") {
        place::boot_time(&linux).map(|ms| umlaut.insert("boot_ms".into(), ms))?;
    }
    print(&host, &umlaut, &alone, &uml);
    Ok(())
}

fn keep_best(best: &mut Rows, rows: Rows) {
    for (name, value) in rows {
        let throughput = GOALS
            .iter()
            .any(|g| g.name == name && g.better == Better::Share);
        best.entry(name)
            .and_modify(|old| {
                *old = if throughput {
                    old.max(value)
                } else {
                    old.min(value)
                }
            })
            .or_insert(value);
    }
}

/// Work of four threads on two CPUs as a multiple of that on one.
fn scaling(host: &mut Rows, umlaut: &mut Rows, linux: &Path, script: &str) -> Result<(), String> {
    let value = |rows: Rows| rows.get("four_threads").copied().unwrap_or(f64::NAN);
    // In turns and the best of each: the CPUs of a shared host differ from one second to the next.
    let ratio = |two: Place, one: Place| -> Result<f64, String> {
        let (mut both, mut single) = (0f64, 0f64);
        for _ in 0..SCALING_ROUNDS {
            both = both.max(value(measure(&two, script)?));
            single = single.max(value(measure(&one, script)?));
        }
        Ok(both / single)
    };
    host.insert(
        "smp_scaling".into(),
        ratio(Place::Host { cpus: "0,1" }, Place::Host { cpus: "0" })?,
    );
    umlaut.insert(
        "smp_scaling".into(),
        ratio(
            Place::Umlaut {
                linux,
                ncpus: 2,
                off: false,
            },
            Place::Umlaut {
                linux,
                ncpus: 1,
                off: false,
            },
        )?,
    );
    Ok(())
}

fn build() -> Result<std::path::PathBuf, String> {
    if let Some(given) = std::env::var_os("UMLAUT_LINUX") {
        return Ok(given.into());
    }
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--release", "--package", "umlaut"])
        .current_dir(paths::root())
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if !status.success() {
        return Err("building linux failed".into());
    }
    Ok(paths::target().join("release/linux"))
}

fn compile(source: &Path, binary: &Path) -> Result<(), String> {
    let output = Command::new("gcc")
        .args(["-O1", "-static", "-pthread", "-w", "-o"])
        .args([binary, source])
        .output()
        .map_err(|e| format!("gcc: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn measure(place: &Place, script: &str) -> Result<Rows, String> {
    eprintln!("measuring {}", place.name());
    let text = place.run(script)?;
    let rows: Rows = text.lines().filter_map(parse).collect();
    if rows.is_empty() {
        let tail: Vec<&str> = text.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        return Err(format!(
            "no results from {}:\n{}",
            place.name(),
            tail.join("\n")
        ));
    }
    Ok(rows)
}

/// `name value unit`
fn parse(line: &str) -> Option<(String, f64)> {
    let mut words = line.split_whitespace();
    let (name, value, unit) = (words.next()?, words.next()?, words.next()?);
    ["ns", "ms", "MB/s", "M"]
        .contains(&unit)
        .then(|| Some((name.to_owned(), value.parse().ok()?)))?
}

/// `alone`: Umlaut with `spin=off`.
fn print(host: &Rows, umlaut: &Rows, alone: &Rows, uml: &Rows) {
    println!(
        "{:<20} {:>12} {:>12} {:>8} {:>8} {:>5} {:>9} {:>9}",
        "row", "host", "umlaut", "ratio", "goal", "", "spin=off", "uml"
    );
    for goal in GOALS {
        let Some(&value) = umlaut.get(goal.name) else {
            continue;
        };
        let native = host.get(goal.name).copied();
        let ratio = match goal.better {
            Better::Absolute | Better::More => value,
            _ => value / native.unwrap_or(f64::NAN),
        };
        let ratio_of = |rows: &Rows| match (rows.get(goal.name), native) {
            (Some(value), Some(native)) => format!("{:.2}", value / native),
            _ => "-".into(),
        };
        println!(
            "{:<20} {:>12} {:>12.1} {:>8.2} {:>8} {:>5} {:>9} {:>9}",
            goal.name,
            native.map_or("-".into(), |n| format!("{n:.1}")),
            value,
            ratio,
            goal.limit
                .map_or("-".into(), |l| format!("{}{l}", goal.better.sign())),
            verdict(goal, ratio),
            ratio_of(alone),
            ratio_of(uml)
        );
    }
}

fn verdict(goal: &Goal, ratio: f64) -> &'static str {
    match goal.limit {
        None => "",
        Some(limit) if goal.better.meets(ratio, limit) => "ok",
        Some(_) => "MISS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_the_rounds_counts() {
        let rows =
            |ns, bandwidth| Rows::from([("getppid".into(), ns), ("pipe_bw".into(), bandwidth)]);
        let mut best = rows(5.0, 100.0);
        keep_best(&mut best, rows(4.0, 90.0));
        keep_best(&mut best, rows(6.0, 120.0));
        assert_eq!(best, rows(4.0, 120.0));
    }

    #[test]
    fn result_lines_are_told_from_others() {
        assert_eq!(parse("getppid 90.5 ns"), Some(("getppid".into(), 90.5)));
        assert_eq!(
            parse("pipe_bw 2000.0 MB/s"),
            Some(("pipe_bw".into(), 2000.0))
        );
        assert_eq!(parse("[ 0.1] some words"), None);
        assert_eq!(parse("getppid x ns"), None);
    }
}
