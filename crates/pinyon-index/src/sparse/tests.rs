//! Searches from posting lists against the plain sum over every row.

use super::*;
use crate::{RowBlock, ScanEnd, TopK, Work};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_types::{Distance, Metric, SeededRng, SlotId, SparseRef, SparseVector};

/// Rows as a segment keeps them: forward, and inverted.
#[derive(Default)]
struct Table {
    first: u32,
    offsets: Vec<u64>,
    indices: Vec<u32>,
    values: Vec<f32>,
    list_indices: Vec<u32>,
    starts: Vec<u64>,
    bounds: Vec<[f32; 2]>,
    postings: Vec<[u32; 2]>,
}

impl Table {
    /// The first `first` slots are another namespace's and stay empty here.
    fn new(first: u32, rows: &[Option<SparseVector>]) -> Self {
        let mut table = Self { first, offsets: vec![0; first as usize + 1], ..Self::default() };
        for row in rows {
            let row = row.as_ref().map_or_else(SparseRef::default, SparseVector::as_ref);
            table.indices.extend(row.indices);
            table.values.extend(row.values);
            table.offsets.push(table.indices.len() as u64);
        }
        let forward = SparseRows { offsets: &table.offsets, indices: &table.indices, values: &table.values };
        let inverted = invert(first..first + rows.len() as u32, |slot| forward.row(slot));
        table.starts.push(0);
        for term in &inverted.terms {
            table.list_indices.push(term.index);
            table.bounds.push([term.least, term.greatest]);
            table.starts.push(table.starts.last().unwrap() + term.rows);
        }
        table.postings = inverted.postings;
        table
    }

    fn rows(&self) -> SparseRows<'_> {
        SparseRows { offsets: &self.offsets, indices: &self.indices, values: &self.values }
    }

    fn lists(&self) -> PostingLists<'_> {
        PostingLists {
            indices: &self.list_indices,
            starts: &self.starts,
            bounds: &self.bounds,
            postings: &self.postings,
        }
    }

    fn end(&self) -> u32 {
        self.offsets.len() as u32 - 1
    }

    /// Every wanted row's distance, best first.
    fn plain(&self, query: SparseRef<'_>, is_wanted: impl Fn(u32) -> bool) -> Vec<(Distance, SlotId)> {
        let slots = (self.first..self.end()).filter(|slot| is_wanted(*slot));
        let mut all: Vec<_> = slots
            .map(|slot| (combined(Distance::new(0.0), query.dot(self.rows().row(slot))), SlotId::new(slot)))
            .collect();
        all.sort_unstable();
        all
    }
}

/// Frequent indices are common and rare ones are not, as words are; now and then a weight is negative, huge or zero.
fn random_sparse(rng: &mut SeededRng) -> SparseVector {
    let mut components = std::collections::BTreeMap::new();
    for _ in 0..1 + rng.below(12) {
        let index = (rng.unit() * rng.unit() * 60.0) as u32 * 71_582_788;
        let value = match rng.below(20) {
            0 => -1.5,
            1 => 0.0,
            2 => 1e30,
            _ => (rng.below(40) as f32 + 1.0) / 8.0,
        };
        components.insert(index, value);
    }
    let (indices, values) = components.into_iter().unzip();
    SparseVector::new(indices, values).unwrap()
}

fn random_table(rng: &mut SeededRng, count: u64) -> Table {
    let rows: Vec<_> = (0..count).map(|_| (rng.below(8) > 0).then(|| random_sparse(rng))).collect();
    Table::new(rng.below(3) as u32 * 50, &rows)
}

#[test]
fn pruned_searches_find_exactly_the_best_rows_above_zero() {
    for seed in 1..=60 {
        let mut rng = SeededRng::new(seed);
        let count = [0, 1, 30, 4_095, 9_000][rng.below(5) as usize];
        let table = random_table(&mut rng, count);
        for k in [1, 10, 2_000] {
            let query = random_sparse(&mut rng);
            let is_wanted = |slot: u32| slot % 7 != 3;
            let request = SparseRequest { query: query.as_ref(), lists: table.lists(), rows: table.rows() };
            let (mut best, mut work) = (TopK::new(k), Work::default());
            let end = search(&request, &is_wanted, &mut best, &mut work, &|| false);
            assert_eq!(end, ScanEnd::Done);
            let mut expected = table.plain(query.as_ref(), is_wanted);
            expected.retain(|(distance, _)| *distance < Distance::new(0.0));
            expected.truncate(k);
            assert_eq!(best.into_sorted(), expected, "seed {seed}, k {k}");
        }
    }
}

#[test]
fn pruning_saves_most_of_the_work() {
    let mut rng = SeededRng::new(9);
    let row = |number: u32, rng: &mut SeededRng| {
        // One index that every row has with a small weight, and one in a hundred with a rare one of great weight.
        let common = (rng.below(8) as f32 + 1.0) / 100.0;
        match number % 100 {
            0 => SparseVector::new(vec![1, 2], vec![common, 5.0 + common]),
            _ => SparseVector::new(vec![1], vec![common]),
        }
    };
    let rows: Vec<_> = (0..100_000).map(|number| Some(row(number, &mut rng).unwrap())).collect();
    let table = Table::new(0, &rows);
    let query = SparseVector::new(vec![1, 2], vec![1.0, 1.0]).unwrap();
    let request = SparseRequest { query: query.as_ref(), lists: table.lists(), rows: table.rows() };
    let (mut best, mut work) = (TopK::new(10), Work::default());
    search(&request, &|_| true, &mut best, &mut work, &|| false);
    assert_eq!(best.into_sorted(), table.plain(query.as_ref(), |_| true)[..10]);
    assert!(work.postings < 10_000, "{} of 101,000 postings were read", work.postings);
}

#[test]
fn scans_score_every_row_with_and_without_a_dense_part() {
    const DIM: usize = 3;
    for seed in 1..=20 {
        let mut rng = SeededRng::new(seed);
        let table = random_table(&mut rng, 2_500);
        let rows = (table.end() - table.first) as usize;
        let vectors: Vec<f32> = (0..rows * DIM).map(|_| rng.below(5) as f32 - 2.0).collect();
        let norms: Vec<f32> = vectors.chunks(DIM).map(inverse_norm).collect();
        let block =
            RowBlock { vectors: &vectors, inverse_norms: &norms, first_slot: SlotId::new(table.first) };
        let scorer = QueryScorer::new(Metric::DotProduct, &[0.5, -1.0, 2.0]);
        let query = random_sparse(&mut rng);
        let is_wanted = |slot: u32| slot % 5 != 1;
        for dense in [None, Some(DensePart { block, scorer: &scorer })] {
            let mut expected: Vec<_> = (table.first..table.end())
                .filter(|slot| is_wanted(*slot))
                .map(|slot| {
                    let row = (slot - table.first) as usize;
                    let dense = dense.map_or(Distance::new(0.0), |part| {
                        part.scorer.distance(block.vector(row), norms[row])
                    });
                    (combined(dense, query.as_ref().dot(table.rows().row(slot))), SlotId::new(slot))
                })
                .collect();
            expected.sort_unstable();
            expected.truncate(50);
            let (mut best, mut work) = (TopK::new(50), Work::default());
            let window = Window::new(query.as_ref(), table.lists());
            let rows = CombinedRows { slots: table.first..table.end(), dense };
            let end = scan_combined(rows, window, &is_wanted, &mut best, &mut work, &|| false);
            assert_eq!(end, ScanEnd::Done);
            assert_eq!(best.into_sorted(), expected, "seed {seed}");
        }
    }
}
