//! Directories of the host in a machine: the checks of hostfs's description, its confinement, when data reach the host.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};
use umlaut_tests::machine::{Boot, Ended};
use umlaut_tests::paths::Scratch;

fn main() -> std::process::ExitCode {
    umlaut_tests::suite::checks(&[
        ("hostfs/listing", listing),
        ("hostfs/creation", creation),
        ("hostfs/attributes", attributes),
        ("hostfs/special", special),
        ("hostfs/append", append),
        ("hostfs/mounts", mounts),
        ("hostfs/confinement", confinement),
        ("hostfs/bad_flag", bad_flag),
        ("hostfs/host_changes", host_changes),
        ("hostfs/fallocate", fallocate),
        ("hostfs/holes", holes),
        ("hostfs/larger_than_memory", larger_than_memory),
        ("hostfs/fsync", fsync),
        ("hostfs/periodic", periodic),
        ("hostfs/root", root),
    ])
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn check(condition: bool, what: &str, ended: &Ended) -> Result<(), String> {
    if condition && ended.strays.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{what}; status {:?}, strays {:?}, console:\n{}",
        ended.status,
        ended.strays,
        ended.tail(60)
    ))
}

fn failed(e: std::io::Error) -> String {
    format!("the host's side of the test: {e}")
}

/// Runs a script in a machine that has `dir` of the host at /mnt.
fn script(dir: &Path, args: &[&str], text: &str) -> Ended {
    let mount = format!(
        "mount none /mnt -t hostfs -o {} || exit 9\n{text}\nexit 0\n",
        dir.display()
    );
    Boot::quiet(args).stdin(&mount).run()
}

fn listing() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let dir = scratch.path();
    for i in 0..300 {
        fs::write(dir.join(format!("file{i}")), "x").map_err(failed)?;
    }
    fs::create_dir(dir.join("sub")).map_err(failed)?;
    fs::set_permissions(dir.join("file7"), fs::Permissions::from_mode(0o4751)).map_err(failed)?;
    std::os::unix::fs::symlink("/no/where", dir.join("link")).map_err(failed)?;
    let command = |at: &str| format!("cd {at} && stat -c '%n %a %u %g %s %h %F' * | sort");
    let host = std::process::Command::new("sh")
        .args(["-c", &command(&dir.display().to_string())])
        .output()
        .map_err(failed)?;
    let ended = script(dir, &[], &command("/mnt"));
    check(
        ended.console == String::from_utf8_lossy(&host.stdout),
        "the guest sees the host's names, modes and owners",
        &ended,
    )
}

fn creation() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let ended = script(
        scratch.path(),
        &[],
        "cd /mnt; umask 077; echo private > a; umask 022; echo public > b; mkdir d; ln -s /abs s; ln a c; mv b e",
    );
    let stat = |name: &str| fs::symlink_metadata(scratch.path().join(name)).map_err(failed);
    let own = rustix::process::geteuid().as_raw();
    let (a, e, d) = (stat("a")?, stat("e")?, stat("d")?);
    let target = fs::read_link(scratch.path().join("s")).map_err(failed)?;
    check(
        a.mode() & 0o7777 == 0o600
            && e.mode() & 0o7777 == 0o644
            && d.mode() & 0o7777 == 0o755
            && a.uid() == own
            && a.nlink() == 2
            && target == Path::new("/abs"),
        "what the guest makes is there on the host",
        &ended,
    )
}

fn attributes() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let file = scratch.path().join("f");
    fs::write(&file, "0123456789").map_err(failed)?;
    let owner = if is_root() { "chown 55:66 /mnt/f;" } else { "" };
    let ended = script(
        scratch.path(),
        &[],
        &format!(
            "{owner} chmod 640 /mnt/f; truncate -s 3 /mnt/f; printf ab | dd of=/mnt/f conv=notrunc status=none; \
             touch -d 2001-01-01T00:00:00Z /mnt/f; stat -c %Y /mnt/f"
        ),
    );
    let meta = fs::metadata(&file).map_err(failed)?;
    let owned = !is_root() || (meta.uid(), meta.gid()) == (55, 66);
    check(
        ended.console == "978307200\n"
            && owned
            && meta.mode() & 0o7777 == 0o640
            && meta.mtime() == 978_307_200
            && fs::read(&file).map_err(failed)? == b"ab2",
        "mode, owner, size and times reach the host, and content written later doesn't stamp the file again",
        &ended,
    )
}

fn special() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let device = if is_root() { "mknod null c 1 3;" } else { "" };
    let ended = script(
        scratch.path(),
        &[],
        &format!("cd /mnt; {device} mkfifo pipe; echo through > pipe & cat /mnt/pipe; wait"),
    );
    let kind = |name: &str| fs::symlink_metadata(scratch.path().join(name)).map_err(failed);
    let device = !is_root() || {
        let null = kind("null")?;
        null.file_type().is_char_device() && null.rdev() == 0x103
    };
    check(
        ended.console == "through\n" && kind("pipe")?.file_type().is_fifo() && device,
        "nodes are the host's, what is behind them the guest's",
        &ended,
    )
}

