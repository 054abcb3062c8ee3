//! `#!` lines: fs/binfmt_script.c:load_script().

use abi::errno::Errno;

/// Bytes of a file's start that decide how it is run: BINPRM_BUF_SIZE.
pub const HEAD: usize = 256;

/// An interpreter and its one optional argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    pub interpreter: Vec<u8>,
    pub argument: Option<Vec<u8>>,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What the start of a file (zero-filled to [`HEAD`]) says: None when it is no script, ENOEXEC when the line names no
/// interpreter or the name may be cut off.
pub fn parse(head: &[u8; HEAD]) -> Result<Option<Script>, Errno> {
    if !head.starts_with(b"#!") {
        return Ok(None);
    }
    // The last byte is never part of the line.
    let body = &head[2..HEAD - 1];
    let line = match body.iter().position(|b| *b == b'\n') {
        Some(end) => &body[..end],
        None => {
            let start = body
                .iter()
                .position(|b| !is_blank(*b))
                .unwrap_or(body.len());
            let name_ends = body[start..].iter().any(|b| is_blank(*b) || *b == 0);
            if start == body.len() || !name_ends {
                return Err(Errno::ENOEXEC);
            }
            body
        }
    };
    let start = line
        .iter()
        .position(|b| !is_blank(*b))
        .ok_or(Errno::ENOEXEC)?;
    // A zero byte ends the text. A name of no length is the working directory's: no program either, as in Linux.
    let line = &line[..line.iter().position(|b| *b == 0).unwrap_or(line.len())];
    let start = start.min(line.len());
    let end = line
        .iter()
        .rposition(|b| !is_blank(*b))
        .map_or(start, |i| i + 1);
    let line = &line[start..end];
    let name_end = line.iter().position(|b| is_blank(*b)).unwrap_or(line.len());
    let rest = &line[name_end..];
    let argument = rest
        .iter()
        .position(|b| !is_blank(*b))
        .map(|at| rest[at..].to_vec());
    Ok(Some(Script {
        interpreter: line[..name_end].to_vec(),
        argument,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &[u8]) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..text.len()].copy_from_slice(text);
        head
    }

    fn script(name: &[u8], argument: Option<&[u8]>) -> Result<Option<Script>, Errno> {
        Ok(Some(Script {
            interpreter: name.to_vec(),
            argument: argument.map(<[u8]>::to_vec),
        }))
    }

    #[test]
    fn lines() {
        assert_eq!(parse(&head(b"\x7fELF")), Ok(None));
        assert_eq!(parse(&head(b"#!/bin/sh\n")), script(b"/bin/sh", None));
        assert_eq!(
            parse(&head(b"#! \t/usr/bin/env  a b \t\nx")),
            script(b"/usr/bin/env", Some(b"a b"))
        );
        assert_eq!(parse(&head(b"#!/bin/sh")), script(b"/bin/sh", None));
        assert_eq!(parse(&head(b"#!  \n")), Err(Errno::ENOEXEC));
        assert_eq!(parse(&head(b"#!")), script(b"", None));
    }

    #[test]
    fn long_lines() {
        let mut long = [b'x'; HEAD];
        long[..2].copy_from_slice(b"#!");
        assert_eq!(parse(&long), Err(Errno::ENOEXEC));
        // The name is whole, only the argument is cut off.
        long[10] = b' ';
        let found = parse(&long).unwrap().unwrap();
        assert_eq!(found.interpreter, vec![b'x'; 8]);
        assert_eq!(found.argument.unwrap().len(), HEAD - 1 - 11);
    }
}
