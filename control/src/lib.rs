//! The protocol of a machine's `control` socket, spoken between the kernel and the command `umlaut`. It knows neither.
//!
//! A connection (AF_UNIX, SOCK_STREAM) carries [`Message`]s, each in a frame: kind (1 byte), three zero bytes, length of
//! the payload (4 bytes, little endian), payload. Both sides begin with [`Message::Hello`]; then comes one request
//! ([`Info`](Message::Info), [`Log`](Message::Log), [`Exec`](Message::Exec), [`Console`](Message::Console)) and what
//! belongs to it. [`Failed`](Message::Failed) and [`Exited`](Message::Exited) are the last word of the machine.
//!
//! Flow. The machine reads everything at once, so signals and window sizes never wait behind data: a client may have
//! no more than [`WINDOW`] bytes of input under way, and gets room back by [`Credit`](Message::Credit). Output needs no
//! such thing: it waits in the guest while the socket is full.
#![forbid(unsafe_code)]

mod frame;
mod message;
mod wire;

pub use frame::{Decoder, HEADER, MAX_PAYLOAD};
pub use message::{Exec, Failure, Message, Size, Stream};
pub use wire::Malformed;

/// What this crate speaks. Another number is another language.
pub const VERSION: u16 = 1;
/// Bytes of input that may be under way or wait in the machine.
pub const WINDOW: usize = 64 << 10;
/// The socket's name in a machine's directory.
pub const SOCKET: &str = "control";
