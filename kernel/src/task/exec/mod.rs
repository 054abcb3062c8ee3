//! execve: a program takes over a process (fs/exec.c, fs/binfmt_elf.c, fs/binfmt_script.c).
//!
//! Two halves. Up to the point of no return everything can fail and the caller goes on: the file is found, its headers
//! are read, its arguments copied. After it the old program is gone, and an error ends the process with SIGSEGV.

mod args;
mod creds;
mod dethread;
pub mod elf;
mod init;
mod load;
pub mod script;
mod stack;

pub use args::Strings;
pub use init::{exec_init, start_init, start_kernel_task};

use super::{Context, ExitStatus, Task, exit};
use crate::error::{Result, err};
use crate::fs::proc::sys;
use crate::fs::proc::sys::check_file_max;
use crate::mm::Mm;
use crate::signal;
use crate::vfs::access;
use crate::vfs::perm::{MAY_EXEC, MAY_READ, inode_permission, path_permission};
use crate::vfs::{File, InodeKind, LookupFlags, Path, Sink, lookup, open_path};
use abi::errno::Errno;
use abi::fs::{AT_EMPTY_PATH, AT_EXECVE_CHECK, AT_FDCWD, AT_SYMLINK_NOFOLLOW, OpenFlags};
use abi::signal::{SIGCHLD, SIGSEGV, SigSet, SigStack};
use abi::task::{Personality, RLIMIT_NPROC, RLIMIT_STACK};
use elf::Program;
use load::{Frame, Loaded};
use platform::{Registers, ThreadState, XState};
use script::HEAD;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Files read on the way to a program, scripts and itself: fs/exec.c:exec_binprm().
const MAX_DEPTH: usize = 6;
/// Stack limit that a privileged program sees at most: _STK_LIM.
const SECURE_STACK: u64 = 8 << 20;
/// Selectors and flags that every program starts with.
const USER_CS: u64 = 0x33;
const USER_DS: u64 = 0x2b;
const EFLAGS: u64 = 0x202;

/// What to execute.
pub struct Request<'a> {
    pub dirfd: i32,
    pub path: &'a [u8],
    /// AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_EXECVE_CHECK.
    pub flags: u32,
    pub args: Strings,
    pub env: Strings,
}

/// A program whose headers have been read.
struct Binary {
    file: Arc<File>,
    program: Program,
    interpreter: Option<(Program, Arc<File>)>,
}

/// fs/exec.c:do_open_execat(): EACCES unless it is a regular file that may be executed.
fn open_executable(task: &Task, dirfd: i32, path: &[u8], flags: u32) -> Result<Arc<File>> {
    check_file_max(task, 0)?;
    let mut how = LookupFlags::empty();
    how.set(LookupFlags::FOLLOW, flags & AT_SYMLINK_NOFOLLOW == 0);
    how.set(LookupFlags::EMPTY, flags & AT_EMPTY_PATH != 0);
    let place: Path = lookup(task, dirfd, path, how)?;
    let kind = place.inode().kind();
    if kind == InodeKind::Symlink {
        return err(Errno::ELOOP);
    }
    if kind != InodeKind::Regular {
        return err(Errno::EACCES);
    }
    path_permission(&task.cred(), &place, MAY_EXEC)?;
    access::check_not_written(&place.inode())?;
    open_path(&place, OpenFlags::O_RDONLY)
}

fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let mut at = offset;
    file.ops().read(file, &mut Sink::kernel(buf), &mut at)
}

fn read_head(file: &File) -> Result<[u8; HEAD]> {
    let mut head = [0; HEAD];
    let mut done = 0;
    while done < HEAD {
        match read_at(file, done as u64, &mut head[done..])? {
            0 => break,
            n => done += n,
        }
    }
    Ok(head)
}

fn parse(file: &Arc<File>, head: &[u8; HEAD]) -> Result<Program> {
    elf::parse(head, &mut |offset, buf| read_at(file, offset, buf))
}

