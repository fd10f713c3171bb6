//! Effort: more of it does more work and finds at least as much, less of it does less, and neither changes how many results
//! there are.

use super::{id, namespace};
use crate::{Change, Prices, Query, Scope, Shard, ShardOptions, ShardShape, Step};
use pinyon_index::Work;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Dim, Effort, Metadata, Metric, Record, RecordId, SeededRng, ShardId, TopK, Vector};
use std::{collections::BTreeSet, path::Path, sync::Arc};

const DIM: u32 = 32;
const QUERIES: usize = 40;
const K: u32 = 10;

/// Uniform noise: the nearest rows are hardly nearer than the next ones, so that depths tell.
fn vector(rng: &mut SeededRng) -> Vector {
    let components: Vec<f32> = (0..DIM).map(|_| (rng.unit() - 0.5) as f32).collect();
    Vector::new(components, Dim::new(DIM).unwrap()).unwrap()
}

/// A sealed shard of so many rows. A low demand on recall keeps walks short, so that less is found than there is.
fn shard(rows: u64, graph_rows_min: u32, rng: &mut SeededRng) -> Shard {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM).unwrap(), metric: Metric::Cosine };
    let options = ShardOptions {
        graph_rows_min,
        prices: Prices::Fixed(2),
        recall_min: 0.7,
        log_preallocate_bytes: 4_096,
        ..ShardOptions::server()
    };
    let shard = Shard::open(&io, Path::new("/effort"), shape, options).unwrap();
    for first in (0..rows).step_by(1_000) {
        let record = |number| Record {
            id: id(&format!("r{number}")),
            vector: vector(rng),
            sparse: None,
            metadata: Metadata::default(),
        };
        let records: Vec<Record> = (first..rows.min(first + 1_000)).map(record).collect();
        shard.write(&namespace(1), Change::Upsert(records)).unwrap();
    }
    shard.seal().unwrap();
    shard
}

fn ids(shard: &Shard, vector: &Vector, effort: Effort) -> (BTreeSet<RecordId>, Work) {
    let query = Query { effort, ..Query::dense(vector, TopK::new(K).unwrap()) };
    let found = shard.search(Scope::Namespaces(&[namespace(1)]), query, &|| false).unwrap();
    assert_eq!(found.hits.len(), K as usize, "QRY-3");
    (found.hits.iter().map(crate::Hit::id).collect(), found.work)
}

/// Results that are also among the true ones, and all work, of the same queries.
fn asked(shard: &Shard, truth: &[(Vector, BTreeSet<RecordId>)], effort: Effort) -> (usize, Work) {
    let (mut right, mut work) = (0, Work::default());
    for (vector, nearest) in truth {
        let (found, cost) = ids(shard, vector, effort);
        right += found.intersection(nearest).count();
        work += cost;
    }
    (right, work)
}

fn effort(scan_factor: f64, max_candidates: Option<i64>) -> Effort {
    Effort::new(Some(scan_factor), max_candidates, K as usize).unwrap()
}

/// Asks with half, usual and fourfold effort, once codes and graphs are there; returns how many true results each finds. Effort
/// does not cost more where bytes alone tell what the vectors would.
fn check(rows: u64, graph_rows_min: u32, chosen_by: fn(&Work) -> u64) -> [usize; 3] {
    let mut rng = SeededRng::new(rows);
    let shard = shard(rows, graph_rows_min, &mut rng);
    let queries: Vec<Vector> = (0..QUERIES).map(|_| vector(&mut rng)).collect();
    // Before there are codes the vectors are scanned, and that is the truth.
    let truth: Vec<_> = queries
        .into_iter()
        .map(|vector| {
            let nearest = ids(&shard, &vector, effort(0.5, Some(10))).0;
            (vector, nearest)
        })
        .collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    while shard.derive(&pool, &|| false) != Step::Idle {}
    let (less_right, less) = asked(&shard, &truth, effort(0.5, None));
    let (right, usual) = asked(&shard, &truth, Effort::NORMAL);
    let (more_right, more) = asked(&shard, &truth, effort(4.0, None));
    assert!(chosen_by(&usual) > 0, "the usual way: {usual:?}");
    let scored = [less, usual, more].map(|work| work.code_distances + work.distances);
    assert!(scored[0] <= scored[1] && scored[1] <= scored[2], "{less:?}\n{usual:?}\n{more:?}");
    let (_, capped) = asked(&shard, &truth, effort(4.0, Some(10)));
    assert_eq!(capped.distances, 10 * QUERIES as u64, "a cap is kept: {capped:?}");
    assert!(usual.distances > capped.distances, "and says something: {usual:?}");
    assert_eq!(asked(&shard, &truth, effort(1.0, None)), (right, usual), "one is as usual");
    [less_right, right, more_right]
}

#[test]
fn bits_are_kept_in_proportion_to_effort() {
    let found = check(12_000, u32::MAX, |work| work.sign_distances);
    // The usual bounds leave out next to nothing.
    assert!(found[0] < found[1] && found[1] <= found[2] && found[1] >= 396, "{found:?}");
}

#[test]
fn bytes_are_kept_in_proportion_to_effort() {
    let (rows, none) = (4_000, u32::MAX);
    let found = check(rows, none, |work| if work.sign_distances == 0 { work.code_distances } else { 0 });
    // Even half of what is kept is enough where bytes tell nearly everything.
    assert!(found[0] <= found[1] && found[1] <= found[2], "{found:?}");
}

#[test]
fn walks_are_as_long_as_the_effort() {
    let found = check(6_000, 1_000, |work| work.graph_walks);
    assert!(found[0] < found[1] && found[1] < found[2], "{found:?}");
}
