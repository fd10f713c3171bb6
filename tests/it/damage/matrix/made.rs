//! The data that are damaged: made once for each store of the catalog, with all that a data directory may have, as they are after an
//! end, after a kill, earlier, and in another data directory.

use super::super::files::copy;
use crate::server::scratch;
use pinyon_core::{
    CatalogKind, Change, Engine, EngineError, EngineSettings, ErrorCode, Index, IndexRequest, Indexes,
    MadeWith, QuestionsKept, Reach, ShardOptions, VectorQuery,
};
use pinyon_types::{Dim, Metadata, MetadataValue, Metric, Record, RecordId, SeededRng, SparseVector, Vector};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

pub const TENANTS: &str = "tenants";
const SHARDS: u32 = 2;
/// Every one of them lies in `index-<place + 1>`, but for the tenants' index.
pub const INDEXES: [&str; 3] = ["dense", "hybrid", TENANTS];
/// Records of a namespace that gets a graph.
const MANY: u32 = 120;
const FEW: u32 = 30;

/// A namespace and all that it holds.
#[derive(Debug, Clone)]
pub struct Namespace {
    pub index: &'static str,
    pub name: String,
    pub shard: u32,
    pub records: BTreeMap<String, Record>,
}

/// Data directories to damage copies of.
pub struct Made {
    pub catalog: CatalogKind,
    pub closed: PathBuf,
    pub killed: PathBuf,
    /// As it was before the last seal, and in the middle of the last log.
    pub earlier: [PathBuf; 2],
    pub foreign: PathBuf,
    pub namespaces: Vec<Namespace>,
}

/// Opens a data directory as a server does that is told nothing but its catalog: the rest is known from the data.
pub fn open(dir: &Path, catalog: CatalogKind) -> Result<Indexes, EngineError> {
    let MadeWith { shards, dimension, metric, .. } =
        once_unlocked(|| Engine::made_with(dir)).unwrap_or_default();
    let metric = metric.unwrap_or(Metric::Cosine);
    let settings = EngineSettings { metric, ..settings(shards.unwrap_or(SHARDS), dimension, catalog)? };
    once_unlocked(|| open_with(dir, settings.clone()))
}

