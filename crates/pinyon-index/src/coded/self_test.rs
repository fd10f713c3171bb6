//! The self-test of codes: whether bounds that leave out few rows leave out none of the nearest, and what that costs.

use super::{BYTES_PER_SIGNS, CodedRows, Coding, DenseQuery, Wanted};
use crate::{
    RowBlock, TopK, Vectors, Work,
    probes::{Results, Told, classes, nearest_of_each},
    sequential::{Asked, Evidence, K, Recall},
};
use pinyon_distance::QueryScorer;
use pinyon_types::{Distance, Effort, Metric, SlotId};
use std::{ops::RangeInclusive, sync::OnceLock};

/// Probes: each is held against all rows, and the more there are, the less one result tells that is missed by chance.
const QUERIES: RangeInclusive<usize> = 64..=256;
/// Distances of rows to probes that are computed, if [`QUERIES`] allows it.
const DISTANCES: usize = 1 << 21;
const SEED: u64 = 0x5eed;
/// How many standard deviations below their estimates rows are bounded, as tried one after the other. On 100,000 to 3,000,000
/// embeddings of texts 2.5 missed at most 2 of 10,000 results; small steps, because a step reads half as many rows more.
const LADDER: [f32; 5] = [2.5, 2.75, 3.0, 3.5, 5.0];
/// Where rows lie in crowds one bound that is wrong leaves out all of a crowd: no bound may be.
const CROWDS_FROM: usize = LADDER.len() - 1;
/// One over the share of results that may be missed.
const MISSED_PART: usize = 1_000;
/// What reading a row costs beside [`BYTES_PER_SIGNS`], in rows read by their bits one after the other, about, by how many bytes it has:
/// by its vector in no order, and by vectors one after the other.
const VECTOR_COST: u64 = 60;
const SCANNED_VECTOR_COST: u64 = 30;

/// What the self-test of codes found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodesTest {
    /// Standard deviations by which bounds lie below estimates.
    pub deviations: f32,
    /// The recall that was found.
    pub recall: Recall,
    /// Rows whose bytes a query reads after their bits, on average, or whose vectors where there are no bytes.
    pub bytes_read: u64,
    /// Rows whose vectors a query reads, on average.
    pub vectors_read: u64,
    /// Whether a scan of the vectors costs less.
    pub is_dear: bool,
}

impl CodesTest {
    /// Before it was done.
    pub(super) const NONE: Self = Self {
        deviations: LADDER[0],
        recall: Recall { mean: 1.0, lower: 0.0, upper: 1.0, queries: 0, asked: Asked::Probes },
        bytes_read: 0,
        vectors_read: 0,
        is_dear: false,
    };

    /// What it is where the same bits of so many rows are alone.
    pub(super) fn of_bits_alone(self, rows: usize) -> Self {
        let vectors_read = self.vectors_read.max(self.bytes_read);
        Self { vectors_read, is_dear: is_dear(rows as u64, rows as u64, vectors_read), ..self }
    }
}

/// Whether a search that costs as many rows' bits before it reads vectors costs more than a scan of the vectors.
const fn is_dear(rows: u64, before: u64, vectors_read: u64) -> bool {
    before + VECTOR_COST * vectors_read > SCANNED_VECTOR_COST * rows + VECTOR_COST * K as u64 * 2
}

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
