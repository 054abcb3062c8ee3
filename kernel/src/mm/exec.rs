//! A new program's memory: execve says here what its address space is to hold.

use super::change::Change;
use super::map::settle_file;
use super::pagecache::{self, Mapping};
use super::place::TopDown;
use super::vma::{Backing, Counts, VmFlags, Vma};
use super::{Inner, Mm, rmap, sizes};
use crate::error::{Result, err};
use crate::vfs::{File, Source};
use abi::errno::Errno;
use platform::{PAGE_SIZE, Prot, TASK_SIZE};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// Stack below the arguments that is there at the start; the rest grows (fs/exec.c:setup_arg_pages()).
const STACK_START: u64 = 128 << 10;

/// One range of a program.
#[derive(Clone)]
pub struct ImageMap {
    pub addr: u64,
    pub len: u64,
    pub prot: Prot,
    /// Private mapping of this file from this offset on; None: zero pages.
    pub file: Option<(Arc<File>, u64)>,
    /// From this address to the end of its page, zeroes instead of the file's bytes.
    pub zero_from: Option<u64>,
}

/// Addresses that /proc and prctl tell of an address space.
#[derive(Clone, Copy, Default, Debug)]
pub struct Layout {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    pub mmap_base: u64,
}

/// All that an address space holds when its program starts.
#[derive(Clone)]
pub struct Image {
    pub exe: Arc<File>,
    /// Ranges in the order of mapping; later ones replace earlier ones.
    pub maps: Vec<ImageMap>,
    pub layout: Layout,
    /// Where the vvar page and the vDSO behind it go.
    pub vdso: u64,
    /// First byte above the stack, the most it may grow to, and what lies at its upper end.
    pub stack_top: u64,
    pub stack_limit: u64,
    pub executable_stack: bool,
    pub stack: Vec<u8>,
    /// The auxiliary vector, for /proc/pid/auxv.
    pub auxv: Vec<(u64, u64)>,
}

impl Image {
    pub fn new(exe: Arc<File>) -> Image {
        Image {
            exe,
            maps: Vec::new(),
            layout: Layout::default(),
            vdso: 0,
            stack_top: 0,
            stack_limit: 0,
            executable_stack: false,
            stack: Vec::new(),
            auxv: Vec::new(),
        }
    }

    /// Bytes of the vvar page and the vDSO.
    pub fn vdso_len(&self) -> u64 {
        PAGE_SIZE + (platform::vdso::image().len() as u64).next_multiple_of(PAGE_SIZE)
    }

    /// Address of the vDSO's ELF header (AT_SYSINFO_EHDR).
    pub fn vdso_header(&self) -> u64 {
        self.vdso + PAGE_SIZE
    }
}

const MAY_ALL: VmFlags = VmFlags::MAYREAD
    .union(VmFlags::MAYWRITE)
    .union(VmFlags::MAYEXEC);

fn flags_of(prot: Prot) -> VmFlags {
    let mut flags = MAY_ALL;
    flags.set(VmFlags::READ, prot.read);
    flags.set(VmFlags::WRITE, prot.write);
    flags.set(VmFlags::EXEC, prot.exec);
    flags.set(VmFlags::ACCOUNT, prot.write);
    flags
}

fn area(start: u64, len: u64, flags: VmFlags, backing: Backing, name: Option<&str>) -> Vma {
    Vma {
        start,
        end: start + len,
        flags,
        backing,
        name: name.map(Arc::from),
        kept: Vec::new(),
    }
}

impl ImageMap {
    /// The area of this range; a file's first pages are read.
    fn vma(&self) -> Result<Vma> {
        let mut flags = flags_of(self.prot);
        let backing = match &self.file {
            None => Backing::Anon,
            Some((file, offset)) => {
                let mapping = file.ops().mapping(file)?;
                settle_file(&mapping, *offset, self.len, false);
                flags.set(VmFlags::COW, self.prot.write);
                Backing::File {
                    mapping,
                    file: Some(file.clone()),
                    offset: *offset,
                }
            }
        };
        Ok(area(self.addr, self.len, flags, backing, None))
    }
}

