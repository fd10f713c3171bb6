//! What an engine may hold by what it answered: of every tenant the states that are possible, one where every change had an answer.

use crate::{Change, Engine};
use pinyon_types::{Record, RecordId, ShardId};
use std::collections::BTreeMap;

/// What one tenant has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    pub(super) records: BTreeMap<RecordId, Record>,
    /// What filters may ask about, if the namespace was made explicitly.
    pub(super) fields: Option<Vec<String>>,
    /// Where somebody assigned it to; anywhere if nobody did.
    pub(super) assigned: Option<ShardId>,
}

/// Something that is asked for one tenant.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Write(Change),
    Assign(u32),
    /// Begins a move, which ends whenever steps are taken.
    Move(u32),
    Declare(Vec<String>),
    Drop,
    Erase,
}

impl State {
    /// The states that an operation goes through; it ends with the last one.
    pub(super) fn stages(&self, asked: &Asked) -> Vec<Self> {
        let empty = Self { records: BTreeMap::new(), ..self.clone() };
        match asked {
            Asked::Write(change) => vec![self.changed(change)],
            Asked::Assign(shard) => vec![Self { assigned: Some(ShardId::new(*shard)), ..self.clone() }],
            Asked::Move(_) => vec![Self { assigned: None, ..self.clone() }],
            Asked::Declare(fields) => vec![Self { fields: Some(fields.clone()), ..self.clone() }],
            Asked::Drop => vec![empty.clone(), Self { fields: None, ..empty }],
            Asked::Erase => vec![empty.clone(), Self { fields: None, ..empty }, Self::default()],
        }
    }

    fn changed(&self, change: &Change) -> Self {
        let mut state = self.clone();
        match change {
            Change::Upsert(records) => {
                state.records.extend(records.iter().map(|one| (one.id.clone(), one.clone())));
            }
            Change::DeleteIds(ids) => state.records.retain(|id, _| !ids.contains(id)),
            Change::DeleteMatching(filter) => {
                state.records.retain(|_, record| !filter.matches(&record.metadata));
            }
            Change::DeleteAll => state.records.clear(),
            other => unreachable!("the workload makes no {other:?}"),
        }
        state
    }

    /// What an engine has of a tenant. Where it lives counts only if somebody chose that.
    pub(super) fn of(engine: &Engine, tenant: &str, chosen: Option<ShardId>) -> Self {
        let view = engine.tenant(tenant).unwrap();
        let ids = view.list("", None, 100).unwrap().ids;
        let records = view.fetch(&ids).unwrap().into_iter().map(|one| (one.record.id.clone(), one.record));
        let home = engine.lookup(tenant).unwrap().map(|home| home.shard);
        let fields = engine.inner.routing.routes().declared(tenant).map(<[String]>::to_vec);
        Self { records: records.collect(), fields, assigned: chosen.and(home) }
    }
}

/// What was asked for a tenant, and when, counted in operations of the disk.
#[derive(Debug)]
struct Asking {
    tenant: String,
    began: usize,
    ended: usize,
    /// States that are possible while it is under way, those before it among them.
    during: Vec<State>,
    after: Vec<State>,
}

/// Whether something that was asked came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Refused,
    Unknown,
}

/// All that was asked, in order.
#[derive(Debug, Default)]
pub(super) struct History(Vec<Asking>);

impl History {
    /// Notes what was asked for between two moments of the disk, and what came of it.
    pub(super) fn note(&mut self, tenant: &str, asked: &Asked, [began, ended]: [usize; 2], outcome: Outcome) {
        let before = self.possible(tenant, usize::MAX);
        let stages: Vec<Vec<State>> = before.iter().map(|state| state.stages(asked)).collect();
        let ends = distinct(stages.iter().filter_map(|stages| stages.last().cloned()));
        let during = distinct(before.iter().cloned().chain(stages.into_iter().flatten()));
        let after = match outcome {
            Outcome::Done => ends,
            Outcome::Refused => before,
            Outcome::Unknown => during.clone(),
        };
        self.0.push(Asking { tenant: tenant.to_owned(), began, ended, during, after });
    }

    /// What a tenant may have when so many operations of the disk were done.
    pub(super) fn possible(&self, tenant: &str, at: usize) -> Vec<State> {
        let of_tenant = || self.0.iter().filter(|one| one.tenant == tenant);
        if let Some(under_way) = of_tenant().find(|one| one.began < at && at < one.ended) {
            return under_way.during.clone();
        }
        let last = of_tenant().rfind(|one| one.ended <= at);
        last.map_or_else(|| vec![State::default()], |one| one.after.clone())
    }
}

fn distinct(states: impl Iterator<Item = State>) -> Vec<State> {
    let mut seen = Vec::new();
    states.for_each(|state| {
        if !seen.contains(&state) {
            seen.push(state);
        }
    });
    seen
}
