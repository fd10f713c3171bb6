//! What a namespace should hold.

use super::COMPONENTS;
use crate::{Change, ListPage, Located, Namespace, ScanPage, ShardBackend, Until};
use pinyon_types::{
    FieldTest, Filter, Metadata, MetadataMap, MetadataValue, Record, RecordId, Scalar, SeededRng, Vector,
    limits,
};
use std::collections::BTreeMap;

/// Records by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Oracle(pub(super) BTreeMap<RecordId, Record>);

pub(super) fn id(number: u64) -> RecordId {
    RecordId::new(&format!("r{number:03}")).expect("invariant: the id is short and plain")
}

/// A record with a random vector; its metadata say `group`, one of three, and `turn`.
pub(super) fn record(number: u64, turn: u64, rng: &mut SeededRng) -> Record {
    let components: Vec<f32> = (0..COMPONENTS).map(|_| rng.below(2_001) as f32 / 100.0 - 10.0).collect();
    let fields = [("group", number % 3), ("turn", turn)];
    let fields = fields.map(|(name, value)| (name.to_owned(), MetadataValue::Number(value as f64)));
    let vector = Vector::stored(&components);
    Record { id: id(number), vector, sparse: None, metadata: metadata(fields.into_iter().collect()) }
}

pub(super) fn metadata(fields: MetadataMap) -> Metadata {
    Metadata::new(fields).expect("invariant: the fields are few and plain")
}

pub(super) fn of_group(group: u64) -> Filter {
    Filter::field("group", FieldTest::Eq(Scalar::Number(group as f64)))
}

/// A change of some of sixty records.
pub(super) fn any_change(turn: u64, rng: &mut SeededRng) -> Change {
    let numbers = |most: u64, rng: &mut SeededRng| -> Vec<u64> {
        (0..1 + rng.below(most)).map(|_| rng.below(60)).collect()
    };
    let set = || metadata([("set".to_owned(), MetadataValue::Number(turn as f64))].into_iter().collect());
    match rng.below(20) {
        0..10 => {
            Change::Upsert(numbers(8, rng).into_iter().map(|number| record(number, turn, rng)).collect())
        }
        10..13 => Change::DeleteIds(numbers(4, rng).into_iter().map(id).collect()),
        13..15 => {
            let vector = Some(record(0, 0, rng).vector).filter(|_| turn.is_multiple_of(2));
            Change::UpdateOne { id: id(rng.below(60)), vector, sparse: None, set: set() }
        }
        15..17 => Change::UpdateMatching { filter: of_group(rng.below(4)), set: set() },
        17..19 => Change::DeleteMatching(of_group(rng.below(9))),
        _ => Change::DeleteAll,
    }
}

impl Oracle {
    /// Makes a change; says how many records it concerned.
    pub(super) fn apply(&mut self, change: Change) -> u64 {
        let before = self.0.len();
        match change {
            Change::Upsert(records) => {
                let last: BTreeMap<RecordId, Record> =
                    records.into_iter().map(|one| (one.id.clone(), one)).collect();
                let count = last.len() as u64;
                self.0.extend(last);
                return count;
            }
            Change::UpdateOne { id, vector, sparse: _, set } => {
                let Some(one) = self.0.get_mut(&id) else { return 0 };
                one.vector = vector.unwrap_or_else(|| one.vector.clone());
                update(one, &set);
                return 1;
            }
            Change::UpdateMatching { filter, set } => {
                let passing = self.0.values_mut().filter(|one| filter.matches(&one.metadata));
                return passing.map(|one| update(one, &set)).count() as u64;
            }
            Change::DeleteIds(ids) => self.0.retain(|id, _| !ids.contains(id)),
            Change::DeleteMatching(filter) => self.0.retain(|_, one| !filter.matches(&one.metadata)),
            Change::DeleteAll => self.0.clear(),
        }
        (before - self.0.len()) as u64
    }

    /// Checks every way to read a namespace against this.
    pub(super) fn assert_seen_in(&self, backend: &dyn ShardBackend, of: &Namespace) {
        let ids: Vec<RecordId> = self.0.keys().cloned().collect();
        let all = ListPage { prefix: "", after: None, limit: limits::LIST_PAGE_MAX };
        assert_eq!(backend.list(of, all, Until::NEVER).unwrap().ids, ids);
        let records: Vec<Record> = self.0.values().cloned().collect();
        assert_eq!(read(&backend.find(of, &ids, Until::NEVER).unwrap()), records);
        let all = ScanPage { after: None, limit: limits::LIST_PAGE_MAX, bytes_max: usize::MAX };
        assert_eq!(read(&backend.scan(of, all, Until::NEVER).unwrap().0), records);
        assert_eq!(backend.count(of, None, Until::NEVER).unwrap(), records.len() as u64);
        for group in 0..3 {
            let passing = records.iter().filter(|one| of_group(group).matches(&one.metadata)).count();
            assert_eq!(backend.count(of, Some(&of_group(group)), Until::NEVER).unwrap(), passing as u64);
        }
    }
}

fn update(one: &mut Record, set: &Metadata) {
    one.metadata = one.metadata.merged(set).expect("invariant: the fields are few and plain");
}

pub(super) fn read(found: &[Located]) -> Vec<Record> {
    found.iter().map(|one| one.stored().record).collect()
}