/// Puts a busybox that runs without anything else to `dir`, with a start script that runs `text`. Mount points: proc,
/// mnt, other.
fn tree(dir: &Path, text: &str) -> Result<(), String> {
    for sub in ["bin", "dev", "proc", "mnt", "other"] {
        fs::create_dir_all(dir.join(sub)).map_err(failed)?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|p| Path::new(p).exists())
        .ok_or("no busybox on the host: install the package")?;
    fs::copy(busybox, dir.join("bin/busybox")).map_err(failed)?;
    // Debian's package of this name is a dynamic program, that of busybox-static isn't.
    let libraries = std::process::Command::new("ldd")
        .arg(busybox)
        .output()
        .map_err(failed)?;
    for word in String::from_utf8_lossy(&libraries.stdout).split_whitespace() {
        if let Some(inner) = word.strip_prefix('/') {
            let to = dir.join(inner);
            fs::create_dir_all(to.parent().unwrap_or(dir)).map_err(failed)?;
            fs::copy(word, &to).map_err(failed)?;
        }
    }
    let init = format!(
        "#!/bin/busybox sh\nfor a in cat mount umount rm mv rmdir ls dd truncate poweroff grep touch; do \
         alias $a=\"/bin/busybox $a\"; done\nmount -t proc proc /proc\n{text}\npoweroff -f\n"
    );
    fs::write(dir.join("init"), init).map_err(failed)?;
    fs::set_permissions(dir.join("init"), fs::Permissions::from_mode(0o755)).map_err(failed)
}

/// Boots the tree in `dir`; `hostfs` is that option's value.
fn boot_tree(dir: &Path, hostfs: &str, args: &[&str]) -> Ended {
    let mut words = vec![
        "con0=fd:0,fd:1".to_owned(),
        "rootfstype=hostfs".to_owned(),
        "root=/dev/root".to_owned(),
        "init=/init".to_owned(),
    ];
    if hostfs.is_empty() {
        words.push(format!("rootflags={}", dir.display()));
    } else {
        words.push(format!("hostfs={hostfs}"));
    }
    words.extend(args.iter().map(|a| (*a).to_owned()));
    Boot::bare(words).run()
}

fn append() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let dir = scratch.path();
    tree(
        dir,
        "cd /d; echo two > f; echo three | dd of=f conv=notrunc 2>/dev/null; truncate -s 0 f; rm f; mv f g && \
         echo moved; rmdir empty && echo removed; grep ' / ' /proc/mounts",
    )?;
    fs::create_dir_all(dir.join("d/empty")).map_err(failed)?;
    fs::write(dir.join("d/f"), "one\n").map_err(failed)?;
    let ended = boot_tree(dir, &format!("{},append", dir.display()), &["quiet", "rw"]);
    let text = fs::read_to_string(dir.join("d/g")).unwrap_or_default();
    check(
        text == "one\ntwo\nthree\n"
            && ended.console.contains("Operation not permitted")
            && ended.console.contains("moved\nremoved\n")
            && ended
                .console
                .contains("/dev/root / hostfs rw,relatime,/,append"),
        &format!("append only: writes go to the end, nothing is unlinked or truncated: {text:?}"),
        &ended,
    )
}

fn mounts() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    fs::write(scratch.path().join("file"), "").map_err(failed)?;
    let at = scratch.path().display();
    let ended = script(
        scratch.path(),
        &[],
        &format!(
            "grep ' /mnt ' /proc/mounts; stat -f -c %t /mnt; mkdir /tmp/m; mount none /tmp/m -t hostfs -o {at}/none; \
             mount none /tmp/m -t hostfs -o {at}/file; umount /mnt && echo gone"
        ),
    );
    check(
        ended
            .console
            .contains(&format!("none /mnt hostfs rw,relatime,{at} 0 0\nc0ffee\n"))
            && ended.console.contains("does not exist")
            && ended.console.contains("Not a directory")
            && ended.console.ends_with("gone\n"),
        "the mount table, the magic number, and options that name no directory",
        &ended,
    )
}

