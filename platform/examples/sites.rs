//! Lists the call sites of an executable or library that get patched, and those that don't:
//! `cargo run --release -p umlaut-platform --example sites -- /lib/x86_64-linux-gnu/libc.so.6`.

use platform::patch::Code;

fn main() {
    for path in std::env::args().skip(1) {
        let before = std::fs::read(&path).expect("the file can be read");
        let mut bytes = before.clone();
        let window = 0..bytes.len() as u64;
        let mut patched = Vec::new();
        Code {
            bytes: &mut bytes,
            start: 0,
            window,
            gap: 1 << 20,
        }
        .patch(
            |site| {
                patched.push(site);
                Some(patched.len() as u64)
            },
            |_, _| {},
        );
        let all: Vec<u64> = before
            .windows(2)
            .enumerate()
            .filter(|(_, w)| *w == [0x0f, 0x05])
            .map(|(i, _)| i as u64)
            .collect();
        println!("{path}: {} of {} patched; not:", patched.len(), all.len());
        for site in all.iter().filter(|s| !patched.contains(s)) {
            let i = *site as usize;
            println!("  {site:#x} {:02x?}", &before[i.saturating_sub(8)..i + 2]);
        }
    }
}
