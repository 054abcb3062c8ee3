//! Bytes in; read buffer, echo and effects out. What Linux itself does with many more settings and inputs is compared by
//! the guest program `tests/guest/tty/ldisc.c`.

use super::*;
use abi::signal::{SIGINT, SIGQUIT, SIGTSTP};

fn with(change: impl FnOnce(&mut Termios2)) -> NTty {
    let mut termios = Termios2::from(Termios::STD);
    change(&mut termios);
    NTty::new(termios)
}

fn std() -> NTty {
    with(|_| {})
}

fn raw(min: u8, time: u8) -> NTty {
    with(|t| {
        t.c_lflag = 0;
        t.c_iflag = 0;
        t.c_oflag = 0;
        t.c_cc[VMIN] = min;
        t.c_cc[VTIME] = time;
    })
}

fn type_in(ldisc: &mut NTty, bytes: &[u8]) {
    assert_eq!(ldisc.receive(bytes), bytes.len());
}

fn echoed(ldisc: &mut NTty) -> String {
    let (a, b) = ldisc.echo();
    let all = [a, b].concat();
    ldisc.echo_written(all.len());
    String::from_utf8_lossy(&all).into_owned()
}

fn line(ldisc: &mut NTty) -> Option<Vec<u8>> {
    let mut out = [0; BUFFER];
    match ldisc.take(&mut out) {
        Taken::Nothing => None,
        Taken::Data { bytes, .. } => Some(out[..bytes].to_vec()),
    }
}

fn output(ldisc: &mut NTty, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    assert_eq!(ldisc.output(bytes, 1000, &mut out), bytes.len());
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn lines_are_read_when_they_are_complete() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"one\rtw");
    assert!(ldisc.effects().readable);
    assert_eq!(ldisc.readable_bytes(), 4);
    assert_eq!(line(&mut ldisc).unwrap(), b"one\n");
    assert_eq!(line(&mut ldisc), None);
    type_in(&mut ldisc, b"o\n");
    assert_eq!(line(&mut ldisc).unwrap(), b"two\n");
    assert_eq!(echoed(&mut ldisc), "one\r\ntwo\r\n");
}

#[test]
fn short_reads_leave_the_rest_of_the_line() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"abcdef\n");
    let mut out = [0; 4];
    let full = Taken::Data {
        bytes: 4,
        end: false,
    };
    assert_eq!(ldisc.take(&mut out), full);
    let rest = Taken::Data {
        bytes: 3,
        end: true,
    };
    assert_eq!(ldisc.take(&mut out), rest);
}

#[test]
fn end_of_file_character() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"ab\x04\x04");
    assert_eq!(ldisc.readable_bytes(), 2);
    // A buffer that the line just fills takes the mark with it.
    let mut out = [0; 2];
    let two = Taken::Data {
        bytes: 2,
        end: true,
    };
    assert_eq!(ldisc.take(&mut out), two);
    assert_eq!(line(&mut ldisc).unwrap(), b"");
    assert_eq!(line(&mut ldisc), None);
}

#[test]
fn erasing() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"ab\x7fc\x01\x7f\n");
    assert_eq!(line(&mut ldisc).unwrap(), b"ac\n");
    assert_eq!(echoed(&mut ldisc), "ab\x08 \x08c^A\x08 \x08\x08 \x08\r\n");
    type_in(&mut ldisc, b"two words\x17\x17x\x15kept\n");
    assert_eq!(line(&mut ldisc).unwrap(), b"kept\n");
    let mut hard = with(|t| t.c_lflag |= ECHOPRT);
    type_in(&mut hard, b"abc\x7f\x7fd\n");
    assert_eq!(echoed(&mut hard), "abc\\cb/d\r\n");
}

#[test]
fn characters_of_several_bytes_are_erased_as_one() {
    let mut ldisc = with(|t| t.c_iflag |= IUTF8);
    type_in(&mut ldisc, "aä€\x7f\x7f".as_bytes());
    assert_eq!(echoed(&mut ldisc), "aä€\x08 \x08\x08 \x08");
    type_in(&mut ldisc, b"\n");
    assert_eq!(line(&mut ldisc).unwrap(), b"a\n");
}

#[test]
fn signals_flush_unless_told_not_to() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"abc\x03d\x1a\x1c");
    let effects = ldisc.effects();
    assert_eq!(effects.signals, [SIGINT, SIGTSTP, SIGQUIT]);
    assert!(effects.flush_output && effects.flushed_input);
    assert_eq!(echoed(&mut ldisc), "^\\");
    let mut ldisc = with(|t| t.c_lflag |= NOFLSH);
    type_in(&mut ldisc, b"ab\x03c\n");
    assert!(!ldisc.effects().flush_output);
    assert_eq!(line(&mut ldisc).unwrap(), b"abc\n");
}

