//! Query load: the searches of the last minutes and what they cost, of every shard and of every tenant. Counting takes no
//! lock: two relaxed additions per search and meter.

use pinyon_shard::Work;
use pinyon_types::NamespaceId;
use std::{
    array,
    collections::HashMap,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Length of one bucket of a meter.
const BUCKET_US: u64 = 60_000_000;
/// Buckets of a meter, the one that is being filled included: loads cover the last four to five minutes.
const BUCKETS: usize = 5;
/// Low bits of a bucket that hold its value; the high ones hold the number of its minute. A minute has room for 10^12
/// scored vectors, ten thousand cores' worth.
const VALUE_BITS: u32 = 40;
const VALUE_MASK: u64 = (1 << VALUE_BITS) - 1;

/// Cost of a search beside its rows, in vectors scored: planning, merging and reading the results take about 10 us, and a
/// vector of 384 components about 40 ns.
const SEARCH_COST: u64 = 256;
/// Int8 codes that cost as much as one vector: they have a quarter of its bytes.
const BYTE_CODES_PER_VECTOR: u64 = 4;
/// Binary codes, postings or rows held against a filter that cost as much as one vector: 2 to 3 ns each.
const CHEAP_STEPS_PER_VECTOR: u64 = 16;

/// Load of the last minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryLoad {
    /// Searches.
    pub searches: u64,
    /// Their cost, in vectors scored: comparable within an index, whatever else the machine does.
    pub cost: u64,
    /// The time that these are of.
    pub span: Duration,
}

impl QueryLoad {
    /// The load of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            searches: self.searches + other.searches,
            cost: self.cost + other.cost,
            span: self.span.max(other.span),
        }
    }

    /// Searches per second.
    pub fn per_second(&self) -> f64 {
        // An engine that was just opened has a span of next to nothing.
        self.searches as f64 / self.span.as_secs_f64().max(1.0)
    }
}

/// Cost of a search in vectors scored, from counts: times would depend on what else the machine does.
pub(crate) fn cost(work: &Work) -> u64 {
    let Work { distances, code_distances, sign_distances, hops, rows_filtered, postings, graph_walks: _ } =
        *work;
    SEARCH_COST
        + distances
        + hops
        + code_distances / BYTE_CODES_PER_VECTOR
        + (sign_distances + rows_filtered + postings) / CHEAP_STEPS_PER_VECTOR
}

/// Counts searches and their cost by the minute.
#[derive(Debug, Default)]
pub(crate) struct LoadMeter {
    searches: [AtomicU64; BUCKETS],
    cost: [AtomicU64; BUCKETS],
}

impl LoadMeter {
    pub(crate) fn record(&self, now_us: u64, cost: u64) {
        let minute = now_us / BUCKET_US;
        let at = (minute % BUCKETS as u64) as usize;
        add(&self.searches[at], minute, 1);
        add(&self.cost[at], minute, cost.min(VALUE_MASK >> 8));
    }

    /// The load of the last minutes; `began_us` is when counting began.
    pub(crate) fn read(&self, now_us: u64, began_us: u64) -> QueryLoad {
        let minute = now_us / BUCKET_US;
        let sum = |buckets: &[AtomicU64]| buckets.iter().map(|bucket| recent(bucket, minute)).sum();
        let covered_us = (BUCKETS as u64 - 1) * BUCKET_US + now_us % BUCKET_US;
        let span = Duration::from_micros(covered_us.min(now_us.saturating_sub(began_us)));
        QueryLoad { searches: sum(&self.searches), cost: sum(&self.cost), span }
    }
}

fn tag(minute: u64) -> u64 {
    minute << VALUE_BITS
}

/// Adds to a bucket, which begins anew when it still holds an earlier minute.
fn add(bucket: &AtomicU64, minute: u64, amount: u64) {
    let mut found = bucket.load(Ordering::Relaxed);
    while found & !VALUE_MASK != tag(minute) {
        // Who loses this race finds the minute begun.
        let begun = tag(minute) | amount;
        match bucket.compare_exchange_weak(found, begun, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => found = other,
        }
    }
    bucket.fetch_add(amount, Ordering::Relaxed);
}

/// A bucket's value if its minute is one of the last.
fn recent(bucket: &AtomicU64, minute: u64) -> u64 {
    let found = bucket.load(Ordering::Relaxed);
    let age = tag(minute).wrapping_sub(found & !VALUE_MASK) >> VALUE_BITS;
    if age < BUCKETS as u64 { found & VALUE_MASK } else { 0 }
}

/// Meters that are made together.
const LEAF: usize = 64;
/// Every tier has twice the leaves of the one before: 2^20 namespaces have meters (LIM-1), of 80 bytes each once one of
/// their leaf is searched. Searches of namespaces beyond are counted in their shard only.
const TIERS: usize = 14;

type Leaf = Box<[LoadMeter; LEAF]>;

/// The meters of all namespaces, found by number without a lock.
#[derive(Debug, Default)]
pub(crate) struct TenantLoads {
    tiers: [OnceLock<Box<[OnceLock<Leaf>]>>; TIERS],
}

