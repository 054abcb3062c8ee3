//! The stack that a program starts on: strings, pointers to them, the auxiliary vector
//! (fs/binfmt_elf.c:create_elf_tables()).

use super::args::Strings;
use super::load::Loaded;
use crate::random;
use crate::task::Cred;
use abi::task::*;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Bit 1 says that FS and GS bases may be written by instructions.
fn hwcap2() -> u64 {
    const FSGSBASE: u64 = 2;
    let host = host_auxv(AT_HWCAP2);
    if platform::fsgsbase() {
        host
    } else {
        host & !FSGSBASE
    }
}

/// What the host says of its CPU: AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ are the guest's too.
fn host_auxv(key: u64) -> u64 {
    static HOST: OnceLock<HashMap<u64, u64>> = OnceLock::new();
    let all = HOST.get_or_init(|| {
        let bytes = std::fs::read("/proc/self/auxv").unwrap_or_default();
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|w| u64::from_ne_bytes(w.try_into().expect("chunks of 8")))
            .collect();
        words.chunks_exact(2).map(|p| (p[0], p[1])).collect()
    });
    all.get(&key).copied().unwrap_or(0)
}

/// Reads what is needed of the host, before the process gives up opening files.
pub fn init() {
    host_auxv(AT_HWCAP);
}

/// Puts the stack's contents into the image and returns the stack pointer.
pub fn build(
    loaded: &mut Loaded,
    args: &Strings,
    env: &Strings,
    filename: &[u8],
    cred: &Cred,
    secure: bool,
    randomize: bool,
) -> u64 {
    let top = loaded.image.stack_top;
    let file_at = top - 8 - filename.len() as u64 - 1;
    let env_at = file_at - env.bytes.len() as u64;
    let arg_at = env_at - args.bytes.len() as u64;
    let layout = &mut loaded.image.layout;
    (layout.arg_start, layout.arg_end) = (arg_at, env_at);
    (layout.env_start, layout.env_end) = (env_at, file_at);

    let jitter = if randomize { random::u64() % 8192 } else { 0 };
    let platform_at = ((arg_at - jitter) & !15) - b"x86_64\0".len() as u64;
    let random_at = platform_at - 16;
    let random_at = random_at & !15;
    let mut seed = [0; 16];
    random::fill(&mut seed);

    let auxv = vec![
        (AT_SYSINFO_EHDR, loaded.image.vdso_header()),
        (
            AT_MINSIGSTKSZ,
            host_auxv(AT_MINSIGSTKSZ).max(abi::signal::MINSIGSTKSZ),
        ),
        (AT_HWCAP, host_auxv(AT_HWCAP)),
        (AT_PAGESZ, platform::PAGE_SIZE),
        (AT_CLKTCK, abi::time::USER_HZ),
        (AT_PHDR, loaded.phdr),
        (AT_PHENT, 56),
        (AT_PHNUM, loaded.phnum),
        (AT_BASE, loaded.base),
        (AT_FLAGS, 0),
        (AT_ENTRY, loaded.entry),
        (AT_UID, u64::from(cred.uid)),
        (AT_EUID, u64::from(cred.euid)),
        (AT_GID, u64::from(cred.gid)),
        (AT_EGID, u64::from(cred.egid)),
        (AT_SECURE, u64::from(secure)),
        (AT_RANDOM, random_at),
        (AT_HWCAP2, hwcap2()),
        (AT_EXECFN, file_at),
        (AT_PLATFORM, platform_at),
        (AT_NULL, 0),
    ];
    let words = 1 + args.count + 1 + env.count + 1 + 2 * auxv.len();
    let sp = (random_at - 8 * words as u64) & !15;

    let mut out: Vec<u64> = Vec::with_capacity(words);
    out.push(args.count as u64);
    for (strings, mut at) in [(args, arg_at), (env, env_at)] {
        for string in strings.iter() {
            out.push(at);
            at += string.len() as u64 + 1;
        }
        out.push(0);
    }
    out.extend(auxv.iter().flat_map(|(key, value)| [*key, *value]));

    // Two pieces: the gap between them may be pages long, and nobody needs those yet.
    let mut words: Vec<u8> = out.iter().flat_map(|word| word.to_ne_bytes()).collect();
    words.resize((random_at - sp) as usize, 0);
    words.extend(seed);
    words.resize((platform_at - sp) as usize, 0);
    words.extend(b"x86_64\0");
    let strings = [&args.bytes, &env.bytes, filename, &[0]].concat();
    loaded.image.layout.start_stack = sp;
    loaded.image.stack = vec![(sp, words), (arg_at, strings)];
    loaded.image.auxv = auxv;
    sp
}
