//! What searches cost, in counts, held against `golden/work_*.json`: every way to search, on fixed rows and fixed queries. The
//! graph is built on one thread, so it is the same one every time, and codes agree on every instruction set: a count that
//! differs is a change of the search. `PINYON_TEST_BLESS=1 cargo test -p pinyon-tests work` writes a wanted one down.

use crate::server::hold_against_golden;
use pinyon_shard::{Change, Namespace, Prices, Query, Scope, Shard, ShardOptions, ShardShape, Step, Work};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Dim, Effort, Epoch, FieldTest, Filter, Metadata, MetadataValue, Metric, NamespaceId, Record, RecordId,
    SeededRng, ShardId, SparseVector, TenantId, TopK, Vector,
};
use serde_json::{Map, Value, json};
use std::{path::Path, sync::Arc};

const DIM: usize = 64;
const QUERIES: usize = 20;
const CENTRES: usize = 60;
/// Tenants by the way in which they are searched.
const TENANTS: [(&str, usize); 4] = [("vectors", 200), ("bytes", 2_000), ("bits", 6_000), ("graph", 9_000)];
const GRAPH: usize = 3;
const GRAPH_ROWS_MIN: u32 = 8_000;
/// Makes a walk the cheaper way for the rows of one tenant, and not for those of the others in the graph of all.
const GRAPH_ROWS_PER_EFFORT: usize = 208;
/// Links of a row in the graph, of four bytes each.
const LINKS: u64 = 32;
const SPARSE_ROWS: usize = 4_000;
/// Words of a sparse row.
const SPARSE_WORDS: usize = 30;

/// A shard in memory, and where its rows come from.
struct Fixture {
    shard: Shard,
    rng: SeededRng,
    centres: Vec<f32>,
}

impl Fixture {
    fn new(shape: ShardShape) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let options = ShardOptions {
            graph_rows_min: GRAPH_ROWS_MIN,
            prices: Prices::Fixed(GRAPH_ROWS_PER_EFFORT),
            ..ShardOptions::server()
        };
        let shard = Shard::open(&io, Path::new("/work"), shape, options).unwrap();
        let mut rng = SeededRng::new(17);
        let centres = (0..CENTRES * DIM).map(|_| gauss(&mut rng)).collect();
        Self { shard, rng, centres }
    }

    fn vector(&mut self) -> Vector {
        let centre = self.rng.below(CENTRES as u64) as usize * DIM;
        let components: Vec<f32> =
            (0..DIM).map(|at| self.centres[centre + at] + 0.8 * gauss(&mut self.rng)).collect();
        Vector::new(components, Dim::new(DIM as u32).unwrap()).unwrap()
    }

    /// Words: the n-th most frequent has a share of about 1 / n.
    fn sparse(&mut self, words: usize) -> SparseVector {
        let mut found = std::collections::BTreeMap::new();
        while found.len() < words {
            let word = 2_000_f64.powf(self.rng.unit()) as u32;
            found.insert(word, self.rng.unit() as f32 + 0.05);
        }
        let (indices, values) = found.into_iter().unzip();
        SparseVector::new(indices, values).unwrap()
    }

    fn write(&mut self, tenant: usize, count: usize, first: usize) {
        let is_sparse = self.shard.shape().dim.is_none();
        for from in (first..first + count).step_by(1000) {
            let record = |number| {
                let none = || Vector::new(Vec::new(), Dim::NONE).unwrap();
                let (vector, sparse) =
                    if is_sparse { (none(), Some(self.sparse(SPARSE_WORDS))) } else { (self.vector(), None) };
                let fields = [("num".to_owned(), MetadataValue::Number(self.rng.unit()))];
                let metadata = Metadata::new(fields.into_iter().collect()).unwrap();
                Record { id: id(number), vector, sparse, metadata }
            };
            let records = (from..(first + count).min(from + 1000)).map(record).collect();
            self.shard.write(&namespace(tenant), Change::Upsert(records)).unwrap();
        }
    }

    /// Seals, and makes codes and graphs on one thread.
    fn settle(&self) {
        self.shard.seal().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        while self.shard.derive(&pool, &|| false) != Step::Idle {}
    }

    /// What a number of fixed queries cost.
    fn cost(&mut self, scope: Scope<'_>, filter: Option<&Filter>) -> Value {
        self.rng = SeededRng::new(23);
        let mut work = Work::default();
        for _ in 0..QUERIES {
            let is_sparse = self.shard.shape().dim.is_none();
            let sparse = is_sparse.then(|| self.sparse(5));
            let vector = (!is_sparse).then(|| self.vector());
            let (top_k, required) = (TopK::new(10).unwrap(), &[][..]);
            let (expected, shared, effort, explain) = (10, None, Effort::NORMAL, None);
            let query = Query {
                vector: vector.as_ref(),
                sparse: sparse.as_ref(),
                required,
                top_k,
                expected,
                shared,
                filter,
                effort,
                explain,
            };
            work += self.shard.search(scope, query, &|| false).unwrap().work;
        }
        let row_bytes = if self.shard.shape().dim.is_none() { 8 * SPARSE_WORDS } else { 4 * DIM };
        counts(work, row_bytes as u64)
    }
}

