//! From nothing to init: starts the kernel's own parts, mounts the root, and executes the first program.

use crate::error::Result;
use crate::fs::{devtmpfs, overlay::OverlayFs, tmpfs};
use crate::log::{self, Level};
use crate::mm::pagecache;
use crate::task::Context;
use crate::task::{FsContext, exec};
use crate::vfs::{self, FdTable, FileSystem, LookupFlags, Mount, Superblock};
use crate::{pr_info, random, sched, time};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, OpenFlags};
use abi::mount::MountFlags;
use platform::Platform;
use std::sync::{Arc, OnceLock};

/// The root file system.
pub enum Root {
    /// A tree that stays as it is, with changes in memory above it.
    Overlay {
        lower: Arc<dyn FileSystem>,
        options: String,
    },
    Plain {
        fs: Arc<dyn FileSystem>,
        source: String,
    },
}

/// The first program.
pub enum Init {
    /// One path with its arguments (argv[0] included); failure to execute it is a panic.
    Program { path: Vec<u8>, argv: Vec<Vec<u8>> },
    /// Linux's list: /sbin/init, /etc/init, /bin/init, /bin/sh. `args` go behind argv[0].
    Search { args: Vec<Vec<u8>> },
    /// An ELF image that isn't in the tree.
    Image {
        image: &'static [u8],
        argv: Vec<Vec<u8>>,
    },
}

static START_NS: OnceLock<u64> = OnceLock::new();
static CMDLINE: OnceLock<String> = OnceLock::new();

/// CLOCK_MONOTONIC nanoseconds at which the machine started.
pub fn start_ns() -> u64 {
    *START_NS.get_or_init(time::monotonic_ns)
}

/// The text of /proc/cmdline.
pub fn cmdline() -> &'static str {
    CMDLINE.get().map_or("", String::as_str)
}

/// Starts the parts that need no file system: log, clocks, vCPUs, drivers' registries. Once, on the main thread.
pub fn early(
    platform: &Platform,
    memory: u64,
    cmdline: &str,
    entropy: fn(&mut [u8]),
) -> Result<()> {
    start_ns();
    CMDLINE.get_or_init(|| cmdline.to_owned());
    pr_info!(
        "Linux version {} (umlaut@umlaut) (rustc) {}",
        crate::RELEASE,
        crate::VERSION
    );
    pr_info!("Kernel command line: {cmdline}");
    random::set_source(entropy);
    time::timer::start();
    time::load::start();
    pagecache::init(platform);
    crate::mm::set_total(memory);
    crate::task::account::init(memory);
    pr_info!("Memory: {}K available", memory / 1024);
    sched::start(platform);
    pr_info!(
        "smp: Brought up 1 node, {} CPU{}",
        platform.ncpus(),
        if platform.ncpus() == 1 { "" } else { "s" }
    );
    crate::ipc::init();
    crate::device::init();
    devtmpfs::populate()?;
    crate::tty::init()?;
    register_file_systems(memory);
    Ok(())
}

fn register_file_systems(memory: u64) {
    for name in ["tmpfs", "ramfs"] {
        vfs::register_with_parameters(name, false, tmpfs::PARAMETERS, move |_, data, _| {
            Ok(tmpfs::TmpFs::new(tmpfs::Options::parse(data, memory)?))
        });
    }
    crate::fs::overlay::mount::register();
    vfs::register_filesystem("proc", false, |_source, _data, _flags| {
        Ok(crate::fs::proc::instance())
    });
    vfs::register_filesystem("sysfs", false, |_source, _data, _flags| {
        Ok(crate::fs::sysfs::instance())
    });
    vfs::register_filesystem("devtmpfs", false, |_source, _data, _flags| {
        Ok(devtmpfs::instance())
    });
}

