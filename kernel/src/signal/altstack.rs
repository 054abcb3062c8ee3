//! The alternate signal stack: sigaltstack(2) and who stands on it.

use crate::error::{Result, err};
use abi::errno::Errno;
use abi::signal::{SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, SigStack};

/// Whether `sp` lies on `stack` (sched/signal.h:__on_sig_stack()).
pub fn contains(stack: &SigStack, sp: u64) -> bool {
    sp > stack.ss_sp && sp - stack.ss_sp <= stack.ss_size
}

/// As [`contains`] for a thread that runs: with SS_AUTODISARM it never counts (on_sig_stack()).
pub fn on_stack(stack: &SigStack, sp: u64) -> bool {
    stack.ss_flags as u32 & SS_AUTODISARM == 0 && contains(stack, sp)
}

/// SS_DISABLE, SS_ONSTACK or 0 for a thread whose stack pointer is `sp` (sas_ss_flags()).
pub fn state(stack: &SigStack, sp: u64) -> u32 {
    if stack.ss_size == 0 {
        SS_DISABLE
    } else if on_stack(stack, sp) {
        SS_ONSTACK
    } else {
        0
    }
}

/// What sigaltstack(2) tells about `stack`.
pub fn describe(stack: &SigStack, sp: u64) -> SigStack {
    SigStack {
        ss_flags: (state(stack, sp) | (stack.ss_flags as u32 & SS_AUTODISARM)) as i32,
        ..*stack
    }
}

/// Checks `new` and makes it the stack (do_sigaltstack()). EPERM while on the current one, EINVAL for flags, ENOMEM when
/// smaller than `min` bytes.
pub fn replace(current: &mut SigStack, new: SigStack, sp: u64, min: u64) -> Result<()> {
    if on_stack(current, sp) {
        return err(Errno::EPERM);
    }
    let flags = new.ss_flags as u32;
    let mode = flags & !SS_AUTODISARM;
    if mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0 {
        return err(Errno::EINVAL);
    }
    if new.ss_sp == current.ss_sp
        && new.ss_size == current.ss_size
        && new.ss_flags == current.ss_flags
    {
        return Ok(());
    }
    if mode == SS_DISABLE {
        *current = SigStack {
            ss_sp: 0,
            ss_size: 0,
            ..new
        };
        return Ok(());
    }
    if new.ss_size < min {
        return err(Errno::ENOMEM);
    }
    *current = new;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::signal::MINSIGSTKSZ;

    fn stack(sp: u64, size: u64, flags: u32) -> SigStack {
        SigStack {
            ss_sp: sp,
            ss_size: size,
            ss_flags: flags as i32,
            ..SigStack::default()
        }
    }

    #[test]
    fn bounds() {
        let s = stack(0x1000, 0x1000, 0);
        assert!(!contains(&s, 0x1000));
        assert!(contains(&s, 0x1001));
        assert!(contains(&s, 0x2000));
        assert!(!contains(&s, 0x2001));
    }

    #[test]
    fn rules() {
        let mut s = stack(0, 0, SS_DISABLE);
        let min = MINSIGSTKSZ;
        assert_eq!(
            replace(&mut s, stack(0x1000, 8, 0), 0, min)
                .unwrap_err()
                .errno(),
            Errno::ENOMEM
        );
        assert_eq!(
            replace(&mut s, stack(0x1000, 8192, 4), 0, min)
                .unwrap_err()
                .errno(),
            Errno::EINVAL
        );
        assert!(replace(&mut s, stack(0x1000, 8192, SS_ONSTACK), 0, min).is_ok());
        assert_eq!(describe(&s, 0x2000).ss_flags as u32, SS_ONSTACK);
        assert_eq!(
            replace(&mut s, stack(0, 0, SS_DISABLE), 0x2000, min)
                .unwrap_err()
                .errno(),
            Errno::EPERM
        );
        assert!(replace(&mut s, stack(0, 0, SS_DISABLE), 0x9000, min).is_ok());
        assert_eq!(state(&s, 0), SS_DISABLE);
    }
}
