//! /proc/pid/fd and fdinfo.

use super::task::{alive, owner};
use super::{current, may_look};
use crate::error::{Result, err};
use crate::fs::pseudo::{Directory, Name, Node};
use crate::task::Task;
use crate::vfs::{self, File};
use abi::errno::Errno;
use std::sync::{Arc, Weak};

pub(super) struct FdDir {
    pub task: Weak<Task>,
    pub info: bool,
}

/// The directory of descriptors, or of what is told about them.
pub(super) fn directory(task: Weak<Task>, info: bool) -> Node {
    let (of, counted) = (task.clone(), task.clone());
    let node = Node::dir(FdDir { task, info });
    if info {
        // fs/proc/fd.c:proc_fdinfo_permission()
        return node.permitted(move |_| alive(&of).and_then(|task| may_look(&task)).err().map(Err));
    }
    // A process may always look at its own: fs/proc/fd.c:proc_fd_permission().
    let own = move |_| {
        let caller = current().ok()?;
        (of.upgrade()?.pid() == caller.pid()).then_some(Ok(()))
    };
    node.mode(0o500).permitted(own).measured(move || {
        let task = alive(&counted).map_err(|_| Errno::ENOENT)?;
        Ok(task.files().entries().len() as u64)
    })
}

fn number(name: &[u8]) -> Option<i32> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

fn file(task: &Weak<Task>, fd: i32) -> Result<Arc<File>> {
    let task = alive(task)?;
    match task.files().get_any(fd) {
        Ok(file) => Ok(file),
        Err(_) => err(Errno::ENOENT),
    }
}

fn info(task: &Weak<Task>, fd: i32) -> Result<Vec<u8>> {
    let owner = alive(task)?;
    let file = file(task, fd)?;
    let cloexec = if owner.files().cloexec(fd)? {
        abi::fs::O_CLOEXEC
    } else {
        0
    };
    let text = format!(
        "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{}\n{}",
        file.position(),
        file.flags().bits() | cloexec,
        file.path().mount.id,
        file.inode().metadata()?.ino,
        file.ops().fdinfo(&file)
    );
    Ok(text.into_bytes())
}

impl Directory for FdDir {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        let Some(fd) = number(name) else {
            return err(Errno::ENOENT);
        };
        let open = file(&self.task, fd)?;
        let owner = owner(&alive(&self.task)?, false);
        let (text, follow) = (self.task.clone(), self.task.clone());
        if self.info {
            return Ok(Node::text(move || info(&text, fd)).owned(owner));
        }
        let mut mode = 0;
        if open.readable() {
            mode |= 0o500;
        }
        if open.writable() {
            mode |= 0o300;
        }
        let node = Node::magic(
            move || {
                may_look(&*alive(&text)?)?;
                let file = file(&text, fd)?;
                Ok(vfs::path_string(file.path(), &current()?.fs().root()))
            },
            move || {
                may_look(&*alive(&follow)?)?;
                Ok(file(&follow, fd)?.path().clone())
            },
        );
        Ok(node.mode(mode).owned(owner))
    }

    fn names(&self) -> Result<Vec<Name>> {
        let task = alive(&self.task).map_err(|_| Errno::ENOENT)?;
        let name = |fd: i32| {
            if self.info {
                Name::file(fd.to_string())
            } else {
                Name::link(fd.to_string())
            }
        };
        Ok(task
            .files()
            .entries()
            .iter()
            .map(|(fd, _, _)| name(*fd))
            .collect())
    }

    fn still(&self, name: &[u8]) -> bool {
        // The same number may be another file by now, with another mode.
        let _ = name;
        false
    }
}
