//! The built-in init of a machine that runs on the host's own tree: mounts what a Linux system has mounted, runs one
//! command on the console in a session of its own, reaps orphans, and powers off with the command's status.
//!
//! Arguments: the working directory, then the command and its arguments. A guest program like any other: it knows
//! Linux's system calls and nothing of the kernel.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(127)
}

global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym main,
);

const SYS_READ: usize = 0;
const SYS_WRITE: usize = 1;
const SYS_OPEN: usize = 2;
const SYS_CLOSE: usize = 3;
const SYS_IOCTL: usize = 16;
const SYS_ACCESS: usize = 21;
const SYS_PIPE: usize = 22;
const SYS_DUP2: usize = 33;
const SYS_FORK: usize = 57;
const SYS_EXECVE: usize = 59;
const SYS_EXIT: usize = 60;
const SYS_WAIT4: usize = 61;
const SYS_CHDIR: usize = 80;
const SYS_MKDIR: usize = 83;
const SYS_SETSID: usize = 112;
const SYS_SYNC: usize = 162;
const SYS_MOUNT: usize = 165;
const SYS_REBOOT: usize = 169;
const SYS_SETHOSTNAME: usize = 170;

const TCGETS: usize = 0x5401;
const TIOCSCTTY: usize = 0x540e;
const TIOCGDEV: usize = 0x8004_5432;
/// Device 4:0.
const TTY0: u32 = 0x400;
const ECHO: u32 = 0o10;
const EBUSY: isize = -16;
const ECHILD: isize = -10;

fn call(nr: usize, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result: isize;
    // SAFETY: a system call; pointers among the arguments are to NUL-terminated statics or this process's own stack.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, lateout("rcx") _, lateout("r11") _);
    }
    result
}

fn exit(status: usize) -> ! {
    loop {
        call(SYS_EXIT, status, 0, 0, 0, 0);
    }
}

fn ptr(text: &[u8]) -> usize {
    debug_assert!(text.ends_with(b"\0"));
    text.as_ptr() as usize
}

fn say(text: &[u8]) {
    let fd = call(SYS_OPEN, ptr(b"/dev/kmsg\0"), 1, 0, 0, 0);
    if fd >= 0 {
        call(SYS_WRITE, fd as usize, text.as_ptr() as usize, text.len(), 0, 0);
        call(SYS_CLOSE, fd as usize, 0, 0, 0, 0);
    }
}

fn mount(kind: &[u8], at: &[u8], flags: usize, data: &[u8]) {
    let result = call(SYS_MOUNT, ptr(kind), ptr(at), ptr(kind), flags, ptr(data));
    if result < 0 && result != EBUSY {
        say(b"<4>init: a file system can't be mounted\n");
        say(at.strip_suffix(b"\0").unwrap_or(at));
    }
}

fn mounts() {
    const NOSUID: usize = 2;
    const NODEV: usize = 4;
    const NOEXEC: usize = 8;
    mount(b"devtmpfs\0", b"/dev\0", NOSUID, b"mode=0755\0");
    mount(b"proc\0", b"/proc\0", NOSUID | NODEV | NOEXEC, b"\0");
    mount(b"sysfs\0", b"/sys\0", NOSUID | NODEV | NOEXEC, b"\0");
    mount(b"devpts\0", b"/dev/pts\0", NOSUID | NOEXEC, b"gid=5,mode=620,ptmxmode=666\0");
    mount(b"tmpfs\0", b"/dev/shm\0", NOSUID | NODEV, b"\0");
    mount(b"tmpfs\0", b"/run\0", NOSUID | NODEV, b"mode=755\0");
    call(SYS_MKDIR, ptr(b"/run/lock\0"), 0o1777, 0, 0, 0);
    // The host's user may not look into root's home; the guest's root has one of its own then.
    if call(SYS_ACCESS, ptr(b"/root\0"), 7, 0, 0, 0) < 0 || call(SYS_OPEN, ptr(b"/root\0"), 0o200000, 0, 0, 0) < 0 {
        mount(b"tmpfs\0", b"/root\0", NOSUID | NODEV, b"mode=700\0");
    }
}

/// The console opened as /dev/tty0, if that is what it is: reads through /dev/console know no job control, so a job
/// in the background would take the shell's input.
fn by_own_name(console: usize) -> usize {
    let mut device = 0u32;
    call(SYS_IOCTL, console, TIOCGDEV, &raw mut device as usize, 0, 0);
    if device == TTY0 {
        let fd = call(SYS_OPEN, ptr(b"/dev/tty0\0"), 2, 0, 0, 0);
        if fd >= 0 {
            call(SYS_CLOSE, console, 0, 0, 0, 0);
            return fd as usize;
        }
    }
    console
}

/// Whether a person types at the console: the kernel lets it echo then.
fn has_keyboard(fd: usize) -> bool {
    let mut termios = [0u32; 9];
    call(SYS_IOCTL, fd, TCGETS, termios.as_mut_ptr() as usize, 0, 0) < 0 || termios[3] & ECHO != 0
}

