//! A life of an engine on a fault disk: several tenants written to, assigned, declared, dropped and erased, background steps in between,
//! and restarts, all from a seed and in one thread.

use super::oracle::{Asked, History, Outcome};
use crate::{
    CatalogKind, Change, Engine, EngineError, EngineSettings, Environment, ErrorCode, Prices, ShardOptions,
};
use pinyon_storage::io::FaultDisk;
use pinyon_types::{
    Dim, FieldTest, Filter, Metadata, MetadataValue, Record, RecordId, SeededRng, ShardId, Vector,
};
use std::{path::Path, sync::Arc, time::Duration};

pub(super) const DIR: &str = "/data";
pub(super) const SHARDS: u32 = 3;
pub(super) const TENANTS: [&str; 5] = ["ash", "birch", "cedar", "elm", "fir"];
const DIM: u32 = 4;
const IDS: u64 = 14;
/// Steps that background work may take after one change.
const STEPS_MAX: u64 = 6;

/// Small enough that a short life seals, merges, codes and builds graphs.
pub(super) fn settings(environment: &Environment) -> EngineSettings {
    let shard_options = ShardOptions {
        seal_bytes: 1_500,
        quiet_seal_bytes: 600,
        backlog_bytes_max: 1 << 20,
        log_preallocate_bytes: 2_048,
        merge_fan_in: 2,
        coded_rows_min: 6,
        coded_whole_rows_min: 6,
        graph_rows_min: 8,
        prices: Prices::Fixed(100),
        ..ShardOptions::server()
    };
    let settings = EngineSettings::offline(SHARDS, DIM).unwrap();
    EngineSettings { catalog: CatalogKind::File, shard_options, environment: environment.clone(), ..settings }
}

pub(super) fn environment(disk: &FaultDisk) -> Environment {
    Environment::stepped(Arc::new(disk.clone()))
}

pub(super) fn open(disk: &FaultDisk) -> Result<Engine, EngineError> {
    Engine::open(Path::new(DIR), settings(&environment(disk)))
}

/// Two lives of one seed do the same.
pub(super) struct Life {
    disk: FaultDisk,
    environment: Environment,
    rng: SeededRng,
    engine: Option<Engine>,
    pub(super) history: History,
    /// What the engine did not do, in its words.
    pub(super) errors: Vec<EngineError>,
    /// Pieces of background work that were done.
    pub(super) steps: usize,
}

impl Life {
    /// Lives through so many changes.
    pub(super) fn of(disk: &FaultDisk, seed: u64, changes: usize) -> Self {
        let mut life = Self {
            disk: disk.clone(),
            environment: environment(disk),
            rng: SeededRng::new(seed),
            engine: None,
            history: History::default(),
            errors: Vec::new(),
            steps: 0,
        };
        for _ in 0..changes {
            life.change();
            life.go_on();
        }
        // Not closed: whoever looks finds it as it was left.
        life.engine = None;
        life
    }

    /// The engine, which is opened if need be.
    fn engine(&mut self) -> Option<Engine> {
        if self.engine.is_none() {
            match Engine::open(Path::new(DIR), settings(&self.environment)) {
                Ok(engine) => self.engine = Some(engine),
                Err(error) => self.errors.push(error),
            }
        }
        self.engine.clone()
    }

    fn change(&mut self) {
        let tenant = TENANTS[self.rng.below(TENANTS.len() as u64) as usize];
        let asked = self.random();
        if let Some(engine) = self.engine() {
            self.errors.extend(attempt(&engine, &self.disk, &mut self.history, tenant, &asked).err());
        }
    }

    fn random(&mut self) -> Asked {
        match self.rng.below(28) {
            0..=12 => {
                let count = 1 + self.rng.below(5);
                Asked::Write(Change::Upsert((0..count).map(|_| record(&mut self.rng)).collect()))
            }
            13..=14 => Asked::Write(Change::DeleteIds((0..3).map(|_| id(&mut self.rng)).collect())),
            15 => {
                let least = self.rng.below(5) as f64;
                Asked::Write(Change::DeleteMatching(Filter::field("size", FieldTest::Gte(least))))
            }
            16 => Asked::Write(Change::DeleteAll),
            17..=19 => Asked::Assign(self.rng.below(u64::from(SHARDS)) as u32),
            20..=21 => Asked::Declare(vec!["size".into(), format!("field-{}", self.rng.below(3))]),
            22 => Asked::Drop,
            23 => Asked::Erase,
            _ => Asked::Move(self.rng.below(u64::from(SHARDS)) as u32),
        }
    }

