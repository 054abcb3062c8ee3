//! Compares this crate with the C headers of the machine that runs the test: a C program is compiled that prints the
//! constants it knows, and the sizes and offsets of structs, as Linux's own headers have them.
//!
//! Constants newer than the installed headers, and those that are no macros there, are passed over; each section says
//! how many at least must have been compared, so that nothing passes by comparing nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a C program made of includes and the body of `main`; its lines are `name number`.
fn run_c(section: &str, includes: &str, body: &str) -> Option<BTreeMap<String, i128>> {
    let dir = std::env::temp_dir().join(format!("umlaut-abi-{}-{section}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory for the C program");
    let exe = dir.join("probe");
    let source: String = format!(
        "{}\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{\n{body}\nreturn 0; }}\n",
        includes
            .split(' ')
            .map(|h| format!("#include <{h}>\n"))
            .collect::<String>()
    );
    let spawned = Command::new("gcc")
        .args(["-w", "-x", "c", "-o"])
        .arg(&exe)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut gcc = match spawned {
        Ok(gcc) => gcc,
        Err(why) => {
            eprintln!("not compared with the C headers: gcc can't be run: {why}");
            let _ = std::fs::remove_dir_all(&dir);
            return None;
        }
    };
    gcc.stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let done = gcc.wait_with_output().unwrap();
    let printed = done
        .status
        .success()
        .then(|| Command::new(&exe).output().expect("the C program runs"));
    let _ = std::fs::remove_dir_all(&dir);
    let Some(printed) = printed else {
        panic!(
            "{section}: gcc refuses the C program:\n{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let text = String::from_utf8(printed.stdout).unwrap();
    Some(
        text.lines()
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_string(), value.parse().unwrap())
            })
            .collect(),
    )
}

type Ours = Vec<(String, i128, u32)>;

