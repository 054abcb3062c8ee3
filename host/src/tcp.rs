//! TCP ports that the machine listens on.

use crate::descriptor::{Descriptor, Kind};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Ipv4Addr, SocketAddrV4, SocketFlags, SocketType, accept_with, bind, listen,
    socket_with, sockopt,
};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Clients that the host keeps while we are busy.
const BACKLOG: i32 = 8;

/// A port that is listened on, nonblocking.
pub struct Listener {
    pub fd: Arc<OwnedFd>,
}

impl Listener {
    /// On all addresses of the host. EADDRINUSE, EACCES.
    pub fn bind(port: u16) -> io::Result<Listener> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        bind(&fd, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
        listen(&fd, BACKLOG)?;
        Ok(Listener { fd: Arc::new(fd) })
    }

    /// The next client. `Ok(None)`: none now.
    pub fn accept(&self) -> io::Result<Option<Descriptor>> {
        match accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(fd) => {
                // Typing is single bytes; a client that vanished must not keep a device for ever.
                sockopt::set_tcp_nodelay(&fd, true)?;
                sockopt::set_socket_keepalive(&fd, true)?;
                Ok(Some(Descriptor {
                    fd: Arc::new(fd),
                    kind: Kind::Socket,
                }))
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
