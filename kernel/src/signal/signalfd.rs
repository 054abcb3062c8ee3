//! signalfd: pending signals as reads (fs/signalfd.c). It belongs to no process: whoever reads takes its own signals.

use super::{any_pending, take_awaited};
use crate::error::{Result, err};
use crate::sched;
use crate::sync::{Lock, PollTable, Rank};
use crate::vfs::{self, File, FileOps, PollEvents, Sink};
use abi::errno::Errno;
use abi::fs::OpenFlags;
use abi::signal::{SigSet, SignalfdSiginfo};
use std::any::Any;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// The open file of a signalfd.
pub struct SignalFd {
    mask: Lock<SigSet>,
}

/// A new signalfd for the signals of `mask`.
pub fn open(mask: SigSet, flags: OpenFlags) -> Arc<File> {
    let ops = SignalFd {
        mask: Lock::new(Rank::LEAF, mask.difference(SigSet::UNBLOCKABLE)),
    };
    vfs::anon_file("[signalfd]", Box::new(ops), flags)
}

impl SignalFd {
    /// Replaces the signals it takes.
    pub fn set_mask(&self, mask: SigSet) {
        *self.mask.lock() = mask.difference(SigSet::UNBLOCKABLE);
        sched::current().sighand().arrival.wake_all();
    }

    fn mask(&self) -> SigSet {
        *self.mask.lock()
    }
}

impl FileOps for SignalFd {
    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        const SIZE: usize = size_of::<SignalfdSiginfo>();
        if sink.remaining() < SIZE {
            return err(Errno::EINVAL);
        }
        let task = sched::current();
        let mask = self.mask();
        let mut next = take_awaited(&task, mask);
        if next.is_none() {
            if file.nonblocking() {
                return err(Errno::EAGAIN);
            }
            let sighand = task.sighand();
            next = Some(
                sighand
                    .arrival
                    .wait_until(|| take_awaited(&task, self.mask()))?,
            );
        }
        let mut done = 0;
        while let Some(info) = next {
            done += sink.write(SignalfdSiginfo::from(&info).as_bytes())?;
            next = if sink.remaining() >= SIZE {
                take_awaited(&task, mask)
            } else {
                None
            };
        }
        Ok(done)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        let Some(task) = sched::try_current() else {
            return PollEvents::empty();
        };
        if let Some(table) = table {
            table.register(&task.sighand().arrival);
        }
        if any_pending(&task, self.mask()) {
            PollEvents::IN
        } else {
            PollEvents::empty()
        }
    }

    fn fdinfo(&self, _file: &File) -> String {
        format!("sigmask:\t{:016x}\n", self.mask().0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
