//! The end of a task.

use super::{Context, pids};

/// The last thing a task does: gives everything back and tells whoever waits.
pub fn finish(cx: Context) {
    pids().remove(cx.task.tid());
}
