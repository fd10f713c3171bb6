//! Queries for self-tests: as far from the rows as people's queries are, drawn from the rows alone; and their exact answers.

use crate::{CodedRows, DenseQuery, RowBlock, TopK, Vectors, Wanted, Work, scan, sequential::K};
use pinyon_distance::{QueryScorer, codes::Int8Rows};
use pinyon_types::{Distance, Effort, Metric, SeededRng, SlotId};
use roaring::RoaringBitmap;
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

/// Rows that all queries are held against before the next ones: as many as stay in a core's own cache.
const TILE_ROWS: usize = 256;

/// Differences of two rows that are added to a third.
const DIFFERENCES: usize = 8;
/// How long their sum is, as a share of what the rows spread. On 100,000 embeddings of texts the recall of such queries lay
/// 0.001 to 0.005 below that of held-out queries at every effort of a graph; mixtures of two rows were far harder (they are
/// near two crowds at once), rows themselves easier.
const SHARE: f32 = 0.75;

/// Up to `count` queries: rows moved by differences of others, so that they leave the rows in the directions in which rows
/// differ, whatever the metric and wherever the rows lie. All of these are among the rows of a sample, if it has enough.
fn probes(block: RowBlock<'_>, sample: &[u32], count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = SeededRng::new(seed);
    let mut row = || match sample.len() {
        SAMPLE_MIN.. => block.vector(sample[rng.below(sample.len() as u64) as usize] as usize),
        _ => block.vector(rng.below(block.rows() as u64) as usize),
    };
    // The sum of so many differences of two is about as long as the square root of twice as many spreads.
    let step = SHARE / ((2 * DIFFERENCES) as f32).sqrt();
    let probe = |_| {
        let mut query = row().to_vec();
        for _ in 0..DIFFERENCES {
            let (plus, minus) = (row(), row());
            query
                .iter_mut()
                .zip(plus.iter().zip(minus))
                .for_each(|(at, (plus, minus))| *at += step * (plus - minus));
        }
        query
    };
    (0..count.min(block.rows())).map(probe).collect()
}

/// Distinct rows of fewer than this say little about where others lie.
const SAMPLE_MIN: usize = 16;

/// Rows that are looked at for each that is to be distinct.
const LOOKED_AT_PER_ROW: usize = 32;

/// Classes of probes.
pub(crate) const CLASSES: usize = 4;

/// Up to `count` queries, each with its class: rows; rows that codes can tell from each other, one of each crowd; such rows moved; and
/// rows that were held out. Many copies of one vector are one case, and what lies between others is another. Classes take turns.
pub(crate) fn classes(
    block: RowBlock<'_>,
    told: Option<&Told>,
    held_out: &[u32],
    count: usize,
    seed: u64,
) -> Vec<(usize, Vec<f32>)> {
    let count = count.min(block.rows());
    let each = count.div_ceil(if held_out.is_empty() { CLASSES - 1 } else { CLASSES });
    let mut rng = SeededRng::new(seed);
    let any = (0..each).map(|_| rng.below(block.rows() as u64) as u32).collect::<Vec<u32>>();
    let mut distinct = told.map_or_else(Vec::new, |told| told.distinct_rows(each, seed));
    distinct.retain(|row| !held_out.contains(row));
    let vectors = |rows: &[u32]| rows.iter().map(|row| block.vector(*row as usize).to_vec()).collect();
    let moved = probes(block, &distinct, each, seed);
    let held_out = &held_out[..each.min(held_out.len())];
    let mut classes: [Vec<Vec<f32>>; CLASSES] = [vectors(&any), vectors(&distinct), moved, vectors(held_out)];
    classes.iter_mut().for_each(|queries| queries.reverse());
    let turn = |classes: &mut [Vec<Vec<f32>>; CLASSES]| -> Vec<(usize, Vec<f32>)> {
        classes.iter_mut().enumerate().filter_map(|(class, queries)| Some((class, queries.pop()?))).collect()
    };
    (0..each).flat_map(|_| turn(&mut classes)).take(count).collect()
}

/// Up to `count` rows, no two of which have codes so near to each other that they may be the same.
pub(crate) fn distinct_rows(codes: &Int8Rows, count: usize, seed: u64) -> Vec<u32> {
    distinct_and_seen(codes, count, seed).0
}

/// Codes of a byte a component by which rows are told from each other.
#[derive(Debug)]
pub(crate) struct Told {
    codes: Arc<Int8Rows>,
    /// Whose they are, where they are not those of all rows.
    rows: Option<Vec<u32>>,
}

