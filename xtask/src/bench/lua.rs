//! Lua's C sources for the build row, from the crate `lua-src`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Fetches the crate with cargo into `dir`; the directory of Lua 5.4.
pub fn sources(dir: &Path) -> Result<PathBuf, String> {
    let project = dir.join("lua");
    let io = |e: std::io::Error| e.to_string();
    std::fs::create_dir_all(project.join("src")).map_err(io)?;
    std::fs::write(project.join("src/lib.rs"), "").map_err(io)?;
    std::fs::write(
        project.join("Cargo.toml"),
        "[package]\nname = \"lua\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nlua-src = \"=550.1.1\"\n\n[workspace]\n",
    )
    .map_err(io)?;
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["vendor", "--quiet"])
        .current_dir(&project)
        .stdout(Stdio::null())
        .status()
        .map_err(io)?;
    if !status.success() {
        return Err("cargo can't fetch the crate lua-src".into());
    }
    std::fs::read_dir(project.join("vendor/lua-src"))
        .map_err(io)?
        .flatten()
        .map(|e| e.path())
        .find(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("lua-5.4"))
        })
        .ok_or_else(|| "the crate lua-src has no Lua 5.4".to_string())
}
