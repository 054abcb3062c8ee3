//! What /proc shows of an address space, and the names of futexes.

use super::Mm;
use super::exec::Layout;
use super::pagecache::PAGE;
use super::vma::{Backing, VmFlags, Vma};
use crate::error::{Result, err};
use crate::vfs::File;
use abi::errno::Errno;
use std::sync::Arc;

/// Sizes for /proc/pid/statm and status, in pages.
#[derive(Clone, Copy, Default, Debug)]
pub struct MemoryCounts {
    pub total: u64,
    pub peak: u64,
    pub locked: u64,
    pub data: u64,
    pub stack: u64,
    pub exec: u64,
    /// Areas of the program's own code.
    pub text: u64,
    pub resident_anon: u64,
    pub resident_file: u64,
    pub resident_shared: u64,
    pub areas: u64,
}

/// What a futex word is known by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FutexKey {
    /// In memory of one address space: its id and the address.
    Private { mm: u64, addr: u64 },
    /// In a mapping: its id and the offset in bytes.
    Shared { mapping: u64, offset: u64 },
}

impl super::Inner {
    pub(super) fn known_areas(&self) -> Vec<Vma> {
        let known = |vma: &&Vma| !vma.flags.contains(VmFlags::HIDDEN);
        self.vmas.iter().filter(known).cloned().collect()
    }
}

impl Mm {
    pub fn layout(&self) -> Layout {
        self.inner.lock().layout
    }

    /// prctl(PR_SET_MM).
    pub fn set_layout(&self, layout: Layout) {
        self.inner.lock().layout = layout;
    }

    /// The program (/proc/pid/exe).
    pub fn exe(&self) -> Option<Arc<File>> {
        self.inner.lock().exe.clone()
    }

    pub fn set_exe(&self, exe: Arc<File>) {
        let old = self.inner.lock().exe.replace(exe);
        drop(old);
    }

    /// The auxiliary vector.
    pub fn auxv(&self) -> Vec<(u64, u64)> {
        self.inner.lock().auxv.clone()
    }

    /// Puts `words` in place of the vector's first ones; it ends with the first key of 0.
    pub fn set_auxv(&self, words: &[u64]) {
        let mut inner = self.inner.lock();
        let mut all: Vec<u64> = inner.auxv.iter().flat_map(|(k, v)| [*k, *v]).collect();
        all.resize(all.len().max(words.len()).next_multiple_of(2), 0);
        all[..words.len()].copy_from_slice(words);
        let (pairs, _) = all.as_chunks();
        let end = pairs.iter().position(|[key, _]| *key == 0);
        let kept = end.map_or(pairs.len(), |at| at + 1);
        inner.auxv = pairs[..kept]
            .iter()
            .map(|[key, value]| (*key, *value))
            .collect();
    }

    /// The key of the futex word at `addr`; `private`: FUTEX_PRIVATE_FLAG. EFAULT when nothing is mapped there.
    pub fn futex_key(&self, addr: u64, private: bool) -> Result<FutexKey> {
        let here = FutexKey::Private { mm: self.id, addr };
        if private {
            return Ok(here);
        }
        let inner = self.inner.lock();
        let Some(vma) = inner.vmas.find(addr) else {
            return err(Errno::EFAULT);
        };
        // An anonymous page that is only read will never change (get_futex_key()).
        let dead = vma.mapping().is_none() && !vma.flags.contains(VmFlags::WRITE);
        if dead || !vma.flags.intersects(VmFlags::READ | VmFlags::WRITE) {
            return err(Errno::EFAULT);
        }
        Ok(match vma.mapping() {
            Some((mapping, offset)) if vma.flags.contains(VmFlags::MAYSHARE) => FutexKey::Shared {
                mapping: mapping.id(),
                offset: addr - vma.start + offset,
            },
            _ => here,
        })
    }

    /// Copies of all areas that the program may know of, by address.
    pub fn areas(&self) -> Vec<Vma> {
        self.inner.lock().known_areas()
    }

    /// Pages of files mapped on the host: what is known of the resident size without asking the host.
    pub fn mapped_pages(&self) -> u64 {
        self.inner.lock().mapped.count()
    }

