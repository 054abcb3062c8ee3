//! Access to futex words.

use crate::error::{Result, err};
use crate::mm::{Mm, fault};
use crate::sched;
use abi::errno::Errno;

/// Reads the word without sleeping: None when its page must be brought in first.
pub fn peek(mm: &Mm, addr: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    (mm.address_space().read(addr, &mut bytes) == 4).then(|| u32::from_ne_bytes(bytes))
}

/// Brings in the page of a word that couldn't be read or changed. EFAULT.
pub fn fault_in(mm: &Mm, addr: u64, write: bool) -> Result<()> {
    let access = if write {
        fault::Access::Write
    } else {
        fault::Access::Read
    };
    fault::fault_in(mm, addr, access)
}

/// Changes the word by `change`, atomically towards guest code; the old value. None when its page must be brought in.
/// `change` may be asked twice: guests are stopped only for a word that it would change.
pub fn update(mm: &Mm, addr: u64, mut change: impl FnMut(u32) -> Option<u32>) -> Option<u32> {
    let seen = peek(mm, addr)?;
    if change(seen).is_none() {
        return Some(seen);
    }
    sched::with_guests_stopped(|| {
        let old = peek(mm, addr)?;
        match change(old) {
            Some(new) if mm.address_space().write(addr, &new.to_ne_bytes()) != 4 => None,
            _ => Some(old),
        }
    })
}

/// As [`update`], bringing in the page when needed; with no lock held. EFAULT.
pub fn update_sleeping(
    mm: &Mm,
    addr: u64,
    mut change: impl FnMut(u32) -> Option<u32>,
) -> Result<u32> {
    for _ in 0..MAX_TRIES {
        if let Some(old) = update(mm, addr, &mut change) {
            return Ok(old);
        }
        fault_in(mm, addr, true)?;
    }
    err(Errno::EFAULT)
}

/// A page that can be brought in but not used is no page.
pub const MAX_TRIES: usize = 16;
