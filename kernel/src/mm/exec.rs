//! A new program's memory: execve says here what its address space is to hold.

use super::Mm;
use crate::error::{Result, err};
use crate::vfs::{File, Sink};
use abi::errno::Errno;
use platform::{GuestThread, MapOp, PAGE_SIZE, Prot, ThreadState};
use std::sync::Arc;

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

fn refused<E>(_: E) -> crate::error::Error {
    crate::error::Error::new(Errno::ENOMEM)
}

fn read_all(file: &File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        let mut at = offset + done as u64;
        match file
            .ops()
            .read(file, &mut Sink::kernel(&mut buf[done..]), &mut at)?
        {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

impl Mm {
    /// A new address space with nothing in it. EAGAIN when the host has no process for it.
    pub fn new_empty() -> Result<Arc<Mm>> {
        match super::pagecache::platform().new_address_space() {
            Ok(aspace) => Ok(Mm::new(aspace)),
            Err(_) => err(Errno::EAGAIN),
        }
    }

    /// Removes everything.
    pub fn clear(&self) -> Result<()> {
        self.address_space().clear().map_err(refused)
    }

    /// Maps what `image` says into an empty address space. ENOMEM, EIO.
    pub fn install(&self, image: &Image) -> Result<()> {
        let anon = |addr, len| MapOp::Anon {
            addr,
            len,
            prot: Prot::RW,
            noreserve: true,
        };
        let stack_len = image.stack_limit.clamp(1 << 17, 1 << 26) & !(PAGE_SIZE - 1);
        let mut ops: Vec<MapOp> = image.maps.iter().map(|m| anon(m.addr, m.len)).collect();
        ops.push(anon(image.stack_top - stack_len, stack_len));
        ops.push(anon(image.vdso_header(), image.vdso_len() - PAGE_SIZE));
        ops.push(MapOp::File {
            addr: image.vdso,
            len: PAGE_SIZE,
            prot: Prot {
                read: true,
                ..Prot::NONE
            },
            offset: platform::clock::vvar_offset(),
            private: false,
            may_write: false,
            populate: false,
        });
        self.address_space().apply(&ops).map_err(refused)?;
        let mut protect = vec![MapOp::Protect {
            addr: image.vdso_header(),
            len: image.vdso_len() - PAGE_SIZE,
            prot: Prot {
                read: true,
                exec: true,
                ..Prot::NONE
            },
        }];
        for map in &image.maps {
            if let Some((file, offset)) = &map.file {
                let end = map.zero_from.map_or(map.len, |at| at - map.addr);
                let mut bytes = vec![0; end as usize];
                let got = read_all(file, *offset, &mut bytes)?;
                if self.write(map.addr, &bytes[..got]) != got {
                    return err(Errno::ENOMEM);
                }
            }
            protect.push(MapOp::Protect {
                addr: map.addr,
                len: map.len,
                prot: map.prot,
            });
        }
        let vdso = platform::vdso::image();
        let stack_at = image.stack_top - image.stack.len() as u64;
        if self.write(image.vdso_header(), vdso) != vdso.len()
            || self.write(stack_at, &image.stack) != image.stack.len()
        {
            return err(Errno::ENOMEM);
        }
        if image.executable_stack {
            protect.push(MapOp::Protect {
                addr: image.stack_top - stack_len,
                len: stack_len,
                prot: Prot {
                    exec: true,
                    ..Prot::RW
                },
            });
        }
        self.address_space().apply(&protect).map_err(refused)
    }

    /// Copies the address space for fork(2); `state` is what the child's only thread starts with. EAGAIN when the host
    /// has no process or memory for it.
    pub fn fork(&self, state: &ThreadState) -> Result<(Arc<Mm>, GuestThread)> {
        match self.address_space().fork(state) {
            Ok((aspace, guest)) => Ok((Mm::new(aspace), guest)),
            Err(_) => err(Errno::EAGAIN),
        }
    }
}
