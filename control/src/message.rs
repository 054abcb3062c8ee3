//! What is said, and how each message looks as bytes.

use crate::wire::{Malformed, Reader, Writer};

/// First bytes of a connection's first message.
const MAGIC: &[u8; 8] = b"umlautct";

/// Where bytes belong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Input,
    Output,
    Error,
}

/// Rows and columns of a window, and its pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
    pub width: u16,
    pub height: u16,
}

/// A program to run in the machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exec {
    /// The program's name, looked up in the machine, and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value`, added to what a login has.
    pub env: Vec<Vec<u8>>,
    /// None: root's home.
    pub directory: Option<Vec<u8>>,
    /// The size of the terminal to run it on; None: three pipes.
    pub terminal: Option<Size>,
}

/// Why a request came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It makes no sense to this machine.
    Request,
    /// It isn't allowed now, or to this client.
    Refused,
    /// There is no such program.
    NotFound,
    /// The program is there and can't be executed.
    NotExecutable,
    /// The machine ends.
    Ended,
}

/// Everything that is said on a control socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    Hello {
        version: u16,
    },
    /// Asks for [`Message::Facts`].
    Info,
    /// Asks for the kernel log, as lines in [`Message::Data`], then its end; with `follow` what comes later too.
    Log {
        follow: bool,
    },
    Exec(Exec),
    /// Asks to join a console; an empty name is /dev/console's.
    Console {
        name: String,
        size: Option<Size>,
    },
    Data {
        stream: Stream,
        bytes: Vec<u8>,
    },
    /// Nothing more comes from the sender in this stream, or goes into it.
    End {
        stream: Stream,
    },
    /// So many bytes of input have been used.
    Credit {
        bytes: u32,
    },
    Resize(Size),
    Signal {
        number: u8,
    },
    /// Names and values that describe the machine.
    Facts(Vec<(String, String)>),
    /// The program runs, or the console is joined; its process number or 0.
    Started {
        pid: u32,
    },
    /// The program ended, by a signal or with a status.
    Exited {
        signal: bool,
        value: u8,
    },
    Failed {
        why: Failure,
        text: String,
    },
}

impl Stream {
    fn number(self) -> u8 {
        match self {
            Stream::Input => 0,
            Stream::Output => 1,
            Stream::Error => 2,
        }
    }

    fn of(number: u8) -> Result<Stream, Malformed> {
        match number {
            0 => Ok(Stream::Input),
            1 => Ok(Stream::Output),
            2 => Ok(Stream::Error),
            _ => Err(Malformed("there is no such stream")),
        }
    }
}

impl Failure {
    const ALL: [Failure; 5] = [
        Failure::Request,
        Failure::Refused,
        Failure::NotFound,
        Failure::NotExecutable,
        Failure::Ended,
    ];

    fn number(self) -> u8 {
        self as u8
    }

    fn of(number: u8) -> Result<Failure, Malformed> {
        Failure::ALL
            .get(usize::from(number))
            .copied()
            .ok_or(Malformed("there is no such failure"))
    }
}

impl Size {
    fn put(self, w: &mut Writer<'_>) {
        [self.rows, self.columns, self.width, self.height]
            .into_iter()
            .for_each(|n| w.u16(n));
    }

    fn get(r: &mut Reader<'_>) -> Result<Size, Malformed> {
        Ok(Size {
            rows: r.u16()?,
            columns: r.u16()?,
            width: r.u16()?,
            height: r.u16()?,
        })
    }
}

fn put_option<T>(w: &mut Writer<'_>, value: Option<T>, put: impl FnOnce(T, &mut Writer<'_>)) {
    w.u8(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, w);
    }
}

fn get_option<T>(
    r: &mut Reader<'_>,
    get: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    if r.flag()? {
        get(r).map(Some)
    } else {
        Ok(None)
    }
}

