//! Where the parts of a program go in its address space (fs/binfmt_elf.c:load_elf_binary(), arch/x86/mm/mmap.c).

use super::elf::{Program, Segment};
use crate::error::{Result, err};
use crate::mm::exec::{Image, ImageMap};
use crate::random;
use crate::vfs::File;
use abi::errno::Errno;
use platform::{PAGE_SIZE, Prot, TASK_SIZE};
use std::sync::Arc;

/// Pages of randomness of mappings and of the stack's place: vm.mmap_rnd_bits, STACK_RND_MASK.
const MMAP_RANDOM_PAGES: u64 = 1 << 28;
const STACK_RANDOM_PAGES: u64 = 1 << 22;
/// Bytes between a program and its heap at most.
const BRK_RANDOM: u64 = 32 << 20;
/// Where relocatable programs go: ELF_ET_DYN_BASE.
const DYN_BASE: u64 = abi::mm::TASK_SIZE / 3 * 2;
/// Nothing is mapped below (the first page catches null pointers).
const LOWEST: u64 = PAGE_SIZE;
/// Room kept free under the stack's lowest possible end: stack_guard_gap.
const GUARD_GAP: u64 = 256 * PAGE_SIZE;
const MIN_GAP: u64 = 128 << 20;

fn page_down(addr: u64) -> u64 {
    addr & !(PAGE_SIZE - 1)
}

fn page_up(addr: u64) -> u64 {
    addr.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

/// The frame of a new address space: the places that everything else is measured from.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// First byte above the stack.
    pub stack_top: u64,
    pub stack_limit: u64,
    /// mmap(2) looks for room from here downwards.
    pub mmap_base: u64,
    /// Or upwards from there.
    pub bottom_up: bool,
    /// kernel.randomize_va_space: 0 nothing, 1 all but the heap, 2 all.
    randomize: i64,
}

impl Frame {
    /// `stack_limit`: RLIMIT_STACK in bytes.
    pub fn new(stack_limit: u64, randomize: i64, bottom_up: bool) -> Frame {
        let random = |pages: u64| {
            if randomize != 0 {
                (random::u64() % pages) * PAGE_SIZE
            } else {
                0
            }
        };
        let stack_top = TASK_SIZE - PAGE_SIZE - random(STACK_RANDOM_PAGES);
        let pad = STACK_RANDOM_PAGES * PAGE_SIZE + GUARD_GAP;
        let gap = stack_limit
            .saturating_add(pad)
            .clamp(MIN_GAP, TASK_SIZE / 6 * 5);
        let shift = random(MMAP_RANDOM_PAGES);
        let mmap_base = if bottom_up {
            page_up(abi::mm::TASK_SIZE / 3) + shift
        } else {
            page_down(TASK_SIZE - gap - shift)
        };
        Frame {
            stack_top,
            stack_limit,
            mmap_base,
            bottom_up,
            randomize,
        }
    }

    fn random_below(&self, bytes: u64) -> u64 {
        if self.randomize != 0 {
            page_down(random::u64() % bytes)
        } else {
            0
        }
    }
}

/// A program or its interpreter, placed.
struct Placed {
    bias: u64,
    /// End of its last segment.
    end: u64,
}

fn prot(segment: &Segment) -> Prot {
    Prot {
        read: segment.read,
        write: segment.write,
        exec: segment.exec,
    }
}

/// Lowest and highest page of all segments. EINVAL when one makes no sense.
fn extent(program: &Program) -> Result<(u64, u64)> {
    let (mut low, mut high) = (u64::MAX, 0);
    for s in &program.segments {
        let end = s.vaddr.checked_add(s.mem_size).ok_or(Errno::EINVAL)?;
        if s.file_size > s.mem_size
            || end > TASK_SIZE
            || s.vaddr % PAGE_SIZE != s.offset % PAGE_SIZE && s.file_size > 0
            || s.offset
                .checked_add(s.file_size)
                .is_none_or(|e| e > i64::MAX as u64)
        {
            return err(Errno::EINVAL);
        }
        low = low.min(page_down(s.vaddr));
        high = high.max(page_up(end));
    }
    if low >= high {
        return err(Errno::EINVAL);
    }
    Ok((low, high))
}

