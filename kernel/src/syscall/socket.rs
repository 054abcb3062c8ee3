//! Sockets: the calls that make, name and connect them, and their options (net/socket.c).

use super::splice::check_range;
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::fs::proc::sys::check_file_max;
use crate::ipc::socket::{self, Socket, options};
use crate::task::Task;
use crate::user::UserPtr;
use crate::vfs::File;
use abi::errno::Errno;
use abi::net::{
    SHUT_RDWR, SO_PEERGROUPS, SO_PEERNAME, SOCK_TYPE_MASK, SOCKADDR_STORAGE, SOL_SOCKET, SOMAXCONN,
    SockFlags,
};
use abi::task::RLIMIT_NOFILE;
use std::sync::Arc;

/// Longest option value that is looked at, bytes.
const OPTION_MAX: usize = 4096;

/// The open file of a socket descriptor. EBADF, ENOTSOCK.
pub(super) fn socket_file(task: &Task, fd: Fd) -> Result<Arc<File>> {
    let file = task.files().get(fd.0)?;
    if file.is_path_only() {
        return err(Errno::EBADF);
    }
    socket::of(&file)?;
    Ok(file)
}

/// Splits a type argument. EINVAL for flags that aren't.
fn split_type(kind: u32) -> Result<(u32, SockFlags)> {
    let flags = SockFlags::from_bits_retain(kind & !SOCK_TYPE_MASK);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    Ok((kind & SOCK_TYPE_MASK, flags))
}

fn install(task: &Task, socket: Socket, flags: SockFlags) -> Result<i32> {
    let file = socket.into_file(flags.contains(SockFlags::SOCK_NONBLOCK));
    check_file_max(task, 1)?;
    let cloexec = flags.contains(SockFlags::SOCK_CLOEXEC);
    let limit = task.group.rlimit(RLIMIT_NOFILE as usize);
    task.files().install(file, cloexec, 0, limit)
}

/// An address argument: net/socket.c:move_addr_to_kernel(). EINVAL, EFAULT.
pub(super) fn read_address(addr: UserPtr<u8>, len: i32) -> Result<Vec<u8>> {
    match usize::try_from(len) {
        Ok(len) if len <= SOCKADDR_STORAGE => addr.read_array(len),
        _ => err(Errno::EINVAL),
    }
}

/// Stores an address and its length: net/socket.c:move_addr_to_user(). EINVAL, EFAULT.
pub(super) fn write_address(name: &[u8], addr: UserPtr<u8>, len: UserPtr<i32>) -> Result<()> {
    let room = usize::try_from(len.read()?).map_err(|_| Errno::EINVAL)?;
    addr.write_bytes(&name[..name.len().min(room)])?;
    len.write(&(name.len() as i32))
}

pub fn socket(cx: &mut Context, family: u32, kind: u32, protocol: u32) -> Result<Fd> {
    let (kind, flags) = split_type(kind)?;
    let socket = socket::create(family, kind, protocol)?;
    Ok(Fd(install(&cx.task, socket, flags)?))
}

pub fn socketpair(
    cx: &mut Context,
    family: u32,
    kind: u32,
    protocol: u32,
    fds: UserPtr<[i32; 2]>,
) -> Result<()> {
    let (kind, flags) = split_type(kind)?;
    let one = socket::create(family, kind, protocol)?;
    let two = socket::create(family, kind, protocol)?;
    one.proto.pair(&*two.proto)?;
    let files = cx.task.files();
    let undo = |fd| drop(files.remove(fd));
    let first = install(&cx.task, one, flags)?;
    let second = install(&cx.task, two, flags).inspect_err(|_| undo(first))?;
    fds.write(&[first, second]).inspect_err(|_| {
        undo(first);
        undo(second);
    })
}

pub fn bind(cx: &mut Context, fd: Fd, addr: UserPtr<u8>, len: i32) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    let addr = read_address(addr, len)?;
    socket::of(&file)?.proto.bind(&addr)
}

pub fn connect(cx: &mut Context, fd: Fd, addr: UserPtr<u8>, len: i32) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    let addr = read_address(addr, len)?;
    socket::of(&file)?.proto.connect(&addr, file.nonblocking())
}

pub fn listen(cx: &mut Context, fd: Fd, backlog: u32) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    socket::of(&file)?.proto.listen(backlog.min(SOMAXCONN))
}

pub fn accept(cx: &mut Context, fd: Fd, addr: UserPtr<u8>, len: UserPtr<i32>) -> Result<Fd> {
    accept4(cx, fd, addr, len, 0)
}

pub fn accept4(
    cx: &mut Context,
    fd: Fd,
    addr: UserPtr<u8>,
    len: UserPtr<i32>,
    flags: u32,
) -> Result<Fd> {
    let flags = SockFlags::from_bits_retain(flags);
    if flags.unknown_bits() != 0 {
        return err(Errno::EINVAL);
    }
    let file = socket_file(&cx.task, fd)?;
    let listener = socket::of(&file)?;
    check_file_max(&cx.task, 0)?;
    let new = listener.accept(file.nonblocking())?;
    if !addr.is_null() {
        let name = new.proto.name(true).or(err(Errno::ECONNABORTED))?;
        write_address(&name, addr, len)?;
    }
    Ok(Fd(install(&cx.task, new, flags)?))
}

pub fn getsockname(cx: &mut Context, fd: Fd, addr: UserPtr<u8>, len: UserPtr<i32>) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    write_address(&socket::of(&file)?.proto.name(false)?, addr, len)
}

pub fn getpeername(cx: &mut Context, fd: Fd, addr: UserPtr<u8>, len: UserPtr<i32>) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    write_address(&socket::of(&file)?.proto.name(true)?, addr, len)
}

pub fn shutdown(cx: &mut Context, fd: Fd, how: u32) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    if how > SHUT_RDWR {
        return err(Errno::EINVAL);
    }
    socket::of(&file)?.proto.shutdown(how + 1)
}

pub fn setsockopt(
    cx: &mut Context,
    fd: Fd,
    level: u32,
    name: u32,
    value: UserPtr<u8>,
    len: i32,
) -> Result<()> {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let file = socket_file(&cx.task, fd)?;
    check_range(value.addr(), len)?;
    let value = value.read_array(len.min(OPTION_MAX))?;
    let socket = socket::of(&file)?;
    if level == SOL_SOCKET {
        options::set(&cx.task, socket, name, &value)
    } else {
        socket.proto.set_option(level, name, &value)
    }
}

pub fn getsockopt(
    cx: &mut Context,
    fd: Fd,
    level: u32,
    name: u32,
    value: UserPtr<u8>,
    len_ptr: UserPtr<i32>,
) -> Result<()> {
    let file = socket_file(&cx.task, fd)?;
    let len = usize::try_from(len_ptr.read()?).map_err(|_| Errno::EINVAL)?;
    let socket = socket::of(&file)?;
    let answer = if level == SOL_SOCKET {
        options::get(socket, name, len)?
    } else {
        socket.proto.get_option(level, name, len)?
    };
    if level == SOL_SOCKET && name == SO_PEERGROUPS && answer.len() > len {
        len_ptr.write(&(answer.len() as i32))?;
        return err(Errno::ERANGE);
    }
    let len = if level == SOL_SOCKET && name == SO_PEERNAME {
        len
    } else {
        len.min(answer.len())
    };
    value.write_bytes(&answer[..len])?;
    len_ptr.write(&(len as i32))
}
