//! The command line: options of the kernel, words for init, and refusals by name of what isn't there yet.
//!
//! Each argument is one option; what isn't swallowed makes up /proc/cmdline, as in User-Mode Linux.

use platform::Spin;
use std::path::PathBuf;

/// Bytes that /proc/cmdline may have.
const CMDLINE_MAX: usize = 4096;
/// Smallest memory that a machine starts with, bytes.
const MEM_MIN: u64 = 20 << 20;

/// What the root file system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The host's tree under an overlay in memory.
    HostTree,
    /// A hostfs directory, writable with `rw` (`rootfstype=hostfs rootflags=<dir>`).
    HostFs(String),
}

/// The machine that the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    pub root: Root,
    pub read_only: bool,
    pub init: Option<String>,
    /// Bytes; None for the default.
    pub mem: Option<u64>,
    pub ncpus: usize,
    /// `spin=`.
    pub spin: Spin,
    /// False by `nofsgsbase`.
    pub fsgsbase: bool,
    /// What stands behind `con` and `ssl` (true), as given: `1=pts`.
    pub lines: Vec<(bool, String)>,
    /// `console=`, in order.
    pub console: Vec<String>,
    pub ssl_non_raw: bool,
    /// `xterm=`.
    pub xterm: Option<String>,
    /// `stderr=1`.
    pub stderr: bool,
    pub umid: Option<String>,
    pub uml_dir: Option<PathBuf>,
    /// Socket that notifications go to (`mconsole=notify:<socket>`).
    pub notify: Option<PathBuf>,
    pub hostfs_root: Option<String>,
    pub hostfs_append: bool,
    pub quiet: bool,
    pub noreboot: bool,
    pub init_args: Vec<String>,
    pub init_env: Vec<String>,
    /// The text of /proc/cmdline.
    pub cmdline: String,
}

/// What the arguments come down to.
#[derive(Debug)]
pub enum Parsed {
    Boot(Box<Options>),
    /// Print this on standard output and exit with 0.
    Print(String),
}

/// Options of User-Mode Linux that Umlaut doesn't have yet, with what they are for.
const LATER: &[(&str, &str)] = &[
    ("ubd", "disks"),
    ("eth", "network devices"),
    ("vec", "network devices"),
    ("initrd=", "initial RAM disks"),
    ("iomem=", "I/O memory"),
    ("virtio_uml.", "virtio devices"),
    ("time-travel", "time travel"),
    ("dtb=", "device trees"),
    ("dsp=", "audio"),
    ("mixer=", "audio"),
    ("fake_ide", "IDE entries"),
    (
        "seccomp=",
        "a choice of how guest code runs (Umlaut has one way)",
    ),
    ("nosysemu", "ptrace options (Umlaut doesn't use ptrace)"),
];

