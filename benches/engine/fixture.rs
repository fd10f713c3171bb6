//! An engine filled with rows, in a directory that goes with it.

use pinyon_benches::Rows;
use pinyon_core::{Change, Engine, EngineSettings};
use pinyon_types::{Metadata, MetadataValue, Record, RecordId, Vector};
use std::path::PathBuf;

/// An engine and its directory.
pub struct Fixture {
    pub engine: Engine,
    dir: PathBuf,
}

impl Fixture {
    pub fn new(name: &str, shards: u32, dim: usize) -> Self {
        let dir = std::env::temp_dir().join(format!("pinyon-bench-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let dim = u32::try_from(dim).expect("dimensions are small");
        let settings = EngineSettings::offline(shards, dim).expect("the settings are good");
        Self { engine: Engine::open(&dir, settings).expect("the engine opens"), dir }
    }

    /// Writes rows as one tenant's records; `num` counts 0..1000 for filters.
    pub fn write(&self, tenant: &str, rows: &Rows, range: std::ops::Range<usize>) {
        let dim = self.engine.settings().dim;
        let record = |at: usize| {
            let fields = [("num".to_owned(), MetadataValue::Number((at % 1000) as f64))];
            Record {
                id: RecordId::new(&format!("r{at}")).expect("the id is good"),
                vector: Vector::new(rows.row(at), dim).expect("the row is good"),
                sparse: None,
                metadata: Metadata::new(fields.into_iter().collect()).expect("the metadata are good"),
            }
        };
        for from in range.clone().step_by(1000) {
            let records = (from..(from + 1000).min(range.end)).map(record).collect();
            self.engine.write(tenant, Change::Upsert(records)).expect("the write succeeds");
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
