//! Sending and receiving on sockets: sendto, recvfrom, sendmsg, recvmsg and their arrays (net/socket.c).

use super::poll::deadline_after;
use super::socket::{read_address, socket_file, write_address};
use super::splice::{check_range, read_iovec};
use super::{Context, Fd};
use crate::error::{Result, err};
use crate::ipc::socket::{self, Incoming, Outgoing};
use crate::task::Task;
use crate::user::UserPtr;
use crate::vfs::{File, Sink, Source};
use abi::errno::Errno;
use abi::fs::MAX_RW_COUNT;
use abi::net::{MMSG_MAX, Mmsghdr, MsgFlags, Msghdr, SOCKADDR_STORAGE};
use abi::time::Timespec;
use std::mem::offset_of;

/// Most bytes of control messages (/proc/sys/net/core/optmem_max).
const CONTROL_MAX: u64 = 131_072;
/// Most parts of a message (UIO_MAXIOV).
const PARTS_MAX: u64 = 1024;
/// For 32-bit callers, which there aren't.
const MSG_CMSG_COMPAT: u32 = 0x8000_0000;

fn message_flags(flags: u32) -> Result<MsgFlags> {
    if flags & MSG_CMSG_COMPAT != 0 {
        return err(Errno::EINVAL);
    }
    Ok(MsgFlags::from_bits_retain(flags))
}

fn single(addr: u64, len: usize) -> Result<Vec<(u64, usize)>> {
    let len = len.min(MAX_RW_COUNT);
    check_range(addr, len)?;
    Ok(vec![(addr, len)])
}

pub fn sendto(
    cx: &mut Context,
    fd: Fd,
    data: u64,
    len: usize,
    flags: u32,
    addr: UserPtr<u8>,
    addr_len: i32,
) -> Result<usize> {
    let parts = single(data, len)?;
    let file = socket_file(&cx.task, fd)?;
    let name = match addr.non_null() {
        Some(addr) => Some(read_address(addr, addr_len)?),
        None => None,
    };
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    let mut source = Source::user(mm, parts);
    let flags = MsgFlags::from_bits_retain(flags);
    let mut message = Outgoing::new(&mut source, flags, file.nonblocking());
    message.name = name;
    socket::of(&file)?.proto.send(&mut message)
}

pub fn recvfrom(
    cx: &mut Context,
    fd: Fd,
    data: u64,
    len: usize,
    flags: u32,
    addr: UserPtr<u8>,
    addr_len: UserPtr<i32>,
) -> Result<usize> {
    let parts = single(data, len)?;
    let file = socket_file(&cx.task, fd)?;
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    let mut sink = Sink::user(mm, parts);
    let flags = MsgFlags::from_bits_retain(flags);
    let mut message = Incoming::new(&mut sink, flags, file.nonblocking());
    let received = socket::of(&file)?.proto.receive(&mut message)?;
    if !addr.is_null() {
        write_address(&message.name, addr, addr_len)?;
    }
    Ok(received)
}

/// The parts of a message header. EMSGSIZE, EINVAL, EFAULT.
fn header_parts(header: &Msghdr) -> Result<Vec<(u64, usize)>> {
    if header.msg_iovlen > PARTS_MAX {
        return err(Errno::EMSGSIZE);
    }
    read_iovec(UserPtr::new(header.msg_iov), header.msg_iovlen as usize)
}

/// The length of a header's name, cut to the largest address. EINVAL.
fn header_name_len(header: &Msghdr) -> Result<usize> {
    if header.msg_name == 0 {
        return Ok(0);
    }
    let len = usize::try_from(header.msg_namelen).map_err(|_| Errno::EINVAL)?;
    Ok(len.min(SOCKADDR_STORAGE))
}

fn send_one(task: &Task, file: &File, ptr: UserPtr<Msghdr>, flags: MsgFlags) -> Result<usize> {
    let header = ptr.read()?;
    let name = match header_name_len(&header)? {
        0 => None,
        len => Some(UserPtr::<u8>::new(header.msg_name).read_array(len)?),
    };
    let parts = header_parts(&header)?;
    if header.msg_controllen > CONTROL_MAX {
        return err(Errno::ENOBUFS);
    }
    let control =
        UserPtr::<u8>::new(header.msg_control).read_array(header.msg_controllen as usize)?;
    let mut source = Source::user(task.mm().ok_or(Errno::EFAULT)?, parts);
    let mut message = Outgoing::new(&mut source, flags, file.nonblocking());
    message.name = name;
    message.control = control;
    socket::of(file)?.proto.send(&mut message)
}

