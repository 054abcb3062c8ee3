//! Waking and moving waiters.

use super::table::{self, Key};
use super::{key_of, word};
use crate::error::{Error, Result, err};
use crate::mm::Mm;
use crate::task::Task;
use abi::errno::Errno;
use abi::futex as f;
use std::sync::Arc;

fn mm_of(task: &Task) -> Result<Arc<Mm>> {
    task.mm().ok_or_else(|| Error::new(Errno::EFAULT))
}

pub(super) fn wake_key(key: Key, count: usize, bitset: u32) -> usize {
    table::lock().wake(key, count, bitset)
}

/// Wakes up to `count` (at least one) waiters of the word that match `bitset`; how many. EINVAL, EFAULT.
pub fn wake(task: &Task, addr: u64, private: bool, count: i32, bitset: u32) -> Result<usize> {
    if bitset == 0 {
        return err(Errno::EINVAL);
    }
    let key = key_of(&mm_of(task)?, addr, private)?;
    let mut table = table::lock();
    if table.waiters(key).iter().any(|w| w.is_reserved()) {
        return err(Errno::EINVAL);
    }
    Ok(table.wake(key, count.max(1) as usize, bitset))
}

/// Wakes up to `wake` waiters of one word and moves up to `moved` others to another word, if the first holds `expected`
/// (None: whatever it holds). How many were woken and moved. EAGAIN when it doesn't, EINVAL, EFAULT.
pub fn requeue(
    task: &Task,
    from: u64,
    to: u64,
    private: bool,
    wake: i32,
    moved: i32,
    expected: Option<u32>,
) -> Result<usize> {
    if wake < 0 || moved < 0 {
        return err(Errno::EINVAL);
    }
    let mm = mm_of(task)?;
    let (from_key, to_key) = (key_of(&mm, from, private)?, key_of(&mm, to, private)?);
    for _ in 0..word::MAX_TRIES {
        {
            let mut table = table::lock();
            let matches = match expected {
                None => Some(true),
                Some(expected) => word::peek(&mm, from).map(|now| now == expected),
            };
            match matches {
                Some(true) => {
                    if table.waiters(from_key).iter().any(|w| w.is_reserved()) {
                        return err(Errno::EINVAL);
                    }
                    let woken = table.wake(from_key, wake as usize, !0);
                    return Ok(woken + table.requeue(from_key, to_key, moved as usize));
                }
                Some(false) => return err(Errno::EAGAIN),
                None => {}
            }
        }
        word::fault_in(&mm, from, false)?;
    }
    err(Errno::EFAULT)
}

/// What FUTEX_WAKE_OP does with the second word (include/uapi/linux/futex.h:FUTEX_OP()).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Operation {
    op: u32,
    cmp: u32,
    oparg: i32,
    cmparg: i32,
}

impl Operation {
    /// ENOSYS for operations and comparisons that don't exist.
    fn decode(encoded: u32) -> Result<Operation> {
        let sign_extended = |bits: u32| ((bits << 20) as i32) >> 20;
        let op = encoded >> 28 & 7;
        let cmp = encoded >> 24 & 15;
        let mut oparg = sign_extended(encoded >> 12 & 0xfff);
        if encoded >> 28 & f::FUTEX_OP_OPARG_SHIFT != 0 {
            oparg = 1i32.wrapping_shl(oparg as u32 & 31);
        }
        if op > f::FUTEX_OP_XOR || cmp > f::FUTEX_OP_CMP_GE {
            return err(Errno::ENOSYS);
        }
        Ok(Operation {
            op,
            cmp,
            oparg,
            cmparg: sign_extended(encoded & 0xfff),
        })
    }

    fn apply(self, old: u32) -> u32 {
        let arg = self.oparg as u32;
        match self.op {
            f::FUTEX_OP_SET => arg,
            f::FUTEX_OP_ADD => old.wrapping_add(arg),
            f::FUTEX_OP_OR => old | arg,
            f::FUTEX_OP_ANDN => old & !arg,
            _ => old ^ arg,
        }
    }

    fn holds(self, old: u32) -> bool {
        let (old, arg) = (old as i32, self.cmparg);
        match self.cmp {
            f::FUTEX_OP_CMP_EQ => old == arg,
            f::FUTEX_OP_CMP_NE => old != arg,
            f::FUTEX_OP_CMP_LT => old < arg,
            f::FUTEX_OP_CMP_LE => old <= arg,
            f::FUTEX_OP_CMP_GT => old > arg,
            _ => old >= arg,
        }
    }
}

/// Changes the second word, wakes waiters of the first, and of the second if its old value compares. How many.
pub fn wake_op(
    task: &Task,
    first: u64,
    second: u64,
    private: bool,
    wake_first: i32,
    wake_second: i32,
    encoded: u32,
) -> Result<usize> {
    let mm = mm_of(task)?;
    let (key1, key2) = (key_of(&mm, first, private)?, key_of(&mm, second, private)?);
    let operation = Operation::decode(encoded)?;
    for _ in 0..word::MAX_TRIES {
        {
            let mut table = table::lock();
            if let Some(old) = word::update(&mm, second, |old| Some(operation.apply(old))) {
                let mut woken = table.wake(key1, wake_first.max(1) as usize, !0);
                if operation.holds(old) {
                    woken += table.wake(key2, wake_second.max(1) as usize, !0);
                }
                return Ok(woken);
            }
        }
        word::fault_in(&mm, second, true)?;
    }
    err(Errno::EFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations() {
        let add = Operation::decode(1 << 28 | 4 << 24 | 0xfff << 12 | 5).expect("valid");
        assert_eq!(add.apply(10), 9);
        assert!(add.holds(6) && !add.holds(5));
        let shifted = Operation::decode((8 | 2) << 28 | 3 << 12).expect("valid");
        assert_eq!(shifted.apply(1), 9);
        assert!(shifted.holds(0));
        assert_eq!(
            Operation::decode(5 << 28).unwrap_err().errno(),
            Errno::ENOSYS
        );
        assert_eq!(
            Operation::decode(6 << 24).unwrap_err().errno(),
            Errno::ENOSYS
        );
    }
}
