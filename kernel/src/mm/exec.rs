//! A new program's memory: execve says here what its address space is to hold.

use super::change::Change;
use super::map::settle_area;
use super::pagecache::{self, Mapping};
use super::place::TopDown;
use super::text::{self, Text};
use super::vma::{Backing, VmFlags, Vma};
use super::{Inner, Mm, rmap};
use crate::error::{Result, err};
use crate::vfs::{File, Source};
use abi::errno::Errno;
use platform::{GuestThread, MapOp, PAGE_SIZE, Prot, TASK_SIZE, ThreadState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// Stack below the arguments that is there at the start; the rest grows (fs/exec.c:setup_arg_pages()).
const STACK_START: u64 = 128 << 10;

/// Room that nothing else is put to below a new stack.
const STACK_ROOM: u64 = 8 << 20;

/// An area to be, with the patched copy of program text.
type Area = (Vma, Option<Arc<Text>>);

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
    /// Mappings go to the lowest free place from here on, not below [`Layout::mmap_base`] (ADDR_COMPAT_LAYOUT).
    pub bottom_up: Option<u64>,
    pub executable_stack: bool,
    /// What the stack holds, by address; zeroes between.
    pub stack: Vec<(u64, Vec<u8>)>,
    /// The auxiliary vector, for /proc/pid/auxv.
    pub auxv: Vec<(u64, u64)>,
}

impl Image {
    fn areas(&self) -> Result<Vec<Area>> {
        self.maps.iter().map(ImageMap::vma).collect()
    }

    pub fn new(exe: Arc<File>) -> Image {
        Image {
            exe,
            maps: Vec::new(),
            layout: Layout::default(),
            vdso: 0,
            stack_top: 0,
            stack_limit: 0,
            bottom_up: None,
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
    /// The area of this range, with the patched copy of what is program text; a file's first pages are read.
    fn vma(&self) -> Result<Area> {
        let mut flags = flags_of(self.prot);
        let backing = match &self.file {
            None => Backing::Anon,
            Some((file, offset)) => {
                let mapping = file.ops().mapping(file)?;
                flags.set(VmFlags::COW, self.prot.write);
                Backing::File {
                    mapping,
                    file: Some(file.clone()),
                    offset: *offset,
                }
            }
        };
        let text = text::for_area(flags, &backing);
        settle_area(&backing, text.as_deref(), self.len, false);
        Ok((area(self.addr, self.len, flags, backing, None), text))
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

    /// A new address space that holds what `image` says, and a thread that starts with `init`, in one request to the
    /// host. EAGAIN when the host has no process for it, EIO.
    pub fn with_image(image: &Image, init: &ThreadState) -> Result<(Arc<Mm>, GuestThread)> {
        let areas = image.areas()?;
        let mm = Mm::with(OnceLock::new(), Inner::empty());
        let mut change = mm.change();
        change.install_image(image, areas)?;
        let ops = std::mem::take(&mut change.ops);
        let made = pagecache::platform().new_process(&ops, init);
        let Ok((aspace, guest)) = made else {
            // Whoever waits for the lock finds nothing to do on the host.
            change.cut(0, TASK_SIZE);
            return err(Errno::EAGAIN);
        };
        let _ = mm.aspace.set(aspace);
        change.finish_now()?;
        mm.fill_image(image, guest.slot())?;
        Ok((mm, guest))
    }

    /// Replaces everything by what `image` says, for `guest` to run, in one request to the host. ENOMEM, EIO.
    pub fn replace(&self, image: &Image, guest: &GuestThread) -> Result<()> {
        let areas = image.areas()?;
        let mut change = self.change();
        let old = std::mem::replace(&mut *change.inner, Inner::empty());
        for vma in old.vmas.iter() {
            rmap::unlink(self.id, vma);
        }
        self.membarrier.store(0, Ordering::Relaxed);
        self.mdwe.store(0, Ordering::Relaxed);
        self.dumpable.store(super::DUMP_USER, Ordering::Relaxed);
        self.images.fetch_add(1, Ordering::Relaxed);
        change.ops.push(MapOp::Unmap {
            addr: 0,
            len: TASK_SIZE,
        });
        let installed = change.install_image(image, areas);
        let finished = change.finish_now();
        drop(old);
        installed.and(finished)?;
        self.fill_image(image, guest.slot())
    }

    /// Writes what the image's pages hold beyond their files: the rests of last pages, the stack. Small pieces are left to the
    /// thread in `slot`.
    fn fill_image(&self, image: &Image, slot: u32) -> Result<()> {
        const ZEROS: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];
        let mut parts: Vec<(u64, &[u8])> = Vec::new();
        for map in &image.maps {
            if let Some(from) = map.zero_from
                && map.prot.write
            {
                parts.push((from, &ZEROS[..(map.addr + map.len - from) as usize]));
            }
        }
        parts.extend(image.stack.iter().map(|(at, b)| (*at, b.as_slice())));
        parts.retain(|(at, bytes)| !self.write_by(slot, *at, bytes));
        let remote: Vec<_> = parts.iter().map(|(at, b)| (*at, b.len())).collect();
        let local: Vec<_> = parts.iter().map(|(_, b)| *b).collect();
        let all = local.iter().map(|b| b.len()).sum::<usize>();
        if self.address_space().writev(&remote, &local) == all {
            return Ok(());
        }
        // Some page isn't there yet.
        for (at, bytes) in parts {
            if self.write(at, bytes) != bytes.len() {
                return err(Errno::ENOMEM);
            }
        }
        Ok(())
    }
}

impl Change<'_> {
    /// Puts what `image` says into a tree with nothing in it.
    fn install_image(&mut self, image: &Image, areas: Vec<Area>) -> Result<()> {
        let (vdso, vdso_len) = vdso()?;
        let inner = &mut *self.inner;
        inner.layout = image.layout;
        inner.exe = Some(image.exe.clone());
        inner.auxv = image.auxv.clone();
        inner.top = TopDown::new(image.layout.mmap_base);
        inner.legacy_base = image.bottom_up;
        let stack = image
            .stack_top
            .saturating_sub(image.stack_limit.min(STACK_ROOM));
        let mut taken: Vec<_> = image.maps.iter().map(|m| (m.addr, m.len)).collect();
        taken.push((image.vdso, image.vdso_len()));
        taken.push((stack, image.stack_top - stack));
        let reserved = |start: u64, end: u64| {
            taken
                .iter()
                .any(|(addr, len)| *addr < end && start < addr + len)
        };
        for (vma, text) in areas {
            self.install_text(vma, text, reserved);
        }
        self.install_stack(image)?;
        let kernel = VmFlags::DONTEXPAND | VmFlags::MAYREAD | VmFlags::READ;
        self.install(area(
            image.vdso,
            PAGE_SIZE,
            kernel | VmFlags::DONTDUMP,
            Backing::Kernel {
                offset: platform::clock::vvar_offset(),
            },
            Some("[vvar]"),
        ));
        self.install(area(
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
        Ok(())
    }

    fn install_stack(&mut self, image: &Image) -> Result<()> {
        let lowest = image.stack.iter().map(|(at, _)| *at).min();
        let used = lowest.map_or(0, |at| image.stack_top - (at & !(PAGE_SIZE - 1)));
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
