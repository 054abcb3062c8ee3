//! A file system on its way to being mounted, or to being reconfigured: the descriptor of fsopen(2) and fspick(2), with
//! what fsconfig(2) has said so far and a log to read (fs/fs_context.c, fs/fsopen.c).

use super::mount::{self, Mount, Superblock};
use super::{File, FileOps, FsType, Sink};
use crate::error::{Result, err};
use crate::sync::{Lock, Mutex, Rank};
use abi::errno::Errno;
use abi::mount::MountFlags;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// Lines that the log keeps; older ones go.
const LOG_LINES: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    CreateParams,
    AwaitingMount,
    ReconfParams,
    Failed,
}

struct State {
    phase: Phase,
    source: Option<Vec<u8>>,
    /// Flags of the super block, and which were named.
    flags: MountFlags,
    named: MountFlags,
    /// The other parameters, as an option string.
    data: Vec<u8>,
    /// What was created or picked.
    superblock: Option<Arc<Superblock>>,
}

/// What the descriptor stands for.
pub struct MountContext {
    kind: FsType,
    state: Mutex<State>,
    log: Lock<VecDeque<String>>,
}

/// fs/fs_context.c: common_set_sb_flag[] and common_clear_sb_flag[].
const SUPER_FLAGS: &[(&[u8], MountFlags, bool)] = &[
    (b"dirsync", MountFlags::MS_DIRSYNC, true),
    (b"lazytime", MountFlags::MS_LAZYTIME, true),
    (b"mand", MountFlags::MS_MANDLOCK, true),
    (b"ro", MountFlags::MS_RDONLY, true),
    (b"sync", MountFlags::MS_SYNCHRONOUS, true),
    (b"async", MountFlags::MS_SYNCHRONOUS, false),
    (b"nolazytime", MountFlags::MS_LAZYTIME, false),
    (b"nomand", MountFlags::MS_MANDLOCK, false),
    (b"rw", MountFlags::MS_RDONLY, false),
];

impl MountContext {
    /// For a new file system.
    pub fn new(kind: FsType) -> MountContext {
        MountContext::in_phase(kind, None, Phase::CreateParams)
    }

    /// For one that is there.
    pub fn pick(kind: FsType, superblock: Arc<Superblock>) -> MountContext {
        MountContext::in_phase(kind, Some(superblock), Phase::ReconfParams)
    }

    fn in_phase(kind: FsType, superblock: Option<Arc<Superblock>>, phase: Phase) -> MountContext {
        MountContext {
            kind,
            state: Mutex::new(State {
                phase,
                source: None,
                flags: MountFlags::empty(),
                named: MountFlags::empty(),
                data: Vec::new(),
                superblock,
            }),
            log: Lock::new(Rank::LEAF, VecDeque::new()),
        }
    }

    /// Of an open file. EINVAL for others.
    pub fn of(file: &File) -> Result<&MountContext> {
        file.ops_as().ok_or_else(|| Errno::EINVAL.into())
    }

    fn complain<T>(&self, text: String) -> Result<T> {
        let mut log = self.log.lock();
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(format!("e {text}\n"));
        err(Errno::EINVAL)
    }

