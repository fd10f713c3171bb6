//! Sparse queries over posting lists: pruned against every row scored, on generated rows whose indices are spread as words
//! are (Zipf) and whose weights are those of BM25. Short queries are like typed ones, long ones like those of learned models.

#![allow(clippy::print_stdout, missing_docs)] // a bench talks to its terminal; criterion makes the functions

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pinyon_index::{
    CombinedRows, Inverted, PostingLists, SparseRequest, SparseRows, TopK, Window, Work, invert,
    scan_combined, search_postings,
};
use pinyon_types::{SeededRng, SparseRef, SparseVector};
use std::hint::black_box;

const ROWS: u32 = 200_000;
const INDICES: f64 = 30_000.0;
const ROW_COMPONENTS: u64 = 60;

/// Rows and their posting lists.
struct Table {
    offsets: Vec<u64>,
    indices: Vec<u32>,
    values: Vec<f32>,
    list_indices: Vec<u32>,
    starts: Vec<u64>,
    bounds: Vec<[f32; 2]>,
    postings: Vec<[u32; 2]>,
}

/// Distinct indices: the n-th most frequent has a share of about 1 / n.
fn sparse(rng: &mut SeededRng, components: u64) -> SparseVector {
    let mut found = std::collections::BTreeMap::new();
    while (found.len() as u64) < components {
        let index = INDICES.powf(rng.unit()) as u32;
        let weight = 2.2 * rng.unit() as f32 + 0.05;
        found.insert(index, weight);
    }
    let (indices, values) = found.into_iter().unzip();
    SparseVector::new(indices, values).expect("the components are good")
}

impl Table {
    fn generate(rng: &mut SeededRng) -> Self {
        let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for _ in 0..ROWS {
            let components = ROW_COMPONENTS / 2 + rng.below(ROW_COMPONENTS);
            let row = sparse(rng, components);
            indices.extend(row.as_ref().indices);
            values.extend(row.as_ref().values);
            offsets.push(indices.len() as u64);
        }
        let rows = SparseRows { offsets: &offsets, indices: &indices, values: &values };
        let Inverted { terms, postings } = invert(0..ROWS, |slot| rows.row(slot));
        let list_indices = terms.iter().map(|term| term.index).collect();
        let bounds = terms.iter().map(|term| [term.least, term.greatest]).collect();
        let mut starts = vec![0];
        starts.extend(terms.iter().scan(0, |end, term| {
            *end += term.rows;
            Some(*end)
        }));
        Self { offsets, indices, values, list_indices, starts, bounds, postings }
    }

    fn rows(&self) -> SparseRows<'_> {
        SparseRows { offsets: &self.offsets, indices: &self.indices, values: &self.values }
    }

    fn lists(&self) -> PostingLists<'_> {
        let Self { list_indices, starts, bounds, postings, .. } = self;
        PostingLists { indices: list_indices, starts, bounds, postings }
    }

    fn pruned(&self, query: SparseRef<'_>) -> (usize, Work) {
        let (mut best, mut work) = (TopK::new(10), Work::default());
        let request = SparseRequest { query, lists: self.lists(), rows: self.rows() };
        search_postings(&request, &|_| true, &mut best, &mut work, &|| false);
        (best.len(), work)
    }

    fn exhaustive(&self, query: SparseRef<'_>) -> (usize, Work) {
        let (mut best, mut work) = (TopK::new(10), Work::default());
        let rows = CombinedRows { slots: 0..ROWS, dense: None };
        let window = Window::new(query, self.lists());
        scan_combined(rows, window, &|_| true, &mut best, &mut work, &|| false);
        (best.len(), work)
    }
}

fn queries(criterion: &mut Criterion) {
    let mut rng = SeededRng::new(30_000);
    let table = Table::generate(&mut rng);
    let mut group = criterion.benchmark_group("sparse_200k_rows");
    group.sample_size(20);
    for components in [5, 30] {
        let queries: Vec<SparseVector> = (0..50).map(|_| sparse(&mut rng, components)).collect();
        let count = |run: &dyn Fn(SparseRef<'_>) -> (usize, Work)| {
            queries.iter().map(|query| run(query.as_ref()).1.postings).sum::<u64>() / queries.len() as u64
        };
        println!(
            "{components} components: {} postings read a query, {} without pruning",
            count(&|query| table.pruned(query)),
            count(&|query| table.exhaustive(query))
        );
        let mut at = 0;
        let mut next = || {
            at += 1;
            queries[at % queries.len()].as_ref()
        };
        group.bench_function(BenchmarkId::new("pruned", components), |bench| {
            bench.iter(|| black_box(table.pruned(next())));
        });
        group.bench_function(BenchmarkId::new("every_row", components), |bench| {
            bench.iter(|| black_box(table.exhaustive(next())));
        });
    }
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
