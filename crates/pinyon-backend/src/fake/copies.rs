//! The records of the fake, by namespace, and what a change does to them. Written for being obvious, not fast.

use crate::{
    BackendError, Change, CopyEntry, Found, Frozen, Hit, ListPage, Located, MatchPage, Namespace, Noted,
    Page, Query, Receipt, ScanPage, Scope, Stored, Until, WriteError,
};
use pinyon_distance::{QueryScorer, inverse_norm};
use pinyon_index::Work;
use pinyon_types::{Epoch, Filter, Invalid, Metric, NamespaceId, Record, RecordId, SeqNo, SlotId, limits};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, PoisonError, Weak},
};

type Records = BTreeMap<RecordId, Arc<Vec<Stored>>>;

/// All copies, and who watches them.
#[derive(Debug, Default)]
pub(super) struct Copies {
    by_number: BTreeMap<NamespaceId, (Namespace, Records)>,
    closed: BTreeMap<NamespaceId, Epoch>,
    watches: Vec<(NamespaceId, usize, Weak<Mutex<Noted>>)>,
    pub(super) seq: SeqNo,
    pub(super) epoch_seen: Epoch,
}

/// Notes that are being made.
#[derive(Debug)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

impl Notes {
    pub(super) fn take(&self) -> Noted {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn located(stored: &Arc<Vec<Stored>>) -> Located {
    Located::new(Arc::clone(stored) as _, SlotId::new(0))
}

impl Copies {
    fn records_of(&self, number: NamespaceId) -> impl Iterator<Item = (&RecordId, &Arc<Vec<Stored>>)> {
        self.by_number.get(&number).into_iter().flat_map(|(_, records)| records)
    }

    fn epoch_of(&self, number: NamespaceId) -> Epoch {
        self.by_number.get(&number).map_or(Epoch::ZERO, |(namespace, _)| namespace.epoch())
    }

    /// Makes a change, if its route may pass.
    pub(super) fn apply(&mut self, to: &Namespace, change: Change) -> Result<Receipt, WriteError> {
        let given = to.epoch();
        let is_closed = self.closed.get(&to.id()).is_some_and(|closed| given <= *closed);
        let seen = if is_closed { given.next() } else { self.epoch_of(to.id()) };
        if given < seen {
            let error = BackendError::Closed { given, seen };
            return Err(WriteError::Refused { error, change: Some(Box::new(change)) });
        }
        let (puts, gone) = self.resolve(to.id(), change).map_err(WriteError::refused)?;
        Ok(self.commit(to, puts, &gone))
    }

    /// What a change means for the records that are there: records to put, and ids to remove.
    fn resolve(
        &self,
        number: NamespaceId,
        change: Change,
    ) -> Result<(BTreeMap<RecordId, Record>, BTreeSet<RecordId>), BackendError> {
        check_count(&change)?;
        let record = |stored: &Arc<Vec<Stored>>| stored[0].record.clone();
        let matching = |filter: Filter| {
            self.records_of(number)
                .map(move |(_, one)| record(one))
                .filter(move |one| filter.matches(&one.metadata))
        };
        let there = |id: &RecordId| self.by_number.get(&number).and_then(|(_, records)| records.get(id));
        let mut puts = BTreeMap::new();
        let mut gone = BTreeSet::new();
        match change {
            Change::Upsert(records) => puts.extend(records.into_iter().map(|one| (one.id.clone(), one))),
            Change::UpdateOne { id, vector, sparse, set } => {
                if let Some(mut one) = there(&id).map(record) {
                    one.metadata = one.metadata.merged(&set)?;
                    one.vector = vector.unwrap_or(one.vector);
                    one.sparse = sparse.or(one.sparse);
                    puts.insert(id, one);
                }
            }
            Change::UpdateMatching { filter, set } => {
                for mut one in matching(filter) {
                    one.metadata = one.metadata.merged(&set)?;
                    puts.insert(one.id.clone(), one);
                }
            }
            Change::DeleteIds(ids) => gone.extend(ids.into_iter().filter(|id| there(id).is_some())),
            Change::DeleteMatching(filter) => gone.extend(matching(filter).map(|one| one.id)),
            Change::DeleteAll => gone.extend(self.records_of(number).map(|(id, _)| id.clone())),
        }
        Ok((puts, gone))
    }

    fn commit(
        &mut self,
        to: &Namespace,
        puts: BTreeMap<RecordId, Record>,
        gone: &BTreeSet<RecordId>,
    ) -> Receipt {
        let records = (puts.len() + gone.len()) as u64;
        self.seq = self.seq.next();
        self.epoch_seen = self.epoch_seen.max(to.epoch());
        self.note(to.id(), puts.keys().chain(gone));
        let (namespace, kept) = self.by_number.entry(to.id()).or_insert_with(|| (to.clone(), Records::new()));
        if namespace.epoch() < to.epoch() {
            *namespace = to.clone();
        }
        kept.retain(|id, _| !gone.contains(id));
        for (id, record) in puts {
            kept.insert(id, Arc::new(vec![Stored { record, seq: self.seq }]));
        }
        Receipt { seq: self.seq, records }
    }

    fn note<'a>(&mut self, number: NamespaceId, ids: impl Iterator<Item = &'a RecordId>) {
        let ids: BTreeSet<RecordId> = ids.cloned().collect();
        self.watches.retain(|(watched, bytes_max, notes)| {
            let Some(notes) = notes.upgrade() else { return false };
            if *watched == number {
                let mut noted = notes.lock().unwrap_or_else(PoisonError::into_inner);
                noted.ids.extend(ids.iter().cloned());
                widen(&mut noted, *bytes_max);
            }
            true
        });
    }

    pub(super) fn watch(&mut self, number: NamespaceId, bytes_max: usize) -> Notes {
        let notes = Arc::default();
        self.watches.push((number, bytes_max, Arc::downgrade(&notes)));
        Notes(notes)
    }

    pub(super) fn close(&mut self, of: &Namespace) -> Frozen {
        let closed = self.closed.entry(of.id()).or_insert(of.epoch());
        *closed = of.epoch().max(*closed);
        Frozen { records: self.count(of.id(), None), seq: self.seq }
    }

    pub(super) fn open(&mut self, of: &Namespace) {
        self.closed.remove(&of.id());
    }

    pub(super) fn adopt(&mut self, copy: &Namespace) -> Result<(), WriteError> {
        if self.epoch_of(copy.id()) < copy.epoch() || self.epoch_seen < copy.epoch() {
            self.apply(copy, Change::Upsert(Vec::new()))?;
        }
        Ok(())
    }

    pub(super) fn entries(&self) -> Vec<CopyEntry> {
        let entry = |(namespace, records): &(Namespace, Records)| CopyEntry {
            namespace: namespace.clone(),
            records: records.len() as u64,
        };
        self.by_number.values().map(entry).filter(|entry| entry.records > 0).collect()
    }

    pub(super) fn find(&self, number: NamespaceId, ids: &[RecordId]) -> Vec<Located> {
        let Some((_, records)) = self.by_number.get(&number) else { return Vec::new() };
        ids.iter().filter_map(|id| records.get(id)).map(located).collect()
    }

    /// Records whose ids come after one, in byte order.
    fn after<'a>(
        &'a self,
        number: NamespaceId,
        after: Option<&RecordId>,
    ) -> impl Iterator<Item = (&'a RecordId, &'a Arc<Vec<Stored>>)> + use<'a> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        self.by_number
            .get(&number)
            .into_iter()
            .flat_map(move |(_, records)| records.range((from.clone(), Bound::Unbounded)))
    }

    pub(super) fn list(&self, number: NamespaceId, page: ListPage<'_>) -> Page {
        let ids = self.after(number, page.after).map(|(id, _)| id);
        let mut ids: Vec<RecordId> =
            ids.filter(|id| id.as_str().starts_with(page.prefix)).take(page.limit + 1).cloned().collect();
        let has_more = ids.len() > page.limit;
        ids.truncate(page.limit);
        Page { ids, has_more }
    }

    pub(super) fn find_matching(&self, number: NamespaceId, page: MatchPage<'_>) -> (Vec<Located>, bool) {
        let passing =
            self.after(number, page.after).filter(|(_, one)| page.filter.matches(&one[0].record.metadata));
        let mut found: Vec<Located> = passing.take(page.limit + 1).map(|(_, one)| located(one)).collect();
        let has_more = found.len() > page.limit;
        found.truncate(page.limit);
        (found, has_more)
    }

    pub(super) fn scan(&self, number: NamespaceId, page: ScanPage<'_>) -> (Vec<Located>, bool) {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (_, one) in self.after(number, page.after) {
            let one = located(one);
            bytes += one.bytes();
            if found.len() == page.limit || (bytes > page.bytes_max && !found.is_empty()) {
                return (found, true);
            }
            found.push(one);
        }
        (found, false)
    }

    pub(super) fn count(&self, number: NamespaceId, filter: Option<&Filter>) -> u64 {
        let passes = |one: &Stored| filter.is_none_or(|filter| filter.matches(&one.record.metadata));
        self.records_of(number).filter(|(_, one)| passes(&one[0])).count() as u64
    }

    pub(super) fn records(&self, scope: Scope<'_>) -> u64 {
        let within = self.by_number.iter().filter(|(number, _)| scope.contains(**number));
        within.map(|(_, (_, records))| records.len() as u64).sum()
    }

    pub(super) fn search(
        &self,
        scope: Scope<'_>,
        query: Query<'_>,
        metric: Metric,
        until: Until<'_>,
    ) -> Found {
        let scorer = query.vector.map(|vector| QueryScorer::new(metric, vector.as_slice()));
        let (mut hits, mut work, mut complete) = (Vec::new(), Work::default(), true);
        for (namespace, records) in self.by_number.values().filter(|(one, _)| scope.contains(one.id())) {
            for one in records.values() {
                complete = complete && !until.is_over();
                let record = &one[0].record;
                let Some(scorer) = scorer.as_ref().filter(|_| complete) else { continue };
                if query.filter.is_none_or(|filter| filter.matches(&record.metadata)) {
                    let row = record.vector.as_slice();
                    work.distances += 1;
                    hits.push(Hit::new(
                        namespace.clone(),
                        scorer.distance(row, inverse_norm(row)),
                        located(one),
                    ));
                }
            }
        }
        hits.sort_unstable_by(Hit::cmp_rank);
        hits.truncate(query.top_k.get());
        Found { hits, work, complete, explanation: None }
    }
}

fn check_count(change: &Change) -> Result<(), Invalid> {
    let (field, count) = match change {
        Change::Upsert(records) => ("records", records.len()),
        Change::DeleteIds(ids) => ("ids", ids.len()),
        _ => return Ok(()),
    };
    if count <= limits::BATCH_RECORDS_MAX {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!("must be at most {} in one write, are {count}", limits::BATCH_RECORDS_MAX),
    ))
}

/// Lets a range stand for ids that take too many bytes.
fn widen(noted: &mut Noted, bytes_max: usize) {
    let bytes: usize = noted.ids.iter().map(|id| id.as_str().len()).sum();
    if bytes <= bytes_max {
        return;
    }
    let mut ids = std::mem::take(&mut noted.ids);
    ids.extend(noted.range.take().into_iter().flat_map(<[RecordId; 2]>::from));
    noted.range = ids.first().cloned().zip(ids.last().cloned());
}
