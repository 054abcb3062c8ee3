//! eventfd(2): a counter that is waited for (fs/eventfd.c).

use crate::error::{Result, err};
use crate::sync::{Lock, PollTable, Rank, WaitQueue};
use crate::vfs::{File, FileOps, PollEvents, Sink, Source};
use abi::errno::Errno;
use std::any::Any;

/// The counter of one eventfd.
pub struct EventFd {
    count: Lock<u64>,
    semaphore: bool,
    wait: WaitQueue,
}

impl EventFd {
    /// `semaphore`: each read takes one.
    pub fn new(count: u32, semaphore: bool) -> EventFd {
        EventFd {
            count: Lock::new(Rank::LEAF, count.into()),
            semaphore,
            wait: WaitQueue::new(),
        }
    }

    /// What a read gives, and takes; None when the counter is zero.
    fn take(&self) -> Option<u64> {
        let mut count = self.count.lock();
        let value = if self.semaphore {
            (*count).min(1)
        } else {
            *count
        };
        *count -= value;
        (value > 0).then_some(value)
    }

    /// Adds `value`; None when the counter would reach its maximum.
    fn add(&self, value: u64) -> Option<()> {
        let mut count = self.count.lock();
        if u64::MAX - *count <= value {
            return None;
        }
        *count += value;
        Some(())
    }
}

impl FileOps for EventFd {
    fn read(&self, file: &File, sink: &mut Sink<'_>, _offset: &mut u64) -> Result<usize> {
        if sink.remaining() < 8 {
            return err(Errno::EINVAL);
        }
        let value = match self.take() {
            Some(value) => value,
            None if file.nonblocking() => return err(Errno::EAGAIN),
            None => self.wait.wait_until(|| self.take())?,
        };
        self.wait.wake(PollEvents::OUT);
        sink.write(&value.to_ne_bytes())
    }

    fn write(&self, file: &File, source: &mut Source<'_>, _offset: &mut u64) -> Result<usize> {
        if source.remaining() != 8 {
            return err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        if source.read(&mut bytes)? < 8 {
            return err(Errno::EFAULT);
        }
        let value = u64::from_ne_bytes(bytes);
        if value == u64::MAX {
            return err(Errno::EINVAL);
        }
        if self.add(value).is_none() {
            if file.nonblocking() {
                return err(Errno::EAGAIN);
            }
            self.wait.wait_until(|| self.add(value))?;
        }
        self.wait.wake(PollEvents::IN);
        Ok(8)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.wait);
        }
        let count = *self.count.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::IN, count > 0);
        events.set(PollEvents::ERR, count == u64::MAX);
        events.set(PollEvents::OUT, count < u64::MAX - 1);
        events
    }

    fn fdinfo(&self, _file: &File) -> String {
        format!(
            "eventfd-count: {:16x}\neventfd-semaphore: {}\n",
            *self.count.lock(),
            u8::from(self.semaphore)
        )
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_and_semaphore() {
        let counter = EventFd::new(3, false);
        assert_eq!((counter.take(), counter.take()), (Some(3), None));
        assert_eq!(counter.add(u64::MAX - 1), Some(()));
        assert_eq!((counter.add(1), counter.add(0)), (None, Some(())));
        let semaphore = EventFd::new(2, true);
        assert_eq!((semaphore.take(), semaphore.take()), (Some(1), Some(1)));
        assert_eq!(semaphore.take(), None);
    }
}
