//! An engine filled with rows, in a directory on disk that goes with it.

#![allow(dead_code)] // every bench uses some of it

use crate::measure::{Cpu, Stopwatch};
use pinyon_benches::{Dataset, Neighbours, Rows};
use pinyon_core::{Change, Engine, EngineSettings, Hit, Reach, RecordQuery, VectorQuery};
use pinyon_types::{Dim, Metadata, MetadataValue, Record, RecordId, TopK, Vector};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Results that are asked for.
pub const K: usize = 10;
/// Records in a request.
const BATCH: usize = 1000;
/// How long background steps may take.
const SETTLE_MAX_S: f64 = 900.0;
/// Nothing is left to be done after this time without any of it: a memtable is sealed when nobody wrote for two seconds.
const QUIET_S: f64 = 4.0;
const LOOK: Duration = Duration::from_millis(500);
/// The share of a core below which background threads only look whether there is something to do.
const IDLE_SHARE: f64 = 0.02;

/// A directory that is removed in the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty place for a bench: beside what cargo builds, because the system's place for temporary files may be memory.
    pub fn new(name: &str) -> Self {
        let bench = std::env::current_exe().expect("a bench knows where it is");
        let target = bench.ancestors().nth(3).expect("benches lie below target/release/deps");
        let dir = target.join("bench-data").join(format!("{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An engine and its directory.
pub struct Fixture {
    pub engine: Engine,
    scratch: Scratch,
}

/// The directory of an engine that was closed.
pub struct Closed {
    settings: EngineSettings,
    scratch: Scratch,
}

/// What the settings of a server are, but for where things are and keys.
pub fn settings(shards: u32, dim: usize) -> EngineSettings {
    EngineSettings::offline(shards, u32::try_from(dim).expect("dimensions are small"))
        .expect("the settings are good")
}

impl Fixture {
    pub fn new(name: &str, shards: u32, dim: usize) -> Self {
        Self::with(name, settings(shards, dim))
    }

    pub fn with(name: &str, settings: EngineSettings) -> Self {
        Closed { settings, scratch: Scratch::new(name) }.open()
    }

    /// Ends every log and drops the engine.
    pub fn close(self) -> Closed {
        let Self { engine, scratch } = self;
        let settings = engine.settings().clone();
        engine.close().expect("the engine closes");
        Closed { settings, scratch }
    }

    /// Where the engine is.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes rows as one tenant's records; `num` counts 0..1000 for filters.
    pub fn write(&self, tenant: &str, rows: &Rows, range: std::ops::Range<usize>) {
        let dim = self.engine.settings().dim;
        let fields = |row: usize| vec![("num".to_owned(), MetadataValue::Number((row % 1000) as f64))];
        for from in range.clone().step_by(BATCH) {
            let numbers = from..(from + BATCH).min(range.end);
            self.upsert(tenant, numbers.map(|row| record(row, rows.row(row), dim, fields(row))).collect());
        }
    }

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
        let rows = rows_by_tenant(set);
        for (tenant, rows) in &rows {
            self.write_rows(&Self::tenant(*tenant), set, rows);
        }
        rows.into_iter().map(|(tenant, rows)| (tenant, rows.len())).collect()
    }

    /// Writes all rows as one tenant's.
    pub fn write_all(&self, set: &Dataset, tenant: &str) {
        self.write_rows(tenant, set, &(0..set.base.len()).collect::<Vec<_>>());
    }

    /// Writes some rows of a set as one tenant's.
    pub fn write_rows(&self, tenant: &str, set: &Dataset, rows: &[usize]) {
        for rows in rows.chunks(BATCH) {
            self.upsert(tenant, rows.iter().map(|row| self.record(set, *row)).collect());
        }
    }

    /// Record of a number: the row of that number, again from the first when there are no more.
    pub fn record(&self, set: &Dataset, number: usize) -> Record {
        let row = number % set.base.len();
        let fields = &set.attributes;
        let category = &fields.category_names[usize::from(fields.category[row])];
        let metadata = vec![
            ("num".to_owned(), MetadataValue::Number(f64::from(fields.num[row]))),
            ("flag".to_owned(), MetadataValue::Bool(fields.flag[row])),
            ("cat".to_owned(), MetadataValue::String(category.clone())),
        ];
        record(number, set.base.row(row), self.engine.settings().dim, metadata)
    }

    pub fn upsert(&self, tenant: &str, records: Vec<Record>) {
        self.engine.write(tenant, Change::Upsert(records)).expect("the write succeeds");
    }

    /// Removes rows of one tenant.
    pub fn delete_rows(&self, tenant: &str, rows: &[usize]) {
        for rows in rows.chunks(BATCH) {
            let ids = rows.iter().map(|row| id(*row)).collect();
            self.engine.write(tenant, Change::DeleteIds(ids)).expect("the write succeeds");
        }
    }

    /// The rows that a query of one tenant finds.
    pub fn find(&self, query: VectorQuery) -> Vec<u32> {
        let VectorQuery { vector, sparse, reach, top_k, filter, timeout, effort, explain: _ } = query;
        let Reach::Tenant(tenant) = reach else { panic!("a query of one tenant") };
        let top_k = TopK::new(top_k).expect("so many may be asked for");
        let query = RecordQuery { sparse, filter, timeout, effort, ..RecordQuery::dense(vector, top_k) };
        let found = self.engine.tenant(&tenant).and_then(|tenant| tenant.query(query)).expect("an answer");
        found.hits.iter().map(|(_, hit)| Self::row(hit)).collect()
    }

    /// The recall of every query of a set, asked within the reach of its number.
    pub fn recalls(&self, set: &Dataset, truth: &Neighbours, reach: impl Fn(usize) -> Reach) -> Vec<f64> {
        let ask = |at: usize| {
            let query = VectorQuery::dense(set.queries.row(at).to_vec(), reach(at), K as u32);
            truth.recall(at, K, &self.find(query))
        };
        (0..set.queries.len()).map(ask).collect()
    }

    /// What there is of every shard: segments, graphs, bytes of codes and graphs.
    pub fn derived(&self) -> Vec<(usize, usize, u64)> {
        let of = |one: pinyon_core::EngineStats| {
            let segments = one.stats.segments;
            let bytes = segments.iter().map(|segment| segment.derived.total()).sum();
            (segments.len(), segments.iter().map(|segment| segment.graphs).sum(), bytes)
        };
        self.engine.shards().into_iter().map(of).collect()
    }

    /// Waits until background threads have nothing left to do; seconds after which that was so.
    pub fn settle(&self) -> f64 {
        let began = Stopwatch::start(Cpu::Process);
        let (mut seen, mut busy_until) = (self.derived(), 0.0);
        while began.wall() - busy_until < QUIET_S {
            assert!(began.wall() < SETTLE_MAX_S, "background steps do not end");
            let (all, own) = (Stopwatch::start(Cpu::Process), Stopwatch::start(Cpu::Thread));
            std::thread::park_timeout(LOOK);
            let now = self.derived();
            if now != seen || all.cpu() - own.cpu() > IDLE_SHARE * all.wall() {
                (seen, busy_until) = (now, began.wall());
            }
        }
        busy_until
    }
}

impl Closed {
    /// Opens the engine again.
    pub fn open(self) -> Fixture {
        let Self { settings, scratch } = self;
        let engine = Engine::open(scratch.path(), settings).expect("the engine opens");
        Fixture { engine, scratch }
    }

    /// Opens the engine again with other settings.
    pub fn with(mut self, change: impl FnOnce(&mut EngineSettings)) -> Fixture {
        change(&mut self.settings);
        self.open()
    }

    /// Where the engine was.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }
}

/// The rows of every tenant.
pub fn rows_by_tenant(set: &Dataset) -> BTreeMap<u32, Vec<usize>> {
    let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, tenant) in set.tenants.iter().enumerate() {
        rows.entry(*tenant).or_default().push(row);
    }
    rows
}

fn id(row: usize) -> RecordId {
    RecordId::new(&format!("r{row}")).expect("the id is good")
}

fn record(row: usize, vector: &[f32], dim: Dim, fields: Vec<(String, MetadataValue)>) -> Record {
    Record {
        id: id(row),
        vector: Vector::new(vector, dim).expect("the row is good"),
        sparse: None,
        metadata: Metadata::new(fields.into_iter().collect()).expect("the metadata are good"),
    }
}
