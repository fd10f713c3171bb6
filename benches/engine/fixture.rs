//! An engine filled with rows, in a directory that goes with it.

#![allow(dead_code)] // every bench uses some of it

use pinyon_benches::{Dataset, Rows};
use pinyon_core::{Change, Engine, EngineSettings, Hit};
use pinyon_types::{Metadata, MetadataValue, Record, RecordId, Vector};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long codes and graphs may take.
const SETTLE_MAX: Duration = Duration::from_secs(600);

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

impl Fixture {
    /// The name of a tenant of a data set.
    pub fn tenant(number: u32) -> String {
        format!("tenant-{number}")
    }

    /// The row that a result is.
    pub fn row(hit: &Hit) -> u32 {
        hit.id().as_str()[1..].parse().expect("ids are row numbers")
    }

    /// Writes every tenant's rows; returns how many each has.
    pub fn write_tenants(&self, set: &Dataset) -> BTreeMap<u32, usize> {
        let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (row, tenant) in set.tenants.iter().enumerate() {
            rows.entry(*tenant).or_default().push(row);
        }
        for (tenant, rows) in &rows {
            self.write_rows(&Self::tenant(*tenant), set, rows);
        }
        rows.into_iter().map(|(tenant, rows)| (tenant, rows.len())).collect()
    }

    /// Writes all rows as one tenant's.
    pub fn write_all(&self, set: &Dataset, tenant: &str) {
        self.write_rows(tenant, set, &(0..set.base.len()).collect::<Vec<_>>());
    }

    fn write_rows(&self, tenant: &str, set: &Dataset, rows: &[usize]) {
        let (dim, fields) = (self.engine.settings().dim, &set.attributes);
        let record = |row: &usize| {
            let category = &fields.category_names[usize::from(fields.category[*row])];
            let metadata = [
                ("num".to_owned(), MetadataValue::Number(f64::from(fields.num[*row]))),
                ("flag".to_owned(), MetadataValue::Bool(fields.flag[*row])),
                ("cat".to_owned(), MetadataValue::String(category.clone())),
            ];
            Record {
                id: RecordId::new(&format!("r{row}")).expect("the id is good"),
                vector: Vector::new(set.base.row(*row), dim).expect("the row is good"),
                sparse: None,
                metadata: Metadata::new(metadata.into_iter().collect()).expect("the metadata are good"),
            }
        };
        for rows in rows.chunks(1000) {
            let records = rows.iter().map(record).collect();
            self.engine.write(tenant, Change::Upsert(records)).expect("the write succeeds");
        }
    }

    /// Waits until what is made in the background is there: until nothing has changed for a while.
    pub fn settle(&self) {
        let state = || -> Vec<_> {
            let shards = self.engine.shards();
            let of = |one: &pinyon_core::EngineStats| {
                let segments = &one.stats.segments;
                let bytes = segments.iter().map(|segment| segment.derived.total()).sum::<u64>();
                (segments.len(), segments.iter().map(|segment| segment.graphs).sum::<usize>(), bytes)
            };
            shards.iter().map(of).collect()
        };
        let (began, mut seen, mut since) = (Instant::now(), state(), Instant::now());
        // Longer than a large graph takes to build.
        while since.elapsed() < Duration::from_secs(40) && began.elapsed() < SETTLE_MAX {
            std::thread::park_timeout(Duration::from_millis(500));
            let now = state();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
