//! The files of /proc/<pid> that show its memory.
//!
//! Who may look is decided when a file is opened, and what it shows is the program that ran then: a descriptor from before
//! an execve shows nothing of the new program (fs/proc/base.c:proc_mem_open()).

use super::task::{alive, owner};
use super::{current, may_look};
use crate::error::{Result, err};
use crate::fs::pseudo::{Directory, Name, Node, Read};
use crate::mm::{Mm, MmRef};
use crate::task::Task;
use crate::vfs::{self, File, FileOps, PollEvents, Sink, Source};
use abi::cap;
use abi::errno::Errno;
use abi::fs::{SEEK_CUR, SEEK_SET};
use std::any::Any;
use std::sync::{Arc, Weak};

const PAGE: u64 = platform::PAGE_SIZE;
/// End of the addresses that Linux gives programs: TASK_SIZE.
const ADDRESSES: u64 = 0x7fff_ffff_f000;

/// The memory of a task that may be looked into; None when it has none (any more). ESRCH, EACCES.
fn open(task: &Weak<Task>) -> Result<Option<Arc<Mm>>> {
    let task = alive(task)?;
    let Some(mm) = task.mm() else {
        return Ok(None);
    };
    may_look(&task)?;
    Ok(Some(mm))
}

/// As [`open`]; a task without memory is ESRCH.
fn open_some(task: &Weak<Task>) -> Result<Arc<Mm>> {
    Ok(open(task)?.ok_or(Errno::ESRCH)?)
}

type AreaText = fn(&Mm, fn(&File) -> Vec<u8>) -> Vec<u8>;

/// maps and smaps: empty when the memory has gone, ESRCH when the task has.
pub(super) fn areas(task: Weak<Task>, text: AreaText) -> Node {
    Node::opened(move || {
        let (mm, task) = (open(&task)?.map(|mm| mm.reference()), task.clone());
        Ok(Box::new(move || {
            alive(&task)?;
            let mm = mm.as_ref().and_then(MmRef::get);
            Ok(mm.map_or_else(Vec::new, |mm| text(&mm, file_name)))
        }) as Read)
    })
}

pub(super) fn smaps_rollup(task: Weak<Task>) -> Node {
    Node::opened(move || {
        let mm = open_some(&task)?.reference();
        Ok(Box::new(move || Ok(mm.get().ok_or(Errno::ESRCH)?.smaps_rollup())) as Read)
    })
}

pub(super) fn environ(task: Weak<Task>) -> Node {
    let node = Node::opened(move || {
        let mm = open_some(&task)?.reference();
        Ok(Box::new(move || {
            Ok(mm.get().map_or_else(Vec::new, |mm| {
                let layout = mm.layout();
                text(&mm, layout.env_start, layout.env_end)
            }))
        }) as Read)
    });
    node.mode(0o400).sized(true)
}

/// The vector is kept as long as the file is open.
pub(super) fn auxv(task: Weak<Task>) -> Node {
    let node = Node::opened(move || {
        let auxv = open_some(&task)?.auxv();
        let words = auxv.iter().flat_map(|(key, value)| [*key, *value]);
        let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        Ok(Box::new(move || Ok(bytes.clone())) as Read)
    });
    node.mode(0o400).sized(true)
}

/// The path of a mapped file as the reader sees it.
fn file_name(file: &File) -> Vec<u8> {
    match current() {
        Ok(reader) => vfs::path_string(file.path(), &reader.fs().root()),
        Err(_) => Vec::new(),
    }
}

/// Guest memory `[start, end)`, as far as it can be read, at most 1 MiB.
fn text(mm: &Mm, start: u64, end: u64) -> Vec<u8> {
    let len = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    let mut bytes = vec![0; len.min(1 << 20)];
    let got = mm.read(start, &mut bytes);
    bytes.truncate(got);
    bytes
}

