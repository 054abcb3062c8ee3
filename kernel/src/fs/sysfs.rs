//! sysfs: what C libraries and tools read of a machine without buses: its CPUs and kernel directories.

use super::pseudo::{Directory, Fixed, Name, Node, PseudoFs};
use crate::error::{Result, err};
use crate::sched;
use crate::vfs::FileSystem;
use abi::errno::Errno;
use std::sync::{Arc, OnceLock};

/// SYSFS_MAGIC.
const MAGIC: u64 = 0x6265_6572;

/// The machine's sysfs.
pub fn instance() -> Arc<dyn FileSystem> {
    static SYS: OnceLock<Arc<PseudoFs>> = OnceLock::new();
    SYS.get_or_init(|| PseudoFs::new("sysfs", MAGIC, root()))
        .clone()
}

fn empty() -> Node {
    Node::dir(Fixed::new())
}

fn root() -> Node {
    Node::dir(
        Fixed::new()
            .with_dir("block", empty)
            .with_dir("bus", empty)
            .with_dir("class", empty)
            .with_dir("dev", || {
                Node::dir(
                    Fixed::new()
                        .with_dir("block", empty)
                        .with_dir("char", empty),
                )
            })
            .with_dir("devices", || {
                Node::dir(Fixed::new().with_dir("system", || {
                    Node::dir(Fixed::new().with_dir("cpu", || Node::dir(Cpus)))
                }))
            })
            .with_dir("firmware", empty)
            .with_dir("fs", || Node::dir(Fixed::new().with_dir("cgroup", empty)))
            .with_dir("kernel", || {
                Node::dir(Fixed::new().with_dir("mm", || {
                    Node::dir(Fixed::new().with_dir("transparent_hugepage", || {
                        Node::dir(
                            Fixed::new()
                                .with("enabled", || Node::fixed("always [madvise] never\n")),
                        )
                    }))
                }))
            })
            .with_dir("module", empty)
            .with_dir("power", empty),
    )
}

/// /sys/devices/system/cpu.
struct Cpus;

fn range() -> String {
    match sched::ncpus() {
        1 => "0\n".to_owned(),
        n => format!("0-{}\n", n - 1),
    }
}

fn cpu(index: usize) -> Node {
    let topology = move || {
        Node::dir(
            Fixed::new()
                .with("core_id", move || Node::fixed(format!("{index}\n")))
                .with("physical_package_id", || Node::fixed("0\n"))
                .with("core_cpus_list", move || Node::fixed(format!("{index}\n")))
                .with("thread_siblings_list", move || {
                    Node::fixed(format!("{index}\n"))
                })
                .with("core_siblings_list", || {
                    Node::text(|| Ok(range().into_bytes()))
                })
                .with("package_cpus_list", || {
                    Node::text(|| Ok(range().into_bytes()))
                }),
        )
    };
    Node::dir(
        Fixed::new()
            .with("online", || Node::fixed("1\n"))
            .with_dir("topology", topology),
    )
}

fn number(name: &[u8]) -> Option<usize> {
    std::str::from_utf8(name)
        .ok()?
        .strip_prefix("cpu")?
        .parse()
        .ok()
        .filter(|n| *n < sched::ncpus())
}

impl Directory for Cpus {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        match name {
            b"online" | b"possible" | b"present" => Ok(Node::text(|| Ok(range().into_bytes()))),
            b"offline" => Ok(Node::fixed("\n")),
            b"kernel_max" => Ok(Node::fixed("63\n")),
            _ => match number(name) {
                Some(index) => Ok(cpu(index)),
                None => err(Errno::ENOENT),
            },
        }
    }

    fn names(&self) -> Result<Vec<Name>> {
        let files = ["kernel_max", "offline", "online", "possible", "present"];
        let mut names: Vec<Name> = files.into_iter().map(Name::file).collect();
        names.extend((0..sched::ncpus()).map(|n| Name::dir(format!("cpu{n}"))));
        Ok(names)
    }
}
