//! Changes of several things at once, against an oracle: random ones, in every kind of store, of which some fail before they are written
//! and some after they are durable.

use super::{
    routing_table::lock,
    store::{CatalogStore, Change, Entry},
    *,
};
use pinyon_types::{Epoch, NamespaceId, SeededRng, ShardId, TenantId};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const TENANTS: u64 = 12;
const SHARDS: u64 = 3;

/// When the next commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Before,
    After,
}

/// A store whose next commit fails: nobody is told whether it was made.
#[derive(Debug)]
struct Doubtful {
    inner: Box<dyn CatalogStore>,
    failing: Failing,
}

impl CatalogStore for Doubtful {
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError> {
        self.inner.load_all()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError> {
        if self.failing == Failing::After {
            self.inner.commit(changes)?;
        }
        Err(CatalogError::Store { path: "store".into(), problem: "the disk gave no answer".into() })
    }
}

/// What a table holds.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    epoch: u64,
    next_number: u64,
    tenants: BTreeMap<TenantId, Assignment>,
    declared: BTreeMap<TenantId, Vec<String>>,
    jobs: BTreeMap<JobId, Job>,
    copies: BTreeMap<(ShardId, NamespaceId), CopyToDrop>,
}

impl Model {
    fn of(table: &RoutingTable) -> Self {
        let routes = table.routes();
        let fields = |(name, fields): (&TenantId, &[String])| (name.clone(), fields.to_vec());
        Self {
            epoch: table.epoch().get(),
            next_number: lock(&table.writer).stored.next_namespace,
            tenants: routes.iter().map(|(tenant, one)| (tenant.clone(), *one)).collect(),
            declared: routes.all_declared().map(fields).collect(),
            jobs: routes.jobs().iter().map(|(id, job)| (id, job.clone())).collect(),
            copies: routes
                .copies_to_drop()
                .iter()
                .map(|(on, number, copy)| ((on, number), copy.clone()))
                .collect(),
        }
    }

    fn fresh_number(&mut self) -> NamespaceId {
        self.next_number += 1;
        NamespaceId::new(self.next_number - 1)
    }

    /// Makes a change; whether it changes anything.
    fn change(&mut self, asked: &Asked) -> bool {
        let before = self.clone();
        self.epoch += 1;
        let epoch = Epoch::new(self.epoch);
        match asked {
            Asked::Assign(request) => self.assign(request, epoch),
            Asked::Declare(name, Some(fields)) => drop(self.declared.insert(name.clone(), fields.clone())),
            Asked::Declare(name, None) => drop(self.declared.remove(name)),
            Asked::Plan(tenant, to) if self.tenants.contains_key(tenant) => {
                let number = self.fresh_number();
                self.copies.insert((*to, number), copy(tenant, Leftover::Incoming, epoch));
                self.jobs.insert(JobId::new(self.epoch), job(tenant, *to, number));
            }
            Asked::Switch(id) => self.switch(*id, epoch),
            Asked::Drop(shard, number) => drop(self.copies.remove(&(*shard, *number))),
            Asked::Plan(..) => {}
        }
        let declares = matches!(asked, Asked::Declare(..));
        self.epoch = before.epoch;
        let is_changed = declares || *self != before;
        self.epoch += u64::from(is_changed);
        is_changed
    }

    fn assign(&mut self, request: &AssignRequest, epoch: Epoch) {
        let AssignRequest { tenant, shard, pin } = request.clone();
        let old = self.tenants.get(&tenant).copied();
        if old.is_some_and(|old| pin == Pin::Placed || (old.shard, old.pin) == (shard, pin)) {
            return;
        }
        let namespace = old.map_or_else(|| self.fresh_number(), |old| old.namespace);
        let position_base = old.map_or(0, |old| old.position_base);
        self.tenants.insert(tenant, Assignment { namespace, shard, epoch, pin, position_base });
    }

    fn switch(&mut self, id: JobId, epoch: Epoch) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.is_ended) else { return };
        let (tenant, to, number) = planned(job);
        (job.is_ended, job.phase) = (true, "switched".into());
        let home = self.tenants.get_mut(&tenant).unwrap();
        self.copies.remove(&(to, number));
        self.copies.insert((home.shard, home.namespace), copy(&tenant, Leftover::Left, epoch));
        let position_base = home.position_base + 7;
        *home = Assignment { namespace: number, shard: to, epoch, pin: Pin::Explicit, position_base };
    }
}

