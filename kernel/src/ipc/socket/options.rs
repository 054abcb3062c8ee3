//! The options of SOL_SOCKET that all sockets have (net/core/sock.c:sk_setsockopt(), sk_getsockopt()), and the ioctls of
//! network devices, of which there are none.

use super::Socket;
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use crate::task::Task;
use crate::user::UserPtr;
use abi::cap::{CAP_NET_ADMIN, CAP_NET_RAW};
use abi::errno::Errno;
use abi::net::*;
use abi::time::Timeval;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use zerocopy::{FromBytes, IntoBytes};

/// /proc/sys/net/core/{w,r}mem_{default,max}, bytes.
pub const BUFFER_MAX: u32 = 212_992;
const MIN_SNDBUF: u32 = 4608;
const MIN_RCVBUF: u32 = 2304;

/// Bits of [`Options::flags`].
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Flag {
    Debug,
    ReuseAddr,
    DontRoute,
    Broadcast,
    KeepAlive,
    OobInline,
    NoCheck,
    ReusePort,
    PassCred,
    PassSec,
    Timestamp,
    TimestampNs,
    RxqOvfl,
    NoFcs,
    SelectErrQueue,
    ZeroCopy,
    PassPidfd,
}

/// A socket's common options.
pub struct Options {
    flags: AtomicU32,
    /// Bytes, as SO_SNDBUF tells them.
    pub sndbuf: AtomicUsize,
    pub rcvbuf: AtomicUsize,
    pub rcvlowat: AtomicUsize,
    /// Nanoseconds; 0 for none.
    pub rcvtimeo: AtomicU64,
    pub sndtimeo: AtomicU64,
    priority: AtomicU32,
    mark: AtomicU32,
    busy_poll: AtomicU32,
    cookie: AtomicU64,
    linger: Lock<Linger>,
    /// SO_PEEK_OFF; negative: off.
    peek_offset: AtomicI32,
}

static NEXT_COOKIE: AtomicU64 = AtomicU64::new(1);

impl Default for Options {
    fn default() -> Options {
        Options {
            flags: AtomicU32::new(0),
            sndbuf: AtomicUsize::new(BUFFER_MAX as usize),
            rcvbuf: AtomicUsize::new(BUFFER_MAX as usize),
            rcvlowat: AtomicUsize::new(1),
            rcvtimeo: AtomicU64::new(0),
            sndtimeo: AtomicU64::new(0),
            priority: AtomicU32::new(0),
            mark: AtomicU32::new(0),
            busy_poll: AtomicU32::new(0),
            cookie: AtomicU64::new(0),
            linger: Lock::new(Rank::LEAF, Linger::default()),
            peek_offset: AtomicI32::new(-1),
        }
    }
}

impl Options {
    pub fn get(&self, flag: Flag) -> bool {
        self.flags.load(Ordering::Relaxed) & (1 << flag as u32) != 0
    }

