//! The machine as a whole: how it ends, and with which status.

use abi::errno::Errno;
use parking_lot::{Condvar, Mutex};
use platform::Registers;
use std::sync::atomic::{AtomicU32, Ordering};

/// How a machine ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Halt,
    PowerOff,
    Reboot,
    Panic(String),
}

/// How the machine ends, and with which status: the one that counted when that was asked for.
static END: Mutex<Option<(End, u8)>> = Mutex::new(None);
static ENDED: Condvar = Condvar::new();
static EXIT_CODE: AtomicU32 = AtomicU32::new(0);

/// Ends the machine; the first request counts. Prints the kernel's last line. From any host thread; the caller may go
/// on for a moment.
pub fn request(end: End) {
    let mut slot = END.lock();
    if slot.is_some() {
        return;
    }
    // Linux says it at level Emerg; here `quiet` leaves only what the guest prints.
    match &end {
        End::Halt => crate::pr_info!("reboot: System halted"),
        End::PowerOff => crate::pr_info!("reboot: Power down"),
        End::Reboot => crate::pr_info!("reboot: Restarting system"),
        End::Panic(_) => {}
    }
    *slot = Some((end, EXIT_CODE.load(Ordering::Relaxed) as u8));
    ENDED.notify_all();
}

/// Kernel panic: message and the kernel's call trace go to the log, then the machine ends.
pub fn panic(message: &str) {
    panic_at(message, None);
}

/// As [`panic`], with the guest registers of the task that it is about.
pub fn panic_at(message: &str, registers: Option<&Registers>) {
    // What the end itself breaks is no news: guests lose their host processes while vCPUs still run.
    if END.lock().is_some() {
        return;
    }
    let emerg = |text: &str| crate::log::write(crate::log::Level::Emerg, format_args!("{text}"));
    emerg(&format!("Kernel panic - not syncing: {message}"));
    if let Some(task) = crate::sched::try_current() {
        let comm = task.comm();
        emerg(&format!(
            "CPU: {} PID: {} Comm: {}",
            task.sched.last_vcpu(),
            task.tid(),
            String::from_utf8_lossy(&comm)
        ));
    }
    for line in registers.into_iter().flat_map(register_lines) {
        emerg(&line);
    }
    emerg("Call Trace:");
    for line in std::backtrace::Backtrace::force_capture()
        .to_string()
        .lines()
    {
        emerg(line);
    }
    emerg(&format!(
        "---[ end Kernel panic - not syncing: {message} ]---"
    ));
    request(End::Panic(message.to_owned()));
}

/// Registers as Linux prints them: arch/x86/kernel/process_64.c:__show_regs().
pub(crate) fn register_lines(r: &Registers) -> Vec<String> {
    vec![
        format!("RIP: {:04x}:0x{:x}", r.cs, r.rip),
        format!(
            "RSP: {:04x}:{:016x} EFLAGS: {:08x} ORIG_RAX: {:016x}",
            r.ss, r.rsp, r.eflags, r.orig_rax
        ),
        format!(
            "RAX: {:016x} RBX: {:016x} RCX: {:016x}",
            r.rax, r.rbx, r.rcx
        ),
        format!(
            "RDX: {:016x} RSI: {:016x} RDI: {:016x}",
            r.rdx, r.rsi, r.rdi
        ),
        format!("RBP: {:016x} R08: {:016x} R09: {:016x}", r.rbp, r.r8, r.r9),
        format!(
            "R10: {:016x} R11: {:016x} R12: {:016x}",
            r.r10, r.r11, r.r12
        ),
        format!(
            "R13: {:016x} R14: {:016x} R15: {:016x}",
            r.r13, r.r14, r.r15
        ),
        format!("FS: {:016x} GS: {:016x}", r.fs_base, r.gs_base),
    ]
}

/// Sleeps, on a host thread that is no vCPU's, until the machine ends.
pub fn wait() -> End {
    let mut slot = END.lock();
    loop {
        if let Some((end, _)) = &*slot {
            return end.clone();
        }
        ENDED.wait(&mut slot);
    }
}

/// Keeps the calling vCPU from doing anything more when the machine ends: a guest thread was lost to that, and nobody is to
/// see it as the death of a process. Holding no lock.
pub(crate) fn hold_when_ending() {
    if END.lock().is_none() {
        return;
    }
    loop {
        std::thread::park();
    }
}

/// What the host process exits with after halt or power-off (/proc/exitcode), low 8 bits. The end once asked for, it stays.
pub fn exit_code() -> u8 {
    let end = END.lock();
    end.as_ref()
        .map_or(EXIT_CODE.load(Ordering::Relaxed) as u8, |(_, code)| *code)
}

/// Sets it from the text written to /proc/exitcode: decimal, octal or hexadecimal. EINVAL.
pub fn set_exit_code(text: &str) -> Result<(), Errno> {
    let text = text.trim();
    let (digits, negative) = text
        .strip_prefix('-')
        .map_or((text, false), |rest| (rest, true));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u32::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let value = value.map_err(|_| Errno::EINVAL)?;
    EXIT_CODE.store(
        if negative {
            value.wrapping_neg()
        } else {
            value
        },
        Ordering::Relaxed,
    );
    Ok(())
}

/// The number as /proc/exitcode shows it.
pub fn exit_code_value() -> u32 {
    EXIT_CODE.load(Ordering::Relaxed)
}
