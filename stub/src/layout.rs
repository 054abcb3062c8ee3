//! Addresses, offsets and values shared by the stub program and the kernel process.

/// Start of the stub region. Its upper half (`STUB_HI`) tells the filter that an instruction is the stub's.
pub const STUB_BASE: u64 = 0x7fff_0000_0000;
/// A byte for each system call's number: which argument points to what the kernel reads first (1, 2 or 4), or 0.
pub const AHEAD_TABLE: u64 = STUB_BASE + 3584;
pub const AHEAD_NUMBERS: usize = 512;
/// Upper 32 bits of every address in the stub region.
pub const STUB_HI: u32 = (STUB_BASE >> 32) as u32;
/// Where the program is linked (and exec'd) before it moves to [`STUB_BASE`].
pub const LOW_BASE: u64 = 0x7000_0000_0000;
/// End of user addresses with four-level page tables.
pub const USER_TOP: u64 = 0x7fff_ffff_f000;
/// The agent's request page, read-only and shared with the kernel process.
pub const REQUEST_ADDR: u64 = STUB_BASE + 0x10_0000;
/// The area of a process's first thread.
pub const HOME_ADDR: u64 = STUB_BASE + 0x20_0000;
/// Areas of further threads: slot `n` lies at `AREAS_ADDR + n * AREA_SIZE`.
pub const AREAS_ADDR: u64 = STUB_BASE + 0x1000_0000;

/// Bytes of a thread area: operations and copies in the first page, the mailbox in the last bytes, signal stack between.
pub const AREA_SIZE: u64 = 32 << 10;
/// Bytes at an area's end that hold the mailbox.
pub const MAILBOX_SIZE: u64 = 320;
/// Thread areas (and request pages) in all.
pub const SLOTS: u64 = 65536;
/// Bytes of one request page.
pub const REQUEST_SIZE: u64 = 4096;
/// Where the areas begin in the control memory; the request pages come first.
pub const AREAS_OFFSET: u64 = SLOTS * REQUEST_SIZE;
/// Size of the control memory.
pub const CONTROL_SIZE: u64 = AREAS_OFFSET + SLOTS * AREA_SIZE;

/// File descriptors of every stub process.
pub mod fd {
    /// The control memory.
    pub const CONTROL: u32 = 0;
    /// The program's image; closed when the zygote is ready.
    pub const IMAGE: u32 = 1;
    /// The page-cache memory, read-only: private mappings, and shared ones that may never be written.
    pub const CACHE_RO: u32 = 2;
    /// The page-cache memory: shared mappings that may be written.
    pub const CACHE_RW: u32 = 3;
    /// Then three for each caller: event, result of the caller's request, result of a child.
    pub const CALLERS: u32 = 4;
    /// Descriptors a caller.
    pub const PER_CALLER: u32 = 3;
}

/// Offsets in a request page.
pub mod req {
    /// u32, futex: number of the current request.
    pub const SEQ: u64 = 0;
    /// u32: operations in the request.
    pub const COUNT: u64 = 4;
    /// u32: event descriptor to write to when done, if [`AWAITED`].
    pub const EVENT_FD: u64 = 8;
    /// u32: descriptor whose file position becomes the result.
    pub const RESULT_FD: u64 = 12;
    /// u64: what is written to the event descriptor.
    pub const EVENT: u64 = 16;
    /// u64: offset in the control memory of the request page of a child to be cloned.
    pub const CHILD: u64 = 24;
    /// u32: process id of the kernel process.
    pub const KERNEL_PID: u64 = 32;
    /// u32: becomes the upper part of the result, so that a caller knows it from earlier ones.
    pub const TAG: u64 = 36;
    /// u64: the secret; in the zygote's page while it starts.
    pub const SECRET: u64 = 40;
    /// u64: where patched call sites of this process go.
    pub const ENTRY: u64 = 48;
    /// u32: whether the caller sleeps on the event; otherwise it sees the result by itself.
    pub const AWAITED: u64 = 56;
    /// Operations: `OP_SIZE` bytes each: u32 number, u32 kind, six u64 arguments.
    pub const OPS: u64 = 64;
    pub const OP_SIZE: u64 = 56;
    pub const MAX_OPS: usize = 64;
    /// A result: tag, index of the last operation, its value's lower half. A file position, so never negative.
    pub const TAG_SHIFT: u32 = 40;
    pub const MAX_TAG: u32 = (1 << 22) - 1;
    /// Free for data that operations point to.
    pub const DATA: u64 = OPS + OP_SIZE * MAX_OPS as u64;

