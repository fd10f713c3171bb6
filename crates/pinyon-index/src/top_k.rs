//! The k smallest of what was pushed: a bounded max-heap.

use std::collections::BinaryHeap;

/// So many items have their place from the first on.
const FEW: usize = 16;

/// Keeps the k smallest items; of equal items which ones is decided by their full order, so give items a tie-breaker.
#[derive(Debug, Clone)]
pub struct TopK<T: Ord> {
    k: usize,
    heap: BinaryHeap<T>,
}

impl<T: Ord> TopK<T> {
    /// An empty collection for `k` items. Memory grows with what is pushed, not with `k`.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    /// Takes an item if it is among the k smallest so far. Cost: one comparison for most items, once it is full.
    pub fn push(&mut self, item: T) {
        if self.heap.len() < self.k {
            if self.heap.is_empty() {
                self.heap.reserve_exact(self.k.min(FEW));
            }
            return self.heap.push(item);
        }
        if let Some(mut worst) = self.heap.peek_mut()
            && item < *worst
        {
            *worst = item;
        }
    }

    /// The largest kept item, once k are kept: nothing larger will be taken.
    pub fn worst(&self) -> Option<&T> {
        self.heap.peek().filter(|_| self.heap.len() == self.k)
    }

    /// How many items are kept at most.
    pub const fn capacity(&self) -> usize {
        self.k
    }

    /// How many items are kept.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The kept items, smallest first.
    pub fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::SeededRng;

    #[test]
    fn keeps_what_sorting_and_cutting_would_keep() {
        let mut rng = SeededRng::new(1);
        for k in [0, 1, 2, 10, 100, 1000] {
            for count in [0, 1, 9, 10, 11, 500] {
                let mut items: Vec<u64> = (0..count).map(|_| rng.below(200)).collect();
                let mut best = TopK::new(k);
                items.iter().for_each(|item| best.push(*item));
                items.sort_unstable();
                items.truncate(k);
                assert_eq!(best.worst().copied(), items.get(k.wrapping_sub(1)).copied());
                assert_eq!(best.into_sorted(), items, "k {k}, {count} items");
            }
        }
    }
}
