//! Repairs and starts with parts missing: nobody is locked out, and nothing is begun anew.

use super::*;
use crate::QuarantineReason;
use pinyon_types::Metric;

#[test]
fn a_repair_with_other_settings_than_the_shards_were_made_with_locks_nobody_out() {
    let dir = scratch("repair-shape");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    engine.close().unwrap();
    drop(engine);
    let damaged = dir.join("catalog/sled/db");
    std::fs::write(&damaged, [7; 300]).unwrap();
    let (right, dim) = (settings(), settings().dim.get());
    let others = [
        ("NUM_SHARDS=4", EngineSettings { shards: right.shards + 3, ..settings() }),
        ("NUM_SHARDS=4", EngineSettings { shards: right.shards - 1, ..settings() }),
        (
            "VECTOR_DIMENSION",
            EngineSettings { metric: settings().metric, ..EngineSettings::offline(4, dim * 2).unwrap() },
        ),
        ("METRIC", EngineSettings { metric: Metric::Euclidean, ..settings() }),
    ];
    for (named, other) in others {
        let refused = Engine::open_for_repair(&dir, other).map(drop).unwrap_err();
        assert_eq!(refused.code, ErrorCode::FailedPrecondition, "{refused}");
        assert!(refused.message.contains(named), "{refused}");
    }
    assert!(!dir.join("catalog-damaged-1").exists());
    for _ in 0..2 {
        let engine = Engine::open_for_repair(&dir, settings()).unwrap();
        assert!(engine.repair().unwrap().1.findings.is_empty());
    }
    let engine = Engine::open(&dir, settings()).unwrap();
    assert_eq!(records(&engine, "tenant-005"), 3);
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_shard_that_is_missing_is_not_begun_anew() {
    let dir = scratch("missing-shard");
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    drop(engine);
    let (shard, away) = (dir.join("shards/shard-0001"), dir.join("away"));
    std::fs::rename(&shard, &away).unwrap();
    for _ in 0..2 {
        for open in [Engine::open, Engine::open_for_repair] {
            let engine = open(&dir, settings()).unwrap();
            let [one] = engine.quarantined().try_into().unwrap();
            assert_eq!(one.quarantine.reason, QuarantineReason::Missing);
            assert!(one.quarantine.problem.contains("shard-0001"), "{one:?}");
            assert!(!shard.exists());
        }
    }
    std::fs::rename(away, shard).unwrap();
    let engine = Engine::open(&dir, settings()).unwrap();
    assert!((0..12).all(|tenant| records(&engine, &format!("tenant-{tenant:03}")) == 3));
    drop(engine);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_catalog_of_other_data_is_no_reason_to_ask_for_their_settings() {
    let (dir, other) = (scratch("foreign-catalog"), scratch("foreign-catalog-other"));
    let engine = Engine::open(&dir, settings()).unwrap();
    fill(&engine, 12, 3);
    engine.close().unwrap();
    drop(engine);
    drop(Engine::open(&other, EngineSettings::offline(4, 16).unwrap()).unwrap());
    std::fs::rename(dir.join("catalog"), dir.join("catalog-own")).unwrap();
    std::fs::rename(other.join("catalog"), dir.join("catalog")).unwrap();
    let found = Engine::made_with(&dir).unwrap();
    assert_eq!((found.shards, found.dimension), (Some(4), Some(settings().dim.get())));
    let refused = Engine::open(&dir, settings()).map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::DataDamaged, "{refused}");
    assert!(refused.message.contains("catalog") && refused.message.contains("=16"), "{refused}");
    for _ in 0..2 {
        let engine = Engine::open_for_repair(&dir, settings()).unwrap();
        assert!(engine.repair().unwrap().1.findings.is_empty());
        assert_eq!(records(&engine, "tenant-005"), 3);
    }
    assert!(dir.join("catalog-damaged-1").exists());
    remove(&dir);
    remove(&other);
}