/// Adds the mappings of `program`, moved by `bias`.
fn place(image: &mut Image, program: &Program, file: &Arc<File>, bias: u64) -> Result<Placed> {
    let mut end = 0;
    for s in &program.segments {
        let start = s.vaddr.wrapping_add(bias);
        let within = start % PAGE_SIZE;
        let file_end = start.checked_add(s.file_size).ok_or(Errno::EINVAL)?;
        let mem_end = start.checked_add(s.mem_size).ok_or(Errno::EINVAL)?;
        if page_down(start) < LOWEST || page_up(mem_end) > TASK_SIZE {
            return err(Errno::EINVAL);
        }
        let mut mapped = page_down(start);
        if s.file_size > 0 {
            mapped = page_up(file_end);
            image.maps.push(ImageMap {
                addr: page_down(start),
                len: mapped - page_down(start),
                prot: prot(s),
                file: Some((file.clone(), s.offset - within)),
                // The rest of the last page is the start of the zeroed part.
                zero_from: (s.mem_size > s.file_size).then_some(file_end),
            });
        }
        if page_up(mem_end) > mapped {
            image.maps.push(ImageMap {
                addr: mapped,
                len: page_up(mem_end) - mapped,
                prot: prot(s),
                file: None,
                zero_from: None,
            });
        }
        end = end.max(mem_end);
        if s.exec {
            let code = &mut image.layout;
            code.start_code = if code.start_code == 0 {
                start
            } else {
                code.start_code.min(start)
            };
            code.end_code = code.end_code.max(file_end);
        }
        image.layout.start_data = image.layout.start_data.max(start);
        image.layout.end_data = image.layout.end_data.max(file_end);
    }
    Ok(Placed { bias, end })
}

/// A program ready to be mapped, and what its start needs to know.
pub struct Loaded {
    pub image: Image,
    /// Where execution starts: the interpreter's entry if there is one.
    pub start: u64,
    /// AT_ENTRY, AT_PHDR, AT_PHNUM, AT_BASE.
    pub entry: u64,
    pub phdr: u64,
    pub phnum: u64,
    pub base: u64,
}

/// Lays out `program` and its interpreter. EINVAL, ENOMEM when the headers ask for the impossible.
pub fn lay_out(
    frame: &Frame,
    program: &Program,
    file: &Arc<File>,
    interpreter: Option<(&Program, &Arc<File>)>,
) -> Result<Loaded> {
    let mut image = Image::new(file.clone());
    image.stack_top = frame.stack_top;
    image.stack_limit = frame.stack_limit;
    image.bottom_up = frame.bottom_up.then_some(frame.mmap_base);
    image.executable_stack = program.executable_stack;
    image.layout.mmap_base = frame.mmap_base;
    let (low, high) = extent(program)?;
    // Where mmap(2) would put it, which begins there.
    let mut edge = frame.mmap_base;
    let mut next_place = |size: u64, align: u64| -> Result<u64> {
        if frame.bottom_up {
            let at = edge.checked_next_multiple_of(align).ok_or(Errno::ENOMEM)?;
            edge = at.checked_add(page_up(size)).ok_or(Errno::ENOMEM)?;
            return Ok(at);
        }
        let at = edge.checked_sub(size).ok_or(Errno::ENOMEM)? & !(align - 1);
        if at < LOWEST {
            return err(Errno::ENOMEM);
        }
        edge = at;
        Ok(at)
    };
    image.vdso = next_place(image.vdso_len(), PAGE_SIZE)?;
    let bias = if !program.relocatable {
        0
    } else if interpreter.is_some() {
        let base = page_down(DYN_BASE) + frame.random_below(MMAP_RANDOM_PAGES * PAGE_SIZE);
        (base & !(program.align - 1)).wrapping_sub(low)
    } else {
        next_place(high - low, program.align)?.wrapping_sub(low)
    };
    let placed = place(&mut image, program, file, bias)?;
    let layout = image.layout;
    let mut start = program.entry.wrapping_add(placed.bias);
    let entry = start;
    let mut base = 0;
    if let Some((interp, interp_file)) = interpreter {
        let (low, high) = extent(interp)?;
        let bias = if interp.relocatable {
            next_place(high - low, interp.align)?.wrapping_sub(low)
        } else {
            0
        };
        let placed = place(&mut image, interp, interp_file, bias)?;
        image.layout = layout;
        start = interp.entry.wrapping_add(placed.bias);
        base = placed.bias.wrapping_add(low);
    }
    if start >= TASK_SIZE {
        return err(Errno::EINVAL);
    }
    let heap = if program.relocatable && interpreter.is_none() {
        page_down(DYN_BASE)
    } else {
        page_up(placed.end)
    };
    image.layout.start_brk = heap
        + if frame.randomize > 1 {
            frame.random_below(BRK_RANDOM)
        } else {
            0
        };
    image.layout.brk = image.layout.start_brk;
    Ok(Loaded {
        image,
        start,
        entry,
        phdr: if program.phdr == 0 {
            0
        } else {
            program.phdr.wrapping_add(placed.bias)
        },
        phnum: program.phnum,
        base,
    })
}