/// The arguments. A program that has overwritten their end with a longer title shows it: fs/proc/base.c:get_mm_cmdline().
pub(super) fn cmdline(task: &Arc<Task>) -> Result<Vec<u8>> {
    let Some(mm) = task.mm() else {
        return Ok(Vec::new());
    };
    let layout = mm.layout();
    let mut bytes = text(&mm, layout.arg_start, layout.arg_end);
    if bytes.last().is_some_and(|last| *last != 0) {
        bytes.extend(text(&mm, layout.env_start, layout.env_end));
        let nul = bytes.iter().position(|b| *b == 0);
        bytes.truncate(nul.map_or(bytes.len(), |at| at + 1));
    }
    Ok(bytes)
}

pub(super) fn mem(task: Weak<Task>) -> Node {
    let node = Node::special(move |_flags| {
        let mm = open_some(&task)?.reference();
        Ok(Box::new(MemFile(mm)) as Box<dyn FileOps>)
    });
    node.mode(0o600)
}

pub(super) fn pagemap(task: Weak<Task>) -> Node {
    let node = Node::special(move |_flags| {
        let mm = open_some(&task)?.reference();
        Ok(Box::new(PageMapFile(mm)) as Box<dyn FileOps>)
    });
    node.mode(0o400)
}

/// fs/proc/task_mmu.c:clear_refs_write(). What is cleared can't be seen: pages have neither an age (Referenced) nor
/// soft-dirty bits here, and the peak of the resident size is the size.
pub(super) fn clear_refs(task: Weak<Task>) -> Node {
    let write = move |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
        let kind: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        if !(1..=5).contains(&kind) {
            return err(Errno::EINVAL);
        }
        alive(&task).map(drop)
    };
    Node::setting(|| err(Errno::EINVAL), write).mode(0o200)
}

/// fs/proc/base.c:mem_lseek(): memory has no end.
fn seek(file: &File, offset: i64, whence: u32) -> Result<u64> {
    match whence {
        SEEK_SET | SEEK_CUR => vfs::file_seek(file, offset, whence),
        _ => err(Errno::EINVAL),
    }
}

/// /proc/pid/mem: positions are addresses.
struct MemFile(MmRef);