fn confinement() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let inside = scratch.path().join("inside");
    fs::create_dir_all(inside.join("sub")).map_err(failed)?;
    tree(
        &inside,
        "mount none /mnt -t hostfs -o /sub && cat /mnt/here; for o in .. /.. /sub/../.. /out; do \
         mount none /other -t hostfs -o $o 2>/dev/null && echo escaped by $o; done; umount /mnt; \
         mount none /mnt -t hostfs; cat /mnt/file 2>/dev/null && echo escaped by a link",
    )?;
    fs::write(scratch.path().join("secret"), "secret").map_err(failed)?;
    fs::write(inside.join("sub/here"), "here\n").map_err(failed)?;
    std::os::unix::fs::symlink(scratch.path(), inside.join("out")).map_err(failed)?;
    std::os::unix::fs::symlink("../secret", inside.join("file")).map_err(failed)?;
    let ended = boot_tree(&inside, &inside.display().to_string(), &["quiet"]);
    check(
        ended.console == "here\n",
        "no option and no link leads out of hostfs=",
        &ended,
    )
}

fn bad_flag() -> Result<(), String> {
    let ended = Boot::bare(["hostfs=/tmp,foo", "--version"])
        .timeout(10)
        .run();
    check(
        ended
            .console
            .contains("hostfs_args - unsupported option - foo"),
        "an unknown flag is named",
        &ended,
    )
}