/// Joins standard input to the console by a pipe, so that a shell takes its commands as a script: no prompt, no line
/// editing. The process that moves the bytes is init's, not the shell's.
fn script_input(console: usize) {
    let mut ends = [0u32; 2];
    if call(SYS_PIPE, ends.as_mut_ptr() as usize, 0, 0, 0, 0) < 0 {
        return;
    }
    let (read, write) = (ends[0] as usize, ends[1] as usize);
    let child = call(SYS_FORK, 0, 0, 0, 0, 0);
    if child == 0 {
        if call(SYS_FORK, 0, 0, 0, 0, 0) == 0 {
            call(SYS_CLOSE, read, 0, 0, 0, 0);
            pump(console, write);
        }
        exit(0);
    }
    call(SYS_WAIT4, child as usize, 0, 0, 0, 0);
    call(SYS_CLOSE, write, 0, 0, 0, 0);
    call(SYS_DUP2, read, 0, 0, 0, 0);
    call(SYS_CLOSE, read, 0, 0, 0, 0);
}

const BUFFER_BYTES: usize = 4096;
/// In no function's frame: zeroing it there would need a C library.
static mut BUFFER: [u8; BUFFER_BYTES] = [0; BUFFER_BYTES];

fn pump(from: usize, to: usize) -> ! {
    let buffer = &raw mut BUFFER as usize;
    loop {
        let got = call(SYS_READ, from, buffer, BUFFER_BYTES, 0, 0);
        if got <= 0 {
            exit(0);
        }
        let mut done = 0;
        while done < got {
            let left = (got - done) as usize;
            let put = call(SYS_WRITE, to, buffer + done as usize, left, 0, 0);
            if put <= 0 {
                exit(0);
            }
            done += put;
        }
    }
}

fn run(cwd: usize, argv: usize, envp: usize) -> ! {
    call(SYS_SETSID, 0, 0, 0, 0, 0);
    let fd = call(SYS_OPEN, ptr(b"/dev/console\0"), 2, 0, 0, 0);
    if fd >= 0 {
        let fd = by_own_name(fd as usize);
        call(SYS_IOCTL, fd, TIOCSCTTY, 1, 0, 0);
        for to in 0..3 {
            call(SYS_DUP2, fd, to, 0, 0, 0);
        }
        if fd > 2 {
            call(SYS_CLOSE, fd, 0, 0, 0, 0);
        }
        if !has_keyboard(1) {
            script_input(1);
        }
    }
    if call(SYS_CHDIR, cwd, 0, 0, 0, 0) < 0 {
        call(SYS_CHDIR, ptr(b"/\0"), 0, 0, 0, 0);
    }
    // SAFETY: the kernel put a NULL-terminated array of strings there, with at least the command.
    let command = unsafe { *(argv as *const usize) };
    call(SYS_EXECVE, command, argv, envp, 0, 0);
    say(b"<3>init: the command can't be executed; trying /bin/sh\n");
    let shell = [ptr(b"/bin/sh\0"), 0];
    call(SYS_EXECVE, shell[0], shell.as_ptr() as usize, envp, 0, 0);
    say(b"<3>init: no working shell found\n");
    exit(127)
}

/// Writes `status` in decimal to /proc/exitcode.
fn leave_status(status: usize) {
    let mut text = [0u8; 4];
    text[0] = b'0' + (status / 100) as u8;
    text[1] = b'0' + (status / 10 % 10) as u8;
    text[2] = b'0' + (status % 10) as u8;
    let digits = if status >= 100 { &text[..3] } else if status >= 10 { &text[1..3] } else { &text[2..3] };
    let fd = call(SYS_OPEN, ptr(b"/proc/exitcode\0"), 1, 0, 0, 0);
    if fd >= 0 {
        call(SYS_WRITE, fd as usize, digits.as_ptr() as usize, digits.len(), 0, 0);
        call(SYS_CLOSE, fd as usize, 0, 0, 0, 0);
    }
}

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel's initial stack: argc, argv, NULL, envp, NULL.
    let (argc, argv) = unsafe { (*stack, stack.add(1)) };
    // SAFETY: as above; envp begins behind argv's NULL.
    let envp = unsafe { argv.add(argc + 1) } as usize;
    if argc < 3 {
        exit(64);
    }
    // SAFETY: argc was checked.
    let (cwd, command) = unsafe { (*argv.add(1), argv.add(2) as usize) };
    // As other inits do: a group and a session of its own, not the kernel's number 0.
    call(SYS_SETSID, 0, 0, 0, 0, 0);
    mounts();
    call(SYS_SETHOSTNAME, b"umlaut".as_ptr() as usize, 6, 0, 0, 0);
    let child = call(SYS_FORK, 0, 0, 0, 0, 0);
    if child == 0 {
        run(cwd, command, envp);
    }
    let mut status: u32 = 0;
    loop {
        let mut word: u32 = 0;
        let pid = call(SYS_WAIT4, usize::MAX, &raw mut word as usize, 0, 0, 0);
        if pid == child {
            status = if word & 0x7f == 0 { word >> 8 & 0xff } else { 128 + (word & 0x7f) };
            break;
        }
        if pid == ECHILD {
            break;
        }
    }
    leave_status(status as usize);
    call(SYS_SYNC, 0, 0, 0, 0, 0);
    call(SYS_REBOOT, 0xfee1_dead, 672_274_793, 0x4321_fedc, 0, 0);
    exit(0)
}
