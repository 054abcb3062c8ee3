//! execve and execveat.

use super::{Context, Fd};
use crate::error::Result;
use crate::task::exec;
use crate::user::UserPtr;
use abi::fs::{AT_EMPTY_PATH, AT_FDCWD};

pub fn execve(cx: &mut Context, path: UserPtr<u8>, argv: u64, envp: u64) -> Result<()> {
    let path = path.read_path()?;
    exec::user_execute(cx, AT_FDCWD, &path, argv, envp, 0)
}

pub fn execveat(
    cx: &mut Context,
    dirfd: Fd,
    path: UserPtr<u8>,
    argv: u64,
    envp: u64,
    flags: u32,
) -> Result<()> {
    let path = if path.is_null() && flags & AT_EMPTY_PATH != 0 {
        Vec::new()
    } else {
        path.read_path()?
    };
    exec::user_execute(cx, dirfd.0, &path, argv, envp, flags)
}
