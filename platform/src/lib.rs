//! The one seam between kernel and host CPU: guest address spaces, guest threads, vCPUs, fibers and
//! the page-cache memory. The kernel knows nothing below it; unsafe code stays here and in `stub`.

mod api;
mod aspace;
pub mod clock;
pub mod fiber;
mod machine;
mod pagecache;
mod thread;
mod vcpu;
pub mod vdso;

pub use api::*;
pub use aspace::AddressSpace;
pub use machine::{Config, Platform};
pub use pagecache::PageCacheMemory;
pub use thread::{GuestThread, ThreadState, XState};
pub use vcpu::Vcpu;
