//! Fan-out: one query to several shards at once, one deadline, one merge. A shard that is late or fails is missing from
//! the result and named in it (QRY-1).

mod rounds;
mod searchers;
#[cfg(test)]
mod tests;

use crate::{
    EngineError, ErrorCode,
    engine::{Fleet, Inner, ShardOutcome, ShardReport, Targets},
    load,
};
use pinyon_backend::{Hit, Query, SharedSearch, Until};
use pinyon_shard::Work;
use pinyon_types::{Distance, Effort, Filter, ShardId, SparseVector, TopK, Vector};
use rounds::Ask;
pub(crate) use searchers::Searchers;
use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

/// Which tenants a query looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// One tenant.
    Tenant(String),
    /// These tenants.
    Tenants(Vec<String>),
    /// Every tenant.
    All,
}

/// A query whose tenants are resolved.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) vector: Vector,
    pub(crate) sparse: Option<SparseVector>,
    pub(crate) required: Vec<u32>,
    pub(crate) top_k: TopK,
    pub(crate) filter: Option<Filter>,
    pub(crate) effort: Effort,
    pub(crate) explain: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) targets: Targets,
}

impl Plan {
    /// What the shards are asked first. Where tenants were chosen they may hold results in any proportion.
    fn asks(&self, fleet: &Fleet, shards: &[ShardId]) -> Vec<Ask> {
        let k = self.top_k.get();
        match shards {
            [_, _, ..] if self.targets.is_everything() => rounds::by_share_of_rows(fleet, &self.targets, k),
            _ => shards.iter().map(|shard| Ask { shard: *shard, expected: k }).collect(),
        }
    }
}

/// Several shards being asked.
struct Round {
    plan: Arc<Plan>,
    /// Of these shards' searches; one alone has nobody to share with.
    shared: Option<SharedSearch>,
}

/// What one shard contributed.
struct Part {
    report: ShardReport,
    hits: Vec<Hit>,
}

/// Hits of all shards in rank order, cut to the wanted number, and a report per shard.
pub(crate) struct Gathered {
    pub(crate) hits: Vec<(ShardId, Hit)>,
    pub(crate) reports: Vec<ShardReport>,
}

/// Asks every shard of the plan at the same time and waits until all have answered or the time is up.
///
/// # Errors
/// Every one of them is kept out.
pub(crate) fn run(inner: &Inner, plan: Plan) -> Result<Gathered, EngineError> {
    let shards = plan.targets.shards();
    // Some answer in part; with none left there is no answer.
    if let Some(first) = shards.first().filter(|_| shards.iter().all(|one| inner.backend(*one).is_err())) {
        inner.backend(*first)?;
    }
    let deadline_us = plan.timeout.map(|timeout| deadline(inner, timeout));
    let top_k = plan.top_k;
    let asks = plan.asks(&inner.fleet, &shards);
    let plan = Arc::new(plan);
    let parts = match asks.as_slice() {
        // One shard needs no other thread; its search looks at the deadline itself.
        [one] => vec![ask(&inner.fleet, &Round { plan, shared: None }, *one, deadline_us)],
        _ => ask_twice(inner, plan, &asks, deadline_us),
    };
    let silent = shards.iter().filter(|shard| parts.iter().all(|part| part.report.shard != **shard));
    let silent = silent.map(|shard| missing(inner, *shard, deadline_us)).collect();
    Ok(merge(parts, silent, top_k))
}

fn deadline(inner: &Inner, timeout: Duration) -> u64 {
    let timeout_us = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
    inner.clock.now_us().saturating_add(timeout_us)
}

/// Asks every shard, and once more those that hold more of the results than was expected.
fn ask_twice(inner: &Inner, plan: Arc<Plan>, asks: &[Ask], deadline_us: Option<u64>) -> Vec<Part> {
    let top_k = plan.top_k;
    let shared = SharedSearch::new(top_k);
    let first = Arc::new(Round { plan: Arc::clone(&plan), shared: Some(shared) });
    let mut parts = ask_all(inner, &first, asks, deadline_us);
    let again = rounds::underestimated(asks, &parts, top_k.get());
    if !again.is_empty() {
        // Records that are found again must not count twice.
        let shared = first.shared.as_ref().map(|shared| shared.again(top_k));
        let second = ask_all(inner, &Arc::new(Round { plan, shared }), &again, deadline_us);
        rounds::replace(&mut parts, &again, second);
    }
    parts
}

fn ask_all(inner: &Inner, round: &Arc<Round>, asks: &[Ask], deadline_us: Option<u64>) -> Vec<Part> {
    match deadline_us {
        None => ask_beside(inner, round, asks),
        Some(deadline_us) => ask_until(inner, round, asks, deadline_us),
    }
}

/// Asks without a deadline. Whoever waits works: a thread takes longer to wake than a search of a small shard, so this one takes
/// shard after shard, and others those that are left when they come.
fn ask_beside(inner: &Inner, round: &Arc<Round>, asks: &[Ask]) -> Vec<Part> {
    let (sender, receiver) = mpsc::sync_channel(asks.len());
    let left: Arc<Mutex<Vec<Ask>>> = Arc::new(Mutex::new(asks.to_vec()));
    let others = inner.searchers.threads().min(asks.len()).saturating_sub(1);
    for _ in 0..others {
        let (fleet, round, left, sender) =
            (Arc::clone(&inner.fleet), Arc::clone(round), Arc::clone(&left), sender.clone());
        inner.searchers.spawn(move || take_and_ask(&fleet, &round, &left, &sender));
    }
    take_and_ask(&inner.fleet, round, &left, &sender);
    drop(sender);
    receiver.iter().take(asks.len()).collect()
}

