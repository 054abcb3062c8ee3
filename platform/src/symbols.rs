//! Names for addresses of this program's own code, for the traces that a person reads. From the symbol table of the
//! running program's file; without one (or without /proc) there are no names.

use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::NativeEndian;
use elf::string_table::StringTable;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

/// A function and a place in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub function: String,
    pub offset: usize,
    /// Bytes of the function.
    pub len: usize,
}

/// A function; its name stays in the file.
struct Function {
    start: usize,
    len: u32,
    name: u32,
}

struct Table {
    names: StringTable<'static>,
    /// By address.
    functions: Vec<Function>,
}

/// The function that `address` lies in.
pub fn place(address: usize) -> Option<Place> {
    static TABLE: OnceLock<Option<Table>> = OnceLock::new();
    let table = TABLE.get_or_init(load).as_ref()?;
    let behind = table.functions.partition_point(|f| f.start <= address);
    let function = table.functions.get(behind.checked_sub(1)?)?;
    let offset = address - function.start;
    let name = table.names.get(function.name as usize).ok()?;
    (offset < function.len as usize).then(|| Place {
        function: format!("{:#}", rustc_demangle::demangle(name)),
        offset,
        len: function.len as usize,
    })
}

/// The program's file, mapped for good: it is large, and the heap counts as the machine's memory.
fn own_file() -> Option<&'static [u8]> {
    let file = File::open("/proc/self/exe").ok()?;
    let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
    // SAFETY: a new private mapping at an address of the host's choice replaces nothing.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    // SAFETY: the mapping has this length, is never unmapped, and the host lets nobody write to a file that is being
    // executed.
    (base != libc::MAP_FAILED).then(|| unsafe { std::slice::from_raw_parts(base.cast(), len) })
}

fn load() -> Option<Table> {
    let elf = ElfBytes::<NativeEndian>::minimal_parse(own_file()?).ok()?;
    let (symbols, names) = elf.symbol_table().ok()??;
    let of = |symbol: elf::symbol::Symbol| {
        (symbol.st_symtype() == STT_FUNC && symbol.st_size > 0).then_some(Function {
            start: symbol.st_value as usize,
            len: u32::try_from(symbol.st_size).ok()?,
            name: symbol.st_name,
        })
    };
    let mut functions: Vec<Function> = symbols.iter().filter_map(of).collect();
    // Where the program was loaded: by a function whose address is known here.
    let is_anchor = |f: &&Function| {
        let name = names.get(f.name as usize);
        name.is_ok_and(|name| name == "umlaut_symbols_anchor")
    };
    let own = functions.iter().find(is_anchor)?.start;
    let slide = (umlaut_symbols_anchor as *const () as usize).checked_sub(own)?;
    for function in &mut functions {
        function.start += slide;
    }
    functions.sort_by_key(|f| f.start);
    Some(Table { names, functions })
}

// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn umlaut_symbols_anchor() {}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_a_function_of_this_program() {
        let inside = super::place as *const () as usize + 1;
        let place = super::place(inside).unwrap();
        assert_eq!(place.offset, 1);
        assert!(place.function.ends_with("symbols::place"), "{place:?}");
        assert_eq!(super::place(1), None);
    }
}
