//! What the machine calls itself: uname(2), /proc/sys/kernel.

use crate::sync::{Lock, Rank};
use abi::errno::Errno;
use abi::task::Utsname;

/// The Linux whose behaviour this is, and our mark.
pub const RELEASE: &str = "6.18.0-umlaut";
pub const SYSNAME: &str = "Linux";
pub const VERSION: &str = concat!("#1 SMP Umlaut ", env!("CARGO_PKG_VERSION"));
pub const MACHINE: &str = "x86_64";

/// Longest host or domain name: __NEW_UTS_LEN.
pub const NAME_MAX: usize = 64;

struct Names {
    host: Vec<u8>,
    domain: Vec<u8>,
}

static NAMES: Lock<Option<Names>> = Lock::new(Rank::LEAF, None);

fn with<R>(f: impl FnOnce(&mut Names) -> R) -> R {
    let mut names = NAMES.lock();
    f(names.get_or_insert_with(|| Names {
        host: b"(none)".to_vec(),
        domain: b"(none)".to_vec(),
    }))
}

pub fn hostname() -> Vec<u8> {
    with(|names| names.host.clone())
}

pub fn domainname() -> Vec<u8> {
    with(|names| names.domain.clone())
}

/// EINVAL when longer than [`NAME_MAX`].
pub fn set_hostname(name: &[u8]) -> Result<(), Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    with(|names| names.host = name.to_vec());
    Ok(())
}

/// EINVAL when longer than [`NAME_MAX`].
pub fn set_domainname(name: &[u8]) -> Result<(), Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::EINVAL);
    }
    with(|names| names.domain = name.to_vec());
    Ok(())
}

/// All of it as uname(2) tells it.
pub fn utsname() -> Utsname {
    let field = |text: &[u8]| {
        let mut out = [0; NAME_MAX + 1];
        let len = text.len().min(NAME_MAX);
        out[..len].copy_from_slice(&text[..len]);
        out
    };
    Utsname {
        sysname: field(SYSNAME.as_bytes()),
        nodename: field(&hostname()),
        release: field(RELEASE.as_bytes()),
        version: field(VERSION.as_bytes()),
        machine: field(MACHINE.as_bytes()),
        domainname: field(&domainname()),
    }
}
