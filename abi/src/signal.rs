//! Signals: numbers, sets, actions and what a program is told about one (`siginfo`).
//!
//! The frame that delivery leaves on the stack is in [`crate::sigframe`].

pub use crate::sigframe::*;
pub use crate::siginfo::*;

consts! {
    /// The standard signals; [`SIGRTMIN`] to [`SIGRTMAX`] are the real-time ones.
    SIGNALS: i32 {
        SIGHUP = 1;
        SIGINT = 2;
        SIGQUIT = 3;
        SIGILL = 4;
        SIGTRAP = 5;
        SIGABRT = 6;
        SIGBUS = 7;
        SIGFPE = 8;
        SIGKILL = 9;
        SIGUSR1 = 10;
        SIGSEGV = 11;
        SIGUSR2 = 12;
        SIGPIPE = 13;
        SIGALRM = 14;
        SIGTERM = 15;
        SIGSTKFLT = 16;
        SIGCHLD = 17;
        SIGCONT = 18;
        SIGSTOP = 19;
        SIGTSTP = 20;
        SIGTTIN = 21;
        SIGTTOU = 22;
        SIGURG = 23;
        SIGXCPU = 24;
        SIGXFSZ = 25;
        SIGVTALRM = 26;
        SIGPROF = 27;
        SIGWINCH = 28;
        SIGIO = 29;
        SIGPWR = 30;
        SIGSYS = 31;
    }
}

/// The same as [`SIGABRT`].
pub const SIGIOT: i32 = SIGABRT;
/// The same as [`SIGIO`].
pub const SIGPOLL: i32 = SIGIO;
/// First real-time signal, as the kernel counts (C libraries keep the first two or three for themselves).
pub const SIGRTMIN: i32 = 32;
/// Last signal.
pub const SIGRTMAX: i32 = 64;
/// Number of signals; they are numbered from 1.
pub const NSIG: i32 = 64;

/// The symbolic name of a standard signal (`"SIGHUP"`), `None` for others.
pub fn name(sig: i32) -> Option<&'static str> {
    SIGNALS
        .iter()
        .find(|(_, n)| *n == sig)
        .map(|(name, _)| *name)
}

/// Whether `sig` is a signal number, 1 to 64.
pub const fn valid(sig: i32) -> bool {
    sig >= 1 && sig <= NSIG
}

/// A set of signals: `sigset_t` of the system calls (8 bytes), where bit n-1 stands for signal n.
#[repr(transparent)]
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// All 64.
    pub const FULL: SigSet = SigSet(!0);
    /// SIGKILL and SIGSTOP, which can be neither blocked, caught nor ignored.
    pub const UNBLOCKABLE: SigSet = SigSet::of(&[SIGKILL, SIGSTOP]);
    /// Signals that stop a process unless handled otherwise.
    pub const STOP: SigSet = SigSet::of(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
    /// Signals raised by the thread's own instructions, delivered before others (`SYNCHRONOUS_MASK`).
    pub const SYNCHRONOUS: SigSet = SigSet::of(&[SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]);
    /// Signals whose default action is to do nothing.
    pub const DEFAULT_IGNORE: SigSet = SigSet::of(&[SIGCONT, SIGCHLD, SIGWINCH, SIGURG]);
    /// Signals whose default action is to end the process with a core dump.
    pub const DEFAULT_CORE: SigSet = SigSet::of(&[
        SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ,
    ]);

    const fn bit(sig: i32) -> u64 {
        if valid(sig) { 1 << (sig - 1) } else { 0 }
    }

    /// The set of the signals listed; numbers that are no signal are left out.
    pub const fn of(sigs: &[i32]) -> SigSet {
        let mut set = 0;
        let mut i = 0;
        while i < sigs.len() {
            set |= Self::bit(sigs[i]);
            i += 1;
        }
        SigSet(set)
    }

    /// Puts a signal in; a number that is no signal changes nothing.
    pub const fn add(&mut self, sig: i32) {
        self.0 |= Self::bit(sig);
    }

    /// Takes a signal out.
    pub const fn del(&mut self, sig: i32) {
        self.0 &= !Self::bit(sig);
    }

    /// Whether the signal is in.
    pub const fn contains(self, sig: i32) -> bool {
        self.0 & Self::bit(sig) != 0
    }

    /// Whether no signal is in.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest signal in the set.
    pub const fn first(self) -> Option<i32> {
        if self.0 == 0 {
            None
        } else {
            Some(self.0.trailing_zeros() as i32 + 1)
        }
    }

    /// Signals in either.
    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }

    /// Signals in both.
    pub const fn intersection(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }

    /// Signals in this one but not in `other`.
    pub const fn difference(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }

    /// Whether the two have a signal in common.
    pub const fn intersects(self, other: SigSet) -> bool {
        self.0 & other.0 != 0
    }

    /// The signals in it, lowest first.
    pub fn iter(self) -> impl Iterator<Item = i32> {
        (1..=NSIG).filter(move |&sig| self.contains(sig))
    }
}

