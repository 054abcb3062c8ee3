//! The types that cross the seam. Plain data, no behaviour.

/// First address that a guest can't map; `mmap`, `brk` and stacks stay below.
pub const TASK_SIZE: u64 = 0x7ffd_0000_0000;
/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;

/// General registers of a guest thread, in the order of Linux's `struct user_regs_struct`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system call number as trapped, `u64::MAX` outside a system call.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub eflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}

/// Why a guest thread came back from [`GuestThread::run`](crate::GuestThread::run).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// `syscall`; number in `orig_rax`, arguments in rdi, rsi, rdx, r10, r8, r9. `rip` is behind the instruction.
    Syscall,
    /// A system call by a gate Umlaut doesn't have (`int 0x80`, vsyscall page): a general protection fault in the guest.
    ForeignSyscall,
    /// Page fault (host SIGSEGV or SIGBUS with an address).
    PageFault {
        addr: u64,
        write: bool,
        exec: bool,
        present: bool,
    },
    /// Another exception, as the host's signal said it: SIGILL, SIGFPE, SIGTRAP, SIGSEGV (general protection), SIGBUS.
    Exception {
        signo: i32,
        code: i32,
        addr: u64,
        trapno: u64,
        error_code: u64,
    },
    /// [`Kicker::kick`](crate::Kicker::kick) took effect; the guest can be resumed at any time.
    Interrupted,
    /// A queued memory operation failed on the host; the guest has not run since. `index` into the operations given to `run`.
    OpFailed { index: usize, errno: i32 },
    /// The guest's host thread or process is gone or didn't obey; only dropping is left.
    Dead,
}

/// Host-side protection of a range: a subset of read, write, execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Prot {
    pub read: bool,
    pub write: bool,
    pub exec: bool,
}

impl Prot {
    pub const NONE: Prot = Prot {
        read: false,
        write: false,
        exec: false,
    };
    pub const RW: Prot = Prot {
        read: true,
        write: true,
        exec: false,
    };
}

/// One operation on a guest address space. Addresses and lengths in bytes, page-aligned, below [`TASK_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOp {
    /// Fresh private zero pages, replacing what was there.
    Anon {
        addr: u64,
        len: u64,
        prot: Prot,
        noreserve: bool,
    },
    /// A range of the page-cache memory. `private`: copy on write. `may_write`: a shared mapping that may be
    /// (or be made) writable. `populate`: fill page tables at once.
    File {
        addr: u64,
        len: u64,
        prot: Prot,
        offset: u64,
        private: bool,
        may_write: bool,
        populate: bool,
    },
    /// Remove a range.
    Unmap { addr: u64, len: u64 },
    /// Change the protection of a range.
    Protect { addr: u64, len: u64, prot: Prot },
    /// `madvise`: MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_*,
    /// and MADV_GUARD_* where [`has_guard_pages`](crate::has_guard_pages) says so.
    Advise { addr: u64, len: u64, advice: i32 },
    /// Move pages (`mremap` with MREMAP_FIXED); `keep`: MREMAP_DONTUNMAP.
    Move {
        from: u64,
        from_len: u64,
        to: u64,
        to_len: u64,
        keep: bool,
    },
}

impl MapOp {
    /// Whether a guest thread may apply it itself on its way back (everything else is the agent's).
    pub fn guest_applied(&self) -> bool {
        !matches!(self, MapOp::File { .. } | MapOp::Move { .. })
    }
}

/// A host refusal: which operation of a list, and the host's errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpError {
    pub index: usize,
    pub errno: i32,
}
