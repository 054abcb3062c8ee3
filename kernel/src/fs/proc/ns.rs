//! /proc/<pid>/ns: the namespaces of a task, as links to files that setns(2) takes.
//!
//! Mount trees are the only kind there is; the others are missing as in a kernel built without them.

use super::may_look;
use super::task::{alive, owner, with_paths};
use crate::error::{Result, err};
use crate::fs::pseudo::{Directory, Name, Node};
use crate::task::Task;
use crate::vfs::nsfs;
use abi::errno::Errno;
use std::sync::Weak;

pub(super) struct NsDir {
    pub task: Weak<Task>,
}

impl Directory for NsDir {
    fn lookup(&self, name: &[u8]) -> Result<Node> {
        if name != b"mnt" {
            return err(Errno::ENOENT);
        }
        let owner = owner(&alive(&self.task)?, false);
        let (text, follow) = (self.task.clone(), self.task.clone());
        let node = Node::magic(
            move || Ok(nsfs::name(&with_paths(&text)?.fs())),
            move || Ok(nsfs::path(&with_paths(&follow)?.fs())),
        );
        Ok(node.owned(owner))
    }

    fn names(&self) -> Result<Vec<Name>> {
        may_look(&*alive(&self.task)?)?;
        Ok(vec![Name::link("mnt")])
    }
}
