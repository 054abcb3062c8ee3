//! The bytes of a pipe: a ring of page-sized slots as Linux has it, so that capacity, packets and writability come out
//! the same, but in one piece of memory, so that a big transfer is one copy.

use std::collections::VecDeque;

/// Bytes of a slot.
pub const PAGE: usize = 4096;

/// One `struct pipe_buffer`.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// First byte in its page that wasn't read yet.
    start: usize,
    len: usize,
    /// A read takes no more than this and drops the rest of it (O_DIRECT).
    packet: bool,
    /// Later writes may be added behind it.
    merge: bool,
}

/// The ring. Slot `i` of the queue lies in page `first + i`, modulo the pages allocated.
pub struct Ring {
    memory: Vec<u8>,
    first: usize,
    slots: VecDeque<Slot>,
    max: usize,
}

impl Ring {
    /// What it holds of the heap.
    pub fn memory_bytes(&self) -> usize {
        self.memory.capacity()
    }

    /// Room for `max` slots. Memory comes when it is needed.
    pub fn new(max: usize) -> Ring {
        Ring {
            memory: Vec::new(),
            first: 0,
            slots: VecDeque::new(),
            max,
        }
    }

    /// Most slots.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Slots in use.
    pub fn used(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.max
    }

    /// Bytes that wait to be read.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|s| s.len).sum()
    }

    fn pages(&self) -> usize {
        self.memory.len() / PAGE
    }

    fn page_of(&self, index: usize) -> usize {
        (self.first + index) % self.pages()
    }

    /// Changes the number of slots; false when more are in use.
    pub fn resize(&mut self, max: usize) -> bool {
        if self.slots.len() > max {
            return false;
        }
        self.max = max;
        if self.pages() > max {
            self.reallocate(max);
        }
        true
    }

    fn reallocate(&mut self, pages: usize) {
        let mut memory = vec![0; pages * PAGE];
        for (i, slot) in self.slots.iter().enumerate() {
            let from = self.page_of(i) * PAGE + slot.start;
            let to = i * PAGE + slot.start;
            memory[to..to + slot.len].copy_from_slice(&self.memory[from..from + slot.len]);
        }
        self.memory = memory;
        self.first = 0;
    }

    /// The room behind the last slot when `len` bytes, less than a page, may be added to it.
    pub fn merge_room(&mut self, len: usize) -> Option<&mut [u8]> {
        let last = self.slots.len().checked_sub(1)?;
        let slot = self.slots[last];
        if !slot.merge || slot.start + slot.len + len > PAGE {
            return None;
        }
        let at = self.page_of(last) * PAGE + slot.start + slot.len;
        Some(&mut self.memory[at..at + len])
    }

    /// Adds the first `len` bytes of [`merge_room`](Self::merge_room).
    pub fn merged(&mut self, len: usize) {
        if let Some(slot) = self.slots.back_mut() {
            slot.len += len;
        }
    }

    /// Up to `want` bytes of free whole slots in one piece; empty only when the ring is full.
    pub fn room(&mut self, want: usize) -> &mut [u8] {
        let free = self.max - self.slots.len();
        let need = want.div_ceil(PAGE).min(free);
        if need == 0 {
            return &mut [];
        }
        if self.slots.is_empty() {
            self.first = 0;
        }
        if self.slots.len() + need > self.pages() {
            let pages = (self.slots.len() + need).next_power_of_two().min(self.max);
            self.reallocate(pages);
        }
        let at = self.page_of(self.slots.len());
        let run = need.min(self.pages() - at);
        &mut self.memory[at * PAGE..at * PAGE + want.min(run * PAGE)]
    }

    /// Makes slots of the first `len` bytes of [`room`](Self::room).
    pub fn filled(&mut self, len: usize, packet: bool) {
        let mut left = len;
        while left > 0 {
            let step = left.min(PAGE);
            self.slots.push_back(Slot {
                start: 0,
                len: step,
                packet,
                merge: !packet,
            });
            left -= step;
        }
    }

    /// Up to `want` bytes in one piece from `skip` bytes behind the start, and whether they end a packet.
    pub fn data_at(&self, skip: usize, want: usize) -> (&[u8], bool) {
        let mut index = 0;
        let mut skip = skip;
        while index < self.slots.len() && skip >= self.slots[index].len {
            skip -= self.slots[index].len;
            index += 1;
        }
        let Some(slot) = self.slots.get(index) else {
            return (&[], false);
        };
        let start = self.page_of(index) * PAGE + slot.start + skip;
        let mut len = slot.len - skip;
        if slot.packet {
            return (&self.memory[start..start + len.min(want)], true);
        }
        // Slots that follow in memory without a gap belong to the same piece.
        while len < want && (start + len).is_multiple_of(PAGE) && start + len < self.memory.len() {
            index += 1;
            match self.slots.get(index) {
                Some(next) if next.start == 0 && !next.packet => len += next.len,
                _ => break,
            }
        }
        (&self.memory[start..start + len.min(want)], false)
    }

    /// As [`data_at`](Self::data_at) from the start.
    pub fn data(&self, want: usize) -> (&[u8], bool) {
        self.data_at(0, want)
    }

    /// How many of the first `len` bytes fill whole slots.
    pub fn whole_slots(&self, len: usize) -> usize {
        let mut whole = 0;
        for slot in &self.slots {
            if whole + slot.len > len {
                break;
            }
            whole += slot.len;
        }
        whole
    }

    /// Drops `len` bytes, and what is left of a packet that was touched.
    pub fn consume(&mut self, len: usize) {
        let mut left = len;
        while let Some(slot) = self.slots.front_mut() {
            let step = left.min(slot.len);
            slot.start += step;
            slot.len -= step;
            left -= step;
            if slot.packet && step > 0 {
                slot.len = 0;
            }
            if slot.len > 0 {
                return;
            }
            self.slots.pop_front();
            self.first = (self.first + 1) % self.pages();
            if left == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ring: &mut Ring, bytes: &[u8], packet: bool) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let room = ring.room(bytes.len() - done);
            let step = room.len();
            if step == 0 {
                break;
            }
            room.copy_from_slice(&bytes[done..done + step]);
            ring.filled(step, packet);
            done += step;
        }
        done
    }

    fn take(ring: &mut Ring, want: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < want {
            let (data, packet) = ring.data(want - out.len());
            if data.is_empty() {
                break;
            }
            out.extend_from_slice(data);
            let len = data.len();
            ring.consume(len);
            if packet {
                break;
            }
        }
        out
    }

    #[test]
    fn bytes_come_out_in_order_across_the_wrap() {
        let mut ring = Ring::new(16);
        let (mut next_in, mut next_out) = (0u32, 0u32);
        for round in 0..400usize {
            let n = (round * 7919) % 20_000;
            let bytes: Vec<u8> = (0..n).map(|i| (next_in as usize + i) as u8).collect();
            next_in += put(&mut ring, &bytes, false) as u32;
            for b in take(&mut ring, (round * 104_729) % 30_000) {
                assert_eq!(b, next_out as u8);
                next_out += 1;
            }
            assert_eq!(ring.bytes() as u32, next_in - next_out);
        }
    }

    #[test]
    fn capacity_counts_slots_as_linux_does() {
        let mut ring = Ring::new(16);
        assert_eq!(put(&mut ring, &[1; 70_000], false), 65_536);
        assert!(ring.is_full());
        take(&mut ring, 4095);
        assert!(ring.is_full());
        take(&mut ring, 1);
        assert_eq!(ring.used(), 15);
        assert!(!ring.resize(8));
        assert!(ring.resize(32));
        assert_eq!(put(&mut ring, &[1; 100_000], false), 17 * PAGE);
    }

    #[test]
    fn small_writes_share_a_slot() {
        let mut ring = Ring::new(16);
        put(&mut ring, b"ab", false);
        ring.merge_room(2).expect("room").copy_from_slice(b"cd");
        ring.merged(2);
        assert_eq!((ring.used(), take(&mut ring, 9)), (1, b"abcd".to_vec()));
        assert!(ring.is_empty() && ring.merge_room(1).is_none());
    }

    #[test]
    fn a_packet_is_read_once() {
        let mut ring = Ring::new(16);
        put(&mut ring, b"first", true);
        put(&mut ring, b"second", true);
        assert!(ring.merge_room(1).is_none());
        assert_eq!(take(&mut ring, 2), b"fi");
        assert_eq!(take(&mut ring, 100), b"second");
        assert!(ring.is_empty());
    }

    #[test]
    fn looking_ahead_doesnt_consume() {
        let mut ring = Ring::new(4);
        put(&mut ring, &[7; 5000], false);
        assert_eq!(ring.data_at(4999, 10).0, [7]);
        assert!(ring.data_at(5000, 10).0.is_empty());
        assert_eq!(ring.bytes(), 5000);
    }
}
