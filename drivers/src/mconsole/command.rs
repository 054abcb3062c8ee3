//! The commands, in the order in which their names are tried (arch/um/drivers/mconsole_user.c:commands[]).

use crate::registry::{self, Refusal};
use kernel::log::{self, Level, Record};
use kernel::machine::{self, End};
use kernel::sched::stop;
use kernel::syscall::system::ctrl_alt_del;
use kernel::task::{kernel_thread, pids};
use kernel::vfs::{self, Sink};
use std::time::Duration;

/// How long an answer that needs the vCPUs may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a file in /proc that are sent at most.
const FILE_MAX: usize = 4 << 20;

const HELP: &str = "Commands: \n\
    \x20   version - Get kernel version \n\
    \x20   help - Print this message \n\
    \x20   halt - Halt UML \n\
    \x20   reboot - Reboot UML \n\
    \x20   config <dev>=<config> - Add a new device to UML;  \n\
    \tsame syntax as command line \n\
    \x20   config <dev> - Query the configuration of a device \n\
    \x20   remove <dev> - Remove a device from UML \n\
    \x20   sysrq <letter> - Performs the SysRq action controlled by the letter \n\
    \x20   cad - invoke the Ctrl-Alt-Del handler \n\
    \x20   stop - pause the UML; it will do nothing until it receives a 'go' \n\
    \x20   go - continue the UML after a 'stop' \n\
    \x20   log <string> - make UML enter <string> into the kernel log\n\
    \x20   proc <file> - returns the contents of the UML's /proc/<file>\n\
    \x20   stack <pid> - returns the stack of the specified pid\n";

/// A text of an answer, cut into packets when it is sent.
pub struct Part {
    pub err: i32,
    pub text: Vec<u8>,
    /// What the last packet says about a following one.
    pub more: bool,
}

/// What a client is told, and what is done once that is on its way.
pub struct Answer {
    pub parts: Vec<Part>,
    pub then: Option<fn()>,
}

impl Answer {
    pub fn text(err: i32, text: impl Into<Vec<u8>>) -> Answer {
        let text = text.into();
        let more = false;
        Answer {
            parts: vec![Part { err, text, more }],
            then: None,
        }
    }

    fn ok() -> Answer {
        Answer::text(0, "")
    }

    /// Several texts, and an empty one as the end.
    fn list(texts: impl IntoIterator<Item = Vec<u8>>) -> Answer {
        let mut answer = Answer::ok();
        let more = |text| Part {
            err: 0,
            text,
            more: true,
        };
        answer.parts.splice(0..0, texts.into_iter().map(more));
        answer
    }

    fn then(mut self, then: fn()) -> Answer {
        self.then = Some(then);
        self
    }
}

impl From<Result<String, Refusal>> for Answer {
    fn from(result: Result<String, Refusal>) -> Answer {
        match result {
            Ok(text) => Answer::text(0, text),
            Err(refusal) => Answer::text(refusal.err, refusal.text),
        }
    }
}

/// Handlers get what stands behind the name, without the blanks between.
static COMMANDS: &[(&str, fn(&[u8]) -> Answer)] = &[
    ("version", version),
    ("halt", |_| {
        Answer::ok().then(|| machine::request(End::Halt))
    }),
    ("reboot", |_| {
        Answer::ok().then(|| machine::request(End::Reboot))
    }),
    ("config", config),
    ("remove", remove),
    ("sysrq", sysrq),
    ("help", |_| Answer::text(0, HELP)),
    ("cad", |_| Answer::ok().then(ctrl_alt_del)),
    ("stop", |_| match stop::stop() {
        true => Answer::text(0, "stopped"),
        false => Answer::text(1, "Already stopped"),
    }),
    ("go", |_| match stop::go() {
        true => Answer::ok(),
        false => Answer::text(1, "Not stopped"),
    }),
    ("log", log_text),
    ("proc", proc_file),
    ("stack", stack),
];

