//! The system as a whole: names, figures, log, entropy, its end.

use super::Context;
use crate::error::{Result, err};
use crate::log;
use crate::machine::{self, End};
use crate::sched;
use crate::user::UserPtr;
use crate::vfs::Sink;
use crate::{random, uts};
use abi::errno::Errno;
use abi::task::*;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub fn uname(cx: &mut Context, buf: UserPtr<Utsname>) -> Result<()> {
    let mut names = uts::utsname();
    let persona = Personality::from_bits_retain(cx.task.personality.load(Ordering::Relaxed));
    if persona.bits() & PER_MASK == PER_LINUX32 {
        names.machine = [0; 65];
        names.machine[..4].copy_from_slice(b"i686");
    }
    if persona.contains(Personality::UNAME26) {
        // kernel/sys.c:override_release(): 6.18 is 2.6.(18+60+...) to programs that can't count.
        let old = b"2.6.78";
        names.release = [0; 65];
        names.release[..old.len()].copy_from_slice(old);
    }
    buf.write(&names)
}

fn read_name(cx: &Context, name: UserPtr<u8>, len: i32) -> Result<Vec<u8>> {
    if !cx.task.capable(CAP_SYS_ADMIN) {
        return err(Errno::EPERM);
    }
    if !(0..=uts::NAME_MAX as i32).contains(&len) {
        return err(Errno::EINVAL);
    }
    let mut bytes = vec![0; len as usize];
    name.read_bytes(&mut bytes)?;
    Ok(bytes)
}

pub fn sethostname(cx: &mut Context, name: UserPtr<u8>, len: i32) -> Result<()> {
    let name = read_name(cx, name, len)?;
    Ok(uts::set_hostname(&name)?)
}

pub fn setdomainname(cx: &mut Context, name: UserPtr<u8>, len: i32) -> Result<()> {
    let name = read_name(cx, name, len)?;
    Ok(uts::set_domainname(&name)?)
}

pub fn getcpu(_cx: &mut Context, cpu: UserPtr<u32>, node: UserPtr<u32>) -> Result<()> {
    if let Some(cpu) = cpu.non_null() {
        cpu.write(&(sched::this_vcpu() as u32))?;
    }
    if let Some(node) = node.non_null() {
        node.write(&0)?;
    }
    Ok(())
}

/// Most bytes of one call, as read(2) has.
const RANDOM_MAX: usize = i32::MAX as usize & !4095;

pub fn getrandom(cx: &mut Context, buf: UserPtr<u8>, len: usize, flags: u32) -> Result<usize> {
    let flags = GrndFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0
        || flags.contains(GrndFlags::GRND_INSECURE | GrndFlags::GRND_RANDOM)
    {
        return err(Errno::EINVAL);
    }
    let len = len.min(RANDOM_MAX);
    let mut chunk = [0u8; 4096];
    let mut done = 0;
    while done < len {
        let part = &mut chunk[..(len - done).min(4096)];
        random::fill(part);
        if let Err(fault) = buf.byte_add(done as u64).write_bytes(part) {
            return if done == 0 { Err(fault) } else { Ok(done) };
        }
        done += part.len();
        if cx.task.has_signal() {
            break;
        }
    }
    Ok(done)
}

/// Whether Ctrl-Alt-Del ends the machine at once instead of telling init.
static CTRL_ALT_DEL: AtomicBool = AtomicBool::new(true);

/// Whether Ctrl-Alt-Del restarts the machine at once; otherwise init gets SIGINT.
pub fn ctrl_alt_del_restarts() -> bool {
    CTRL_ALT_DEL.load(Ordering::Relaxed)
}

pub fn set_ctrl_alt_del(restarts: bool) {
    CTRL_ALT_DEL.store(restarts, Ordering::Relaxed);
}

/// Somebody wants Ctrl-Alt-Del: kernel/reboot.c:ctrl_alt_del().
pub fn ctrl_alt_del() {
    if ctrl_alt_del_restarts() {
        machine::request(End::Reboot);
    } else if let Some(init) = crate::task::pids().group(1) {
        let info = abi::siginfo::Siginfo::kernel(abi::signal::SIGINT);
        // An init that has ended takes the machine with it.
        let _gone = crate::signal::send_group(&init, info);
    }
}

