//! /proc/sys: the settings that mean something here.

use crate::error::{Result, err};
use crate::fs::devpts;
use crate::fs::pseudo::{Fixed, Node};
use crate::mm;
use crate::mm::pagecache::writeback;
use crate::task::{PID_MAX, Task, account, limits, pids};
use crate::tty::LEGACY_TIOCSTI;
use crate::vfs;
use abi::cap::CAP_SYS_ADMIN;
use abi::errno::Errno;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// A number that programs may set and read back, within bounds.
pub struct Knob {
    value: AtomicI64,
    min: i64,
    max: i64,
}

impl Knob {
    pub const fn new(value: i64, min: i64, max: i64) -> Knob {
        Knob {
            value: AtomicI64::new(value),
            min,
            max,
        }
    }

    pub fn get(&self) -> i64 {
        self.value.load(Ordering::Relaxed)
    }

    pub fn set(&self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
    }

    /// EINVAL for what isn't a number within the bounds.
    pub fn set_text(&self, bytes: &[u8]) -> Result<()> {
        let value = parse(bytes)?;
        if value < self.min || value > self.max {
            return err(Errno::EINVAL);
        }
        self.value.store(value, Ordering::Relaxed);
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Errno::EINVAL)?
        .trim_matches(|c: char| c.is_whitespace() || c == '\0');
    Ok(text.parse().map_err(|_| Errno::EINVAL)?)
}

static PANIC: Knob = Knob::new(0, i32::MIN as i64, i32::MAX as i64);
/// Open file descriptions that there may be without CAP_SYS_ADMIN.
static FILE_MAX: Knob = Knob::new(i64::MAX, 0, i64::MAX);
static RANDOMIZE: Knob = Knob::new(2, 0, 2);
static DMESG_RESTRICT: Knob = Knob::new(0, 0, 1);
/// What the host's generator does by itself: kept and read back, as Linux does since 5.18.
static RESEED: Knob = Knob::new(60, i32::MIN as i64, i32::MAX as i64);
static WAKEUP: Knob = Knob::new(256, i32::MIN as i64, i32::MAX as i64);
static SUID_DUMPABLE: Knob = Knob::new(0, 0, 2);
static SWAPPINESS: Knob = Knob::new(60, 0, 200);

fn knob(knob: &'static Knob) -> Node {
    Node::setting(
        move || Ok(format!("{}\n", knob.get()).into_bytes()),
        move |bytes| knob.set_text(bytes),
    )
}

/// fs/file_table.c:alloc_empty_file(): ENFILE when fs.file-max lets `task`, without CAP_SYS_ADMIN, open no more files.
/// `made`: files of the call that are counted already.
pub fn check_file_max(task: &Task, made: u64) -> Result<()> {
    let max = FILE_MAX.get();
    let room = max == i64::MAX || vfs::open_files().saturating_sub(made) < max.unsigned_abs();
    if !room && !task.capable(CAP_SYS_ADMIN) {
        return err(Errno::ENFILE);
    }
    Ok(())
}

/// Whether addresses are randomised, as kernel.randomize_va_space says: 0, 1 or 2.
pub fn randomize_va_space() -> i64 {
    RANDOMIZE.get()
}

/// What [`Mm::dumpable`](mm::Mm::dumpable) of programs with rights of their own is.
pub fn suid_dumpable() -> u32 {
    SUID_DUMPABLE.get() as u32
}

/// Whether only CAP_SYSLOG may read the kernel log.
pub fn dmesg_restrict() -> bool {
    DMESG_RESTRICT.get() != 0
}

fn line(text: impl std::fmt::Display) -> Node {
    Node::fixed(format!("{text}\n")).sized(true)
}

fn uuid(bytes: [u8; 16]) -> String {
    let mut b = bytes;
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn new_uuid() -> String {
    let mut bytes = [0; 16];
    crate::random::fill(&mut bytes);
    uuid(bytes)
}

fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(new_uuid)
}

