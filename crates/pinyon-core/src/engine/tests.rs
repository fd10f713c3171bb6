//! Tests of the whole engine: tenants kept apart, fan-out against one big list, restarts, refusals, the doctor.

mod backends;
mod disk;
mod erase;
mod inputs;
mod moved_room;
pub(crate) mod moves;
mod names;
mod quarantine;
mod repair;
mod salvage;
mod scrub;

use super::*;
use crate::{Change, CrossShardCounts, EngineSettings, ErrorCode, FindingKind, PlacementPolicy, Reach};
use pinyon_types::{FieldTest, Filter, Metadata, MetadataValue, RecordId, SeededRng};
use std::{path::PathBuf, time::Duration};

pub(super) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinyon-engine-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

pub(super) fn remove(dir: &std::path::Path) {
    std::fs::remove_dir_all(dir).unwrap();
}

pub(super) fn settings() -> EngineSettings {
    EngineSettings::offline(4, 64).unwrap()
}

fn document(id: &str, text: &str, size: f64) -> Document {
    let fields = [("size".to_owned(), MetadataValue::Number(size))];
    Document {
        id: id.into(),
        text: text.into(),
        metadata: Metadata::new(fields.into_iter().collect()).unwrap(),
    }
}

const WORDS: [&str; 12] =
    ["beer", "malt", "rail", "train", "tooth", "crown", "solar", "panel", "chain", "wheel", "bread", "flour"];

/// How many records a tenant has.
pub(super) fn records(engine: &Engine, tenant: &str) -> u64 {
    engine.tenant(tenant).unwrap().count(None).unwrap()
}

pub(super) fn fill(engine: &Engine, tenants: u32, documents: u32) {
    let mut rng = SeededRng::new(17);
    for tenant in 0..tenants {
        let batch = (0..documents).map(|number| {
            let words: Vec<&str> = (0..8).map(|_| WORDS[rng.below(12) as usize]).collect();
            document(&format!("d{number}"), &words.join(" "), f64::from(number % 10))
        });
        engine.ingest(&format!("tenant-{tenant:03}"), batch.collect()).unwrap();
    }
}

