//! The machine put together from its options, run, and ended.

use crate::cmdline::{Options, Root};
use crate::instance::{self, Instance};
use drivers::console::{self, ConsoleConfig, Emulator};
use drivers::control::{self, Description};
use drivers::hostfs::{self, Confinement, HostFs};
use host::EventLoop;
use kernel::boot::{self, Init};
use kernel::machine::{self, End};
use kernel::vfs::FileSystem;
use platform::{Config, Platform};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

/// The init for machines on the host's tree (see `init/main.rs`).
static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
/// Bytes of a kernel stack; only touched pages cost memory.
const FIBER_STACK: usize = 256 << 10;
/// Set in the environment when the machine starts again: the filter of the first start is still in force, and each one
/// more would count against the host's limit on their length.
const FILTERED: &str = "UMLAUT_FILTERED";
/// The machine's directory, for an end that doesn't come by [`run`].
static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
/// With `quiet`, lines of the log from this level on are not printed (CONFIG_CONSOLE_LOGLEVEL_QUIET).
const QUIET_LOGLEVEL: u8 = 4;

/// Runs the machine to its end and returns the process's status.
pub fn run(options: Options) -> ExitCode {
    let (platform, instance) = match start(&options) {
        Ok(started) => started,
        Err(message) => {
            console::finish();
            eprintln!("linux: {message}");
            return ExitCode::FAILURE;
        }
    };
    let end = machine::wait();
    console::finish();
    control::finish();
    platform.shut_down();
    match end {
        End::Reboot if !options.noreboot => {
            drop(instance);
            start_again()
        }
        End::Halt | End::PowerOff | End::Reboot => ExitCode::from(machine::exit_code()),
        // The directory stays, as a crash would leave it: the next machine of that name takes it over.
        End::Panic(message) => {
            drivers::mconsole::notify_panic(&message);
            std::mem::forget(instance);
            std::process::abort()
        }
    }
}

/// Makes a panic of the kernel's own code, on whichever host thread, a kernel panic. The report goes past the log and
/// the console, whose locks the thread may hold.
pub fn panic_ends_the_machine() {
    std::panic::set_hook(Box::new(|info| {
        let trace = std::backtrace::Backtrace::force_capture();
        let report =
            format!("Kernel panic - not syncing: kernel BUG: {info}\nCall Trace:\n{trace}");
        eprintln!("{}", report.replace('\n', "\r\n"));
        machine::request(End::Panic(info.to_string()));
    }));
}

/// Executes this program anew in this process, with the same arguments.
fn start_again() -> ExitCode {
    let error = match std::env::current_exe() {
        Ok(program) => std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(FILTERED, "1")
            .exec(),
        Err(e) => e,
    };
    eprintln!("linux: Failed to exec kernel: {error}");
    ExitCode::FAILURE
}

fn entropy(buf: &mut [u8]) {
    let mut done = 0;
    while done < buf.len() {
        match rustix::rand::getrandom(&mut buf[done..], rustix::rand::GetRandomFlags::empty()) {
            Ok(got) => done += got,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => panic!("the host has no random numbers: {e}"),
        }
    }
}

/// The host's description of its first processor; empty when it doesn't tell.
fn first_cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut first = text.split("\n\n").next().unwrap_or_default().to_owned();
    first.push('\n');
    first
}

/// Bytes of the host's memory.
fn host_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram * u64::from(info.mem_unit)
}

fn start(options: &Options) -> Result<(Platform, Option<Instance>), String> {
    host::descriptor::note_inherited();
    host::signals::block().map_err(|e| format!("the host refuses a signal mask: {e}"))?;
    let config = console_config(options);
    let failed = |e: std::io::Error| format!("the host refuses a process: {e}");
    if console::has_display() {
        host::launcher::start().map_err(failed)?;
    }
    if !host::terminal::standard_terminals().is_empty() || config.takes_terminals() {
        host::guardian::start().map_err(failed)?;
    }
    // Modes of host files are the guest's, whose umask has been applied.
    rustix::process::umask(rustix::fs::Mode::empty());
    let platform = Platform::start(Config {
        ncpus: options.ncpus,
        fiber_stack: FIBER_STACK,
        spin: options.spin,
        fsgsbase: options.fsgsbase,
    })
    .map_err(|e| format!("the host refuses what guest processes need: {e}"))?;
    let memory = options.mem.unwrap_or_else(|| host_memory() / 2);
    boot::early(&platform, memory, &options.cmdline, entropy)
        .map_err(|e| format!("boot failed: {e:?}"))?;
    let cpu = first_cpu();
    kernel::fs::proc::set_cpu_info(if platform::fsgsbase() {
        cpu
    } else {
        cpu.replace(" fsgsbase", "")
    });
    let confinement = Confinement {
        root: options
            .hostfs_root
            .clone()
            .map_or_else(|| PathBuf::from("/"), PathBuf::from),
        append: options.hostfs_append,
    };
    hostfs::init(confinement);
    consoles(&config)?;
    if let Some(socket) = &options.notify {
        drivers::mconsole::set_notify(socket.clone());
    }
    let instance = Instance::claim(options.umid.as_deref(), options.uml_dir.as_deref());
    if let Some(instance) = &instance {
        console::set_umid(&instance.umid());
        DIRECTORY.get_or_init(|| instance.dir().to_owned());
        drivers::mconsole::start(&instance.socket());
        serve_control(options, instance);
    }
    let root = match &options.root {
        Root::HostTree => {
            let lower = HostFs::host_tree().map_err(|e| {
                format!("the host's tree can't be used as a root ({:?})", e.errno())
            })?;
            boot::Root::Overlay {
                lower,
                options: ",lowerdir=/,upperdir=memory".into(),
            }
        }
        Root::HostFs(dir) => boot::Root::Plain {
            fs: mount_hostfs(dir.as_bytes())?,
            source: "/dev/root".into(),
        },
    };
    boot::start(root, options.read_only, init(options), environment(options))
        .map_err(|e| format!("boot failed: {e:?}"))?;
    // A host without seccomp runs the machine all the same: the filter is a second line.
    if std::env::var_os(FILTERED).is_none()
        && let Err(e) = host::sandbox::enter()
    {
        kernel::pr_warn!("seccomp: the kernel process runs without a filter: {e}");
    }
    Ok((platform, instance))
}

