//! `umlaut reboot`, `pause` and `resume`: orders of the management console.

use crate::each;
use mconsole::{Client, Failure, PATIENCE};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::ExitCode;
use tools::machines::{self, Machine};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Reboot,
    Pause,
    Resume,
}

impl Order {
    fn command(self) -> &'static [u8] {
        match self {
            Order::Reboot => b"reboot",
            Order::Pause => b"stop",
            Order::Resume => b"go",
        }
    }
}

pub fn run(base: &Path, names: &[String], order: Order) -> Result<ExitCode, String> {
    each(names, |name| {
        let (machine, _pid) = machines::find_running(base, name)?;
        let umid = &machine.umid;
        let client = connect(&machine)?;
        match client.request(order.command(), PATIENCE) {
            Ok(reply) if reply.err == 0 => Ok(()),
            Ok(reply) => {
                let text = String::from_utf8_lossy(&reply.text).into_owned();
                Err(match order {
                    Order::Pause if text == "Already stopped" => {
                        format!(
                            "machine '{umid}' is paused already; 'umlaut resume {umid}' lets it go on"
                        )
                    }
                    Order::Resume if text == "Not stopped" => {
                        format!("machine '{umid}' is not paused")
                    }
                    _ => format!("machine '{umid}' refuses: {text}"),
                })
            }
            // It may be gone before its answer is read.
            Err(Failure::Unreachable(_)) if order == Order::Reboot => Ok(()),
            Err(e) => Err(format!("machine '{umid}': {e}")),
        }
    })
}

/// The address goes through the directory's descriptor: the path may be longer than an address can be.
fn connect(machine: &Machine) -> Result<Client, String> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = |e: std::io::Error| {
        format!(
            "machine '{}': its management console can't be reached: {e}",
            machine.umid
        )
    };
    let dir = open(&machine.dir, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    let path = format!(
        "/proc/self/fd/{}/{}",
        dir.as_raw_fd(),
        mconsole::name::SOCKET
    );
    Client::connect(Path::new(&path)).map_err(failed)
}