/// Parses the arguments behind the program's name. `root_fs_here`: a file `root_fs` lies in the current directory.
pub fn parse(args: &[String], root_fs_here: bool) -> Result<Parsed, String> {
    if let Some(text) = question(args) {
        return Ok(Parsed::Print(text));
    }
    let mut o = Options {
        root: Root::HostTree,
        read_only: false,
        init: None,
        mem: None,
        ncpus: 1,
        spin: Spin::default(),
        fsgsbase: true,
        lines: Vec::new(),
        console: Vec::new(),
        ssl_non_raw: false,
        xterm: None,
        stderr: false,
        umid: None,
        uml_dir: None,
        notify: None,
        hostfs_root: None,
        hostfs_append: false,
        quiet: false,
        noreboot: false,
        init_args: Vec::new(),
        init_env: Vec::new(),
        cmdline: String::new(),
    };
    let mut forwarded: Vec<&str> = Vec::new();
    let (mut root, mut fstype, mut flags) = (None, None, None);
    let mut rest = args.iter().enumerate();
    while let Some((i, arg)) = rest.next() {
        if i == 0 && arg.starts_with(' ') {
            continue;
        }
        let (key, value) = arg
            .split_once('=')
            .map_or((arg.as_str(), None), |(k, v)| (k, Some(v)));
        if arg == "--" {
            forwarded.push(arg);
            for (_, word) in rest.by_ref() {
                forwarded.push(word);
                o.init_args.push(word.clone());
            }
            break;
        }
        if let Some((name, what)) = LATER.iter().find(|(name, _)| arg.starts_with(name)) {
            return Err(format!(
                "option '{arg}': '{}' is not supported yet: {what}. Leave it out.",
                name.trim_end_matches(['=', '.'])
            ));
        }
        match (key, value) {
            ("umid", Some(name)) => {
                if o.umid.is_some() {
                    eprintln!("umid already set");
                } else {
                    o.umid = Some(name.to_owned());
                }
                continue;
            }
            ("mconsole", Some(value)) => match value.strip_prefix("notify:") {
                Some(socket) => o.notify = Some(PathBuf::from(socket)),
                None => eprintln!("mconsole_setup : Unknown option - '{value}'"),
            },
            ("uml_dir", Some(dir)) => {
                o.uml_dir = Some(PathBuf::from(dir));
                continue;
            }
            ("mem", Some(size)) => {
                o.mem = Some(memory(size)?);
                continue;
            }
            ("ncpus", Some(n)) => {
                let n: usize = n.parse().map_err(|_| format!("Couldn't parse '{n}'"))?;
                o.ncpus = n.clamp(1, 64);
                continue;
            }
            ("spin", Some(when)) => {
                o.spin = match when {
                    "auto" => Spin::Auto,
                    "off" => Spin::Off,
                    "always" => Spin::Always,
                    _ => return Err(format!("option '{arg}': auto, off or always")),
                };
                continue;
            }
            ("hostfs", Some(value)) => {
                hostfs(&mut o, value);
                continue;
            }
            ("noreboot", None) => {
                o.noreboot = true;
                continue;
            }
            ("nofsgsbase", None) => o.fsgsbase = false,
            ("quiet", None) => o.quiet = true,
            ("root", Some(device)) => root = Some(device.to_owned()),
            ("rootfstype", Some(kind)) => fstype = Some(kind.to_owned()),
            ("rootflags", Some(text)) => flags = Some(text.to_owned()),
            ("ro", None) => o.read_only = true,
            ("rw", None) => o.read_only = false,
            ("init", Some(path)) => o.init = Some(path.to_owned()),
            ("console", Some(device)) => o.console.push(device.to_owned()),
            ("xterm", Some(emulator)) => {
                o.xterm = Some(emulator.to_owned());
                continue;
            }
            ("stderr", Some(keep)) => o.stderr = keep != "0",
            ("ssl-non-raw", None) => o.ssl_non_raw = true,
            // A panic ends the process at once whatever the number says.
            ("panic", Some(n)) => {
                n.parse::<i64>()
                    .map_err(|_| format!("option '{arg}': '{n}' is not a number of seconds"))?;
            }
            // Always ours, whatever stands behind: the driver complains in the kernel log.
            _ if arg.starts_with("con") => o.lines.push((false, arg[3..].to_owned())),
            _ if arg.starts_with("ssl") => o.lines.push((true, arg[3..].to_owned())),
            ("debug" | "single" | "rootwait" | "nosmp", None) | ("loglevel", Some(_)) => {
                if arg == "single" {
                    o.init_args.push(arg.clone());
                }
            }
            // Module parameters (a.b=c) are nobody's; everything else unknown is init's.
            (_, Some(_)) if key.contains('.') => {}
            (_, Some(_)) => o.init_env.push(arg.clone()),
            _ => o.init_args.push(arg.clone()),
        }
        forwarded.push(arg);
    }
    let mut line = forwarded.join(" ");
    if root.is_none() {
        line += " root=98:0";
    }
    if o.console.is_empty() {
        line += " console=tty0";
    }
    if line.len() >= CMDLINE_MAX {
        return Err("add_arg: Too many command line arguments!".into());
    }
    o.cmdline = line.trim_start().to_owned();
    o.root = choose_root(root, fstype, flags, root_fs_here)?;
    Ok(Parsed::Boot(Box::new(o)))
}

fn choose_root(
    root: Option<String>,
    fstype: Option<String>,
    flags: Option<String>,
    root_fs_here: bool,
) -> Result<Root, String> {
    match (root.as_deref(), fstype.as_deref()) {
        (_, Some("hostfs")) => Ok(Root::HostFs(flags.unwrap_or_else(|| "/".into()))),
        (_, Some(other)) => {
            Err(format!("option 'rootfstype={other}': only hostfs can be the root so far; write rootfstype=hostfs rootflags=<directory>"))
        }
        (Some(device), None) => Err(format!(
            "option 'root={device}': disks are not supported yet; leave it out to run on the host's tree, or write rootfstype=hostfs rootflags=<directory>"
        )),
        (None, None) if root_fs_here => Err(
            "the file 'root_fs' in the current directory would be the root disk, but disks are not supported yet; \
             start in another directory to run on the host's tree"
                .into(),
        ),
        (None, None) => Ok(Root::HostTree),
    }
}

/// What is printed instead of a boot, whatever else the line says.
fn question(args: &[String]) -> Option<String> {
    args.iter()
        .take_while(|arg| *arg != "--")
        .find_map(|arg| match arg.as_str() {
            a if a.starts_with("--version") => Some(format!("{}\n", kernel::RELEASE)),
            a if a.starts_with("--help") => Some(crate::help::text()),
            a if a.starts_with("--showconfig") => Some(crate::help::config()),
            a => {
                // Said although nothing is booted, as by the original's early options.
                if let Some(value) = a.strip_prefix("hostfs=") {
                    unknown_hostfs_flags(value);
                }
                None
            }
        })
}

