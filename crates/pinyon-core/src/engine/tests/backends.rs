//! Shards whose records are kept elsewhere, and what becomes of requests when these fail.

use super::{records, remove, scratch, settings};
use crate::{Change, Engine, ErrorCode, QueryAnswer, Reach, ShardOutcome, VectorQuery, engine::Member};
use pinyon_backend::{
    BackendError,
    fake::{Fake, Fault},
};
use pinyon_types::{Epoch, Metadata, Record, RecordId, SeededRng, ShardId, Vector};
use std::{path::PathBuf, sync::Arc, time::Duration};

const TENANTS: u64 = 12;
const FAKED: ShardId = ShardId::new(1);

/// An engine of which one shard is a fake, and one of which none is.
struct Pair {
    with_fake: Engine,
    fake: Arc<Fake>,
    local: Engine,
    dirs: [PathBuf; 2],
    rng: SeededRng,
}

impl Pair {
    fn new(name: &str) -> Self {
        let dirs = ["fake", "local"].map(|kind| scratch(&format!("{name}-{kind}")));
        let [with_fake, local] = [0, 1].map(|at| Engine::open(&dirs[at], settings()).unwrap());
        let inner = &with_fake.inner;
        let fake = Arc::new(Fake::new(inner.settings.dim, inner.settings.metric));
        let elsewhere = Member::elsewhere(Arc::clone(&fake) as _, &inner.clock);
        inner.fleet.member(FAKED).unwrap().become_as(&elsewhere);
        let mut pair = Self { with_fake, fake, local, dirs, rng: SeededRng::new(3) };
        for tenant in 0..TENANTS {
            for engine in [&pair.with_fake, &pair.local] {
                engine.assign(&format!("t{tenant}"), (tenant % 4) as u32).unwrap();
            }
            let change = pair.upsert(0..30);
            pair.write(tenant, &change);
        }
        pair
    }

    fn upsert(&mut self, numbers: std::ops::Range<u64>) -> Change {
        let dim = self.local.settings().dim;
        let mut vector = || {
            let components: Vec<f32> = (0..dim.get()).map(|_| self.rng.unit() as f32 - 0.5).collect();
            Vector::new(components, dim).unwrap()
        };
        let record = |number: u64| Record {
            id: RecordId::new(&format!("r{number}")).unwrap(),
            vector: vector(),
            sparse: None,
            metadata: Metadata::empty(),
        };
        Change::Upsert(numbers.map(record).collect())
    }

    fn write(&self, tenant: u64, change: &Change) {
        for engine in [&self.with_fake, &self.local] {
            engine.write(&format!("t{tenant}"), change.clone()).unwrap();
        }
    }

    fn query(&mut self, reach: Reach) -> VectorQuery {
        let Change::Upsert(records) = self.upsert(0..1) else { unreachable!("an upsert is one") };
        VectorQuery::dense(records[0].vector.as_slice().to_vec(), reach, 20)
    }

    fn ask(&mut self) -> QueryAnswer {
        let query = VectorQuery { timeout: Some(Duration::from_millis(100)), ..self.query(Reach::All) };
        self.with_fake.query_vector(query).unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.dirs.iter().for_each(|dir| remove(dir));
    }
}

#[test]
fn a_shard_elsewhere_answers_as_one_of_this_process_does() {
    let mut pair = Pair::new("elsewhere");
    for turn in 0..30 {
        let tenant = turn % TENANTS;
        let change = if turn % 5 == 4 { Change::DeleteAll } else { pair.upsert(turn..turn + 20) };
        pair.write(tenant, &change);
        let one = Reach::Tenant(format!("t{tenant}"));
        let some = Reach::Tenants(vec!["t1".into(), "t2".into(), "t5".into()]);
        for reach in [one, some, Reach::All] {
            let query = pair.query(reach.clone());
            let [found, expected] =
                [&pair.with_fake, &pair.local].map(|engine| engine.query_vector(query.clone()).unwrap());
            let ids = |answer: &QueryAnswer| -> Vec<_> {
                answer.results.iter().map(|one| (one.tenant.clone(), one.id.clone(), one.shard)).collect()
            };
            assert_eq!(ids(&found), ids(&expected), "{reach:?}");
            assert!(!found.is_partial);
        }
        let name = format!("t{tenant}");
        assert_eq!(records(&pair.with_fake, &name), records(&pair.local, &name));
        let list = |engine: &Engine| engine.tenant(&name).unwrap().list("r", None, 100).unwrap();
        assert_eq!(list(&pair.with_fake), list(&pair.local));
    }
    let names = |engine: &Engine| -> Vec<_> {
        engine.namespaces("").into_iter().map(|one| (one.name, one.records)).collect()
    };
    assert_eq!(names(&pair.with_fake), names(&pair.local));
    assert!(pair.with_fake.diagnose().findings.is_empty());
    let is_small = |tenant| pair.with_fake.tenant(tenant).unwrap().is_small();
    assert_eq!(
        ["t1", "t2", "nobody"].map(is_small),
        [false, true, true],
        "no connection's thread waits for a network"
    );
}

#[test]
fn what_a_shard_does_not_answer_is_missing_and_named() {
    let mut pair = Pair::new("missing");
    let failed = BackendError::Failed("no route to host".into());
    let long = Duration::from_millis(400);
    for fault in [Fault::Refuse(failed), Fault::AnswerInPart, Fault::Delay(long)] {
        pair.fake.plan(fault.clone());
        let answer = pair.ask();
        assert!(answer.is_partial, "{fault:?}");
        for report in &answer.shards {
            let is_answered = report.outcome == ShardOutcome::Answered;
            assert_eq!(is_answered, report.shard != FAKED, "{fault:?}: {report:?}");
        }
        if let Fault::Refuse(error) = fault {
            let report = answer.shards.iter().find(|report| report.shard == FAKED).unwrap();
            let ShardOutcome::Failed(shown) = &report.outcome else { panic!("{report:?}") };
            assert_eq!(shown.message, error.to_string());
        }
        assert!(!answer.results.is_empty(), "the others answered");
    }
    std::thread::park_timeout(long);
    assert!(!pair.ask().is_partial, "it is well again");
}

#[test]
fn a_write_that_was_closed_out_is_routed_again_with_what_it_brought() {
    let mut pair = Pair::new("closed-out");
    let change = pair.upsert(100..110);
    for epoch in 0..3 {
        let (given, seen) = (Epoch::new(epoch), Epoch::new(epoch + 1));
        pair.fake.plan(Fault::Refuse(BackendError::Closed { given, seen }));
    }
    assert_eq!(pair.with_fake.write("t1", change).unwrap().records, 10);
    assert_eq!(records(&pair.with_fake, "t1"), 40);
}

#[test]
fn a_write_without_an_answer_is_no_refusal() {
    let mut pair = Pair::new("unknown");
    for (fault, seen) in [(Fault::LoseAnswer, 35), (Fault::LandLate, 35)] {
        let change = pair.upsert(if fault == Fault::LoseAnswer { 100..105 } else { 200..205 });
        pair.fake.plan(fault);
        let error = pair.with_fake.write("t1", change).unwrap_err();
        assert_eq!(error.code, ErrorCode::WritesRefused, "{error}");
        assert!(error.message.contains("may have been made"), "{error}");
        assert_eq!(records(&pair.with_fake, "t1"), seen);
    }
    assert_eq!(pair.fake.land(), 1);
    assert_eq!(records(&pair.with_fake, "t1"), 40);
}
