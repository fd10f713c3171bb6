//! Writing what is left as a new shard.

use super::{Salvage, SalvageReport};
use crate::{Birth, Change, Namespace, Shard, ShardError, ShardOptions, ShardPlace, Step};
use pinyon_storage::io::SharedIo;
use pinyon_types::Record;
use std::path::Path;

/// Records of one write: however large they are, an entry of the log takes them.
const BATCH_RECORDS: usize = 500;

impl Salvage {
    /// Writes what is left into a directory, which is to be empty, as a shard of the same name whose positions go on behind the old ones.
    /// Returns what was found.
    ///
    /// # Errors
    /// The disk's; what was written so far is of no use then.
    pub fn write(
        mut self,
        io: &SharedIo,
        dir: &Path,
        options: ShardOptions,
    ) -> Result<SalvageReport, ShardError> {
        let place = ShardPlace {
            birth: Birth::Making,
            starts_after: self.last_seq,
            // What is known from outside is of the old one.
            witness: None,
            ..self.place.clone()
        };
        let shard = Shard::open_in(io, dir, (self.shape, place), options)?;
        let mut batch = Batch { shard: &shard, namespace: None, records: Vec::new() };
        self.records.visit(&mut |namespace, record| batch.add(namespace, record))?;
        batch.write()?;
        while shard.settle_step()? != Step::Idle {}
        shard.close()?;
        Ok(self.report)
    }
}

struct Batch<'a> {
    shard: &'a Shard,
    namespace: Option<Namespace>,
    records: Vec<Record>,
}

impl Batch<'_> {
    fn add(&mut self, namespace: &Namespace, record: Record) -> Result<(), ShardError> {
        let is_same = self.namespace.as_ref().is_some_and(|known| known.id() == namespace.id());
        if !is_same || self.records.len() >= BATCH_RECORDS {
            self.write()?;
            self.namespace = Some(namespace.clone());
        }
        self.records.push(record);
        Ok(())
    }

    fn write(&mut self) -> Result<(), ShardError> {
        let records = std::mem::take(&mut self.records);
        if let Some(namespace) = self.namespace.as_ref().filter(|_| !records.is_empty()) {
            self.shard.write(namespace, Change::Upsert(records))?;
            // Nobody else seals.
            while self.shard.step()? != Step::Idle {}
        }
        Ok(())
    }
}
