//! The host's files seen from a machine while the host changes them: through a
//! hostfs mount, and below the overlay that is the root.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use umlaut_tests::machine::Boot;
use umlaut_tests::paths::Scratch;

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("hostfs_changes/seen", host_changes),
        ("hostfs_changes/many_names", many_names),
    ])
}

/// Shows both views, waits for the host's changes, and shows them again.
const LOOK: &str = r#"
mount -t hostfs -o "$D" none /mnt || exit 8
look() {
    for d in "$D" /mnt; do
        cat $d/replaced $d/grown $d/rewritten
        cat $d/locked 2>/dev/null || echo locked
        echo $(ls $d/dir) $(stat -c %s $d/grown)
    done
}
wait_for() {
    n=0
    until eval "$1"; do
        n=$((n + 1)); [ $n -lt 400 ] || { echo "$1 never came true"; exit 9; }
        sleep 0.05
    done
}
look
readlink "$D/link" /mnt/link
echo before-done
wait_for '[ -e /mnt/go ]'
look
wait_for '[ "$(readlink $D/link)" = replaced ]'
wait_for '[ "$(readlink /mnt/link)" = replaced ]'
echo after-done
exit 0
"#;

fn prepare(dir: &Path) -> std::io::Result<()> {
    for (name, text) in [
        ("replaced", "old\n"),
        ("grown", "1234\n"),
        ("rewritten", "abc\n"),
        ("locked", "open\n"),
    ] {
        fs::write(dir.join(name), text)?;
    }
    symlink("grown", dir.join("link"))?;
    fs::create_dir(dir.join("dir"))?;
    fs::write(dir.join("dir/a"), "")?;
    fs::write(dir.join("dir/b"), "")
}

/// What an editor, a package manager or a shell does to files.
fn change(dir: &Path) -> std::io::Result<()> {
    // Another file under the name, of the same size and age.
    let old = fs::metadata(dir.join("replaced"))?.modified()?;
    fs::write(dir.join("other"), "new\n")?;
    fs::File::options()
        .write(true)
        .open(dir.join("other"))?
        .set_modified(old)?;
    fs::rename(dir.join("other"), dir.join("replaced"))?;
    fs::write(dir.join("grown"), "12345678\n")?;
    fs::write(dir.join("rewritten"), "xyz\n")?;
    fs::set_permissions(dir.join("locked"), fs::Permissions::from_mode(0o000))?;
    symlink("replaced", dir.join("link2"))?;
    fs::rename(dir.join("link2"), dir.join("link"))?;
    fs::remove_file(dir.join("dir/a"))?;
    fs::write(dir.join("dir/c"), "")?;
    fs::write(dir.join("go"), "")
}

fn host_changes() -> Result<(), String> {
    let scratch = Scratch::on_disk("hostfs");
    let dir = scratch.path();
    prepare(dir).map_err(|e| format!("preparing files: {e}"))?;
    let mut changed = None;
    let ended = Boot::quiet(Vec::<&str>::new())
        .stdin(&format!("D={}\n{LOOK}", dir.display()))
        .timeout(60)
        .run_watched(|console, _| {
            if console.contains("before-done") && changed.is_none() {
                changed = Some(change(dir));
            }
            !matches!(changed, Some(Err(_)))
        });
    match changed {
        Some(Ok(())) => {}
        Some(Err(e)) => return Err(format!("changing files: {e}")),
        None => return Err(format!("the machine didn't look:\n{}", ended.tail(60))),
    }
    // The host's root may read everything.
    let locked = if rustix::process::geteuid().is_root() {
        "open"
    } else {
        "locked"
    };
    let view = |replaced, grown: &str, rewritten, locked, dir| {
        let size = grown.len() + 1;
        format!("{replaced}\n{grown}\n{rewritten}\n{locked}\n{dir} {size}\n")
    };
    let before = view("old", "1234", "abc", "open", "a b").repeat(2);
    let after = view("new", "12345678", "xyz", locked, "b c").repeat(2);
    let expected = format!("{before}grown\ngrown\nbefore-done\n{after}after-done\n");
    if ended.console == expected && ended.strays.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "expected:\n{expected}\nstatus {:?}, console:\n{}",
            ended.status, ended.console
        ))
    }
}

/// A directory too large for one call, read through both views, with names of both layers in the overlay.
fn many_names() -> Result<(), String> {
    const NAMES: usize = 5000;
    let scratch = Scratch::on_disk("hostfs");
    let dir = scratch.path();
    for i in 0..NAMES {
        fs::write(dir.join(format!("file-with-a-long-name-{i:05}")), "")
            .map_err(|e| format!("preparing files: {e}"))?;
    }
    let script = format!(
        r#"D={}
mount -t hostfs -o "$D" none /mnt || exit 8
ls -f /mnt | sort | cksum
ls -f "$D" | sort | cksum
rm "$D/file-with-a-long-name-00007"
echo > "$D/file-with-a-long-name-00009"
echo > "$D/z"
ls -f "$D" | sort | tail -n 1
ls -f "$D" | sort -u | wc -l
ls -i "$D" | sed 's/^ *//; s/ .*//' | sort -u | wc -l
exit 0
"#,
        dir.display()
    );
    let ended = Boot::quiet(Vec::<&str>::new())
        .stdin(&script)
        .timeout(60)
        .run();
    let lines: Vec<&str> = ended.console.lines().collect();
    let sums_agree = lines.first().is_some_and(|l| Some(l) == lines.get(1));
    let dots = 2;
    let expected = [
        "z".to_string(),
        (NAMES + dots).to_string(),
        NAMES.to_string(),
    ];
    let rest: Vec<&str> = lines.iter().skip(2).copied().collect();
    if sums_agree && rest == expected && ended.strays.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "status {:?}, console:\n{}",
            ended.status, ended.console
        ))
    }
}
