//! Futexes: operations and the lists by which a dying thread's locks are found.

consts! {
    /// Futex operations, under [`FUTEX_CMD_MASK`].
    FUTEX_OPS: u32 {
        FUTEX_WAIT = 0;
        FUTEX_WAKE = 1;
        FUTEX_FD = 2;
        FUTEX_REQUEUE = 3;
        FUTEX_CMP_REQUEUE = 4;
        FUTEX_WAKE_OP = 5;
        FUTEX_LOCK_PI = 6;
        FUTEX_UNLOCK_PI = 7;
        FUTEX_TRYLOCK_PI = 8;
        FUTEX_WAIT_BITSET = 9;
        FUTEX_WAKE_BITSET = 10;
        FUTEX_WAIT_REQUEUE_PI = 11;
        FUTEX_CMP_REQUEUE_PI = 12;
        FUTEX_LOCK_PI2 = 13;
    }
}
flags! {
    /// Flags beside a futex operation.
    pub struct FutexFlags: u32 {
        const FUTEX_PRIVATE_FLAG = 0x80;
        const FUTEX_CLOCK_REALTIME = 0x100;
    }
}
/// The operation without its flags.
pub const FUTEX_CMD_MASK: u32 = !0x180;
consts! {
    /// Bits of the word of a robust or priority-inheriting futex.
    FUTEX_WORD: u32 {
        FUTEX_TID_MASK = 0x3fffffff;
        FUTEX_OWNER_DIED = 0x40000000;
        FUTEX_WAITERS = 0x80000000;
    }
}
/// A bitset that matches all.
pub const FUTEX_BITSET_MATCH_ANY: u32 = !0;
consts! {
    /// `FUTEX_WAKE_OP`: operations, and the flag for a shifted argument.
    FUTEX_WAKE_OPS: u32 {
        FUTEX_OP_SET = 0;
        FUTEX_OP_ADD = 1;
        FUTEX_OP_OR = 2;
        FUTEX_OP_ANDN = 3;
        FUTEX_OP_XOR = 4;
        FUTEX_OP_OPARG_SHIFT = 8;
    }
}
consts! {
    /// `FUTEX_WAKE_OP`: comparisons.
    FUTEX_WAKE_CMPS: u32 {
        FUTEX_OP_CMP_EQ = 0;
        FUTEX_OP_CMP_NE = 1;
        FUTEX_OP_CMP_LT = 2;
        FUTEX_OP_CMP_LE = 3;
        FUTEX_OP_CMP_GT = 4;
        FUTEX_OP_CMP_GE = 5;
    }
}
flags! {
    /// Flags of `futex_waitv` and the `futex_wait` family; the size is the field `FUTEX2_SIZE_MASK`.
    pub struct Futex2Flags: u32 {
        const FUTEX2_SIZE_U16 = 1;
        const FUTEX2_SIZE_U32 = 2;
        const FUTEX2_SIZE_U64 = 3;
        const FUTEX2_NUMA = 4;
        const FUTEX2_MPOL = 8;
        const FUTEX2_PRIVATE = 0x80;
    }
}
/// Most elements that `futex_waitv` takes.
pub const FUTEX_WAITV_MAX: usize = 128;
/// Most entries of a robust list that the kernel walks.
pub const ROBUST_LIST_LIMIT: usize = 2048;

abi_struct! {
    /// `struct robust_list`.
    pub struct RobustList [8] {
        /// Address of the next, with bit 0 set for a priority-inheriting one.
        pub next: u64,
    }

    /// `struct robust_list_head`.
    pub struct RobustListHead [24] {
        pub list: RobustList,
        /// Bytes from a list entry to its futex word.
        pub futex_offset: i64,
        pub list_op_pending: u64,
    }

    /// `struct futex_waitv`.
    pub struct FutexWaitv [24] {
        pub val: u64,
        pub uaddr: u64,
        /// [`Futex2Flags`] bits.
        pub flags: u32,
        pub _reserved: u32,
    }
}