impl core::ops::BitOr for SigSet {
    type Output = SigSet;
    fn bitor(self, rhs: SigSet) -> SigSet {
        self.union(rhs)
    }
}

impl core::ops::BitAnd for SigSet {
    type Output = SigSet;
    fn bitand(self, rhs: SigSet) -> SigSet {
        self.intersection(rhs)
    }
}

impl core::ops::Not for SigSet {
    type Output = SigSet;
    fn not(self) -> SigSet {
        SigSet(!self.0)
    }
}

impl core::fmt::Debug for SigSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Size of `sigset_t` in bytes; system calls refuse any other with EINVAL.
pub const SIGSET_SIZE: usize = 8;

consts! {
    /// What `rt_sigprocmask` does with the set.
    SIG_HOW: i32 {
        SIG_BLOCK = 0;
        SIG_UNBLOCK = 1;
        SIG_SETMASK = 2;
    }
}

/// Handler value: the default action.
pub const SIG_DFL: u64 = 0;
/// Handler value: ignore the signal.
pub const SIG_IGN: u64 = 1;

flags! {
    /// Flags of a signal action.
    pub struct SaFlags: u64 {
        const SA_NOCLDSTOP = 1;
        const SA_NOCLDWAIT = 2;
        const SA_SIGINFO = 4;
        const SA_UNSUPPORTED = 0x400;
        const SA_EXPOSE_TAGBITS = 0x800;
        const SA_RESTORER = 0x4000000;
        const SA_ONSTACK = 0x8000000;
        const SA_RESTART = 0x10000000;
        const SA_NODEFER = 0x40000000;
        const SA_RESETHAND = 0x80000000;
    }
}

abi_struct! {
    /// The kernel's `struct sigaction` on x86-64.
    pub struct KernelSigaction [32] {
        /// [`SIG_DFL`], [`SIG_IGN`] or the address of the handler.
        pub handler: u64,
        /// [`SaFlags`] bits.
        pub flags: u64,
        /// Return address of the handler, if `SA_RESTORER`.
        pub restorer: u64,
        /// Signals blocked while the handler runs.
        pub mask: SigSet,
    }

    /// `stack_t`: the alternate signal stack.
    pub struct SigStack [24] {
        pub ss_sp: u64,
        /// `SS_` bits.
        pub ss_flags: i32,
        pub _pad: u32,
        /// Bytes.
        pub ss_size: u64,
    }
}

impl KernelSigaction {
    /// The flags as a set.
    pub const fn sa_flags(&self) -> SaFlags {
        SaFlags::from_bits_retain(self.flags)
    }
}

consts! {
    /// State and flags of an alternate signal stack.
    SS_FLAGS: u32 {
        SS_ONSTACK = 1;
        SS_DISABLE = 2;
        SS_AUTODISARM = 0x80000000;
    }
}

impl SigStack {
    /// No alternate stack.
    pub const fn disabled() -> SigStack {
        SigStack {
            ss_sp: 0,
            ss_flags: SS_DISABLE as i32,
            _pad: 0,
            ss_size: 0,
        }
    }
}

