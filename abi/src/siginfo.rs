//! `siginfo_t` and `struct signalfd_siginfo`: what a program is told about a signal, with a constructor for each cause.

use crate::signal::*;

abi_struct! {
    /// `siginfo_t`. What lies behind `si_code` depends on the cause: use the constructors and accessors.
    pub struct Siginfo [128] {
        pub si_signo: i32,
        pub si_errno: i32,
        pub si_code: i32,
        pub _pad: u32,
        /// The union, as 8-byte words.
        pub words: [u64; 14],
    }

    /// What reading a signalfd returns for each signal.
    pub struct SignalfdSiginfo [128] {
        pub ssi_signo: u32,
        pub ssi_errno: i32,
        pub ssi_code: i32,
        pub ssi_pid: u32,
        pub ssi_uid: u32,
        pub ssi_fd: i32,
        pub ssi_tid: u32,
        pub ssi_band: u32,
        pub ssi_overrun: u32,
        pub ssi_trapno: u32,
        pub ssi_status: i32,
        pub ssi_int: i32,
        pub ssi_ptr: u64,
        /// Clock ticks (1/100 s).
        pub ssi_utime: u64,
        /// Clock ticks (1/100 s).
        pub ssi_stime: u64,
        pub ssi_addr: u64,
        pub ssi_addr_lsb: u16,
        pub _pad2: u16,
        pub ssi_syscall: i32,
        pub ssi_call_addr: u64,
        pub ssi_arch: u32,
        pub _pad: [u8; 28],
    }
}

const _: () = assert!(core::mem::offset_of!(Siginfo, words) == 16);

/// `AUDIT_ARCH_X86_64`, the architecture in SIGSYS and seccomp data.
pub const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

flags! {
    /// Flags of `signalfd4`.
    pub struct SfdFlags: u32 {
        const SFD_NONBLOCK = 0x800;
        const SFD_CLOEXEC = 0x80000;
    }
}

/// Which member of the union a siginfo uses (`enum siginfo_layout`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum SiginfoLayout {
    Kill,
    Timer,
    Poll,
    Fault,
    FaultMceerr,
    FaultBnderr,
    FaultPkuerr,
    FaultPerf,
    Chld,
    Rt,
    Sys,
}

const fn pair(lo: u32, hi: u32) -> u64 {
    lo as u64 | (hi as u64) << 32
}

impl Siginfo {
    const fn with(signo: i32, code: i32, first: [u64; 4]) -> Siginfo {
        let mut words = [0; 14];
        words[0] = first[0];
        words[1] = first[1];
        words[2] = first[2];
        words[3] = first[3];
        Siginfo {
            si_signo: signo,
            si_errno: 0,
            si_code: code,
            _pad: 0,
            words,
        }
    }

    /// Sent by `kill` (`SI_USER`).
    pub const fn kill(signo: i32, pid: i32, uid: u32) -> Siginfo {
        Self::with(signo, SI_USER, [pair(pid as u32, uid), 0, 0, 0])
    }

    /// Sent by `tkill` or `tgkill` (`SI_TKILL`).
    pub const fn tgkill(signo: i32, pid: i32, uid: u32) -> Siginfo {
        Self::with(signo, SI_TKILL, [pair(pid as u32, uid), 0, 0, 0])
    }

    /// Sent by the kernel without a more exact cause (`SI_KERNEL`).
    pub const fn kernel(signo: i32) -> Siginfo {
        Self::with(signo, SI_KERNEL, [0; 4])
    }

    /// A fault at an address: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP.
    pub const fn fault(signo: i32, code: i32, addr: u64) -> Siginfo {
        Self::with(signo, code, [addr, 0, 0, 0])
    }

    /// SIGSEGV for an access that protection key `pkey` forbids.
    pub const fn pkey_fault(addr: u64, pkey: u32) -> Siginfo {
        Self::with(SIGSEGV, SEGV_PKUERR, [addr, 0, pkey as u64, 0])
    }

