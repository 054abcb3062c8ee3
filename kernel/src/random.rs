//! Random bytes: the host's, through a source that is set at boot.

use std::sync::OnceLock;

static SOURCE: OnceLock<fn(&mut [u8])> = OnceLock::new();

/// Tells where entropy comes from. Once, at boot, before the first task.
pub fn set_source(source: fn(&mut [u8])) {
    assert!(SOURCE.set(source).is_ok(), "entropy has one source");
}

/// Fills `buf` with random bytes fit for keys.
pub fn fill(buf: &mut [u8]) {
    SOURCE.get().expect("the entropy source is set at boot")(buf);
}

/// A random number. Fetched by the dozen: each is handed out once.
pub fn u64() -> u64 {
    const STOCK: usize = 32;
    static NUMBERS: parking_lot::Mutex<Vec<u64>> = parking_lot::Mutex::new(Vec::new());
    let mut numbers = NUMBERS.lock();
    numbers.pop().unwrap_or_else(|| {
        let mut bytes = [[0; 8]; STOCK];
        fill(bytes.as_flattened_mut());
        numbers.extend(bytes[1..].iter().map(|b| u64::from_ne_bytes(*b)));
        u64::from_ne_bytes(bytes[0])
    })
}
