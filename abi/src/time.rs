//! Time: the structs of clocks and timers, clock numbers, and accounting of CPU time.

abi_struct! {
    /// `struct timespec`.
    pub struct Timespec [16] {
        pub tv_sec: i64,
        /// 0 to 999,999,999 in a valid one.
        pub tv_nsec: i64,
    }

    /// `struct timeval`.
    pub struct Timeval [16] {
        pub tv_sec: i64,
        /// 0 to 999,999 in a valid one.
        pub tv_usec: i64,
    }

    /// `struct itimerspec`.
    pub struct Itimerspec [32] {
        pub it_interval: Timespec,
        pub it_value: Timespec,
    }

    /// `struct itimerval`.
    pub struct Itimerval [32] {
        pub it_interval: Timeval,
        pub it_value: Timeval,
    }

    /// `struct timezone`.
    pub struct Timezone [8] {
        /// Minutes west of Greenwich.
        pub tz_minuteswest: i32,
        pub tz_dsttime: i32,
    }

    /// `struct timex`.
    pub struct Timex [208] {
        /// `ADJ_` bits.
        pub modes: u32,
        pub _pad0: u32,
        /// Microseconds, or nanoseconds with `STA_NANO`.
        pub offset: i64,
        /// Parts per million, times 65,536.
        pub freq: i64,
        pub maxerror: i64,
        pub esterror: i64,
        /// `STA_` bits.
        pub status: i32,
        pub _pad1: u32,
        pub constant: i64,
        pub precision: i64,
        pub tolerance: i64,
        pub time: Timeval,
        /// Microseconds per tick.
        pub tick: i64,
        pub ppsfreq: i64,
        pub jitter: i64,
        pub shift: i32,
        pub _pad2: u32,
        pub stabil: i64,
        pub jitcnt: i64,
        pub calcnt: i64,
        pub errcnt: i64,
        pub stbcnt: i64,
        /// Seconds.
        pub tai: i32,
        pub _unused: [u32; 11],
    }

    /// `struct rusage`.
    pub struct Rusage [144] {
        pub ru_utime: Timeval,
        pub ru_stime: Timeval,
        /// KiB.
        pub ru_maxrss: i64,
        pub ru_ixrss: i64,
        pub ru_idrss: i64,
        pub ru_isrss: i64,
        pub ru_minflt: i64,
        pub ru_majflt: i64,
        pub ru_nswap: i64,
        /// Units of 512 bytes.
        pub ru_inblock: i64,
        pub ru_oublock: i64,
        pub ru_msgsnd: i64,
        pub ru_msgrcv: i64,
        pub ru_nsignals: i64,
        pub ru_nvcsw: i64,
        pub ru_nivcsw: i64,
    }

    /// `struct tms`, clock ticks of 1/[`USER_HZ`] s.
    pub struct Tms [32] {
        pub tms_utime: i64,
        pub tms_stime: i64,
        pub tms_cutime: i64,
        pub tms_cstime: i64,
    }
}

/// Clock ticks per second, as programs see them.
pub const USER_HZ: u64 = 100;
/// Nanoseconds per second.
pub const NSEC_PER_SEC: i64 = 1_000_000_000;
/// Microseconds per second.
pub const USEC_PER_SEC: i64 = 1_000_000;

impl PartialOrd for Timespec {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timespec {
    /// By time, for normalised values.
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.tv_sec, self.tv_nsec).cmp(&(other.tv_sec, other.tv_nsec))
    }
}

impl Timespec {
    /// From whole nanoseconds.
    pub const fn from_nanos(ns: i64) -> Timespec {
        Timespec {
            tv_sec: ns.div_euclid(NSEC_PER_SEC),
            tv_nsec: ns.rem_euclid(NSEC_PER_SEC),
        }
    }

    /// Nanoseconds, saturating at the ends of `i64` as `ktime_t` does.
    pub const fn to_nanos(self) -> i64 {
        self.tv_sec
            .saturating_mul(NSEC_PER_SEC)
            .saturating_add(self.tv_nsec)
    }

    /// Whether it is a time not before 0 with nanoseconds in range (`timespec64_valid()`).
    pub const fn is_valid(self) -> bool {
        self.tv_sec >= 0 && self.tv_nsec >= 0 && self.tv_nsec < NSEC_PER_SEC
    }
}

impl Timeval {
    /// From whole nanoseconds, rounding down.
    pub const fn from_nanos(ns: i64) -> Timeval {
        Timeval {
            tv_sec: ns.div_euclid(NSEC_PER_SEC),
            tv_usec: ns.rem_euclid(NSEC_PER_SEC) / 1000,
        }
    }