pub(super) fn root() -> Node {
    Node::dir(
        Fixed::new()
            .with_dir("dev", || {
                Node::dir(Fixed::new().with_dir("tty", || {
                    Node::dir(Fixed::new().with("legacy_tiocsti", legacy_tiocsti))
                }))
            })
            .with_dir("fs", || Node::dir(fs()))
            .with_dir("kernel", || Node::dir(kernel()))
            .with_dir("vm", || Node::dir(vm()))
            .with_dir("net", || Node::dir(net())),
    )
}

fn kernel() -> Fixed {
    Fixed::new()
        .with("ostype", || line("Linux"))
        .with("osrelease", || line(crate::RELEASE))
        .with("version", || line(crate::VERSION))
        .with("hostname", || {
            Node::setting(
                || Ok(with_newline(crate::uts::hostname())),
                |b| {
                    Ok(crate::uts::set_hostname(
                        b.strip_suffix(b"\n").unwrap_or(b),
                    )?)
                },
            )
        })
        .with("domainname", || {
            Node::setting(
                || Ok(with_newline(crate::uts::domainname())),
                |b| {
                    Ok(crate::uts::set_domainname(
                        b.strip_suffix(b"\n").unwrap_or(b),
                    )?)
                },
            )
        })
        .with("pid_max", || line(PID_MAX))
        .with("threads-max", || line(limits::max_threads()))
        .with("ngroups_max", || line(65_536))
        .with("cap_last_cap", || line(abi::task::CAP_LAST_CAP))
        .with("overflowuid", || line(65_534))
        .with("overflowgid", || line(65_534))
        .with("core_pattern", || line("core"))
        .with("core_uses_pid", || line(0))
        .with("panic", || knob(&PANIC))
        .with("printk", printk)
        .with("sysrq", sysrq)
        .with("ctrl-alt-del", ctrl_alt_del)
        .with("randomize_va_space", || knob(&RANDOMIZE))
        .with("dmesg_restrict", || knob(&DMESG_RESTRICT))
        .with("kptr_restrict", || line(0))
        .with("tainted", || line(0))
        .with("ns_last_pid", || {
            Node::text(|| Ok(format!("{}\n", pids().last()).into_bytes())).sized(true)
        })
        .with_dir("pty", || {
            Node::dir(Fixed::new().with("max", pty_max).with("nr", || {
                Node::text(|| {
                    Ok(format!("{}\n", devpts::COUNT.load(Ordering::Relaxed)).into_bytes())
                })
            }))
        })
        .with_dir("random", || {
            Node::dir(
                Fixed::new()
                    .with("boot_id", || line(boot_id()))
                    .with("uuid", || {
                        Node::text(|| Ok(format!("{}\n", new_uuid()).into_bytes())).sized(true)
                    })
                    .with("entropy_avail", || line(256))
                    .with("poolsize", || line(256))
                    .with("urandom_min_reseed_secs", || knob(&RESEED))
                    .with("write_wakeup_threshold", || knob(&WAKEUP)),
            )
        })
}

/// The console's level, and three numbers that nothing here depends on.
fn printk() -> Node {
    Node::setting(
        || Ok(format!("{}\t4\t1\t7\n", crate::log::console_level()).into_bytes()),
        |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
            let first = text.split_whitespace().next().ok_or(Errno::EINVAL)?;
            let level: i64 = first.parse().map_err(|_| Errno::EINVAL)?;
            crate::log::set_console_level(level.clamp(0, 255) as u8);
            Ok(())
        },
    )
}

fn sysrq() -> Node {
    use crate::sysrq::ENABLED;
    Node::setting(
        || Ok(format!("{}\n", ENABLED.load(Ordering::Relaxed)).into_bytes()),
        |bytes| {
            ENABLED.store(parse(bytes)?, Ordering::Relaxed);
            Ok(())
        },
    )
}

fn ctrl_alt_del() -> Node {
    use crate::syscall::system::{ctrl_alt_del_restarts, set_ctrl_alt_del};
    Node::setting(
        || Ok(format!("{}\n", u8::from(ctrl_alt_del_restarts())).into_bytes()),
        |bytes| {
            set_ctrl_alt_del(parse(bytes)? != 0);
            Ok(())
        },
    )
}

