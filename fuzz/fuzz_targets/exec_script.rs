//! The first line of a script that a guest executes. Run: `cargo +nightly fuzz run exec_script`.
#![no_main]

use kernel::task::exec::script::{self, HEAD};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let mut head = [0; HEAD];
    let n = file.len().min(HEAD);
    head[..n].copy_from_slice(&file[..n]);
    if let Ok(Some(script)) = script::parse(&head) {
        assert!(!script.interpreter.contains(&b'\n'));
        assert!(!script.interpreter.is_empty());
    }
});
