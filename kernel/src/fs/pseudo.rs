//! What procfs and sysfs are made of: directories, text files and links whose content is computed when asked for.
//!
//! A text is made when a reader is at its start and kept for that open file, so that a sequential reader sees one
//! state (fs/seq_file.c gives less than that).

use super::{DirFile, FIRST_POSITION, OfInode, apply_attr, new_metadata};
use crate::error::{Result, err};
use crate::sync::{Lock, PollTable, Rank, WaitQueue};
use crate::task::Task;
use crate::vfs::{
    DirEntry, DirSink, File, FileOps, FileSystem, Inode, InodeKind, Metadata, NewNode, Path,
    PollEvents, SetAttr, Sink, Source, StatFs, file_seek,
};
use abi::errno::Errno;
use abi::fs::{OpenFlags, SEEK_CUR, SEEK_SET};
use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Longest text that one write(2) to a pseudo file takes.
const WRITE_MAX: usize = 1 << 20;

/// Who owns a node.
pub type Owner = Arc<dyn Fn() -> (u32, u32) + Send + Sync>;

/// One name of a directory.
pub struct Name {
    pub name: Vec<u8>,
    pub kind: InodeKind,
}

impl Name {
    pub fn dir(name: impl Into<Vec<u8>>) -> Name {
        Name {
            name: name.into(),
            kind: InodeKind::Directory,
        }
    }

    pub fn file(name: impl Into<Vec<u8>>) -> Name {
        Name {
            name: name.into(),
            kind: InodeKind::Regular,
        }
    }

    pub fn link(name: impl Into<Vec<u8>>) -> Name {
        Name {
            name: name.into(),
            kind: InodeKind::Symlink,
        }
    }
}

/// A directory's content.
pub trait Directory: Send + Sync + 'static {
    /// ENOENT when the name isn't there.
    fn lookup(&self, name: &[u8]) -> Result<Node>;

    fn names(&self) -> Result<Vec<Name>>;

    /// What making a name that isn't there answers.
    fn no_create(&self) -> Errno {
        Errno::EPERM
    }

    /// The process that a directory of procfs stands for: pidfd_send_signal(2) takes such a descriptor.
    fn process(&self) -> Option<Arc<Task>> {
        None
    }

    /// Whether a name that was found before still means the same.
    fn still(&self, _name: &[u8]) -> bool {
        true
    }
}

/// Makes a text.
pub type Read = Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;
type Write = Box<dyn Fn(&[u8]) -> Result<()> + Send + Sync>;
type Open = Box<dyn Fn(OpenFlags) -> Result<Box<dyn FileOps>> + Send + Sync>;
type Opened = Box<dyn Fn() -> Result<Read> + Send + Sync>;
type Check = Box<dyn Fn(OpenFlags) -> Result<()> + Send + Sync>;
type Permission = Box<dyn Fn(u32) -> Option<Result<()>> + Send + Sync>;
type Size = Box<dyn Fn() -> Result<u64> + Send + Sync>;
type Follow = Box<dyn Fn() -> Result<Path> + Send + Sync>;

enum Body {
    Dir(Box<dyn Directory>),
    Text {
        read: Option<Read>,
        write: Option<Write>,
    },
    /// A text of what is there when it is opened.
    Opened(Opened),
    /// A file with operations of its own.
    Special(Open),
    Link {
        text: Read,
        magic: Option<Follow>,
    },
}

/// A node before it is an inode of a file system.
pub struct Node {
    body: Body,
    mode: u32,
    owner: Option<Owner>,
    sized: bool,
    changes: Option<Changes>,
    hooks: Hooks,
}

/// Who may do what, beyond the mode bits, and how large it looks.
#[derive(Default)]
struct Hooks {
    open: Option<Check>,
    permission: Option<Permission>,
    size: Option<Size>,
}

