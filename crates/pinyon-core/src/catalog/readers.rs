//! Who still reads by an older state of the routing table. A copy that its tenant left is dropped only when nobody can come to it any
//! more: whoever looked the tenant up before holds the generation of that moment until the request ends.

use std::sync::{Arc, OnceLock, Weak};

/// States of the routing table by which the same copies are read; a tenant's switch to another copy begins the next one. Each holds its
/// successor, so that one which nobody holds any more tells of all before it that nobody holds them either.
#[derive(Debug, Default)]
pub(crate) struct ReadGeneration {
    number: u64,
    successor: OnceLock<Arc<Self>>,
}

impl ReadGeneration {
    /// Its number in this process; those of later ones are higher.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Begins the next one.
    pub(super) fn succeed(&self) -> Arc<Self> {
        let next = || Arc::new(Self { number: self.number + 1, successor: OnceLock::new() });
        Arc::clone(self.successor.get_or_init(next))
    }
}

/// Readers of a generation and of those before it.
#[derive(Debug, Clone)]
pub(crate) struct EarlierReaders(Weak<ReadGeneration>);

impl EarlierReaders {
    pub(super) fn of(generation: &Arc<ReadGeneration>) -> Self {
        Self(Arc::downgrade(generation))
    }

    /// Whether no request reads by such a state any more. Stays so.
    pub(crate) fn are_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// A long chain that ends at once must not take a stack frame for each link.
impl Drop for ReadGeneration {
    fn drop(&mut self) {
        let mut next = self.successor.take();
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = last.successor.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_lives_as_long_as_one_before_it_is_held() {
        let generations: Vec<Arc<ReadGeneration>> =
            std::iter::successors(Some(Arc::default()), |one: &Arc<ReadGeneration>| Some(one.succeed()))
                .take(4)
                .collect();
        let readers: Vec<EarlierReaders> = generations.iter().map(EarlierReaders::of).collect();
        let mut held: Vec<Option<Arc<ReadGeneration>>> = generations.into_iter().map(Some).collect();
        let gone =
            |readers: &[EarlierReaders]| readers.iter().map(EarlierReaders::are_gone).collect::<Vec<_>>();
        held[2] = None;
        assert_eq!(gone(&readers), [false; 4], "the first two have not ended");
        held[0] = None;
        assert_eq!(gone(&readers), [true, false, false, false]);
        held[1] = None;
        assert_eq!(gone(&readers), [true, true, true, false], "the last one counts readers of now");
    }

    #[test]
    fn a_hundred_thousand_generations_end_at_once() {
        let first = Arc::new(ReadGeneration::default());
        let mut last = Arc::clone(&first);
        for _ in 0..100_000 {
            last = last.succeed();
        }
        let readers = EarlierReaders::of(&last);
        drop(last);
        drop(first);
        assert!(readers.are_gone());
    }
}
