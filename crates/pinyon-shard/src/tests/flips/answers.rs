//! Everything that a shard can be asked, as text: no two values that differ in a bit are equal in it, not even two zeros.

use super::super::{
    namespace,
    operations::{NAMESPACES, random_filter},
    random_sparse, random_vector,
};
use crate::{Located, Namespace, Query, Scope, Shard};
use pinyon_types::{Metric, SeededRng, SparseVector, TopK, Vector};

const LIST_PAGE: usize = 7;
const QUERIES: u64 = 6;

pub(in crate::tests) fn of(shard: &Shard) -> Vec<String> {
    let stats = shard.stats();
    let mut answers = vec![
        format!("last {} epoch {}", shard.last_seq(), shard.epoch_seen()),
        format!("segments {:?}, memtable {}", stats.segments, stats.memtable_rows),
        format!("namespaces {:?}, {} records", shard.namespaces(), shard.records()),
    ];
    for space in 0..NAMESPACES {
        records(shard, &namespace(space), &mut answers);
    }
    let mut rng = SeededRng::new(3);
    for number in 0..QUERIES {
        filtered(shard, &namespace(number % NAMESPACES), &mut rng, &mut answers);
        search(shard, number, &mut rng, &mut answers);
    }
    answers
}

fn records(shard: &Shard, space: &Namespace, answers: &mut Vec<String>) {
    let mut ids = Vec::new();
    loop {
        let page = shard.list(space, "", ids.last(), LIST_PAGE).unwrap();
        ids.extend(page.ids);
        if !page.has_more {
            break;
        }
    }
    answers.push(format!("{} has {}: {ids:?}", space.name(), shard.count(space, None).unwrap()));
    answers.push(format!("{:?}", shard.fetch(space, &ids).unwrap()));
}

fn filtered(shard: &Shard, space: &Namespace, rng: &mut SeededRng, answers: &mut Vec<String>) {
    let filter = random_filter(rng);
    let (found, has_more) = shard.find_matching(space, &filter, None, LIST_PAGE).unwrap();
    let found = (found.iter().map(Located::stored).collect::<Vec<_>>(), has_more);
    answers.push(format!("{filter:?}: {} of them, {found:?}", shard.count(space, Some(&filter)).unwrap()));
}

fn search(shard: &Shard, number: u64, rng: &mut SeededRng, answers: &mut Vec<String>) {
    let shape = shard.shape();
    let (vector, filter) = (random_vector(rng), random_filter(rng));
    let sparse = random_sparse(rng).unwrap_or_else(|| SparseVector::new(vec![0], vec![1.5]).unwrap());
    // Sparse parts go with the dot product, and alone where there are no dense ones.
    let is_sparse = shape.metric == Metric::DotProduct && (shape.dim.is_none() || number.is_multiple_of(2));
    let query = Query {
        vector: Some(&vector).filter(|_: &&Vector| !shape.dim.is_none()),
        sparse: Some(&sparse).filter(|_| is_sparse),
        required: if is_sparse && number == 4 { &[500_000_000] } else { &[] },
        filter: Some(&filter).filter(|_| !number.is_multiple_of(3)),
        ..Query::dense(&vector, TopK::new(if number < 2 { 1000 } else { 5 }).unwrap())
    };
    let spaces = [namespace(0), namespace(1 + number % 3)];
    let scope = if number < 4 { Scope::All } else { Scope::Namespaces(&spaces) };
    let found = shard.search(scope, query, &|| false).unwrap();
    answers.extend(found.hits.iter().map(|hit| {
        let (space, distance) = (hit.namespace(), hit.distance());
        let payload = (Vector::stored(hit.components()), hit.sparse(), hit.metadata());
        format!("query {number}: {space:?} {} at {distance:?}: {payload:?}", hit.id())
    }));
}
