//! Bytes on a machine's control socket. Run: `cargo +nightly fuzz run control`.
#![no_main]

use control::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::default();
    let mut count = 0;
    for piece in bytes.chunks(13) {
        decoder.feed(piece);
        while let Ok(Some(message)) = decoder.next_message() {
            count += 1;
            // Whatever is understood can be said again, to the same effect.
            let mut again = Decoder::default();
            again.feed(&message.frame());
            assert_eq!(again.next_message(), Ok(Some(message)));
        }
    }
    assert!(count <= bytes.len() / control::HEADER);
});