    /// Nanoseconds, saturating.
    pub const fn to_nanos(self) -> i64 {
        self.tv_sec
            .saturating_mul(NSEC_PER_SEC)
            .saturating_add(self.tv_usec.saturating_mul(1000))
    }

    /// Whether it is a time not before 0 with microseconds in range.
    pub const fn is_valid(self) -> bool {
        self.tv_sec >= 0 && self.tv_usec >= 0 && self.tv_usec < USEC_PER_SEC
    }
}

consts! {
    /// Clocks. Negative numbers are the CPU clocks of processes and threads.
    CLOCKS: i32 {
        CLOCK_REALTIME = 0;
        CLOCK_MONOTONIC = 1;
        CLOCK_PROCESS_CPUTIME_ID = 2;
        CLOCK_THREAD_CPUTIME_ID = 3;
        CLOCK_MONOTONIC_RAW = 4;
        CLOCK_REALTIME_COARSE = 5;
        CLOCK_MONOTONIC_COARSE = 6;
        CLOCK_BOOTTIME = 7;
        CLOCK_REALTIME_ALARM = 8;
        CLOCK_BOOTTIME_ALARM = 9;
        CLOCK_TAI = 11;
    }
}
consts! {
    /// `setitimer` timers.
    ITIMERS: i32 {
        ITIMER_REAL = 0;
        ITIMER_VIRTUAL = 1;
        ITIMER_PROF = 2;
    }
}
consts! {
    /// Whose times `getrusage` returns.
    RUSAGE_WHO: i32 {
        RUSAGE_CHILDREN = -1;
        RUSAGE_SELF = 0;
        RUSAGE_THREAD = 1;
    }
}
/// `timer_settime`, `clock_nanosleep`: the time is absolute.
pub const TIMER_ABSTIME: u32 = 1;
/// `tv_nsec` of `utimensat`: now.
pub const UTIME_NOW: i64 = 0x3fff_ffff;
/// `tv_nsec` of `utimensat`: leave as it is.
pub const UTIME_OMIT: i64 = 0x3fff_fffe;
/// Lowest bits of a clock number that stands for a clock device behind a descriptor.
pub const CLOCKFD: i32 = 3;

flags! {
    /// `timerfd_create` and `timerfd_settime`.
    pub struct TfdFlags: u32 {
        const TFD_TIMER_ABSTIME = 1;
        const TFD_TIMER_CANCEL_ON_SET = 2;
        const TFD_NONBLOCK = 0x800;
        const TFD_CLOEXEC = 0x80000;
    }
}
/// `ioctl` of a timerfd: set the number of expirations.
pub const TFD_IOC_SET_TICKS: u32 = 0x4008_5400;
flags! {
    /// `modes` of [`Timex`].
    pub struct AdjModes: u32 {
        const ADJ_OFFSET = 1;
        const ADJ_FREQUENCY = 2;
        const ADJ_MAXERROR = 4;
        const ADJ_ESTERROR = 8;
        const ADJ_STATUS = 0x10;
        const ADJ_TIMECONST = 0x20;
        const ADJ_TAI = 0x80;
        const ADJ_SETOFFSET = 0x100;
        const ADJ_MICRO = 0x1000;
        const ADJ_NANO = 0x2000;
        const ADJ_TICK = 0x4000;
        const ADJ_ADJTIME = 0x8000;
    }
}
flags! {
    /// `status` of [`Timex`].
    pub struct StaFlags: u32 {
        const STA_PLL = 1;
        const STA_PPSFREQ = 2;
        const STA_PPSTIME = 4;
        const STA_FLL = 8;
        const STA_INS = 0x10;
        const STA_DEL = 0x20;
        const STA_UNSYNC = 0x40;
        const STA_FREQHOLD = 0x80;
        const STA_PPSSIGNAL = 0x100;
        const STA_PPSJITTER = 0x200;
        const STA_PPSWANDER = 0x400;
        const STA_PPSERROR = 0x800;
        const STA_CLOCKERR = 0x1000;
        const STA_NANO = 0x2000;
        const STA_MODE = 0x4000;
        const STA_CLK = 0x8000;
    }
}
consts! {
    /// What `adjtimex` returns.
    TIME_STATES: i32 {
        TIME_OK = 0;
        TIME_INS = 1;
        TIME_DEL = 2;
        TIME_OOP = 3;
        TIME_WAIT = 4;
        TIME_ERROR = 5;
    }
}
