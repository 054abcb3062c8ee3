//! The server's side of the telnet protocol (RFC 854, 855, 857, 858, 856, 1073) as a state machine without I/O.
//!
//! We echo and want characters at once; we ask for the window's size; binary is granted either way. Everything else is refused. Commands of
//! the client's keyboard (interrupt, erase, ...) become the characters that a terminal starts with.

use host::terminal::Size;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const ERASE_LINE: u8 = 248;
const ERASE_CHARACTER: u8 = 247;
const ARE_YOU_THERE: u8 = 246;
const INTERRUPT: u8 = 244;
const BREAK: u8 = 243;
const SE: u8 = 240;
const ABORT: u8 = 238;
const SUSPEND: u8 = 237;
const END_OF_FILE: u8 = 236;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const WINDOW_SIZE: u8 = 31;

/// Bytes of a subnegotiation that are kept; longer ones mean nothing to us.
const SUBNEGOTIATION: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Data,
    /// Behind a carriage return: the line feed or NUL that belongs to it is dropped.
    Return,
    Command,
    Option(u8),
    Sub,
    SubCommand,
}

/// What the client has told beside its typing.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Told {
    pub size: Option<Size>,
    pub breaks: bool,
}

/// One session.
pub struct Telnet {
    state: State,
    sub: Vec<u8>,
    /// Options that are on, on our side and on the client's: a bit each of BINARY, ECHO, SGA, NAWS.
    ours: u8,
    theirs: u8,
    /// The last byte sent was a carriage return that stands alone so far.
    returned: bool,
}

fn bit(option: u8) -> u8 {
    match option {
        BINARY => 1,
        ECHO => 2,
        SUPPRESS_GO_AHEAD => 4,
        WINDOW_SIZE => 8,
        _ => 0,
    }
}

impl Telnet {
    /// A new session, and what is to be sent first.
    pub fn new() -> (Telnet, Vec<u8>) {
        let session = Telnet {
            state: State::Data,
            sub: Vec::new(),
            ours: bit(ECHO) | bit(SUPPRESS_GO_AHEAD),
            theirs: bit(WINDOW_SIZE) | bit(SUPPRESS_GO_AHEAD),
            returned: false,
        };
        let mut opening = Vec::new();
        for (verb, option) in [
            (WILL, ECHO),
            (WILL, SUPPRESS_GO_AHEAD),
            (DO, SUPPRESS_GO_AHEAD),
            (DO, WINDOW_SIZE),
        ] {
            opening.extend([IAC, verb, option]);
        }
        (session, opening)
    }

    /// Takes bytes from the client: typing goes to `data` (never more than came), answers to `replies`.
    pub fn receive(&mut self, bytes: &[u8], data: &mut Vec<u8>, replies: &mut Vec<u8>) -> Told {
        let mut told = Told::default();
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (State::Data | State::Return, IAC) => State::Command,
                (State::Return, b'\n' | 0) => State::Data,
                (State::Data | State::Return, b'\r') if self.theirs & bit(BINARY) == 0 => {
                    data.push(b'\r');
                    State::Return
                }
                (State::Data | State::Return, _) => {
                    data.push(byte);
                    State::Data
                }
                (State::Command, DO | DONT | WILL | WONT) => State::Option(byte),
                (State::Command, SB) => {
                    self.sub.clear();
                    State::Sub
                }
                (State::Command, _) => {
                    command(byte, data, replies, &mut told);
                    State::Data
                }
                (State::Option(verb), option) => {
                    self.negotiate(verb, option, replies);
                    State::Data
                }
                (State::Sub, IAC) => State::SubCommand,
                (State::Sub, _) => self.collect(byte),
                (State::SubCommand, IAC) => self.collect(IAC),
                (State::SubCommand, SE) => {
                    self.subnegotiated(&mut told);
                    State::Data
                }
                (State::SubCommand, _) => State::Data,
            };
        }
        told
    }

    fn collect(&mut self, byte: u8) -> State {
        if self.sub.len() < SUBNEGOTIATION {
            self.sub.push(byte);
        }
        State::Sub
    }

    fn subnegotiated(&mut self, told: &mut Told) {
        if let [WINDOW_SIZE, c1, c2, r1, r2] = self.sub[..] {
            told.size = Some(Size {
                rows: u16::from_be_bytes([r1, r2]),
                columns: u16::from_be_bytes([c1, c2]),
                width: 0,
                height: 0,
            });
        }
    }

    /// Only changes are answered, so no two sides can argue for ever (RFC 1143's rule in its simplest form).
    fn negotiate(&mut self, verb: u8, option: u8, replies: &mut Vec<u8>) {
        let mask = bit(option);
        let (side, granted, yes, no) = match verb {
            DO | DONT => (&mut self.ours, mask & 0b0111, WILL, WONT),
            _ => (&mut self.theirs, mask & 0b1101, DO, DONT),
        };
        let on = *side & mask != 0;
        match verb {
            DO | WILL if granted == 0 => replies.extend([IAC, no, option]),
            DO | WILL if !on => {
                *side |= mask;
                replies.extend([IAC, yes, option]);
            }
            DONT | WONT if on => {
                *side &= !mask;
                replies.extend([IAC, no, option]);
            }
            _ => {}
        }
    }

    /// Makes what goes to the client of the guest's output. A carriage return alone is told apart by a NUL.
    pub fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let binary = self.ours & bit(BINARY) != 0;
        for &byte in bytes {
            if std::mem::take(&mut self.returned) && byte != b'\n' {
                out.push(0);
            }
            out.push(byte);
            match byte {
                IAC => out.push(IAC),
                b'\r' => self.returned = !binary,
                _ => {}
            }
        }
    }
}

