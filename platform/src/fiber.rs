//! Kernel stacks: stackful coroutines that a vCPU resumes and that suspend themselves, from any depth.
//!
//! A fiber may be resumed by another host thread than the one it suspended on. So nothing in it may keep a
//! reference to thread-local data across [`suspend`]; the yielder is looked up anew by functions that are never inlined.

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::any::TypeId;
use std::cell::Cell;
use std::sync::Mutex;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Current {
    yielder: *const (),
    kind: TypeId,
    /// An address in the frame of the last [`suspend`]; 0 before.
    frame: usize,
}

#[inline(never)]
fn current() -> Option<Current> {
    CURRENT.get()
}

#[inline(never)]
fn set_current(c: Option<Current>) -> Option<Current> {
    CURRENT.replace(c)
}

/// Stacks of finished fibers, all of one size, ready for the next.
static POOL: Mutex<(usize, Vec<DefaultStack>)> = Mutex::new((0, Vec::new()));
const POOL_MAX: usize = 256;

fn take_stack(size: usize) -> DefaultStack {
    let mut pool = POOL.lock().unwrap();
    if pool.0 != size {
        *pool = (size, Vec::new());
    }
    match pool.1.pop() {
        Some(s) => s,
        None => {
            drop(pool);
            DefaultStack::new(size).expect("no memory for a kernel stack")
        }
    }
}

fn put_stack(size: usize, stack: DefaultStack) {
    let mut pool = POOL.lock().unwrap();
    if pool.0 == size && pool.1.len() < POOL_MAX {
        pool.1.push(stack);
    }
}

/// What a [`Fiber::resume`] came back with.
#[derive(Debug, PartialEq, Eq)]
pub enum Resumed<Y> {
    /// [`suspend`] was called with this value.
    Yielded(Y),
    /// The function returned; the fiber can't be resumed again.
    Finished,
}

/// A suspended (or not yet started) computation with a stack of its own.
pub struct Fiber<Y: 'static> {
    co: Option<Coroutine<(), Y, (), DefaultStack>>,
    yielder: Option<Current>,
    stack_size: usize,
    /// Where the stack begins, growing down.
    base: usize,
}

// SAFETY: the function is Send by `new`'s bound; what lives on the stack across a suspension moves with it, and the
// contract of `suspend` (module header) keeps thread-bound references off it.
unsafe impl<Y: Send> Send for Fiber<Y> {}

impl<Y: 'static> Fiber<Y> {
    /// A fiber that will run `f` on a stack of `stack_size` bytes (plus a guard page). Panics when the host has no
    /// memory for the stack.
    pub fn new<F: FnOnce() + Send + 'static>(stack_size: usize, f: F) -> Fiber<Y> {
        let stack = take_stack(stack_size);
        let base = stack.base().get();
        let co = Coroutine::with_stack(stack, move |yielder: &Yielder<(), Y>, ()| {
            set_current(Some(Current {
                yielder: (yielder as *const Yielder<(), Y>).cast(),
                kind: TypeId::of::<Y>(),
                frame: 0,
            }));
            f()
        });
        Fiber {
            co: Some(co),
            yielder: None,
            stack_size,
            base,
        }
    }

    /// What lies on the stack of the suspended fiber, innermost word first, `most` words at most: return addresses are among
    /// it, and much else. Empty before the first suspension and after the end.
    pub fn stack_words(&self, most: usize) -> Vec<usize> {
        let frame = match (&self.co, self.yielder) {
            (Some(_), Some(current)) if current.frame != 0 => current.frame,
            _ => return Vec::new(),
        };
        let first = frame & !(size_of::<usize>() - 1);
        let end = self.base.min(first + most * size_of::<usize>());
        (first..end)
            .step_by(size_of::<usize>())
            // SAFETY: between the frame of its last suspension and the base lies the used part of the fiber's own stack,
            // which stays mapped and unchanged while the fiber is suspended: resuming takes `&mut self`.
            .map(|at| unsafe { (at as *const usize).read_volatile() })
            .collect()
    }

    /// Runs the fiber until it suspends or finishes. A panic in the fiber continues in the caller. Panics when it
    /// has finished before.
    pub fn resume(&mut self) -> Resumed<Y> {
        let co = self.co.as_mut().expect("resume of a finished fiber");
        // A guard, so that a panic that leaves the fiber doesn't leave its yielder behind.
        let outer = Outer(set_current(self.yielder));
        let result = co.resume(());
        self.yielder = outer.restore();
        match result {
            CoroutineResult::Yield(y) => Resumed::Yielded(y),
            CoroutineResult::Return(()) => {
                put_stack(
                    self.stack_size,
                    self.co.take().expect("just used").into_stack(),
                );
                Resumed::Finished
            }
        }
    }
}

