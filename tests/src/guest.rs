//! The programs: what there is, what their headers ask for, and their
//! compilation.
//!
//! A C program's first comment may hold directives, one a line:
//!
//! - `needs: root` - what it shows depends on being root: left out on the host
//!   (and so altogether) when the tests run as somebody else;
//! - `timeout: <seconds>` - instead of 30;
//! - `disk: no` - not run a second time on a disk-backed directory;
//! - `expect:` followed by lines up to the end of the comment - the output is
//!   fixed here, the program never runs on the host.
//!
//! A script has `# needs: <Debian packages>` and `# timeout: <seconds>`.

use crate::paths;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One program, not yet run.
#[derive(Clone, Debug)]
pub struct Program {
    /// `group/name`, plus `@disk` for the second run of a file program.
    pub name: String,
    pub group: String,
    pub source: PathBuf,
    /// What the driver executes.
    pub argv: Vec<String>,
    pub needs_root: bool,
    /// Seconds.
    pub timeout: u32,
    /// Fixed output, for a program that must not run on the host.
    pub expect: Option<String>,
    /// Runs in a disk-backed (host) or overlay (guest) directory, not tmpfs.
    pub on_disk: bool,
}

/// Every C program of every group, compiled when its source is newer.
pub fn programs() -> Vec<Program> {
    let source_dir = paths::root().join("tests/guest");
    let mut found = Vec::new();
    for group in sorted(&source_dir).into_iter().filter(|p| p.is_dir()) {
        let group_name = file_name(&group);
        for source in sorted(&group) {
            if source.extension().is_none_or(|e| e != "c") {
                continue;
            }
            let stem = source.file_stem().unwrap_or_default().to_string_lossy();
            let header = first_comment(&read(&source));
            let program = Program {
                name: format!("{group_name}/{stem}"),
                group: group_name.clone(),
                argv: vec![binary_of(&source).to_string_lossy().into_owned()],
                needs_root: directive(&header, "needs").is_some_and(|v| v.contains("root")),
                timeout: directive(&header, "timeout")
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(30),
                expect: header
                    .split_once("expect:\n")
                    .map(|(_, lines)| undecorated(lines)),
                on_disk: false,
                source: source.clone(),
            };
            let twice = group_name == "file" && directive(&header, "disk") != Some("no");
            if twice {
                found.push(Program {
                    name: format!("{}@disk", program.name),
                    on_disk: true,
                    ..program.clone()
                });
            }
            found.push(program);
        }
    }
    found
}

/// Every script under `tests/programs`.
pub fn scripts() -> Vec<Program> {
    sorted(&paths::root().join("tests/programs"))
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "sh"))
        .map(|source| {
            let text = read(&source);
            let stem = source.file_stem().unwrap_or_default().to_string_lossy();
            Program {
                name: format!("programs/{stem}"),
                group: "programs".into(),
                argv: vec![
                    "/bin/sh".into(),
                    "-e".into(),
                    source.to_string_lossy().into_owned(),
                ],
                needs_root: false,
                timeout: directive(&text, "timeout")
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(60),
                expect: None,
                on_disk: false,
                source,
            }
        })
        .collect()
}

/// The Debian packages that the scripts' `# needs:` lines name.
pub fn packages() -> Vec<String> {
    let mut all: Vec<String> = scripts()
        .iter()
        .filter_map(|p| directive(&read(&p.source), "needs").map(str::to_owned))
        .flat_map(|v| v.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The compiled driver (`tests/guest/driver.c`).
pub fn driver() -> PathBuf {
    binary_of(&paths::root().join("tests/guest/driver.c"))
}

/// Compiles `source` into `<target>/guest/` unless that is up to date.
///
/// Returns the compiler's messages when it fails.
pub fn build(source: &Path) -> Result<PathBuf, String> {
    let binary = binary_of(source);
    let helper = paths::root().join("tests/guest/t.h");
    let modified = |p: &Path| std::fs::metadata(p).and_then(|m| m.modified()).ok();
    if let (Some(b), Some(s)) = (modified(&binary), modified(source))
        && b > s
        && modified(&helper).is_none_or(|h| b > h)
    {
        return Ok(binary);
    }
    if let Some(dir) = binary.parent() {
        std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    // Renamed into place: another test binary may build the same program now.
    let fresh = binary.with_extension(format!("{}", std::process::id()));
    let output = Command::new("gcc")
        .args(["-O1", "-static", "-pthread", "-w"])
        .arg("-I")
        .arg(paths::root().join("tests/guest"))
        .arg(source)
        .arg("-o")
        .arg(&fresh)
        .output()
        .map_err(|e| format!("gcc: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::rename(&fresh, &binary).map_err(|e| format!("{}: {e}", binary.display()))?;
    Ok(binary)
}

/// Compiles a C program; a script needs nothing.
pub fn build_if_c(program: &Program) -> Result<(), String> {
    if program.source.extension().is_some_and(|e| e == "c") {
        build(&program.source)?;
    }
    Ok(())
}

/// Compiles the driver and every program; the first failure ends it.
pub fn build_all() -> Result<(), String> {
    build(&paths::root().join("tests/guest/driver.c"))?;
    for program in programs() {
        build(&program.source)?;
    }
    Ok(())
}

fn binary_of(source: &Path) -> PathBuf {
    let relative = source
        .strip_prefix(paths::root().join("tests"))
        .expect("guest programs lie under tests/");
    paths::target().join(relative).with_extension("")
}

fn sorted(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The text between the first `/*` and `*/`, when the file starts with it.
fn first_comment(text: &str) -> String {
    text.strip_prefix("/*")
        .and_then(|t| t.split_once("*/"))
        .map(|(comment, _)| format!("{comment}\n"))
        .unwrap_or_default()
}

/// The value of a `name: value` line, whatever decoration precedes it.
fn directive<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().take(40).find_map(|line| {
        line.trim_start_matches([' ', '*', '#'])
            .strip_prefix(name)?
            .strip_prefix(':')
            .map(str::trim)
    })
}

fn undecorated(lines: &str) -> String {
    lines
        .lines()
        .map(|l| {
            l.trim_start()
                .trim_start_matches("* ")
                .trim_start_matches('*')
        })
        .filter(|l| !l.trim().is_empty())
        .map(|l| format!("{}\n", l.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_directives_are_read() {
        let text = "/* What it is.\n * needs: root\n * timeout: 30\n * expect:\n * a: 1\n * b: 2\n */\nint x;";
        let header = first_comment(text);
        assert_eq!(directive(&header, "needs"), Some("root"));
        assert_eq!(directive(&header, "timeout"), Some("30"));
        let (_, lines) = header.split_once("expect:\n").unwrap();
        assert_eq!(undecorated(lines), "a: 1\nb: 2\n");
    }

    #[test]
    fn a_file_without_a_comment_has_no_directives() {
        assert_eq!(first_comment("int main;"), "");
    }
}
