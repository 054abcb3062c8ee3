//! The control memory: one memfd of request pages (read-only in stub processes) and thread areas. The kernel process maps
//! all of it, a stub process its own page and areas. What lies in an area can be changed by the guest at any time: it is
//! read once, as atomics, and checked.

use crate::sys::{self, Mapping};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use stub::layout::*;

pub struct Control {
    pub fd: OwnedFd,
    map: Mapping,
    slots: Mutex<Slots>,
}

struct Slots {
    free: Vec<u32>,
    next: u32,
}

impl Control {
    pub fn new() -> io::Result<Control> {
        let fd = sys::memfd(c"umlaut-control", false)?;
        sys::set_len(&fd, CONTROL_SIZE)?;
        let map = Mapping::shared(&fd, 0, CONTROL_SIZE)?;
        // Slot 0 is the zygote's.
        Ok(Control {
            fd,
            map,
            slots: Mutex::new(Slots {
                free: Vec::new(),
                next: 1,
            }),
        })
    }

    pub fn take_slot(&self) -> io::Result<u32> {
        let mut s = self.slots.lock().unwrap();
        if let Some(n) = s.free.pop() {
            return Ok(n);
        }
        if s.next as u64 == SLOTS {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        s.next += 1;
        Ok(s.next - 1)
    }

    /// Gives a slot back. No living process may map its area any more.
    pub fn free_slot(&self, slot: u32) {
        self.slots.lock().unwrap().free.push(slot);
    }

    pub fn request(&self, slot: u32) -> Shared {
        Shared {
            base: self.map.at(slot as u64 * REQUEST_SIZE, REQUEST_SIZE),
            len: REQUEST_SIZE,
        }
    }

    pub fn area(&self, slot: u32) -> Shared {
        Shared {
            base: self.map.at(area_offset(slot), AREA_SIZE),
            len: AREA_SIZE,
        }
    }
}

/// Offset of a slot's thread area in the control memory.
pub fn area_offset(slot: u32) -> u64 {
    AREAS_OFFSET + slot as u64 * AREA_SIZE
}

/// A window into the control memory. Valid as long as the [`Control`], which the platform keeps for ever.
#[derive(Clone, Copy)]
pub struct Shared {
    base: *mut u8,
    len: u64,
}

// SAFETY: access is by atomics only (bytes: volatile), from whatever thread.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub fn u32(&self, at: u64) -> &AtomicU32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.len);
        // SAFETY: aligned and inside the mapping, which is never unmapped while the platform lives.
        unsafe { &*self.base.add(at as usize).cast() }
    }
    pub fn u64(&self, at: u64) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len);
        // SAFETY: as in `u32`.
        unsafe { &*self.base.add(at as usize).cast() }
    }
    pub fn get(&self, at: u64) -> u64 {
        self.u64(at).load(Ordering::Relaxed)
    }
    pub fn put(&self, at: u64, v: u64) {
        self.u64(at).store(v, Ordering::Relaxed)
    }
    pub fn put32(&self, at: u64, v: u32) {
        self.u32(at).store(v, Ordering::Relaxed)
    }
    /// Copies bytes out in words; `at` and the length are multiples of 4.
    pub fn read(&self, at: u64, buf: &mut [u8]) {
        for (i, c) in buf.chunks_exact_mut(4).enumerate() {
            c.copy_from_slice(
                &self
                    .u32(at + 4 * i as u64)
                    .load(Ordering::Relaxed)
                    .to_ne_bytes(),
            );
        }
    }
    /// Copies bytes in, in words; `at` and the length are multiples of 4.
    pub fn write(&self, at: u64, bytes: &[u8]) {
        for (i, c) in bytes.chunks_exact(4).enumerate() {
            self.put32(
                at + 4 * i as u64,
                u32::from_ne_bytes(c.try_into().expect("four bytes")),
            );
        }
    }
}