impl Told {
    /// By those that rows have, or by some made for rows at random.
    pub(crate) fn by(coded: &CodedRows, block: RowBlock<'_>, seed: u64) -> Self {
        if coded.has_bytes() {
            return Self { codes: Arc::clone(coded.bytes_codes()), rows: None };
        }
        let mut rng = SeededRng::new(seed);
        let rows: BTreeSet<u32> = (0..TOLD_ROWS).map(|_| rng.below(block.rows() as u64) as u32).collect();
        let mut codes = Int8Rows::clone(coded.bytes_codes());
        for row in rows.iter().map(|row| *row as usize) {
            codes.extend(block.vector(row), &block.inverse_norms[row..=row]);
        }
        Self { codes: Arc::new(codes), rows: Some(rows.into_iter().collect()) }
    }

    /// Up to `count` rows, no two of which have codes so near to each other that they may be the same.
    fn distinct_rows(&self, count: usize, seed: u64) -> Vec<u32> {
        let mut distinct = distinct_rows(&self.codes, count, seed);
        if let Some(rows) = &self.rows {
            distinct.iter_mut().for_each(|row| *row = rows[*row as usize]);
        }
        distinct
    }

    /// Whether so many rows lie in crowds that few rows at random are seen to: then results stand or fall together.
    pub(crate) fn has_crowds(&self, seed: u64) -> bool {
        let (distinct, seen) = distinct_and_seen(&self.codes, CROWDS_AMONG, seed);
        // The same row may have been drawn twice.
        self.codes.len() > CROWDS_AMONG && seen > distinct.len() + CROWDS_AMONG / 32
    }
}

/// Rows that are coded only to tell them from each other.
const TOLD_ROWS: usize = 4_096;

/// Rows among which crowds are looked for.
const CROWDS_AMONG: usize = 64;

/// The same, and how many rows were looked at for them.
fn distinct_and_seen(codes: &Int8Rows, count: usize, seed: u64) -> (Vec<u32>, usize) {
    let mut rng = SeededRng::new(seed);
    let (mut chosen, mut query, mut distances) = (Vec::<u32>::new(), codes.blank_query(), Vec::new());
    let most = LOOKED_AT_PER_ROW * count.min(codes.len());
    for seen in 0..most {
        if chosen.len() == count {
            return (chosen, seen);
        }
        let row = rng.below(codes.len() as u64) as u32;
        query.be_row(codes, row as usize);
        distances.resize(chosen.len(), 0.0);
        query.distances_at(codes, &chosen, &mut distances);
        let same = query.errors().of(codes, row);
        if distances.iter().all(|distance| *distance > same) {
            chosen.push(row);
        }
    }
    (chosen, most)
}

/// The exact nearest [`K`] rows of every query, but for those at some slots, nearest first; `None` if it was stopped.
pub(crate) fn nearest_of_each(
    block: RowBlock<'_>,
    metric: Metric,
    queries: &[Vec<f32>],
    without: Option<&RoaringBitmap>,
    stop: &dyn Fn() -> bool,
) -> Option<Vec<Vec<(Distance, SlotId)>>> {
    let scorers: Vec<QueryScorer<'_>> = queries.iter().map(|query| QueryScorer::new(metric, query)).collect();
    let mut best: Vec<TopK<(Distance, SlotId)>> = vec![TopK::new(K); queries.len()];
    for first in (0..block.rows()).step_by(TILE_ROWS) {
        if stop() {
            return None;
        }
        let tile = block.part(first..(first + TILE_ROWS).min(block.rows()));
        for (scorer, best) in scorers.iter().zip(&mut best) {
            scan(tile, scorer, without, best, &mut Work::default(), &|| false);
        }
    }
    Some(best.into_iter().map(TopK::into_sorted).collect())
}

/// The exact results of a query, as far as others are held against them: any of several rows that are equally far is as good as another,
/// but only in the places that they have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Results {
    /// How far the farthest is.
    farthest: Distance,
    /// How many are nearer than that.
    nearer: usize,
    pub(crate) count: usize,
}

impl Results {
    pub(crate) fn of(sorted: &[(Distance, SlotId)]) -> Self {
        let farthest = sorted.last().map_or(Distance::FARTHEST, |last| last.0);
        let nearer = sorted.partition_point(|(distance, _)| *distance < farthest);
        Self { farthest, nearer, count: sorted.len() }
    }

    /// How many of them rows at these distances are not.
    pub(crate) fn missed(&self, found: impl Iterator<Item = Distance>) -> usize {
        let (mut nearer, mut as_far) = (0, 0);
        for distance in found.filter(|distance| *distance <= self.farthest) {
            if distance < self.farthest { nearer += 1 } else { as_far += 1 }
        }
        self.count - nearer.min(self.nearer) - as_far.min(self.count - self.nearer)
    }
}

