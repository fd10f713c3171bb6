//! A shard with the model of what it holds, at every position of its log.

use super::{
    super::{
        DIM, DIR,
        crash::{contents, without_empty},
        id, metadata, namespace,
        operations::{Model, NAMESPACES, random_change},
        without_dense,
    },
    open,
};
use crate::{Change, Shard, ShardShape};
use pinyon_storage::{
    io::{MemoryIo, SharedIo},
    manifest, segment, wal,
};
use pinyon_types::{MetadataValue, Record, RecordId, SeededRng, SegmentId, SeqNo, SparseVector, Vector};
use std::{collections::BTreeMap, path::Path, sync::Arc};

pub(super) struct World {
    pub(super) io: SharedIo,
    pub(super) shape: ShardShape,
    pub(super) shard: Shard,
    model: Model,
    /// What the shard held after each entry of the log.
    history: BTreeMap<u64, Model>,
    rng: SeededRng,
}

impl World {
    pub(super) fn new(shape: ShardShape, seed: u64) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let shard = open(&io, shape).unwrap();
        let history = BTreeMap::from([(0, Model::default())]);
        Self { io, shape, shard, model: Model::default(), history, rng: SeededRng::new(seed) }
    }

    pub(super) fn write(&mut self, space: u64, change: Change) {
        let change = self.shaped(change);
        let receipt = self.shard.write(&namespace(space), change.clone()).unwrap();
        self.note(space, &change, receipt.seq);
    }

    pub(super) fn write_some(&mut self, count: usize) {
        for _ in 0..count {
            let space = self.rng.below(NAMESPACES);
            let change = random_change(&mut self.rng);
            // One that empties a namespace would leave little to damage.
            if !matches!(change, Change::DeleteAll | Change::DeleteMatching(_)) {
                self.write(space, change);
            }
        }
    }

    /// Every kind of metadata, and vectors of both kinds.
    pub(super) fn write_kinds(&mut self, space: u64, ids: std::ops::Range<u64>) {
        let records = ids.map(|number| self.record_of_kinds(number)).collect();
        self.write(space, Change::Upsert(records));
    }

    fn record_of_kinds(&self, number: u64) -> Record {
        let fields = [
            ("colour", MetadataValue::String("grün".into())),
            ("is_new", MetadataValue::Bool(number.is_multiple_of(2))),
            ("size", MetadataValue::Number(number as f64 - 1.5)),
            ("tags", MetadataValue::Strings(["a", "", "t1"].into())),
        ];
        let components: Vec<f32> = (0..DIM).map(|at| (number as f32).mul_add(0.25, -(at as f32))).collect();
        Record {
            id: id(&format!("r-{number:02}")),
            vector: Vector::new(components, super::super::shape(self.shape.metric).dim).unwrap(),
            sparse: number
                .is_multiple_of(2)
                .then(|| SparseVector::new(vec![3, 500_000_000], vec![1.5, -0.5]).unwrap()),
            metadata: metadata(&fields[number as usize % 5..]),
        }
    }

    /// Lets writes wait until all are there, so that one write to the disk and one sync hold them all.
    pub(super) fn write_together(&mut self, changes: Vec<(u64, Change)>) {
        let changes: Vec<_> =
            changes.into_iter().map(|(space, change)| (space, self.shaped(change))).collect();
        let first = self.shard.last_seq().get() + 1;
        std::thread::scope(|scope| {
            let writer = self.shard.inner.writer.lock().unwrap();
            for (at, (space, change)) in changes.iter().enumerate() {
                let shard = &self.shard;
                scope.spawn(move || shard.write(&namespace(*space), change.clone()).unwrap());
                while shard.inner.queue.lock().unwrap().len() <= at {
                    std::thread::yield_now();
                }
            }
            drop(writer);
        });
        for (seq, (space, change)) in (first..).zip(&changes) {
            self.note(*space, change, SeqNo::new(seq));
        }
    }

    fn shaped(&self, change: Change) -> Change {
        if self.shape.dim.is_none() { without_dense(change) } else { change }
    }

    fn note(&mut self, space: u64, change: &Change, seq: SeqNo) {
        self.model.apply(space, change);
        self.history.insert(seq.get(), self.model.clone());
    }

    /// Ids that the model has in a namespace, so that a change of them meets something.
    pub(super) fn ids(&self, space: u64, count: usize) -> Vec<RecordId> {
        let ids: Vec<RecordId> = self.model.0[&space].keys().take(count).cloned().collect();
        assert_eq!(ids.len(), count, "namespace {space} has fewer");
        ids
    }

    /// Seals as far as the new log: the file that the segment should become is taken.
    pub(super) fn seal_half(&self) {
        let manifest = manifest::load(&*self.io, Path::new(DIR)).unwrap().unwrap();
        let name = segment::segment_file_name(SegmentId::new(manifest.next_segment));
        let path = Path::new(DIR).join(name);
        drop(self.io.create(&path).unwrap());
        self.shard.seal().unwrap_err();
        self.io.remove(&path).unwrap();
    }

    /// The process ends without a word, and another begins.
    pub(super) fn kill(&mut self) {
        self.shard = open(&self.io, self.shape).unwrap();
    }

    /// The names of the logs, in order, with what is in them.
    pub(super) fn logs(&self) -> Vec<(String, wal::LogReport)> {
        let names = self.io.list(Path::new(DIR)).unwrap().into_iter();
        let names = names.filter(|name| wal::is_log_file_name(name));
        names
            .map(|name| (name.clone(), wal::inspect(&*self.io, &Path::new(DIR).join(name)).unwrap()))
            .collect()
    }

    /// Asserts that a shard holds what was written up to an entry of the log.
    pub(super) fn assert_holds(&self, shard: &Shard, seq: u64) {
        assert!(contents(shard) == without_empty(&self.history[&seq]), "not as after log entry {seq}");
        assert_eq!(shard.last_seq().get(), seq);
    }
}
