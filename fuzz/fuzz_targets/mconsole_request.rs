//! A datagram at the management console. Run: `cargo +nightly fuzz run mconsole_request`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mconsole::{MAX_DATA, Request};

fuzz_target!(|datagram: &[u8]| {
    if let Ok(request) = Request::parse(datagram) {
        assert!(request.command.len() < MAX_DATA);
        assert_eq!(Request::parse(&request.encode()), Ok(request));
    }
});
