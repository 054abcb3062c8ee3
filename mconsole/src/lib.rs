//! User-Mode Linux's management console, both sides of it: the packets, where a machine's socket is, and a client.
//!
//! Knows no kernel. The server in `drivers` and the tools use it. The protocol is version 2 of arch/um/drivers/mconsole.h.
#![forbid(unsafe_code)]

mod client;
pub mod name;
mod packet;

pub use client::{Client, Failure, PATIENCE, Reply, plain};
pub use packet::{
    BadPacket, BadRequest, MAX_DATA, MAX_DATAGRAM, Notification, NotificationKind, Packet, Request,
    VERSION, VERSION_0_ANSWER, replies,
};
