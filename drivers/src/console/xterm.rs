//! Windows of terminal emulators (`xterm`): an emulator is started with `port-helper` in it, which hands its terminal to us.

use super::open::Name;
use abi::errno::Errno;
use host::Interest;
use host::descriptor::Descriptor;
use host::handover::{Handed, Receiver};
use host::launcher::{self, News, Program};
use kernel::sync::{Deadline, WaitQueue};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const SOCKET: &str = "/tmp/xterm-pipe";
const HELPER: &str = "port-helper";
const LIBRARY: &str = "/usr/lib/uml";
/// How long a terminal may take to come when the emulator has ended well before it, nanoseconds.
const PATIENCE_NS: u64 = 10_000_000_000;

/// What `xterm=` says: an emulator and its switches for a title and for a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emulator {
    pub program: String,
    pub title: String,
    pub exec: String,
}

impl Emulator {
    /// `<emulator>,<title switch>,<exec switch>`; what is left out is as for xterm.
    pub fn parse(text: &str) -> Emulator {
        let mut fields = text.splitn(3, ',');
        let mut field = |default: &str| match fields.next() {
            Some(given) if !given.is_empty() => given.to_owned(),
            _ => default.to_owned(),
        };
        Emulator {
            program: field("xterm"),
            title: field("-T"),
            exec: field("-e"),
        }
    }
}

impl Default for Emulator {
    fn default() -> Emulator {
        Emulator::parse("")
    }
}

/// Whether the environment has a display: otherwise no emulator can be started.
pub fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// A window: its terminal, and what ends it when dropped.
pub struct XtermWindow {
    pub descriptor: Descriptor,
    pub keep: Vec<Box<dyn Send>>,
}

/// `port-helper`: what $UML_PORT_HELPER says, or beside the running kernel, or in the library's directory, or in PATH.
fn helper() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("UML_PORT_HELPER") {
        let path = PathBuf::from(given);
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(e) => Err(format!(
                "port_connection : error accessing port-helper executable at {}: {e}",
                path.display()
            )),
        };
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(Path::to_owned));
    let search = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain([PathBuf::from(LIBRARY)])
        .chain(std::env::split_paths(&search))
        .map(|dir| dir.join(HELPER))
        .find(|path| executable(path).is_ok())
        .ok_or_else(|| {
            format!(
                "port_connection : error accessing port-helper executable at {LIBRARY}/{HELPER}: \
                 neither there nor beside the kernel nor in PATH"
            )
        })
}

fn executable(path: &Path) -> io::Result<()> {
    let meta = std::fs::metadata(path)?;
    if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(i32::from(Errno::EACCES.0)))
    }
}

/// The emulator's command line.
fn command(
    emulator: &Emulator,
    name: Name,
    umid: &str,
    helper: &Path,
    socket: &Path,
) -> Vec<OsString> {
    let what = if name.serial {
        "Serial Line"
    } else {
        "Virtual Console"
    };
    let umid = match umid {
        "" => String::new(),
        umid => format!(" ({umid})"),
    };
    vec![
        emulator.program.clone().into(),
        emulator.title.clone().into(),
        format!("{what} #{}{umid}", name.index).into(),
        emulator.exec.clone().into(),
        helper.into(),
        "-uml-socket".into(),
        socket.into(),
    ]
}

/// What the event loop has seen of a window that is being opened.
#[derive(Default)]
struct Seen {
    handed: Option<Handed>,
    failed: Option<String>,
    /// The emulator has ended well: it may have asked a server for the window (gnome-terminal).
    left: bool,
}

impl Seen {
    fn outcome(&mut self) -> Option<Result<Handed, String>> {
        let handed = self.handed.take().map(Ok);
        handed.or_else(|| self.failed.take().map(Err))
    }
}

/// Opens a window and waits for its terminal. Logs why when it can't. ENODEV, ERESTARTSYS.
pub fn open(name: Name) -> kernel::Result<XtermWindow> {
    if !has_display() {
        return refused("xterm_open : neither $DISPLAY nor $WAYLAND_DISPLAY is set.");
    }
    match start(name) {
        Ok((receiver, program)) => wait(name, receiver, program),
        Err(message) => {
            if message.starts_with("port_connection") {
                kernel::pr_err!("{message}");
                return refused(
                    "Set UML_PORT_HELPER in the environment to the path of port-helper",
                );
            }
            refused(&message)
        }
    }
}

fn refused<T>(message: &str) -> kernel::Result<T> {
    kernel::pr_err!("{message}");
    Err(Errno::ENODEV.into())
}

