//! Which records are left, and where each of them lies. Of several rows of one id the last written stands: what said that the others are
//! dead may be damaged.

use super::{LostRecords, SalvageReport, SalvagedNamespace, later, rows::RescuedRows};
use crate::{Namespace, writing::log_entry::Operation};
use pinyon_planted::is_planted;
use pinyon_types::{NamespaceId, Record, RecordId, SegmentId, SeqNo};
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};

/// Where a record lies.
#[derive(Debug)]
enum Source {
    /// In a row of the segment at this place among them.
    Row { segment: usize, slot: u32, seq: SeqNo },
    /// In a log.
    Logged(Box<Record>),
    /// Nowhere that can be read.
    Lost,
}

/// The records of a shard that are left.
#[derive(Debug)]
pub(super) struct Records {
    segments: Vec<RescuedRows>,
    names: BTreeMap<NamespaceId, Namespace>,
    sources: BTreeMap<NamespaceId, BTreeMap<RecordId, Source>>,
    /// Rows whose ids cannot be read.
    nameless: BTreeMap<NamespaceId, u64>,
    last_seq: SeqNo,
}

impl Records {
    /// Of segments, the oldest first.
    pub(super) fn of(segments: Vec<RescuedRows>, report: &mut SalvageReport) -> Self {
        report.problems.extend(segments.iter().filter_map(RescuedRows::problem));
        let dead = dead_slots(&segments);
        let mut records = Self {
            segments,
            names: BTreeMap::new(),
            sources: BTreeMap::new(),
            nameless: BTreeMap::new(),
            last_seq: SeqNo::ZERO,
        };
        for at in 0..records.segments.len() {
            records.add_segment(at, &dead);
        }
        records
    }

    /// The last position that wrote any of the rows.
    pub(super) const fn last_seq(&self) -> SeqNo {
        self.last_seq
    }

    fn add_segment(&mut self, at: usize, dead: &HashMap<SegmentId, RoaringBitmap>) {
        let dead = dead.get(&self.segments[at].id);
        for entry in self.segments[at].namespaces.clone() {
            let namespace = &entry.namespace;
            let name = later(self.names.remove(&namespace.id()), namespace);
            self.names.insert(namespace.id(), name);
            for slot in entry.slots.clone() {
                if dead.is_none_or(|dead| !dead.contains(slot)) {
                    self.add_row(at, namespace.id(), slot);
                }
            }
        }
    }

    fn add_row(&mut self, at: usize, namespace: NamespaceId, slot: u32) {
        let rows = &mut self.segments[at];
        let Some(id) = rows.id_of(slot) else {
            *self.nameless.entry(namespace).or_default() += 1;
            return;
        };
        let source = match rows.seq_of(slot) {
            Some(seq) if rows.is_whole(slot) => Source::Row { segment: at, slot, seq },
            _ if is_planted(12) => return,
            _ => Source::Lost,
        };
        if let Source::Row { seq, .. } = source {
            self.last_seq = self.last_seq.max(seq);
        }
        let of_namespace = self.sources.entry(namespace).or_default();
        if !of_namespace.get(&id).is_some_and(|known| is_later(known, &source)) {
            of_namespace.insert(id, source);
        }
    }

    /// Does what a write did.
    pub(super) fn apply(&mut self, namespace: &Namespace, operations: Vec<Operation>) {
        let name = later(self.names.remove(&namespace.id()), namespace);
        self.names.insert(namespace.id(), name);
        let of_namespace = self.sources.entry(namespace.id()).or_default();
        for operation in operations {
            match operation {
                Operation::Put(record) => {
                    of_namespace.insert(record.id.clone(), Source::Logged(Box::new(record)));
                }
                Operation::Delete(id) => drop(of_namespace.remove(&id)),
                Operation::Clear => {
                    of_namespace.clear();
                    self.nameless.remove(&namespace.id());
                }
            }
        }
    }

    /// How many records of each namespace are left.
    pub(super) fn by_namespace(&self) -> Vec<SalvagedNamespace> {
        let of = |(id, namespace): (&NamespaceId, &Namespace)| {
            let nameless = self.nameless.get(id).copied().unwrap_or(0);
            let mut lost = LostRecords { count: nameless, ids: Vec::new() };
            let mut kept = 0;
            for (id, source) in self.sources.get(id).into_iter().flatten() {
                match source {
                    Source::Lost => lost.add(Some(id.clone())),
                    Source::Row { .. } | Source::Logged(_) => kept += 1,
                }
            }
            SalvagedNamespace { tenant: namespace.name().clone(), kept, lost }
        };
        let all = self.names.iter().map(of);
        all.filter(|one| one.kept > 0 || one.lost.count > 0).collect()
    }

    /// Calls `each` with every record that is left, namespace after namespace.
    pub(super) fn visit<E>(
        &mut self,
        each: &mut dyn FnMut(&Namespace, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        for (id, sources) in &self.sources {
            let Some(namespace) = self.names.get(id) else { continue };
            for source in sources.values() {
                let record = match source {
                    Source::Logged(record) => Some(Record::clone(record)),
                    Source::Row { segment, slot, .. } => self.segments[*segment].record(*slot),
                    Source::Lost => None,
                };
                if let Some(record) = record {
                    each(namespace, record)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether what is known of a record is of a later write than what was found. Segments come in their order, which tells it where a
/// position cannot be read.
fn is_later(known: &Source, found: &Source) -> bool {
    matches!((known, found), (Source::Row { seq: known, .. }, Source::Row { seq: found, .. }) if known > found)
}

/// Slots that are dead by what other segments say.
fn dead_slots(segments: &[RescuedRows]) -> HashMap<SegmentId, RoaringBitmap> {
    let mut dead: HashMap<SegmentId, RoaringBitmap> = HashMap::new();
    for (target, slots) in segments.iter().filter_map(|rows| rows.kills.as_ref()).flatten() {
        *dead.entry(*target).or_default() |= &**slots;
    }
    dead
}
