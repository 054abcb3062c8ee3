//! What sendmsg and recvmsg carry beside the bytes: flags, names, control messages.

use crate::vfs::{Sink, Source};
use abi::net::{Cmsghdr, MsgFlags, cmsg_align, cmsg_len};
use zerocopy::IntoBytes;

/// A message on its way in.
pub struct Outgoing<'a> {
    pub source: &'a mut dyn Bytes,
    pub flags: MsgFlags,
    /// MSG_DONTWAIT or O_NONBLOCK.
    pub nonblock: bool,
    /// The destination, family first.
    pub name: Option<Vec<u8>>,
    /// Control messages as the program gave them.
    pub control: Vec<u8>,
}

/// A message on its way out.
pub struct Incoming<'a> {
    pub sink: &'a mut dyn Room,
    pub flags: MsgFlags,
    pub nonblock: bool,
    /// Where it came from, filled in by the protocol.
    pub name: Vec<u8>,
    pub control: ControlSpace,
    /// Flags for the program: MSG_TRUNC, MSG_CTRUNC, MSG_EOR.
    pub out_flags: MsgFlags,
}

/// Where the bytes come from: a [`Source`] of any lifetime.
pub trait Bytes {
    fn remaining(&self) -> usize;
    fn read(&mut self, buf: &mut [u8]) -> crate::Result<usize>;
}

/// Where the bytes go to: a [`Sink`] of any lifetime.
pub trait Room {
    fn remaining(&self) -> usize;
    fn write(&mut self, bytes: &[u8]) -> crate::Result<usize>;
}

impl Bytes for Source<'_> {
    fn remaining(&self) -> usize {
        Source::remaining(self)
    }

    fn read(&mut self, buf: &mut [u8]) -> crate::Result<usize> {
        Source::read(self, buf)
    }
}

impl Room for Sink<'_> {
    fn remaining(&self) -> usize {
        Sink::remaining(self)
    }

    fn write(&mut self, bytes: &[u8]) -> crate::Result<usize> {
        Sink::write(self, bytes)
    }
}

impl<'a> Outgoing<'a> {
    /// `nonblock`: the file has O_NONBLOCK.
    pub fn new(source: &'a mut dyn Bytes, flags: MsgFlags, nonblock: bool) -> Outgoing<'a> {
        Outgoing {
            source,
            flags,
            nonblock: nonblock || flags.contains(MsgFlags::MSG_DONTWAIT),
            name: None,
            control: Vec::new(),
        }
    }
}

impl<'a> Incoming<'a> {
    /// `nonblock`: the file has O_NONBLOCK.
    pub fn new(sink: &'a mut dyn Room, flags: MsgFlags, nonblock: bool) -> Incoming<'a> {
        Incoming {
            sink,
            flags,
            nonblock: nonblock || flags.contains(MsgFlags::MSG_DONTWAIT),
            name: Vec::new(),
            control: ControlSpace::default(),
            out_flags: MsgFlags::empty(),
        }
    }

    /// Adds a control message: net/core/scm.c:put_cmsg(). What doesn't fit is cut off and MSG_CTRUNC set.
    pub fn put_control(&mut self, level: u32, kind: i32, data: &[u8]) {
        let space = &mut self.control;
        let left = space.capacity - space.bytes.len();
        if left < size_of::<Cmsghdr>() {
            self.out_flags |= MsgFlags::MSG_CTRUNC;
            return;
        }
        let len = cmsg_len(data.len());
        if left < len {
            self.out_flags |= MsgFlags::MSG_CTRUNC;
        }
        let len = len.min(left);
        let header = Cmsghdr {
            cmsg_len: len as u64,
            cmsg_level: level as i32,
            cmsg_type: kind,
        };
        let start = space.bytes.len();
        space.bytes.extend_from_slice(header.as_bytes());
        space
            .bytes
            .extend_from_slice(&data[..len - size_of::<Cmsghdr>()]);
        let end = (start + cmsg_align(len)).min(space.capacity);
        space.bytes.resize(end, 0);
    }
}

/// The program's buffer for control messages.
#[derive(Default)]
pub struct ControlSpace {
    pub capacity: usize,
    pub bytes: Vec<u8>,
}

impl ControlSpace {
    /// Bytes of data that a further control message could carry; None when not even its header fits.
    pub fn data_room(&self) -> Option<usize> {
        (self.capacity - self.bytes.len()).checked_sub(size_of::<Cmsghdr>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(capacity: usize, messages: &[&[u8]]) -> (Vec<u8>, MsgFlags) {
        let mut buf = [];
        let mut sink = Sink::kernel(&mut buf);
        let mut receive = Incoming::new(&mut sink, MsgFlags::empty(), false);
        receive.control.capacity = capacity;
        for data in messages {
            receive.put_control(1, 2, data);
        }
        (receive.control.bytes, receive.out_flags)
    }

    #[test]
    fn control_messages_are_aligned_and_cut() {
        let (bytes, flags) = receive(100, &[&[1, 2, 3, 4], &[5]]);
        assert_eq!((bytes.len(), flags), (48, MsgFlags::empty()));
        assert_eq!(
            abi::net::cmsg_at(&bytes, 24).map(|m| m.1.to_vec()),
            Some(vec![5])
        );
        let (bytes, flags) = receive(18, &[&[1, 2, 3, 4]]);
        assert_eq!(
            (bytes[0], bytes.len(), flags),
            (18, 18, MsgFlags::MSG_CTRUNC)
        );
        assert_eq!(receive(15, &[&[]]), (vec![], MsgFlags::MSG_CTRUNC));
    }
}