impl Message {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Message::Hello { .. } => 1,
            Message::Info => 2,
            Message::Log { .. } => 3,
            Message::Exec(_) => 4,
            Message::Console { .. } => 5,
            Message::Data { .. } => 16,
            Message::End { .. } => 17,
            Message::Credit { .. } => 18,
            Message::Resize(_) => 19,
            Message::Signal { .. } => 20,
            Message::Facts(_) => 32,
            Message::Started { .. } => 33,
            Message::Exited { .. } => 34,
            Message::Failed { .. } => 35,
        }
    }

    pub(crate) fn put(&self, payload: &mut Vec<u8>) {
        let mut w = Writer(payload);
        match self {
            Message::Hello { version } => {
                w.0.extend(MAGIC);
                w.u16(*version);
            }
            Message::Info => {}
            Message::Log { follow } => w.u8(u8::from(*follow)),
            Message::Exec(exec) => {
                w.list(&exec.argv, |w, word| w.bytes(word));
                w.list(&exec.env, |w, word| w.bytes(word));
                put_option(&mut w, exec.directory.as_ref(), |dir, w| w.bytes(dir));
                put_option(&mut w, exec.terminal, Size::put);
            }
            Message::Console { name, size } => {
                w.bytes(name.as_bytes());
                put_option(&mut w, *size, Size::put);
            }
            Message::Data { stream, bytes } => {
                w.u8(stream.number());
                w.0.extend(bytes);
            }
            Message::End { stream } => w.u8(stream.number()),
            Message::Credit { bytes } => w.u32(*bytes),
            Message::Resize(size) => size.put(&mut w),
            Message::Signal { number } => w.u8(*number),
            Message::Facts(facts) => w.list(facts, |w, (name, value)| {
                w.bytes(name.as_bytes());
                w.bytes(value.as_bytes());
            }),
            Message::Started { pid } => w.u32(*pid),
            Message::Exited { signal, value } => {
                w.u8(u8::from(*signal));
                w.u8(*value);
            }
            Message::Failed { why, text } => {
                w.u8(why.number());
                w.bytes(text.as_bytes());
            }
        }
    }

    pub(crate) fn get(kind: u8, payload: &[u8]) -> Result<Message, Malformed> {
        let mut r = Reader(payload);
        let message = match kind {
            1 => {
                if r.0.get(..MAGIC.len()) != Some(MAGIC) {
                    return Err(Malformed("the greeting is not of this protocol"));
                }
                r.0 = &r.0[MAGIC.len()..];
                let version = r.u16()?;
                // Later versions may say more.
                r.rest();
                Message::Hello { version }
            }
            2 => Message::Info,
            3 => Message::Log { follow: r.flag()? },
            4 => Message::Exec(Exec {
                argv: r.list(|r| r.bytes())?,
                env: r.list(|r| r.bytes())?,
                directory: get_option(&mut r, |r| r.bytes())?,
                terminal: get_option(&mut r, Size::get)?,
            }),
            5 => Message::Console {
                name: r.text()?,
                size: get_option(&mut r, Size::get)?,
            },
            16 => Message::Data {
                stream: Stream::of(r.u8()?)?,
                bytes: r.rest().to_vec(),
            },
            17 => Message::End {
                stream: Stream::of(r.u8()?)?,
            },
            18 => Message::Credit { bytes: r.u32()? },
            19 => Message::Resize(Size::get(&mut r)?),
            20 => Message::Signal { number: r.u8()? },
            32 => Message::Facts(r.list(|r| Ok((r.text()?, r.text()?)))?),
            33 => Message::Started { pid: r.u32()? },
            34 => Message::Exited {
                signal: r.flag()?,
                value: r.u8()?,
            },
            35 => Message::Failed {
                why: Failure::of(r.u8()?)?,
                text: r.text()?,
            },
            _ => return Err(Malformed("there is no such message")),
        };
        r.end()?;
        Ok(message)
    }
}