/// `<n>[kKmMgG]` with any base, as memparse().
fn memory(text: &str) -> Result<u64, String> {
    let bad =
        || format!("option 'mem={text}': not an amount of memory; write for example mem=512M");
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.is_empty() => Ok(0),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let bytes = number
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .ok_or_else(bad)?;
    if bytes < MEM_MIN {
        return Err(format!(
            "Too few physical memory! Needed={MEM_MIN}, given={bytes}"
        ));
    }
    Ok(bytes)
}

fn hostfs(o: &mut Options, value: &str) {
    let mut parts = value.split(',');
    match parts.next() {
        Some("") | None => {}
        Some(root) => o.hostfs_root = Some(root.to_owned()),
    }
    o.hostfs_append |= parts.any(|flag| flag == "append");
}

fn unknown_hostfs_flags(value: &str) {
    for flag in value.split(',').skip(1).filter(|flag| *flag != "append") {
        println!("hostfs_args - unsupported option - {flag}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(words: &[&str]) -> Options {
        let args: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        match parse(&args, false) {
            Ok(Parsed::Boot(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(words: &[&str]) -> String {
        let args: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        parse(&args, false).expect_err("must be refused")
    }

    #[test]
    fn unknown_words_go_to_init() {
        let o = boot(&["FOO=bar", "5", "a.b=c", "--", "x", "y=z"]);
        assert_eq!(o.init_env, ["FOO=bar"]);
        assert_eq!(o.init_args, ["5", "x", "y=z"]);
        assert_eq!(o.cmdline, "FOO=bar 5 a.b=c -- x y=z root=98:0 console=tty0");
    }

    #[test]
    fn swallowed_options_are_not_in_the_command_line() {
        let o = boot(&["umid=m", "mem=64M", "ncpus=2", "con=null", "con0=fd:0,fd:1"]);
        assert_eq!(o.cmdline, "con=null con0=fd:0,fd:1 root=98:0 console=tty0");
        assert_eq!(o.mem, Some(64 << 20));
        assert_eq!((o.ncpus, o.spin), (2, Spin::Auto));
        assert_eq!(
            o.lines,
            [
                (false, "=null".to_owned()),
                (false, "0=fd:0,fd:1".to_owned())
            ]
        );
    }

    #[test]
    fn bases_by_instruction_can_be_forbidden() {
        assert!(boot(&[]).fsgsbase);
        assert!(!boot(&["nofsgsbase"]).fsgsbase);
    }

    #[test]
    fn spin_takes_three_words() {
        assert_eq!(boot(&["spin=off"]).spin, Spin::Off);
        assert_eq!(boot(&["spin=always"]).spin, Spin::Always);
        assert!(refusal(&["spin=on"]).contains("spin=on"));
    }

    #[test]
    fn consoles_and_serial_lines() {
        let o = boot(&[
            "xterm=a,-b,-c",
            "ssl3=pts",
            "ssl-non-raw",
            "console=ttyS3",
            "stderr=1",
        ]);
        assert_eq!(
            o.cmdline,
            "ssl3=pts ssl-non-raw console=ttyS3 stderr=1 root=98:0"
        );
        assert_eq!(o.lines, [(true, "3=pts".to_owned())]);
        assert_eq!(o.console, ["ttyS3"]);
        assert_eq!(o.xterm.as_deref(), Some("a,-b,-c"));
        assert!(o.ssl_non_raw && o.stderr);
    }

    #[test]
    fn later_options_are_refused_by_name() {
        for option in ["ubd0=root_fs", "eth0=daemon", "initrd=x", "root=/dev/ubda"] {
            assert!(refusal(&[option]).contains(option), "{option}");
        }
    }

    #[test]
    fn memory_sizes() {
        assert_eq!(
            refusal(&["mem=1M"]),
            "Too few physical memory! Needed=20971520, given=1048576"
        );
        assert_eq!(boot(&["mem=0x4000000"]).mem, Some(64 << 20));
        assert!(refusal(&["mem=lots"]).contains("mem=lots"));
    }

    #[test]
    fn overlong_lines_are_refused() {
        let long = "x".repeat(1000);
        let words = [long.as_str(); 6];
        assert_eq!(refusal(&words), "add_arg: Too many command line arguments!");
    }

    #[test]
    fn hostfs_root() {
        let o = boot(&[
            "rootfstype=hostfs",
            "rootflags=/srv/tree",
            "rw",
            "init=/init",
        ]);
        assert_eq!(o.root, Root::HostFs("/srv/tree".into()));
        assert_eq!(o.init.as_deref(), Some("/init"));
    }
}
