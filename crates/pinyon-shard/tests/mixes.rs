//! Recall on the mixes of `pinyon-index/tests/mix` through a whole shard: by each tier, filtered and not, across namespaces, after
//! overwrites, deletions, a merge and a start.

#[path = "../../pinyon-index/tests/mix/mod.rs"]
mod mix;

use mix::{Mix, first_seed};
use pinyon_shard::{Change, Namespace, Prices, Query, Scope, Shard, ShardOptions, ShardShape, Step};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Dim, Epoch, FieldTest, Filter, Metadata, MetadataValue, NamespaceId, Record, RecordId, ShardId, TenantId,
    TopK, Vector,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Mixes that are tried: what takes about half a minute.
const MIXES: u64 = 4;
const COMPONENTS_MAX: usize = 600_000;
/// Results that may be missed of a hundred, beyond what luck explains.
const MISSED_MAX: f64 = 0.01;
/// Results of a query stand or fall together.
const DESIGN_EFFECT: f64 = 9.0;
const K: usize = 10;

/// A shard and what it must hold: vectors by number, of the large namespace and of a small one.
struct World {
    mix: Mix,
    io: SharedIo,
    shard: Shard,
    large: BTreeMap<usize, Vec<f32>>,
    small: BTreeMap<usize, Vec<f32>>,
}

fn namespace(number: u64) -> Namespace {
    let name = TenantId::new(&format!("tenant-{number}")).expect("a name");
    Namespace::routed(NamespaceId::new(number), name, Epoch::ZERO)
}

fn id(number: usize) -> RecordId {
    RecordId::new(&format!("r{number:06}")).expect("an id")
}

/// Uniform in 0..1000, whatever the group.
const fn share_of(number: usize) -> usize {
    number * 7_919 % 1_000
}

impl World {
    fn open(io: &SharedIo, mix: &Mix) -> Shard {
        let dim = Dim::new(u32::try_from(mix.dim()).expect("small")).expect("a dimension");
        let shape = ShardShape { shard: ShardId::new(0), dim, metric: mix.metric };
        // Every second mix is answered by a graph wherever there is one that is good enough.
        let graph_rows_min = if mix.seed.is_multiple_of(2) { u32::MAX } else { 500 };
        let options =
            ShardOptions { graph_rows_min, prices: Prices::Fixed(0), ..ShardOptions::sealing_at(1 << 30) };
        Shard::open(io, Path::new("/mixes"), shape, options).expect("it opens")
    }

    fn new(mix: Mix) -> Self {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let shard = Self::open(&io, &mix);
        let vector = |row: usize| mix.block().vector(row).to_vec();
        let (large, small) = (
            (0..mix.rows()).map(|row| (row, vector(row))),
            (0..mix.rows() / 10).map(|row| (row, vector(row))),
        );
        let world = Self { large: large.collect(), small: small.collect(), io, shard, mix };
        world.write(1, world.large.keys().copied());
        world.write(2, world.small.keys().copied());
        world
    }

    fn write(&self, name: u64, numbers: impl Iterator<Item = usize>) {
        let dim = self.shard.shape().dim;
        let of = if name == 1 { &self.large } else { &self.small };
        let record = |number: usize| {
            let fields = [("share", share_of(number)), ("group", number % self.mix.groups())];
            let fields = fields.map(|(key, value)| (key.to_owned(), MetadataValue::Number(value as f64)));
            Record {
                id: id(number),
                vector: Vector::new(of[&number].clone(), dim).expect("a vector"),
                sparse: None,
                metadata: Metadata::new(fields.into_iter().collect()).expect("metadata"),
            }
        };
        let records: Vec<Record> = numbers.map(record).collect();
        for some in records.chunks(500) {
            self.shard.write(&namespace(name), Change::Upsert(some.to_vec())).expect("it is written");
        }
    }

    /// Three of ten rows get another's vector, and the first of every group go, those first that stand for others.
    fn change(&mut self) {
        let rows = self.mix.rows();
        let changed: Vec<usize> = (0..rows).filter(|row| row % 10 < 3).collect();
        for row in &changed {
            self.large.insert(*row, self.mix.block().vector((row * 7 + 1) % rows).to_vec());
        }
        self.write(1, changed.into_iter());
        let gone: Vec<usize> = (0..rows / 20).collect();
        gone.iter().for_each(|row| drop(self.large.remove(row)));
        for some in gone.chunks(500) {
            let ids = some.iter().map(|row| id(*row)).collect();
            self.shard.write(&namespace(1), Change::DeleteIds(ids)).expect("they go");
        }
    }

