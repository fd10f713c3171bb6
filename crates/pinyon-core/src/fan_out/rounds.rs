//! Two rounds: every shard is first asked as hard as the share of the results that is expected from it deserves; a shard that
//! turns out to hold more of them is asked again, as if it held them all. Results are spread like rows more often than not, and
//! a tenant that has all of them costs one search more.

use super::Part;
use crate::engine::{Fleet, ShardOutcome, Targets};
use pinyon_shard::Hit;
use pinyon_types::ShardId;
use std::collections::BTreeMap;

/// Standard deviations above the mean that are allowed for: beyond two, one shard in two hundred is asked again.
const DEVIATIONS: f64 = 2.0;

/// A shard, and how many of the results are expected from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) shard: ShardId,
    pub(super) expected: usize,
}

/// What every shard is asked first when all rows of all of them are searched for `k` results.
pub(super) fn by_share_of_rows(fleet: &Fleet, targets: &Targets, k: usize) -> Vec<Ask> {
    let shards = targets.shards();
    let rows: Vec<u64> = shards
        .iter()
        .map(|shard| fleet.backend(*shard).map_or(0, |backend| backend.records(targets.scope(*shard))))
        .collect();
    let all: u64 = rows.iter().sum();
    let asks = shards.iter().zip(rows);
    asks.map(|(shard, rows)| Ask { shard: *shard, expected: expected(k, rows, all) }).collect()
}

/// How many of `k` results lie among `rows` of `all` rows, if they lie as rows do (a binomial distribution).
fn expected(k: usize, rows: u64, all: u64) -> usize {
    let share = rows as f64 / all.max(1) as f64;
    let mean = k as f64 * share;
    let most = mean + DEVIATIONS * (mean * (1.0 - share)).sqrt();
    (most.ceil() as usize).clamp(1, k)
}

/// The shards that hold more of the `k` results than was expected and answered by a walk that was the shorter for it.
pub(super) fn underestimated(asks: &[Ask], parts: &[Part], k: usize) -> Vec<Ask> {
    let mut hits: Vec<(&Hit, ShardId)> =
        parts.iter().flat_map(|part| part.hits.iter().map(|hit| (hit, part.report.shard))).collect();
    hits.sort_unstable_by(|a, b| a.0.cmp_rank(b.0));
    let mut held: BTreeMap<ShardId, usize> = BTreeMap::new();
    hits.iter().take(k).for_each(|(_, shard)| *held.entry(*shard).or_default() += 1);
    let walked = |shard: ShardId| {
        let report = parts.iter().map(|part| &part.report).find(|report| report.shard == shard);
        report.is_some_and(|report| report.outcome == ShardOutcome::Answered && report.work.graph_walks > 0)
    };
    let asks = asks.iter().filter(|ask| held.get(&ask.shard).is_some_and(|held| *held > ask.expected));
    asks.filter(|ask| walked(ask.shard)).map(|ask| Ask { expected: k, ..*ask }).collect()
}

/// Puts second answers in the place of first ones, whose cost they add to. Where there is no complete second answer the first
/// stands, and its report says that something was left out.
pub(super) fn replace(parts: &mut [Part], again: &[Ask], mut second: Vec<Part>) {
    let asked_again = |part: &&mut Part| again.iter().any(|ask| ask.shard == part.report.shard);
    for part in parts.iter_mut().filter(asked_again) {
        let at = second.iter().position(|one| one.report.shard == part.report.shard);
        let Some(second) = at.map(|at| second.swap_remove(at)) else {
            part.report.outcome = ShardOutcome::TimedOut;
            continue;
        };
        part.report.work += second.report.work;
        part.report.latency += second.report.latency;
        part.report.outcome = second.report.outcome;
        if part.report.outcome == ShardOutcome::Answered {
            part.report.explanation = second.report.explanation;
            part.hits = second.hits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::expected;

    #[test]
    fn shares_of_rows_bound_shares_of_results() {
        assert_eq!([1, 4, 16].map(|shards| expected(10, 1_000, 1_000 * shards)), [10, 6, 3]);
        assert_eq!([1, 4, 16].map(|shards| expected(100, 1_000, 1_000 * shards)), [100, 34, 12]);
        // Never nothing, never more than there are results.
        assert_eq!([expected(10, 0, 1_000), expected(10, 999, 1_000), expected(1, 1, 2)], [1, 10, 1]);
        assert_eq!(expected(10, 0, 0), 1);
    }
}