/// What is asked of a table.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Assign(AssignRequest),
    Declare(TenantId, Option<Vec<String>>),
    /// Enters a job and a copy, if the tenant is known.
    Plan(TenantId, ShardId),
    /// Swaps the copies of a job that has not ended.
    Switch(JobId),
    Drop(ShardId, NamespaceId),
}

pub(super) fn tenant(number: u64) -> TenantId {
    TenantId::new(&format!("tenant {number}")).unwrap()
}

fn copy(tenant: &TenantId, leftover: Leftover, epoch: Epoch) -> CopyToDrop {
    CopyToDrop { tenant: tenant.as_str().into(), leftover, epoch: epoch.get(), since_us: 3, job: 0 }
}

fn job(tenant: &TenantId, to: ShardId, number: NamespaceId) -> Job {
    let payload = [u64::from(to.get()).to_le_bytes(), number.get().to_le_bytes()].concat();
    Job { kind: "move".into(), version: 1, tenant: tenant.as_str().into(), payload, ..Job::default() }
}

/// What a job was planned with.
fn planned(job: &Job) -> (TenantId, ShardId, NamespaceId) {
    let number = |at: usize| u64::from_le_bytes(job.payload[at..at + 8].try_into().unwrap());
    (TenantId::new(&job.tenant).unwrap(), ShardId::new(number(0) as u32), NamespaceId::new(number(8)))
}

pub(super) fn draft(draft: &mut Draft, asked: &Asked) -> Result<(), &'static str> {
    match asked {
        Asked::Plan(tenant, to) => {
            draft.view().get(tenant.as_str()).ok_or("no such tenant")?;
            let number = draft.fresh_number();
            draft.put_copy(*to, number, copy(tenant, Leftover::Incoming, draft.epoch())).unwrap();
            draft.put_job(draft.job_id(), job(tenant, *to, number)).unwrap();
        }
        Asked::Switch(id) => {
            let job = draft.view().jobs().get(*id).ok_or("no such job")?.clone();
            if job.is_ended {
                return Err("it has ended");
            }
            let (tenant, to, number) = planned(&job);
            let home = draft.view().get(tenant.as_str()).unwrap();
            draft.remove_copy(to, number);
            let left = copy(&tenant, Leftover::Left, draft.epoch());
            draft.put_copy(home.shard, home.namespace, left).unwrap();
            draft.put_job(*id, Job { is_ended: true, phase: "switched".into(), ..job }).unwrap();
            let (pin, position_base) = (Pin::Explicit, home.position_base + 7);
            let epoch = draft.epoch();
            draft.assign(tenant, Assignment { namespace: number, shard: to, epoch, pin, position_base });
        }
        Asked::Drop(shard, number) => draft.remove_copy(*shard, *number),
        Asked::Assign(_) | Asked::Declare(..) => unreachable!("these have functions of their own"),
    }
    Ok(())
}

/// Whether the table says that it did what was asked, or that it refused it; else nobody knows.
fn ask(table: &RoutingTable, asked: &Asked) -> Result<(), CatalogError> {
    match asked {
        Asked::Assign(request) => table.assign(vec![request.clone()]).map(drop),
        Asked::Declare(name, fields) => table.declare(name, fields.clone(), 5),
        _ => match table.change(|one| draft(one, asked)) {
            Ok(()) | Err(NotCommitted::Refused(_)) => Ok(()),
            Err(NotCommitted::Unknown(error)) => Err(error),
            Err(NotCommitted::Unavailable(error)) => panic!("{error}"),
        },
    }
}

fn any(rng: &mut SeededRng, model: &Model) -> Asked {
    let one = tenant(rng.below(TENANTS));
    let shard = ShardId::new(rng.below(SHARDS) as u32);
    let some_job = model.jobs.keys().nth(rng.below(1 + model.jobs.len() as u64) as usize);
    match rng.below(7) {
        0 => Asked::Assign(AssignRequest { tenant: one, shard, pin: Pin::Placed }),
        1 => Asked::Assign(AssignRequest { tenant: one, shard, pin: Pin::Explicit }),
        2 => Asked::Declare(one, (rng.below(2) == 0).then(|| vec![format!("field {}", rng.below(3))])),
        3 | 4 => Asked::Plan(one, shard),
        5 => Asked::Switch(some_job.copied().unwrap_or(JobId::new(u64::MAX))),
        _ => match model.copies.keys().nth(rng.below(1 + model.copies.len() as u64) as usize) {
            Some((shard, number)) => Asked::Drop(*shard, *number),
            None => Asked::Drop(shard, NamespaceId::new(u64::MAX)),
        },
    }
}

