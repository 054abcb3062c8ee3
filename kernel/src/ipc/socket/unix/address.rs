//! Addresses of Unix sockets, and who is bound to them: file system objects by inode, abstract names by themselves.

use super::{Kind, UnixSocket};
use crate::error::{Result, err};
use crate::sync::{Lock, Rank};
use crate::vfs::Path;
use abi::errno::Errno;
use abi::net::AF_UNIX;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// Bytes of `sun_path`.
const NAME_MAX: usize = 108;

/// What a socket is bound to.
pub struct Address {
    /// `sun_path` as it is told: a path with its NUL, or a NUL and an abstract name.
    name: Vec<u8>,
    key: Key,
    /// Keeps a bound inode, so that its number isn't used again.
    _path: Option<Path>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Inode(u64, u64),
    Abstract(Kind, Vec<u8>),
}

static BOUND: Lock<BTreeMap<Key, Weak<UnixSocket>>> = Lock::new(Rank::LEAF, BTreeMap::new());
static NEXT_AUTO: AtomicU32 = AtomicU32::new(0);

/// An address argument.
pub enum Name {
    /// No name: the kernel chooses an abstract one.
    Auto,
    Path(Vec<u8>),
    /// With its leading NUL.
    Abstract(Vec<u8>),
}

impl Name {
    /// net/unix/af_unix.c:unix_validate_addr(). `auto`: an address of only a family is allowed. EINVAL.
    pub fn parse(addr: &[u8], auto: bool) -> Result<Name> {
        let Some((family, name)) = addr.split_at_checked(2) else {
            return err(Errno::EINVAL);
        };
        if family != AF_UNIX.to_ne_bytes() || name.len() > NAME_MAX {
            return err(Errno::EINVAL);
        }
        match name.first() {
            None if auto => Ok(Name::Auto),
            None => err(Errno::EINVAL),
            Some(0) => Ok(Name::Abstract(name.to_vec())),
            Some(_) => Ok(Name::Path(
                name.split(|b| *b == 0).next().unwrap_or(name).to_vec(),
            )),
        }
    }
}

impl Address {
    /// As `struct sockaddr_un`.
    pub fn sockaddr(&self) -> Vec<u8> {
        [&AF_UNIX.to_ne_bytes()[..], &self.name].concat()
    }

    /// The name for /proc/net/unix: `@` stands for NUL.
    pub fn display(&self) -> Vec<u8> {
        match self.name.split_first() {
            Some((0, rest)) => {
                let rest = rest.iter().map(|b| if *b == 0 { b'@' } else { *b });
                std::iter::once(b'@').chain(rest).collect()
            }
            _ => self.name.strip_suffix(&[0]).unwrap_or(&self.name).to_vec(),
        }
    }

    /// Binds `socket` to an abstract name. EADDRINUSE.
    pub fn bind_abstract(socket: &Arc<UnixSocket>, name: Vec<u8>) -> Result<Arc<Address>> {
        let key = Key::Abstract(socket.kind, name.clone());
        claim(&key, socket)?;
        Ok(Arc::new(Address {
            name,
            key,
            _path: None,
        }))
    }

    /// Binds `socket` to an abstract name of five hexadecimal digits that is free. ENOSPC.
    pub fn bind_auto(socket: &Arc<UnixSocket>) -> Result<Arc<Address>> {
        for _ in 0..1 << 20 {
            let number = NEXT_AUTO.fetch_add(1, Ordering::Relaxed) & 0xf_ffff;
            let name = format!("\0{number:05x}").into_bytes();
            if let Ok(address) = Address::bind_abstract(socket, name) {
                return Ok(address);
            }
        }
        err(Errno::ENOSPC)
    }

    /// Binds `socket` to the new socket inode at `path`, called `name`. EADDRINUSE.
    pub fn bind_path(socket: &Arc<UnixSocket>, name: &[u8], path: Path) -> Result<Arc<Address>> {
        let key = inode_key(&path)?;
        claim(&key, socket)?;
        Ok(Arc::new(Address {
            name: [name, &[0]].concat(),
            key,
            _path: Some(path),
        }))
    }

    /// Nobody finds the socket by this address any more.
    pub fn unbind(&self, socket: &UnixSocket) {
        let mut bound = BOUND.lock();
        if bound
            .get(&self.key)
            .is_some_and(|s| std::ptr::eq(s.as_ptr(), socket))
        {
            bound.remove(&self.key);
        }
    }
}

fn inode_key(path: &Path) -> Result<Key> {
    let meta = path.inode().metadata()?;
    Ok(Key::Inode(meta.dev, meta.ino))
}

fn claim(key: &Key, socket: &Arc<UnixSocket>) -> Result<()> {
    let mut bound = BOUND.lock();
    if bound.get(key).is_some_and(|s| s.strong_count() > 0) {
        return err(Errno::EADDRINUSE);
    }
    bound.insert(key.clone(), Arc::downgrade(socket));
    Ok(())
}

fn find(key: &Key) -> Option<Arc<UnixSocket>> {
    BOUND.lock().get(key).and_then(Weak::upgrade)
}

/// Who is bound to an abstract name.
pub fn find_abstract(kind: Kind, name: Vec<u8>) -> Option<Arc<UnixSocket>> {
    find(&Key::Abstract(kind, name))
}

/// Who is bound to the inode at `path`.
pub fn find_path(path: &Path) -> Result<Option<Arc<UnixSocket>>> {
    Ok(find(&inode_key(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &[u8], auto: bool) -> Result<Name> {
        Name::parse(&[&[1, 0], name].concat(), auto)
    }

    #[test]
    fn names() {
        assert!(matches!(parse(b"", true), Ok(Name::Auto)));
        assert!(parse(b"", false).is_err() && Name::parse(&[1], true).is_err());
        assert!(Name::parse(&[2, 0, b'a'], true).is_err());
        assert!(matches!(parse(b"/a\0b", false), Ok(Name::Path(p)) if p == b"/a"));
        assert!(matches!(parse(b"\0a\0", false), Ok(Name::Abstract(p)) if p == b"\0a\0"));
        assert!(parse(&[b'x'; 109], false).is_err());
        assert!(matches!(parse(&[b'x'; 108], false), Ok(Name::Path(p)) if p.len() == 108));
    }
}
