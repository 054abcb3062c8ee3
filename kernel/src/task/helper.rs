//! Programs that the kernel starts by itself (Linux's user-mode helpers, kernel/umh.c): root's, in init's root and
//! mounts, with input and output that the kernel holds the other ends of.
//!
//! Such a process has no parent, so nobody's wait(2) sees it and it is gone when it ends, whatever init does about
//! children. It leads a session and process group of its own.

use super::exec::kernel_execute;
use super::{
    Context, FsContext, GroupInner, KERNEL_STACK, Task, ThreadGroup, exit, parentless, pids,
    run_user,
};
use crate::error::Result;
use crate::ipc::pipe;
use crate::sched;
use crate::sync::{Lock, Rank, WaitQueue};
use crate::tty::{self, Tty};
use crate::vfs::{self, FdTable, File, InodeKind, LookupFlags};
use abi::errno::Errno;
use abi::fs::{AT_FDCWD, OpenFlags};
use abi::tty::Winsize;
use std::sync::Arc;

const SHELL: &[u8] = b"/bin/sh";

/// What to run.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first word is looked up in PATH of `env`, as execvp(3) does.
    pub argv: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    /// The first of these directories that can be used; an empty list is `/`.
    pub directories: Vec<Vec<u8>>,
    /// The size of a pty's window; None for pipes.
    pub terminal: Option<Winsize>,
}

/// The kernel's ends of a helper's input and output, non-blocking.
pub enum Ends {
    Terminal {
        master: Arc<File>,
        tty: Arc<Tty>,
    },
    Pipes {
        input: Arc<File>,
        output: Arc<File>,
        error: Arc<File>,
    },
}

/// A program that runs. Its end is told by the group's `exit_wait`.
pub struct Helper {
    pub group: Arc<ThreadGroup>,
    pub ends: Ends,
}

/// What couldn't be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A process, or its pipes.
    Process(Errno),
    Terminal(Errno),
    Directory(Errno),
    Program(Errno),
}

type Outcome = std::result::Result<Ends, Failure>;

struct Report {
    outcome: Lock<Option<Outcome>>,
    told: WaitQueue,
}

/// Starts a program and waits until it has been executed. In a task.
pub fn start(request: Request) -> std::result::Result<Helper, Failure> {
    let (task, mut cx) = new_process().map_err(|e| Failure::Process(e.errno()))?;
    let report = Arc::new(Report {
        outcome: Lock::new(Rank::LEAF, None),
        told: WaitQueue::new(),
    });
    let teller = report.clone();
    sched::spawn(&task, KERNEL_STACK, move || {
        let outcome = prepare(&mut cx, &request);
        let failed = outcome.is_err();
        *teller.outcome.lock() = Some(outcome);
        teller.told.wake_all();
        if failed {
            exit::exit_thread(&mut cx, 127);
            exit::finish(cx);
        } else {
            run_user(cx);
        }
    });
    let outcome = report
        .told
        .wait_uninterruptible(|| report.outcome.lock().take());
    Ok(Helper {
        group: task.group.clone(),
        ends: outcome?,
    })
}

fn new_process() -> Result<(Arc<Task>, Context)> {
    let init = pids().task(1).ok_or(Errno::ESRCH)?;
    let rlimits = init.group.inner.lock().rlimits;
    let group = |pid| ThreadGroup::new(pid, GroupInner::parentless(pid, pid, rlimits));
    let fs = FsContext::with_paths(init.fs().inner.read().clone(), 0o022);
    let (task, cx) = parentless::new_process(group, fs, FdTable::new())?;
    task.set_comm(b"helper");
    Ok((task, cx))
}

/// In the new process: its directory, its descriptors, its program.
fn prepare(cx: &mut Context, request: &Request) -> Outcome {
    change_directory(cx, &request.directories).map_err(|e| Failure::Directory(e.errno()))?;
    let ends = match request.terminal {
        Some(size) => terminal(cx, size).map_err(|e| Failure::Terminal(e.errno()))?,
        None => pipes(cx).map_err(|e| Failure::Process(e.errno()))?,
    };
    execute(cx, &request.argv, &request.env).map_err(|e| Failure::Program(e.errno()))?;
    Ok(ends)
}

