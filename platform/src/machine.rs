//! The platform as a whole: what one kernel process starts once.

use crate::{AddressSpace, PageCacheMemory};
use std::sync::Arc;

/// What the platform is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of vCPUs.
    pub ncpus: usize,
    /// Bytes of virtual memory for a fiber's stack, guard page included.
    pub fiber_stack: usize,
}

/// The host side of a machine. Clones share it.
#[derive(Clone)]
pub struct Platform(#[allow(dead_code)] Arc<()>);

impl Platform {
    /// Starts the zygote and the page-cache memory. Call it on the main thread, which must live as long as the
    /// process: the stub processes die with the thread that started them.
    pub fn start(_cfg: Config) -> std::io::Result<Platform> {
        todo!()
    }
    /// The memory that file mappings and tmpfs live in.
    pub fn page_cache(&self) -> &PageCacheMemory {
        todo!()
    }
    /// An empty guest address space.
    pub fn new_address_space(&self) -> std::io::Result<AddressSpace> {
        todo!()
    }
    /// Number of vCPUs the machine was configured with.
    pub fn ncpus(&self) -> usize {
        todo!()
    }
}
