//! The self-test of codes: whether bounds that leave out few rows leave out none of the nearest, and what that costs.

use super::{
    BYTES_PER_SIGNS, CodedRows, Coding, DenseQuery, Wanted,
    codes_test::{CodesTest, LADDER, is_dear},
};
use crate::{
    RowBlock, TopK, Vectors, Work,
    probes::{Results, Told, classes, nearest_of_each},
    sequential::{Asked, Evidence, K},
};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Effort, Metric, SlotId};
use std::{ops::RangeInclusive, sync::OnceLock};

/// Probes: each is held against all rows, and the more there are, the less one result tells that is missed by chance.
const QUERIES: RangeInclusive<usize> = 64..=256;
/// Distances of rows to probes that are computed, if [`QUERIES`] allows it.
const DISTANCES: usize = 1 << 21;
const SEED: u64 = 0x5eed;
/// Where rows lie in crowds one bound that is wrong leaves out all of a crowd: no bound may be.
const CROWDS_FROM: usize = LADDER.len() - 1;
/// One over the share of results that may be missed.
const MISSED_PART: usize = 1_000;
/// The codes with what the test found of them.
pub(super) fn tested(
    mut coded: CodedRows,
    block: RowBlock<'_>,
    metric: Metric,
    stop: &dyn Fn() -> bool,
) -> Coding {
    let told = Told::by(&coded, block, SEED);
    let probes = classes(block, Some(&told), &[], probes_for(&coded), SEED);
    let queries: Vec<Vec<f32>> = probes.into_iter().map(|(_, query)| query).collect();
    let Some(nearest) = nearest_of_each(block, metric, &queries, None, stop) else { return Coding::Stopped };
    let first = if told.has_crowds(SEED) { CROWDS_FROM } else { 0 };
    for deviations in LADDER.into_iter().skip(first) {
        if stop() {
            return Coding::Stopped;
        }
        coded.test.deviations = deviations;
        coded.test = test(&coded, block, metric, &queries, &nearest);
        if (1.0 - coded.test.recall.mean) * MISSED_PART as f64 <= 1.0 || !coded.has_signs() {
            break;
        }
    }
    Coding::Done(coded)
}

/// How many probes: bounds by bits are chosen by them, those by bytes leave nothing to choose.
fn probes_for(coded: &CodedRows) -> usize {
    let (least, most) = QUERIES.into_inner();
    if coded.has_signs() { (DISTANCES / coded.rows).clamp(least, most) } else { least }
}

fn test(
    coded: &CodedRows,
    block: RowBlock<'_>,
    metric: Metric,
    queries: &[Vec<f32>],
    nearest: &[Vec<(Distance, SlotId)>],
) -> CodesTest {
    let (mut evidence, mut work) = (Evidence::default(), Work::default());
    for (query, nearest) in queries.iter().zip(nearest) {
        let near = search(coded, block, metric, query, &mut work);
        let missed = Results::of(nearest).missed(near.into_iter().map(|(distance, _)| distance));
        evidence.add(missed, nearest.len());
    }
    let queries = queries.len();
    let mean = |count: u64| count.div_ceil(queries.max(1) as u64);
    let (rows, vectors_read) = (block.rows() as u64, mean(work.distances));
    let bytes_read = if coded.has_bytes() { mean(work.code_distances) } else { vectors_read };
    let before = match (coded.has_signs(), coded.has_bytes()) {
        (false, _) => 3 * rows,
        (true, true) => rows + BYTES_PER_SIGNS * bytes_read,
        (true, false) => rows,
    };
    CodesTest {
        recall: evidence.recall(Asked::Probes),
        bytes_read,
        vectors_read,
        is_dear: is_dear(rows, before, vectors_read),
        ..coded.test
    }
}

fn search(
    coded: &CodedRows,
    block: RowBlock<'_>,
    metric: Metric,
    query: &[f32],
    work: &mut Work,
) -> Vec<(Distance, SlotId)> {
    let wanted = Wanted { is_wanted: &|_| true, stop: &|| false };
    let (scorer, codes) = (QueryScorer::new(metric, query), OnceLock::new());
    let mut best = TopK::new(K);
    let asked = (DenseQuery::new(query, &codes), Effort::NORMAL);
    coded.search((Vectors::from(block), &scorer), asked, wanted, &mut best, work);
    best.into_sorted()
}
