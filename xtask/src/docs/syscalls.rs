//! `docs/syscalls.md`, made from the kernel's table of system calls.

use kernel::syscall::table::{self, Support};
use std::fmt::Write;

/// The page.
pub fn page() -> String {
    let mut rows: Vec<_> = table::rows().collect();
    rows.sort_by_key(|r| r.nr);
    let full = rows.iter().filter(|r| r.support == Support::Full).count();
    let mut text = String::from("# System calls\n\n");
    let _ = writeln!(
        text,
        "Made by `cargo xtask docs` from `kernel/src/syscall/table.rs`: {} of {} numbers of x86-64 are there, {full} of \
         them in full. The others return `ENOSYS`.\n",
        rows.len(),
        abi::nr::ALL.len(),
    );
    text.push_str("| number | call | handler | support | note |\n|---|---|---|---|---|\n");
    for &(nr, name) in abi::nr::ALL {
        let line = match rows.iter().find(|r| r.nr == nr) {
            Some(row) => {
                let support = match row.support {
                    Support::Full => "full",
                    Support::Partial => "partial",
                };
                format!(
                    "| {nr} | `{name}` | `{}` | {support} | {} |",
                    row.handler, row.note
                )
            }
            None => format!("| {nr} | `{name}` | | none | |"),
        };
        let _ = writeln!(text, "{line}");
    }
    text
}
