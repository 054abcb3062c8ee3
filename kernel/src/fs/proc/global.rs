//! Machine-wide texts of /proc.

use super::sys;
use crate::error::err;
use crate::fs::pseudo::{Fixed, Node};
use crate::mm::{self, pagecache};
use crate::sched;
use crate::task::pids;
use crate::time;
use crate::vfs;
use abi::cap::CAP_SYSLOG;
use abi::errno::Errno;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

static CPU_INFO: OnceLock<String> = OnceLock::new();

/// The host's description of one processor, in the form of /proc/cpuinfo. Once, at boot.
pub fn set_cpu_info(first: String) {
    assert!(
        CPU_INFO.set(first).is_ok(),
        "the processor is described once"
    );
}

pub(super) fn names() -> Fixed {
    Fixed::new()
        .with("cmdline", || {
            Node::text(|| Ok(format!("{}\n", crate::boot::cmdline()).into_bytes()))
        })
        .with("consoles", || {
            Node::text(|| Ok(crate::tty::proc_consoles().into_bytes()))
        })
        .with("cpuinfo", || Node::text(|| Ok(cpuinfo().into_bytes())))
        .with("diskstats", || Node::fixed(""))
        .with("exitcode", exitcode)
        .with("filesystems", || {
            Node::text(|| Ok(filesystems().into_bytes()))
        })
        .with("interrupts", || {
            Node::text(|| Ok(interrupts().into_bytes()))
        })
        .with("kmsg", || {
            Node::special(|_| {
                // /proc/kmsg is read by whoever could open it.
                if !crate::sched::current().capable(CAP_SYSLOG) {
                    return err(Errno::EPERM);
                }
                Ok(Box::new(crate::syslog::ProcKmsg))
            })
            .mode(0o400)
        })
        .with("loadavg", || Node::text(|| Ok(loadavg().into_bytes())))
        .with("locks", || {
            Node::text(|| Ok(vfs::locks::proc_locks().into_bytes()))
        })
        .with("meminfo", || Node::text(|| Ok(meminfo().into_bytes())))
        .with("misc", || Node::fixed(""))
        .with("modules", || Node::fixed(""))
        .with("partitions", || {
            Node::fixed("major minor  #blocks  name\n\n")
        })
        .with("stat", || Node::text(|| Ok(stat().into_bytes())))
        .with("sysrq-trigger", || {
            Node::setting(|| err(Errno::EIO), sysrq).mode(0o200)
        })
        .with("swaps", || {
            Node::fixed("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
        })
        .with_dir("sys", sys::root)
        .with_dir("tty", || {
            Node::dir(
                Fixed::new()
                    .with("drivers", || {
                        Node::text(|| Ok(crate::tty::proc_drivers().into_bytes()))
                    })
                    .with("ldiscs", || Node::fixed("n_tty       0\n")),
            )
        })
        .with("uptime", || Node::text(|| Ok(uptime().into_bytes())))
        .with("version", || Node::text(|| Ok(version().into_bytes())))
        .with("vmstat", || Node::text(|| Ok(vmstat().into_bytes())))
}

fn exitcode() -> Node {
    Node::setting(
        || Ok(format!("{}\n", crate::machine::exit_code_value()).into_bytes()),
        |bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(crate::machine::set_exit_code(text)?),
            Err(_) => err(Errno::EINVAL),
        },
    )
}

/// drivers/tty/sysrq.c:write_sysrq_trigger(): the first letter, all of them behind an underscore.
fn sysrq(bytes: &[u8]) -> crate::error::Result<()> {
    let letters = match bytes.split_first() {
        Some((b'_', rest)) => rest,
        _ => &bytes[..bytes.len().min(1)],
    };
    for letter in letters.iter().filter(|letter| **letter != b'\n') {
        crate::sysrq::handle(char::from(*letter), false);
    }
    Ok(())
}

fn version() -> String {
    let (release, build) = (crate::RELEASE, crate::VERSION);
    format!("Linux version {release} (umlaut@umlaut) (rustc) {build}\n")
}

fn boot_time_ns() -> u64 {
    crate::boot::start_ns()
}

/// Nanoseconds since the machine started.
fn up_ns() -> u64 {
    time::monotonic_ns().saturating_sub(boot_time_ns())
}

fn uptime() -> String {
    let centis = |ns: u64| format!("{}.{:02}", ns / 1_000_000_000, ns / 10_000_000 % 100);
    let idle: u64 = (0..sched::ncpus()).map(sched::idle_ns).sum();
    format!("{} {}\n", centis(up_ns()), centis(idle))
}

fn loadavg() -> String {
    let [one, five, fifteen] = time::load::averages().map(|load| format!("{load:.2}"));
    let threads = pids().count();
    format!(
        "{one} {five} {fifteen} {}/{threads} {}\n",
        sched::nr_running(),
        pids().last()
    )
}

fn filesystems() -> String {
    vfs::filesystem_types()
        .iter()
        .map(|t| format!("{}\t{}\n", if t.needs_dev { "" } else { "nodev" }, t.name))
        .collect()
}

fn interrupts() -> String {
    let mut text = String::from("    ");
    for cpu in 0..sched::ncpus() {
        let _infallible = write!(text, "       CPU{cpu}");
    }
    text + "\n"
}

