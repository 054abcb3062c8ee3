//! What is made from the source and checked in: the table of system calls, man pages and completions.

mod completions;
mod syscalls;
mod umlaut;

use std::path::Path;
use umlaut_tests::paths;

/// Every made file: its path in the repository, and its text.
fn files() -> Vec<(String, String)> {
    let mut files = vec![("docs/syscalls.md".to_owned(), syscalls::page())];
    files.extend(umlaut::files());
    files.extend(completions::files());
    files
}

/// Writes the files; with `check` only says whether they are up to date.
pub fn run(check: bool) -> Result<(), String> {
    let mut old = Vec::new();
    for (name, text) in files() {
        let path = paths::root().join(&name);
        if std::fs::read_to_string(&path).unwrap_or_default() == text {
            continue;
        }
        if check {
            old.push(name);
        } else {
            write(&path, &text)?;
        }
    }
    if old.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "out of date: {}; run cargo xtask docs",
            old.join(", ")
        ))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn made_files_are_up_to_date() {
        super::run(true).unwrap();
    }
}
