//! What queries across shards get of their own: a limit on how many are let in, because each of them costs every shard
//! work, and a cache of complete answers that any write makes invalid.

use crate::{
    EngineError, ErrorCode, QueryAnswer,
    fan_out::{Plan, Reach},
};
use pinyon_planted::is_planted;
use pinyon_types::{Clock, SeqNo};
use quick_cache::{Weighter, sync::Cache};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// What a cross-shard query may cost. Nothing is limited and nothing kept unless it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrossShardSettings {
    /// Queries that are let in a second, on average; up to one second's worth at once. `None` lets all in.
    pub per_second_max: Option<u32>,
    /// Bytes of answers that are kept; 0 keeps none.
    pub cache_bytes: u64,
}

/// Queries across shards since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrossShardCounts {
    /// That were let in.
    pub queries: u64,
    /// That were refused by the limit.
    pub refused: u64,
    /// That were answered from the cache.
    pub cached: u64,
}

/// The door for cross-shard queries, with its counters.
#[derive(Debug)]
pub(crate) struct CrossShard {
    limit: Option<TokenBucket>,
    cache: Option<AnswerCache>,
    queries: AtomicU64,
    refused: AtomicU64,
    cached: AtomicU64,
}

impl CrossShard {
    pub(crate) fn new(settings: CrossShardSettings, clock: &Arc<dyn Clock>) -> Self {
        Self {
            limit: settings.per_second_max.map(|rate| TokenBucket::new(rate, Arc::clone(clock))),
            cache: (settings.cache_bytes > 0).then(|| AnswerCache::new(settings.cache_bytes)),
            queries: 0.into(),
            refused: 0.into(),
            cached: 0.into(),
        }
    }

    /// Lets one query in, or says when to come back.
    pub(crate) fn admit(&self) -> Result<(), EngineError> {
        if let Some(limit) = &self.limit
            && let Err(wait_us) = limit.take()
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let message = format!(
                "cross-shard queries are limited to {} a second (setting cross_shard_qps_max): try again in {} ms, or give tenant_id",
                limit.per_second,
                wait_us.div_ceil(1000)
            );
            return Err(EngineError::new(ErrorCode::Overloaded, message));
        }
        self.queries.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The answer to the same question, if nothing was written or moved since.
    pub(crate) fn recall(&self, question: &Question, seen: &Seen) -> Option<QueryAnswer> {
        let kept = self.cache.as_ref()?.0.get(&question.0)?;
        if kept.seen != *seen {
            return None;
        }
        self.cached.fetch_add(1, Ordering::Relaxed);
        Some(QueryAnswer { is_cached: true, ..kept.answer.clone() })
    }

    /// Keeps a complete answer. `seen` is of before the search began: what the search saw is not older.
    pub(crate) fn keep(&self, question: Question, seen: Seen, answer: &QueryAnswer) {
        if let Some(cache) = &self.cache
            && (!answer.is_partial || is_planted(15))
        {
            cache.0.insert(question.0, Arc::new(Kept { seen, answer: answer.clone() }));
        }
    }

    pub(crate) fn keeps_answers(&self) -> bool {
        self.cache.is_some()
    }

    pub(crate) fn counts(&self) -> CrossShardCounts {
        CrossShardCounts {
            queries: self.queries.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
        }
    }
}

/// Everything that an answer depends on, but the data.
pub(crate) struct Question(Box<[u8]>);

impl Question {
    pub(crate) fn new(plan: &Plan, reach: &Reach) -> Self {
        // Debug quotes its strings and writes floats so that they read back: different questions differ.
        let Plan { vector, sparse, required, top_k, filter, effort, targets: _, timeout: _, explain: _ } =
            plan;
        let mut bytes =
            format!("{reach:?} {top_k:?} {filter:?} {effort:?} {sparse:?} {required:?} ").into_bytes();
        bytes.extend(vector.as_slice().iter().flat_map(|component| component.to_le_bytes()));
        Self(bytes.into_boxed_slice())
    }
}