#[test]
fn tenants_with_equal_ids_never_see_each_other() {
    let dir = scratch("isolation");
    let engine = Engine::open(&dir, settings()).unwrap();
    engine.ingest("one", vec![document("d", "the same beer", 1.0)]).unwrap();
    engine.ingest("two", vec![document("d", "the same beer", 2.0)]).unwrap();
    for (tenant, size) in [("one", 1.0), ("two", 2.0)] {
        let answer = engine.query_text(&TextQuery::in_tenant(tenant, "same beer", 10)).unwrap();
        assert_eq!(answer.results.len(), 1);
        assert_eq!(answer.results[0].metadata.get("size"), Some(&MetadataValue::Number(size)));
        assert_eq!(answer.results[0].text.as_deref(), Some("the same beer"));
    }
    engine.write("one", Change::DeleteAll).unwrap();
    assert_eq!((records(&engine, "one"), records(&engine, "two")), (0, 1));
    let unknown = engine.query_text(&TextQuery::in_tenant("nobody", "beer", 5)).unwrap();
    assert!(
        unknown.results.is_empty() && engine.lookup("nobody").unwrap().is_none(),
        "a query places nobody"
    );
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn fan_out_gives_the_global_best_of_every_tenant() {
    let dir = scratch("fan-out");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 20, 15);
    let used: std::collections::BTreeSet<u32> =
        engine.tenants().iter().map(|(_, one)| one.shard.get()).collect();
    assert_eq!(used.len(), 4, "the test needs tenants on every shard");
    for (query, filter) in
        [("beer and malt", None), ("wheel chain", Some(Filter::field("size", FieldTest::Gte(5.0))))]
    {
        let mut expected: Vec<(u32, String, String)> = Vec::new();
        for (tenant, _) in engine.tenants() {
            let mut single = TextQuery::in_tenant(tenant.as_str(), query, 100);
            single.filter.clone_from(&filter);
            let answer = engine.query_text(&single).unwrap();
            expected.extend(
                answer
                    .results
                    .into_iter()
                    .map(|one| (one.score.get().to_bits(), one.tenant.to_string(), one.id.to_string())),
            );
        }
        let mut everywhere = TextQuery::everywhere(query, 40);
        everywhere.filter.clone_from(&filter);
        let answer = engine.query_text(&everywhere).unwrap();
        assert!(!answer.is_partial && answer.shards.len() == 4);
        let scores: Vec<f32> = answer.results.iter().map(|one| one.score.get()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores.len() == 40);
        let mut best: Vec<f32> = expected.iter().map(|one| f32::from_bits(one.0)).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(scores, best[..40], "the scores are those of one big list");
        let some = vec!["tenant-003".to_owned(), "tenant-011".to_owned(), "nobody".to_owned()];
        let limited = TextQuery { reach: Reach::Tenants(some), ..everywhere.clone() };
        let answer = engine.query_text(&limited).unwrap();
        assert!(answer.results.iter().all(|one| ["tenant-003", "tenant-011"].contains(&one.tenant.as_str())));
        assert!(!answer.results.is_empty());
    }
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_deadline_that_has_passed_gives_a_partial_answer_that_says_so() {
    let dir = scratch("deadline");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 8, 5);
    let query = TextQuery { timeout: Some(Duration::ZERO), ..TextQuery::everywhere("beer", 5) };
    let answer = engine.query_text(&query).unwrap();
    assert!(answer.is_partial && answer.shards.len() == 4);
    assert!(answer.shards.iter().all(|shard| shard.outcome == ShardOutcome::TimedOut));
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn everything_is_there_after_a_restart_with_and_without_a_clean_end() {
    let dir = scratch("restart");
    for clean in [true, false, true] {
        let engine = Engine::open(&dir, settings()).unwrap();
        fill(&engine, 6, 4);
        let before = engine.query_text(&TextQuery::everywhere("solar panel", 10)).unwrap().results;
        if clean {
            engine.close().unwrap();
            assert_eq!(
                engine.write("tenant-001", Change::DeleteAll).unwrap_err().code,
                ErrorCode::WritesRefused
            );
        }
        drop(engine);
        let engine = Engine::open(&dir, settings()).unwrap();
        assert_eq!(engine.query_text(&TextQuery::everywhere("solar panel", 10)).unwrap().results, before);
        assert_eq!(engine.tenant_reports().iter().map(|one| one.records).sum::<u64>(), 24);
        drop(engine);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn settings_that_contradict_the_data_are_refused_with_the_way_out() {
    let dir = scratch("settings");
    drop(Engine::open(&dir, settings()).unwrap());
    for (other, name) in [
        (EngineSettings::offline(8, 64).unwrap(), "NUM_SHARDS=4"),
        (EngineSettings::offline(4, 128).unwrap(), "VECTOR_DIMENSION=64"),
        (EngineSettings { placement: PlacementPolicy::Ring, ..settings() }, "PLACEMENT=mmh3"),
        (EngineSettings { catalog: crate::CatalogKind::Redb, ..settings() }, "catalog=sled"),
    ] {
        let refused = Engine::open(&dir, other).unwrap_err();
        assert_eq!(refused.code, ErrorCode::FailedPrecondition);
        assert!(refused.message.contains(&format!("start with {name}")), "{refused}");
    }
    let first = Engine::open(&dir, settings()).unwrap();
    assert_eq!(Engine::open(&dir, settings()).unwrap_err().code, ErrorCode::Locked);
    drop(first);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Whoever mistypes a setting at the first start, and whose disk then fails, may set it right.
#[test]
fn a_first_start_that_fails_stores_no_settings() {
    let dir = scratch("first-start");
    std::fs::create_dir_all(&dir).unwrap();
    // Nothing can be made at the end of a link that leads nowhere.
    std::os::unix::fs::symlink(dir.join("nowhere/at/all"), dir.join("shards")).unwrap();
    Engine::open(&dir, settings()).unwrap_err();
    std::fs::remove_file(dir.join("shards")).unwrap();
    let ring = EngineSettings { placement: PlacementPolicy::Ring, ..settings() };
    drop(Engine::open(&dir, ring).unwrap());
    remove(&dir);
}

#[test]
fn a_tenant_with_records_is_not_assigned_away() {
    let dir = scratch("assign");
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!(engine.assign("empty", 3).unwrap().shard.get(), 3);
    assert_eq!(engine.assign("empty", 1).unwrap().shard.get(), 1);
    assert_eq!(engine.assign("empty", 4).unwrap_err().field.as_deref(), Some("shard_id"));
    engine.ingest("empty", vec![document("d", "beer", 1.0)]).unwrap();
    let refused = engine.assign("empty", 2).unwrap_err();
    assert_eq!(refused.code, ErrorCode::FailedPrecondition);
    assert!(refused.message.contains("has 1 records on tenant-shard-1"), "{refused}");
    assert_eq!(engine.assign("empty", 1).unwrap().shard.get(), 1);
    engine.write("empty", Change::DeleteAll).unwrap();
    assert_eq!(engine.assign("empty", 2).unwrap().shard.get(), 2);
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn bad_documents_are_named_and_nothing_is_written() {
    let dir = scratch("bad");
    let engine = Engine::open(&dir, settings()).unwrap();
    let batch = vec![document("good", "beer", 1.0), document("", "malt", 1.0)];
    let refused = engine.ingest("one", batch).unwrap_err();
    assert_eq!(
        (refused.code, refused.field.as_deref()),
        (ErrorCode::InvalidArgument, Some("documents[1].id"))
    );
    let long = document("long", &"x".repeat(300 << 10), 1.0);
    assert!(engine.ingest("one", vec![long]).unwrap_err().message.contains("documents[0].metadata"));
    assert_eq!(records(&engine, "one"), 0);
    assert!(
        engine.ingest("", vec![]).is_err()
            && engine.query_text(&TextQuery::in_tenant("one", "x", 0)).is_err()
    );
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_doctor_finds_and_mends_a_lost_routing_table() {
    let dir = scratch("doctor");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    assert!(engine.diagnose().findings.is_empty());
    let before = engine.query_text(&TextQuery::in_tenant("tenant-005", "beer", 3)).unwrap().results;
    drop(engine);
    std::fs::remove_dir_all(dir.join("catalog")).unwrap();
    let refused = Engine::open(&dir, settings()).unwrap_err();
    assert!(refused.message.contains("pinyon doctor --data-dir DIR --repair"), "{refused}");
    let engine = Engine::open_for_repair(&dir, settings()).unwrap();
    let found = engine.diagnose().findings;
    assert!(found.iter().filter(|one| one.kind == FindingKind::Unrouted).count() == 12);
    assert!(found.iter().any(|one| one.kind == FindingKind::RolledBack));
    let (_, after) = engine.repair().unwrap();
    assert!(after.findings.is_empty(), "{:?}", after.findings);
    drop(engine);
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!(engine.query_text(&TextQuery::in_tenant("tenant-005", "beer", 3)).unwrap().results, before);
    fill(&engine, 14, 3);
    assert_eq!(records(&engine, "tenant-013"), 3);
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn least_loaded_placement_spreads_tenants() {
    let dir = scratch("least-loaded");
    let engine =
        Engine::open(&dir, EngineSettings { placement: PlacementPolicy::LeastLoaded, ..settings() }).unwrap();
    let names: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
    engine.place_all(&names).unwrap();
    assert!(engine.shards().iter().all(|shard| shard.assigned_tenants == 10));
    let fetched = engine.tenant("t1").unwrap().fetch(&[RecordId::new("x").unwrap()]).unwrap();
    assert!(fetched.is_empty() && engine.tenant("t1").unwrap().list("", None, 10).unwrap().ids.is_empty());
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn kept_answers_are_those_of_a_search_now() {
    let dir = scratch("kept");
    let mut asked = settings();
    asked.cross_shard.cache_bytes = 1 << 20;
    let engine = Engine::open(&dir, asked).unwrap();
    fill(&engine, 6, 20);
    let filter = Filter::field("size", FieldTest::Lt(5.0));
    let questions = [
        TextQuery::everywhere("beer malt", 7),
        TextQuery::everywhere("beer malt", 8),
        TextQuery { filter: Some(filter), ..TextQuery::everywhere("beer malt", 7) },
        TextQuery {
            reach: Reach::Tenants(vec!["tenant-001".into(), "late".into()]),
            ..TextQuery::everywhere("beer malt", 7)
        },
    ];
    let ask = |expect_cached: bool| -> Vec<Vec<Match>> {
        let answers = questions.iter().map(|question| engine.query_text(question).unwrap());
        answers.map(|answer| (assert_eq!(answer.is_cached, expect_cached), answer.results).1).collect()
    };
    let first = ask(false);
    assert!(first[0].len() == 7 && first[1].len() == 8 && first[2] != first[0] && first[3] != first[0]);
    assert_eq!(ask(true), first);
    // A tenant that the question names, but that did not exist; then a delete of what was found.
    engine.ingest("late", vec![document("d", "beer malt", 1.0)]).unwrap();
    let second = ask(false);
    assert!(second.iter().all(|results| results[0].tenant.as_str() == "late"));
    assert_eq!(ask(true), second);
    engine.write("late", Change::DeleteAll).unwrap();
    assert_eq!(ask(false), first);
    assert_eq!(engine.cross_shard_counts(), CrossShardCounts { queries: 20, refused: 0, cached: 8 });
    let single = TextQuery::in_tenant("tenant-001", "beer malt", 7);
    assert!((0..2).all(|_| !engine.query_text(&single).unwrap().is_cached));
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn cross_shard_queries_have_a_limit_of_their_own() {
    let dir = scratch("limit");
    let mut asked = settings();
    asked.cross_shard.per_second_max = Some(2);
    let engine = Engine::open(&dir, asked).unwrap();
    fill(&engine, 2, 5);
    let across = || engine.query_text(&TextQuery::everywhere("beer", 3));
    let answers: Vec<_> = (0..40).map(|_| across()).collect();
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refused.clone().count() >= 30, "a bucket of two let more through than time can explain");
    assert!(
        refused
            .clone()
            .all(|error| error.code == ErrorCode::Overloaded && error.message.contains("2 a second"))
    );
    for _ in 0..40 {
        engine.query_text(&TextQuery::in_tenant("tenant-001", "beer", 3)).unwrap();
    }
    assert_eq!(engine.cross_shard_counts().refused, refused.count() as u64);
    // Half a second later there is room again.
    let began_us = engine.inner.clock.now_us();
    while across().is_err() {
        assert!(engine.inner.clock.now_us() < began_us + 10_000_000);
    }
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The files of a shard with their lengths and times of change.
fn shard_files(dir: &std::path::Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let entries = std::fs::read_dir(dir.join("shards/shard-0000")).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((entry.path(), metadata.len(), metadata.modified().unwrap()))
        })
        .collect();
    files.sort_unstable();
    files
}

#[test]
fn the_directory_stays_locked_until_the_last_background_step_has_ended() {
    let dir = scratch("lock");
    let mut one = EngineSettings::offline(1, 64).unwrap();
    one.shard_options.seal_bytes = 256 << 10;
    let engine = Engine::open(&dir, one).unwrap();
    // A segment is being written when the engine goes.
    let is_unfinished = |(path, ..): &(PathBuf, _, _)| path.extension().is_some_and(|ending| ending == "tmp");
    let is_sealing = || (0..2_000).any(|_| shard_files(&dir).iter().any(is_unfinished));
    while !is_sealing() {
        fill(&engine, 2, 1_000);
    }
    let next = std::thread::spawn({
        let dir = dir.clone();
        move || {
            let lock = loop {
                match open::lock_dir(&crate::system_io(), &dir) {
                    Ok(lock) => break lock,
                    Err(_) => std::thread::yield_now(),
                }
            };
            let then = shard_files(&dir);
            // As long as any step that was not waited for would take.
            std::thread::park_timeout(Duration::from_millis(300));
            drop(lock);
            (then, shard_files(&dir))
        }
    });
    drop(engine);
    let (then, later) = next.join().unwrap();
    assert_eq!(then, later, "nobody writes to a directory that another has locked");
    std::fs::remove_dir_all(&dir).unwrap();
}