    pub fn set(&self, flag: Flag, on: bool) {
        let bit = 1 << flag as u32;
        if on {
            self.flags.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Where MSG_PEEK starts, behind the next byte to read: SO_PEEK_OFF.
    pub fn peek_offset(&self) -> Option<usize> {
        usize::try_from(self.peek_offset.load(Ordering::Relaxed)).ok()
    }

    /// `bytes` were looked at, or taken: sk_peek_offset_fwd(), sk_peek_offset_bwd().
    pub fn move_peek_offset(&self, peek: bool, bytes: usize) {
        if let Some(at) = self.peek_offset() {
            let new = if peek {
                at.saturating_add(bytes)
            } else {
                at.saturating_sub(bytes)
            };
            let new = i32::try_from(new).unwrap_or(i32::MAX);
            self.peek_offset.store(new, Ordering::Relaxed);
        }
    }

    fn cookie(&self) -> u64 {
        if self.cookie.load(Ordering::Relaxed) == 0 {
            let new = NEXT_COOKIE.fetch_add(1, Ordering::Relaxed);
            let _ = self
                .cookie
                .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.cookie.load(Ordering::Relaxed)
    }
}

/// The flag that an option switches.
fn flag_of(name: u32) -> Option<Flag> {
    Some(match name {
        SO_DEBUG => Flag::Debug,
        SO_REUSEADDR => Flag::ReuseAddr,
        SO_DONTROUTE => Flag::DontRoute,
        SO_BROADCAST => Flag::Broadcast,
        SO_KEEPALIVE => Flag::KeepAlive,
        SO_OOBINLINE => Flag::OobInline,
        SO_NO_CHECK => Flag::NoCheck,
        SO_REUSEPORT => Flag::ReusePort,
        SO_PASSCRED => Flag::PassCred,
        SO_PASSSEC => Flag::PassSec,
        SO_PASSPIDFD => Flag::PassPidfd,
        SO_TIMESTAMP_OLD => Flag::Timestamp,
        SO_TIMESTAMPNS_OLD => Flag::TimestampNs,
        SO_RXQ_OVFL => Flag::RxqOvfl,
        SO_NOFCS => Flag::NoFcs,
        SO_SELECT_ERR_QUEUE => Flag::SelectErrQueue,
        _ => return None,
    })
}

fn timeout(value: &[u8]) -> Result<u64> {
    let Ok((time, _)) = Timeval::read_from_prefix(value) else {
        return err(Errno::EINVAL);
    };
    if !(0..1_000_000).contains(&time.tv_usec) {
        return err(Errno::EDOM);
    }
    if time.tv_sec < 0 {
        // Such a time is over at once; Linux keeps it apart from "none" by one tick.
        return Ok(1);
    }
    Ok(u64::try_from(time.to_nanos()).unwrap_or(0))
}

/// setsockopt(2) at SOL_SOCKET. EINVAL for a short value, ENOPROTOOPT, EPERM, EDOM.
pub fn set(task: &Task, socket: &Socket, name: u32, value: &[u8]) -> Result<()> {
    let options = socket.proto.options();
    let Some(Ok(number)) = value.get(..4).map(<[u8; 4]>::try_from) else {
        return err(Errno::EINVAL);
    };
    let number = i32::from_ne_bytes(number);
    if let Some(flag) = flag_of(name) {
        if name == SO_DEBUG && number != 0 && !task.capable(CAP_NET_ADMIN) {
            return err(Errno::EACCES);
        }
        if name == SO_REUSEPORT && number != 0 && !matches!(socket.family, AF_INET | AF_INET6) {
            return err(Errno::EOPNOTSUPP);
        }
        options.set(flag, number != 0);
        return Ok(());
    }
    let buffer = |limit: u32, least: u32| {
        let bytes = (number as u32).min(limit).min(i32::MAX as u32 / 2);
        (bytes * 2).max(least) as usize
    };
    let forced = || {
        if task.capable(CAP_NET_ADMIN) {
            Ok(i32::MAX as u32 / 2)
        } else {
            err(Errno::EPERM)
        }
    };
    match name {
        SO_SNDBUF => options
            .sndbuf
            .store(buffer(BUFFER_MAX, MIN_SNDBUF), Ordering::Relaxed),
        SO_SNDBUFFORCE => options
            .sndbuf
            .store(buffer(forced()?, MIN_SNDBUF), Ordering::Relaxed),
        SO_RCVBUF => options
            .rcvbuf
            .store(buffer(BUFFER_MAX, MIN_RCVBUF), Ordering::Relaxed),
        SO_RCVBUFFORCE => options
            .rcvbuf
            .store(buffer(forced()?, MIN_RCVBUF), Ordering::Relaxed),
        SO_RCVLOWAT => {
            let bytes = usize::try_from(number).unwrap_or(i32::MAX as usize).max(1);
            options.rcvlowat.store(bytes, Ordering::Relaxed);
        }
        SO_RCVTIMEO_OLD | SO_RCVTIMEO_NEW => {
            options.rcvtimeo.store(timeout(value)?, Ordering::Relaxed);
        }
        SO_SNDTIMEO_OLD | SO_SNDTIMEO_NEW => {
            options.sndtimeo.store(timeout(value)?, Ordering::Relaxed);
        }
        SO_PRIORITY => {
            if !(0..=6).contains(&number) && !task.capable(CAP_NET_ADMIN) {
                return err(Errno::EPERM);
            }
            options.priority.store(number as u32, Ordering::Relaxed);
        }
        SO_MARK => {
            if !task.capable(CAP_NET_ADMIN) && !task.capable(CAP_NET_RAW) {
                return err(Errno::EPERM);
            }
            options.mark.store(number as u32, Ordering::Relaxed);
        }
        SO_LINGER => {
            let Ok((linger, _)) = Linger::read_from_prefix(value) else {
                return err(Errno::EINVAL);
            };
            *options.linger.lock() = linger;
        }
        SO_BUSY_POLL => {
            if number < 0 {
                return err(Errno::EINVAL);
            }
            options.busy_poll.store(number as u32, Ordering::Relaxed);
        }
        SO_PEEK_OFF if socket.family == AF_UNIX => {
            options.peek_offset.store(number, Ordering::Relaxed);
        }
        SO_PEEK_OFF => return err(Errno::EOPNOTSUPP),
        SO_BSDCOMPAT => {}
        SO_TYPE | SO_PROTOCOL | SO_DOMAIN | SO_ERROR => return err(Errno::ENOPROTOOPT),
        _ => return err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

fn time_value(ns: u64) -> Vec<u8> {
    Timeval::from_nanos(i64::try_from(ns).unwrap_or(i64::MAX))
        .as_bytes()
        .to_vec()
}

/// getsockopt(2) at SOL_SOCKET: the value, which the caller cuts to `len`. ENOPROTOOPT.
pub fn get(socket: &Socket, name: u32, len: usize) -> Result<Vec<u8>> {
    let options = socket.proto.options();
    if let Some(flag) = flag_of(name) {
        return Ok(u32::from(options.get(flag)).as_bytes().to_vec());
    }
    let number = match name {
        SO_TYPE => socket.kind,
        SO_DOMAIN => socket.family.into(),
        SO_PROTOCOL => socket.protocol,
        SO_ERROR => socket.proto.take_error().map_or(0, |e| e.0.into()),
        SO_SNDBUF => options.sndbuf.load(Ordering::Relaxed) as u32,
        SO_RCVBUF => options.rcvbuf.load(Ordering::Relaxed) as u32,
        SO_RCVLOWAT => options.rcvlowat.load(Ordering::Relaxed) as u32,
        SO_SNDLOWAT => 1,
        SO_PRIORITY => options.priority.load(Ordering::Relaxed),
        SO_MARK => options.mark.load(Ordering::Relaxed),
        SO_BUSY_POLL => options.busy_poll.load(Ordering::Relaxed),
        SO_PEEK_OFF if socket.family == AF_UNIX => {
            options.peek_offset.load(Ordering::Relaxed) as u32
        }
        SO_PEEK_OFF => return err(Errno::EOPNOTSUPP),
        SO_ACCEPTCONN => u32::from(socket.proto.is_listening()),
        SO_BSDCOMPAT | SO_LOCK_FILTER | SO_INCOMING_NAPI_ID | SO_ZEROCOPY => 0,
        SO_INCOMING_CPU => u32::MAX,
        SO_LINGER => return Ok(options.linger.lock().as_bytes().to_vec()),
        SO_RCVTIMEO_OLD | SO_RCVTIMEO_NEW => {
            return Ok(time_value(options.rcvtimeo.load(Ordering::Relaxed)));
        }
        SO_SNDTIMEO_OLD | SO_SNDTIMEO_NEW => {
            return Ok(time_value(options.sndtimeo.load(Ordering::Relaxed)));
        }
        SO_COOKIE => {
            if len < 8 {
                return err(Errno::EINVAL);
            }
            return Ok(options.cookie().as_bytes().to_vec());
        }
        SO_PEERNAME => {
            let name = socket.proto.name(true)?;
            if name.len() < len {
                return err(Errno::EINVAL);
            }
            return Ok(name);
        }
        _ => return socket.proto.get_option(SOL_SOCKET, name, len),
    };
    Ok(number.as_bytes().to_vec())
}

/// ioctls of network devices on a machine that has none: an empty list, and ENODEV by name.
pub fn device_ioctl(cmd: u32, arg: u64) -> Result<u64> {
    match cmd {
        SIOCGIFCONF => {
            let ptr = UserPtr::<Ifconf>::new(arg);
            let mut conf = ptr.read()?;
            conf.ifc_len = 0;
            ptr.write(&conf)?;
            Ok(0)
        }
        SIOCGIFNAME | SIOCGIFFLAGS | SIOCSIFFLAGS | SIOCGIFMETRIC | SIOCGIFMTU | SIOCSIFMTU
        | SIOCGIFHWADDR | SIOCSIFHWADDR | SIOCGIFINDEX | SIOCGIFTXQLEN | SIOCSIFTXQLEN
        | SIOCSIFNAME | SIOCETHTOOL | SIOCGIFMAP | SIOCSIFMAP | SIOCADDMULTI | SIOCDELMULTI
        | SIOCSIFHWBROADCAST => {
            UserPtr::<Ifreq>::new(arg).read()?;
            err(Errno::ENODEV)
        }
        _ => err(Errno::ENOTTY),
    }
}
