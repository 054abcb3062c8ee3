//! The text of /proc/net/unix (net/unix/af_unix.c:unix_seq_show()).

use super::{ALL, Kind, Phase, UnixSocket};
use abi::net::{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// SO_ACCEPTCON in the flags column.
const ACCEPTING: u32 = 1 << 16;

/// All Unix sockets, a line each.
pub fn proc_net_unix() -> Vec<u8> {
    let all: Vec<Arc<UnixSocket>> = ALL.lock().values().filter_map(Weak::upgrade).collect();
    let mut out = b"Num       RefCount Protocol Flags    Type St Inode Path\n".to_vec();
    for socket in all {
        let kind = match socket.kind {
            Kind::Stream => SOCK_STREAM,
            Kind::Datagram => SOCK_DGRAM,
            Kind::Sequenced => SOCK_SEQPACKET,
        };
        // SS_UNCONNECTED and SS_CONNECTED.
        let (flags, state) = match socket.phase() {
            Phase::Listening => (ACCEPTING, 1),
            Phase::Connected => (0, 3),
            Phase::Closed => (0, 1),
        };
        let references = Arc::strong_count(&socket);
        let line = format!(
            "{:016x}: {references:08X} {:08X} {flags:08X} {kind:04X} {state:02X} {:5}",
            0,
            0,
            socket.inode.load(Ordering::Relaxed),
        );
        out.extend_from_slice(line.as_bytes());
        if let Some(address) = socket.address() {
            out.push(b' ');
            out.extend_from_slice(&address.display());
        }
        out.push(b'\n');
    }
    out
}
