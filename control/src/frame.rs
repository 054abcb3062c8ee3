//! Messages in a stream of bytes.

use crate::message::Message;
use crate::wire::Malformed;

/// Bytes in front of a payload.
pub const HEADER: usize = 8;
/// Longest payload, bytes: an [`Exec`](crate::Exec) with as many arguments as fit.
pub const MAX_PAYLOAD: usize = 256 << 10;

impl Message {
    /// The message in its frame. A payload beyond [`MAX_PAYLOAD`] is refused by the other side.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = vec![0; HEADER];
        self.put(&mut frame);
        frame[0] = self.kind();
        let len = (frame.len() - HEADER) as u32;
        frame[4..HEADER].copy_from_slice(&len.to_le_bytes());
        frame
    }
}

/// Collects bytes as they come and gives messages. After an error nothing more can be made of the stream.
#[derive(Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of messages that have not come whole.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The next whole message.
    ///
    /// # Errors
    /// The bytes are none of this protocol.
    pub fn next_message(&mut self) -> Result<Option<Message>, Malformed> {
        let rest = &self.bytes[self.start..];
        let Some((header, rest)) = rest.split_at_checked(HEADER) else {
            return Ok(None);
        };
        if header[1..4] != [0; 3] {
            return Err(Malformed("a frame's header is not of this protocol"));
        }
        let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if len > MAX_PAYLOAD {
            return Err(Malformed("a message is too long"));
        }
        let Some(payload) = rest.get(..len) else {
            return Ok(None);
        };
        let message = Message::get(header[0], payload)?;
        self.start += HEADER + len;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exec, Failure, Size, Stream};

    fn examples() -> Vec<Message> {
        let size = Size {
            rows: 24,
            columns: 80,
            width: 0,
            height: 65535,
        };
        vec![
            Message::Hello { version: 7 },
            Message::Info,
            Message::Log { follow: true },
            Message::Exec(Exec::default()),
            Message::Exec(Exec {
                argv: vec![b"sh".to_vec(), b"\xff".to_vec(), Vec::new()],
                env: vec![b"A=b".to_vec()],
                directory: Some(b"/tmp".to_vec()),
                terminal: Some(size),
            }),
            Message::Console {
                name: "tty1".into(),
                size: None,
            },
            Message::Data {
                stream: Stream::Error,
                bytes: vec![0; 70_000],
            },
            Message::Data {
                stream: Stream::Input,
                bytes: Vec::new(),
            },
            Message::End {
                stream: Stream::Output,
            },
            Message::Credit { bytes: u32::MAX },
            Message::Resize(size),
            Message::Signal { number: 15 },
            Message::Facts(vec![
                ("umid".into(), "a".into()),
                (String::new(), "ü".into()),
            ]),
            Message::Started { pid: 300 },
            Message::Exited {
                signal: true,
                value: 9,
            },
            Message::Failed {
                why: Failure::Ended,
                text: "the machine ended".into(),
            },
        ]
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let all: Vec<u8> = examples().iter().flat_map(Message::frame).collect();
        for step in [1, 7, 4096, all.len()] {
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for piece in all.chunks(step) {
                decoder.feed(piece);
                while let Some(message) = decoder.next_message().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(got, examples(), "in pieces of {step}");
            assert_eq!(decoder.pending(), 0);
        }
    }

    #[test]
    fn a_message_cut_short_or_with_bytes_too_many_is_refused() {
        for message in examples() {
            let frame = message.frame();
            let payload = &frame[HEADER..];
            let open_ended = matches!(message, Message::Data { .. } | Message::Hello { .. });
            if let Some(shorter) = payload.len().checked_sub(1)
                && !matches!(message, Message::Data { .. })
            {
                assert!(Message::get(frame[0], &payload[..shorter]).is_err());
            }
            if !open_ended {
                let longer = [payload, &[0]].concat();
                assert!(Message::get(frame[0], &longer).is_err(), "{message:?}");
            }
        }
    }

    fn refused(bytes: &[u8]) -> &'static str {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        decoder.next_message().unwrap_err().0
    }

    #[test]
    fn what_is_not_the_protocol_is_refused_at_once() {
        assert_eq!(
            refused(b"GET / HTTP/1.1\r\n"),
            "a frame's header is not of this protocol"
        );
        let mut long = vec![2, 0, 0, 0];
        long.extend((MAX_PAYLOAD as u32 + 1).to_le_bytes());
        assert_eq!(refused(&long), "a message is too long");
        let mut list = vec![4, 0, 0, 0, 4, 0, 0, 0];
        list.extend(u32::MAX.to_le_bytes());
        assert_eq!(refused(&list), "a list is longer than its message");
        assert_eq!(
            refused(&[99, 0, 0, 0, 0, 0, 0, 0]),
            "there is no such message"
        );
        assert_eq!(
            refused(&[1, 0, 0, 0, 2, 0, 0, 0, 1, 0]),
            "the greeting is not of this protocol"
        );
    }
}