fn receive_one(task: &Task, file: &File, ptr: UserPtr<Msghdr>, flags: MsgFlags) -> Result<usize> {
    let header = ptr.read()?;
    let name_len = header_name_len(&header)?;
    let parts = header_parts(&header)?;
    let mut sink = Sink::user(task.mm().ok_or(Errno::EFAULT)?, parts);
    let mut message = Incoming::new(&mut sink, flags, file.nonblocking());
    if header.msg_control != 0 {
        message.control.capacity = header.msg_controllen.min(CONTROL_MAX) as usize;
    }
    let received = socket::of(file)?.proto.receive(&mut message)?;
    if header.msg_name != 0 {
        let stored = message.name.len().min(name_len);
        UserPtr::new(header.msg_name).write_bytes(&message.name[..stored])?;
        let field = ptr.byte_add(offset_of!(Msghdr, msg_namelen) as u64);
        field.cast().write(&(message.name.len() as i32))?;
    }
    let kept = flags & MsgFlags::MSG_CMSG_CLOEXEC;
    let field = ptr.byte_add(offset_of!(Msghdr, msg_flags) as u64);
    field.cast().write(&(message.out_flags | kept).bits())?;
    UserPtr::new(header.msg_control).write_bytes(&message.control.bytes)?;
    let field = ptr.byte_add(offset_of!(Msghdr, msg_controllen) as u64);
    field.cast().write(&(message.control.bytes.len() as u64))?;
    Ok(received)
}

pub fn sendmsg(cx: &mut Context, fd: Fd, header: UserPtr<Msghdr>, flags: u32) -> Result<usize> {
    let flags = message_flags(flags)?;
    let file = socket_file(&cx.task, fd)?;
    send_one(&cx.task, &file, header, flags)
}

pub fn recvmsg(cx: &mut Context, fd: Fd, header: UserPtr<Msghdr>, flags: u32) -> Result<usize> {
    let flags = message_flags(flags)?;
    let file = socket_file(&cx.task, fd)?;
    receive_one(&cx.task, &file, header, flags)
}

fn store_len(entry: UserPtr<Mmsghdr>, len: usize) -> Result<()> {
    let field = entry.byte_add(offset_of!(Mmsghdr, msg_len) as u64);
    field.cast().write(&(len as u32))
}

pub fn sendmmsg(
    cx: &mut Context,
    fd: Fd,
    messages: UserPtr<Mmsghdr>,
    count: u32,
    flags: u32,
) -> Result<usize> {
    let flags = message_flags(flags)?;
    let file = socket_file(&cx.task, fd)?;
    for index in 0..(count as usize).min(MMSG_MAX) {
        let entry = messages.index(index);
        let sent =
            send_one(&cx.task, &file, entry.cast(), flags).and_then(|sent| store_len(entry, sent));
        match sent {
            Ok(()) => {}
            Err(e) if index == 0 => return Err(e),
            Err(_) => return Ok(index),
        }
    }
    Ok((count as usize).min(MMSG_MAX))
}

pub fn recvmmsg(
    cx: &mut Context,
    fd: Fd,
    messages: UserPtr<Mmsghdr>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
) -> Result<usize> {
    let mut flags = message_flags(flags)?;
    let deadline = match timeout.non_null() {
        Some(timeout) => Some(deadline_after(timeout.read()?)?),
        None => None,
    };
    let file = socket_file(&cx.task, fd)?;
    let mut done = 0;
    while done < (count as usize).min(MMSG_MAX) {
        let entry = messages.index(done);
        let one = flags - MsgFlags::MSG_WAITFORONE;
        let received = receive_one(&cx.task, &file, entry.cast(), one)
            .and_then(|received| store_len(entry, received));
        match received {
            Ok(()) => done += 1,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
        if flags.contains(MsgFlags::MSG_WAITFORONE) {
            flags |= MsgFlags::MSG_DONTWAIT;
        }
        if deadline.is_some_and(|at| at.passed()) {
            break;
        }
    }
    if let (Some(at), Some(timeout)) = (deadline, timeout.non_null()) {
        let left = at.0.saturating_sub(crate::time::monotonic_ns());
        timeout.write(&Timespec::from_nanos(
            i64::try_from(left).unwrap_or(i64::MAX),
        ))?;
    }
    Ok(done)
}
