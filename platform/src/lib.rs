//! The one seam between kernel and host CPU: guest address spaces, guest threads, vCPUs, fibers and
//! the page-cache memory. The kernel knows nothing below it; unsafe code stays here and in `stub`.

mod api;
pub use api::*;
