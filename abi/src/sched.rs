//! Scheduling: policies, their parameters, priorities of I/O.

abi_struct! {
    /// `struct sched_param`.
    pub struct SchedParam [4] {
        pub sched_priority: i32,
    }

    /// `struct sched_attr`.
    pub struct SchedAttr [56] {
        /// Bytes of the version used.
        pub size: u32,
        pub sched_policy: u32,
        /// [`SchedFlags`] bits.
        pub sched_flags: u64,
        pub sched_nice: i32,
        pub sched_priority: u32,
        /// Nanoseconds, as the next two.
        pub sched_runtime: u64,
        pub sched_deadline: u64,
        pub sched_period: u64,
        pub sched_util_min: u32,
        pub sched_util_max: u32,
    }
}

consts! {
    /// Sizes of the published versions of [`SchedAttr`], bytes.
    SCHED_ATTR_SIZES: usize {
        SCHED_ATTR_SIZE_VER0 = 48;
        SCHED_ATTR_SIZE_VER1 = 56;
    }
}
consts! {
    /// Scheduling policies.
    SCHED_POLICIES: u32 {
        SCHED_NORMAL = 0;
        SCHED_FIFO = 1;
        SCHED_RR = 2;
        SCHED_BATCH = 3;
        SCHED_IDLE = 5;
        SCHED_DEADLINE = 6;
        SCHED_EXT = 7;
    }
}
/// The same as [`SCHED_NORMAL`].
pub const SCHED_OTHER: u32 = SCHED_NORMAL;
/// With a policy: children start with the normal one.
pub const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;
flags! {
    /// Flags of `sched_setattr`.
    pub struct SchedFlags: u64 {
        const SCHED_FLAG_RESET_ON_FORK = 1;
        const SCHED_FLAG_RECLAIM = 2;
        const SCHED_FLAG_DL_OVERRUN = 4;
        const SCHED_FLAG_KEEP_POLICY = 8;
        const SCHED_FLAG_KEEP_PARAMS = 0x10;
        const SCHED_FLAG_UTIL_CLAMP_MIN = 0x20;
        const SCHED_FLAG_UTIL_CLAMP_MAX = 0x40;
    }
}
consts! {
    /// Whose nice value: `getpriority`.
    PRIO_WHICH: i32 {
        PRIO_PROCESS = 0;
        PRIO_PGRP = 1;
        PRIO_USER = 2;
    }
}
consts! {
    /// Classes of I/O priority.
    IOPRIO_CLASSES: u32 {
        IOPRIO_CLASS_NONE = 0;
        IOPRIO_CLASS_RT = 1;
        IOPRIO_CLASS_BE = 2;
        IOPRIO_CLASS_IDLE = 3;
    }
}
consts! {
    /// Whose I/O priority: `ioprio_get`.
    IOPRIO_WHO: i32 {
        IOPRIO_WHO_PROCESS = 1;
        IOPRIO_WHO_PGRP = 2;
        IOPRIO_WHO_USER = 3;
    }
}
/// Where the class stands in an I/O priority.
pub const IOPRIO_CLASS_SHIFT: u32 = 13;
/// Lowest and highest nice value.
pub const NICE_RANGE: core::ops::RangeInclusive<i32> = -20..=19;
