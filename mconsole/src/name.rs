//! From what a person calls a machine to its socket.

use std::io;
use std::path::{Path, PathBuf};

/// The socket's name in a machine's directory.
pub const SOCKET: &str = "mconsole";
/// The file beside it with the machine's process id.
pub const PID: &str = "pid";

/// A path that was tried and why it isn't the one.
pub type Tried = (PathBuf, io::Error);

/// The socket of machine `name`: the first that exists of the umid in `~/.uml`, the umid in /tmp/uml, and the path itself. With it
/// comes what was tried before. Err: nothing exists.
pub fn resolve(name: &str) -> Result<(PathBuf, Vec<Tried>), Vec<Tried>> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".uml"));
    resolve_in(
        home.iter()
            .map(PathBuf::as_path)
            .chain([Path::new("/tmp/uml")]),
        name,
    )
}

/// As [`resolve`], with the directories of machines to look in.
pub fn resolve_in<'a>(
    dirs: impl IntoIterator<Item = &'a Path>,
    name: &str,
) -> Result<(PathBuf, Vec<Tried>), Vec<Tried>> {
    let mut tried = Vec::new();
    // Composed as text: an absolute `name` must not replace the directory.
    let in_dirs = dirs.into_iter().map(|dir| {
        let mut path = dir.as_os_str().to_owned();
        path.push(format!("/{name}/{SOCKET}"));
        PathBuf::from(path)
    });
    for path in in_dirs.chain([PathBuf::from(name)]) {
        match std::fs::metadata(&path) {
            Ok(_) => return Ok((path, tried)),
            Err(e) => tried.push((path, e)),
        }
    }
    Err(tried)
}

/// The process id in the file beside `socket`.
pub fn pid_beside(socket: &Path) -> io::Result<i32> {
    let text = std::fs::read_to_string(socket.with_file_name(PID))?;
    text.trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a process id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_exists() {
        let dir = std::env::temp_dir().join(format!("mconsole-name-{}", std::process::id()));
        let (first, second) = (dir.join("a"), dir.join("b"));
        std::fs::create_dir_all(second.join("m")).unwrap();
        std::fs::write(second.join("m/mconsole"), "").unwrap();
        std::fs::write(second.join("m/pid"), "12\n").unwrap();
        let dirs = [first.as_path(), second.as_path()];
        let (path, tried) = resolve_in(dirs, "m").unwrap();
        assert_eq!(path, second.join("m/mconsole"));
        assert_eq!(tried.len(), 1);
        assert_eq!(pid_beside(&path).unwrap(), 12);
        let (by_path, tried) = resolve_in(dirs, path.to_str().unwrap()).unwrap();
        assert_eq!((by_path, tried.len()), (path, 2));
        assert_eq!(resolve_in(dirs, "n").unwrap_err().len(), 3);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