/// Other tests of this process start programs: until a child has become one it holds what its parent had locked.
fn once_unlocked<T>(open: impl Fn() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let is_locked =
        |opened: &Result<T, EngineError>| opened.as_ref().is_err_and(|error| error.code == ErrorCode::Locked);
    for _ in 0..100 {
        let opened = open();
        if !is_locked(&opened) {
            return opened;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    open()
}

fn open_with(dir: &Path, settings: EngineSettings) -> Result<Indexes, EngineError> {
    Indexes::open(dir, settings, TENANTS, next_port)
}

fn next_port(taken: &[u16]) -> u16 {
    7000 + u16::try_from(taken.len()).unwrap()
}

fn settings(
    shards: u32,
    dimension: Option<u32>,
    catalog: CatalogKind,
) -> Result<EngineSettings, EngineError> {
    let shard_options = ShardOptions {
        graph_rows_min: MANY / 2,
        log_preallocate_bytes: 32 << 10,
        questions_kept: QuestionsKept::Disk,
        ..ShardOptions::server()
    };
    let offline = EngineSettings::offline(shards, dimension.unwrap_or(16))?;
    Ok(EngineSettings { catalog, shard_options, search_threads: 2, ..offline })
}

impl Made {
    /// Makes both data directories.
    pub fn new(catalog: CatalogKind) -> Self {
        let name = |part: &str| scratch(&format!("matrix-{}-{part}", catalog.name()));
        let made = Self {
            catalog,
            closed: name("closed"),
            killed: name("killed"),
            earlier: [name("earlier"), name("later")],
            foreign: name("foreign"),
            namespaces: Vec::new(),
        };
        let namespaces = fill(&made.closed, catalog, &[&made.earlier[0], &made.earlier[1], &made.killed]);
        fill(&made.foreign, catalog, &[]);
        Self { namespaces, ..made }
    }

    pub fn remove(self) {
        let [earlier, later] = self.earlier;
        for dir in [self.closed, self.killed, earlier, later, self.foreign] {
            fs::remove_dir_all(dir).unwrap();
        }
    }
}

/// Fills a data directory and ends it cleanly; takes copies while it is open: before the last seal, in the middle of the last log, at last.
fn fill(dir: &Path, catalog: CatalogKind, copies: &[&PathBuf]) -> Vec<Namespace> {
    let indexes = open_with(dir, settings(SHARDS, None, catalog).unwrap()).unwrap();
    if catalog == CatalogKind::Redb {
        begin_anew(&indexes);
    }
    indexes.create(request("dense", 8, Metric::Cosine), next_port).unwrap();
    indexes.create(request("hybrid", 4, Metric::DotProduct), next_port).unwrap();
    let mut filling = Filling::new(&indexes);
    let mut copies = copies.iter();
    let mut copy_next = || copies.next().map_or((), |to| copy(dir, to));
    filling.put(0..FEW, "first");
    filling.settle();
    filling.put(FEW - 2..FEW + 5, "second");
    copy_next();
    filling.delete(3..5);
    filling.settle();
    filling.ask();
    filling.put(FEW..FEW + 3, "third");
    copy_next();
    filling.tag();
    filling.put(FEW + 2..FEW + 9, "fourth");
    filling.delete(0..1);
    copy_next();
    let namespaces = filling.finish();
    indexes.close().unwrap();
    namespaces
}

/// Deletes the tenants' index, so that its data lie in a generation of their own.
fn begin_anew(indexes: &Indexes) {
    let tenants = indexes.tenants_index().unwrap();
    tenants.engine.write("old", Change::Upsert(vec![record(&tenants, "old", "a", "old")])).unwrap();
    let unprotect = |description: &mut pinyon_core::IndexDescription| {
        description.is_protected = false;
        Ok(())
    };
    drop(tenants);
    indexes.change(TENANTS, unprotect).unwrap();
    indexes.delete(TENANTS).unwrap();
}

fn request(name: &str, dimension: u32, metric: Metric) -> IndexRequest {
    IndexRequest {
        name: name.into(),
        dim: Dim::new(dimension).unwrap(),
        metric,
        is_protected: false,
        tags: BTreeMap::new(),
        attributes: "{}".into(),
    }
}

/// A record that its names and version determine.
pub fn record(index: &Index, namespace: &str, id: &str, version: &str) -> Record {
    let name = format!("{}/{namespace}/{id}/{version}", index.description.name);
    let seed = name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut rng = SeededRng::new(seed);
    let dim = index.description.dim;
    let vector: Vec<f32> = (0..dim.as_usize()).map(|_| rng.unit() as f32 - 0.5).collect();
    let sparse = index.description.name == "hybrid";
    let sparse =
        sparse.then(|| SparseVector::new(vec![1, 5 + rng.below(9) as u32], vec![0.5, 0.25]).unwrap());
    let fields = [("version", version), ("name", &name)];
    let fields = fields.map(|(key, value)| (key.to_owned(), MetadataValue::String(value.to_owned())));
    Record {
        id: RecordId::new(id).unwrap(),
        vector: Vector::new(vector, dim).unwrap(),
        sparse,
        metadata: Metadata::new(fields.into_iter().collect()).unwrap(),
    }
}

struct Filling<'a> {
    indexes: &'a Indexes,
    namespaces: Vec<Namespace>,
}

impl<'a> Filling<'a> {
    fn new(indexes: &'a Indexes) -> Self {
        let names = ["many", "b", "c", "d", "e"];
        let namespace = |index, name: &str| Namespace {
            index,
            name: name.to_owned(),
            shard: 0,
            records: BTreeMap::new(),
        };
        let all = INDEXES.into_iter().flat_map(|index| names.map(|name| namespace(index, name)));
        Self { indexes, namespaces: all.collect() }
    }

    /// Puts records of a range of numbers, of a larger one too where there are to be many.
    fn put(&mut self, range: std::ops::Range<u32>, version: &str) {
        for namespace in &mut self.namespaces {
            let index = self.indexes.get(namespace.index).unwrap();
            let more = if namespace.name == "many" && range.start == 0 { MANY } else { range.end };
            let ids = (range.start..more).map(|number| format!("r{number:03}"));
            let records: Vec<Record> = ids.map(|id| record(&index, &namespace.name, &id, version)).collect();
            namespace.records.extend(records.iter().map(|one| (one.id.as_str().to_owned(), one.clone())));
            index.engine.write(&namespace.name, Change::Upsert(records)).unwrap();
        }
    }

    fn delete(&mut self, range: std::ops::Range<u32>) {
        for namespace in &mut self.namespaces {
            let ids: Vec<String> = range.clone().map(|number| format!("r{number:03}")).collect();
            ids.iter().for_each(|id| drop(namespace.records.remove(id).unwrap()));
            let ids = ids.iter().map(|id| RecordId::new(id).unwrap()).collect();
            let index = self.indexes.get(namespace.index).unwrap();
            index.engine.write(&namespace.name, Change::DeleteIds(ids)).unwrap();
        }
    }

    fn settle(&self) {
        for index in self.indexes.all() {
            assert!(index.engine.settle(Duration::from_secs(60), &mut |_| ()).unwrap());
        }
    }

    /// Asks questions, a sample of which is kept beside the graphs.
    fn ask(&self) {
        let dense = self.indexes.get("dense").unwrap();
        for number in 0..40 {
            let vector = record(&dense, "many", &format!("question-{number}"), "").vector;
            let reach = Reach::Tenant("many".into());
            dense.engine.query_vector(VectorQuery::dense(vector.as_slice().to_vec(), reach, 3)).unwrap();
        }
    }

    /// Changes the registry.
    fn tag(&self) {
        let tag = |description: &mut pinyon_core::IndexDescription| {
            description.tags.insert("k".into(), "v".into());
            Ok(())
        };
        self.indexes.change("dense", tag).unwrap();
    }

    /// All that there is now, with its shards; every shard has something.
    fn finish(mut self) -> Vec<Namespace> {
        for name in INDEXES {
            let placed = self.indexes.get(name).unwrap().engine.tenants();
            let here = self.namespaces.iter_mut().filter(|one| one.index == name);
            for namespace in here {
                let place = placed.iter().find(|(tenant, _)| tenant.as_str() == namespace.name);
                namespace.shard = place.unwrap().1.shard.get();
            }
            let of = |shard| self.namespaces.iter().any(|one| one.index == name && one.shard == shard);
            assert!((0..SHARDS).all(of), "{name}: a shard has nothing");
        }
        self.namespaces
    }
}
