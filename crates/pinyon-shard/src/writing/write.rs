//! Writing: a request waits in a queue; one of the waiting threads commits everything that waits with one write and one sync,
//! then publishes the new state. So an answer means durable and visible (WAL-1), a batch is all or nothing, and the number of
//! syncs does not grow with the number of clients.

use crate::{
    Change, DiskLevel, Namespace, Receipt, ShardError,
    inner::{Inner, Writer},
    rows::snapshot::Snapshot,
    search::read,
    suspicion::Implausible,
    writing::{
        log_entry::{self, KIND_OPERATIONS, Operation},
        queue::{Outcome, Pending, Turn, Undone, Work, lock},
    },
};
use pinyon_planted::is_planted;
use pinyon_types::{Invalid, Metric, Record, RecordId, limits};
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

impl Inner {
    /// Makes a change durable and visible.
    pub(crate) fn write(&self, namespace: &Namespace, change: Change) -> Outcome {
        check_lengths(&change, self.shape.metric)?;
        let is_deletion = change.is_deletion();
        if !is_deletion {
            self.refuse_without_memory()?;
            self.refuse_without_disk()?;
        }
        self.wait_for_room(is_deletion)?;
        self.commit_work(namespace, prepare(change)?, is_deletion)
    }

    /// Has a namespace be known as written at the handle's epoch, durably: nothing that was routed before is let in any more.
    pub(crate) fn adopt(&self, copy: &Namespace) -> Outcome {
        self.commit_work(copy, Work::Adopt, false)
    }

    /// Waits until somebody, perhaps this thread, has committed it.
    fn commit_work(&self, namespace: &Namespace, work: Work, is_deletion: bool) -> Outcome {
        let pending = Arc::new(Pending::new(namespace.clone(), work, is_deletion));
        lock(&self.queue).push(&pending);
        loop {
            match pending.wait() {
                Turn::Lead => self.lead(),
                Turn::Done(outcome) => return outcome.map_err(|undone| pending.give_back(undone)),
            }
        }
    }