fn change_directory(cx: &Context, candidates: &[Vec<u8>]) -> Result<()> {
    let fs = cx.task.fs();
    let root = fs.root();
    fs.inner.write().cwd = root;
    let mut last = Ok(());
    for path in candidates {
        let how = LookupFlags::FOLLOW | LookupFlags::DIRECTORY;
        match vfs::lookup(&cx.task, AT_FDCWD, path, how) {
            Ok(place) if place.inode().kind() == InodeKind::Directory => {
                let old = std::mem::replace(&mut fs.inner.write().cwd, place);
                drop(old);
                return Ok(());
            }
            Ok(_) => last = Err(Errno::ENOTDIR.into()),
            Err(e) => last = Err(e),
        }
    }
    last
}

/// Gives the process descriptors 0, 1 and 2.
fn install(cx: &Context, files: [&Arc<File>; 3]) -> Result<()> {
    for file in files {
        cx.task.files().install(file.clone(), false, 0, 3)?;
    }
    Ok(())
}

fn terminal(cx: &Context, size: Winsize) -> Result<Ends> {
    let flags = OpenFlags::O_RDWR | OpenFlags::O_NOCTTY | OpenFlags::O_NONBLOCK;
    let master = vfs::open(&cx.task, b"/dev/ptmx", flags, 0)?;
    // The leader of a session without a terminal gets this one by opening it.
    let (slave, tty) = tty::open_slave_of(&master, OpenFlags::O_RDWR)?;
    tty.set_winsize(size);
    install(cx, [&slave, &slave, &slave])?;
    Ok(Ends::Terminal { master, tty })
}

fn pipes(cx: &Context) -> Result<Ends> {
    let (theirs_in, input) = pipe::create(OpenFlags::empty());
    let (output, theirs_out) = pipe::create(OpenFlags::empty());
    let (error, theirs_error) = pipe::create(OpenFlags::empty());
    for ours in [&input, &output, &error] {
        ours.set_flags(ours.flags() | OpenFlags::O_NONBLOCK);
    }
    install(cx, [&theirs_in, &theirs_out, &theirs_error])?;
    Ok(Ends::Pipes {
        input,
        output,
        error,
    })
}

/// As execvp(3): a name without a slash is looked up in PATH, and a text without a format is the shell's.
fn execute(cx: &mut Context, argv: &[Vec<u8>], env: &[Vec<u8>]) -> Result<()> {
    let name = argv.first().filter(|n| !n.is_empty());
    let name = name.ok_or(Errno::ENOENT)?.as_slice();
    if name.contains(&b'/') {
        return execute_at(cx, name, argv, env);
    }
    let path = env.iter().find_map(|e| e.strip_prefix(b"PATH="));
    let mut denied = false;
    for dir in path.unwrap_or_default().split(|b| *b == b':') {
        let dir = if dir.is_empty() { b"." } else { dir };
        match execute_at(cx, &[dir, b"/", name].concat(), argv, env) {
            Ok(()) => return Ok(()),
            Err(e) if e == Errno::EACCES => denied = true,
            Err(e) if e == Errno::ENOENT || e == Errno::ENOTDIR => {}
            Err(e) => return Err(e),
        }
    }
    Err(if denied { Errno::EACCES } else { Errno::ENOENT }.into())
}

fn execute_at(cx: &mut Context, path: &[u8], argv: &[Vec<u8>], env: &[Vec<u8>]) -> Result<()> {
    let env: Vec<&[u8]> = env.iter().map(Vec::as_slice).collect();
    let args: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
    match kernel_execute(cx, path, &args, &env) {
        Err(e) if e == Errno::ENOEXEC => {
            let args: Vec<&[u8]> = [SHELL, path]
                .into_iter()
                .chain(args.into_iter().skip(1))
                .collect();
            kernel_execute(cx, SHELL, &args, &env)
        }
        done => done,
    }
}
