//! The device `mem`: memory taken from the machine while it runs, and given back.

use crate::registry::{Class, Refusal};
use kernel::fs::proc;
use kernel::mm::{self, pagecache};
use kernel::task::kernel_thread;
use std::sync::Mutex;
use std::time::Duration;

const PAGE: u64 = 4096;
/// Pages that can't be taken: the machine must be able to go on.
const RESERVE: u64 = (8 << 20) / PAGE;
const EINVAL: i32 = -22;
const EBUSY: i32 = -16;
/// How long dropping pages of the cache is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was taken so far, in pages; the order of requests.
pub struct Memory(Mutex<u64>);

impl Memory {
    pub fn new() -> Memory {
        Memory(Mutex::new(0))
    }
}

impl Class for Memory {
    fn name(&self) -> &'static str {
        "mem"
    }

    /// arch/um/drivers/mconsole_kern.c:mem_config(): as much as there is, without a complaint about the rest.
    fn configure(&self, rest: &str) -> Result<(), Refusal> {
        let einval = |text: &str| Refusal::new(EINVAL, text);
        let text = rest
            .strip_prefix('=')
            .ok_or_else(|| einval("Expected '=' after 'mem'"))?;
        let (adds, size) = match text.split_at_checked(1) {
            Some(("+", size)) => (true, size),
            Some(("-", size)) => (false, size),
            _ => return Err(einval("Expected increment to start with '-' or '+'")),
        };
        let pages =
            parse_size(size).ok_or_else(|| einval("Failed to parse memory increment"))? / PAGE;
        let mut taken = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let total = mm::total_pages();
        if adds {
            let back = pages.min(*taken);
            *taken -= back;
            mm::set_total((total + back) * PAGE);
            return Ok(());
        }
        // What programs hold stays, and a reserve; the page cache gives way.
        let kept = proc::memory().anon * 1024 / PAGE + mm::kernel_pages() + RESERVE;
        let available = total.saturating_sub(kept);
        let away = pages.min(available);
        *taken += away;
        mm::set_total((total - away) * PAGE);
        let excess = pagecache::allocated_pages().saturating_sub(total - away);
        if excess > 0 {
            // What can't be dropped now goes when the next page is wanted.
            let _later = kernel_thread::call("mem", PATIENCE, move |_| pagecache::relieve(excess));
        }
        Ok(())
    }

    /// The machine's memory in bytes. (The original tells the address at which its memory begins.)
    fn query(&self, _rest: &str) -> Result<String, Refusal> {
        Ok((mm::total_pages() * PAGE).to_string())
    }

    fn remove(&self, _rest: &str) -> Result<(), Refusal> {
        let text = "Memory doesn't support the remove operation";
        Err(Refusal::new(EBUSY, text))
    }
}

/// lib/cmdline.c:memparse() of the whole text. None: something is left, or it is too much.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    number.ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_of_increments() {
        assert_eq!(parse_size("1M"), Some(1 << 20));
        assert_eq!(parse_size("0x10k"), Some(16 << 10));
        assert_eq!(parse_size("010"), Some(8));
        assert_eq!(parse_size("x"), None);
        assert_eq!(parse_size(""), None);
        assert_eq!(parse_size("1é"), None);
        assert_eq!(parse_size("99999999999G"), None);
    }
}