    /// A parameter, without a value for a flag. EBUSY out of turn, EINVAL.
    pub fn set(&self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::CreateParams | Phase::ReconfParams) {
            return err(Errno::EBUSY);
        }
        if let Some((_, flag, on)) = SUPER_FLAGS.iter().find(|(name, ..)| *name == key) {
            state.flags.set(*flag, *on);
            state.named |= *flag;
            return Ok(());
        }
        let name = self.kind.name;
        let shown = String::from_utf8_lossy(key);
        if key == b"source" {
            let Some(value) = value else {
                return self.complain("Non-string source".into());
            };
            if state.source.is_some() {
                return self.complain("Multiple sources".into());
            }
            state.source = Some(value.to_vec());
            return Ok(());
        }
        if !self.kind.parameters.knows(key) {
            return self.complain(format!("{name}: Unknown parameter '{shown}'"));
        }
        let mut option = key.to_vec();
        if let Some(value) = value {
            option.push(b'=');
            option.extend_from_slice(value);
        }
        if (self.kind.parameters.check)(&option).is_err() {
            return self.complain(format!("{name}: Bad value for '{shown}'"));
        }
        if !state.data.is_empty() {
            state.data.push(b',');
        }
        state.data.extend_from_slice(&option);
        Ok(())
    }

    /// A parameter of a kind that no file system here takes. EBUSY out of turn, EINVAL.
    pub fn refuse(&self, key: &[u8]) -> Result<()> {
        let phase = self.state.lock().phase;
        if !matches!(phase, Phase::CreateParams | Phase::ReconfParams) {
            return err(Errno::EBUSY);
        }
        let (name, key) = (self.kind.name, String::from_utf8_lossy(key));
        if self.kind.parameters.knows(key.as_bytes()) {
            self.complain(format!("{name}: Bad value for '{key}'"))
        } else {
            self.complain(format!("{name}: Unknown parameter '{key}'"))
        }
    }

    /// FSCONFIG_CMD_CREATE; `exclusive`: EBUSY when the file system exists already. The file system's errors.
    pub fn create(&self, exclusive: bool) -> Result<()> {
        let mut state = self.state.lock();
        if state.phase != Phase::CreateParams {
            return err(Errno::EBUSY);
        }
        state.phase = Phase::Failed;
        let source = state.source.as_deref().unwrap_or_default();
        if self.kind.needs_dev && source.is_empty() {
            return err(Errno::ENOENT);
        }
        let fs = (self.kind.construct)(source, &state.data, state.flags)?;
        let there = |s: &Arc<Superblock>| Arc::ptr_eq(&s.fs, &fs);
        if exclusive && mount::superblocks().iter().any(there) {
            return err(Errno::EBUSY);
        }
        let read_only = state.flags.contains(MountFlags::MS_RDONLY);
        state.superblock = Some(Superblock::of(fs, read_only));
        state.phase = Phase::AwaitingMount;
        Ok(())
    }

    /// FSCONFIG_CMD_RECONFIGURE. EBUSY out of turn, or when files are open for writing; the file system's errors.
    pub fn reconfigure(&self) -> Result<()> {
        let mut state = self.state.lock();
        let reconfigures = state.phase == Phase::ReconfParams;
        let Some(superblock) = state.superblock.clone().filter(|_| reconfigures) else {
            return err(Errno::EBUSY);
        };
        let mut read_only = superblock.read_only();
        if state.named.contains(MountFlags::MS_RDONLY) {
            read_only = state.flags.contains(MountFlags::MS_RDONLY);
        }
        let done = super::namespace::reconfigure(&superblock, &state.data, read_only);
        if done.is_err() {
            state.phase = Phase::Failed;
        }
        state.data.clear();
        (state.flags, state.named) = (MountFlags::empty(), MountFlags::empty());
        mount::changed();
        done
    }

    /// fsmount(2): a mount of what was created, with these flags. EINVAL when nothing was, EBUSY out of turn.
    pub fn mount(&self, flags: MountFlags) -> Result<Arc<Mount>> {
        let mut state = self.state.lock();
        let Some(superblock) = state.superblock.clone() else {
            return err(Errno::EINVAL);
        };
        if state.phase != Phase::AwaitingMount {
            return err(Errno::EBUSY);
        }
        state.phase = Phase::ReconfParams;
        state.data.clear();
        (state.flags, state.named) = (MountFlags::empty(), MountFlags::empty());
        let source = state.source.as_deref().unwrap_or(b"none");
        let source = String::from_utf8_lossy(source);
        let root = superblock.root.clone();
        Ok(Mount::new(superblock, root, flags, &source))
    }
}

impl FileOps for MountContext {
    /// A line of the log each time. ENODATA, EMSGSIZE.
    fn read(&self, _file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        let line = {
            let mut log = self.log.lock();
            let line = log.pop_front().ok_or(Errno::ENODATA)?;
            if line.len() > sink.remaining() {
                log.push_front(line);
                return err(Errno::EMSGSIZE);
            }
            line
        };
        sink.write(line.as_bytes())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