fn take_and_ask(fleet: &Fleet, round: &Round, left: &Mutex<Vec<Ask>>, sender: &mpsc::SyncSender<Part>) {
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
    while let Some(one) = next() {
        hand_in(round, sender, ask(fleet, round, one, None));
    }
}

/// Hands in an answer, and only then tells the other searches how far its results are: theirs come after it in the channel, so
/// whoever takes an answer in which something was left out has taken what it was left out for. Nobody listens any more when the
/// time was up.
fn hand_in(round: &Round, sender: &mpsc::SyncSender<Part>, part: Part) {
    let distances: Vec<Distance> = part.hits.iter().map(Hit::distance).collect();
    if let (Ok(()), Some(shared)) = (sender.send(part), &round.shared) {
        shared.arrived(distances.into_iter());
    }
}

fn ask_until(inner: &Inner, round: &Arc<Round>, asks: &[Ask], deadline_us: u64) -> Vec<Part> {
    let (sender, receiver) = mpsc::sync_channel(asks.len());
    for one in asks.iter().copied() {
        let (fleet, round, sender) = (Arc::clone(&inner.fleet), Arc::clone(round), sender.clone());
        inner.searchers.spawn(move || {
            hand_in(&round, &sender, ask(&fleet, &round, one, Some(deadline_us)));
        });
    }
    drop(sender);
    let mut parts = Vec::with_capacity(asks.len());
    while parts.len() < asks.len() {
        let left_us = deadline_us.saturating_sub(inner.clock.now_us());
        // A search looks at the deadline too, and a part of an answer is better than none: give it a moment.
        match receiver.recv_timeout(Duration::from_micros(left_us + GRACE_US)) {
            Ok(part) => parts.push(part),
            Err(_) => break,
        }
    }
    parts
}

/// How long after the deadline a shard may hand in what it had.
const GRACE_US: u64 = 20_000;

fn ask(fleet: &Fleet, round: &Round, Ask { shard, expected }: Ask, deadline_us: Option<u64>) -> Part {
    let plan = &round.plan;
    let began_us = fleet.clock.now_us();
    let until = Until::at(&*fleet.clock, deadline_us);
    let query = Query {
        vector: Some(&plan.vector).filter(|vector| !vector.as_slice().is_empty()),
        sparse: plan.sparse.as_ref(),
        required: &plan.required,
        top_k: plan.top_k,
        expected,
        shared: round.shared.as_ref(),
        filter: plan.filter.as_ref(),
        effort: plan.effort,
        explain: plan.explain.then_some(&*fleet.clock),
    };
    let search = || Ok(fleet.backend(shard)?.search(plan.targets.scope(shard), query, until)?);
    let found = if until.is_over() { None } else { Some(search()) };
    let ended_us = fleet.clock.now_us();
    let report = |outcome, work| ShardReport {
        shard,
        index_name: fleet.index_name(shard),
        latency: Duration::from_micros(ended_us.saturating_sub(began_us)),
        outcome,
        explanation: None,
        work,
    };
    match found {
        None => Part { report: report(ShardOutcome::TimedOut, Work::default()), hits: Vec::new() },
        Some(Err::<_, EngineError>(error)) => {
            Part { report: report(ShardOutcome::Failed(error), Work::default()), hits: Vec::new() }
        }
        Some(Ok(found)) => {
            fleet.count(plan, shard, [began_us, ended_us], &found.work);
            let outcome = if found.complete { ShardOutcome::Answered } else { ShardOutcome::TimedOut };
            let report = ShardReport { explanation: found.explanation, ..report(outcome, found.work) };
            Part { report, hits: found.hits }
        }
    }
}

impl Fleet {
    /// Counts a search as load of its shard, and of its tenant if it has one alone; and how long the shard took.
    fn count(&self, plan: &Plan, shard: ShardId, [began_us, ended_us]: [u64; 2], work: &Work) {
        let cost = load::cost(work);
        if let Ok(member) = self.member(shard) {
            let latency_us = ended_us.saturating_sub(began_us);
            member.latency.record_us(latency_us);
            member.recent.record_us(ended_us, latency_us);
            member.load.record(ended_us, cost);
        }
        if let Some(tenant) = plan.targets.one_of(shard) {
            self.tenant_loads.record(tenant.id(), ended_us, cost);
        }
    }
}

/// The report of a shard that gave no answer.
fn missing(inner: &Inner, shard: ShardId, deadline_us: Option<u64>) -> ShardReport {
    let panicked = || {
        let message = "the search panicked: the log says where";
        ShardOutcome::Failed(EngineError::new(ErrorCode::Internal, message))
    };
    ShardReport {
        shard,
        index_name: inner.index_name(shard),
        latency: Duration::ZERO,
        // Without a deadline everybody is waited for.
        outcome: deadline_us.map_or_else(panicked, |_| ShardOutcome::TimedOut),
        explanation: None,
        work: Work::default(),
    }
}

/// One answer of all parts, with the reports of shards that gave none.
fn merge(parts: Vec<Part>, silent: Vec<ShardReport>, top_k: TopK) -> Gathered {
    let mut reports = silent;
    let mut hits = Vec::with_capacity(parts.iter().map(|part| part.hits.len()).sum());
    for part in parts {
        let shard = part.report.shard;
        reports.push(part.report);
        hits.extend(part.hits.into_iter().map(|hit| (shard, hit)));
    }
    reports.sort_unstable_by_key(|report| report.shard);
    hits.sort_unstable_by(|a, b| a.1.cmp_rank(&b.1));
    hits.truncate(top_k.get());
    Gathered { hits, reports }
}
