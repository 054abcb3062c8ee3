//! NUMA policies on a machine of one node, where they change nothing (mm/mempolicy.c). They are checked, and not kept.

use super::Context;
use crate::error::{Result, err};
use crate::user::UserPtr;
use abi::errno::Errno;
use abi::mm::*;

/// Bits of a node mask that Linux takes at most.
const MAX_NODES: u64 = 1024;

/// The nodes that the guest names; nodes that aren't there are EINVAL. mm/mempolicy.c:get_nodes().
fn nodes(mask: UserPtr<u64>, max: u64) -> Result<u64> {
    let bits = max.saturating_sub(1);
    if bits == 0 || mask.is_null() {
        return Ok(0);
    }
    if bits > 4096 * 8 {
        return err(Errno::EINVAL);
    }
    let words = mask.read_array(bits.div_ceil(64) as usize)?;
    let mut first = 0;
    for (i, word) in words.iter().enumerate() {
        let used = bits - i as u64 * 64;
        let word = if used < 64 {
            word & ((1 << used) - 1)
        } else {
            *word
        };
        if i == 0 {
            first = word;
        } else if word != 0 {
            return err(Errno::EINVAL);
        }
    }
    Ok(first)
}

/// mm/mempolicy.c:mpol_new(): which masks go with which mode.
fn check(mode: u32, nodes: u64) -> Result<()> {
    let all = MpolModeFlags::all().bits();
    let both = MpolModeFlags::MPOL_F_STATIC_NODES | MpolModeFlags::MPOL_F_RELATIVE_NODES;
    if mode & both.bits() == both.bits() {
        return err(Errno::EINVAL);
    }
    let ok = match mode & !all {
        MPOL_DEFAULT | MPOL_LOCAL => nodes == 0,
        MPOL_PREFERRED => nodes == 0 || nodes & 1 != 0,
        MPOL_BIND | MPOL_INTERLEAVE | MPOL_PREFERRED_MANY | MPOL_WEIGHTED_INTERLEAVE => {
            nodes & 1 != 0
        }
        _ => false,
    };
    if ok { Ok(()) } else { err(Errno::EINVAL) }
}

pub fn set_mempolicy(_cx: &mut Context, mode: u32, mask: UserPtr<u64>, max: u64) -> Result<()> {
    check(mode, nodes(mask, max)?)
}

pub fn mbind(
    _cx: &mut Context,
    addr: u64,
    _len: u64,
    mode: u32,
    mask: UserPtr<u64>,
    max: u64,
    flags: u32,
) -> Result<()> {
    const KNOWN: u32 = 7;
    if flags & !KNOWN != 0 || !addr.is_multiple_of(platform::PAGE_SIZE) {
        return err(Errno::EINVAL);
    }
    check(mode, nodes(mask, max)?)
}

pub fn get_mempolicy(
    cx: &mut Context,
    policy: UserPtr<u32>,
    mask: UserPtr<u64>,
    max: u64,
    addr: u64,
    flags: u32,
) -> Result<()> {
    let flags = MpolFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 || (!mask.is_null() && max < 1) {
        return err(Errno::EINVAL);
    }
    let allowed = flags.contains(MpolFlags::MPOL_F_MEMS_ALLOWED);
    if allowed && flags.intersects(MpolFlags::MPOL_F_NODE | MpolFlags::MPOL_F_ADDR) {
        return err(Errno::EINVAL);
    }
    if flags.contains(MpolFlags::MPOL_F_ADDR) {
        let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
        crate::mm::fault::fault_in(&mm, addr, crate::mm::fault::Access::Read)?;
    } else if addr != 0 {
        return err(Errno::EINVAL);
    }
    if let Some(policy) = policy.non_null() {
        // The default policy, or node 0: the same number.
        policy.write(&MPOL_DEFAULT)?;
    }
    if let Some(mask) = mask.non_null() {
        let words = max.min(MAX_NODES).div_ceil(64) as usize;
        let mut out = vec![0u64; words];
        out[0] = u64::from(allowed);
        mask.write_array(&out)?;
    }
    Ok(())
}