/// Queries whose answers by codes are held against the exact ones before codes are believed.
const CHECKED: usize = 32;
/// Effort with which codes are scanned for what is taken as the truth: bounds of four standard deviations and more missed nothing
/// in 5,000 answers of every set of texts.
const TRUTH_EFFORT: f64 = 1.6;

/// The exact results of each query, found when they are asked for.
pub(crate) struct Truth<'a> {
    block: RowBlock<'a>,
    /// Codes that were not seen to miss anything.
    codes: Option<&'a CodedRows>,
    metric: Metric,
    queries: Vec<Vec<f32>>,
    results: Vec<Option<Results>>,
    /// Queries that are answered both ways.
    checked: usize,
    /// Rows that are no results.
    without: RoaringBitmap,
}

impl<'a> Truth<'a> {
    pub(crate) fn new(
        (block, codes): (RowBlock<'a>, Option<&'a CodedRows>),
        metric: Metric,
        queries: Vec<Vec<f32>>,
    ) -> Self {
        let codes = codes.filter(|codes| codes.has_signs());
        Self {
            block,
            codes,
            metric,
            results: vec![None; queries.len()],
            queries,
            checked: CHECKED,
            without: RoaringBitmap::new(),
        }
    }

    /// The same where codes are believed from the first query on.
    pub(crate) fn believing(
        (block, codes): (RowBlock<'a>, &'a CodedRows),
        metric: Metric,
        queries: Vec<Vec<f32>>,
    ) -> Self {
        Self { checked: 0, ..Self::new((block, Some(codes)), metric, queries) }
    }

    /// The same where some rows are no results.
    pub(crate) fn without(self, rows: &[u32]) -> Self {
        Self { without: rows.iter().copied().collect(), ..self }
    }

    pub(crate) const fn metric(&self) -> Metric {
        self.metric
    }

    pub(crate) fn query(&self, at: usize) -> &[f32] {
        &self.queries[at]
    }

    /// The results of a query; `None` if it was stopped.
    pub(crate) fn results(&mut self, at: usize, stop: &dyn Fn() -> bool) -> Option<Results> {
        if let Some(results) = self.results[at] {
            return Some(results);
        }
        let results = match self.codes {
            Some(codes) if at >= self.checked => self.by_codes(codes, at),
            Some(codes) => {
                let exact = self.exact(at, stop)?;
                if self.by_codes(codes, at) != exact {
                    self.codes = None;
                    self.results[self.checked..].fill(None);
                }
                exact
            }
            None => self.exact(at, stop)?,
        };
        self.results[at] = Some(results);
        Some(results)
    }

    fn exact(&self, at: usize, stop: &dyn Fn() -> bool) -> Option<Results> {
        let one = std::slice::from_ref(&self.queries[at]);
        let block = RowBlock { first_slot: SlotId::new(0), ..self.block };
        let nearest = nearest_of_each(block, self.metric, one, Some(&self.without), stop)?;
        Some(Results::of(nearest.first().map_or(&[], Vec::as_slice)))
    }

    fn by_codes(&self, codes: &CodedRows, at: usize) -> Results {
        let (query, place) = (&self.queries[at], OnceLock::new());
        let (scorer, mut best) = (QueryScorer::new(self.metric, query), TopK::new(K));
        let effort = Effort::NORMAL.or_factor(TRUTH_EFFORT);
        let wanted = Wanted { is_wanted: &|row| !self.without.contains(row), stop: &|| false };
        let asked = (DenseQuery::new(query, &place), effort);
        codes.search((Vectors::from(self.block), &scorer), asked, wanted, &mut best, &mut Work::default());
        Results::of(&best.into_sorted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_as_good_as_each_other_and_never_as_good_as_a_nearer_one() {
        let sorted = |distances: &[f64]| -> Vec<(Distance, SlotId)> {
            distances
                .iter()
                .zip(0..)
                .map(|(distance, row)| (Distance::new(*distance), SlotId::new(row)))
                .collect()
        };
        let results = Results::of(&sorted(&[0.0, 1.0, 7.0, 7.0]));
        let missed = |found: &[f64]| results.missed(found.iter().map(|distance| Distance::new(*distance)));
        assert_eq!([missed(&[0.0, 1.0, 7.0, 7.0]), missed(&[7.0, 1.0, 0.0, 7.0, 7.0, 8.0])], [0, 0]);
        assert_eq!(
            [missed(&[7.0; 9]), missed(&[0.0, 7.0, 7.0, 7.0]), missed(&[0.0, 1.0]), missed(&[])],
            [2, 1, 2, 4]
        );
        assert_eq!(Results::of(&[]).missed([Distance::new(1.0)].into_iter()), 0);
    }
}
