//! brk(2): the heap behind the program's data.

use super::Mm;
use super::change::Caller;
use super::pagecache::PAGE;
use super::place;
use super::vma::{Backing, VmFlags, Vma};
use abi::task::RLIMIT_DATA;
use platform::MapOp;

impl Mm {
    /// Moves the program break to `new` if that can be; returns where it is.
    pub fn brk(&self, caller: &mut Caller<'_>, new: u64) -> u64 {
        let mut change = self.change();
        let layout = &change.inner.layout;
        let (start, old) = (layout.start_brk, layout.brk);
        let data = layout.end_data - layout.start_data;
        let limit = caller.task.group.rlimit(RLIMIT_DATA as usize);
        if new < start || new > platform::TASK_SIZE || (new - start).saturating_add(data) > limit {
            return old;
        }
        let (from, to) = (old.next_multiple_of(PAGE), new.next_multiple_of(PAGE));
        if to < from {
            if change.check_sealed(to, from).is_err() {
                return old;
            }
            change.cut(to, from);
            change.ops.push(MapOp::Unmap {
                addr: to,
                len: from - to,
            });
        } else if to > from {
            let flags = VmFlags::READ
                | VmFlags::WRITE
                | VmFlags::MAYREAD
                | VmFlags::MAYWRITE
                | VmFlags::MAYEXEC
                | VmFlags::ACCOUNT
                | change.inner.future;
            let pages = (to - from) / PAGE;
            if !place::fits(&change.inner.vmas, from, to - from)
                || change.may_expand(caller, pages, flags).is_err()
                || (flags.contains(VmFlags::LOCKED) && change.may_lock(caller, pages).is_err())
            {
                return old;
            }
            change.install(Vma {
                start: from,
                end: to,
                flags,
                backing: Backing::Anon,
                name: None,
                kept: Vec::new(),
            });
        }
        change.inner.layout.brk = new;
        match change.finish(caller) {
            Ok(()) => new,
            Err(_) => old,
        }
    }
}