impl TenantLoads {
    pub(crate) fn record(&self, namespace: NamespaceId, now_us: u64, cost: u64) {
        let Ok(number) = usize::try_from(namespace.get()) else { return };
        let leaf = number / LEAF + 1;
        let tier = leaf.ilog2();
        let Some(leaves) = self.tiers.get(tier as usize) else { return };
        let leaves = leaves.get_or_init(|| (0..1 << tier).map(|_| OnceLock::new()).collect());
        let leaf =
            leaves[leaf - (1 << tier)].get_or_init(|| Box::new(array::from_fn(|_| LoadMeter::default())));
        leaf[number % LEAF].record(now_us, cost);
    }

    /// The load of every namespace that has any.
    pub(crate) fn read(&self, now_us: u64, began_us: u64) -> HashMap<NamespaceId, QueryLoad> {
        let leaves = self.tiers.iter().enumerate().flat_map(|(tier, leaves)| {
            let leaves = leaves.get().into_iter().flat_map(|leaves| leaves.iter().enumerate());
            leaves.map(move |(at, leaf)| ((1_usize << tier) + at - 1, leaf))
        });
        let loads =
            leaves.filter_map(|(number, leaf)| Some((number, leaf.get()?))).flat_map(|(number, leaf)| {
                let load = move |(at, meter): (usize, &LoadMeter)| {
                    (NamespaceId::new((number * LEAF + at) as u64), meter.read(now_us, began_us))
                };
                leaf.iter().enumerate().map(load)
            });
        loads.filter(|(_, load)| load.searches > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = BUCKET_US;
    /// A moment of the year 2026.
    const NOW: u64 = 1_790_000_000_000_000 / MINUTE * MINUTE;

    #[test]
    fn loads_cover_the_last_minutes_and_forget_what_is_older() {
        let meter = LoadMeter::default();
        assert_eq!(meter.read(NOW, 0).searches, 0);
        (0..10).for_each(|_| meter.record(NOW, 300));
        meter.record(NOW + MINUTE, 1_000);
        let load = meter.read(NOW + MINUTE + 30_000_000, 0);
        assert_eq!((load.searches, load.cost, load.span), (11, 4_000, Duration::from_secs(270)));
        assert_eq!(meter.read(NOW + 5 * MINUTE - 1, 0).searches, 11);
        assert_eq!(meter.read(NOW + 5 * MINUTE, 0).searches, 1, "the first minute is forgotten");
        assert_eq!(meter.read(NOW + 6 * MINUTE, 0).cost, 0);
        // A bucket that held an earlier minute begins anew.
        meter.record(NOW + 10 * MINUTE, 7);
        assert_eq!(meter.read(NOW + 10 * MINUTE, 0).cost, 7);
    }

    #[test]
    fn rates_are_of_the_time_that_was_counted() {
        let meter = LoadMeter::default();
        (0..100).for_each(|_| meter.record(NOW, 1));
        let load = meter.read(NOW + 10_000_000, NOW - 10_000_000);
        assert_eq!((load.span, load.per_second()), (Duration::from_secs(20), 5.0));
        assert_eq!(meter.read(NOW, NOW).per_second(), 100.0);
    }

    #[test]
    fn namespaces_are_told_apart_and_those_beyond_the_bound_are_left_out() {
        let loads = TenantLoads::default();
        let most = (LEAF << TIERS) - LEAF;
        let numbers = [0, 1, 63, 64, 65, 191, 192, 100_000, most as u64 - 1];
        for (times, number) in (1..).zip(numbers) {
            (0..times).for_each(|_| loads.record(NamespaceId::new(number), NOW, number + 1));
        }
        loads.record(NamespaceId::new(most as u64), NOW, 1);
        loads.record(NamespaceId::new(u64::MAX), NOW, 1);
        let read = loads.read(NOW, 0);
        assert_eq!(read.len(), numbers.len());
        for (times, number) in (1..).zip(numbers) {
            let load = read[&NamespaceId::new(number)];
            assert_eq!((load.searches, load.cost), (times, times * (number + 1)), "{number}");
        }
        assert!(loads.read(NOW + 5 * MINUTE, 0).is_empty());
    }

    #[test]
    fn no_search_is_lost_when_threads_begin_a_minute_together() {
        let meter = LoadMeter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..3_000).for_each(|at| meter.record(NOW + at / 1_000 * MINUTE, 2)));
            }
        });
        let load = meter.read(NOW + 2 * MINUTE, 0);
        assert_eq!((load.searches, load.cost), (12_000, 24_000));
    }

    #[test]
    fn costs_grow_with_what_was_scored() {
        let scan = Work { distances: 1_000, ..Work::default() };
        let codes = Work { sign_distances: 1_000, code_distances: 100, distances: 10, ..Work::default() };
        assert!(cost(&Work::default()) < cost(&codes) && cost(&codes) < cost(&scan));
    }
}
