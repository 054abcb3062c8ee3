//! Bytes in and out of a mapping: read, write, filling pages with read-ahead.

use super::accounting::{charge, charge_fill, uncharge};
use super::mapping::{MAX_SIZE, State, pages_of};
use super::{CacheRange, Mapping, PAGE, memory};
use crate::error::{Result, err};
use crate::vfs::{Sink, Source};
use abi::errno::Errno;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Files up to this many pages are read whole.
const SMALL: u64 = 64;
/// Read-ahead windows in pages: 128 KiB at first, doubling to 1 MiB while the file is read in sequence.
const WINDOW_MIN: u64 = 32;
const WINDOW_MAX: u64 = 256;
/// Bytes that one step of a read or write moves.
const CHUNK: u64 = 1 << 20;

impl Mapping {
    /// Gives bytes from `offset` on to `sink`, up to the end of the file. EFAULT, the source's errors.
    pub fn read(&self, sink: &mut Sink<'_>, offset: u64) -> Result<usize> {
        let _pin = self.pin();
        let mut done = 0;
        while sink.remaining() > 0 {
            let at = offset.saturating_add(done as u64);
            let size = self.size();
            if at >= size {
                break;
            }
            let len = (size - at)
                .min(sink.remaining() as u64)
                .min(CHUNK - at % CHUNK);
            match self.read_chunk(sink, at, len) {
                Ok(moved) => {
                    done += moved;
                    if (moved as u64) < len {
                        break;
                    }
                }
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn read_chunk(&self, sink: &mut Sink<'_>, at: u64, len: u64) -> Result<usize> {
        self.ensure(at, len)?;
        let (range, runs) = {
            let mut state = self.state.lock();
            let pages = pages_of(at, len);
            self.learn(&mut state, pages.clone());
            match &state.range {
                None => (None, Vec::new()),
                Some(range) => {
                    let pages = pages.start..pages.end.min(range.len() / PAGE);
                    let runs: Vec<_> = state.valid.runs(pages).collect();
                    (Some(range.clone()), runs)
                }
            }
        };
        let end = at + len;
        let mut pos = at;
        let mut step = |hole_end: u64, data: Option<(u64, u64)>| -> Result<bool> {
            if pos < hole_end {
                let n = sink.write_zeros((hole_end - pos) as usize)?;
                pos += n as u64;
                if pos < hole_end {
                    return Ok(false);
                }
            }
            if let Some((base, to)) = data {
                let want = to - pos;
                let n = sink.write_cache(base + pos, want as usize)?;
                pos += n as u64;
                return Ok(n as u64 == want);
            }
            Ok(true)
        };
        let mut result = Ok(true);
        for run in runs {
            let base = range.as_ref().map_or(0, |r| r.base());
            let from = (run.start * PAGE).max(at);
            let to = (run.end * PAGE).min(end);
            result = step(from, Some((base, to)));
            if !matches!(result, Ok(true)) {
                break;
            }
        }
        if matches!(result, Ok(true)) {
            result = step(end, None);
        }
        match result {
            Err(e) if pos == at => Err(e),
            _ => Ok((pos - at) as usize),
        }
    }

    /// Takes all of `source` to `offset` and extends the file as needed. EFBIG, ENOSPC, EFAULT, the source's errors when
    /// part of a page must be read first.
    pub fn write(&self, source: &mut Source<'_>, offset: u64) -> Result<usize> {
        let _io = self.io.lock();
        let _changing = self.changing();
        let mut done = 0;
        while source.remaining() > 0 {
            let at = offset.checked_add(done as u64).ok_or(Errno::EFBIG)?;
            let len = (source.remaining() as u64).min(CHUNK - at % CHUNK);
            if self.source.is_some() {
                self.balance(len);
            }
            let _pin = self.pin();
            match self.write_chunk(source, at, len) {
                Ok(0) => break,
                Ok(moved) => done += moved,
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Before a write of `len` bytes, while its own pages can go: writes back when much is dirty, makes room
    /// (mm/page-writeback.c:balance_dirty_pages()).
    fn balance(&self, len: u64) {
        if super::accounting::much_dirty() {
            // Pages that the source refuses stay dirty: fsync tells, and at last the write that finds no room.
            let _ = self.sync(0, u64::MAX);
        }
        super::accounting::make_room(len.div_ceil(PAGE) + 1);
    }

    fn write_chunk(&self, from: &mut Source<'_>, at: u64, len: u64) -> Result<usize> {
        if at >= MAX_SIZE {
            return err(Errno::EFBIG);
        }
        let len = len.min(MAX_SIZE - at);
        let size = self.size();
        if at > size {
            self.zero_tail(size);
        }
        // With a source, the range always has room for the whole file: filling can't move it.
        let end = if self.source.is_some() {
            (at + len).max(size)
        } else {
            at + len
        };
        let range = self.cover(end)?;
        if self.source.is_some() {
            // Pages that keep some of their old bytes.
            for edge in [at, at + len] {
                if edge % PAGE != 0 && edge / PAGE * PAGE < size {
                    self.ensure(edge / PAGE * PAGE, PAGE)?;
                }
            }
        }
        let (len, charged) = self.claim(at, len)?;
        let moved = from.read_cache(range.base() + at, len as usize);
        let mut moved = match moved {
            Ok(n) => n as u64,
            Err(e) => {
                uncharge(self.quota.as_deref(), charged);
                return Err(e);
            }
        };
        let mut state = self.state.lock();
        if moved < len && self.source.is_some() {
            // The page where the copy broke off has lost its old bytes if it wasn't there before.
            let broken = (at + moved) / PAGE;
            if !(at + moved).is_multiple_of(PAGE) && !state.valid.contains(broken) {
                let keep = (broken * PAGE).max(at) - at;
                from.rewind((moved - keep) as usize);
                moved = keep;
                memory().punch(range.base() + broken * PAGE, PAGE);
            }
        }
        let new = if moved == 0 {
            0
        } else {
            let pages = pages_of(at, moved);
            if self.source.is_some() {
                self.note_dirty(&mut state, pages.clone());
            }
            state.valid.insert(pages)
        };
        if moved > 0 {
            self.size.fetch_max(at + moved, Ordering::SeqCst);
        }
        drop(state);
        uncharge(self.quota.as_deref(), charged - new.min(charged));
        if moved == 0 {
            return err(Errno::EFAULT);
        }
        Ok(moved as usize)
    }

    /// Charges for the pages of `[at, at + len)` that aren't there yet; returns how many bytes may be written and how
    /// many pages were charged.
    fn claim(&self, at: u64, len: u64) -> Result<(u64, u64)> {
        let pages = pages_of(at, len);
        let gaps = self.state.lock().valid.gaps(pages);
        let wanted: u64 = gaps.iter().map(|g| g.end - g.start).sum();
        let granted = match charge(self.quota.as_deref(), wanted) {
            Ok(granted) => granted,
            // Nothing new to be had: what is there already can be overwritten.
            Err(_) if gaps[0].start * PAGE > at => 0,
            Err(e) => return Err(e),
        };
        if granted == wanted {
            return Ok((len, granted));
        }
        let mut left = granted;
        for gap in gaps {
            let size = gap.end - gap.start;
            if size > left {
                let end = (gap.start + left) * PAGE;
                return Ok((end - at, granted));
            }
            left -= size;
        }
        Ok((len, granted))
    }

    /// Gives pages of a file without source to `[offset, offset + len)` (fallocate). The size stays. ENOSPC.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let _io = self.io.lock();
        self.cover(offset.checked_add(len).ok_or(Errno::EFBIG)?)?;
        let pages = pages_of(offset, len);
        let wanted = {
            let state = self.state.lock();
            pages.end - pages.start - state.valid.count_in(pages.clone())
        };
        let granted = charge(self.quota.as_deref(), wanted)?;
        if granted < wanted {
            uncharge(self.quota.as_deref(), granted);
            return err(Errno::ENOSPC);
        }
        self.state.lock().valid.insert(pages);
        Ok(())
    }

    /// Reads pages of `[offset, offset + len)` in that aren't there, and some more ahead. The source's errors, ENOMEM.
    pub fn ensure(&self, offset: u64, len: u64) -> Result<()> {
        if self.source.is_none() {
            return Ok(());
        }
        let clip = |range: Range<u64>| range.start..range.end.min(self.size().div_ceil(PAGE));
        let wanted = pages_of(offset, len);
        if self.state.lock().valid.covers(clip(wanted.clone())) {
            return Ok(());
        }
        let source = self.source().expect("it has one")?;
        let _fill = self.fill.lock();
        let _pin = self.pin();
        let wanted = clip(wanted);
        let range = self.range_for_fill()?;
        loop {
            let (gap, base) = {
                let mut state = self.state.lock();
                let Some(first) = state.valid.gaps(wanted.clone()).into_iter().next() else {
                    return Ok(());
                };
                (self.window(&mut state, first), range.base())
            };
            let granted = gap.end - gap.start;
            if gap.end * PAGE > range.len() {
                return err(Errno::EIO);
            }
            charge_fill(self.quota.as_deref(), granted);
            let start = gap.start * PAGE;
            let end = (gap.end * PAGE).min(self.size());
            let filled = if start < end {
                note_read(end - start);
                source.fill(start, end - start, base + start)
            } else {
                Ok(())
            };
            if let Err(e) = filled {
                memory().punch(base + start, granted * PAGE);
                uncharge(self.quota.as_deref(), granted);
                return Err(e);
            }
            self.state.lock().valid.insert(gap);
        }
    }

    /// Puts bytes `[start, start + len)` of the file to another place of the page-cache memory, straight from the source.
    /// False when some of them are in the cache, or there is no source. The source's errors.
    pub fn fill_elsewhere(&self, start: u64, len: u64, cache_offset: u64) -> Result<bool> {
        let Some(source) = self.source() else {
            return Ok(false);
        };
        let len = len.min(self.size().saturating_sub(start));
        if self.state.lock().valid.count_in(pages_of(start, len)) > 0 {
            return Ok(false);
        }
        if len > 0 {
            note_read(len);
            source?.fill(start, len, cache_offset)?;
        }
        Ok(true)
    }

    /// The range to fill pages in, made now for a file that was never read. With `fill`.
    fn range_for_fill(&self) -> Result<Arc<CacheRange>> {
        if let Some(range) = &self.state.lock().range {
            return Ok(range.clone());
        }
        // Nothing has to move, so `io` isn't needed.
        self.cover(self.size().next_multiple_of(PAGE))
    }

    /// The pages to read for a miss at `miss`: nothing that is there, at most one window.
    fn window(&self, state: &mut State, miss: Range<u64>) -> Range<u64> {
        let file = self.size().div_ceil(PAGE);
        let limit = |state: &State, from: u64, to: u64| {
            state.valid.next_in(from).map_or(to, |next| next.min(to))
        };
        if file <= SMALL {
            return miss.start..limit(state, miss.start, file).max(miss.start + 1);
        }
        let ahead = &mut state.readahead;
        let (start, end) = if miss.start == ahead.next {
            ahead.window = (ahead.window * 2).clamp(WINDOW_MIN, WINDOW_MAX);
            (miss.start, miss.start + ahead.window)
        } else {
            ahead.window = WINDOW_MIN;
            let start = miss.start / WINDOW_MIN * WINDOW_MIN;
            (start, start + WINDOW_MIN)
        };
        let end = end.max(miss.end.min(miss.start + WINDOW_MAX)).min(file);
        ahead.next = end;
        // Not over pages that are there, on either side of the miss.
        let start = (start..miss.start)
            .rev()
            .take_while(|page| !state.valid.contains(*page))
            .last()
            .unwrap_or(miss.start);
        start..limit(state, miss.start, end).max(miss.start + 1)
    }
}

/// Bytes that the calling task reads from where a file is kept.
fn note_read(bytes: u64) {
    if let Some(task) = crate::sched::try_current() {
        task.io.note_stored_read(bytes);
    }
}