impl Mm {
    /// A new address space with nothing in it. EAGAIN when the host has no process for it.
    pub fn new_empty() -> Result<Arc<Mm>> {
        match pagecache::platform().new_address_space() {
            Ok(aspace) => Ok(Mm::new(aspace)),
            Err(_) => err(Errno::EAGAIN),
        }
    }

    /// Removes everything. ENOMEM.
    pub fn clear(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        let old = std::mem::replace(&mut *inner, Inner::empty());
        for vma in old.vmas.iter() {
            rmap::unlink(self.id, vma);
        }
        sizes::commit(old.vmas.counts(), Counts::default());
        let cleared = self.aspace.clear();
        self.membarrier.store(0, Ordering::Relaxed);
        drop(inner);
        drop(old);
        cleared.map_err(|_| Errno::ENOMEM.into())
    }

    /// Maps what `image` says into an empty address space, in one request to the host. ENOMEM, EIO.
    pub fn install(&self, image: &Image) -> Result<()> {
        let areas: Vec<Vma> = image
            .maps
            .iter()
            .map(ImageMap::vma)
            .collect::<Result<_>>()?;
        let (vdso, vdso_len) = vdso()?;
        let mut change = self.change();
        let inner = &mut *change.inner;
        inner.layout = image.layout;
        inner.exe = Some(image.exe.clone());
        inner.auxv = image.auxv.clone();
        inner.top = TopDown::new(image.layout.mmap_base);
        inner.legacy_base =
            (image.stack_limit == u64::MAX).then_some((TASK_SIZE / 3).next_multiple_of(PAGE_SIZE));
        for vma in areas {
            change.install(vma);
        }
        change.install_stack(image)?;
        let kernel = VmFlags::DONTEXPAND | VmFlags::MAYREAD | VmFlags::READ;
        change.install(area(
            image.vdso,
            PAGE_SIZE,
            kernel | VmFlags::DONTDUMP,
            Backing::Kernel {
                offset: platform::clock::vvar_offset(),
            },
            Some("[vvar]"),
        ));
        change.install(area(
            image.vdso_header(),
            vdso_len,
            kernel | VmFlags::EXEC | VmFlags::MAYEXEC | VmFlags::MAYWRITE,
            Backing::File {
                mapping: vdso,
                file: None,
                offset: 0,
            },
            Some("[vdso]"),
        ));
        change.finish_now()?;
        for map in &image.maps {
            if let Some(from) = map.zero_from
                && map.prot.write
            {
                let zeros = vec![0; (map.addr + map.len - from) as usize];
                if self.write(from, &zeros) != zeros.len() {
                    return err(Errno::EFAULT);
                }
            }
        }
        let at = image.stack_top - image.stack.len() as u64;
        if self.write(at, &image.stack) != image.stack.len() {
            return err(Errno::ENOMEM);
        }
        Ok(())
    }
}

impl Change<'_> {
    fn install_stack(&mut self, image: &Image) -> Result<()> {
        let used = (image.stack.len() as u64).next_multiple_of(PAGE_SIZE);
        let room = image.stack_limit.max(used) & !(PAGE_SIZE - 1);
        let len = (used + STACK_START).min(room);
        if len > image.stack_top {
            return err(Errno::ENOMEM);
        }
        let prot = Prot {
            exec: image.executable_stack,
            ..Prot::RW
        };
        let start = image.stack_top - len;
        let flags = flags_of(prot) | VmFlags::GROWSDOWN;
        self.install(area(start, len, flags, Backing::Anon, None));
        Ok(())
    }
}

/// The vDSO's pages, made once for all programs, and their length in bytes.
fn vdso() -> Result<(Arc<Mapping>, u64)> {
    static IMAGE: OnceLock<Arc<Mapping>> = OnceLock::new();
    let image = platform::vdso::image();
    let len = (image.len() as u64).next_multiple_of(PAGE_SIZE);
    if let Some(mapping) = IMAGE.get() {
        return Ok((mapping.clone(), len));
    }
    let mapping = Mapping::new(None, 0);
    mapping.write(&mut Source::kernel(image), 0)?;
    mapping.set_size(len)?;
    Ok((IMAGE.get_or_init(|| mapping).clone(), len))
}
