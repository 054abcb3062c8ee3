//! hostfs: a directory tree of the host as a file system of the guest.
//!
//! The tree is confined ([`host::tree`]): no operation follows a symbolic link of the host, the guest's own path walk
//! interprets them. Inodes remember the name they were found under; descriptors are opened when needed and a bounded
//! number of them is kept. File content goes through the page cache.

mod fds;
mod inode;

use abi::errno::Errno;
use fds::FdCache;
use host::tree::Dir;
use inode::HostInode;
use kernel::fs::anonymous_dev;
use kernel::sync::{Lock, Rank};
use kernel::vfs::{FileSystem, Inode, StatFs};
use kernel::{Error, Result};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

/// Magic number of statfs(2).
const MAGIC: u64 = 0x00c0_ffee;

/// `hostfs=` on the command line: what every mount is confined to.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// Directory of the host that no mount leaves.
    pub root: PathBuf,
    /// Files are opened for appending, nothing is unlinked, sizes don't change.
    pub append: bool,
}

impl Default for Confinement {
    fn default() -> Confinement {
        Confinement {
            root: PathBuf::from("/"),
            append: false,
        }
    }
}

static CONFINEMENT: OnceLock<Confinement> = OnceLock::new();

/// Sets the confinement and makes the type mountable. Once, at boot.
pub fn init(confinement: Confinement) {
    assert!(
        CONFINEMENT.set(confinement).is_ok(),
        "hostfs is set up once"
    );
    let parameters = kernel::vfs::Parameters {
        names: &["hostfs"],
        check: |_| Ok(()),
    };
    kernel::vfs::register_with_parameters("hostfs", false, parameters, |_source, data, _flags| {
        Ok(HostFs::mount(data)?)
    });
}

/// A host error as the guest's.
fn guest(e: host::Errno) -> Error {
    Error::new(Errno::from_raw(e.raw_os_error()))
}

/// A mounted tree.
pub struct HostFs {
    dev: u64,
    options: String,
    append: bool,
    /// Mounts of the host's kernel (proc, sysfs ...) show as empty directories.
    hide_kernel: bool,
    fds: FdCache,
    /// Inodes in use by the host's device and number, so that hard links are one inode.
    inodes: Lock<HashMap<(u64, u64), Weak<HostInode>>>,
    root: OnceLock<Arc<HostInode>>,
}

impl HostFs {
    /// The host's whole tree as a machine's root: what the host's kernel tells of itself in /proc, /sys and their like
    /// stays hidden. EACCES, EPERM with a narrower confinement.
    pub fn host_tree() -> Result<Arc<HostFs>> {
        HostFs::open_at(b"", true)
    }

    /// Mounts the directory that `data` (the whole option string of mount(2)) names below the confinement root.
    /// ENOENT, ENOTDIR, EACCES; EPERM for `..`.
    pub fn mount(data: &[u8]) -> Result<Arc<HostFs>> {
        HostFs::open_at(data, false)
    }

    fn open_at(data: &[u8], hide_kernel: bool) -> Result<Arc<HostFs>> {
        let confinement = CONFINEMENT.get_or_init(Confinement::default);
        // As a parameter of fsconfig(2) it has a name.
        let data = data.strip_prefix(b"hostfs=").unwrap_or(data);
        let text = std::ffi::OsStr::from_bytes(data);
        let mut path = confinement.root.clone();
        for part in Path::new(text).components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::ParentDir => return Err(Errno::EPERM.into()),
                _ => {}
            }
        }
        // Links in the option are the user's own, but they must not lead out of the confinement.
        let real = std::fs::canonicalize(&path).map_err(io)?;
        let root = std::fs::canonicalize(&confinement.root).map_err(io)?;
        if !real.starts_with(&root) {
            return Err(Errno::EPERM.into());
        }
        let mut options = format!(
            ",{}",
            if data.is_empty() {
                "/".into()
            } else {
                text.to_string_lossy()
            }
        );
        if confinement.append {
            options += ",append";
        }
        HostFs::open(&real, options, confinement.append, hide_kernel)
    }

    fn open(path: &Path, options: String, append: bool, hide_kernel: bool) -> Result<Arc<HostFs>> {
        let dir = Dir::open_root(path).map_err(guest)?;
        let stat = dir.stat_self().map_err(guest)?;
        let fs = Arc::new(HostFs {
            dev: anonymous_dev(),
            options,
            append,
            hide_kernel,
            fds: FdCache::new(),
            inodes: Lock::new(Rank::INODE2, HashMap::new()),
            root: OnceLock::new(),
        });
        let root = HostInode::root(&fs, dir, &stat);
        fs.root.get_or_init(|| root);
        Ok(fs)
    }
}

fn io(e: std::io::Error) -> Error {
    Error::new(e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

impl FileSystem for HostFs {
    fn name(&self) -> &'static str {
        "hostfs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.get().expect("set when mounted").clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn statfs(&self) -> Result<StatFs> {
        let root = self.root.get().expect("set when mounted");
        let host = root.dir(self)?.statvfs().map_err(guest)?;
        Ok(StatFs {
            magic: MAGIC,
            bsize: host.f_bsize,
            blocks: host.f_blocks,
            bfree: host.f_bfree,
            bavail: host.f_bavail,
            files: host.f_files,
            ffree: host.f_ffree,
            namelen: 255,
            fsid: self.dev,
        })
    }

    fn show_options(&self) -> String {
        self.options.clone()
    }

    fn sync(&self) -> Result<()> {
        let inodes: Vec<_> = self
            .inodes
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        inodes.iter().try_for_each(|inode| inode.sync(false))
    }

    fn needs_revalidate(&self) -> bool {
        true
    }
}
