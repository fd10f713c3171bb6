//! What searches of several sets of rows for one query know of each other.

use crate::TopK;
use pinyon_types::Distance;
use std::sync::{
    Mutex, PoisonError,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
};

/// How far the k-th nearest row is that was found so far, wherever it lies: what is farther is no result. Threads may add and
/// look at the same time; who sees a distance sees what was done before it was added.
#[derive(Debug)]
pub struct Bound {
    nearest: Mutex<TopK<Distance>>,
    /// Bits of the distance, for those who look.
    kth: AtomicU64,
}

impl Bound {
    /// Of no rows yet.
    pub fn new(k: usize) -> Self {
        Self { nearest: Mutex::new(TopK::new(k)), kth: Distance::FARTHEST.get().to_bits().into() }
    }

    /// The distance of the k-th nearest; [`Distance::FARTHEST`] while there are fewer.
    pub fn get(&self) -> Distance {
        Distance::new(f64::from_bits(self.kth.load(Acquire)))
    }

    /// Adds rows by their distances. No row may be added twice: it would count as two.
    pub fn add(&self, distances: impl Iterator<Item = Distance>) {
        let mut nearest = self.nearest.lock().unwrap_or_else(PoisonError::into_inner);
        distances.for_each(|distance| nearest.push(distance));
        if let Some(worst) = nearest.worst() {
            self.kth.store(worst.get().to_bits(), Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;
    use pinyon_types::Distance;

    #[test]
    fn the_kth_of_all_that_was_added_is_the_bound() {
        let bound = Bound::new(3);
        let add = |distances: &[f64]| {
            bound.add(distances.iter().map(|distance| Distance::new(*distance)));
            bound.get().get()
        };
        assert_eq!([add(&[]), add(&[5.0, -1.0])], [f64::INFINITY; 2]);
        assert_eq!([add(&[7.0]), add(&[9.0]), add(&[6.0, 2.0])], [7.0, 7.0, 5.0]);
    }
}
