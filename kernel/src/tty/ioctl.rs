//! ioctls that all terminals have (drivers/tty/tty_io.c:tty_ioctl(), tty_ioctl.c).

use super::terminal::Tty;
use super::{job, pty};
use crate::error::{Result, err};
use crate::syscall::Context;
use crate::user::UserPtr;
use crate::vfs::File;
use abi::errno::Errno;
use abi::task::CAP_SYS_ADMIN;
use abi::tty::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// /proc/sys/dev/tty/legacy_tiocsti: whether TIOCSTI works for others than root.
pub static LEGACY_TIOCSTI: AtomicBool = AtomicBool::new(true);

/// An ioctl of an open terminal. ENOTTY when it is unknown.
pub(super) fn terminal(
    tty: &Arc<Tty>,
    file: &File,
    cx: &mut Context,
    cmd: u32,
    arg: u64,
) -> Result<u64> {
    match cmd {
        TIOCINQ => put(arg, tty.peek(|inner| inner.ldisc.readable_bytes()) as i32),
        TIOCOUTQ => put(arg, tty.driver().chars_in_buffer() as i32),
        _ => common(tty, file, cx, cmd, arg, false),
    }
}

fn put(arg: u64, value: i32) -> Result<u64> {
    UserPtr::<i32>::new(arg).write(&value)?;
    Ok(0)
}

fn get(arg: u64) -> Result<i32> {
    UserPtr::<i32>::new(arg).read()
}

/// What works on `tty` from both sides of a pty; `master`: asked from the other side.
pub(super) fn common(
    tty: &Arc<Tty>,
    file: &File,
    cx: &mut Context,
    cmd: u32,
    arg: u64,
    master: bool,
) -> Result<u64> {
    match cmd {
        TIOCGPTPEER => return err(Errno::EIO),
        TCGETS => UserPtr::<Termios>::new(arg).write(&Termios::from(tty.termios()))?,
        TCGETS2 => UserPtr::<Termios2>::new(arg).write(&tty.termios())?,
        TCGETA => UserPtr::<Termio>::new(arg).write(&to_termio(&tty.termios()))?,
        TCSETS | TCSETSW | TCSETSF => {
            change(tty, cmd - TCSETS, || {
                Ok(from_termios(UserPtr::<Termios>::new(arg).read()?, tty))
            })?;
        }
        TCSETS2 | TCSETSW2 | TCSETSF2 => {
            change(tty, cmd - TCSETS2, || UserPtr::<Termios2>::new(arg).read())?;
        }
        TCSETA | TCSETAW | TCSETAF => {
            change(tty, cmd - TCSETA, || {
                Ok(merge_termio(UserPtr::<Termio>::new(arg).read()?, tty))
            })?;
        }
        TIOCGLCKTRMIOS => {
            let locked = tty.peek(|inner| inner.locked);
            UserPtr::<Termios>::new(arg).write(&Termios::from(locked))?;
        }
        TIOCSLCKTRMIOS => {
            if !cx.task.capable(CAP_SYS_ADMIN) {
                return err(Errno::EPERM);
            }
            let locked = UserPtr::<Termios>::new(arg).read()?;
            tty.run(|inner, _| inner.locked = Termios2::from(locked));
        }
        TIOCGSOFTCAR => return put(arg, i32::from(tty.termios().c_cflag & CLOCAL != 0)),
        TIOCSSOFTCAR => {
            let mut new = tty.termios();
            new.c_cflag = new.c_cflag & !CLOCAL | if get(arg)? != 0 { CLOCAL } else { 0 };
            tty.set_termios(new);
        }
        TIOCGWINSZ => UserPtr::<Winsize>::new(arg).write(&tty.winsize())?,
        TIOCSWINSZ => tty.set_winsize(UserPtr::<Winsize>::new(arg).read()?),
        TIOCSTI => simulate_input(tty, cx, arg)?,
        TIOCEXCL => tty.run(|inner, _| inner.exclusive = true),
        TIOCNXCL => tty.run(|inner, _| inner.exclusive = false),
        TIOCGEXCL => return put(arg, i32::from(tty.peek(|inner| inner.exclusive))),
        TIOCSCTTY if master => return err(Errno::EPERM),
        TIOCSCTTY => job::acquire(tty, &cx.task, file.readable(), arg == 1)?,
        TIOCNOTTY => job::give_up(tty, &cx.task)?,
        TIOCGPGRP => return put(arg, job::foreground(tty, &cx.task, master)? as i32),
        TIOCSPGRP => job::set_foreground(tty, &cx.task, get(arg)?)?,
        TIOCGSID => return put(arg, job::session_id(tty, &cx.task, master)? as i32),
        TIOCGETD => return put(arg, i32::from(N_TTY)),
        TIOCSETD => {
            let wanted = get(arg)?;
            job::check_change(tty)?;
            if wanted != i32::from(N_TTY) {
                return err(Errno::EINVAL);
            }
        }
        TIOCVHANGUP => {
            if !cx.task.capable(CAP_SYS_ADMIN) {
                return err(Errno::EPERM);
            }
            tty.hangup();
        }
        TIOCGDEV => {
            UserPtr::<u32>::new(arg).write(&(pty::encode_dev(tty.rdev())))?;
        }
        TCSBRK | TCSBRKP => {
            job::check_change(tty)?;
            drain(tty)?;
        }
        TIOCSBRK => {
            job::check_change(tty)?;
            drain(tty)?;
        }
        TIOCCBRK => job::check_change(tty)?,
        TCXONC => flow(tty, arg)?,
        TCFLSH => flush(tty, arg)?,
        TCSETX | TCSETXW | TCSETXF => return err(Errno::ENOTTY),
        _ => return err(Errno::ENOTTY),
    }
    Ok(0)
}