/// Follows `#!` lines to the program that runs, and reads its headers and its interpreter's.
fn find_binary(
    task: &Task,
    mut file: Arc<File>,
    name: &[u8],
    hidden: bool,
    args: &mut Strings,
) -> Result<Binary> {
    let mut name = name.to_vec();
    for _ in 0..MAX_DEPTH {
        let head = read_head(&file)?;
        let Some(script) = script::parse(&head)? else {
            return read_binary(task, file, &head);
        };
        if hidden {
            // The descriptor will be closed before the interpreter can open the script.
            return err(Errno::ENOENT);
        }
        let mut first: Vec<&[u8]> = vec![&script.interpreter];
        first.extend(script.argument.as_deref());
        first.push(&name);
        args.replace_first(&first);
        file = open_executable(task, AT_FDCWD, &script.interpreter, AT_EMPTY_PATH)?;
        name = script.interpreter;
    }
    err(Errno::ELOOP)
}

fn read_binary(task: &Task, file: Arc<File>, head: &[u8; HEAD]) -> Result<Binary> {
    let program = parse(&file, head)?;
    access::deny_write(&file)?;
    let interpreter = match &program.interpreter {
        None => None,
        Some(path) => {
            let file = open_executable(task, AT_FDCWD, path, 0)?;
            let head = read_head(&file)?;
            let interpreter = parse(&file, &head).map_err(|e| match e.errno() {
                Errno::ENOEXEC => Errno::ELIBBAD.into(),
                _ => e,
            })?;
            Some((interpreter, file))
        }
    };
    Ok(Binary {
        file,
        program,
        interpreter,
    })
}

/// RLIMIT_NPROC at execve, after a set*uid call went over it.
fn check_process_limit(task: &Task) -> Result<()> {
    if !task.nproc_exceeded.swap(false, Relaxed) {
        return Ok(());
    }
    let limit = task.group.rlimit(RLIMIT_NPROC as usize);
    let uid = task.cred().uid;
    let mine = super::pids()
        .tasks()
        .iter()
        .filter(|t| t.cred().uid == uid)
        .count();
    if uid != 0 && mine as u64 > limit {
        return err(Errno::EAGAIN);
    }
    Ok(())
}

/// The calling process's next program. On success the registers are those of its first instruction, unless the question
/// was only whether the file may be executed.
pub fn execute(cx: &mut Context, request: Request<'_>) -> Result<()> {
    let task = cx.task.clone();
    let Request {
        dirfd,
        path,
        flags,
        mut args,
        env,
    } = request;
    check_process_limit(&task)?;
    let file = open_executable(&task, dirfd, path, flags)?;
    if flags & AT_EXECVE_CHECK != 0 {
        return Ok(());
    }
    let by_descriptor = path.first() != Some(&b'/') && dirfd != AT_FDCWD;
    let filename = match (by_descriptor, path.is_empty()) {
        (false, _) => path.to_vec(),
        (true, true) => format!("/dev/fd/{dirfd}").into_bytes(),
        (true, false) => [format!("/dev/fd/{dirfd}/").as_bytes(), path].concat(),
    };
    let hidden = by_descriptor && task.files().cloexec(dirfd).unwrap_or(false);
    let called = file.clone();
    let binary = find_binary(&task, file, &filename, hidden, &mut args)?;
    let (mut cred, secure) = creds::for_program(&task, &binary.file)?;
    cred.no_new_privs = task.cred().no_new_privs;

    dethread::alone(&task)?;
    // The point of no return.
    let comm = comm_of(&filename, path.is_empty().then_some(&called));
    let result = take_over(cx, binary, &args, &env, &filename, cred, secure, &comm);
    if result.is_err() && !task.has_fatal_signal() {
        exit::exit_process(
            cx,
            ExitStatus::Signal {
                signo: SIGSEGV,
                core: false,
            },
        );
    }
    result
}

