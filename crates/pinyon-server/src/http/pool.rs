//! So many of something, bytes or places, that are taken by trying and never by waiting: who waited while he holds some would
//! wait for himself. One atomic number, no lock.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left of it.
#[derive(Debug)]
pub(super) struct Pool {
    free: AtomicUsize,
    size: usize,
}

impl Pool {
    pub(super) const fn new(size: usize) -> Self {
        Self { free: AtomicUsize::new(size), size }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// How much is free at this moment; another may take it in the next.
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes `count` if there are as many.
    pub(super) fn try_take(&self, count: usize) -> bool {
        let taken = |free: usize| free.checked_sub(count);
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, count: usize) {
        let free = self.free.fetch_add(count, Ordering::Relaxed) + count;
        debug_assert!(free <= self.size, "more was given back than taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_comes_back_is_there_again() {
        let pool = Pool::new(10);
        assert!(pool.try_take(7) && !pool.try_take(4) && pool.try_take(3) && !pool.try_take(1));
        assert!(pool.try_take(0));
        pool.give_back(7);
        assert_eq!((pool.free(), pool.size()), (7, 10));
        assert!(!pool.try_take(usize::MAX) && pool.try_take(7));
    }

    #[test]
    fn threads_that_take_at_once_never_have_more_than_there_is() {
        let (pool, held) = (Pool::new(3), AtomicUsize::new(0));
        let once = || {
            if pool.try_take(1) {
                assert!(held.fetch_add(1, Ordering::SeqCst) < 3);
                held.fetch_sub(1, Ordering::SeqCst);
                pool.give_back(1);
            }
        };
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| (0..2_000).for_each(|_| once()))));
        });
        assert_eq!(pool.free(), 3);
    }
}