fn start(name: Name) -> Result<(Receiver, Program), String> {
    let helper = helper()?;
    let receiver = Receiver::bind(SOCKET)
        .map_err(|e| format!("xterm_open : a socket can't be made at {SOCKET}XXXXXX: {e}"))?;
    let emulator = &super::options().xterm;
    let words = command(emulator, name, super::umid(), &helper, receiver.path());
    let words: Vec<&std::ffi::OsStr> = words.iter().map(OsString::as_os_str).collect();
    let program = launcher::spawn(&words)
        .map_err(|e| format!("xterm_open : '{}' can't be started: {e}", emulator.program))?;
    Ok((receiver, program))
}

fn wait(name: Name, receiver: Receiver, program: Program) -> kernel::Result<XtermWindow> {
    let seen = Arc::new((Mutex::new(Seen::default()), WaitQueue::new()));
    let (receiver, program) = (Arc::new(receiver), Arc::new(program));
    let (heard, from) = (seen.clone(), receiver.clone());
    let events = super::events();
    let terminal = events.watch(receiver.fd.clone(), Interest::READ, move |_| {
        match from.receive() {
            Ok(Some(handed)) => {
                let mut seen = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
                seen.handed = Some(handed);
            }
            Ok(None) => return Interest::READ,
            Err(e) => {
                let mut seen = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
                seen.failed = Some(format!("no terminal came: {e}"));
            }
        }
        heard.1.wake_all();
        Interest::NONE
    });
    let (heard, from) = (seen.clone(), program.clone());
    let end = events.watch(program.life().clone(), Interest::READ, move |_| {
        let failed = match from.news() {
            News::Running | News::WindowChanged => return Interest::READ,
            News::Ended(status) if status.success() => None,
            News::Ended(status) => Some(format!("the emulator ended with {status}")),
            News::Failed(e) => Some(format!("the emulator can't be started: {e}")),
        };
        {
            let mut seen = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.left = failed.is_none();
            seen.failed = failed;
        }
        heard.1.wake_all();
        Interest::NONE
    });
    let (Ok(_terminal), Ok(_end)) = (terminal, end) else {
        return refused("xterm_open : the host's event loop refuses the emulator");
    };
    let look = || seen.0.lock().unwrap_or_else(PoisonError::into_inner);
    let first = seen.1.wait_until(|| {
        let mut seen = look();
        let outcome = seen.outcome();
        (outcome.is_some() || seen.left).then_some(outcome)
    })?;
    let came = match first {
        Some(outcome) => outcome,
        None => {
            let late = Some(Deadline::after(PATIENCE_NS));
            seen.1
                .wait_deadline(late, || look().outcome())?
                .unwrap_or_else(|| Err("the emulator ended and no terminal came".into()))
        }
    };
    let handed = match came {
        Ok(handed) => handed,
        Err(why) => {
            let emulator = &super::options().xterm.program;
            return refused(&format!(
                "xterm_open : {}: '{emulator}': {why}",
                name.option()
            ));
        }
    };
    let Ok(descriptor) = Descriptor::nonblocking(handed.fd) else {
        return refused("xterm_open : what port-helper sent is no terminal");
    };
    Ok(XtermWindow {
        descriptor,
        // The helper first: the emulator ends with it, or is ended.
        keep: vec![Box::new(handed.sender), Box::new(program)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_left_out_are_xterm_s() {
        let emulator = |program: &str, title: &str, exec: &str| Emulator {
            program: program.into(),
            title: title.into(),
            exec: exec.into(),
        };
        assert_eq!(Emulator::parse("rxvt"), emulator("rxvt", "-T", "-e"));
        assert_eq!(Emulator::parse("a,-A,-B"), emulator("a", "-A", "-B"));
        assert_eq!(
            Emulator::parse("gnome-terminal,-t,--"),
            emulator("gnome-terminal", "-t", "--")
        );
        assert_eq!(Emulator::parse(",,-x"), emulator("xterm", "-T", "-x"));
    }

    #[test]
    fn the_command_is_the_original_s() {
        let name = Name {
            serial: false,
            index: 2,
        };
        let emulator = Emulator::parse("myterm,-TT,-XX");
        let words = command(&emulator, name, "xt", Path::new("helper"), Path::new("/s"));
        assert_eq!(
            words,
            [
                "myterm",
                "-TT",
                "Virtual Console #2 (xt)",
                "-XX",
                "helper",
                "-uml-socket",
                "/s"
            ]
        );
    }
}
