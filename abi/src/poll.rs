//! Waiting for files: poll, select, epoll, eventfd.

abi_struct! {
    /// `struct pollfd`.
    pub struct Pollfd [8] {
        pub fd: i32,
        /// [`PollEvents`] bits.
        pub events: u16,
        pub revents: u16,
    }
}

/// `struct epoll_event`: packed on x86-64, so copy the fields out before use.
#[repr(C, packed)]
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
pub struct EpollEvent {
    /// [`EpollEvents`] bits.
    pub events: u32,
    /// The program's own.
    pub data: u64,
}

const _: () = assert!(core::mem::size_of::<EpollEvent>() == 12);

flags! {
    /// Events of `poll`.
    pub struct PollEvents: u16 {
        const POLLIN = 1;
        const POLLPRI = 2;
        const POLLOUT = 4;
        const POLLERR = 8;
        const POLLHUP = 0x10;
        const POLLNVAL = 0x20;
        const POLLRDNORM = 0x40;
        const POLLRDBAND = 0x80;
        const POLLWRNORM = 0x100;
        const POLLWRBAND = 0x200;
        const POLLMSG = 0x400;
        const POLLREMOVE = 0x1000;
        const POLLRDHUP = 0x2000;
    }
}
flags! {
    /// Events of epoll: those of `poll` by the same bits, and how to report them.
    pub struct EpollEvents: u32 {
        const EPOLLIN = 1;
        const EPOLLPRI = 2;
        const EPOLLOUT = 4;
        const EPOLLERR = 8;
        const EPOLLHUP = 0x10;
        const EPOLLNVAL = 0x20;
        const EPOLLRDNORM = 0x40;
        const EPOLLRDBAND = 0x80;
        const EPOLLWRNORM = 0x100;
        const EPOLLWRBAND = 0x200;
        const EPOLLMSG = 0x400;
        const EPOLLRDHUP = 0x2000;
        const EPOLL_URING_WAKE = 0x8000000;
        const EPOLLEXCLUSIVE = 0x10000000;
        const EPOLLWAKEUP = 0x20000000;
        const EPOLLONESHOT = 0x40000000;
        const EPOLLET = 0x80000000;
    }
}

impl EpollEvents {
    /// Bits that say how to report, not what (`EP_PRIVATE_BITS`).
    pub const PRIVATE: EpollEvents = EpollEvents::EPOLLWAKEUP
        .union(EpollEvents::EPOLLONESHOT)
        .union(EpollEvents::EPOLLET)
        .union(EpollEvents::EPOLLEXCLUSIVE);
}

impl From<PollEvents> for EpollEvents {
    fn from(events: PollEvents) -> Self {
        EpollEvents::from_bits_retain(events.bits() as u32)
    }
}

consts! {
    /// `epoll_ctl` operations.
    EPOLL_CTL: u32 {
        EPOLL_CTL_ADD = 1;
        EPOLL_CTL_DEL = 2;
        EPOLL_CTL_MOD = 3;
    }
}
flags! {
    /// Flags of `epoll_create1`.
    pub struct EpollCreateFlags: u32 {
        const EPOLL_CLOEXEC = 0x80000;
    }
}
flags! {
    /// Flags of `eventfd2`.
    pub struct EfdFlags: u32 {
        const EFD_SEMAPHORE = 1;
        const EFD_NONBLOCK = 0x800;
        const EFD_CLOEXEC = 0x80000;
    }
}

/// Most descriptors that a C library's `fd_set` holds; the system call takes any number.
pub const FD_SETSIZE: usize = 1024;

/// Bytes of a `select` set for descriptors below `n`: whole 8-byte words.
pub const fn fd_set_bytes(n: usize) -> usize {
    n.div_ceil(64) * 8
}

/// Whether descriptor `fd` is in a set, given as words.
pub fn fd_isset(set: &[u64], fd: usize) -> bool {
    set.get(fd / 64).is_some_and(|w| w >> (fd % 64) & 1 != 0)
}

/// Puts descriptor `fd` into a set; one beyond its end changes nothing.
pub fn fd_set(set: &mut [u64], fd: usize) {
    if let Some(w) = set.get_mut(fd / 64) {
        *w |= 1 << (fd % 64);
    }
}

/// What `select` counts as readable (`POLLIN_SET`).
pub const SELECT_IN: PollEvents = PollEvents::POLLRDNORM
    .union(PollEvents::POLLRDBAND)
    .union(PollEvents::POLLIN)
    .union(PollEvents::POLLHUP)
    .union(PollEvents::POLLERR);
/// What `select` counts as writable (`POLLOUT_SET`).
pub const SELECT_OUT: PollEvents = PollEvents::POLLWRBAND
    .union(PollEvents::POLLWRNORM)
    .union(PollEvents::POLLOUT)
    .union(PollEvents::POLLERR);
/// What `select` counts as exceptional (`POLLEX_SET`).
pub const SELECT_EX: PollEvents = PollEvents::POLLPRI;
