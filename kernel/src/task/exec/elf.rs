//! Reading ELF headers. Everything in a file is checked before it is used; layout is in [`super::load`].

use crate::error::{Result, err};
use abi::errno::Errno;
use elf::abi::{EM_X86_64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::segment::SegmentTable;
use platform::{PAGE_SIZE, TASK_SIZE};

/// Size of the file header of a 64-bit ELF file.
const HEADER: usize = 64;
const PHDR: usize = 56;
/// Most bytes of program headers: fs/binfmt_elf.c:load_elf_phdrs().
const MAX_PHDRS: usize = 65_536;
const PATH_MAX: u64 = 4096;

/// Reads from a file at an offset; returns the bytes read, fewer at its end.
pub type ReadAt<'a> = dyn FnMut(u64, &mut [u8]) -> Result<usize> + 'a;

/// A loadable segment, as the file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub vaddr: u64,
    pub file_size: u64,
    pub mem_size: u64,
    pub read: bool,
    pub write: bool,
    pub exec: bool,
}

/// What the headers say of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// ET_DYN: loaded anywhere.
    pub relocatable: bool,
    pub entry: u64,
    pub segments: Vec<Segment>,
    /// Largest alignment that a segment wants, at least a page.
    pub align: u64,
    pub phnum: u64,
    /// Address of the program headers before relocation, 0 when no segment holds them.
    pub phdr: u64,
    pub interpreter: Option<Vec<u8>>,
    pub executable_stack: bool,
}

fn read_exact(read: &mut ReadAt<'_>, offset: u64, buf: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match read(offset + done as u64, &mut buf[done..])? {
            0 => return err(Errno::EIO),
            n => done += n,
        }
    }
    Ok(())
}

/// Parses the headers; `head` is the start of the file, zero-filled. ENOEXEC for anything that isn't a program of this
/// machine.
pub fn parse(head: &[u8], read: &mut ReadAt<'_>) -> Result<Program> {
    let bad = |_| Errno::ENOEXEC;
    if head.len() < HEADER {
        return err(Errno::ENOEXEC);
    }
    let ident = parse_ident::<LittleEndian>(&head[..16]).map_err(bad)?;
    if ident.1 != Class::ELF64 {
        return err(Errno::ENOEXEC);
    }
    let header = FileHeader::parse_tail(ident, &head[16..HEADER]).map_err(bad)?;
    let size = PHDR * usize::from(header.e_phnum);
    if !matches!(header.e_type, ET_EXEC | ET_DYN)
        || header.e_machine != EM_X86_64
        || usize::from(header.e_phentsize) != PHDR
        || size == 0
        || size > MAX_PHDRS
        || header
            .e_phoff
            .checked_add(size as u64)
            .is_none_or(|end| end > i64::MAX as u64)
    {
        return err(Errno::ENOEXEC);
    }
    let mut table = vec![0; size];
    read_exact(read, header.e_phoff, &mut table).map_err(|e| match e.errno() {
        Errno::EIO => Errno::ENOEXEC.into(),
        _ => e,
    })?;

    let mut program = Program {
        relocatable: header.e_type == ET_DYN,
        entry: header.e_entry,
        segments: Vec::new(),
        align: PAGE_SIZE,
        phnum: u64::from(header.e_phnum),
        phdr: 0,
        interpreter: None,
        executable_stack: false,
    };
    for p in SegmentTable::new(LittleEndian, Class::ELF64, &table).iter() {
        match p.p_type {
            PT_LOAD => {
                if p.p_align.is_power_of_two() && p.p_align < TASK_SIZE {
                    program.align = program.align.max(p.p_align);
                }
                let holds =
                    p.p_offset <= header.e_phoff && header.e_phoff - p.p_offset < p.p_filesz;
                if holds {
                    program.phdr = p.p_vaddr.wrapping_add(header.e_phoff - p.p_offset);
                }
                program.segments.push(Segment {
                    offset: p.p_offset,
                    vaddr: p.p_vaddr,
                    file_size: p.p_filesz,
                    mem_size: p.p_memsz,
                    read: p.p_flags & PF_R != 0,
                    write: p.p_flags & PF_W != 0,
                    exec: p.p_flags & PF_X != 0,
                });
            }
            PT_INTERP if program.interpreter.is_none() => {
                if p.p_filesz > PATH_MAX || p.p_filesz < 2 || p.p_offset > i64::MAX as u64 {
                    return err(Errno::ENOEXEC);
                }
                let mut name = vec![0; p.p_filesz as usize];
                read_exact(read, p.p_offset, &mut name)?;
                if name.last() != Some(&0) {
                    return err(Errno::ENOEXEC);
                }
                name.truncate(name.iter().position(|b| *b == 0).unwrap_or(0));
                program.interpreter = Some(name);
            }
            PT_GNU_STACK => program.executable_stack = p.p_flags & PF_X != 0,
            _ => {}
        }
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one PT_LOAD that holds all of it and an interpreter.
    fn sample() -> Vec<u8> {
        let mut f = vec![0u8; 0x200];
        f[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        f[16..18].copy_from_slice(&ET_DYN.to_le_bytes());
        f[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
        f[20] = 1;
        f[24..32].copy_from_slice(&0x1040u64.to_le_bytes());
        f[32..40].copy_from_slice(&64u64.to_le_bytes());
        f[54..56].copy_from_slice(&56u16.to_le_bytes());
        f[56..58].copy_from_slice(&2u16.to_le_bytes());
        let mut phdr = |at: usize, kind: u32, flags: u32, offset: u64, vaddr: u64, size: u64| {
            f[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            f[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
            for (i, v) in [offset, vaddr, vaddr, size, size, 0x1000]
                .iter()
                .enumerate()
            {
                f[at + 8 + 8 * i..at + 16 + 8 * i].copy_from_slice(&v.to_le_bytes());
            }
        };
        phdr(64, PT_LOAD, PF_R | PF_X, 0, 0x1000, 0x200);
        phdr(120, PT_INTERP, PF_R, 0x100, 0x1100, 7);
        f[0x100..0x107].copy_from_slice(b"/lib/x\0");
        f
    }

    fn parse_bytes(file: &[u8]) -> Result<Program> {
        let mut head = [0; 256];
        let n = file.len().min(256);
        head[..n].copy_from_slice(&file[..n]);
        parse(&head, &mut |at, buf| {
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(file.len());
            let n = buf.len().min(file.len() - at);
            buf[..n].copy_from_slice(&file[at..at + n]);
            Ok(n)
        })
    }

    #[test]
    fn reads_headers() {
        let p = parse_bytes(&sample()).unwrap();
        assert!(p.relocatable);
        assert_eq!(p.phdr, 0x1040);
        assert_eq!(p.interpreter.as_deref(), Some(&b"/lib/x"[..]));
        assert_eq!(p.segments.len(), 1);
        assert!(p.segments[0].exec && !p.segments[0].write);
    }

    #[test]
    fn refuses_other_machines_and_classes() {
        for (at, value) in [
            (4, 1u8),
            (5, 2),
            (18, 3),
            (16, 1),
            (54, 32),
            (56, 0),
            (6, 0),
        ] {
            let mut f = sample();
            f[at] = value;
            assert_eq!(parse_bytes(&f).unwrap_err().errno(), Errno::ENOEXEC, "{at}");
        }
    }

    #[test]
    fn any_single_byte_change_is_survived() {
        let good = sample();
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut f = good.clone();
                f[at] = value;
                let _ = parse_bytes(&f);
            }
        }
        for len in 0..good.len() {
            let _ = parse_bytes(&good[..len]);
        }
    }
}
