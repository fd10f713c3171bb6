//! Tests of the graph by hnsw_rs: recall on clustered rows, and the rows that its crate would panic on.

use super::*;
use crate::{RowBlock, TopK, scan};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_types::{Metric, SeededRng};
use std::sync::OnceLock;

const OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 100 };
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

struct Rows {
    vectors: Vec<f32>,
    norms: Vec<f32>,
}

impl Rows {
    fn new(vectors: Vec<f32>, dim: usize) -> Self {
        let norms = vectors.chunks(dim).map(inverse_norm).collect();
        Self { vectors, norms }
    }

    /// Points around two hundred centres, as embeddings of real texts lie.
    fn clustered(count: usize, dim: usize, rng: &mut SeededRng) -> Self {
        let mut gauss = || (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0;
        let centres: Vec<f64> = (0..200 * dim).map(|_| gauss()).collect();
        let vectors = (0..count).flat_map(|row| {
            let centre = row * 7919 % 200;
            (0..dim).map(|at| (centres[centre * dim + at] + 0.6 * gauss()) as f32).collect::<Vec<f32>>()
        });
        Self::new(vectors.collect(), dim)
    }

    fn block(&self) -> RowBlock<'_> {
        RowBlock { vectors: &self.vectors, inverse_norms: &self.norms, first_slot: SlotId::new(0) }
    }
}

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
}

#[test]
fn calibrated_graphs_find_what_a_scan_finds() {
    let mut rng = SeededRng::new(21);
    let (dim, count) = (32, 6_000);
    let all = Rows::clustered(count + 100, dim, &mut rng);
    let rows = Rows::new(all.vectors[..count * dim].to_vec(), dim);
    let queries = &all.vectors[count * dim..];
    for metric in METRICS {
        let graph = HnswRsGraph::build(rows.block(), metric, OPTIONS, &|| false, &pool()).unwrap();
        let test = SelfTest {
            metric,
            recall_min: 0.99,
            seed: 1,
            questions: &[],
            held_out: HeldOut::default(),
            before: None,
        };
        let found = calibrate(&graph, (rows.block(), None), test, &|| false).unwrap();
        assert!(found.is_enough && found.recall.mean > 0.99, "{metric}: {found:?}");
        let ef = found.ef;
        let (mut found, mut work) = (0, Work::default());
        for query in queries.chunks(dim) {
            let mut best = TopK::new(10);
            scan(rows.block(), &QueryScorer::new(metric, query), None, &mut best, &mut work, &|| false);
            let truth: Vec<SlotId> = best.into_sorted().into_iter().map(|(_, slot)| slot).collect();
            let walked = graph.search(
                DenseQuery::new(query, &OnceLock::new()),
                GraphRequest { k: ef, ef, settled: 30 },
                &mut work,
            );
            found += truth.iter().filter(|slot| walked.rows.iter().any(|row| row.1 == **slot)).count();
        }
        assert!(found >= 980, "{metric}: {found} of 1000 at ef {ef}");
    }
}

#[test]
fn equal_zero_and_huge_rows_do_not_panic() {
    let dim = 4;
    let mut vectors = vec![0.0; dim * 50];
    vectors.extend([1.0; 4 * 100]);
    vectors.extend([1e15, -1e15, 0.0, 1.0].repeat(50));
    vectors.extend([f32::MIN_POSITIVE; 4 * 10]);
    let rows = Rows::new(vectors, dim);
    for metric in METRICS {
        let graph = HnswRsGraph::build(rows.block(), metric, OPTIONS, &|| false, &pool()).unwrap();
        for query in [[0.0; 4], [1.0; 4], [1e18, 1.0, 1.0, 1.0], [f32::MAX; 4]] {
            let found = graph.search(
                DenseQuery::new(&query, &OnceLock::new()),
                GraphRequest { k: 10, ef: 10, settled: 10 },
                &mut Work::default(),
            );
            assert!(found.rows.iter().all(|(_, slot)| slot.get() < 210), "{metric} {query:?}");
        }
    }
}

#[test]
fn what_the_engine_cannot_take_is_refused_before_it_is_called() {
    let rows = Rows::new(vec![1.0, f32::NAN, 2.0, 3.0], 2);
    let refused = HnswRsGraph::build(rows.block(), Metric::Cosine, OPTIONS, &|| false, &pool());
    assert!(matches!(refused, Err(GraphError::Row { row: 0, .. })));
    let rows = Rows::new(vec![1.0; 8], 2);
    let options = GraphOptions { m: 300, ef_construction: 400 };
    let refused = HnswRsGraph::build(rows.block(), Metric::Cosine, options, &|| false, &pool());
    assert!(matches!(refused, Err(GraphError::Options { m: 300, .. })));
    let stopped = HnswRsGraph::build(rows.block(), Metric::Cosine, OPTIONS, &|| true, &pool());
    assert!(matches!(stopped, Err(GraphError::Stopped)));
}

/// A graph in which row 1 stands for rows 10 and 11.
#[derive(Debug)]
struct WithMembers;

impl Graph for WithMembers {
    fn search(&self, _: DenseQuery<'_>, _: GraphRequest, _: &mut Work) -> Found {
        let rows = [1.0, 2.0, 3.0, 3.5, 4.0].into_iter().zip((0..).map(SlotId::new)).collect();
        Found { rows, uncertainty: 0.5, limit: f32::INFINITY }
    }

    fn members(&self, row: SlotId) -> &[u32] {
        if row.get() == 1 { &[10, 11] } else { &[] }
    }

    fn rows(&self) -> usize {
        12
    }

    fn bytes(&self) -> usize {
        0
    }

    fn engine(&self) -> &'static str {
        "with members"
    }
}

#[test]
fn rows_that_may_be_among_the_nearest_are_close_and_those_that_they_stand_for() {
    let codes = OnceLock::new();
    let request = GraphRequest { k: 5, ef: 5, settled: 5 };
    let found = WithMembers.search(DenseQuery::new(&[], &codes), request, &mut Work::default());
    let close = |found: &Found, k: usize, is_wanted: &dyn Fn(u32) -> bool| {
        let close = found.close(&WithMembers, k, |row| is_wanted(row.get()));
        (close.rows.iter().map(|row| row.get()).collect::<Vec<u32>>(), close.kth_place)
    };
    let all = |_| true;
    assert_eq!(close(&found, 1, &all), (vec![0], Some(0)));
    assert_eq!(close(&found, 2, &all), (vec![0, 1, 10, 11], Some(1)));
    assert_eq!(close(&found, 4, &all), (vec![0, 1, 10, 11], Some(1)));
    assert_eq!(close(&found, 5, &all), (vec![0, 1, 10, 11, 2, 3], Some(2)));
    assert_eq!(close(&found, 8, &all), (vec![0, 1, 10, 11, 2, 3, 4], None));
    // One that is not wanted leads to those that are.
    assert_eq!(close(&found, 2, &|row| row > 1), (vec![10, 11], Some(1)));
    let found = Found { limit: 2.0, ..found };
    assert_eq!(close(&found, 5, &all), (vec![0, 1, 10, 11], None));
}
