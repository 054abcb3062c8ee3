//! `umlaut ls`.

use crate::client;
use std::path::Path;
use std::process::ExitCode;
use tools::cli::Ls;
use tools::machines::{self, Machine};

const HEAD: [&str; 6] = ["UMID", "PID", "STATE", "UPTIME", "MEMORY", "IMAGE"];

pub fn run(base: &Path, args: &Ls) -> Result<ExitCode, String> {
    let machines = machines::list(base)
        .map_err(|e| format!("{}: {e}; name another with --uml-dir", base.display()))?;
    let machines = machines.iter().filter(|m| args.all || m.pid.is_some());
    if args.quiet {
        machines.for_each(|m| println!("{}", m.umid));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(machines.map(row));
    print!("{}", table(&rows));
    Ok(ExitCode::SUCCESS)
}

fn row(machine: &Machine) -> [String; 6] {
    let dash = || "-".to_owned();
    let Some(pid) = machine.pid else {
        let dead = "dead".to_owned();
        return [machine.umid.clone(), dash(), dead, dash(), dash(), dash()];
    };
    let (facts, silent) = match client::facts(machine) {
        Ok(facts) => (facts, ""),
        Err(_) => (Vec::new(), "silent"),
    };
    let fact = |name: &str| facts.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
    let number = |name: &str| fact(name).and_then(|v| v.parse::<u64>().ok());
    let memory = match (number("used"), number("memory")) {
        (Some(used), Some(all)) => format!("{} / {}", kib(used), kib(all)),
        _ => dash(),
    };
    [
        machine.umid.clone(),
        pid.to_string(),
        fact("state").unwrap_or(silent).to_owned(),
        number("uptime").map_or_else(dash, age),
        memory,
        fact("image").map_or_else(dash, str::to_owned),
    ]
}

/// `45s`, `12m 30s`, `5h 12m`, `3d 5h`.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// An amount of memory, given in KiB.
fn kib(amount: u64) -> String {
    match amount {
        0..1024 => format!("{amount}K"),
        1024..1_048_576 => format!("{}M", amount / 1024),
        _ => format!("{:.1}G", amount as f64 / 1_048_576.0),
    }
}

fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|c| width(c).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [age(59), age(3599), age(90_000)],
            ["59s", "59m 59s", "1d 1h"]
        );
        assert_eq!(
            [kib(1023), kib(2048), kib(3 << 19)],
            ["1023K", "2M", "1.5G"]
        );
    }
}
