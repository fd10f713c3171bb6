//! What is asked of data that may be damaged: all that they hold, by every way that reads it, and a write to each namespace.

use super::{
    blame::Blame,
    made::{INDEXES, Namespace, record},
};
use pinyon_core::{
    Change, EngineError, ErrorCode, Index, Indexes, Located, QueryAnswer, Reach, VectorQuery, reading,
};
use pinyon_types::{Record, RecordId};
use std::{collections::BTreeMap, sync::Arc};

/// The id that is written late: it may be there where a write was refused.
const LATE: &str = "zz-late";
const RESULTS: u32 = 5;

/// Counts of what was answered.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub right: usize,
    pub refused: usize,
}

/// Why a namespace gave no right answer.
enum Problem {
    Refused(EngineError),
    Wrong(String),
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        Self::Refused(error)
    }
}

/// Reads every namespace and asks every index: right answers, or refusals where there may be some.
pub fn check(indexes: &Indexes, namespaces: &[Namespace], blame: &Blame) -> Result<Seen, String> {
    let mut seen = Seen::default();
    for namespace in namespaces {
        let named = |problem: String| format!("{}/{}: {problem}", namespace.index, namespace.name);
        let index = get(indexes, namespace.index)?;
        match read(&index, namespace) {
            Ok(()) => seen.right += namespace.records.len(),
            Err(Problem::Refused(error)) if blame.excuses(namespace, &error) => {
                seen.refused += namespace.records.len();
            }
            Err(Problem::Refused(error)) => return Err(named(format!("{:?} {error}", error.code))),
            Err(Problem::Wrong(problem)) => return Err(named(problem)),
        }
    }
    for name in INDEXES {
        ask_everywhere(&*get(indexes, name)?, blame).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(seen)
}

fn get(indexes: &Indexes, name: &str) -> Result<Arc<Index>, String> {
    indexes.get(name).ok_or_else(|| format!("index {name} is not there"))
}

fn wrong<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Wrong(problem.into()))
}

/// Reads a namespace by ids, by name, by count and by nearness.
fn read(index: &Index, namespace: &Namespace) -> Result<(), Problem> {
    let Namespace { name, records, .. } = namespace;
    let extra = [LATE.to_owned(), "r000".to_owned(), "r003".to_owned()];
    let ids = records.keys().chain(&extra).map(|id| RecordId::new(id).unwrap()).collect::<Vec<_>>();
    let found = reading(|| {
        let located = index.engine.tenant(name)?.find(&ids)?;
        Ok(located.iter().map(Located::stored).map(|stored| stored.record).collect::<Vec<Record>>())
    })?;
    let found: BTreeMap<String, Record> =
        found.into_iter().map(|one| (one.id.as_str().to_owned(), one)).collect();
    let unsure = found.len().abs_diff(records.len());
    for (id, record) in &found {
        if records.get(id).is_some_and(|expected| expected != record)
            || (id != LATE && !records.contains_key(id))
        {
            return wrong(format!("{id} is {record:?}"));
        }
    }
    if let Some(missing) = records.keys().find(|id| !found.contains_key(*id)) {
        return wrong(format!("{missing} is missing"));
    }
    let listed = reading(|| index.engine.tenant(name)?.list("", None, 1_000))?;
    let count = reading(|| index.engine.tenant(name)?.count(None))?;
    let listed: Vec<&str> = listed.ids.iter().map(RecordId::as_str).collect();
    if listed.len() as u64 != count
        || listed.len() != records.len() + unsure
        || listed.iter().any(|id| !found.contains_key(*id))
    {
        return wrong(format!("{count} records, listed {listed:?}"));
    }
    ask(index, namespace)
}

/// The vector of a record finds it, and only what is there.
fn ask(index: &Index, Namespace { name, records, .. }: &Namespace) -> Result<(), Problem> {
    let Some(record) = records.values().nth(records.len() / 2) else { return Ok(()) };
    let answer = query(index, record, Reach::Tenant(name.clone()))?;
    if answer.is_partial {
        return wrong(format!("a partial answer: {:?}", answer.shards));
    }
    let is_there = |id: &RecordId| id.as_str() == LATE || records.contains_key(id.as_str());
    let is_found = answer.results.iter().any(|one| one.id == record.id) || index.description.name == "hybrid";
    let wanted = records.len().min(RESULTS as usize);
    if !is_found || answer.results.len() < wanted || !answer.results.iter().all(|one| is_there(&one.id)) {
        return wrong(format!("asked for {}, found {:?}", record.id.as_str(), answer.results));
    }
    Ok(())
}

fn query(index: &Index, record: &Record, reach: Reach) -> Result<QueryAnswer, EngineError> {
    reading(|| {
        index.engine.query_vector(VectorQuery {
            sparse: record.sparse.clone(),
            ..VectorQuery::dense(record.vector.as_slice().to_vec(), reach, RESULTS)
        })
    })
}

/// A question to every tenant says that a shard is left out, where one may be.
fn ask_everywhere(index: &Index, blame: &Blame) -> Result<(), String> {
    let name = index.description.name.as_str();
    match query(index, &record(index, "everywhere", "question", ""), Reach::All) {
        Ok(answer) if answer.is_partial && !blame.covers_some_of(name) => {
            Err(format!("a partial answer: {:?}", answer.shards))
        }
        Ok(_) => Ok(()),
        Err(error) if error.code == ErrorCode::Quarantined && blame.covers_some_of(name) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes a record to every namespace, and to a new one; what was taken is expected from then on.
pub fn write_late(indexes: &Indexes, namespaces: &mut Vec<Namespace>, blame: &Blame) -> Result<(), String> {
    for namespace in namespaces.iter_mut() {
        let index = get(indexes, namespace.index)?;
        if let Err(error) = write(&index, namespace)
            && !(blame.covers(namespace) && is_refusal(&error))
        {
            return Err(format!("a write to {}/{}: {error}", namespace.index, namespace.name));
        }
    }
    for index in INDEXES {
        let open = get(indexes, index)?;
        let mut newcomer =
            Namespace { index, name: "newcomer".to_owned(), shard: 0, records: BTreeMap::new() };
        match write(&open, &mut newcomer) {
            Ok(()) => {
                let placed = open.engine.tenants();
                let own = placed.iter().find(|(tenant, _)| tenant.as_str() == newcomer.name);
                newcomer.shard = own.ok_or("a newcomer is nowhere")?.1.shard.get();
                namespaces.push(newcomer);
            }
            Err(error) if blame.covers_some_of(index) && is_refusal(&error) => {}
            Err(error) => return Err(format!("a newcomer to {index}: {error}")),
        }
    }
    Ok(())
}

/// Whether nothing was written: the shard is kept out, or its log is not where it was a second ago.
fn is_refusal(error: &EngineError) -> bool {
    matches!(error.code, ErrorCode::Quarantined | ErrorCode::WritesRefused)
        || (error.code == ErrorCode::Internal && error.message.starts_with("not written: "))
}

fn write(index: &Index, namespace: &mut Namespace) -> Result<(), EngineError> {
    let record = record(index, &namespace.name, LATE, "late");
    index.engine.write(&namespace.name, Change::Upsert(vec![record.clone()]))?;
    namespace.records.insert(LATE.to_owned(), record);
    Ok(())
}