/// What was current outside of a fiber that is being resumed.
struct Outer(Option<Current>);

impl Outer {
    /// Puts it back and returns the fiber's own.
    fn restore(self) -> Option<Current> {
        let inner = set_current(self.0);
        std::mem::forget(self);
        inner
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        set_current(self.0);
    }
}

/// Whether the caller runs in a fiber.
pub fn in_fiber() -> bool {
    current().is_some()
}

/// Suspends the current fiber; its `resume` returns `Yielded(y)`. Returns when it is resumed again, perhaps on another
/// host thread. Panics outside a fiber or when `Y` isn't the fiber's.
#[inline(never)]
pub fn suspend<Y: 'static>(y: Y) {
    let c = current().expect("suspend outside a fiber");
    assert!(
        c.kind == TypeId::of::<Y>(),
        "suspend with another type than the fiber's"
    );
    let mark = 0u8;
    let frame = std::ptr::from_ref(&mark) as usize;
    set_current(Some(Current { frame, ..c }));
    // SAFETY: `CURRENT` holds the yielder of the fiber that runs on this thread right now (resume sets and restores
    // it), it lives on that fiber's stack as long as the fiber, and its type was just compared.
    let yielder = unsafe { &*c.yielder.cast::<Yielder<(), Y>>() };
    yielder.suspend(y);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn yields_and_finishes() {
        let mut f: Fiber<u32> = Fiber::new(64 << 10, || {
            suspend(1u32);
            suspend(2u32);
        });
        assert_eq!(f.resume(), Resumed::Yielded(1));
        assert_eq!(f.resume(), Resumed::Yielded(2));
        assert_eq!(f.resume(), Resumed::Finished);
        assert!(!in_fiber());
    }

    #[test]
    fn a_suspended_stack_shows_what_is_on_it() {
        let mut f: Fiber<()> = Fiber::new(64 << 10, || {
            let marks = std::hint::black_box([0x5eed_u64; 4]);
            suspend(());
            std::hint::black_box(marks);
        });
        assert!(f.stack_words(1000).is_empty());
        f.resume();
        let words = f.stack_words(1000);
        assert!(words.windows(4).any(|w| w == [0x5eed; 4]));
        f.resume();
        assert!(f.stack_words(1000).is_empty());
    }

    #[test]
    fn migrates_between_threads() {
        static SUM: AtomicU32 = AtomicU32::new(0);
        let mut f: Fiber<()> = Fiber::new(64 << 10, || {
            for i in 0..10 {
                SUM.fetch_add(i, Ordering::Relaxed);
                suspend(());
            }
        });
        for _ in 0..10 {
            f = std::thread::spawn(move || {
                assert_eq!(f.resume(), Resumed::Yielded(()));
                f
            })
            .join()
            .unwrap();
        }
        assert_eq!(f.resume(), Resumed::Finished);
        assert_eq!(SUM.load(Ordering::Relaxed), 45);
    }

    #[test]
    fn a_panic_passes_through() {
        let mut f: Fiber<()> = Fiber::new(64 << 10, || panic!("expected"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f.resume())).is_err());
        assert!(!in_fiber());
    }

    #[test]
    fn nested_fibers_and_dropped_ones() {
        let mut f: Fiber<u8> = Fiber::new(64 << 10, || {
            let mut inner: Fiber<u16> = Fiber::new(64 << 10, || suspend(7u16));
            assert_eq!(inner.resume(), Resumed::Yielded(7));
            suspend(1u8);
        });
        assert_eq!(f.resume(), Resumed::Yielded(1));
        drop(f);
    }
}