fn compare_consts(section: &str, includes: &str, ours: Ours, at_least: usize) {
    let body: String = ours
        .iter()
        .map(|(n, ..)| format!("#ifdef {n}\nprintf(\"{n} %lld\\n\", (long long)({n}));\n#endif\n"))
        .collect();
    let Some(theirs) = run_c(section, includes, &body) else {
        return;
    };
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, value, bits) in &ours {
        if let Some(their) = theirs.get(name) {
            compared += 1;
            if (their ^ value) & ((1i128 << bits) - 1) != 0 {
                wrong.push(format!(
                    "{name}: {value:#x} here, {their:#x} in the headers"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{section}:\n{}", wrong.join("\n"));
    assert!(
        compared >= at_least,
        "{section}: only {compared} of {} constants compared",
        ours.len()
    );
    println!("{section}: {compared} of {} constants compared", ours.len());
}

macro_rules! consts_test {
    ($test:ident, $includes:literal, $least:literal, tables [$($table:path),*], flags [$($flags:ty),*]) => {
        #[test]
        fn $test() {
            let mut ours = Ours::new();
            $(for (name, value) in $table { ours.push((name.to_string(), *value as i128, size_of_val(value) as u32 * 8)); })*
            $(for flag in <$flags as bitflags::Flags>::FLAGS {
                let value = flag.value().bits();
                ours.push((flag.name().to_string(), value as i128, size_of_val(&value) as u32 * 8));
            })*
            compare_consts(stringify!($test), $includes, ours, $least);
        }
    };
}

macro_rules! layout_test {
    ($test:ident, $includes:literal, $($ctype:literal $ty:ty { $($field:ident),* })*) => {
        #[test]
        fn $test() {
            let mut ours: Vec<(String, i128)> = Vec::new();
            let mut body = String::new();
            $(
                ours.push(($ctype.to_string(), size_of::<$ty>() as i128));
                body += &format!("printf(\"{} %zu\\n\", sizeof({}));\n", $ctype, $ctype);
                $(
                    let field = stringify!($field).trim_start_matches("r#");
                    let name = format!("{}.{field}", $ctype);
                    body += &format!("printf(\"{name} %zu\\n\", offsetof({}, {field}));\n", $ctype);
                    ours.push((name, core::mem::offset_of!($ty, $field) as i128));
                )*
            )*
            let Some(theirs) = run_c(stringify!($test), $includes, &body) else { return };
            let wrong: Vec<_> = ours.iter().filter(|(n, v)| theirs[n] != *v).collect();
            assert!(wrong.is_empty(), "differ from the headers: {wrong:?}");
        }
    };
}

use abi::{
    fs, futex, inotify, ipc, mm, mount, net, poll, sched, seccomp, sigframe, siginfo, signal, task,
    time, tty,
};

#[test]
fn errors() {
    let ours = abi::Errno::ALL
        .iter()
        .map(|(e, n)| (n.to_string(), e.0 as i128, 32))
        .collect();
    compare_consts("errors", "asm/errno.h", ours, 131);
}

#[test]
fn system_calls() {
    let ours = abi::nr::iter()
        .map(|(nr, name)| (format!("__NR_{name}"), nr as i128, 32))
        .collect();
    compare_consts("system_calls", "asm/unistd_64.h", ours, 360);
}

consts_test!(signals, "asm/signal.h asm/siginfo.h linux/signal.h linux/signalfd.h", 75,
    tables [signal::SIGNALS, signal::SIG_HOW, signal::SI_CODES, signal::ILL_CODES, signal::FPE_CODES,
        signal::SEGV_CODES, signal::BUS_CODES, signal::TRAP_CODES, signal::CLD_CODES, signal::POLL_CODES,
        signal::SIGSYS_CODES, signal::SIGEV, signal::SS_FLAGS],
    flags [signal::SaFlags, siginfo::SfdFlags]);
consts_test!(files, "linux/fcntl.h linux/stat.h linux/fs.h linux/openat2.h linux/falloc.h linux/close_range.h \
asm/ioctls.h linux/xattr.h linux/limits.h linux/uio.h linux/fadvise.h linux/fiemap.h linux/hdreg.h", 210,
    tables [fs::FILE_TYPES, fs::MODE_BITS, fs::SEEK, fs::FCNTL, fs::F_OWNER, fs::F_LOCK_TYPES, fs::FADVISE,
        fs::FILE_IOCTLS, fs::BLOCK_IOCTLS, fs::LIMITS, fs::XATTR_LIMITS],
    flags [fs::OpenFlags, fs::ResolveFlags, fs::AtFlags, fs::StatxMask, fs::StatxAttr, fs::FallocFlags,
        fs::RenameFlags, fs::RwfFlags, fs::SyncRangeFlags, fs::CloseRangeFlags, fs::FlockOp, fs::XattrFlags,
        fs::SealFlags, fs::InodeFlags]);
consts_test!(mounts, "linux/mount.h linux/magic.h linux/fcntl.h", 100,
    tables [mount::FS_MAGIC],
    flags [mount::MountFlags, mount::OpenTreeFlags, mount::MoveMountFlags, mount::MountAttrFlags, mount::FspickFlags]);
consts_test!(inotify_masks, "linux/inotify.h", 24, tables [],
    flags [inotify::InotifyMask, inotify::InotifyInitFlags]);
consts_test!(memory, "linux/mman.h linux/memfd.h", 60, tables [mm::MADVICE],
    flags [mm::ProtFlags, mm::MapFlags, mm::MremapFlags, mm::MsyncFlags, mm::MlockFlags, mm::MfdFlags]);
consts_test!(times, "linux/time.h linux/timex.h linux/timerfd.h linux/resource.h", 50,
    tables [time::CLOCKS, time::ITIMERS, time::RUSAGE_WHO, time::TIME_STATES],
    flags [time::TfdFlags, time::AdjModes, time::StaFlags]);
consts_test!(tasks, "linux/sched.h linux/sched/types.h linux/wait.h linux/resource.h linux/prctl.h asm/prctl.h \
linux/capability.h linux/auxvec.h asm/auxvec.h linux/futex.h linux/seccomp.h linux/random.h linux/pidfd.h \
linux/reboot.h linux/ptrace.h linux/securebits.h linux/ioprio.h linux/oom.h asm/processor-flags.h", 300,
    tables [task::CLONE_ARGS_SIZES, task::WAIT_ID, task::RLIMITS, task::PRCTL, task::PR_SET_MM_OPS,
        task::PR_CAP_AMBIENT_OPS, task::ARCH_PRCTL, task::AUXV, task::REBOOT, task::PTRACE, task::PTRACE_EVENTS,
        task::CAPS, task::CAP_VERSIONS, task::VFS_CAP, sched::SCHED_POLICIES, sched::SCHED_ATTR_SIZES,
        futex::FUTEX_OPS, futex::FUTEX_WORD, futex::FUTEX_WAKE_OPS, futex::FUTEX_WAKE_CMPS,
        seccomp::SECCOMP_MODES, seccomp::SECCOMP_OPS, seccomp::SECCOMP_RETS, sigframe::EFLAGS],
    flags [task::CloneFlags, task::WaitFlags, task::GrndFlags, task::PidfdFlags, task::PtraceOptions,
        sched::SchedFlags, futex::FutexFlags, seccomp::SeccompFlags, task::Securebits]);
consts_test!(ttys, "linux/termios.h linux/tty.h linux/kd.h linux/vt.h", 200,
    tables [tty::OUTPUT_DELAYS, tty::CHAR_SIZES, tty::BAUDS, tty::CC_INDEX, tty::TTY_IOCTLS, tty::TCFLOW,
        tty::TCFLUSH, tty::LINE_DISCIPLINES, tty::KD_IOCTLS, tty::KD_MODES, tty::K_MODES, tty::KB_TYPES,
        tty::VT_IOCTLS],
    flags [tty::InputFlags, tty::OutputFlags, tty::ControlFlags, tty::LocalFlags, tty::PktStatus, tty::ModemLines]);
consts_test!(sockets, "sys/socket.h linux/in.h linux/in6.h linux/tcp.h linux/sockios.h", 190,
    tables [net::FAMILIES, net::SOL, net::SO, net::IP_OPTS, net::IPV6_OPTS, net::TCP_OPTS, net::SOCK_IOCTLS,
        net::IPPROTOS],
    flags [net::MsgFlags]);
consts_test!(polling, "linux/poll.h linux/eventpoll.h", 30, tables [poll::EPOLL_CTL],
    flags [poll::PollEvents, poll::EpollEvents, poll::EpollCreateFlags, poll::EfdFlags]);
consts_test!(sysv_ipc, "linux/ipc.h linux/msg.h linux/sem.h linux/shm.h", 30,
    tables [ipc::IPC_CMDS, ipc::MSG_CMDS, ipc::SEM_CMDS, ipc::SHM_CMDS],
    flags [ipc::IpcFlags, ipc::MsgRcvFlags, ipc::ShmFlags]);

layout_test!(signal_layouts, "asm/signal.h asm/siginfo.h asm/sigcontext.h asm/ucontext.h linux/signalfd.h",
    "struct sigaction" signal::KernelSigaction {}
    "stack_t" signal::SigStack { ss_sp, ss_flags, ss_size }
    "siginfo_t" siginfo::Siginfo { si_signo, si_errno, si_code }
    "struct signalfd_siginfo" siginfo::SignalfdSiginfo { ssi_pid, ssi_fd, ssi_status, ssi_ptr, ssi_utime, ssi_addr, ssi_syscall, ssi_call_addr, ssi_arch }
    "struct sigcontext" sigframe::SigContext { r8, rdi, rsp, rip, eflags, cs, ss, err, trapno, oldmask, cr2, fpstate, reserved1 }
    "struct ucontext" sigframe::UContext { uc_flags, uc_link, uc_stack, uc_mcontext, uc_sigmask }
    "struct _fpx_sw_bytes" sigframe::FpxSwBytes { magic1, extended_size, xfeatures, xstate_size }
    "struct _fpstate" sigframe::Fpstate { cwd, rip, rdp, mxcsr, st_space, xmm_space, sw_reserved }
    "struct _header" sigframe::XstateHeader { xfeatures, reserved1, reserved2 }
    "sigevent_t" signal::Sigevent { sigev_value, sigev_signo, sigev_notify, sigev_notify_thread_id });
layout_test!(file_layouts, "asm/stat.h asm/statfs.h linux/stat.h linux/fcntl.h linux/openat2.h linux/fs.h linux/uio.h linux/inotify.h linux/mount.h",
    "struct stat" fs::Stat { st_dev, st_ino, st_nlink, st_mode, st_uid, st_gid, st_rdev, st_size, st_blksize, st_blocks, st_atime, st_mtime, st_ctime }
    "struct statx" fs::Statx { stx_mask, stx_attributes, stx_nlink, stx_mode, stx_ino, stx_size, stx_blocks, stx_attributes_mask, stx_atime, stx_btime, stx_ctime, stx_mtime, stx_rdev_major, stx_dev_major, stx_mnt_id, stx_dio_mem_align }
    "struct statfs" fs::Statfs { f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_fsid, f_namelen, f_frsize, f_flags }
    "struct iovec" fs::Iovec { iov_base, iov_len }
    "struct flock" fs::Flock { l_type, l_whence, l_start, l_len, l_pid }
    "struct f_owner_ex" fs::FOwnerEx { r#type, pid }
    "struct open_how" fs::OpenHow { flags, mode, resolve }
    "struct file_clone_range" fs::FileCloneRange { src_fd, src_offset, src_length, dest_offset }
    "struct inotify_event" inotify::InotifyEvent { wd, mask, cookie, len }
    "struct mount_attr" mount::MountAttr { attr_set, attr_clr, propagation, userns_fd });
layout_test!(time_layouts, "linux/time.h linux/timex.h linux/resource.h linux/times.h",
    "struct itimerspec" time::Itimerspec { it_interval, it_value }
    "struct itimerval" time::Itimerval { it_interval, it_value }
    "struct timezone" time::Timezone { tz_minuteswest, tz_dsttime }
    "struct timex" time::Timex { modes, offset, freq, maxerror, status, constant, time, tick, shift, stabil, stbcnt, tai }
    "struct rusage" time::Rusage { ru_utime, ru_stime, ru_maxrss, ru_minflt, ru_inblock, ru_nivcsw }
    "struct tms" time::Tms { tms_utime, tms_cstime });
layout_test!(task_layouts, "linux/sched.h linux/sched/types.h linux/resource.h linux/utsname.h linux/sysinfo.h linux/rseq.h linux/prctl.h linux/kcmp.h linux/futex.h linux/capability.h linux/seccomp.h linux/filter.h sys/user.h",
    "struct clone_args" task::CloneArgs { flags, pidfd, child_tid, exit_signal, stack, tls, set_tid, cgroup }
    "struct rlimit64" task::Rlimit { rlim_cur, rlim_max }
    "struct new_utsname" task::Utsname { sysname, nodename, release, version, machine, domainname }
    "struct sysinfo" task::Sysinfo { uptime, loads, totalram, freeswap, procs, totalhigh, freehigh, mem_unit }
    "struct rseq_cs" task::RseqCs { version, flags, start_ip, post_commit_offset, abort_ip }
    "struct rseq" task::Rseq { cpu_id_start, cpu_id, rseq_cs, flags }
    "struct prctl_mm_map" task::PrctlMmMap { start_code, brk, env_end, auxv, auxv_size, exe_fd }
    "struct kcmp_epoll_slot" task::KcmpEpollSlot { efd, tfd, toff }
    "struct user_regs_struct" task::UserRegs { r15, r10, rax, orig_rax, rip, cs, ss, fs_base, gs }
    "struct sched_attr" sched::SchedAttr { size, sched_policy, sched_flags, sched_nice, sched_runtime, sched_util_min }
    "struct robust_list_head" futex::RobustListHead { list, futex_offset, list_op_pending }
    "struct futex_waitv" futex::FutexWaitv { val, uaddr, flags }
    "struct __user_cap_header_struct" task::CapUserHeader { version, pid }
    "struct __user_cap_data_struct" task::CapUserData { effective, permitted, inheritable }
    "struct vfs_ns_cap_data" task::VfsNsCapData { magic_etc, data, rootid }
    "struct seccomp_data" seccomp::SeccompData { nr, arch, instruction_pointer, args }
    "struct sock_filter" seccomp::SockFilter { code, jt, jf, k }
    "struct sock_fprog" seccomp::SockFprog { len, filter });
layout_test!(tty_layouts, "linux/termios.h linux/vt.h",
    "struct termios" tty::Termios { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc }
    "struct termios2" tty::Termios2 { c_line, c_cc, c_ispeed, c_ospeed }
    "struct termio" tty::Termio { c_iflag, c_lflag, c_line, c_cc }
    "struct winsize" tty::Winsize { ws_row, ws_col, ws_xpixel, ws_ypixel }
    "struct vt_mode" tty::VtMode { mode, relsig, frsig }
    "struct vt_stat" tty::VtStat { v_active, v_state });
layout_test!(net_layouts, "sys/socket.h sys/un.h linux/in.h linux/in6.h linux/netlink.h linux/if_packet.h linux/if.h",
    "struct msghdr" net::Msghdr { msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags }
    "struct cmsghdr" net::Cmsghdr { cmsg_len, cmsg_level, cmsg_type }
    "struct linger" net::Linger { l_onoff, l_linger }
    "struct sockaddr_un" net::SockaddrUn { sun_family, sun_path }
    "struct sockaddr_in" net::SockaddrIn { sin_family, sin_port, sin_addr }
    "struct sockaddr_in6" net::SockaddrIn6 { sin6_port, sin6_flowinfo, sin6_addr, sin6_scope_id }
    "struct sockaddr_nl" net::SockaddrNl { nl_family, nl_pid, nl_groups }
    "struct sockaddr_ll" net::SockaddrLl { sll_protocol, sll_ifindex, sll_hatype, sll_addr }
    "struct in_pktinfo" net::InPktinfo { ipi_ifindex, ipi_spec_dst, ipi_addr }
    "struct ip_mreqn" net::IpMreqn { imr_multiaddr, imr_ifindex }
    "struct ifreq" net::Ifreq {}
    "struct ifconf" net::Ifconf { ifc_len });
layout_test!(poll_layouts, "linux/poll.h linux/eventpoll.h",
    "struct pollfd" poll::Pollfd { fd, events, revents }
    "struct epoll_event" poll::EpollEvent { events, data });
layout_test!(ipc_layouts, "linux/ipc.h linux/msg.h linux/sem.h linux/shm.h linux/mqueue.h",
    "struct ipc64_perm" ipc::Ipc64Perm { key, uid, mode, seq }
    "struct msqid64_ds" ipc::Msqid64Ds { msg_perm, msg_stime, msg_cbytes, msg_lspid }
    "struct shmid64_ds" ipc::Shmid64Ds { shm_segsz, shm_atime, shm_cpid, shm_nattch }
    "struct semid64_ds" ipc::Semid64Ds { sem_otime, sem_ctime, sem_nsems }
    "struct sembuf" ipc::Sembuf { sem_num, sem_op, sem_flg }
    "struct seminfo" ipc::Seminfo { semmap, semaem }
    "struct shminfo64" ipc::Shminfo64 { shmmax, shmall }
    "struct shm_info" ipc::ShmInfo { used_ids, shm_tot, swap_successes }
    "struct msginfo" ipc::Msginfo { msgpool, msgseg }
    "struct mq_attr" ipc::MqAttr { mq_flags, mq_curmsgs });