    /// A child's change of state. `code` is one of [`CLD_CODES`], `status` the exit code or signal, the times are
    /// clock ticks (1/100 s).
    pub const fn chld(
        code: i32,
        pid: i32,
        uid: u32,
        status: i32,
        utime: u64,
        stime: u64,
    ) -> Siginfo {
        Self::chld_with_signal(SIGCHLD, code, pid, uid, status, utime, stime)
    }

    /// The same, for a child whose `clone` asked for another signal.
    pub const fn chld_with_signal(
        signo: i32,
        code: i32,
        pid: i32,
        uid: u32,
        status: i32,
        utime: u64,
        stime: u64,
    ) -> Siginfo {
        Self::with(
            signo,
            code,
            [pair(pid as u32, uid), pair(status as u32, 0), utime, stime],
        )
    }

    /// A POSIX timer's expiry (`SI_TIMER`).
    pub const fn timer(signo: i32, timer_id: i32, overrun: i32, value: u64) -> Siginfo {
        Self::with(
            signo,
            SI_TIMER,
            [pair(timer_id as u32, overrun as u32), value, 0, 0],
        )
    }

    /// Input or output became possible; `code` is one of [`POLL_CODES`], `band` the poll bits.
    pub const fn poll(signo: i32, code: i32, band: i64, fd: i32) -> Siginfo {
        Self::with(signo, code, [band as u64, pair(fd as u32, 0), 0, 0])
    }

    /// Sent by `sigqueue` with a value (`SI_QUEUE`).
    pub const fn queue(signo: i32, pid: i32, uid: u32, value: u64) -> Siginfo {
        Self::rt(signo, SI_QUEUE, pid, uid, value)
    }

    /// A signal with a sender and a value, of any code (`SI_MESGQ` for message queues).
    pub const fn rt(signo: i32, code: i32, pid: i32, uid: u32, value: u64) -> Siginfo {
        Self::with(signo, code, [pair(pid as u32, uid), value, 0, 0])
    }

    /// SIGSYS from seccomp; `errno` is the filter's return data.
    pub const fn sigsys(call_addr: u64, syscall: i32, errno: i32) -> Siginfo {
        let mut info = Self::with(
            SIGSYS,
            SYS_SECCOMP,
            [call_addr, pair(syscall as u32, AUDIT_ARCH_X86_64), 0, 0],
        );
        info.si_errno = errno;
        info
    }

    /// The sender's or child's process id.
    pub const fn pid(&self) -> i32 {
        self.words[0] as i32
    }

    /// The sender's or child's user id.
    pub const fn uid(&self) -> u32 {
        (self.words[0] >> 32) as u32
    }

    /// Replaces the process id, as its receiver's pid namespace needs.
    pub const fn set_pid(&mut self, pid: i32) {
        self.words[0] = pair(pid as u32, self.uid());
    }

    /// Replaces the user id, as its receiver's user namespace needs.
    pub const fn set_uid(&mut self, uid: u32) {
        self.words[0] = pair(self.words[0] as u32, uid);
    }

    /// The value given with `sigqueue`, a timer or a message queue (`si_value`).
    pub const fn value(&self) -> u64 {
        self.words[1]
    }

    /// Exit code or signal of the child.
    pub const fn status(&self) -> i32 {
        self.words[1] as i32
    }

    /// User and system time of the child, clock ticks (1/100 s).
    pub const fn times(&self) -> (u64, u64) {
        (self.words[2], self.words[3])
    }

    /// Address of the fault.
    pub const fn addr(&self) -> u64 {
        self.words[0]
    }

    /// Least significant bit of the address of a memory error.
    pub const fn addr_lsb(&self) -> u16 {
        self.words[1] as u16
    }

    /// Timer id (`si_tid`).
    pub const fn timer_id(&self) -> i32 {
        self.words[0] as i32
    }

    /// Timer overruns.
    pub const fn overrun(&self) -> i32 {
        (self.words[0] >> 32) as i32
    }

    /// Replaces the count of timer overruns, known only at delivery.
    pub const fn set_overrun(&mut self, overrun: i32) {
        self.words[0] = pair(self.words[0] as u32, overrun as u32);
    }

