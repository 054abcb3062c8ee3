//! Extended state (x87, SSE, AVX, ...) in the XSAVE standard format, and how the host's signal frames hold it.

use crate::control::Shared;
use std::sync::OnceLock;

const FXSAVE: usize = 512;
const HEADER: usize = 64;
/// Where the host describes the image, in bytes of the FXSAVE area that the CPU doesn't use (`struct _fpx_sw_bytes`).
const SW_BYTES: usize = 464;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// AMX tile data: needs a permission that guests don't get.
const TILE_DATA: u64 = 1 << 18;

struct Format {
    size: usize,
    features: u64,
    mxcsr_mask: u32,
}

fn format() -> &'static Format {
    static FORMAT: OnceLock<Format> = OnceLock::new();
    FORMAT.get_or_init(|| {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        let mut f = Format {
            size: FXSAVE,
            features: 3,
            mxcsr_mask: mxcsr_mask(),
        };
        if __cpuid(1).ecx >> 27 & 1 == 0 {
            return f; // no OSXSAVE
        }
        // SAFETY: XGETBV exists with OSXSAVE.
        f.features = unsafe { xgetbv() } & !TILE_DATA;
        f.size = FXSAVE + HEADER;
        for i in (2..63).filter(|i| f.features >> i & 1 == 1) {
            let c = __cpuid_count(0xd, i);
            f.size = f.size.max((c.eax + c.ebx) as usize);
        }
        f
    })
}

/// # Safety
/// The CPU has XGETBV, enabled.
unsafe fn xgetbv() -> u64 {
    let (lo, hi): (u32, u32);
    // SAFETY: reads a register; the caller vouches for the instruction.
    unsafe {
        std::arch::asm!("xgetbv", in("ecx") 0, out("eax") lo, out("edx") hi, options(nomem, nostack))
    };
    lo as u64 | (hi as u64) << 32
}

fn mxcsr_mask() -> u32 {
    #[repr(C, align(16))]
    struct Area([u8; FXSAVE]);
    let mut a = Area([0; FXSAVE]);
    // SAFETY: FXSAVE writes 512 bytes at an aligned address; every x86-64 CPU has it.
    unsafe { std::arch::x86_64::_fxsave64(a.0.as_mut_ptr()) };
    match u32::from_le_bytes(a.0[28..32].try_into().expect("four bytes")) {
        0 => 0xffbf,
        m => m,
    }
}

/// Extended state (x87, SSE, AVX, ...) in the XSAVE standard format, as the host's signal frames hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XState(Vec<u8>);

impl XState {
    /// The image, [`XState::size`] bytes: FXSAVE area (its bytes 464 to 512 the host's `_fpx_sw_bytes`), XSAVE header,
    /// components.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes an image that may come from the guest; `None` when the CPU would refuse it. 512 bytes (FXSAVE only) are
    /// fine: the rest is then in its reset state. So are images longer or shorter than this host's.
    pub fn from_bytes(bytes: &[u8]) -> Option<XState> {
        let f = format();
        if bytes.len() < FXSAVE {
            return None;
        }
        let mut v = vec![0u8; f.size];
        let n = bytes.len().min(f.size);
        v[..n].copy_from_slice(&bytes[..n]);
        let mxcsr = u32::from_le_bytes(v[24..28].try_into().expect("four bytes"));
        if mxcsr & !f.mxcsr_mask != 0 {
            return None;
        }
        if f.size > FXSAVE {
            if bytes.len() < FXSAVE + HEADER {
                v[FXSAVE..].fill(0);
                v[FXSAVE] = 3; // x87 and SSE are in the image
            }
            let bv = u64::from_le_bytes(v[FXSAVE..FXSAVE + 8].try_into().expect("eight bytes"));
            // Standard format: nothing but the features word in the header.
            if bv & !f.features != 0 || v[FXSAVE + 8..FXSAVE + HEADER].iter().any(|b| *b != 0) {
                return None;
            }
        }
        let mut x = XState(v);
        x.describe();
        Some(x)
    }

    /// The state of a CPU after reset.
    pub fn initial() -> XState {
        let f = format();
        let mut v = vec![0u8; f.size];
        v[0..2].copy_from_slice(&0x037fu16.to_le_bytes());
        v[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
        v[28..32].copy_from_slice(&f.mxcsr_mask.to_le_bytes());
        if f.size > FXSAVE {
            v[FXSAVE] = 3;
        }
        let mut x = XState(v);
        x.describe();
        x
    }

    /// Bytes of an image on this host.
    pub fn size() -> usize {
        format().size
    }

    fn describe(&mut self) {
        let f = format();
        let sw = &mut self.0[SW_BYTES..FXSAVE];
        sw.fill(0);
        if f.size > FXSAVE {
            sw[0..4].copy_from_slice(&MAGIC1.to_le_bytes());
            sw[4..8].copy_from_slice(&(f.size as u32 + 4).to_le_bytes());
            sw[8..16].copy_from_slice(&f.features.to_le_bytes());
            sw[16..20].copy_from_slice(&(f.size as u32).to_le_bytes());
        }
    }

    /// Writes the image to where a signal frame's fpstate pointer shows; [`Self::frame_size`] bytes.
    pub(crate) fn store(&self, area: &Shared, at: u64) {
        area.write(at, &self.0);
        area.put32(at + self.0.len() as u64, MAGIC2);
    }

    /// Reads the image of a signal frame; the reset state when it makes no sense.
    pub(crate) fn load(area: &Shared, at: u64) -> XState {
        let mut v = vec![0u8; format().size];
        area.read(at, &mut v);
        XState::from_bytes(&v).unwrap_or_else(XState::initial)
    }

    /// Bytes that an image takes in a signal frame.
    pub(crate) fn frame_size() -> u64 {
        format().size as u64 + 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation() {
        let x = XState::initial();
        assert_eq!(XState::from_bytes(x.as_bytes()), Some(x.clone()));
        assert_eq!(XState::from_bytes(&x.as_bytes()[..512]), Some(x.clone()));
        assert!(XState::from_bytes(&[0; 511]).is_none());
        let mut bad = x.as_bytes().to_vec();
        bad[27] = 0x80; // reserved MXCSR bit
        assert!(XState::from_bytes(&bad).is_none());
        if XState::size() > FXSAVE {
            let mut bad = x.as_bytes().to_vec();
            bad[FXSAVE + 7] = 0x40;
            assert!(XState::from_bytes(&bad).is_none());
            let mut bad = x.as_bytes().to_vec();
            bad[FXSAVE + 15] = 0x80; // compacted format
            assert!(XState::from_bytes(&bad).is_none());
        }
    }
}
