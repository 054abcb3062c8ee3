//! The kernel log: a ring that `dmesg`, `syslog(2)` and /dev/kmsg read, and a sink that prints to the console.

use crate::sync::{Lock, Rank, WaitQueue};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Syslog severity, as in `<N>` prefixes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    Emerg = 0,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

/// One line of the log.
#[derive(Clone)]
pub struct Record {
    pub seq: u64,
    /// Nanoseconds since boot.
    pub time_ns: u64,
    pub level: Level,
    /// 0 for the kernel; who else wrote the line to /dev/kmsg, as syslog(3) counts.
    pub facility: u32,
    pub text: String,
}

impl Record {
    /// Facility and level as `<N>` has them.
    pub fn priority(&self) -> u32 {
        self.facility << 3 | self.level as u32
    }
}

type Sink = Box<dyn Fn(&Record) + Send>;

struct Log {
    records: VecDeque<Record>,
    bytes: usize,
    next: u64,
    boot_ns: Option<u64>,
    sink: Option<Sink>,
}

/// Bytes of text the ring keeps (Linux's default, CONFIG_LOG_BUF_SHIFT=18).
pub const RING_BYTES: usize = 1 << 18;

static LOG: Lock<Log> = Lock::new(
    Rank::LOG,
    Log {
        records: VecDeque::new(),
        bytes: 0,
        next: 0,
        boot_ns: None,
        sink: None,
    },
);

/// Sets where lines below the console's level are printed as they are logged; the lines so far are printed first.
pub fn set_sink(sink: Option<Sink>) {
    let mut log = LOG.lock();
    if let Some(sink) = &sink {
        let printed = |r: &&Record| (r.level as u8) < console_level();
        log.records.iter().filter(printed).for_each(sink);
    }
    log.sink = sink;
}

/// Lines of this level and above (less severe) are not printed on the console: the first number of
/// /proc/sys/kernel/printk.
static CONSOLE_LEVEL: AtomicU8 = AtomicU8::new(7);

pub fn console_level() -> u8 {
    CONSOLE_LEVEL.load(Ordering::Relaxed)
}

pub fn set_console_level(level: u8) {
    CONSOLE_LEVEL.store(level, Ordering::Relaxed);
}

thread_local! {
    static CAPTURED: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// Runs `f`, which must not sleep, and returns the lines that it logged on this host thread.
pub fn captured(f: impl FnOnce()) -> Vec<Record> {
    CAPTURED.set(Some(Vec::new()));
    f();
    CAPTURED.take().unwrap_or_default()
}

fn capture(record: &Record) {
    CAPTURED.with_borrow_mut(|captured| captured.iter_mut().for_each(|c| c.push(record.clone())));
}

/// Prints the lines that are still there once more.
pub fn replay() {
    let log = LOG.lock();
    for record in &log.records {
        capture(record);
        if let Some(sink) = &log.sink {
            sink(record);
        }
    }
}

/// Adds a line (without its newline). Prefer the macros.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    write_as(0, level, text);
}

/// Adds a line of another facility than the kernel's.
pub fn write_as(facility: u32, level: Level, text: fmt::Arguments<'_>) {
    let now = crate::time::monotonic_ns();
    let mut log = LOG.lock();
    let boot = *log.boot_ns.get_or_insert(now);
    let record = Record {
        seq: log.next,
        time_ns: now - boot,
        level,
        facility,
        text: text.to_string(),
    };
    log.next += 1;
    capture(&record);
    if let Some(sink) = &log.sink
        && (level as u8) < console_level()
    {
        sink(&record);
    }
    log.bytes += record.text.len();
    log.records.push_back(record);
    while log.bytes > RING_BYTES {
        match log.records.pop_front() {
            Some(old) => log.bytes -= old.text.len(),
            None => break,
        }
    }
    drop(log);
    // A line may be logged with any lock held; the waiters' queue is told on the timer thread.
    if WAITERS.is_occupied() {
        crate::time::timer::call_at(crate::sync::Deadline(0), || WAITERS.wake_all()).detach();
    }
}

static WAITERS: LazyLock<WaitQueue> = LazyLock::new(WaitQueue::new);

/// Told when a line was added.
pub fn waiters() -> &'static WaitQueue {
    &WAITERS
}

/// The facility of ordinary programs: LOG_USER of syslog(3).
const USER: u32 = 1;

static CLEARED_TO: AtomicU64 = AtomicU64::new(0);

/// The number of the first line since SYSLOG_ACTION_CLEAR.
pub fn cleared_to() -> u64 {
    CLEARED_TO.load(Ordering::SeqCst)
}

/// SYSLOG_ACTION_CLEAR.
pub fn clear() {
    CLEARED_TO.store(next_seq(), Ordering::SeqCst);
}

/// Splits `<N>text` as written to /dev/kmsg into facility, level and text; a warning of a program without a prefix.
/// No program speaks for the kernel: kernel/printk/printk.c:devkmsg_write().
pub fn parse_prefix(text: &str) -> (u32, Level, &str) {
    let split = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let Some((number, rest)) = split else {
        return (USER, Level::Warning, text);
    };
    let Ok(number) = number.parse::<u32>() else {
        return (USER, Level::Warning, text);
    };
    let facility = match number >> 3 {
        0 => USER,
        other => other,
    };
    let level = match number & 7 {
        0 => Level::Emerg,
        1 => Level::Alert,
        2 => Level::Crit,
        3 => Level::Err,
        4 => Level::Warning,
        5 => Level::Notice,
        6 => Level::Info,
        _ => Level::Debug,
    };
    (facility, level, rest)
}

/// The lines from number `seq` on that are still there.
pub fn since(seq: u64) -> Vec<Record> {
    LOG.lock()
        .records
        .iter()
        .filter(|r| r.seq >= seq)
        .cloned()
        .collect()
}

/// The number that the next line will get.
pub fn next_seq() -> u64 {
    LOG.lock().next
}

#[macro_export]
macro_rules! pr_info { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($arg)*)) }; }
#[macro_export]
macro_rules! pr_warn { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Warning, format_args!($($arg)*)) }; }
#[macro_export]
macro_rules! pr_err { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Err, format_args!($($arg)*)) }; }
