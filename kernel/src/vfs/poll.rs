//! What `poll` and epoll report.

bitflags::bitflags! {
    /// EPOLL* event bits (POLL* have the same values).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct PollEvents: u32 {
        const IN = 0x1;
        const PRI = 0x2;
        const OUT = 0x4;
        const ERR = 0x8;
        const HUP = 0x10;
        const NVAL = 0x20;
        const RDNORM = 0x40;
        const RDBAND = 0x80;
        const WRNORM = 0x100;
        const WRBAND = 0x200;
        const MSG = 0x400;
        const RDHUP = 0x2000;
        const READABLE = 0x41;
        const WRITABLE = 0x104;
        const _ = !0;
    }
}