/// tcdrain. EINTR.
fn drain(tty: &Tty) -> Result<()> {
    tty.wait_until_sent().map_err(|_| Errno::EINTR.into())
}

/// TIOCSTI. EIO where it is switched off, EPERM on somebody else's terminal.
fn simulate_input(tty: &Arc<Tty>, cx: &Context, arg: u64) -> Result<()> {
    let root = cx.task.capable(CAP_SYS_ADMIN);
    if !LEGACY_TIOCSTI.load(Ordering::Relaxed) && !root {
        return err(Errno::EIO);
    }
    let own = job::controlling(&cx.task.group).is_some_and(|own| Arc::ptr_eq(&own, tty));
    if !own && !root {
        return err(Errno::EPERM);
    }
    tty.inject(UserPtr::<u8>::new(arg).read()?);
    Ok(())
}

fn flow(tty: &Tty, arg: u64) -> Result<()> {
    job::check_change(tty)?;
    let send = |index: usize| match tty.termios().c_cc[index] {
        POSIX_VDISABLE => {}
        c => tty.send_now(c),
    };
    match u32::try_from(arg).map_err(|_| Errno::EINVAL)? {
        TCOOFF => tty.run(|inner, _| inner.ldisc.hold()),
        TCOON => tty.run(|inner, _| inner.ldisc.release()),
        TCIOFF => send(VSTOP),
        TCION => send(VSTART),
        _ => return err(Errno::EINVAL),
    }
    Ok(())
}

fn flush(tty: &Tty, arg: u64) -> Result<()> {
    job::check_change(tty)?;
    let which = u32::try_from(arg).map_err(|_| Errno::EINVAL)?;
    if which > TCIOFLUSH {
        return err(Errno::EINVAL);
    }
    tty.run(|inner, driver| {
        if which != TCOFLUSH {
            inner.flush_input();
        }
        if which != TCIFLUSH {
            driver.flush_output();
        }
    });
    if which != TCIFLUSH {
        tty.write_wakeup();
    }
    Ok(())
}

/// TCSETS (0), TCSETSW (1: when output is sent), TCSETSF (2: and input thrown away).
fn change(tty: &Tty, when: u32, new: impl FnOnce() -> Result<Termios2>) -> Result<()> {
    job::check_change(tty)?;
    let mut new = new()?;
    if new.c_cflag & CBAUD != BOTHER {
        new.c_ospeed = baud(new.c_cflag).unwrap_or(0);
        new.c_ispeed = new.c_ospeed;
    }
    if when == 2 {
        tty.run(|inner, _| inner.flush_input());
    }
    if when >= 1 {
        tty.wait_until_sent()?;
    }
    let (old, locked) = tty.peek(|inner| (*inner.ldisc.termios(), inner.locked));
    tty.set_termios(respect_locks(&old, new, &locked));
    Ok(())
}

fn respect_locks(old: &Termios2, mut new: Termios2, locked: &Termios2) -> Termios2 {
    let keep = |old: u32, new: u32, locked: u32| old & locked | new & !locked;
    new.c_iflag = keep(old.c_iflag, new.c_iflag, locked.c_iflag);
    new.c_oflag = keep(old.c_oflag, new.c_oflag, locked.c_oflag);
    new.c_cflag = keep(old.c_cflag, new.c_cflag, locked.c_cflag);
    new.c_lflag = keep(old.c_lflag, new.c_lflag, locked.c_lflag);
    new.c_line = old.c_line;
    for (i, lock) in locked.c_cc.iter().enumerate() {
        if *lock != 0 {
            new.c_cc[i] = old.c_cc[i];
        }
    }
    new
}

fn from_termios(new: Termios, tty: &Tty) -> Termios2 {
    let old = tty.termios();
    Termios2 {
        c_ispeed: old.c_ispeed,
        c_ospeed: old.c_ospeed,
        c_iflag: new.c_iflag,
        c_oflag: new.c_oflag,
        c_cflag: new.c_cflag,
        c_lflag: new.c_lflag,
        c_line: new.c_line,
        c_cc: new.c_cc,
    }
}

fn to_termio(t: &Termios2) -> Termio {
    let mut c_cc = [0; 8];
    c_cc.copy_from_slice(&t.c_cc[..8]);
    Termio {
        c_iflag: t.c_iflag as u16,
        c_oflag: t.c_oflag as u16,
        c_cflag: t.c_cflag as u16,
        c_lflag: t.c_lflag as u16,
        c_line: t.c_line,
        c_cc,
        _pad: 0,
    }
}

fn merge_termio(new: Termio, tty: &Tty) -> Termios2 {
    let merge = |old: u32, new: u16| old & 0xffff_0000 | u32::from(new);
    let mut t = tty.termios();
    t.c_iflag = merge(t.c_iflag, new.c_iflag);
    t.c_oflag = merge(t.c_oflag, new.c_oflag);
    t.c_cflag = merge(t.c_cflag, new.c_cflag);
    t.c_lflag = merge(t.c_lflag, new.c_lflag);
    t.c_cc[..8].copy_from_slice(&new.c_cc);
    t
}