fn gauss(rng: &mut SeededRng) -> f32 {
    ((0..6).map(|_| rng.unit()).sum::<f64>() - 3.0) as f32
}

fn id(number: usize) -> RecordId {
    RecordId::new(&format!("r{number}")).unwrap()
}

fn namespace(number: usize) -> Namespace {
    let name = TenantId::new(&format!("tenant-{number}")).unwrap();
    Namespace::routed(NamespaceId::new(number as u64), name, Epoch::new(number as u64 + 1))
}

/// Every count that is not zero, and the bytes that they come to.
fn counts(work: Work, row_bytes: u64) -> Value {
    let Work { distances, code_distances, sign_distances, hops, rows_filtered, postings, graph_walks } = work;
    let dim = DIM as u64;
    let bytes = row_bytes * distances
        + dim * code_distances
        + dim / 8 * sign_distances
        + 4 * LINKS * hops
        + 8 * postings;
    let all = [
        ("distances", distances),
        ("code_distances", code_distances),
        ("sign_distances", sign_distances),
        ("hops", hops),
        ("rows_filtered", rows_filtered),
        ("postings", postings),
        ("graph_walks", graph_walks),
        ("bytes", bytes),
    ];
    let some = all.into_iter().filter(|(_, count)| *count > 0);
    Value::Object(some.map(|(name, count)| (name.to_owned(), json!(count))).collect())
}

fn num_below(bound: f64) -> Filter {
    Filter::field("num", FieldTest::Lt(bound))
}

#[test]
fn work_of_dense_searches_is_what_it_was() {
    let shape =
        ShardShape { shard: ShardId::new(0), dim: Dim::new(DIM as u32).unwrap(), metric: Metric::Cosine };
    let mut fixture = Fixture::new(shape);
    for (tenant, (_, rows)) in TENANTS.into_iter().enumerate() {
        fixture.write(tenant, rows, 0);
    }
    let mut found = Map::new();
    found.insert("whole shard, not sealed".into(), fixture.cost(Scope::All, None));
    fixture.settle();
    for (tenant, (name, _)) in TENANTS.into_iter().enumerate() {
        let scope = [namespace(tenant)];
        found.insert(name.into(), fixture.cost(Scope::Namespaces(&scope), None));
        for bound in [0.5, 0.1, 0.002] {
            let cost = fixture.cost(Scope::Namespaces(&scope), Some(&num_below(bound)));
            found.insert(format!("{name}, num<{bound}"), cost);
        }
    }
    found.insert("whole shard".into(), fixture.cost(Scope::All, None));
    found.insert("whole shard, num<0.1".into(), fixture.cost(Scope::All, Some(&num_below(0.1))));
    after_changes(&mut fixture, &mut found);
    hold_against_golden("work_dense.json", &Value::Object(found));
}

/// A tenth of the graph's tenant is deleted, and some rows are new.
fn after_changes(fixture: &mut Fixture, found: &mut Map<String, Value>) {
    let scope = [namespace(GRAPH)];
    let gone = (0..TENANTS[GRAPH].1).step_by(10).map(id).collect();
    fixture.shard.write(&scope[0], Change::DeleteIds(gone)).unwrap();
    found.insert("graph, a tenth dead".into(), fixture.cost(Scope::Namespaces(&scope), None));
    fixture.rng = SeededRng::new(29);
    fixture.write(GRAPH, 300, TENANTS[GRAPH].1);
    found.insert("graph, a tenth dead, 300 new".into(), fixture.cost(Scope::Namespaces(&scope), None));
}

#[test]
fn work_of_sparse_searches_is_what_it_was() {
    let shape = ShardShape { shard: ShardId::new(0), dim: Dim::NONE, metric: Metric::DotProduct };
    let mut fixture = Fixture::new(shape);
    fixture.write(0, SPARSE_ROWS, 0);
    let mut found = Map::new();
    found.insert("not sealed".into(), fixture.cost(Scope::All, None));
    fixture.settle();
    for (name, filter) in
        [("sealed", None), ("num<0.5", Some(num_below(0.5))), ("num<0.01", Some(num_below(0.01)))]
    {
        found.insert(name.into(), fixture.cost(Scope::All, filter.as_ref()));
    }
    hold_against_golden("work_sparse.json", &Value::Object(found));
}