impl FileOps for MemFile {
    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, file: &File, offset: i64, whence: u32) -> Result<u64> {
        seek(file, offset, whence)
    }

    fn read(&self, _file: &File, sink: &mut Sink<'_>, offset: &mut u64) -> Result<usize> {
        let Some(mm) = self.0.get() else {
            return Ok(0);
        };
        let mut buf = vec![0; sink.remaining().min(64 << 10)];
        let got = mm.read(*offset, &mut buf);
        if got == 0 && !buf.is_empty() {
            return err(Errno::EIO);
        }
        let done = sink.write(&buf[..got])?;
        *offset += done as u64;
        Ok(done)
    }

    fn write(&self, _file: &File, source: &mut Source<'_>, offset: &mut u64) -> Result<usize> {
        let Some(mm) = self.0.get() else {
            return Ok(0);
        };
        let mut buf = vec![0; source.remaining().min(64 << 10)];
        let got = source.read(&mut buf)?;
        let done = mm.write(*offset, &buf[..got]);
        if done == 0 && got > 0 {
            return err(Errno::EIO);
        }
        *offset += done as u64;
        Ok(done)
    }

    fn poll(&self, _file: &File, _table: Option<&mut crate::sync::PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// /proc/pid/pagemap: a word for each page of the addresses.
struct PageMapFile(MmRef);

impl FileOps for PageMapFile {
    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, file: &File, offset: i64, whence: u32) -> Result<u64> {
        seek(file, offset, whence)
    }

    fn read(&self, _file: &File, sink: &mut Sink<'_>, offset: &mut u64) -> Result<usize> {
        const WORD: u64 = 8;
        let wanted = sink.remaining().min(64 << 10) as u64;
        let Some(mm) = self.0.get() else {
            return Ok(0);
        };
        if !offset.is_multiple_of(WORD) || !wanted.is_multiple_of(WORD) {
            return err(Errno::EINVAL);
        }
        let first = *offset / WORD;
        let pages = (wanted / WORD).min((ADDRESSES / PAGE).saturating_sub(first));
        let words = mm.pagemap(first * PAGE, pages as usize);
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        let done = sink.write(&bytes)?;
        *offset += done as u64;
        Ok(done)
    }

    fn poll(&self, _file: &File, _table: Option<&mut crate::sync::PollTable>) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// map_files: the mapped files by the addresses of their areas.
pub(super) fn map_files(task: Weak<Task>) -> Node {
    Node::dir(MapFiles { task }).mode(0o500)
}

struct MapFiles {
    task: Weak<Task>,
}

/// `<start>-<end>` in hexadecimal digits without zeroes ahead: fs/proc/base.c:dname_to_vma_addr().
fn range(name: &[u8]) -> Option<(u64, u64)> {
    let number = |text: &str| -> Option<u64> {
        let plain = text.bytes().all(|b| b.is_ascii_hexdigit());
        if !plain || text.len() > 16 || text.len() > 1 && text.starts_with('0') {
            return None;
        }
        u64::from_str_radix(text, 16).ok()
    };
    let (start, end) = std::str::from_utf8(name).ok()?.split_once('-')?;
    Some((number(start)?, number(end)?))
}

/// The file of the area with just this range. ENOENT.
fn mapped_file(task: &Weak<Task>, (start, end): (u64, u64)) -> Result<Arc<File>> {
    let mm = alive(task)?.mm().ok_or(Errno::ENOENT)?;
    let areas = mm.areas();
    let area = areas.iter().find(|v| v.start == start && v.end == end);
    Ok(area.and_then(|v| v.file()).ok_or(Errno::ENOENT)?.clone())
}

impl Directory for MapFiles {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        let task = alive(&self.task)?;
        may_look(&task)?;
        let range = range(name).ok_or(Errno::ENOENT)?;
        let file = mapped_file(&self.task, range)?;
        let (text, follow) = (self.task.clone(), self.task.clone());
        let node = Node::magic(
            move || {
                may_look(&*alive(&text)?)?;
                Ok(file_name(&*mapped_file(&text, range)?))
            },
            move || {
                let caller = current()?;
                let may = [cap::CAP_SYS_ADMIN, cap::CAP_CHECKPOINT_RESTORE];
                if !may.iter().any(|cap| caller.capable(*cap)) {
                    return err(Errno::EPERM);
                }
                may_look(&*alive(&follow)?)?;
                Ok(mapped_file(&follow, range)?.path().clone())
            },
        );
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let mode = bit(file.readable(), 0o400) | bit(file.writable(), 0o200);
        Ok(node.mode(mode).owned(owner(&task, false)))
    }

    fn names(&self) -> Result<Vec<Name>> {
        let task = alive(&self.task).map_err(|_| Errno::ENOENT)?;
        may_look(&task)?;
        let areas = task.mm().map_or_else(Vec::new, |mm| mm.areas());
        let named = areas.iter().filter(|v| v.file().is_some());
        Ok(named
            .map(|v| Name::link(format!("{:x}-{:x}", v.start, v.end)))
            .collect())
    }

    fn no_create(&self) -> Errno {
        Errno::ENOENT
    }

    /// The same addresses may be another file by now.
    fn still(&self, _name: &[u8]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_written_in_one_way() {
        assert_eq!(range(b"400000-401000"), Some((0x400000, 0x401000)));
        assert_eq!(range(b"0-1000"), Some((0, 0x1000)));
        for bad in [
            "0400000-401000",
            "+1-2",
            "1-",
            "1",
            "1-2-3",
            "11111111111111111-2",
        ] {
            assert_eq!(range(bad.as_bytes()), None, "{bad}");
        }
    }
}
