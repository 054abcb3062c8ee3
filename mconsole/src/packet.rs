//! The packets: requests, replies in pieces, notifications. Integers are 32 bits in the host's order.

use std::fmt;

const MAGIC: u32 = 0xcafe_babe;
pub const VERSION: u32 = 2;
/// Bytes of text in a packet, the NUL behind it included.
pub const MAX_DATA: usize = 512;
/// Bytes that a receiver's buffer needs for any packet.
pub const MAX_DATAGRAM: usize = 16 + MAX_DATA;
/// What a client without the magic number is told, without any header.
pub const VERSION_0_ANSWER: &[u8] =
    b"ERR Version 0 mconsole clients are not supported by this driver";

/// Takes a number off the front.
fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_ne_bytes(*head))
}

/// A command for a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    pub command: &'a [u8],
}

/// Why a datagram is no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRequest {
    /// Not a packet of this protocol; the answer is [`VERSION_0_ANSWER`].
    NoMagic,
    TooLarge,
    Version(u32),
    /// Header or text are cut off.
    Truncated,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadRequest::NoMagic => "Version 0 mconsole clients are not supported by this driver",
            BadRequest::TooLarge => "Request too large",
            BadRequest::Version(_) => "This driver only supports version 2 clients",
            BadRequest::Truncated => "Request truncated",
        })
    }
}

impl<'a> Request<'a> {
    /// Reads a datagram. A NUL ends the text, as it does for the original.
    pub fn parse(datagram: &'a [u8]) -> Result<Request<'a>, BadRequest> {
        let mut rest = datagram;
        if number(&mut rest) != Some(MAGIC) {
            return Err(BadRequest::NoMagic);
        }
        let version = number(&mut rest).ok_or(BadRequest::Truncated)?;
        let len = number(&mut rest).ok_or(BadRequest::Truncated)? as usize;
        if len >= MAX_DATA {
            return Err(BadRequest::TooLarge);
        }
        if version != VERSION {
            return Err(BadRequest::Version(version));
        }
        let text = rest.get(..len).ok_or(BadRequest::Truncated)?;
        let command = text.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Request { command })
    }

    /// The datagram; a command of [`MAX_DATA`] bytes or more is cut.
    pub fn encode(&self) -> Vec<u8> {
        let len = self.command.len().min(MAX_DATA - 1);
        let mut out = Vec::with_capacity(12 + MAX_DATA);
        for value in [MAGIC, VERSION, len as u32] {
            out.extend(value.to_ne_bytes());
        }
        out.extend(&self.command[..len]);
        out.resize(12 + MAX_DATA, 0);
        out
    }
}

/// A piece of a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// 0, 1 or a negative errno.
    pub err: i32,
    /// Another packet follows.
    pub more: bool,
    pub text: Vec<u8>,
}

/// Why a datagram is no reply or notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPacket;

impl Packet {
    pub fn parse(datagram: &[u8]) -> Result<Packet, BadPacket> {
        let mut rest = datagram;
        let mut next = || number(&mut rest).ok_or(BadPacket);
        let (err, more, len) = (next()?, next()?, next()? as usize);
        if len > MAX_DATA {
            return Err(BadPacket);
        }
        let text = rest.get(..len).ok_or(BadPacket)?;
        Ok(Packet {
            err: err.cast_signed(),
            more: more != 0,
            text: text.strip_suffix(b"\0").unwrap_or(text).to_vec(),
        })
    }

    /// The datagram. The text must be shorter than [`MAX_DATA`].
    pub fn encode(&self) -> Vec<u8> {
        assert!(
            self.text.len() < MAX_DATA,
            "a reply packet's text is cut first"
        );
        let mut out = Vec::with_capacity(13 + self.text.len());
        for value in [
            self.err.cast_unsigned(),
            u32::from(self.more),
            self.text.len() as u32 + 1,
        ] {
            out.extend(value.to_ne_bytes());
        }
        out.extend(&self.text);
        out.push(0);
        out
    }
}

/// A reply in packets, at least one. Only the first carries `err`; `more` is what the last one says
/// (mconsole_reply_len()).
pub fn replies(err: i32, text: &[u8], more: bool) -> Vec<Packet> {
    let mut pieces: Vec<&[u8]> = text.chunks(MAX_DATA - 1).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    let last = pieces.len() - 1;
    let packet = |(i, piece): (usize, &&[u8])| Packet {
        err: if i == 0 { err } else { 0 },
        more: i < last || more,
        text: piece.to_vec(),
    };
    pieces.iter().enumerate().map(packet).collect()
}

/// What a machine tells the socket of `mconsole=notify:<socket>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    pub kind: NotificationKind,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum NotificationKind {
    /// The path of its management console, with a NUL.
    Socket = 0,
    /// The message of a panic, with a NUL.
    Panic = 1,
    /// From the watchdog: the machine answers no more.
    Hang = 2,
    /// What was written to /proc/mconsole.
    User = 3,
}

