//! Opening channels: from what the configuration says to descriptors, names and whatever must live as long as they do.

use super::channel::{Channel, Pair};
use super::port;
use super::stream::{Connection, Stream};
use super::xterm;
use abi::errno::Errno;
use host::descriptor::{self, Descriptor, Direction};
use host::pty::{self, Master};
use host::terminal::{RawMode, Size};
use kernel::tty::Kind;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Which line it is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name {
    pub serial: bool,
    pub index: u32,
}

/// An open pair.
pub struct Open {
    pub input: Option<Stream>,
    pub output: Option<Stream>,
    /// As `config` tells: `pts:/dev/pts/3`, `fd:0,fd:1`.
    pub text: String,
    /// Terminals and connections whose window may be asked for, output's first.
    pub windows: Vec<Window>,
    /// Raw modes, programs: what ends with the line's closing.
    pub keep: Vec<Box<dyn Send>>,
    /// A program that tells when the window of a terminal changes.
    pub watcher: Option<host::launcher::Program>,
}

/// Something with a size.
pub enum Window {
    Terminal(Arc<OwnedFd>),
    Client(Arc<Connection>),
}

impl Window {
    pub fn size(&self) -> Option<Size> {
        match self {
            Window::Terminal(fd) => host::terminal::size(fd).ok(),
            Window::Client(connection) => connection.size(),
        }
    }
}

impl Name {
    pub fn kind(self) -> Kind {
        if self.serial {
            Kind::Serial
        } else {
            Kind::Console
        }
    }

    /// `con1`, `ssl0`.
    pub fn option(self) -> String {
        format!("{}{}", if self.serial { "ssl" } else { "con" }, self.index)
    }
}

/// One channel, open for a direction or both.
#[derive(Default)]
struct One {
    input: Option<Stream>,
    output: Option<Stream>,
    text: String,
    window: Option<Window>,
    keep: Vec<Box<dyn Send>>,
    watcher: Option<host::launcher::Program>,
}

/// Opens a pair. Logs why when it can't. May sleep when a channel [waits](Channel::waits). ENODEV, ERESTARTSYS.
pub fn pair(pair: &Pair, name: Name) -> kernel::Result<Open> {
    let Some(output) = &pair.output else {
        let one = single(&pair.input, None, name)?;
        return Ok(Open {
            input: one.input,
            output: one.output,
            text: one.text,
            windows: one.window.into_iter().collect(),
            keep: one.keep,
            watcher: one.watcher,
        });
    };
    let mut input = single(&pair.input, Some(Direction::In), name)?;
    let output = single(output, Some(Direction::Out), name)?;
    input.keep.extend(output.keep);
    Ok(Open {
        input: input.input,
        output: output.output,
        text: format!("{},{}", input.text, output.text),
        windows: output.window.into_iter().chain(input.window).collect(),
        keep: input.keep,
        watcher: output.watcher.or(input.watcher),
    })
}

/// Whether the host's end is to pass bytes as they are.
fn is_raw(name: Name) -> bool {
    !(name.serial && super::options().ssl_non_raw)
}

fn single(channel: &Channel, direction: Option<Direction>, name: Name) -> kernel::Result<One> {
    match channel {
        Channel::Null => Ok(One {
            text: "null".into(),
            ..One::default()
        }),
        Channel::Fd(number) => told(name, channel, by_number(*number, direction, name)),
        Channel::Tty(path) => {
            let opened = descriptor::terminal(path, direction)
                .and_then(|descriptor| terminal(descriptor, direction, name));
            told(name, channel, opened)
        }
        Channel::Pts => told(
            name,
            channel,
            pty::unix98().and_then(|master| pseudo("pts", master, direction, name)),
        ),
        Channel::Pty => match pty::bsd() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                kernel::pr_err!("getmaster - no usable host pty devices");
                Err(Errno::ENODEV.into())
            }
            master => told(
                name,
                channel,
                master.and_then(|master| pseudo("pty", master, direction, name)),
            ),
        },
        Channel::Port(number) => {
            let connection = port::client(*number)?;
            let stream = Stream::Telnet(connection.clone());
            let mut one = One {
                text: format!("port:{number}"),
                window: Some(Window::Client(connection)),
                ..One::default()
            };
            one.join(stream.clone(), stream, direction);
            Ok(one)
        }
        Channel::Xterm => {
            let window = xterm::open(name)?;
            let made = (|| {
                if is_raw(name) {
                    pty::make_raw(&window.descriptor.fd)?;
                }
                let mut one = One {
                    text: "xterm".into(),
                    window: Some(Window::Terminal(window.descriptor.fd.clone())),
                    keep: window.keep,
                    watcher: host::launcher::watch_window(window.descriptor.as_fd()).ok(),
                    ..One::default()
                };
                one.join_descriptor(window.descriptor, direction)?;
                Ok(one)
            })();
            told(name, channel, made)
        }
    }
}

fn told(name: Name, channel: &Channel, opened: io::Result<One>) -> kernel::Result<One> {
    opened.map_err(|e| {
        kernel::pr_err!("{}: channel {channel} can't be opened: {e}", name.option());
        Errno::ENODEV.into()
    })
}

fn by_number(number: i32, direction: Option<Direction>, name: Name) -> io::Result<One> {
    let mut one = One {
        text: format!("fd:{number}"),
        ..One::default()
    };
    for way in [Direction::In, Direction::Out] {
        if direction.is_some_and(|only| only != way) {
            continue;
        }
        let descriptor = descriptor::by_number(number, way)?;
        if host::terminal::is_terminal(&descriptor.fd) {
            one.window = Some(Window::Terminal(descriptor.fd.clone()));
            if way == Direction::In && is_raw(name) {
                one.keep.push(Box::new(RawMode::enter(&descriptor.fd)?));
            }
        }
        let stream = Stream::Plain(Arc::new(descriptor));
        match way {
            Direction::In => one.input = Some(stream),
            Direction::Out => one.output = Some(stream),
        }
    }
    Ok(one)
}

fn terminal(descriptor: Descriptor, direction: Option<Direction>, name: Name) -> io::Result<One> {
    let mut one = One {
        window: Some(Window::Terminal(descriptor.fd.clone())),
        ..One::default()
    };
    if is_raw(name) {
        one.keep.push(Box::new(RawMode::enter(&descriptor.fd)?));
    }
    one.join_descriptor(descriptor, direction)?;
    Ok(one)
}

fn pseudo(word: &str, master: Master, direction: Option<Direction>, name: Name) -> io::Result<One> {
    if is_raw(name) {
        pty::make_raw(&master.descriptor.fd)?;
    }
    let what = if name.serial {
        "Serial line"
    } else {
        "Virtual console"
    };
    kernel::pr_info!("{what} {} assigned device '{}'", name.index, master.slave);
    let mut one = One {
        text: format!("{word}:{}", master.slave),
        window: Some(Window::Terminal(master.descriptor.fd.clone())),
        ..One::default()
    };
    one.join_descriptor(master.descriptor, direction)?;
    Ok(one)
}

impl One {
    fn join(&mut self, input: Stream, output: Stream, direction: Option<Direction>) {
        if direction != Some(Direction::Out) {
            self.input = Some(input);
        }
        if direction != Some(Direction::In) {
            self.output = Some(output);
        }
    }

    fn join_descriptor(
        &mut self,
        descriptor: Descriptor,
        direction: Option<Direction>,
    ) -> io::Result<()> {
        let descriptor = Stream::Plain(Arc::new(descriptor));
        self.join(descriptor.clone(), descriptor, direction);
        Ok(())
    }
}
