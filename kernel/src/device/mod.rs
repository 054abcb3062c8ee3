//! Devices that are the kernel's own: the memory devices and the log.

mod mem;

/// Makes them known: /dev/null, zero, full, random, urandom, kmsg.
pub fn init() {
    mem::init();
}