/// Mounts the root and starts init. Returns when init has been started as a task.
pub fn start(root: Root, read_only: bool, init: Init, envp: Vec<Vec<u8>>) -> Result<()> {
    let flags = if read_only {
        MountFlags::MS_RDONLY
    } else {
        MountFlags::empty()
    };
    let path = match root {
        Root::Overlay { lower, options } => {
            let upper = tmpfs::TmpFs::new(tmpfs::Options {
                mode: 0o755,
                // As any tmpfs: a full disk leaves programs memory to run in.
                size: Some(pagecache::limit_bytes() / 2),
                inodes: Some(pagecache::limit_bytes() / 2 / pagecache::PAGE),
                ..Default::default()
            });
            let (top, bottom) = (upper.root(), lower.root());
            let fs = OverlayFs::new(upper, top, lower, bottom, options)?;
            vfs::mount_root(fs, "overlay", flags)
        }
        Root::Plain { fs, source } => vfs::mount_root(fs, &source, flags),
    };
    pr_info!(
        "VFS: Mounted root ({} filesystem){} on device 0:{}.",
        path.mount.superblock().fs.name(),
        if read_only { " readonly" } else { "" },
        abi::fs::minor(path.mount.superblock().fs.dev())
    );
    let fs = FsContext::new(path.clone(), path, 0o022);
    exec::start_kernel_task(b"flush", pagecache::writeback::run);
    exec::start_init(fs, FdTable::new(), move |cx| {
        mount_dev(cx);
        open_console(cx);
        pr_info!("Freeing unused kernel memory: 0K");
        run_first(cx, init, &envp)
    })?;
    Ok(())
}

/// CONFIG_DEVTMPFS_MOUNT: /dev is there before init runs.
fn mount_dev(cx: &mut Context) {
    let at = vfs::lookup(&cx.task, AT_FDCWD, b"/dev", LookupFlags::FOLLOW);
    let mounted = at.and_then(|at| {
        let superblock = Superblock::of(devtmpfs::instance(), false);
        let root = superblock.root.clone();
        vfs::mount::attach(
            &Mount::new(superblock, root, MountFlags::empty(), "devtmpfs"),
            &at,
        )
    });
    match mounted {
        Ok(()) => pr_info!("devtmpfs: mounted"),
        Err(e) => pr_info!("devtmpfs: error mounting {}", -i32::from(e.errno().0)),
    }
}

fn open_console(cx: &mut Context) {
    match vfs::open(&cx.task, b"/dev/console", OpenFlags::O_RDWR, 0) {
        Ok(file) => {
            for _ in 0..3 {
                // The table is empty: 0, 1 and 2 are free.
                let _fd = cx.task.files().install(file.clone(), false, 0, 3);
            }
        }
        Err(_) => log::write(
            Level::Err,
            format_args!("Warning: unable to open an initial console."),
        ),
    }
}

fn run_first(cx: &mut Context, init: Init, envp: &[Vec<u8>]) -> bool {
    let env: Vec<&[u8]> = envp.iter().map(Vec::as_slice).collect();
    let run = |cx: &mut Context, path: &[u8], argv: &[&[u8]]| {
        pr_info!("Run {} as init process", String::from_utf8_lossy(path));
        exec::kernel_execute(cx, path, argv, &env)
    };
    let failed = match init {
        Init::Program { path, argv } => {
            let args: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
            match run(cx, &path, &args) {
                Ok(()) => return true,
                Err(e) => format!(
                    "Requested init {} failed (error {}).",
                    String::from_utf8_lossy(&path),
                    -i32::from(e.errno().0)
                ),
            }
        }
        Init::Search { args } => {
            for path in [&b"/sbin/init"[..], b"/etc/init", b"/bin/init", b"/bin/sh"] {
                let mut argv: Vec<&[u8]> = vec![path];
                argv.extend(args.iter().map(Vec::as_slice));
                match run(cx, path, &argv) {
                    Ok(()) => return true,
                    Err(e) if e == Errno::ENOENT => {}
                    Err(e) => log::write(
                        Level::Err,
                        format_args!(
                            "Starting init: {} exists but couldn't execute it (error {})",
                            String::from_utf8_lossy(path),
                            -i32::from(e.errno().0)
                        ),
                    ),
                }
            }
            "No working init found.  Try passing init= option to kernel.".to_owned()
        }
        Init::Image { image, argv } => {
            let args: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
            match put_image(cx, image).and_then(|path| run(cx, path, &args)) {
                Ok(()) => {
                    devtmpfs::remove(IMAGE_NAME);
                    return true;
                }
                Err(e) => format!("The built-in init failed: {e:?}"),
            }
        }
    };
    crate::machine::panic(&failed);
    false
}

/// Name of the built-in init in /dev while it is executed.
const IMAGE_NAME: &str = ".init";

fn put_image(cx: &Context, image: &[u8]) -> Result<&'static [u8]> {
    let path = b"/dev/.init";
    let file = vfs::open(
        &cx.task,
        path,
        OpenFlags::O_WRONLY | OpenFlags::O_CREAT | OpenFlags::O_EXCL,
        0o700,
    )?;
    let mut offset = 0;
    file.ops()
        .write(&file, &mut vfs::Source::kernel(image), &mut offset)?;
    Ok(path)
}
