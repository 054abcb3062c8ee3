//! The rows and what is promised of them.

/// Which way is better, and what the number is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// A multiple of native time.
    Less,
    /// A fraction of native throughput.
    Share,
    /// A figure of its own, the more the better.
    More,
    /// A figure of its own, the less the better.
    Absolute,
}

impl Better {
    pub fn sign(self) -> &'static str {
        match self {
            Better::Less | Better::Absolute => "<=",
            Better::Share | Better::More => ">=",
        }
    }

    pub fn meets(self, value: f64, limit: f64) -> bool {
        match self {
            Better::Less | Better::Absolute => value <= limit,
            Better::Share | Better::More => value >= limit,
        }
    }
}

pub struct Goal {
    pub name: &'static str,
    pub limit: Option<f64>,
    pub better: Better,
    /// A row of `real.sh`.
    pub real: bool,
}

const fn micro(name: &'static str, limit: Option<f64>) -> Goal {
    Goal {
        name,
        limit,
        better: Better::Less,
        real: false,
    }
}

const fn real(name: &'static str, limit: Option<f64>) -> Goal {
    Goal {
        name,
        limit,
        better: Better::Less,
        real: true,
    }
}

const fn figure(name: &'static str, limit: f64, better: Better) -> Goal {
    Goal {
        name,
        limit: Some(limit),
        better,
        real: false,
    }
}

/// In the order they are printed.
pub const GOALS: &[Goal] = &[
    micro("clock_gettime", None),
    micro("getppid", Some(34.0)),
    micro("sched_yield", None),
    micro("read1_zero", Some(28.0)),
    micro("write1_null", None),
    micro("pread4k_file", None),
    micro("pwrite4k_file", None),
    micro("pread1m_file", None),
    micro("fstat", None),
    micro("stat", None),
    micro("open_close", Some(6.0)),
    micro("create_unlink", None),
    micro("eventfd_rw", None),
    micro("epoll_wait0", None),
    micro("sigprocmask", None),
    micro("signal_self", None),
    micro("mmap_munmap_4k", Some(5.0)),
    micro("touch_page_anon", Some(1.2)),
    micro("mmap_file_read_1m", None),
    micro("thread_create_join", Some(3.0)),
    micro("fork_exit", Some(2.5)),
    micro("fork_exit_64m", Some(1.3)),
    micro("fork_cow_16m", None),
    micro("fork_exec_true", Some(1.3)),
    micro("vfork_exec_true", None),
    micro("pipe_pingpong", Some(5.0)),
    micro("unix_pingpong", None),
    figure("pipe_bw", 0.6, Better::Share),
    micro("cpu_loop", Some(1.01)),
    figure("smp_scaling", 1.9, Better::More),
    real("lua_build", Some(1.12)),
    real("python_imports", Some(1.25)),
    real("shell_loop", Some(1.4)),
    real("find", None),
    real("grep", None),
    real("find_grep", Some(1.5)),
    figure("boot_ms", 60.0, Better::Absolute),
];