fn command(byte: u8, data: &mut Vec<u8>, replies: &mut Vec<u8>, told: &mut Told) {
    match byte {
        IAC => data.push(IAC),
        INTERRUPT => data.push(0x03),
        ERASE_CHARACTER => data.push(0x7f),
        ERASE_LINE => data.push(0x15),
        END_OF_FILE => data.push(0x04),
        SUSPEND => data.push(0x1a),
        ABORT => data.push(0x1c),
        BREAK => told.breaks = true,
        ARE_YOU_THERE => replies.extend(b"\r\n[Yes]\r\n"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(session: &mut Telnet, bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Told) {
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        // A byte at a time: the network cuts where it likes.
        let mut told = Told::default();
        for byte in bytes {
            let more = session.receive(&[*byte], &mut data, &mut replies);
            told.size = more.size.or(told.size);
            told.breaks |= more.breaks;
        }
        (data, replies, told)
    }

    #[test]
    fn typing_comes_through() {
        let (mut t, _) = Telnet::new();
        assert_eq!(hear(&mut t, b"a\r\0b\r\nc\nd\re").0, b"a\rb\rc\nd\re");
        assert_eq!(hear(&mut t, &[IAC, IAC, b'x']).0, [IAC, b'x']);
        let keys = [IAC, INTERRUPT, IAC, ERASE_CHARACTER, IAC, SUSPEND];
        assert_eq!(hear(&mut t, &keys).0, [3, 0x7f, 0x1a]);
    }

    #[test]
    fn options_are_answered_once() {
        let (mut t, opening) = Telnet::new();
        assert_eq!(opening.len(), 12);
        let agreed = [
            IAC,
            DO,
            ECHO,
            IAC,
            DO,
            SUPPRESS_GO_AHEAD,
            IAC,
            WILL,
            WINDOW_SIZE,
        ];
        assert_eq!(hear(&mut t, &agreed).1, b"");
        assert_eq!(hear(&mut t, &[IAC, WILL, 24]).1, [IAC, DONT, 24]);
        assert_eq!(hear(&mut t, &[IAC, DO, 5]).1, [IAC, WONT, 5]);
        assert_eq!(hear(&mut t, &[IAC, WONT, 24, IAC, DONT, 5]).1, b"");
        assert_eq!(hear(&mut t, &[IAC, DONT, ECHO]).1, [IAC, WONT, ECHO]);
        assert_eq!(hear(&mut t, &[IAC, DONT, ECHO]).1, b"");
        assert_eq!(hear(&mut t, &[IAC, DO, ECHO]).1, [IAC, WILL, ECHO]);
        // The client doesn't echo for us, and we have no window.
        assert_eq!(hear(&mut t, &[IAC, WILL, ECHO]).1, [IAC, DONT, ECHO]);
        assert_eq!(
            hear(&mut t, &[IAC, DO, WINDOW_SIZE]).1,
            [IAC, WONT, WINDOW_SIZE]
        );
    }

    #[test]
    fn the_window_is_told() {
        let (mut t, _) = Telnet::new();
        let size = [IAC, SB, WINDOW_SIZE, 0, 132, 1, IAC, IAC, IAC, SE, b'x'];
        let (data, _, told) = hear(&mut t, &size);
        let size = told.size.unwrap();
        assert_eq!((size.columns, size.rows), (132, 0x1ff));
        assert_eq!(data, b"x");
    }

    #[test]
    fn endless_subnegotiations_are_not_kept() {
        let (mut t, _) = Telnet::new();
        let mut bytes = vec![IAC, SB];
        bytes.resize(1 << 16, WINDOW_SIZE);
        bytes.extend([IAC, SE, b'x']);
        let (data, _, told) = hear(&mut t, &bytes);
        assert!(t.sub.len() <= SUBNEGOTIATION);
        assert_eq!((data, told), (b"x".to_vec(), Told::default()));
    }

    #[test]
    fn output_is_escaped() {
        let (mut t, _) = Telnet::new();
        let mut out = Vec::new();
        t.send(b"a\r\nb\rc\xff\r", &mut out);
        t.send(b"\r\n", &mut out);
        assert_eq!(out, b"a\r\nb\r\0c\xff\xff\r\0\r\n");
        hear(&mut t, &[IAC, DO, BINARY, IAC, WILL, BINARY]);
        out.clear();
        t.send(b"\rx", &mut out);
        assert_eq!(out, b"\rx");
        assert_eq!(hear(&mut t, b"\r\n\r\0").0, b"\r\n\r\0");
    }
}