    /// The secret goes into the sixth argument.
    pub const KIND_PLAIN: u32 = 0;
    /// `mmap`: the secret goes into the upper halves of flags and descriptor.
    pub const KIND_MMAP: u32 = 1;
    /// `clone` of a guest thread.
    pub const KIND_THREAD: u32 = 2;
    /// `clone` of the address space.
    pub const KIND_PROCESS: u32 = 3;
}

/// Offsets in a mailbox.
pub mod mb {
    /// u32, futex: one of the `state` values.
    pub const STATE: u64 = 0;
    /// u32: reply flags.
    pub const FLAGS: u64 = 4;
    /// u32: the signal that trapped, or `OP_FAILED`.
    pub const SIGNO: u64 = 8;
    /// u32: operations to do before going on.
    pub const OP_COUNT: u64 = 12;
    /// u64: address of the ucontext.
    pub const UC: u64 = 16;
    /// u64: address of the siginfo.
    pub const INFO: u64 = 24;
    pub const FS_BASE: u64 = 32;
    pub const GS_BASE: u64 = 40;
    /// u32: which operation failed; u32: its errno.
    pub const OP_INDEX: u64 = 48;
    pub const OP_ERRNO: u64 = 52;

    /// u32: `UNDER_WAY` during a direct call, `SIGNALLED` when a signal came meanwhile, else 0.
    pub const DIRECT: u64 = 56;
    /// u32: flags at a direct call: AL is OF, AH as LAHF has it.
    pub const EFLAGS: u64 = 60;
    /// u32: how often the thread looks at the state word, with a pause each, before it sleeps.
    pub const PATIENCE: u64 = 64;
    /// u32: copies to do before going on, in the area at `COPIES`.
    pub const COPY_COUNT: u64 = 68;
    /// u64: where the bytes at `AHEAD` were read; u32: how many they are.
    pub const AHEAD_ADDR: u64 = 72;
    pub const AHEAD_LEN: u64 = 80;
    /// u64 each: registers at a direct call, in the order of a ucontext's gregs up to RIP.
    pub const REGS: u64 = 128;

    pub const UNDER_WAY: u32 = 1;
    pub const SIGNALLED: u32 = 2;

    /// `SIGNO` when an operation failed.
    pub const OP_FAILED: u32 = 0x100;
    /// `SIGNO` of a direct call.
    pub const DIRECT_CALL: u32 = 0x101;
    /// `SIGNO` when a signal came in the middle of a direct call, which is done.
    pub const DIRECT_INTERRUPTED: u32 = 0x102;

    /// Reply flags.
    pub const F_OPS: u32 = 1;
    pub const F_BASES: u32 = 2;
    pub const F_BASES_BY_SYSCALL: u32 = 4;
    pub const F_EXIT: u32 = 8;
    /// Make a signal frame: a thread in a direct call has none.
    pub const F_FRAME: u32 = 16;

    /// Copy bytes to the guest's memory.
    pub const F_COPIES: u32 = 32;

    /// No system call, but one that the filter traps inside the program.
    pub const FRAME_NR: u32 = 0xfff;
    /// Offset of RIP in a ucontext.
    pub const UC_RIP: u64 = 40 + 16 * 8;
    /// The signals that may come at any instruction: SIGUSR1 interrupts, SIGTRAP steps.
    pub const PREEMPT: i32 = 10;
    pub const SIGBUS: i32 = 7;
    pub const SIGSEGV: i32 = 11;
    pub const SIGTRAP: i32 = 5;

    /// Operation in the area's first page: u32 number, u32 flags, u64 address, u64 length, u64 third argument.
    pub const OP_SIZE: u64 = 32;
    pub const MAX_OPS: usize = 64;
    /// Behind them copies: u64 address, u64 length, then the bytes, filled up to a multiple of 8.
    pub const COPIES: u64 = OP_SIZE * MAX_OPS as u64;
    pub const COPIES_SIZE: u64 = AHEAD - COPIES;
    /// At the page's end bytes of the guest's memory, read before a direct call is handed over.
    pub const AHEAD: u64 = 4096 - AHEAD_SIZE;
    pub const AHEAD_SIZE: u64 = 128;
}

/// Values of the state word. The host writes `GONE` when the thread exits.
pub mod state {
    pub const GONE: u32 = 0;
    /// The guest's turn; the kernel isn't asleep yet.
    pub const GUEST: u32 = 1;
    /// The guest's turn; the kernel sleeps on the word.
    pub const GUEST_WAITED: u32 = 2;
    /// The kernel's turn; the guest thread isn't asleep yet.
    pub const KERNEL: u32 = 3;
    /// The kernel's turn; the guest thread sleeps on the word.
    pub const KERNEL_WAITED: u32 = 4;
}
