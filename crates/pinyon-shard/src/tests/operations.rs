//! Random operations, and the plain model that they are held against.

use super::{id, namespace, random_metadata, random_sparse, random_vector, upsert};
use crate::{Change, Namespace, Query, Scope, Shard};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_types::{
    Distance, FieldTest, Filter, Metric, NamespaceId, Record, RecordId, Scalar, SeededRng, SparseRef,
    SparseVector, TopK,
};
use std::collections::BTreeMap;

pub(super) const NAMESPACES: u64 = 4;

/// What a shard should hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model(pub(super) BTreeMap<u64, BTreeMap<RecordId, Record>>);

pub(super) fn random_filter(rng: &mut SeededRng) -> Filter {
    let colour = Filter::field("colour", FieldTest::Eq(Scalar::String("red".into())));
    let size = Filter::field("size", FieldTest::Gte(rng.below(5) as f64));
    let tags = Filter::field("tags", FieldTest::In(vec![Scalar::String("t1".into())]));
    match rng.below(6) {
        0 => colour,
        1 => size,
        2 => tags,
        3 => Filter::And(vec![colour, size]),
        4 => Filter::Or(vec![tags, size]),
        _ => Filter::Not(Box::new(colour)),
    }
}

pub(super) fn random_change(rng: &mut SeededRng) -> Change {
    let random_id = |rng: &mut SeededRng| id(&format!("r-{:02}", rng.below(40)));
    match rng.below(20) {
        0..=9 => {
            let count = 1 + rng.below(6);
            upsert(count, rng)
        }
        10..=12 => {
            let vector = (rng.below(2) == 0).then(|| random_vector(rng));
            Change::UpdateOne {
                id: random_id(rng),
                vector,
                sparse: random_sparse(rng),
                set: random_metadata(rng),
            }
        }
        13 => Change::UpdateMatching { filter: random_filter(rng), set: random_metadata(rng) },
        14..=16 => Change::DeleteIds((0..rng.below(4)).map(|_| random_id(rng)).collect()),
        17..=18 => Change::DeleteMatching(random_filter(rng)),
        _ => Change::DeleteAll,
    }
}

fn indices(record: &Record) -> &[u32] {
    record.sparse.as_ref().map_or(&[], |sparse| sparse.as_ref().indices)
}

/// The plain meaning: the distance of the dense parts less the sum of products of what the sparse ones share.
fn distance(metric: Metric, query: Query<'_>, record: &Record) -> Distance {
    let vector = record.vector.as_slice();
    let dense = query.vector.map_or(Distance::new(0.0), |query| {
        QueryScorer::new(metric, query.as_slice()).distance(vector, inverse_norm(vector))
    });
    let Some(sparse) = query.sparse.map(SparseVector::as_ref) else { return dense };
    let weights: BTreeMap<u32, f32> =
        sparse.indices.iter().copied().zip(sparse.values.iter().copied()).collect();
    let own = record.sparse.as_ref().map_or_else(SparseRef::default, SparseVector::as_ref);
    let products = own.indices.iter().zip(own.values).map(|(index, value)| {
        f64::from(*value) * weights.get(index).map_or(0.0, |weight| f64::from(*weight))
    });
    Distance::rounded(dense.get() - products.sum::<f64>())
}

impl Model {
    /// Does to the model what a change means; returns how many records it wrote or removed.
    pub(super) fn apply(&mut self, space: u64, change: &Change) -> u64 {
        let records = self.0.entry(space).or_default();
        match change {
            Change::Upsert(batch) => {
                let ids: std::collections::BTreeSet<_> = batch.iter().map(|record| &record.id).collect();
                for record in batch {
                    records.insert(record.id.clone(), record.clone());
                }
                ids.len() as u64
            }
            Change::UpdateOne { id, vector, sparse, set } => {
                let Some(record) = records.get_mut(id) else { return 0 };
                record.vector = vector.clone().unwrap_or_else(|| record.vector.clone());
                record.sparse = sparse.clone().or_else(|| record.sparse.clone());
                record.metadata = record.metadata.merged(set).unwrap();
                1
            }
            Change::UpdateMatching { filter, set } => {
                let matching = records.values_mut().filter(|record| filter.matches(&record.metadata));
                matching.map(|record| record.metadata = record.metadata.merged(set).unwrap()).count() as u64
            }
            Change::DeleteIds(ids) => ids.iter().filter(|id| records.remove(*id).is_some()).count() as u64,
            Change::DeleteMatching(filter) => {
                let before = records.len();
                records.retain(|_, record| !filter.matches(&record.metadata));
                (before - records.len()) as u64
            }
            Change::DeleteAll => std::mem::take(records).len() as u64,
        }
    }

