//! Names for addresses of this program's own code, for the traces that a person reads. From the symbol table of the
//! running program's file; without one (or without /proc) there are no names.

use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::NativeEndian;
use std::ops::Range;
use std::sync::OnceLock;

/// A function and a place in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub function: String,
    pub offset: usize,
    /// Bytes of the function.
    pub len: usize,
}

struct Table {
    /// Addresses and mangled names, by address.
    functions: Vec<(Range<usize>, String)>,
}

/// The function that `address` lies in.
pub fn place(address: usize) -> Option<Place> {
    static TABLE: OnceLock<Option<Table>> = OnceLock::new();
    let functions = &TABLE.get_or_init(load).as_ref()?.functions;
    let at = functions.partition_point(|(range, _)| range.start <= address);
    let (range, name) = functions.get(at.checked_sub(1)?)?;
    range.contains(&address).then(|| Place {
        function: format!("{:#}", rustc_demangle::demangle(name)),
        offset: address - range.start,
        len: range.len(),
    })
}

fn load() -> Option<Table> {
    let file = std::fs::read("/proc/self/exe").ok()?;
    let elf = ElfBytes::<NativeEndian>::minimal_parse(&file).ok()?;
    let (symbols, names) = elf.symbol_table().ok()??;
    let of = |symbol: &elf::symbol::Symbol| {
        let name = names.get(symbol.st_name as usize).ok()?;
        (symbol.st_symtype() == STT_FUNC && symbol.st_size > 0).then(|| {
            let start = symbol.st_value as usize;
            (start..start + symbol.st_size as usize, name.to_owned())
        })
    };
    let mut functions: Vec<_> = symbols.iter().filter_map(|s| of(&s)).collect();
    // Where the program was loaded: by a function whose address is known here.
    let (own, _) = functions
        .iter()
        .find(|(_, name)| name == "umlaut_symbols_anchor")?;
    let slide = (umlaut_symbols_anchor as *const () as usize).checked_sub(own.start)?;
    for (range, _) in &mut functions {
        *range = range.start + slide..range.end + slide;
    }
    functions.sort_by_key(|(range, _)| range.start);
    Some(Table { functions })
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