/// Does what a request asks for.
pub fn run(command: &[u8]) -> Answer {
    let found = COMMANDS
        .iter()
        .find_map(|(name, run)| Some((run, command.strip_prefix(name.as_bytes())?)));
    match found {
        Some((run, rest)) => run(rest.trim_ascii_start()),
        None => Answer::text(1, "Unknown command"),
    }
}

fn version(_: &[u8]) -> Answer {
    let names = kernel::uts::utsname();
    let mut text = Vec::new();
    for field in [
        &names.sysname,
        &names.nodename,
        &names.release,
        &names.version,
        &names.machine,
    ] {
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend(field.iter().take_while(|byte| **byte != 0));
    }
    Answer::text(0, text)
}

fn config(rest: &[u8]) -> Answer {
    let device = String::from_utf8_lossy(rest);
    let Some((class, rest)) = registry::find(&device) else {
        return Answer::text(1, "Bad configuration option");
    };
    if rest.contains('=') {
        class.configure(rest).map(|()| String::new()).into()
    } else {
        class.query(rest).into()
    }
}

fn remove(rest: &[u8]) -> Answer {
    let device = String::from_utf8_lossy(rest);
    match registry::find(&device) {
        Some((class, rest)) => class.remove(rest).map(|()| String::new()).into(),
        None => Answer::text(1, "Bad remove option"),
    }
}

/// Lines of the log, as the console has them, one each.
fn records(records: Vec<Record>) -> Answer {
    Answer::list(
        records
            .into_iter()
            .map(|record| (record.text + "\n").into_bytes()),
    )
}

fn sysrq(rest: &[u8]) -> Answer {
    let letter = rest.first().map_or('\0', |byte| char::from(*byte));
    match letter {
        // There is no time for an answer afterwards.
        'b' => Answer::ok().then(|| kernel::sysrq::handle('b', true)),
        'c' => Answer::ok().then(|| kernel::sysrq::handle('c', true)),
        _ => records(log::captured(|| kernel::sysrq::handle(letter, true))),
    }
}

fn log_text(rest: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(rest);
    for line in text.lines() {
        log::write(Level::Warning, format_args!("{line}"));
    }
    Answer::ok()
}

fn stack(rest: &[u8]) -> Answer {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).unwrap_or_default();
    if number.is_empty() && rest.first() != Some(&b'-') {
        return Answer::text(1, "Please specify a pid");
    }
    match number.parse().ok().and_then(|pid| pids().task(pid)) {
        Some(task) => records(log::captured(|| {
            stop::with_guests_held(|| kernel::sysrq::show_task(&task));
        })),
        None => Answer::text(1, "Couldn't find that pid"),
    }
}

fn proc_file(rest: &[u8]) -> Answer {
    let name = rest.to_vec();
    let read = kernel_thread::call(
        "mconsole",
        PATIENCE,
        move |task| -> Result<Vec<Vec<u8>>, &str> {
            let path = [b"/", name.as_slice()].concat();
            let flags = abi::fs::OpenFlags::O_RDONLY | abi::fs::OpenFlags::O_NONBLOCK;
            let file = vfs::open(task, &path, flags, 0).map_err(|e| {
                let name = String::from_utf8_lossy(&name);
                kernel::pr_err!("open /proc/{name}: {}", -i32::from(e.errno().0));
                "Failed to open file"
            })?;
            let mut chunks = Vec::new();
            let mut total = 0;
            while total < FILE_MAX {
                let mut chunk = vec![0; 4095];
                let got = file
                    .read(&mut Sink::kernel(&mut chunk), None)
                    .map_err(|_| "Read of file failed")?;
                if got == 0 {
                    break;
                }
                chunk.truncate(got);
                total += got;
                chunks.push(chunk);
            }
            Ok(chunks)
        },
    );
    match read {
        Ok(Ok(chunks)) => Answer::list([b"\n".to_vec()].into_iter().chain(chunks)),
        Ok(Err(text)) => Answer::text(1, text),
        Err(_) => Answer::text(1, "Read of file failed"),
    }
}