    /// Commits what waits, hands the lead on, and tells everybody what became of their requests.
    fn lead(&self) {
        let writer = self.writer.lock();
        let group = lock(&self.queue).take_group();
        // A panic must not leave others waiting for an answer that never comes: it poisons the shard.
        let outcomes = writer.ok().and_then(|mut writer| {
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit(&mut writer, &group)));
            let reason = |unwound: &Box<dyn Any + Send>| match Implausible::of(&**unwound) {
                Some(what) => what.to_string(),
                None => "a write panicked".to_owned(),
            };
            committed.inspect_err(|unwound| self.poison(&reason(unwound))).ok()
        });
        lock(&self.queue).hand_over();
        // How far it came is not known.
        let unknown = || Err(Undone::maybe_durable(self.poisoned_error()));
        let outcomes = outcomes.unwrap_or_else(|| group.iter().map(|_| unknown()).collect());
        let durable = outcomes.iter().flatten().map(|receipt| receipt.seq).max();
        for (request, outcome) in group.iter().zip(outcomes) {
            request.tell(Turn::Done(outcome));
        }
        // Nobody waits for it.
        if let Some(position) = durable {
            self.place.raise_position(position);
        }
    }

    /// For what is no deletion: those make room.
    fn refuse_without_disk(&self) -> Result<(), ShardError> {
        self.options.disk.as_ref().map_or(Ok(()), |disk| disk.check())
    }

    /// Whether nothing is to be reserved ahead of its need.
    pub(crate) fn is_room_scarce(&self) -> bool {
        self.options.disk.as_ref().is_some_and(|disk| disk.level() != DiskLevel::Ample)
    }

    /// For what is no deletion: those make room.
    fn refuse_without_memory(&self) -> Result<(), ShardError> {
        let Some(budget) = &self.options.memory else { return Ok(()) };
        let Some(used) = budget.refuses_puts() else { return Ok(()) };
        self.ask_for_seal();
        Err(ShardError::MemoryFull { used, bytes_max: budget.bytes_max() })
    }

    /// Commits what waits together; of what the disk has no room for the deletions alone, in the room that was kept for them.
    fn commit(&self, writer: &mut Writer, group: &[Arc<Pending>]) -> Vec<Outcome> {
        let mut outcomes = self.commit_together(writer, group);
        let is_full = |outcome: &Outcome| {
            !is_planted(27) && outcome.as_ref().is_err_and(|undone| undone.error.is_disk_full())
        };
        let Some(disk) = self.options.disk.as_ref().filter(|_| outcomes.iter().any(is_full)) else {
            return outcomes;
        };
        let deletions = || (0..group.len()).filter(|at| group[*at].is_deletion);
        let again: Vec<Arc<Pending>> = deletions().map(|at| Arc::clone(&group[at])).collect();
        if again.is_empty() {
            disk.note_full();
            return outcomes;
        }
        disk.make_room();
        for (at, outcome) in deletions().zip(self.commit_together(writer, &again)) {
            outcomes[at] = outcome;
        }
        outcomes
    }

    /// Appends every request's entry, makes them durable together, and publishes the state after them.
    fn commit_together(&self, writer: &mut Writer, group: &[Arc<Pending>]) -> Vec<Outcome> {
        if self.poisoned.load(Ordering::Acquire) {
            return group.iter().map(|_| Err(self.poisoned_error().into())).collect();
        }
        let mut state = Snapshot::clone(&self.snapshot.load());
        let receipts: Vec<Outcome> =
            group.iter().map(|request| append(writer, &mut state, request)).collect();
        writer.log.spare_room(self.is_room_scarce());
        if is_planted(3) {
            self.place.raise_position(state.seq);
        }
        if let Err(error) = writer.log.commit() {
            let reason = error.to_string();
            let is_disk_full = ShardError::from(error).is_disk_full();
            let poisoned = writer.log.is_poisoned();
            if poisoned {
                self.poison(&reason);
            }
            let failure = || match poisoned {
                true => Undone::maybe_durable(ShardError::Poisoned { reason: reason.clone() }),
                false => ShardError::NotWritten { reason: reason.clone(), is_disk_full }.into(),
            };
            return receipts.into_iter().map(|outcome| outcome.and(Err(failure()))).collect();
        }
        let full = self.is_full(state.memtable.bytes);
        self.snapshot.store(Arc::new(state));
        self.note_written();
        let emptied =
            group.iter().zip(&receipts).filter(|(request, receipt)| request.empties && receipt.is_ok());
        emptied.for_each(|(request, _)| self.note_emptied(request.namespace.id()));
        if full || self.has_no_room() {
            self.ask_for_seal();
        } else {
            self.bell.note();
        }
        receipts
    }

    /// Waits while the memtable is far over its size because sealing is behind (LIM-1). Where the disk has little room its size is
    /// less, but not for deletions.
    fn wait_for_room(&self, is_deletion: bool) -> Result<(), ShardError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(self.poisoned_error());
        }
        let by_disk = self.options.disk.as_ref().filter(|_| !is_deletion);
        let by_disk = by_disk.map_or(usize::MAX, |disk| disk.memtable_bytes_max().saturating_mul(2));
        let bytes_max = self.options.backlog_bytes_max.min(by_disk);
        if self.snapshot.load().memtable.bytes < bytes_max {
            return Ok(());
        }
        self.wait_for_seal(bytes_max)
    }
}

/// Refuses vectors whose scores could not be answered. Records that an older version took are not looked at again.
fn check_lengths(change: &Change, metric: Metric) -> Result<(), Invalid> {
    match change {
        Change::Upsert(records) => {
            let mut records = records.iter().enumerate();
            records.try_for_each(|(at, record)| {
                record.check_length(metric).map_err(|error| error.within(format!("records[{at}]")))
            })
        }
        Change::UpdateOne { vector, sparse, .. } => {
            vector.as_ref().map_or(Ok(()), |vector| vector.check_length(metric))?;
            sparse.as_ref().map_or(Ok(()), |sparse| sparse.check_length(metric))
        }
        _ => Ok(()),
    }
}

fn prepare(change: Change) -> Result<Work, ShardError> {
    let operations = match change {
        Change::Upsert(records) => {
            check_count("records", records.len())?;
            last_of_each_id(records)
        }
        Change::DeleteIds(ids) => {
            check_count("ids", ids.len())?;
            let distinct: BTreeSet<RecordId> = ids.into_iter().collect();
            distinct.into_iter().map(Operation::Delete).collect()
        }
        Change::DeleteAll => vec![Operation::Clear],
        change @ (Change::UpdateOne { .. } | Change::UpdateMatching { .. } | Change::DeleteMatching(_)) => {
            return Ok(Work::Resolve(change));
        }
    };
    let encoded = log_entry::encode_operations(&operations);
    check_bytes(&encoded)?;
    Ok(Work::Ready { operations, encoded })
}

fn check_count(field: &str, count: usize) -> Result<(), Invalid> {
    if count <= limits::BATCH_RECORDS_MAX {
        return Ok(());
    }
    let problem = format!("must be at most {} in one write, are {count}", limits::BATCH_RECORDS_MAX);
    Err(Invalid::new(field, problem))
}