/// What tells that a text has changed: a count of the changes and who is told of them.
pub type Changes = fn() -> (u64, &'static WaitQueue);

impl Node {
    fn new(body: Body, mode: u32) -> Node {
        Node {
            body,
            mode,
            owner: None,
            sized: false,
            changes: None,
            hooks: Hooks::default(),
        }
    }

    pub fn dir(dir: impl Directory) -> Node {
        Node::new(Body::Dir(Box::new(dir)), 0o555)
    }

    /// A read-only text.
    pub fn text(read: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Node {
        Node::new(
            Body::Text {
                read: Some(Box::new(read)),
                write: None,
            },
            0o444,
        )
    }

    /// A text of what `open` finds when the file is opened.
    pub fn opened(open: impl Fn() -> Result<Read> + Send + Sync + 'static) -> Node {
        Node::new(Body::Opened(Box::new(open)), 0o444)
    }

    /// A text that never changes.
    pub fn fixed(text: impl Into<Vec<u8>>) -> Node {
        let text = text.into();
        Node::text(move || Ok(text.clone()))
    }

    /// A text that can be written: `write` gets the bytes of one write(2).
    pub fn setting(
        read: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static,
        write: impl Fn(&[u8]) -> Result<()> + Send + Sync + 'static,
    ) -> Node {
        let body = Body::Text {
            read: Some(Box::new(read)),
            write: Some(Box::new(write)),
        };
        Node::new(body, 0o644).sized(true)
    }

    /// A file that is only written.
    pub fn trigger(write: impl Fn(&[u8]) -> Result<()> + Send + Sync + 'static) -> Node {
        Node::new(
            Body::Text {
                read: None,
                write: Some(Box::new(write)),
            },
            0o200,
        )
    }

    /// A file with operations of its own.
    pub fn special(
        open: impl Fn(OpenFlags) -> Result<Box<dyn FileOps>> + Send + Sync + 'static,
    ) -> Node {
        Node::new(Body::Special(Box::new(open)), 0o444)
    }

    pub fn link(text: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Node {
        Node::new(
            Body::Link {
                text: Box::new(text),
                magic: None,
            },
            0o777,
        )
    }

    /// A link that leads to an object, whatever its text.
    pub fn magic(
        text: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static,
        follow: impl Fn() -> Result<Path> + Send + Sync + 'static,
    ) -> Node {
        let body = Body::Link {
            text: Box::new(text),
            magic: Some(Box::new(follow)),
        };
        Node::new(body, 0o777)
    }

    /// Permission bits other than the kind's usual ones.
    pub fn mode(mut self, mode: u32) -> Node {
        self.mode = mode;
        self
    }

    /// Whether lseek(2) may start from its end, which most texts of procfs don't have.
    pub fn sized(mut self, sized: bool) -> Node {
        self.sized = sized;
        self
    }

    /// Those who poll the text are told of its changes: POLLERR and POLLPRI (fs/proc_namespace.c:mounts_poll()).
    pub fn changing(mut self, changes: Changes) -> Node {
        self.changes = Some(changes);
        self
    }

    /// What open(2) asks besides the mode bits.
    pub fn checked(
        mut self,
        check: impl Fn(OpenFlags) -> Result<()> + Send + Sync + 'static,
    ) -> Node {
        self.hooks.open = Some(Box::new(check));
        self
    }

    /// What decides instead of the mode bits: see [`Inode::permission`].
    pub fn permitted(
        mut self,
        permission: impl Fn(u32) -> Option<Result<()>> + Send + Sync + 'static,
    ) -> Node {
        self.hooks.permission = Some(Box::new(permission));
        self
    }

    /// What stat(2) shows as its size.
    pub fn measured(mut self, size: impl Fn() -> Result<u64> + Send + Sync + 'static) -> Node {
        self.hooks.size = Some(Box::new(size));
        self
    }

    /// A directory that everybody may list.
    pub fn is_open_directory(&self) -> bool {
        matches!(self.body, Body::Dir(_)) && self.mode == 0o555
    }

    pub fn owned(mut self, owner: Owner) -> Node {
        self.owner = Some(owner);
        self
    }
}

/// A directory whose names are known when it is made.
pub struct Fixed(Vec<(&'static str, InodeKind, Box<dyn Fn() -> Node + Send + Sync>)>);

impl Fixed {
    pub fn new() -> Fixed {
        Fixed(Vec::new())
    }

    pub fn with_dir(
        mut self,
        name: &'static str,
        make: impl Fn() -> Node + Send + Sync + 'static,
    ) -> Fixed {
        self.0.push((name, InodeKind::Directory, Box::new(make)));
        self
    }

    pub fn with(
        mut self,
        name: &'static str,
        make: impl Fn() -> Node + Send + Sync + 'static,
    ) -> Fixed {
        self.0.push((name, InodeKind::Regular, Box::new(make)));
        self
    }

    pub fn with_link(
        mut self,
        name: &'static str,
        make: impl Fn() -> Node + Send + Sync + 'static,
    ) -> Fixed {
        self.0.push((name, InodeKind::Symlink, Box::new(make)));
        self
    }
}

impl Directory for Fixed {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        match self.0.iter().find(|(known, _, _)| known.as_bytes() == name) {
            Some((_, _, make)) => Ok(make()),
            None => err(Errno::ENOENT),
        }
    }

    fn names(&self) -> Result<Vec<Name>> {
        Ok(self
            .0
            .iter()
            .map(|(name, kind, _)| Name {
                name: (*name).into(),
                kind: *kind,
            })
            .collect())
    }
}

/// A mounted pseudo file system.
pub struct PseudoFs {
    name: &'static str,
    magic: u64,
    dev: u64,
    root: OnceLock<Arc<PseudoInode>>,
}

impl PseudoFs {
    pub fn new(name: &'static str, magic: u64, root: Node) -> Arc<PseudoFs> {
        let fs = Arc::new(PseudoFs {
            name,
            magic,
            dev: super::anonymous_dev(),
            root: OnceLock::new(),
        });
        let root = PseudoInode::new(fs.dev, 1, root);
        fs.root.get_or_init(|| root);
        fs
    }
}

impl FileSystem for PseudoFs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.get().expect("set when made").clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn statfs(&self) -> Result<StatFs> {
        Ok(StatFs {
            magic: self.magic,
            bsize: 4096,
            namelen: 255,
            ..StatFs::default()
        })
    }

    fn needs_revalidate(&self) -> bool {
        true
    }
}

/// An inode of a pseudo file system.
pub struct PseudoInode {
    body: Body,
    kind: InodeKind,
    owner: Option<Owner>,
    sized: bool,
    changes: Option<Changes>,
    hooks: Hooks,
    meta: Lock<Metadata>,
}

impl PseudoInode {
    /// The process that `inode` stands for, if it is /proc/<pid>.
    pub fn process(inode: &dyn Inode) -> Option<Arc<Task>> {
        match &inode.as_any().downcast_ref::<PseudoInode>()?.body {
            Body::Dir(directory) => directory.process(),
            _ => None,
        }
    }
}

/// The number of the child `name` of directory `parent`: the same as long as both are.
fn child_ino(parent: u64, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (parent, name).hash(&mut hasher);
    hasher.finish() >> 16 | 2
}

impl PseudoInode {
    fn new(dev: u64, ino: u64, node: Node) -> Arc<PseudoInode> {
        let kind = match &node.body {
            Body::Dir(_) => InodeKind::Directory,
            Body::Link { .. } => InodeKind::Symlink,
            Body::Text { .. } | Body::Opened(_) | Body::Special(_) => InodeKind::Regular,
        };
        let mut meta = new_metadata(dev, ino, kind.mode_bits() | node.mode, 0, 0, 0);
        meta.blksize = 1024;
        meta.btime = None;
        if kind == InodeKind::Directory {
            meta.nlink = 2;
        }
        Arc::new(PseudoInode {
            body: node.body,
            kind,
            owner: node.owner,
            sized: node.sized,
            changes: node.changes,
            hooks: node.hooks,
            meta: Lock::new(Rank::LEAF, meta),
        })
    }
}

impl Inode for PseudoInode {
    fn metadata(&self) -> Result<Metadata> {
        let mut meta = *self.meta.lock();
        if let Some(owner) = &self.owner {
            (meta.uid, meta.gid) = owner();
        }
        if let Some(size) = &self.hooks.size {
            meta.size = size()?;
        }
        Ok(meta)
    }

    fn kind(&self) -> InodeKind {
        self.kind
    }

    fn set_attr(&self, attr: &SetAttr) -> Result<()> {
        if attr.mode.is_some() || attr.uid.is_some() || attr.gid.is_some() {
            return err(Errno::EPERM);
        }
        apply_attr(&mut self.meta.lock(), attr);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let Body::Dir(dir) = &self.body else {
            return err(Errno::ENOTDIR);
        };
        let node = dir.lookup(name)?;
        let (dev, ino) = {
            let meta = self.meta.lock();
            (meta.dev, meta.ino)
        };
        Ok(PseudoInode::new(dev, child_ino(ino, name), node))
    }

    fn create(&self, _name: &[u8], _new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        match &self.body {
            Body::Dir(dir) => err(dir.no_create()),
            _ => err(Errno::ENOTDIR),
        }
    }

    fn revalidate(&self, name: &[u8], child: Option<&Arc<dyn Inode>>) -> bool {
        match &self.body {
            Body::Dir(dir) => child.is_some() && dir.still(name),
            _ => false,
        }
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        match &self.body {
            Body::Link { text, .. } => text(),
            _ => err(Errno::EINVAL),
        }
    }

    fn follow_magic(&self) -> Option<Result<Path>> {
        match &self.body {
            Body::Link {
                magic: Some(follow),
                ..
            } => Some(follow()),
            _ => None,
        }
    }

    fn read_dir(&self, offset: u64, sink: &mut DirSink<'_>) -> Result<()> {
        let Body::Dir(dir) = &self.body else {
            return err(Errno::ENOTDIR);
        };
        let ino = self.meta.lock().ino;
        let start = usize::try_from(offset.saturating_sub(FIRST_POSITION)).unwrap_or(usize::MAX);
        for (i, name) in dir.names()?.iter().enumerate().skip(start) {
            let entry = DirEntry {
                ino: child_ino(ino, &name.name),
                next: FIRST_POSITION + i as u64 + 1,
                kind: name.kind.dirent_type(),
                name: &name.name,
            };
            if !sink(entry) {
                break;
            }
        }
        Ok(())
    }

    fn open(self: Arc<Self>, flags: OpenFlags) -> Result<Box<dyn FileOps>> {
        if let Some(check) = &self.hooks.open {
            check(flags)?;
        }
        let read = match &self.body {
            Body::Dir(_) => return Ok(Box::new(DirFile(OfInode))),
            Body::Special(open) => return open(flags),
            Body::Link { .. } => return err(Errno::ELOOP),
            Body::Text { read, write } => {
                if flags.readable() && read.is_none() || flags.writable() && write.is_none() {
                    return err(Errno::EACCES);
                }
                None
            }
            Body::Opened(open) => Some(open()?),
        };
        let seen = self.changes.map_or(0, |changes| changes().0);
        Ok(Box::new(TextFile {
            inode: self,
            read,
            text: Lock::new(Rank::LEAF, None),
            seen: AtomicU64::new(seen),
        }))
    }

    fn permission(&self, mask: u32) -> Option<Result<()>> {
        self.hooks.permission.as_ref()?(mask)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open text.
struct TextFile {
    inode: Arc<PseudoInode>,
    /// The text's maker, if it was decided when the file was opened.
    read: Option<Read>,
    text: Lock<Option<Arc<Vec<u8>>>>,
    /// Changes that a poll has told of.
    seen: AtomicU64,
}

impl FileOps for TextFile {
    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, file: &File, offset: i64, whence: u32) -> Result<u64> {
        // fs/seq_file.c:seq_lseek() knows no end.
        let sequence = !self.inode.sized && file.path().mount.fs.name() == "proc";
        if sequence && !matches!(whence, SEEK_SET | SEEK_CUR) {
            return err(Errno::EINVAL);
        }
        file_seek(file, offset, whence)
    }

    fn read(&self, _file: &File, sink: &mut Sink<'_>, offset: &mut u64) -> Result<usize> {
        let read = match (&self.inode.body, &self.read) {
            (_, Some(read))
            | (
                Body::Text {
                    read: Some(read), ..
                },
                None,
            ) => read,
            _ => return err(Errno::EINVAL),
        };
        let kept = self.text.lock().clone();
        let text = match kept {
            Some(text) if *offset > 0 => text,
            _ => {
                let text = Arc::new(read()?);
                *self.text.lock() = Some(text.clone());
                text
            }
        };
        let start = usize::try_from(*offset)
            .unwrap_or(usize::MAX)
            .min(text.len());
        let done = sink.write(&text[start..])?;
        *offset += done as u64;
        Ok(done)
    }

    fn write(&self, _file: &File, source: &mut Source<'_>, offset: &mut u64) -> Result<usize> {
        let Body::Text {
            write: Some(write), ..
        } = &self.inode.body
        else {
            return err(Errno::EINVAL);
        };
        let len = source.remaining();
        if len > WRITE_MAX {
            return err(Errno::EINVAL);
        }
        let mut bytes = vec![0; len];
        source.read(&mut bytes)?;
        write(&bytes)?;
        *offset += len as u64;
        Ok(len)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        let Some(changes) = self.inode.changes else {
            return PollEvents::READABLE | PollEvents::WRITABLE;
        };
        let (now, queue) = changes();
        if let Some(table) = table {
            table.register(queue);
        }
        if self.seen.swap(now, Ordering::Relaxed) == now {
            PollEvents::READABLE
        } else {
            PollEvents::READABLE | PollEvents::ERR | PollEvents::PRI
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
