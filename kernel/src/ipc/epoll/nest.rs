//! Epolls that watch epolls: no loops, and not too deep (fs/eventpoll.c:ep_loop_check()).

use super::{Epoll, inner_epolls, of};
use crate::error::{Result, err};
use crate::sync::{Mutex, MutexGuard};
use crate::vfs::File;
use abi::errno::Errno;
use std::sync::{Arc, LazyLock};

/// Most epolls between a file and the outermost epoll that watches it, less one (EP_MAX_NESTS).
const MAX_NESTS: usize = 4;

static NESTING: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

/// Keeps others from linking epolls.
pub fn lock() -> MutexGuard<'static, ()> {
    NESTING.lock()
}

/// How many epolls deep `epoll` watches. ELOOP when it comes to `outer` or too deep.
fn depth_below(epoll: &Arc<Epoll>, outer: &Arc<Epoll>, level: usize) -> Result<usize> {
    if Arc::ptr_eq(epoll, outer) || level > MAX_NESTS {
        return err(Errno::ELOOP);
    }
    let mut deepest = 0;
    for file in inner_epolls(epoll) {
        deepest = deepest.max(1 + depth_below(of(&file)?, outer, level + 1)?);
    }
    Ok(deepest)
}

/// How many epolls watch `file`, one around the other.
fn depth_above(file: &File, level: usize) -> usize {
    if level > MAX_NESTS {
        return level;
    }
    let above = file.epoll_links.epolls();
    let depths = above.iter().map(|epoll| match epoll.file() {
        Some(file) => 1 + depth_above(&file, level + 1),
        None => 1,
    });
    depths.max().unwrap_or(0)
}

/// Whether `outer` may watch `inner`, both epolls. ELOOP, EINVAL.
pub fn check(outer: &File, inner: &File) -> Result<()> {
    let below = depth_below(of(inner)?, of(outer)?, 0)?;
    if below + 1 + depth_above(outer, 0) > MAX_NESTS {
        return err(Errno::ELOOP);
    }
    Ok(())
}