/// Opens the socket for `umlaut`. A machine without it runs all the same.
fn serve_control(options: &Options, instance: &Instance) {
    let dir = instance.dir();
    let description = Description {
        umid: instance.umid(),
        image: match &options.root {
            Root::HostTree => "host tree".into(),
            Root::HostFs(dir) => dir.clone(),
        },
    };
    if let Err(e) = control::init(dir, description) {
        kernel::pr_err!("control: no socket in '{}': {e}", dir.display());
    }
}

fn mount_hostfs(data: &[u8]) -> Result<Arc<dyn FileSystem>, String> {
    match HostFs::mount(data) {
        Ok(fs) => Ok(fs),
        Err(e) => {
            let dir = String::from_utf8_lossy(data);
            Err(format!(
                "rootflags={dir}: the directory can't be used as a root ({:?}); name an existing directory of the host",
                e.errno()
            ))
        }
    }
}

fn init(options: &Options) -> Init {
    let args = options.init_args.iter().map(|a| a.clone().into_bytes());
    match &options.init {
        Some(path) => {
            let path = path.clone().into_bytes();
            let argv = std::iter::once(path.clone()).chain(args).collect();
            Init::Program { path, argv }
        }
        None if options.root == Root::HostTree => {
            let cwd = std::env::current_dir()
                .map_or_else(|_| b"/".to_vec(), |dir| dir.as_os_str().as_bytes().to_vec());
            let shell = ["/bin/bash", "/bin/sh"]
                .into_iter()
                .find(|p| std::path::Path::new(p).exists());
            let shell = shell.unwrap_or("/bin/sh").as_bytes().to_vec();
            Init::Image {
                image: INIT,
                argv: [b"init".to_vec(), cwd, shell]
                    .into_iter()
                    .chain(args)
                    .collect(),
            }
        }
        None => Init::Search {
            args: args.collect(),
        },
    }
}

/// What init finds in its environment: Linux's HOME and TERM, the host's TERM and locale, and what the command line says.
fn environment(options: &Options) -> Vec<Vec<u8>> {
    let term = std::env::var("TERM").unwrap_or_else(|_| "linux".into());
    let mut env = vec!["HOME=/root".to_owned(), format!("TERM={term}")];
    if options.root == Root::HostTree {
        env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        env.push("USER=root".into());
        env.push("LOGNAME=root".into());
        env.push("SHELL=/bin/bash".into());
        env.extend(
            ["LANG", "LC_ALL", "LC_CTYPE", "COLORTERM"]
                .into_iter()
                .filter_map(|name| {
                    std::env::var(name)
                        .ok()
                        .map(|value| format!("{name}={value}"))
                }),
        );
    }
    env.extend(options.init_env.iter().cloned());
    env.into_iter().map(String::into_bytes).collect()
}

fn console_config(options: &Options) -> ConsoleConfig {
    let mut config = ConsoleConfig::default();
    config.loglevel = options.quiet.then_some(QUIET_LOGLEVEL);
    config.console = options.console.clone();
    config.ssl_non_raw = options.ssl_non_raw;
    config.stderr = options.stderr;
    if let Some(xterm) = &options.xterm {
        config.xterm = Emulator::parse(xterm);
    }
    for (serial, rest) in &options.lines {
        config.add(*serial, rest);
    }
    config
}

/// Joins the consoles to the host, as the command line says, and answers the host's signals.
fn consoles(config: &ConsoleConfig) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("the host refuses an event loop: {e}");
    let events = EventLoop::start().map_err(failed)?;
    console::init(config, &events)?;
    let watch = console::handle_signals(&events, |wishes| {
        if wishes > 1 {
            console::finish();
            if let Some(dir) = DIRECTORY.get() {
                instance::remove_dir(dir);
            }
            std::process::exit(i32::from(machine::exit_code()));
        }
        machine::request(End::PowerOff);
    })
    .map_err(failed)?;
    // Signals are answered to the end.
    std::mem::forget(watch);
    Ok(())
}
