//! Major 1: /dev/null, zero, full, random, urandom, kmsg (drivers/char/mem.c, kernel/printk/printk.c).

use crate::error::{Result, err};
use crate::log;
use crate::mm::pagecache::Mapping;
use crate::random;
use crate::sync::{Lock, PollTable, Rank};
use crate::syscall::Context;
use crate::syslog;
use crate::user::UserPtr;
use crate::vfs::device::{DeviceOps, register_char};
use crate::vfs::{File, FileOps, Path, PollEvents, Sink, Source};
use abi::cap::CAP_SYS_ADMIN;
use abi::errno::Errno;
use abi::fs::{
    OpenFlags, RNDADDENTROPY, RNDADDTOENTCNT, RNDCLEARPOOL, RNDGETENTCNT, RNDRESEEDCRNG,
    RNDZAPENTCNT, SEEK_DATA, SEEK_END, SEEK_SET, minor,
};
use std::any::Any;
use std::sync::Arc;

/// Longest record that /dev/kmsg takes.
const KMSG_MAX: usize = 1024;

/// Bits that the generator says it has, all there ever are.
const ENTROPY_BITS: i32 = 256;
/// Bytes of a seed that are looked at.
const MAX_SEED: usize = 4096;

struct Driver;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Zero,
    Full,
    Random,
}

pub(super) fn init() {
    register_char(1, 0..12, Arc::new(Driver));
}

impl DeviceOps for Driver {
    fn open(&self, _path: &Path, rdev: u64, _flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        let kind = match minor(rdev) {
            3 => Kind::Null,
            5 => Kind::Zero,
            7 => Kind::Full,
            8 | 9 => Kind::Random,
            11 => {
                return Ok(Box::new(Kmsg {
                    next: Lock::new(Rank::LEAF, 0),
                }));
            }
            // No /dev/mem and no ports in a user-mode kernel.
            _ => return err(Errno::ENXIO),
        };
        Ok(Box::new(Mem(kind)))
    }
}

struct Mem(Kind);

impl FileOps for Mem {
    fn can_poll(&self, _file: &File) -> bool {
        self.0 == Kind::Random
    }

    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, _file: &File, _offset: i64, _whence: u32) -> Result<u64> {
        Ok(0)
    }

    fn read(&self, _file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        match self.0 {
            Kind::Null => Ok(0),
            Kind::Zero | Kind::Full => sink.write_zeros(sink.remaining()),
            Kind::Random => {
                let mut done = 0;
                let mut buf = [0u8; 4096];
                while sink.remaining() > 0 {
                    let step = sink.remaining().min(buf.len());
                    random::fill(&mut buf[..step]);
                    match sink.write(&buf[..step]) {
                        Ok(put) if put == step => done += put,
                        Ok(put) => return Ok(done + put),
                        Err(e) if done == 0 => return Err(e),
                        Err(_) => return Ok(done),
                    }
                }
                Ok(done)
            }
        }
    }

    fn write(&self, _file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        match self.0 {
            Kind::Full => err(Errno::ENOSPC),
            _ => Ok(source.skip(source.remaining())),
        }
    }

    fn poll(&self, _file: &File, _table: Option<&mut PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    fn ioctl(&self, _file: &File, cx: &mut Context, cmd: u32, arg: u64) -> Result<u64> {
        match self.0 {
            Kind::Random => random_ioctl(cx, cmd, arg),
            _ => err(Errno::ENOTTY),
        }
    }

    fn mapping(&self, _file: &File) -> Result<Arc<Mapping>> {
        match self.0 {
            // Each mapping of /dev/zero is memory of its own.
            Kind::Zero => Ok(Mapping::new(None, i64::MAX as u64)),
            _ => err(Errno::ENODEV),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What random(4) can be asked (drivers/char/random.c:random_ioctl()). What is given goes nowhere: the numbers are the
/// host's, which needs no more entropy. EINVAL, EPERM, EFAULT.
fn random_ioctl(cx: &Context, cmd: u32, arg: u64) -> Result<u64> {
    if !matches!(
        cmd,
        RNDGETENTCNT | RNDADDTOENTCNT | RNDADDENTROPY | RNDZAPENTCNT | RNDCLEARPOOL | RNDRESEEDCRNG
    ) {
        return err(Errno::EINVAL);
    }
    if cmd == RNDGETENTCNT {
        UserPtr::<i32>::new(arg).write(&ENTROPY_BITS)?;
        return Ok(0);
    }
    if !cx.task.capable(CAP_SYS_ADMIN) {
        return err(Errno::EPERM);
    }
    if matches!(cmd, RNDADDTOENTCNT | RNDADDENTROPY) && UserPtr::<i32>::new(arg).read()? < 0 {
        return err(Errno::EINVAL);
    }
    if cmd == RNDADDENTROPY {
        let size = UserPtr::<i32>::new(arg.wrapping_add(4)).read()?;
        let size = usize::try_from(size).map_err(|_| Errno::EFAULT)?;
        UserPtr::<u8>::new(arg.wrapping_add(8)).read_array(size.min(MAX_SEED))?;
    }
    Ok(0)
}

/// An open /dev/kmsg: each read is one record, each write one line.
struct Kmsg {
    next: Lock<u64>,
}

impl FileOps for Kmsg {
    /// Only for lseek(2); reads go on where the last one ended, whatever position pread(2) gives.
    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, _file: &File, offset: i64, whence: u32) -> Result<u64> {
        if offset != 0 {
            return err(Errno::ESPIPE);
        }
        *self.next.lock() = match whence {
            SEEK_SET => 0,
            SEEK_DATA => log::cleared_to(),
            SEEK_END => log::next_seq(),
            _ => return err(Errno::EINVAL),
        };
        Ok(0)
    }

    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        let from = *self.next.lock();
        let record = match log::since(from).into_iter().next() {
            Some(record) => record,
            None if file.nonblocking() => return err(Errno::EAGAIN),
            None => log::waiters().wait_until(|| log::since(from).into_iter().next())?,
        };
        let text = format!(
            "{},{},{},-;{}\n",
            record.priority(),
            record.seq,
            record.time_ns / 1000,
            escaped(&record.text)
        );
        if sink.remaining() < text.len() {
            return err(Errno::EINVAL);
        }
        *self.next.lock() = record.seq + 1;
        sink.write(text.as_bytes())
    }

    fn write(&self, _file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        let len = source.remaining();
        if len > KMSG_MAX {
            return err(Errno::EINVAL);
        }
        let mut bytes = vec![0u8; len];
        source.read(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let (facility, level, text) = log::parse_prefix(text);
        log::write_as(facility, level, format_args!("{text}"));
        Ok(len)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        syslog::poll_from(|| *self.next.lock(), table)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What isn't printable ASCII, and the backslash, as `\xNN`: kernel/printk/printk.c:append_char().
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            out += &format!("\\x{byte:02x}");
        }
    }
    out
}
