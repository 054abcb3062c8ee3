//! The log as text, with one reading position for all: what syslog(2) and /proc/kmsg read (kernel/printk/printk.c).
//! /dev/kmsg has positions of its own and isn't concerned.

use crate::error::{Result, err};
use crate::log::{self, Record};
use crate::sync::{Mutex, PollTable};
use crate::vfs::{File, FileOps, PollEvents, Sink};
use abi::errno::Errno;
use std::any::Any;
use std::sync::LazyLock;

/// The next record that nobody has had, and how many bytes of it somebody has.
#[derive(Clone, Copy, Default)]
struct Position {
    seq: u64,
    bytes: usize,
}

static POSITION: LazyLock<Mutex<Position>> = LazyLock::new(|| Mutex::new(Position::default()));

/// Each line of the record with its priority and time before it: record_print_text().
fn text(record: &Record) -> Vec<u8> {
    let (seconds, micros) = (
        record.time_ns / 1_000_000_000,
        record.time_ns / 1000 % 1_000_000,
    );
    let prefix = format!("<{}>[{seconds:5}.{micros:06}] ", record.priority());
    let mut out = String::new();
    for line in record.text.split('\n') {
        out += &format!("{prefix}{line}\n");
    }
    out.into_bytes()
}

/// The position, moved to the first record that is still there, and the records from it on.
fn unread(position: &mut Position) -> Vec<Record> {
    let records = log::since(position.seq);
    if let Some(first) = records.first()
        && first.seq != position.seq
    {
        *position = Position {
            seq: first.seq,
            bytes: 0,
        };
    }
    records
}

/// SYSLOG_ACTION_READ: what fits of the lines that nobody has read, at least some bytes of one; waits for the first.
/// EAGAIN with `nonblocking`, ERESTARTSYS, EFAULT.
pub fn read(sink: &mut Sink<'_>, nonblocking: bool) -> Result<usize> {
    let start = sink.done();
    let mut position = loop {
        let position = POSITION.lock();
        let seq = position.seq;
        if log::next_seq() > seq {
            break position;
        }
        drop(position);
        if nonblocking {
            return err(Errno::EAGAIN);
        }
        log::waiters().wait_until(|| (log::next_seq() > seq).then_some(()))?;
    };
    for record in unread(&mut position) {
        let text = text(&record);
        let rest = &text[position.bytes.min(text.len())..];
        let (begun, room) = (sink.done() > start, sink.remaining());
        if room == 0 || begun && rest.len() > room {
            break;
        }
        let piece = &rest[..rest.len().min(room)];
        // Before it is copied: what faults is read all the same.
        if piece.len() == rest.len() {
            *position = Position {
                seq: record.seq + 1,
                bytes: 0,
            };
        } else {
            position.bytes += piece.len();
        }
        match sink.write(piece) {
            Ok(n) if n == piece.len() => {}
            _ if begun => break,
            Ok(_) => return err(Errno::EFAULT),
            Err(e) => return Err(e),
        }
    }
    Ok(sink.done() - start)
}

/// SYSLOG_ACTION_SIZE_UNREAD, in bytes.
pub fn unread_bytes() -> usize {
    let mut position = POSITION.lock();
    let all: usize = unread(&mut position).iter().map(|r| text(r).len()).sum();
    all.saturating_sub(position.bytes)
}

/// SYSLOG_ACTION_READ_ALL: the newest lines since the last clear that fit.
pub fn newest(room: usize) -> Vec<u8> {
    let all: Vec<_> = log::since(log::cleared_to()).iter().map(text).collect();
    let mut size: usize = all.iter().map(Vec::len).sum();
    let mut out = Vec::new();
    for line in &all {
        if size <= room {
            out.extend_from_slice(line);
        } else {
            size -= line.len();
        }
    }
    out
}

/// What poll(2) says to a reader whose next line is number `next`.
pub fn poll_from(next: impl FnOnce() -> u64, table: Option<&mut PollTable>) -> PollEvents {
    if let Some(table) = table {
        table.register(log::waiters());
    }
    if next() < log::next_seq() {
        PollEvents::READABLE
    } else {
        PollEvents::empty()
    }
}

/// An open /proc/kmsg.
pub struct ProcKmsg;

impl FileOps for ProcKmsg {
    /// The position is the machine's, whatever the file's is.
    fn seekable(&self) -> bool {
        true
    }

    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        if file.nonblocking() && log::next_seq() <= POSITION.lock().seq {
            return err(Errno::EAGAIN);
        }
        if sink.remaining() == 0 {
            return Ok(0);
        }
        read(sink, file.nonblocking())
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        poll_from(|| POSITION.lock().seq, table)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
