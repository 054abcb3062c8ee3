//! What a client or a listener receives. Run: `cargo +nightly fuzz run mconsole_reply`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mconsole::{MAX_DATA, Notification, Packet};

fuzz_target!(|datagram: &[u8]| {
    if let Ok(packet) = Packet::parse(datagram) {
        assert!(packet.text.len() <= MAX_DATA);
        if packet.text.len() < MAX_DATA {
            assert_eq!(Packet::parse(&packet.encode()), Ok(packet));
        }
    }
    if let Ok(notification) = Notification::parse(datagram) {
        assert_eq!(Notification::parse(&notification.encode()), Ok(notification));
    }
});