    fn derive(&self) {
        let threads = 1 + self.mix.rows() % 2;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        while self.shard.derive(&pool, &|| false) != Step::Idle {}
    }

    fn filters() -> Vec<(&'static str, Option<Filter>)> {
        let below = |bound: f64| Some(Filter::field("share", FieldTest::Lt(bound)));
        let group = Some(Filter::field("group", FieldTest::Lt(1.0)));
        vec![
            ("none", None),
            ("50 %", below(500.0)),
            ("10 %", below(100.0)),
            ("1 %", below(10.0)),
            ("0.1 %", below(1.0)),
            ("a group", group),
        ]
    }

    fn passes(&self, filter: &str, number: usize) -> bool {
        match filter {
            "none" => true,
            "50 %" => share_of(number) < 500,
            "10 %" => share_of(number) < 100,
            "1 %" => share_of(number) < 10,
            "0.1 %" => share_of(number) < 1,
            _ => number % self.mix.groups() < 1,
        }
    }

    /// Results missed and wanted, by filter and class of question, in one namespace and in all.
    fn check(&self, when: &str) {
        let mut missed: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
        for question in self.mix.questions(6) {
            let distances = |of: &BTreeMap<usize, Vec<f32>>| -> Vec<(usize, f64)> {
                of.iter()
                    .map(|(number, vector)| (*number, self.mix.between(&question.vector, vector)))
                    .collect()
            };
            let (large, small) = (distances(&self.large), distances(&self.small));
            for (name, filter) in &Self::filters() {
                let passing = |some: &[(usize, f64)]| -> Vec<f64> {
                    some.iter()
                        .filter(|(number, _)| self.passes(name, *number))
                        .map(|(_, distance)| *distance)
                        .collect()
                };
                let one = self.missed(
                    &question.vector,
                    filter.as_ref(),
                    Scope::Namespaces(&[namespace(1)]),
                    passing(&large),
                );
                let both = [passing(&large), passing(&small)].concat();
                let all = self.missed(&question.vector, filter.as_ref(), Scope::All, both);
                for (key, found) in [((*name, question.class), one), ((*name, "in all namespaces"), all)] {
                    let sum = missed.entry(key).or_default();
                    (sum.0, sum.1) = (sum.0 + found.0, sum.1 + found.1);
                }
            }
        }
        for ((filter, class), (missed, wanted)) in missed {
            let expected = MISSED_MAX * wanted as f64;
            let most = DESIGN_EFFECT.sqrt().mul_add(3.0 * expected.sqrt(), expected);
            assert!(
                missed as f64 <= most,
                "{}: {when}, filter {filter}, {class}: {missed} of {wanted} missed",
                self.mix
            );
        }
    }

    fn missed(
        &self,
        vector: &[f32],
        filter: Option<&Filter>,
        scope: Scope<'_>,
        mut exact: Vec<f64>,
    ) -> (usize, usize) {
        exact.sort_unstable_by(f64::total_cmp);
        exact.truncate(K);
        let query = Vector::new(vector.to_vec(), self.shard.shape().dim).expect("a vector");
        let query = Query { filter, ..Query::dense(&query, TopK::new(K as u32).expect("ten")) };
        let found = self.shard.search(scope, query, &|| false).expect("an answer").hits;
        assert_eq!(found.len(), exact.len(), "{}: QRY-3", self.mix);
        let distances = found.iter().map(|hit| self.mix.between(vector, hit.components()));
        (self.mix.missed(vector, &exact, distances), exact.len())
    }
}

#[test]
fn a_shard_finds_what_there_is_in_every_mix() {
    let first = first_seed();
    for seed in first..first + MIXES {
        let mut world = World::new(Mix::of(seed, COMPONENTS_MAX));
        world.shard.seal().expect("it is sealed");
        world.derive();
        world.check("sealed");
        world.change();
        world.check("changed");
        world.shard.compact().expect("it is merged");
        world.derive();
        world.check("merged");
        world.shard.close().expect("it closes");
        world.shard = World::open(&world.io, &world.mix);
        world.derive();
        world.check("started again");
    }
}