#[test]
fn stop_and_start() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"\x13");
    assert_eq!(ldisc.effects().flow, Some(true));
    type_in(&mut ldisc, b"x");
    assert!(ldisc.is_stopped());
    type_in(&mut ldisc, b"\x11");
    assert_eq!(ldisc.effects().flow, Some(false));
    ldisc.hold();
    type_in(&mut ldisc, b"\x11");
    assert!(ldisc.is_stopped());
    ldisc.release();
    assert!(!ldisc.is_stopped());
}

#[test]
fn a_line_too_long_keeps_its_beginning_and_its_end() {
    let mut ldisc = std();
    let long = vec![b'x'; 2 * BUFFER];
    type_in(&mut ldisc, &long);
    assert_eq!(line(&mut ldisc), None);
    type_in(&mut ldisc, b"\n");
    let got = line(&mut ldisc).unwrap();
    assert_eq!((got.len(), got[BUFFER - 1]), (BUFFER, b'\n'));
}

#[test]
fn complete_lines_and_raw_bytes_are_never_dropped() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"line\n");
    let taken = ldisc.receive(&vec![b'x'; 2 * BUFFER]);
    assert_eq!(taken, BUFFER - 1 - 5);
    let mut ldisc = raw(1, 0);
    assert_eq!(ldisc.receive(&vec![b'x'; 2 * BUFFER]), BUFFER - 1);
    assert_eq!(ldisc.receive(b"x"), 0);
}

#[test]
fn poll_asks_for_vmin_only_without_vtime() {
    for (min, time, ready) in [(3, 0, false), (3, 1, true), (0, 1, true), (2, 0, true)] {
        let mut ldisc = raw(min, time);
        type_in(&mut ldisc, b"ab");
        assert_eq!(ldisc.available(true), ready, "{min} {time}");
        assert!(ldisc.available(false));
    }
}

#[test]
fn output_processing() {
    let mut ldisc = std();
    assert_eq!(output(&mut ldisc, b"a\nb\tc"), "a\r\nb\tc");
    let mut ldisc = with(|t| t.c_oflag |= XTABS | OLCUC);
    assert_eq!(
        output(&mut ldisc, b"ab\tc\x08\td"),
        "AB      C\x08        D"
    );
    let mut ldisc = with(|t| t.c_oflag = OPOST | OCRNL | ONOCR);
    assert_eq!(output(&mut ldisc, b"\ra\rb"), "a\nb");
}

#[test]
fn output_stops_where_the_room_ends() {
    let mut ldisc = std();
    let mut out = Vec::new();
    assert_eq!(ldisc.output(b"abc\nd", 4, &mut out), 3);
    assert_eq!(out, b"abc");
    assert_eq!(ldisc.output(b"\nd", 2, &mut out), 1);
    assert_eq!(out, b"abc\r\n");
}

#[test]
fn a_change_of_mode_keeps_what_was_typed() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"half");
    let mut termios = *ldisc.termios();
    termios.c_lflag &= !ICANON;
    termios.c_cc[VMIN] = 1;
    ldisc.set_termios(termios);
    assert_eq!(line(&mut ldisc).unwrap(), b"half");
    type_in(&mut ldisc, b"more");
    termios.c_lflag |= ICANON;
    ldisc.set_termios(termios);
    assert_eq!(line(&mut ldisc).unwrap(), b"more");
}

#[test]
fn the_end_of_input_ends_the_line() {
    let mut ldisc = std();
    type_in(&mut ldisc, b"no newline");
    assert_eq!(line(&mut ldisc), None);
    ldisc.end_input();
    assert_eq!(line(&mut ldisc).unwrap(), b"no newline");
}

#[test]
fn breaks() {
    let mut ldisc = with(|t| t.c_iflag |= BRKINT);
    ldisc.receive_break();
    assert_eq!(ldisc.effects().signals, [SIGINT]);
    let mut ldisc = raw(1, 0);
    ldisc.receive_break();
    assert_eq!(line(&mut ldisc).unwrap(), [0]);
}

#[test]
fn any_byte_for_any_settings_is_taken() {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 33) as u32
    };
    for _ in 0..400 {
        let mut ldisc = with(|t| {
            t.c_iflag = next() & 0o77777;
            t.c_oflag = next() & 0o177777;
            t.c_lflag = next() & 0o177777;
            t.c_cc = std::array::from_fn(|_| next() as u8 & 0x1f);
        });
        for _ in 0..20 {
            let bytes: Vec<u8> = (0..next() % 700).map(|_| next() as u8).collect();
            let taken = ldisc.receive(&bytes);
            assert!(taken <= bytes.len());
            ldisc.effects();
            let mut out = vec![0; (next() % 500) as usize];
            ldisc.take(&mut out);
            let mut processed = Vec::new();
            let room = (next() % 300) as usize;
            ldisc.output(&bytes, room, &mut processed);
            assert!(processed.len() <= room);
            let waiting = ldisc.echo().0.len();
            ldisc.echo_written(waiting);
            if next() % 4 == 0 {
                let mut termios = *ldisc.termios();
                termios.c_lflag ^= ICANON;
                ldisc.set_termios(termios);
            }
        }
    }
}
