//! An allocator that counts what each thread holds, so that a test can tell what reading some bytes took.

#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::Write,
};

/// No input of a test is worth so much at once: it would be a length that somebody made up.
const BYTES_AT_ONCE_MAX: usize = 2 << 30;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that this thread held at once during `work`, more than before.
pub(crate) fn peak_bytes(work: impl FnOnce()) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    usize::try_from(PEAK.get() - before).unwrap_or(0)
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

fn is_absurd(layout: Layout) -> bool {
    let is_absurd = layout.size() > BYTES_AT_ONCE_MAX;
    if is_absurd {
        // What follows is an abort that no test harness sees.
        let _ = writeln!(std::io::stderr(), "fuzz: {} bytes asked for at once", layout.size());
    }
    is_absurd
}

// SAFETY: every call goes to the system's allocator as it came, or returns null, which means that there is no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_absurd(layout) {
            return std::ptr::null_mut();
        }
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`; the pointer is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_at_once_is_counted_and_what_was_let_go_is_not() {
        let peak = peak_bytes(|| {
            for _ in 0..10 {
                std::hint::black_box(vec![1_u8; 100_000]);
            }
            std::hint::black_box([vec![1_u8; 50_000], vec![1_u8; 60_000]]);
        });
        assert!((110_000..111_000).contains(&peak), "{peak}");
    }
}