/// Smallest alternate stack that `sigaltstack` takes, bytes (`AT_MINSIGSTKSZ` may ask for more).
pub const MINSIGSTKSZ: u64 = 2048;

consts! {
    /// `si_code` of signals of any number. Above 0: from the kernel.
    SI_CODES: i32 {
        SI_ASYNCNL = -60;
        SI_DETHREAD = -7;
        SI_TKILL = -6;
        SI_SIGIO = -5;
        SI_ASYNCIO = -4;
        SI_MESGQ = -3;
        SI_TIMER = -2;
        SI_QUEUE = -1;
        SI_USER = 0;
        SI_KERNEL = 128;
    }
}
consts! {
    /// `si_code` of SIGILL.
    ILL_CODES: i32 {
        ILL_ILLOPC = 1;
        ILL_ILLOPN = 2;
        ILL_ILLADR = 3;
        ILL_ILLTRP = 4;
        ILL_PRVOPC = 5;
        ILL_PRVREG = 6;
        ILL_COPROC = 7;
        ILL_BADSTK = 8;
        ILL_BADIADDR = 9;
    }
}
consts! {
    /// `si_code` of SIGFPE.
    FPE_CODES: i32 {
        FPE_INTDIV = 1;
        FPE_INTOVF = 2;
        FPE_FLTDIV = 3;
        FPE_FLTOVF = 4;
        FPE_FLTUND = 5;
        FPE_FLTRES = 6;
        FPE_FLTINV = 7;
        FPE_FLTSUB = 8;
        FPE_FLTUNK = 14;
        FPE_CONDTRAP = 15;
    }
}
consts! {
    /// `si_code` of SIGSEGV.
    SEGV_CODES: i32 {
        SEGV_MAPERR = 1;
        SEGV_ACCERR = 2;
        SEGV_BNDERR = 3;
        SEGV_PKUERR = 4;
        SEGV_CPERR = 10;
    }
}
consts! {
    /// `si_code` of SIGBUS.
    BUS_CODES: i32 {
        BUS_ADRALN = 1;
        BUS_ADRERR = 2;
        BUS_OBJERR = 3;
        BUS_MCEERR_AR = 4;
        BUS_MCEERR_AO = 5;
    }
}
consts! {
    /// `si_code` of SIGTRAP.
    TRAP_CODES: i32 {
        TRAP_BRKPT = 1;
        TRAP_TRACE = 2;
        TRAP_BRANCH = 3;
        TRAP_HWBKPT = 4;
        TRAP_UNK = 5;
        TRAP_PERF = 6;
    }
}
consts! {
    /// `si_code` of SIGCHLD.
    CLD_CODES: i32 {
        CLD_EXITED = 1;
        CLD_KILLED = 2;
        CLD_DUMPED = 3;
        CLD_TRAPPED = 4;
        CLD_STOPPED = 5;
        CLD_CONTINUED = 6;
    }
}
consts! {
    /// `si_code` of SIGIO.
    POLL_CODES: i32 {
        POLL_IN = 1;
        POLL_OUT = 2;
        POLL_MSG = 3;
        POLL_ERR = 4;
        POLL_PRI = 5;
        POLL_HUP = 6;
    }
}
consts! {
    /// `si_code` of SIGSYS.
    SIGSYS_CODES: i32 {
        SYS_SECCOMP = 1;
        SYS_USER_DISPATCH = 2;
    }
}

consts! {
    /// How a timer or message queue notifies.
    SIGEV: i32 {
        SIGEV_SIGNAL = 0;
        SIGEV_NONE = 1;
        SIGEV_THREAD = 2;
        SIGEV_THREAD_ID = 4;
    }
}

abi_struct! {
    /// `struct sigevent`.
    pub struct Sigevent [64] {
        /// Passed on as `si_value`.
        pub sigev_value: u64,
        pub sigev_signo: i32,
        /// One of [`SIGEV`].
        pub sigev_notify: i32,
        /// Thread to signal (`SIGEV_THREAD_ID`).
        pub sigev_notify_thread_id: i32,
        pub _pad: [u32; 11],
    }
}