/// The data that an answer is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Of the state by which copies were found.
    pub(crate) generation: u64,
    /// Of each shard; none where there are none, or where the shard is kept out.
    pub(crate) positions: Vec<Option<SeqNo>>,
}

#[derive(Debug)]
struct Kept {
    seen: Seen,
    answer: QueryAnswer,
}

#[derive(Debug)]
struct AnswerCache(Cache<Box<[u8]>, Arc<Kept>, ByBytes>);

/// Bytes about which an answer's size is rounded: a typical answer of ten.
const ANSWER_BYTES_TYPICAL: u64 = 4096;

impl AnswerCache {
    fn new(bytes: u64) -> Self {
        let answers = usize::try_from(bytes / ANSWER_BYTES_TYPICAL).unwrap_or(usize::MAX).max(16);
        Self(Cache::with_weighter(answers, bytes, ByBytes))
    }
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Box<[u8]>, Arc<Kept>> for ByBytes {
    fn weight(&self, question: &Box<[u8]>, kept: &Arc<Kept>) -> u64 {
        let result = |one: &crate::Match| {
            let texts = one.id.as_str().len() + one.text.as_ref().map_or(0, String::len);
            size_of::<crate::Match>() + texts + one.metadata.memory_bytes()
        };
        let results: usize = kept.answer.results.iter().map(result).sum();
        (question.len() + results + size_of::<Kept>() + 128 * kept.answer.shards.len()) as u64
    }
}

/// Lets `per_second` through on average, and as many at once (the token bucket of RFC 2697, one colour).
#[derive(Debug)]
struct TokenBucket {
    per_second: u32,
    clock: Arc<dyn Clock>,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// Millionths of a query: what flows in within a microsecond is a whole number of them.
    micros: u64,
    filled_us: u64,
}

const WHOLE: u64 = 1_000_000;

impl TokenBucket {
    fn new(per_second: u32, clock: Arc<dyn Clock>) -> Self {
        let level = Level { micros: u64::from(per_second) * WHOLE, filled_us: clock.now_us() };
        Self { per_second, clock, level: Mutex::new(level) }
    }

    /// Takes one, or says after how many microseconds there will be one.
    fn take(&self) -> Result<(), u64> {
        let rate = u64::from(self.per_second);
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = self.clock.now_us();
        let passed_us = now_us.saturating_sub(level.filled_us);
        level.micros = level.micros.saturating_add(passed_us.saturating_mul(rate)).min(rate * WHOLE);
        level.filled_us = now_us;
        match level.micros.checked_sub(WHOLE) {
            Some(rest) => {
                level.micros = rest;
                Ok(())
            }
            None => Err((WHOLE - level.micros).div_ceil(rate.max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinyon_types::ManualClock;
    use std::time::Duration;

    #[test]
    fn a_bucket_lets_its_rate_through_and_one_second_at_once() {
        let clock = Arc::new(ManualClock::default());
        let bucket = TokenBucket::new(10, Arc::clone(&clock) as Arc<dyn Clock>);
        let taken = || (0..100).filter(|_| bucket.take().is_ok()).count();
        assert_eq!(taken(), 10);
        assert_eq!(bucket.take(), Err(100_000));
        clock.advance(Duration::from_millis(99));
        assert_eq!(bucket.take(), Err(1_000));
        clock.advance(Duration::from_millis(1));
        assert_eq!(taken(), 1);
        // However long nobody came, no more than one second's worth is saved up.
        clock.advance(Duration::from_secs(3600));
        assert_eq!(taken(), 10);
        // Ten seconds, looked at every millisecond: ten a second, none lost to rounding.
        let steady = (0..10_000).filter(|_| {
            clock.advance(Duration::from_millis(1));
            bucket.take().is_ok()
        });
        assert_eq!(steady.count(), 100);
    }
}