fn cpuinfo() -> String {
    let info = CPU_INFO.get().map_or("", String::as_str);
    let ncpus = sched::ncpus();
    let mut text = String::new();
    for cpu in 0..ncpus {
        for line in info.lines() {
            let key = line.split(':').next().unwrap_or("").trim();
            let own = match key {
                "processor" | "core id" | "apicid" | "initial apicid" => Some(cpu),
                "physical id" => Some(0),
                "siblings" | "cpu cores" => Some(ncpus),
                _ => None,
            };
            match own {
                Some(value) => {
                    let tabs = &line[key.len()..line.find(':').unwrap_or(line.len())];
                    let _infallible = writeln!(text, "{key}{tabs}: {value}");
                }
                None => {
                    text += line;
                    text.push('\n');
                }
            }
        }
        text.push('\n');
    }
    text
}

/// Kibibytes of the machine's memory: total, free, page cache, memory of programs.
pub struct Memory {
    pub total: u64,
    pub free: u64,
    pub cached: u64,
    pub anon: u64,
    /// Of the page cache, what lives in memory only: tmpfs, memfds, shared anonymous memory.
    pub shared: u64,
}

/// Host memory of all programs, each address space once.
fn anonymous_bytes() -> u64 {
    let mut seen = HashSet::new();
    let tasks = pids().tasks();
    let spaces = tasks
        .iter()
        .filter_map(|task| task.mm())
        .filter(|mm| seen.insert(mm.id()));
    spaces.map(|mm| mm.address_space().resident_bytes()).sum()
}

/// What sysinfo(2) and /proc/meminfo tell.
pub fn memory() -> Memory {
    let total = mm::total_pages() * 4;
    let cached = pagecache::used_bytes() / 1024;
    let anon: u64 = anonymous_bytes() / 1024;
    Memory {
        total,
        cached,
        anon,
        shared: pagecache::memory_only_pages() * 4,
        free: total.saturating_sub(cached + anon),
    }
}

fn meminfo() -> String {
    let m = memory();
    let committed = mm::committed_pages() * 4;
    let limit = mm::commit_limit() * 4;
    let rows = [
        ("MemTotal", m.total),
        ("MemFree", m.free),
        (
            "MemAvailable",
            (m.free + m.cached.saturating_sub(m.shared)).min(m.total),
        ),
        ("Buffers", 0),
        ("Cached", m.cached),
        ("SwapCached", 0),
        ("Active", m.anon),
        ("Inactive", m.cached),
        ("Active(anon)", m.anon),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", m.cached),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", pagecache::dirty_pages() * 4),
        ("Writeback", 0),
        ("AnonPages", m.anon),
        ("Mapped", 0),
        ("Shmem", m.shared),
        ("KReclaimable", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("KernelStack", pids().count() as u64 * 4),
        ("PageTables", 0),
        ("CommitLimit", limit),
        ("Committed_AS", committed),
        ("VmallocTotal", 0),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
    ];
    rows.iter()
        .map(|(key, kib)| format!("{:<15} {kib:>8} kB\n", format!("{key}:")))
        .collect()
}

fn vmstat() -> String {
    let m = memory();
    let (minor, major) = mm::fault::totals();
    format!(
        "nr_free_pages {}\nnr_anon_pages {}\nnr_file_pages {}\nnr_dirty {}\nnr_shmem {}\npgpgin 0\npgpgout 0\n\
         pswpin 0\npswpout 0\npgfault {}\npgmajfault {major}\n",
        m.free / 4,
        m.anon / 4,
        m.cached / 4,
        pagecache::dirty_pages(),
        m.shared / 4,
        minor + major,
    )
}

/// Nanoseconds to USER_HZ ticks.
pub(super) fn ticks(ns: u64) -> u64 {
    ns / 10_000_000
}

fn stat() -> String {
    let mut text = String::new();
    let cpus: Vec<(u64, u64, u64)> = (0..sched::ncpus()).map(cpu_times).collect();
    let sum = cpus
        .iter()
        .fold((0, 0, 0), |a, c| (a.0 + c.0, a.1 + c.1, a.2 + c.2));
    let mut line = |name: &str, (user, system, idle): (u64, u64, u64)| {
        let _infallible = writeln!(text, "{name} {user} 0 {system} {idle} 0 0 0 0 0 0");
    };
    line("cpu ", sum);
    for (i, cpu) in cpus.iter().enumerate() {
        line(&format!("cpu{i}"), *cpu);
    }
    let tasks = pids().tasks();
    let switches: u64 = tasks
        .iter()
        .map(|t| {
            t.sched.voluntary_switches.load(Relaxed) + t.sched.involuntary_switches.load(Relaxed)
        })
        .sum();
    let boot = time::realtime_ns().saturating_sub(up_ns()) / 1_000_000_000;
    let running = sched::nr_running();
    let _infallible = writeln!(
        text,
        "intr 0\nctxt {switches}\nbtime {boot}\nprocesses {}\nprocs_running {running}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0",
        pids().last()
    );
    text
}

/// User, system and idle ticks of a vCPU.
fn cpu_times(cpu: usize) -> (u64, u64, u64) {
    let (user, system) = sched::busy_ns(cpu);
    (ticks(user), ticks(system), ticks(sched::idle_ns(cpu)))
}