fn pty_max() -> Node {
    Node::setting(
        || Ok(format!("{}\n", devpts::MAX.load(Ordering::Relaxed)).into_bytes()),
        |bytes| {
            let max = u32::try_from(parse(bytes)?).map_err(|_| Errno::EINVAL)?;
            devpts::MAX.store(max, Ordering::Relaxed);
            Ok(())
        },
    )
}

fn legacy_tiocsti() -> Node {
    Node::setting(
        || {
            let on = LEGACY_TIOCSTI.load(Ordering::Relaxed);
            Ok(format!("{}\n", u8::from(on)).into_bytes())
        },
        |bytes| match parse(bytes)? {
            on @ 0..=1 => {
                LEGACY_TIOCSTI.store(on == 1, Ordering::Relaxed);
                Ok(())
            }
            _ => err(Errno::EINVAL),
        },
    )
}

fn with_newline(mut text: Vec<u8>) -> Vec<u8> {
    text.push(b'\n');
    text
}

fn vm() -> Fixed {
    Fixed::new()
        .with("overcommit_memory", || {
            Node::setting(
                || Ok(format!("{}\n", mm::overcommit().mode).into_bytes()),
                |bytes| {
                    let mode = u32::try_from(parse(bytes)?).map_err(|_| Errno::EINVAL)?;
                    mm::set_overcommit(mm::Overcommit {
                        mode,
                        ..mm::overcommit()
                    })
                },
            )
        })
        .with("overcommit_ratio", || line(50))
        .with("max_map_count", || line(65_530))
        .with("mmap_min_addr", || line(65_536))
        .with("swappiness", || knob(&SWAPPINESS))
        .with("min_free_kbytes", || line(0))
        .with("dirty_expire_centisecs", || knob(&writeback::EXPIRE))
        .with("dirty_writeback_centisecs", || knob(&writeback::INTERVAL))
        .with("dirty_ratio", || line(20))
        .with("drop_caches", || {
            Node::trigger(|bytes| match parse(bytes)? {
                1..=3 => {
                    crate::mm::pagecache::reclaim(u64::MAX);
                    Ok(())
                }
                _ => err(Errno::EINVAL),
            })
        })
}

fn fs() -> Fixed {
    Fixed::new()
        .with("file-max", || knob(&FILE_MAX))
        .with("file-nr", || {
            Node::text(
                || Ok(format!("{}\t0\t{}\n", vfs::open_files(), FILE_MAX.get()).into_bytes()),
            )
            .sized(true)
        })
        .with("lease-break-time", || knob(&vfs::lease::BREAK_TIME))
        .with("leases-enable", || knob(&vfs::lease::ENABLED))
        .with("nr_open", || line(1_048_576))
        .with("pipe-max-size", || line(1_048_576))
        .with("protected_symlinks", || line(0))
        .with("protected_hardlinks", || line(0))
        .with("protected_fifos", || line(0))
        .with("protected_regular", || line(0))
        .with("suid_dumpable", || knob(&SUID_DUMPABLE))
        .with_dir("inotify", || {
            Node::dir(
                Fixed::new()
                    .with("max_queued_events", || knob(&vfs::inotify::MAX_QUEUED))
                    .with("max_user_instances", || {
                        knob(&account::INOTIFY_INSTANCES.limit)
                    })
                    .with("max_user_watches", || knob(&account::INOTIFY_WATCHES.limit)),
            )
        })
        .with_dir("epoll", || {
            Node::dir(Fixed::new().with("max_user_watches", || knob(&account::EPOLL_WATCHES.limit)))
        })
}

fn net() -> Fixed {
    Fixed::new()
        .with_dir("core", || {
            Node::dir(Fixed::new().with("somaxconn", || line(4096)))
        })
        .with_dir("unix", || {
            Node::dir(Fixed::new().with("max_dgram_qlen", || line(512)))
        })
}