    pub fn memory_counts(&self) -> MemoryCounts {
        let resident_anon = self.address_space().resident_bytes() / PAGE;
        let inner = self.inner.lock();
        let counts = inner.vmas.counts();
        let mut shared = 0;
        for vma in inner
            .vmas
            .iter()
            .filter(|v| v.flags.contains(VmFlags::MAYSHARE))
        {
            if vma.file().is_none() {
                shared += inner.mapped.count_in(vma.pages());
            }
        }
        let layout = &inner.layout;
        let text =
            (layout.end_code.next_multiple_of(PAGE) - layout.start_code / PAGE * PAGE) / PAGE;
        MemoryCounts {
            total: counts.total,
            peak: inner.peak_total,
            locked: counts.locked,
            data: counts.data,
            stack: counts.stack,
            exec: counts.exec,
            text,
            resident_anon,
            resident_file: inner.mapped.count() - shared,
            resident_shared: shared,
            areas: inner.vmas.area_count() as u64,
        }
    }

    /// /proc/pid/maps. `path` gives the name of a file as the reader sees it.
    pub fn maps(&self, path: impl Fn(&File) -> Vec<u8>) -> Vec<u8> {
        let layout = self.layout();
        let mut out = Vec::new();
        for vma in self.areas() {
            line(&mut out, &vma, &layout, &path);
        }
        out
    }
}

/// fs/proc/task_mmu.c:show_smap_vma_flags().
pub(super) fn letters(flags: VmFlags) -> String {
    let known = [
        (VmFlags::READ, "rd"),
        (VmFlags::WRITE, "wr"),
        (VmFlags::EXEC, "ex"),
        (VmFlags::SHARED, "sh"),
        (VmFlags::MAYREAD, "mr"),
        (VmFlags::MAYWRITE, "mw"),
        (VmFlags::MAYEXEC, "me"),
        (VmFlags::MAYSHARE, "ms"),
        (VmFlags::GROWSDOWN, "gd"),
        (VmFlags::LOCKED, "lo"),
        (VmFlags::SEQUENTIAL, "sr"),
        (VmFlags::RANDOM, "rr"),
        (VmFlags::DONTFORK, "dc"),
        (VmFlags::DONTEXPAND, "de"),
        (VmFlags::ACCOUNT, "ac"),
        (VmFlags::NORESERVE, "nr"),
        (VmFlags::WIPEONFORK, "wf"),
        (VmFlags::DONTDUMP, "dd"),
        (VmFlags::HUGEPAGE, "hg"),
        (VmFlags::NOHUGEPAGE, "nh"),
        (VmFlags::MERGEABLE, "mg"),
        (VmFlags::SEALED, "sl"),
    ];
    let mut out = String::new();
    for (flag, name) in known {
        if flags.contains(flag) {
            out.push_str(name);
            out.push(' ');
        }
    }
    out
}

/// One line of maps: fs/proc/task_mmu.c:show_map_vma().
pub(super) fn line(
    out: &mut Vec<u8>,
    vma: &Vma,
    layout: &Layout,
    path: &impl Fn(&File) -> Vec<u8>,
) {
    let letter = |flag, c| if vma.flags.contains(flag) { c } else { '-' };
    let (offset, (dev, ino)) = match &vma.backing {
        Backing::File { file, offset, .. } => {
            let id = file.as_ref().and_then(|f| f.inode().metadata().ok());
            (*offset, id.map_or((0, 0), |m| (m.dev, m.ino)))
        }
        _ => (0, (0, 0)),
    };
    let (major, minor) = ((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00));
    let mut text = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {major:02x}:{minor:02x} {ino} ",
        vma.start,
        vma.end,
        letter(VmFlags::READ, 'r'),
        letter(VmFlags::WRITE, 'w'),
        letter(VmFlags::EXEC, 'x'),
        if vma.flags.contains(VmFlags::MAYSHARE) {
            's'
        } else {
            'p'
        },
        offset,
    );
    let name = match (&vma.name, vma.file()) {
        (Some(name), _) => name.as_bytes().to_vec(),
        (None, Some(file)) => path(file),
        _ if vma.start <= layout.brk
            && vma.end >= layout.start_brk
            && layout.brk != layout.start_brk =>
        {
            b"[heap]".to_vec()
        }
        _ if vma.start <= layout.start_stack && layout.start_stack < vma.end => b"[stack]".to_vec(),
        _ => Vec::new(),
    };
    if !name.is_empty() {
        while text.len() < 73 {
            text.push(' ');
        }
    }
    out.extend_from_slice(text.as_bytes());
    for byte in name {
        match byte {
            b'\n' => out.extend_from_slice(b"\\012"),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
}
