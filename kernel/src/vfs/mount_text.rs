//! The mount tree as text: /proc/pid/mounts and mountinfo (fs/proc_namespace.c).

use super::mount::{self, Mount};
use super::{Path, Reach, path_names, propagation};
use abi::fs::{major, minor};
use abi::mount::MountFlags;
use std::sync::Arc;

/// Escapes what would break a line into words: fs/seq_file.c:seq_escape() of ` \t\n\\#`.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => {
                out.extend_from_slice(format!("\\{byte:03o}").as_bytes())
            }
            _ => out.push(*byte),
        }
    }
    out
}

fn mount_options(mount: &Mount) -> String {
    let shown = [
        (MountFlags::MS_NOSUID, ",nosuid"),
        (MountFlags::MS_NODEV, ",nodev"),
        (MountFlags::MS_NOEXEC, ",noexec"),
        (MountFlags::MS_NOATIME, ",noatime"),
        (MountFlags::MS_NODIRATIME, ",nodiratime"),
        (MountFlags::MS_RELATIME, ",relatime"),
        (MountFlags::MS_NOSYMFOLLOW, ",nosymfollow"),
    ];
    shown
        .iter()
        .filter(|(flag, _)| mount.flags().contains(*flag))
        .map(|(_, text)| *text)
        .collect()
}

/// The mounts that `root` can reach, with their places as seen from there.
fn visible(root: &Path) -> Vec<(Arc<Mount>, Vec<u8>)> {
    mount::mounts()
        .into_iter()
        .filter_map(|m| {
            let (names, reach) = path_names(&m.root_path(), root);
            let is_root = Arc::ptr_eq(&m, &root.mount);
            if reach == Reach::Root {
                Some((m, names))
            } else if is_root {
                Some((m, b"/".to_vec()))
            } else {
                None
            }
        })
        .collect()
}

fn mode(read_only: bool) -> &'static str {
    if read_only { "ro" } else { "rw" }
}

/// /proc/pid/mounts for a task whose root is `root`.
pub fn mounts(root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for (mount, place) in visible(root) {
        out.extend(escaped(mount.source.as_bytes()));
        out.push(b' ');
        out.extend(escaped(&place));
        let options = format!(
            " {} {}{}{} 0 0\n",
            mount.fs.name(),
            mode(mount.read_only()),
            mount_options(&mount),
            mount.fs.show_options()
        );
        out.extend_from_slice(options.as_bytes());
    }
    out
}

/// /proc/pid/mountstats for a task whose root is `root`.
pub fn mountstats(root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for (mount, place) in visible(root) {
        let source = mount.source.as_bytes();
        if source.is_empty() {
            out.extend_from_slice(b"no device");
        } else {
            out.extend_from_slice(b"device ");
            out.extend(escaped(source));
        }
        out.extend_from_slice(b" mounted on ");
        out.extend(escaped(&place));
        out.extend_from_slice(format!(" with fstype {}\n", mount.fs.name()).as_bytes());
    }
    out
}

/// /proc/pid/mountinfo for a task whose root is `root`.
pub fn mountinfo(root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    let visible = visible(root);
    let seen: Vec<_> = visible.iter().map(|(mount, _)| mount.clone()).collect();
    for (mount, place) in visible {
        let parent = mount.parent().map_or(mount.id, |p| p.id);
        let dev = mount.fs.dev();
        out.extend_from_slice(
            format!("{} {parent} {}:{} ", mount.id, major(dev), minor(dev)).as_bytes(),
        );
        out.extend(escaped(&root_in_fs(&mount)));
        out.push(b' ');
        out.extend(escaped(&place));
        let read_only = mount.flags().contains(MountFlags::MS_RDONLY);
        let own = format!(
            " {}{}{} - {} ",
            mode(read_only),
            mount_options(&mount),
            propagation::fields(&mount, &seen),
            mount.fs.name()
        );
        out.extend_from_slice(own.as_bytes());
        out.extend(escaped(mount.source.as_bytes()));
        let options = format!(
            " {}{}\n",
            mode(mount.superblock().read_only()),
            mount.fs.show_options()
        );
        out.extend_from_slice(options.as_bytes());
    }
    out
}

/// What of its file system a mount shows.
fn root_in_fs(mount: &Mount) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = mount.root.clone();
    while let Some(parent) = at.parent() {
        names.push(at.name());
        at = parent;
    }
    if names.is_empty() {
        return b"/".to_vec();
    }
    let mut text = Vec::new();
    for name in names.iter().rev() {
        text.push(b'/');
        text.extend_from_slice(name);
    }
    if mount.root.is_unlinked() {
        text.extend_from_slice(b"//deleted");
    }
    text
}