pub(super) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinyon-changes-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Tries again while the store is locked: children of other tests may hold the lock for a moment, as they close what they inherited
/// when they begin.
fn once_unlocked<T>(mut open: impl FnMut() -> Result<T, CatalogError>) -> T {
    let is_locked = |opened: &Result<_, CatalogError>| {
        opened.as_ref().is_err_and(|error| error.to_string().contains("lock"))
    };
    let mut tries = std::iter::repeat_with(&mut open).take(100_000);
    tries.find(|opened| !is_locked(opened)).unwrap().unwrap()
}

fn open(dir: &Path, kind: CatalogKind) -> RoutingTable {
    let table = once_unlocked(|| RoutingTable::open(dir, kind));
    // Folds come often.
    lock(&table.writer).fold_bytes_min = 400;
    table
}

/// A table and what it must hold.
struct Held {
    dir: PathBuf,
    kind: CatalogKind,
    /// Nothing only while it is opened again.
    table: Option<RoutingTable>,
    model: Model,
    rng: SeededRng,
    switched: usize,
    failed: [usize; 2],
}

impl Held {
    fn table(&self) -> &RoutingTable {
        self.table.as_ref().unwrap()
    }

    fn open_again(&mut self) {
        self.table = None;
        self.table = Some(open(&self.dir, self.kind));
    }

    fn step(&mut self, what: &str) {
        let asked = any(&mut self.rng, &self.model);
        let mut after = self.model.clone();
        let changes = after.change(&asked);
        if changes && self.rng.below(8) == 0 {
            self.fail(&asked, after, what);
        } else {
            ask(self.table(), &asked).unwrap();
            self.model = after;
        }
        self.switched += usize::from(changes && matches!(asked, Asked::Switch(_)));
        assert_eq!(Model::of(self.table()), self.model, "{what}: {asked:?}");
        match self.rng.below(12) {
            0 => self.table().rest(),
            1 => self.open_again(),
            _ => {}
        }
        assert_eq!(Model::of(self.table()), self.model, "{what}: rested or opened again");
    }

    /// Has a change fail, and goes on from what the store holds.
    fn fail(&mut self, asked: &Asked, after: Model, what: &str) {
        let failing = if self.rng.below(2) == 0 { Failing::Before } else { Failing::After };
        let table = self.table();
        lock(&table.writer).store.open_and_wrap(|inner| Box::new(Doubtful { inner, failing }));
        ask(table, asked).unwrap_err();
        assert_eq!(Model::of(table), self.model, "{what}: readers see nothing of it");
        assert!(!table.takes_changes());
        let refused = table.change(|one| one.put_job(one.job_id(), Job::default()));
        assert!(matches!(refused, Err(NotCommitted::Unavailable(_))), "{what}");
        match self.rng.below(2) {
            0 => once_unlocked(|| self.table().read_again()),
            _ => self.open_again(),
        }
        if failing == Failing::After {
            self.model = after;
        }
        self.failed[failing as usize] += 1;
    }
}

#[test]
fn whatever_fails_the_table_is_in_the_state_before_the_change_or_after_it() {
    let seeds = |kind| if kind == CatalogKind::File { 40 } else { 6 };
    let kinds = [CatalogKind::File, CatalogKind::Redb, CatalogKind::Sled];
    for (kind, seed) in kinds.into_iter().flat_map(|kind| (0..seeds(kind)).map(move |seed| (kind, seed))) {
        let dir = scratch(&format!("model-{}-{seed}", kind.name()));
        let (table, rng) = (Some(open(&dir, kind)), SeededRng::new(seed));
        let model = Model { next_number: 1, ..Model::default() };
        let mut held = Held { dir, kind, table, model, rng, switched: 0, failed: [0, 0] };
        for step in 0..150 {
            held.step(&format!("{kind:?}, seed {seed}, step {step}"));
        }
        let Held { switched, failed, .. } = held;
        assert!(switched > 2 && failed.iter().all(|count| *count > 0), "{switched} {failed:?}");
        assert!(lock(&held.table().writer).stored.generation > 0, "nothing was folded");
        drop(held.table);
        std::fs::remove_dir_all(&held.dir).unwrap();
    }
}
