//! The one seam between kernel and host CPU: guest address spaces, guest threads, vCPUs, fibers and
//! the page-cache memory. The kernel knows nothing below it; unsafe code stays here and in `stub`.

mod agent;
mod api;
mod aspace;
mod beside;
pub mod clock;
mod control;
pub mod fiber;
mod filter;
mod frame;
pub mod heap;
mod machine;
mod pagecache;
pub mod patch;
mod ready;
mod remains;
mod residence;
mod small;
mod spread;
pub mod symbols;
mod sys;
mod thread;
mod vcpu;
pub mod vdso;
mod xstate;
mod zygote;

pub use api::*;
pub use aspace::AddressSpace;
pub use beside::Spin;
pub use machine::{Config, Platform};
pub use pagecache::PageCacheMemory;
pub use remains::{Remains, Used};
pub use residence::{PageEntry, PageMap, Region, has_guard_pages};
pub use small::{AHEAD_MAX, LATER_MAX};
pub use thread::{GuestThread, ThreadState};
pub use vcpu::Vcpu;
pub use xstate::XState;
pub use zygote::fsgsbase;
