//! ELF headers of a file that a guest executes. Run: `cargo +nightly fuzz run exec_elf`.
#![no_main]

use kernel::task::exec::elf;
use kernel::task::exec::script::HEAD;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let mut head = [0; HEAD];
    let n = file.len().min(HEAD);
    head[..n].copy_from_slice(&file[..n]);
    // An error is a fine answer; a panic or an endless loop isn't.
    let _answer = elf::parse(&head, &mut |at, buf| {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(file.len());
        let n = buf.len().min(file.len() - at);
        buf[..n].copy_from_slice(&file[at..at + n]);
        Ok(n)
    });
});