pub fn reboot(
    cx: &mut Context,
    magic1: u32,
    magic2: u32,
    command: u32,
    arg: UserPtr<u8>,
) -> Result<()> {
    if !cx.task.capable(CAP_SYS_BOOT) {
        return err(Errno::EPERM);
    }
    let second = [
        LINUX_REBOOT_MAGIC2,
        LINUX_REBOOT_MAGIC2A,
        LINUX_REBOOT_MAGIC2B,
        LINUX_REBOOT_MAGIC2C,
    ];
    if magic1 != LINUX_REBOOT_MAGIC1 || !second.contains(&magic2) {
        return err(Errno::EINVAL);
    }
    let end = match command {
        LINUX_REBOOT_CMD_RESTART => End::Reboot,
        LINUX_REBOOT_CMD_RESTART2 => {
            arg.read_cstr(256)?;
            End::Reboot
        }
        LINUX_REBOOT_CMD_HALT => End::Halt,
        LINUX_REBOOT_CMD_POWER_OFF => End::PowerOff,
        LINUX_REBOOT_CMD_CAD_ON | LINUX_REBOOT_CMD_CAD_OFF => {
            set_ctrl_alt_del(command == LINUX_REBOOT_CMD_CAD_ON);
            return Ok(());
        }
        _ => return err(Errno::EINVAL),
    };
    machine::request(end);
    // Nothing runs after this; the host process is on its way out.
    loop {
        sched::park(false);
    }
}

/// The console's level before SYSLOG_ACTION_CONSOLE_OFF.
static SAVED_LEVEL: AtomicU8 = AtomicU8::new(NOT_SAVED);
const NOT_SAVED: u8 = u8::MAX;

fn check_syslog(cx: &Context, action: u32) -> Result<()> {
    let open = matches!(action, SYSLOG_ACTION_READ_ALL | SYSLOG_ACTION_SIZE_BUFFER)
        && !crate::fs::proc::sys::dmesg_restrict();
    if open || cx.task.capable(CAP_SYSLOG) {
        Ok(())
    } else {
        err(Errno::EPERM)
    }
}

pub fn syslog(cx: &mut Context, action: u32, buf: UserPtr<u8>, len: i32) -> Result<usize> {
    check_syslog(cx, action)?;
    match action {
        SYSLOG_ACTION_CLOSE | SYSLOG_ACTION_OPEN => Ok(0),
        SYSLOG_ACTION_READ | SYSLOG_ACTION_READ_ALL | SYSLOG_ACTION_READ_CLEAR => {
            if buf.is_null() || len < 0 {
                return err(Errno::EINVAL);
            }
            if len == 0 {
                return Ok(0);
            }
            if action == SYSLOG_ACTION_READ {
                let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
                let part = (buf.addr(), len as usize);
                return crate::syslog::read(&mut Sink::user(mm, vec![part]), false);
            }
            let text = crate::syslog::newest(len as usize);
            buf.write_bytes(&text)?;
            if action == SYSLOG_ACTION_READ_CLEAR {
                log::clear();
            }
            Ok(text.len())
        }
        SYSLOG_ACTION_CLEAR => {
            log::clear();
            Ok(0)
        }
        SYSLOG_ACTION_CONSOLE_OFF => {
            let level = log::console_level();
            if SAVED_LEVEL.load(Ordering::Relaxed) == NOT_SAVED {
                SAVED_LEVEL.store(level, Ordering::Relaxed);
            }
            log::set_console_level(1);
            Ok(0)
        }
        SYSLOG_ACTION_CONSOLE_ON => {
            let saved = SAVED_LEVEL.swap(NOT_SAVED, Ordering::Relaxed);
            if saved != NOT_SAVED {
                log::set_console_level(saved);
            }
            Ok(0)
        }
        SYSLOG_ACTION_CONSOLE_LEVEL => {
            if (1..=8).contains(&len) {
                SAVED_LEVEL.store(NOT_SAVED, Ordering::Relaxed);
                log::set_console_level(len as u8);
                Ok(0)
            } else {
                err(Errno::EINVAL)
            }
        }
        SYSLOG_ACTION_SIZE_UNREAD => Ok(crate::syslog::unread_bytes()),
        SYSLOG_ACTION_SIZE_BUFFER => Ok(log::RING_BYTES),
        _ => err(Errno::EINVAL),
    }
}

/// What is there of a call but its number: programs do without it.
pub fn not_there(_cx: &mut Context) -> Result<()> {
    err(Errno::ENOSYS)
}

pub fn sysinfo(_cx: &mut Context, info: UserPtr<Sysinfo>) -> Result<()> {
    let memory = crate::fs::proc::memory();
    let uptime = crate::time::monotonic_ns().saturating_sub(crate::boot::start_ns());
    info.write(&Sysinfo {
        uptime: uptime.div_ceil(1_000_000_000) as i64,
        loads: crate::time::load::averages().map(|load| (load * 65_536.0) as u64),
        totalram: memory.total * 1024,
        freeram: memory.free * 1024,
        sharedram: memory.shared * 1024,
        procs: crate::task::pids().count().min(usize::from(u16::MAX)) as u16,
        mem_unit: 1,
        ..Sysinfo::default()
    })
}
