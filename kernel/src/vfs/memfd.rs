//! memfd_create(2): tmpfs files without a name, and the seals that limit what may be done to them (mm/memfd.c).

use super::Inode;
use crate::error::{Result, err};
use abi::errno::Errno;
use abi::fs::SealFlags;
use std::sync::Arc;

/// EPERM where the inode's seals forbid it: writing (`hole`: punching one), or growing to `end`.
pub fn check_seals(inode: &Arc<dyn Inode>, hole: bool, end: u64) -> Result<()> {
    let Some(seals) = inode.seals() else { return Ok(()) };
    let sealed = SealFlags::from_bits_retain(seals.get());
    if hole && sealed.intersects(SealFlags::F_SEAL_WRITE | SealFlags::F_SEAL_FUTURE_WRITE) {
        return err(Errno::EPERM);
    }
    if !hole && sealed.contains(SealFlags::F_SEAL_GROW) && end > inode.metadata()?.size {
        return err(Errno::EPERM);
    }
    Ok(())
}
