//! Time, TSC based where the host's own clock is, and the page that tells guests about it.

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic_ns() -> u64 {
    host(libc::CLOCK_MONOTONIC)
}
fn host(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the timespec is valid for the call.
    unsafe { libc::clock_gettime(clock, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// The guest's CLOCK_REALTIME in nanoseconds since 1970.
pub fn realtime_ns() -> u64 {
    host(libc::CLOCK_REALTIME)
}
/// Sets the guest's CLOCK_REALTIME to the host's plus `offset_ns`.
pub fn set_realtime_offset(_offset_ns: i64) {
    todo!()
}
/// Offset in the page-cache memory of the page that guests map read-only in front of the vDSO image.
pub fn vvar_offset() -> u64 {
    todo!()
}