fn check_bytes(encoded: &[u8]) -> Result<(), Invalid> {
    let bytes_max = limits::BATCH_BYTES_MAX - (1 << 10); // room for the entry's head
    if encoded.len() <= bytes_max {
        return Ok(());
    }
    let problem = format!("the write takes {} bytes, at most {bytes_max} fit; split it", encoded.len());
    Err(Invalid::new("records", problem))
}

fn last_of_each_id(records: Vec<Record>) -> Vec<Operation> {
    let mut last = BTreeMap::new();
    for record in records {
        last.insert(record.id.clone(), record);
    }
    last.into_values().map(Operation::Put).collect()
}

/// Resolves a request against the state, appends its entry, applies it. On an error neither log nor state changed.
fn append(writer: &mut Writer, state: &mut Snapshot, request: &Pending) -> Outcome {
    let namespace = &request.namespace;
    writer.gate.check(namespace, state.namespace_epoch(namespace.id()))?;
    // A deletion that finds no room is tried again.
    let mut work = lock(&request.work);
    let work = if request.is_deletion { work.clone() } else { work.take() };
    let (operations, encoded) = match work.expect("invariant: what is no deletion is appended once") {
        Work::Ready { operations, encoded } => (operations, encoded),
        Work::Resolve(change) => {
            let operations = resolve(state, namespace, change)?;
            let encoded = log_entry::encode_operations(&operations);
            check_bytes(&encoded)?;
            (operations, encoded)
        }
        Work::Adopt => {
            let operations = adopting(state, namespace);
            let encoded = log_entry::encode_operations(&operations);
            (operations, encoded)
        }
    };
    let records = count_changed(state, namespace, &operations);
    // One without operations tells of an epoch that nobody has seen.
    if operations.is_empty() && namespace.epoch() <= state.epoch_seen {
        return Ok(Receipt { seq: state.seq, records: 0 });
    }
    let head = log_entry::encode_head(namespace, operations.len());
    let seq = writer.log.append(KIND_OPERATIONS, &[&head, &encoded])?;
    writer.watches.note(namespace.id(), &operations);
    state.apply(namespace, operations, seq);
    Ok(Receipt { seq, records })
}

/// What makes a namespace known as written at its handle's epoch: one of its records, written once more. Without records there is
/// nothing that could be taken for another's.
fn adopting(state: &Snapshot, namespace: &Namespace) -> Vec<Operation> {
    if state.namespace_epoch(namespace.id()) >= namespace.epoch() {
        return Vec::new();
    }
    let first = read::ListRequest { prefix: "", after: None, limit: 1 };
    let first = read::scan(state, namespace.id(), first, 0).0.into_iter().next();
    first.map(|record| Operation::Put(record.stored().record)).into_iter().collect()
}

/// How many records the operations will write or remove.
fn count_changed(state: &Snapshot, namespace: &Namespace, operations: &[Operation]) -> u64 {
    let changed = operations.iter().map(|operation| match operation {
        Operation::Put(_) => 1,
        Operation::Delete(id) => u64::from(state.find(namespace.id(), id.as_str()).is_some()),
        Operation::Clear => state.count(namespace.id()),
    });
    changed.sum()
}

/// Finds out what a change means for the records that are there now.
fn resolve(state: &Snapshot, namespace: &Namespace, change: Change) -> Result<Vec<Operation>, ShardError> {
    match change {
        Change::UpdateOne { id, vector, sparse, set } => {
            let Some(place) = state.find(namespace.id(), id.as_str()) else { return Ok(Vec::new()) };
            let mut record = read::record(&place.row());
            record.metadata = record.metadata.merged(&set)?;
            record.vector = vector.unwrap_or(record.vector);
            record.sparse = sparse.or(record.sparse);
            Ok(vec![Operation::Put(record)])
        }
        Change::UpdateMatching { filter, set } => {
            let mut operations = Vec::new();
            for place in read::matching(state, namespace.id(), &filter) {
                let mut record = read::record(&place.row());
                let of_record = |error: Invalid| Invalid {
                    problem: format!("{} (ID '{}')", error.problem, record.id),
                    ..error
                };
                record.metadata = record.metadata.merged(&set).map_err(of_record)?;
                operations.push(Operation::Put(record));
            }
            Ok(operations)
        }
        Change::DeleteMatching(filter) => {
            let found = read::matching(state, namespace.id(), &filter);
            Ok(found.map(|place| Operation::Delete(read::record_id(place.id()))).collect())
        }
        Change::Upsert(_) | Change::DeleteIds(_) | Change::DeleteAll => {
            unreachable!("these need no resolving: `prepare` has made operations of them")
        }
    }
}