    /// Poll bits of SIGIO.
    pub const fn band(&self) -> i64 {
        self.words[0] as i64
    }

    /// File descriptor of SIGIO.
    pub const fn fd(&self) -> i32 {
        self.words[1] as i32
    }

    /// Address after the system call instruction (SIGSYS).
    pub const fn call_addr(&self) -> u64 {
        self.words[0]
    }

    /// Number of the system call (SIGSYS).
    pub const fn syscall(&self) -> i32 {
        self.words[1] as i32
    }

    /// Architecture of the system call (SIGSYS).
    pub const fn arch(&self) -> u32 {
        (self.words[1] >> 32) as u32
    }

    /// Whether a program sent it (`SI_FROMUSER`).
    pub const fn from_user(&self) -> bool {
        self.si_code <= 0
    }

    /// Which member of the union is in use (`kernel/signal.c:siginfo_layout()`).
    pub const fn layout(&self) -> SiginfoLayout {
        use SiginfoLayout::*;
        let code = self.si_code;
        match code {
            SI_TIMER => return Timer,
            SI_SIGIO => return Poll,
            _ if code < 0 => return Rt,
            _ if code == SI_USER || code >= SI_KERNEL => return Kill,
            _ => {}
        }
        match (self.si_signo, code) {
            (SIGBUS, BUS_MCEERR_AR | BUS_MCEERR_AO) => FaultMceerr,
            (SIGSEGV, SEGV_BNDERR) => FaultBnderr,
            (SIGSEGV, SEGV_PKUERR) => FaultPkuerr,
            (SIGTRAP, TRAP_PERF) => FaultPerf,
            (SIGILL, 1..=11)
            | (SIGFPE, 1..=15)
            | (SIGSEGV, 1..=10)
            | (SIGBUS, 1..=5)
            | (SIGTRAP, 1..=6) => Fault,
            (SIGCHLD, 1..=6) => Chld,
            (SIGSYS, 1..=2) => Sys,
            (_, 1..=6) => Poll,
            _ => Kill,
        }
    }
}

impl From<&Siginfo> for SignalfdSiginfo {
    /// `fs/signalfd.c:signalfd_copyinfo()`.
    fn from(info: &Siginfo) -> Self {
        let mut out = SignalfdSiginfo {
            ssi_signo: info.si_signo as u32,
            ssi_errno: info.si_errno,
            ssi_code: info.si_code,
            ..Default::default()
        };
        match info.layout() {
            SiginfoLayout::Kill => {
                out.ssi_pid = info.pid() as u32;
                out.ssi_uid = info.uid();
            }
            SiginfoLayout::Timer => {
                out.ssi_tid = info.timer_id() as u32;
                out.ssi_overrun = info.overrun() as u32;
                out.ssi_ptr = info.value();
                out.ssi_int = info.value() as i32;
            }
            SiginfoLayout::Poll => {
                out.ssi_band = info.band() as u32;
                out.ssi_fd = info.fd();
            }
            SiginfoLayout::Fault
            | SiginfoLayout::FaultBnderr
            | SiginfoLayout::FaultPkuerr
            | SiginfoLayout::FaultPerf => out.ssi_addr = info.addr(),
            SiginfoLayout::FaultMceerr => {
                out.ssi_addr = info.addr();
                out.ssi_addr_lsb = info.addr_lsb();
            }
            SiginfoLayout::Chld => {
                out.ssi_pid = info.pid() as u32;
                out.ssi_uid = info.uid();
                out.ssi_status = info.status();
                (out.ssi_utime, out.ssi_stime) = info.times();
            }
            SiginfoLayout::Rt => {
                out.ssi_pid = info.pid() as u32;
                out.ssi_uid = info.uid();
                out.ssi_ptr = info.value();
                out.ssi_int = info.value() as i32;
            }
            SiginfoLayout::Sys => {
                out.ssi_call_addr = info.call_addr();
                out.ssi_syscall = info.syscall();
                out.ssi_arch = info.arch();
            }
        }
        out
    }
}
