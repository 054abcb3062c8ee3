//! What becomes of an interrupted system call (arch/x86/kernel/signal.c:handle_signal(), arch_do_signal_or_restart()).

use abi::errno::Errno;
use abi::nr;
use platform::Registers;

/// Bytes of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

fn restart_code(regs: &Registers) -> Option<Errno> {
    if regs.orig_rax == u64::MAX {
        return None;
    }
    [
        Errno::ERESTARTSYS,
        Errno::ERESTARTNOINTR,
        Errno::ERESTARTNOHAND,
        Errno::ERESTART_RESTARTBLOCK,
    ]
    .into_iter()
    .find(|code| regs.rax as i64 == code.as_syscall_result())
}

fn call_again(regs: &mut Registers, number: u64) {
    regs.rax = number;
    regs.rip = regs.rip.wrapping_sub(SYSCALL_LEN);
}

/// A handler is about to run; `sa_restart`: its action's flag.
pub fn before_handler(regs: &mut Registers, sa_restart: bool) {
    let number = regs.orig_rax;
    match restart_code(regs) {
        Some(Errno::ERESTARTNOINTR) => call_again(regs, number),
        Some(Errno::ERESTARTSYS) if sa_restart => call_again(regs, number),
        Some(_) => regs.rax = Errno::EINTR.as_syscall_result() as u64,
        None => {}
    }
}

/// No handler runs.
pub fn without_handler(regs: &mut Registers) {
    let number = regs.orig_rax;
    match restart_code(regs) {
        Some(Errno::ERESTART_RESTARTBLOCK) => call_again(regs, nr::SYS_RESTART_SYSCALL),
        Some(_) => call_again(regs, number),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(code: Errno, handler: Option<bool>) -> (i64, u64) {
        let mut regs = Registers {
            orig_rax: 7,
            rax: code.as_syscall_result() as u64,
            rip: 0x1002,
            ..Registers::default()
        };
        match handler {
            Some(sa_restart) => before_handler(&mut regs, sa_restart),
            None => without_handler(&mut regs),
        }
        (regs.rax as i64, regs.rip)
    }

    #[test]
    fn table() {
        let eintr = (Errno::EINTR.as_syscall_result(), 0x1002);
        let again = (7, 0x1000);
        let block = (nr::SYS_RESTART_SYSCALL as i64, 0x1000);
        for (code, none, plain, sa_restart) in [
            (Errno::ERESTARTSYS, again, eintr, again),
            (Errno::ERESTARTNOINTR, again, again, again),
            (Errno::ERESTARTNOHAND, again, eintr, eintr),
            (Errno::ERESTART_RESTARTBLOCK, block, eintr, eintr),
        ] {
            assert_eq!(after(code, None), none, "{code:?}");
            assert_eq!(after(code, Some(false)), plain, "{code:?}");
            assert_eq!(after(code, Some(true)), sa_restart, "{code:?}");
        }
    }

    #[test]
    fn outside_of_a_call_nothing_changes() {
        let mut regs = Registers {
            orig_rax: u64::MAX,
            rax: Errno::ERESTARTSYS.as_syscall_result() as u64,
            rip: 0x1002,
            ..Registers::default()
        };
        let before = regs;
        without_handler(&mut regs);
        before_handler(&mut regs, true);
        assert_eq!(regs, before);
    }
}
