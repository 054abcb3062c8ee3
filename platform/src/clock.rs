//! Time, TSC based where the host's own clock is, and the page that tells guests about it.

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic_ns() -> u64 {
    todo!()
}
/// The guest's CLOCK_REALTIME in nanoseconds since 1970.
pub fn realtime_ns() -> u64 {
    todo!()
}
/// Sets the guest's CLOCK_REALTIME to the host's plus `offset_ns`.
pub fn set_realtime_offset(_offset_ns: i64) {
    todo!()
}
/// Offset in the page-cache memory of the page that guests map read-only in front of the vDSO image.
pub fn vvar_offset() -> u64 {
    todo!()
}