/// The process's new name: the last component of what was executed.
fn comm_of(filename: &[u8], by_descriptor: Option<&Arc<File>>) -> Vec<u8> {
    if let Some(file) = by_descriptor {
        return file.path().dentry.name().to_vec();
    }
    let start = filename
        .iter()
        .rposition(|b| *b == b'/')
        .map_or(0, |at| at + 1);
    filename[start..].to_vec()
}

fn take_over(
    cx: &mut Context,
    binary: Binary,
    args: &Strings,
    env: &Strings,
    filename: &[u8],
    cred: super::Cred,
    secure: bool,
    comm: &[u8],
) -> Result<()> {
    let task = cx.task.clone();
    unshare_files(&task);
    let readable = inode_permission(&task.cred(), &**binary.file.inode(), MAY_READ).is_ok();

    let persona = Personality::from_bits_retain(task.personality.load(Relaxed));
    let cleared = Personality::READ_IMPLIES_EXEC
        | Personality::ADDR_NO_RANDOMIZE
        | Personality::ADDR_COMPAT_LAYOUT
        | Personality::MMAP_PAGE_ZERO;
    let persona = if secure { persona - cleared } else { persona };
    task.personality.store(persona.bits(), Relaxed);
    let randomize = if persona.contains(Personality::ADDR_NO_RANDOMIZE) {
        0
    } else {
        sys::randomize_va_space()
    };

    let mut stack_limit = task.group.rlimit(RLIMIT_STACK as usize);
    if secure {
        stack_limit = stack_limit.min(SECURE_STACK);
    }
    let frame = Frame::new(
        stack_limit,
        randomize,
        persona.contains(Personality::ADDR_COMPAT_LAYOUT),
    );
    let interpreter = binary.interpreter.as_ref().map(|(p, f)| (p, f));
    let mut loaded = load::lay_out(&frame, &binary.program, &binary.file, interpreter)?;
    let sp = stack::build(
        &mut loaded,
        args,
        env,
        filename,
        &cred,
        secure,
        randomize != 0,
    );
    let raised = raises(&task.cred(), &cred);
    install(cx, &loaded, sp, secure || raised || !readable)?;

    crate::time::exec_timers(&task.group);
    reset_signals(&task);
    task.set_comm(comm);
    task.robust_list.store(0, Relaxed);
    task.rseq.store(0, Relaxed);
    let changes_ids = cred.euid != cred.uid || cred.egid != cred.gid;
    if let Some(mm) = task.mm()
        && (!readable || changes_ids || raised)
    {
        mm.dumpable.store(sys::suid_dumpable(), Relaxed);
    }
    if secure || raised {
        task.pdeath_signal.store(0, Relaxed);
    }
    task.set_cred(cred);
    settle_exit_signals(&task);
    close_on_exec(&task);
    Ok(())
}

/// Whether `new` are other rights than `old`, or more: kernel/cred.c:commit_creds().
fn raises(old: &super::Cred, new: &super::Cred) -> bool {
    let ids = |cred: &super::Cred| (cred.euid, cred.egid, cred.fsuid, cred.fsgid);
    ids(old) != ids(new) || new.permitted.0 & !old.permitted.0 != 0
}

/// A new program neither ends with a signal of its clone's choice nor gets one from children of the old program
/// (de_thread(), exit_notify()'s comparison of exec ids).
fn settle_exit_signals(task: &Task) {
    let _family = super::family();
    let children = {
        let mut inner = task.group.inner.lock();
        inner.did_exec = true;
        inner.exit_signal = SIGCHLD;
        inner.children.clone()
    };
    for child in children {
        child.inner.lock().exit_signal = SIGCHLD;
    }
}

