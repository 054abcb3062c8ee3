//! Where things are: sources, the built binary, compiled guest programs,
//! scratch directories.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_path_buf()
}

/// Cargo's target directory, taken from where this program lies
/// (`<target>/<profile>/deps/<test>` or `<target>/<profile>/xtask`).
pub fn target() -> PathBuf {
    profile_dir()
        .parent()
        .expect("a profile directory lies in the target directory")
        .to_path_buf()
}

fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this program");
    let dir = exe.parent().expect("a program lies in a directory");
    if dir.file_name().is_some_and(|n| n == "deps") {
        dir.parent().expect("deps lies in a profile").to_path_buf()
    } else {
        dir.to_path_buf()
    }
}

/// Builds a package's programs with the profile that this test was built with (cargo doesn't build another package's
/// programs for a test).
fn build(package: &str) {
    let dir = profile_dir();
    let name = dir
        .file_name()
        .expect("a profile has a name")
        .to_string_lossy()
        .into_owned();
    let profile = if name == "debug" { "dev" } else { &name };
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target())
        .current_dir(root())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "building {package} failed");
}

/// The `linux` binary under test: `$UMLAUT_LINUX`, or built now.
pub fn linux() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("UMLAUT_LINUX") {
            return PathBuf::from(given);
        }
        build("umlaut");
        profile_dir().join("linux")
    })
}

/// A program beside the kernel: in the directory `$UMLAUT_TOOLS`, beside `$UMLAUT_LINUX`, or built as [`linux`] is.
pub fn tool(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIRECTORY.get_or_init(|| {
        if let Some(dir) = std::env::var_os("UMLAUT_TOOLS") {
            return PathBuf::from(dir);
        }
        let beside = std::env::var_os("UMLAUT_LINUX").map(PathBuf::from);
        if let Some(dir) = beside.as_deref().and_then(Path::parent)
            && dir.join("umlaut").exists()
        {
            return dir.to_path_buf();
        }
        build("umlaut-tools");
        profile_dir()
    });
    dir.join(name)
}

/// A directory that is removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// In memory where the host has a tmpfs at /dev/shm, as the guest's is.
    pub fn in_memory(what: &str) -> Scratch {
        Scratch::under(Path::new("/dev/shm"), what)
    }

    /// Where temporary files go on this host.
    pub fn on_disk(what: &str) -> Scratch {
        Scratch::under(&std::env::temp_dir(), what)
    }

    fn under(parent: &Path, what: &str) -> Scratch {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parent = if parent.is_dir() {
            parent.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(format!("umlaut-{what}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|e| panic!("can't make {}: {e}", path.display()));
        open_to_all(&path);
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Programs leave directories without permissions behind.
        let _ = Command::new("chmod")
            .args(["-R", "u+rwX"])
            .arg(&self.0)
            .output();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lets everybody read and enter `path` (mode 0755).
pub fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
}