/// Waits until `condition` holds on the host.
fn eventually(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<(), String> {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() > end {
            return Err(format!("{what}: not within {limit:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Runs a script that says `ready` and then waits for `/mnt/go`; `meanwhile` runs on the host in between.
fn halfway(
    dir: &Path,
    text: &str,
    meanwhile: impl FnOnce() -> Result<(), String>,
) -> Result<Ended, String> {
    let mut meanwhile = Some(meanwhile);
    let mut result = Ok(());
    let stdin = format!(
        "mount none /mnt -t hostfs -o {} || exit 9\n{text}\nexit 0\n",
        dir.display()
    )
    .replace(
        "WAIT",
        "echo ready; until test -e /mnt/go; do sleep 0.1; done",
    );
    let none: [&str; 0] = [];
    let ended = Boot::quiet(none).stdin(&stdin).run_watched(|console, _| {
        if console.contains("ready")
            && let Some(run) = meanwhile.take()
        {
            result = run().and_then(|()| fs::write(dir.join("go"), "").map_err(failed));
        }
        result.is_ok()
    });
    result.map_err(|e| format!("{e}; console:\n{}", ended.tail(40)))?;
    Ok(ended)
}

fn host_changes() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let dir = scratch.path();
    fs::write(dir.join("f"), "old\n").map_err(failed)?;
    fs::create_dir(dir.join("gone")).map_err(failed)?;
    let ended = halfway(
        dir,
        "cat /mnt/f; ls -d /mnt/gone; WAIT; sleep 1.5; cat /mnt/f; ls -d /mnt/gone 2>&1; cat /mnt/new",
        || {
            fs::write(dir.join("f"), "changed\n").map_err(failed)?;
            fs::write(dir.join("new"), "new\n").map_err(failed)?;
            fs::remove_dir(dir.join("gone")).map_err(failed)
        },
    )?;
    check(
        ended
            .console
            .starts_with("old\n/mnt/gone\nready\nchanged\n")
            && ended.console.contains("No such file")
            && ended.console.ends_with("new\n"),
        "what the host changes is seen after a fresh look",
        &ended,
    )
}

fn fallocate() -> Result<(), String> {
    let scratch = Scratch::on_disk("hostfs");
    let commands = "head -c 65536 /dev/zero | tr '\\0' x > f; fallocate -p -o 4096 -l 8192 f; echo $?; tr -d '\\0' < f | wc -c; \
        fallocate -z -o 20000 -l 100 f; echo $?; tr -d '\\0' < f | wc -c; fallocate -i -o 8192 -l 4096 f; echo $?; wc -c < f; \
        fallocate -c -o 0 -l 4096 f; echo $?; wc -c < f; fallocate -n -l 200000 f; wc -c < f; fallocate -l 100000 f; wc -c < f; \
        cksum < f; sync; cksum < f";
    let host_dir = Scratch::on_disk("hostfs");
    let host = std::process::Command::new("sh")
        .args([
            "-c",
            &format!("cd {} && {{ {commands}; }} 2>&1", host_dir.path().display()),
        ])
        .output()
        .map_err(failed)?;
    let ended = script(
        scratch.path(),
        &[],
        &format!("cd /mnt; {{ {commands}; }} 2>&1"),
    );
    let same = fs::read(scratch.path().join("f")).map_err(failed)?
        == fs::read(host_dir.path().join("f")).map_err(failed)?;
    check(
        ended.console == String::from_utf8_lossy(&host.stdout) && same,
        &format!(
            "holes, insertion and the rest are the host's, which says:\n{}",
            String::from_utf8_lossy(&host.stdout)
        ),
        &ended,
    )
}

fn holes() -> Result<(), String> {
    let program = r#"
        use Fcntl ":DEFAULT";
        sub at { my $r = sysseek F, $_[0], $_[1]; defined $r ? $r + 0 : $! }
        sub runs {
            print shift, ":";
            for (my $at = 0; (my $data = at($at, 3)) =~ /^\d/;) { print " $data-", $at = at($data, 4) }
            print "\n";
        }
        sub put { sysseek F, $_[0], 0; syswrite F, "x" x $_[1] }
        sysopen F, "given", O_RDONLY;
        runs "given, unread";
        sysseek F, 0, 0; sysread F, $b, 1 << 20;
        runs "given, read";
        print at(1 << 19, 3), " ", at(1 << 20, 4), " ", at(5, 3), " ", at(5, 4), "\n";
        sysopen F, "new", O_RDWR | O_CREAT;
        truncate F, 1 << 20;
        runs "hole";
        print at(0, 3), " ", at(0, 4), " ", at(1 << 20, 4), "\n";
        put 65536, 4096; put 131072, 8192;
        runs "written";
        system "sync new";
        runs "stored";
        put 135168, 8192; put 1 << 20, 4096;
        runs "both";
        system "fallocate -p -o 65536 -l 4096 new";
        runs "punched";
        truncate F, 131080;
        runs "cut";
    "#;
    let command = format!("perl -e '{program}' 2>&1");
    let scratch = Scratch::on_disk("hostfs");
    let host_dir = Scratch::on_disk("hostfs");
    for dir in [scratch.path(), host_dir.path()] {
        let given = fs::File::create(dir.join("given")).map_err(failed)?;
        given.set_len(1 << 20).map_err(failed)?;
        for at in [0, 262_144] {
            given.write_all_at(&[1; 4096], at).map_err(failed)?;
        }
    }
    let host = std::process::Command::new("sh")
        .args(["-c", &command])
        .current_dir(host_dir.path())
        .output()
        .map_err(failed)?;
    let expected = String::from_utf8_lossy(&host.stdout);
    if !expected.contains("given, unread: 0-4096 262144-266240") {
        return Err(format!("the host's directory has no holes: {expected}"));
    }
    let ended = script(scratch.path(), &[], &format!("cd /mnt; {command}"));
    check(
        ended.console == expected,
        &format!("holes and data are the host's, which says:\n{expected}"),
        &ended,
    )
}

fn larger_than_memory() -> Result<(), String> {
    let scratch = Scratch::on_disk("hostfs");
    let ended = script(
        scratch.path(),
        &["mem=48M"],
        "dd if=/dev/zero of=/mnt/f bs=1M count=100 status=none && echo written; sync; tr -d '\\0' < /mnt/f | wc -c; \
         wc -c < /mnt/f",
    );
    check(
        ended.console == "written\n0\n104857600\n",
        "a file larger than the machine's memory is written and read",
        &ended,
    )
}

fn fsync() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let dir = scratch.path();
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let ended = halfway(
        dir,
        "echo one | dd of=/mnt/fsynced conv=fsync status=none; echo two > /mnt/synced; sync; \
         mkdir /tmp/m; mount --bind /mnt /tmp/m; WAIT; echo three > /mnt/unmounted; umount /tmp/m; umount /mnt",
        || match (read("fsynced").as_str(), read("synced").as_str()) {
            ("one\n", "two\n") => Ok(()),
            other => Err(format!("after fsync and sync the host has {other:?}")),
        },
    )?;
    check(read("unmounted") == "three\n", "umount writes back", &ended)
}

fn periodic() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let dir = scratch.path();
    let written = || fs::read_to_string(dir.join("f")).is_ok_and(|text| text == "data\n");
    // Nobody has it open any more: only the cache knows the content.
    let ended = halfway(
        dir,
        "echo 100 > /proc/sys/vm/dirty_expire_centisecs; echo 50 > /proc/sys/vm/dirty_writeback_centisecs; \
         echo data > /mnt/f; WAIT",
        || {
            eventually(
                "content on the host without a sync",
                Duration::from_secs(20),
                written,
            )
        },
    )?;
    check(ended.console == "ready\n", "periodic write-back", &ended)
}

fn root() -> Result<(), String> {
    let scratch = Scratch::in_memory("hostfs");
    let dir = scratch.path();
    tree(
        dir,
        "grep ' / ' /proc/mounts; touch /made 2>/dev/null || echo read only",
    )?;
    for (mode, read_only) in [("ro", true), ("rw", false)] {
        let ended = boot_tree(dir, "", &[mode]);
        let line = format!("/dev/root / hostfs {mode},relatime,{}", dir.display());
        let log = if read_only {
            "VFS: Mounted root (hostfs filesystem) readonly on device 0:"
        } else {
            "VFS: Mounted root (hostfs filesystem) on device 0:"
        };
        check(
            ended.console.contains(&line)
                && ended.console.contains(log)
                && ended.console.contains("read only\n") == read_only
                && dir.join("made").exists() != read_only,
            "a busybox tree as the root",
            &ended,
        )?;
    }
    Ok(())
}