/// Maps the image, in the old address space when nobody else uses it, and sets the registers.
///
/// `guarded`: the program has rights or contents that the old one had not. Then it never gets the old address space: a hostile
/// thread of that could have made believe that it has stopped, and would run on in the new program's memory.
fn install(cx: &mut Context, loaded: &Loaded, sp: u64, guarded: bool) -> Result<()> {
    let task = cx.task.clone();
    let regs = Registers {
        rip: loaded.start,
        rsp: sp,
        cs: USER_CS,
        ss: USER_DS,
        eflags: EFLAGS,
        orig_rax: u64::MAX,
        ..Registers::default()
    };
    exit::release_memory(&task);
    let old = task.mm().ok_or(Errno::EFAULT)?;
    if guarded || Arc::strong_count(&old) > 2 {
        let state = ThreadState { regs, xstate: None };
        let (mm, guest) = Mm::with_image(&loaded.image, &state)?;
        drop(std::mem::replace(&mut cx.guest, guest));
        mm.owner.store(task.pid(), Relaxed);
        let faults = exit::host_faults(&task.group, &old);
        task.group.inner.lock().dead_threads.minor_faults += faults;
        drop(task.set_mm(Some(mm)));
    } else {
        old.replace(&loaded.image, &cx.guest)?;
        *cx.guest.regs_mut() = regs;
        if let Some(reset) = reset_xstate() {
            cx.guest.set_xstate(&reset);
        }
    }
    exit::complete_vfork(&task);
    Ok(())
}

/// The extended state at a program's start: control words at their defaults, everything else zero.
fn reset_xstate() -> Option<XState> {
    let mut fxsave = [0; 512];
    fxsave[..2].copy_from_slice(&0x37fu16.to_le_bytes());
    fxsave[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    XState::from_bytes(&fxsave)
}

/// Descriptors are the process's own from here on (unshare_files()).
fn unshare_files(task: &Task) {
    let files = task.files();
    if Arc::strong_count(&files) > 2 {
        drop(task.set_files(Some(files.duplicate())));
    }
}

fn close_on_exec(task: &Task) {
    let files = task.files();
    for file in files.remove_where(|_, cloexec| cloexec) {
        let _ = files.closed(file);
    }
}

/// Handlers go, ignored signals stay ignored (flush_signal_handlers()).
fn reset_signals(task: &Task) {
    let sighand = task.sighand();
    let reset = sighand.duplicate_for_exec();
    task.set_sighand(reset);
    {
        let mut own = task.signal.lock();
        // Its flags stay, and signal frames show them.
        own.altstack = SigStack {
            ss_flags: own.altstack.ss_flags,
            ..SigStack::default()
        };
        own.saved_mask = None;
        own.awaited = SigSet::EMPTY;
    }
    *task.restart.lock() = None;
    task.work.store(true, SeqCst);
    signal::recalc(task);
}

/// execve from inside the kernel. ENOENT, EACCES, ENOEXEC ...
pub fn kernel_execute(cx: &mut Context, path: &[u8], args: &[&[u8]], env: &[&[u8]]) -> Result<()> {
    execute(
        cx,
        Request {
            dirfd: AT_FDCWD,
            path,
            flags: 0,
            args: Strings::of(args),
            env: Strings::of(env),
        },
    )
}

/// What execve(2) and execveat(2) pass: copies the arguments in and executes.
pub fn user_execute(
    cx: &mut Context,
    dirfd: i32,
    path: &[u8],
    argv: u64,
    envp: u64,
    flags: u32,
) -> Result<()> {
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_EXECVE_CHECK) != 0 {
        return err(Errno::EINVAL);
    }
    let mm = cx.task.mm().ok_or(Errno::EFAULT)?;
    let mut budget = args::Budget::new(cx.task.group.rlimit(RLIMIT_STACK as usize));
    budget.spend(path.len() as u64 + 1)?;
    let (args, env) = args::copy_in(mm, argv, envp, &mut budget)?;
    execute(
        cx,
        Request {
            dirfd,
            path,
            flags,
            args,
            env,
        },
    )
}