    /// What comes between two changes: background work, time, a restart.
    fn go_on(&mut self) {
        let (moment, steps) = (self.rng.below(12), self.rng.below(STEPS_MAX));
        let Some(engine) = self.engine.clone() else { return };
        match moment {
            0..=4 => self.steps += (0..steps).take_while(|_| engine.step()).count(),
            5..=6 => self.environment.advance(Duration::from_secs(3)),
            7 => self.errors.extend(engine.settle(Duration::from_secs(5), &mut |_| ()).err()),
            8 => {
                self.errors.extend(engine.close().err());
                self.engine = None;
            }
            9 => self.engine = None,
            _ => {}
        }
    }
}

fn id(rng: &mut SeededRng) -> RecordId {
    RecordId::new(&format!("r-{:02}", rng.below(IDS))).unwrap()
}

pub(super) fn record(rng: &mut SeededRng) -> Record {
    let components: Vec<f32> = (0..DIM).map(|_| rng.below(5) as f32 + 1.0).collect();
    let size = ("size".to_owned(), MetadataValue::Number(rng.below(6) as f64));
    Record {
        id: id(rng),
        vector: Vector::new(components, Dim::new(DIM).unwrap()).unwrap(),
        sparse: None,
        metadata: Metadata::new([size].into_iter().collect()).unwrap(),
    }
}

/// Asks for something and notes what came of it.
pub(super) fn attempt(
    engine: &Engine,
    disk: &FaultDisk,
    history: &mut History,
    tenant: &str,
    asked: &Asked,
) -> Result<(), EngineError> {
    let (takes, began) = (takes_changes(engine, tenant, asked), disk.op_count());
    let done = ask(engine, tenant, asked);
    let outcome = done.as_ref().map_or_else(|error| outcome(error, asked, takes), |()| Outcome::Done);
    history.note(tenant, asked, [began, disk.op_count()], outcome);
    done
}

fn ask(engine: &Engine, tenant: &str, asked: &Asked) -> Result<(), EngineError> {
    match asked {
        Asked::Write(change) => engine.write(tenant, change.clone()).map(drop),
        Asked::Assign(shard) => engine.assign(tenant, *shard).map(drop),
        Asked::Move(to) => engine.move_tenant(tenant, *to, "").map(drop),
        Asked::Declare(fields) => engine.declare_namespace(tenant, fields.clone()).map(drop),
        Asked::Drop => engine.drop_namespace(tenant),
        Asked::Erase => engine.erase(tenant).map(drop),
    }
}

/// Whether what is asked for may change anything: a log or a catalog that failed before takes nothing.
fn takes_changes(engine: &Engine, tenant: &str, asked: &Asked) -> bool {
    let home = engine.tenant(tenant).and_then(|tenant| tenant.shard());
    let local = |shard: ShardId| engine.inner.fleet.member(shard).ok()?.local();
    let is_poisoned = |shard: ShardId| local(shard).is_some_and(|shard| shard.poisoned().is_some());
    match asked {
        Asked::Write(_) => !home.is_ok_and(is_poisoned),
        Asked::Assign(_) | Asked::Move(_) | Asked::Declare(_) => engine.inner.routing.takes_changes(),
        Asked::Drop | Asked::Erase => true,
    }
}

/// What became of something that was answered with an error.
fn outcome(error: &EngineError, asked: &Asked, takes: bool) -> Outcome {
    use ErrorCode::{AlreadyExists, FailedPrecondition, NotFound, Overloaded, Quarantined, StorageFull};
    let is_one_step = !matches!(asked, Asked::Drop | Asked::Erase);
    match error.code {
        NotFound | AlreadyExists => Outcome::Refused,
        FailedPrecondition | Overloaded | Quarantined | StorageFull if is_one_step => Outcome::Refused,
        _ if !takes => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}