    fn nearest(&self, metric: Metric, spaces: &[u64], query: Query<'_>) -> Vec<(Distance, u64, RecordId)> {
        let records = spaces
            .iter()
            .flat_map(|space| self.0.get(space).into_iter().flatten().map(move |(_, one)| (*space, one)));
        let passing = records.filter(|(_, record)| {
            query.filter.is_none_or(|filter| filter.matches(&record.metadata))
                && query.required.iter().all(|index| indices(record).contains(index))
        });
        let mut found: Vec<_> = passing
            .map(|(space, record)| (distance(metric, query, record), space, record.id.clone()))
            .collect();
        found.sort_unstable();
        found.truncate(query.top_k.get());
        found
    }

    /// Asks the shard everything and compares.
    pub(super) fn check(&self, shard: &Shard, rng: &mut SeededRng, context: &str) {
        let stats = shard.stats();
        let live = self.0.iter().filter(|(_, records)| !records.is_empty());
        let expected: Vec<(u64, u64)> = live.map(|(space, records)| (*space, records.len() as u64)).collect();
        let counted: Vec<(u64, u64)> =
            stats.namespaces.iter().map(|one| (one.id.get(), one.records)).collect();
        assert_eq!(counted, expected, "counts, {context}");
        for space in 0..NAMESPACES {
            self.check_contents(shard, space, context);
            self.check_listing(shard, space, rng, context);
        }
        for _ in 0..4 {
            self.check_search(shard, rng, context);
        }
    }

    fn check_contents(&self, shard: &Shard, space: u64, context: &str) {
        let all: Vec<RecordId> = (0..40).map(|number| id(&format!("r-{number:02}"))).collect();
        let found = shard.fetch(&namespace(space), &all).unwrap();
        let found: BTreeMap<_, _> =
            found.into_iter().map(|stored| (stored.record.id.clone(), stored.record)).collect();
        assert_eq!(found, self.0.get(&space).cloned().unwrap_or_default(), "namespace {space}, {context}");
    }

    fn check_listing(&self, shard: &Shard, space: u64, rng: &mut SeededRng, context: &str) {
        let prefix = ["", "r-", "r-1", "r-25", "x"][rng.below(5) as usize];
        let limit = 1 + rng.below(7) as usize;
        let mut listed: Vec<RecordId> = Vec::new();
        loop {
            let page = shard.list(&namespace(space), prefix, listed.last(), limit).unwrap();
            assert!(page.ids.len() <= limit);
            listed.extend(page.ids);
            if !page.has_more {
                break;
            }
        }
        let ids = self.0.get(&space).into_iter().flat_map(|records| records.keys());
        let expected: Vec<RecordId> = ids.filter(|id| id.as_str().starts_with(prefix)).cloned().collect();
        assert_eq!(listed, expected, "listing {prefix:?} of {space}, {context}");
    }

    fn check_search(&self, shard: &Shard, rng: &mut SeededRng, context: &str) {
        let shape = shard.shape();
        let (vector, sparse) = (random_vector(rng), random_sparse(rng));
        // Sparse parts go with the dot product, and alone where there are no dense ones.
        let sparse = sparse.as_ref().filter(|_| shape.metric == Metric::DotProduct);
        if sparse.is_none() && shape.dim.is_none() {
            return;
        }
        let required = [rng.below(8) as u32 * 500_000_000];
        let required = if sparse.is_some() && rng.below(4) == 0 { &required[..] } else { &[] };
        let filter = (rng.below(2) == 0).then(|| random_filter(rng));
        let query = Query {
            vector: Some(&vector).filter(|_| !shape.dim.is_none()),
            sparse,
            required,
            filter: filter.as_ref(),
            ..Query::dense(&vector, TopK::new([1, 3, 10, 1000][rng.below(4) as usize]).unwrap())
        };
        let spaces: Vec<u64> = (0..NAMESPACES).filter(|_| rng.below(2) == 0).collect();
        let handles: Vec<Namespace> = spaces.iter().map(|space| namespace(*space)).collect();
        let numbers: Vec<NamespaceId> = handles.iter().map(Namespace::id).collect();
        let (scope, spaces) = match rng.below(6) {
            0 => (Scope::All, (0..NAMESPACES).collect()),
            1 => (Scope::AllBut(&numbers), (0..NAMESPACES).filter(|one| !spaces.contains(one)).collect()),
            _ => (Scope::Namespaces(&handles), spaces),
        };
        let found = shard.search(scope, query, &|| false).unwrap();
        assert!(found.complete);
        let expected = self.nearest(shape.metric, &spaces, query);
        let hits: Vec<_> =
            found.hits.iter().map(|hit| (hit.distance(), hit.namespace().id().get(), hit.id())).collect();
        assert_eq!(hits, expected, "search, {context}");
        for hit in &found.hits {
            let record = &self.0[&NamespaceId::get(hit.namespace().id())][&hit.id()];
            assert_eq!(
                (&pinyon_types::Vector::stored(hit.components()), &hit.sparse(), &hit.metadata()),
                (&record.vector, &record.sparse, &record.metadata)
            );
        }
    }
}