impl NotificationKind {
    fn of(value: u32) -> Option<NotificationKind> {
        use NotificationKind::*;
        [Socket, Panic, Hang, User]
            .into_iter()
            .find(|kind| *kind as u32 == value)
    }
}

impl Notification {
    /// Reads a datagram; also the kind that the original's watchdog sends on 64-bit hosts, whose magic has 8 bytes.
    pub fn parse(datagram: &[u8]) -> Result<Notification, BadPacket> {
        let mut rest = datagram;
        let mut next = || number(&mut rest).ok_or(BadPacket);
        if next()? != MAGIC {
            return Err(BadPacket);
        }
        let mut version = next()?;
        if version == 0 {
            version = next()?;
        }
        let (kind, len) = (next()?, next()? as usize);
        let kind = NotificationKind::of(kind).ok_or(BadPacket)?;
        if version != VERSION || len > MAX_DATA {
            return Err(BadPacket);
        }
        let data = rest.get(..len).ok_or(BadPacket)?.to_vec();
        Ok(Notification { kind, data })
    }

    /// The datagram; data beyond [`MAX_DATA`] bytes is cut.
    pub fn encode(&self) -> Vec<u8> {
        let len = self.data.len().min(MAX_DATA);
        let mut out = Vec::with_capacity(16 + len);
        for value in [MAGIC, VERSION, self.kind as u32, len as u32] {
            out.extend(value.to_ne_bytes());
        }
        out.extend(&self.data[..len]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_there_and_back() {
        let encoded = Request {
            command: b"version",
        }
        .encode();
        assert_eq!(encoded.len(), 524);
        assert_eq!(&encoded[..8], [0xbe, 0xba, 0xfe, 0xca, 2, 0, 0, 0]);
        assert_eq!(
            Request::parse(&encoded),
            Ok(Request {
                command: b"version"
            })
        );
        assert_eq!(
            Request::parse(&encoded[..19]),
            Ok(Request {
                command: b"version"
            })
        );
        let long = Request {
            command: &[b'x'; 600],
        }
        .encode();
        assert_eq!(Request::parse(&long).map(|r| r.command.len()), Ok(511));
    }

    #[test]
    fn bad_requests_are_told_apart() {
        let request = |version: u32, len: u32, text: &[u8]| {
            let mut out: Vec<u8> = [MAGIC, version, len]
                .iter()
                .flat_map(|v| v.to_ne_bytes())
                .collect();
            out.extend(text);
            out
        };
        assert_eq!(Request::parse(b"version"), Err(BadRequest::NoMagic));
        assert_eq!(Request::parse(b""), Err(BadRequest::NoMagic));
        assert_eq!(
            Request::parse(&request(2, 512, b"")),
            Err(BadRequest::TooLarge)
        );
        assert_eq!(
            Request::parse(&request(1, 4, b"help")),
            Err(BadRequest::Version(1))
        );
        assert_eq!(
            Request::parse(&request(2, 8, b"help")),
            Err(BadRequest::Truncated)
        );
        assert_eq!(
            Request::parse(&request(2, 8, b"")[..6]),
            Err(BadRequest::Truncated)
        );
        let with_nul = request(2, 8, b"help\0xyz");
        assert_eq!(Request::parse(&with_nul), Ok(Request { command: b"help" }));
    }

    #[test]
    fn replies_are_cut_in_pieces() {
        let empty = replies(0, b"", false);
        assert_eq!(empty[0].encode(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        let long = replies(-22, &[b'a'; 600], true);
        let told: Vec<_> = long.iter().map(|p| (p.err, p.more, p.text.len())).collect();
        assert_eq!(told, [(-22, true, 511), (0, true, 89)]);
        for packet in long {
            assert_eq!(Packet::parse(&packet.encode()), Ok(packet));
        }
        assert_eq!(replies(1, &[b'a'; 511], false).len(), 1);
        assert_eq!(Packet::parse(&[0; 11]), Err(BadPacket));
        assert_eq!(Packet::parse(&[0xff; 600]), Err(BadPacket));
    }

    #[test]
    fn notifications_of_both_layouts() {
        let user = Notification {
            kind: NotificationKind::User,
            data: b"x\n".to_vec(),
        };
        let encoded = user.encode();
        assert_eq!(encoded.len(), 18);
        assert_eq!(Notification::parse(&encoded), Ok(user));
        let mut wide: Vec<u8> = 0xcafe_babe_u64.to_ne_bytes().to_vec();
        wide.extend([2u32, 2, 0, 0].iter().flat_map(|v| v.to_ne_bytes()));
        let hang = Notification {
            kind: NotificationKind::Hang,
            data: Vec::new(),
        };
        assert_eq!(Notification::parse(&wide), Ok(hang));
        assert_eq!(Notification::parse(&encoded[..17]), Err(BadPacket));
    }
}
