//! A mover whose tenant is written to faster than it can be copied, whose shards' clients wait, and whose disk fills.

use super::{
    copier::Copier,
    error::CopyError,
    ground::{CopyHold, Ground, SearchLatency},
    mover::Mover,
    pace::{Pace, Rates, Spent, Throttle, Throttled},
    progress::Progress,
    side::Side,
    surroundings::Surroundings,
    trouble::Trouble,
};
use crate::{
    EngineError, ErrorCode,
    catalog::{JobId, RoutingTable},
    environment::Environment,
};
use pinyon_backend::{BackendError, Namespace, Noted, ShardBackend, Watch, fake::Fake};
use pinyon_storage::io::MemoryIo;
use pinyon_types::{Dim, Epoch, Metric, NamespaceId, RecordId, SeqNo, ShardId, TenantId};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What a test says of the machine.
#[derive(Debug)]
struct Said {
    environment: Environment,
    holds: Mutex<Vec<Option<CopyHold>>>,
    is_full: AtomicBool,
    recent_us: AtomicU64,
}

impl Said {
    fn new() -> Arc<Self> {
        let environment = Environment::stepped(Arc::new(MemoryIo::new()));
        environment.advance(Duration::from_secs(10));
        let (holds, is_full, recent_us) = (Mutex::default(), false.into(), 0.into());
        Arc::new(Self { environment, holds, is_full, recent_us })
    }

    fn slowed(&self) -> Duration {
        match self.holds.lock().unwrap().last() {
            Some(Some(CopyHold::Slowed(pause))) => *pause,
            _ => Duration::ZERO,
        }
    }

    /// A copier of nothing to nothing, of which every step takes a time.
    fn copier(self: &Arc<Self>) -> Copier {
        let side = |number| Side {
            backend: Arc::new(Fake::new(Dim::new(4).unwrap(), Metric::DotProduct)) as _,
            namespace: Namespace::routed(
                NamespaceId::new(number),
                TenantId::new("acme").unwrap(),
                Epoch::new(1),
            ),
        };
        Copier { source: side(1), target: side(2), pace: Arc::new(Slow(self.environment.clone())) }
    }
}

impl Ground for Said {
    fn routing(&self) -> &RoutingTable {
        unreachable!("rounds ask for no route")
    }

    fn backend(&self, _shard: ShardId) -> Result<Arc<dyn ShardBackend>, EngineError> {
        unreachable!("rounds have their sides")
    }

    fn hold(&self, _copy: NamespaceId, hold: Option<CopyHold>) {
        self.holds.lock().unwrap().push(hold);
    }

    fn check_room(&self) -> Result<(), EngineError> {
        match self.is_full.load(Relaxed) {
            true => Err(EngineError::new(ErrorCode::StorageFull, "7 MiB are free")),
            false => Ok(()),
        }
    }

    fn latency(&self, shard: ShardId) -> SearchLatency {
        let is_target = shard == ShardId::new(1);
        let recent_us = if is_target { self.recent_us.load(Relaxed) } else { 0 };
        SearchLatency { usual_us: 3_000, recent_us }
    }

    fn environment(&self) -> &Environment {
        &self.environment
    }
}

const STEP: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Slow(Environment);

impl Pace for Slow {
    fn spent(&self, _spent: Spent) -> Result<(), CopyError> {
        self.0.advance(STEP);
        Ok(())
    }

    fn wait_a_moment(&self) -> Result<(), CopyError> {
        Ok(())
    }
}

/// Writers who change as many records between two rounds as can be copied in one; fewer once each of their writes waits.
struct Writers<'a> {
    said: &'a Said,
    heeds: Duration,
}

impl std::fmt::Debug for Writers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writers")
    }
}

impl Watch for Writers<'_> {
    fn take(&mut self) -> Result<Noted, BackendError> {
        let count = if self.said.slowed() >= self.heeds { 0 } else { 200 };
        let ids = (0..count).map(|number| RecordId::new(&format!("{number:04}")).unwrap()).collect();
        Ok(Noted { ids, ..Noted::default() })
    }
}

fn mover(said: &Arc<Said>) -> Mover {
    Mover::new(Arc::clone(said) as _, JobId::new(3), Rates::default())
}

#[test]
fn writers_whom_the_target_cannot_keep_up_with_are_slowed_down_until_it_does() {
    for heeds_ms in [2, 8, 20] {
        let said = Said::new();
        let mut writers = Writers { said: &said, heeds: Duration::from_millis(heeds_ms) };
        let mover = mover(&said);
        mover.catch_up(&said.copier(), &mut writers).unwrap();
        let holds = said.holds.lock().unwrap().clone();
        let slowed: Vec<u128> = holds
            .iter()
            .flatten()
            .map(|hold| match hold {
                CopyHold::Slowed(pause) => pause.as_millis(),
                CopyHold::Closed(at) => panic!("closed at {at:?}"),
            })
            .collect();
        assert!(slowed.is_sorted() && slowed.last() >= Some(&u128::from(heeds_ms)), "{slowed:?}");
        assert_eq!(holds.last(), Some(&None), "then they are let go");
        assert_eq!(mover.worked().progress.slowed_us.load(Relaxed), 0);
    }
}

#[test]
fn a_move_that_never_catches_up_fails_with_both_rates_and_lets_the_writers_go() {
    let said = Said::new();
    let mut writers = Writers { said: &said, heeds: Duration::MAX };
    let Err(Trouble::Fatal(error)) = mover(&said).catch_up(&said.copier(), &mut writers) else {
        panic!("it fails")
    };
    assert!(error.contains("change 4000 records a second"), "{error}");
    assert!(error.contains("slowed down by 20 ms"), "{error}");
    assert!(error.contains("4000 a second are copied"), "{error}");
    let holds = said.holds.lock().unwrap();
    assert_eq!(holds.last(), Some(&None));
    assert!(holds.contains(&Some(CopyHold::Slowed(Duration::from_millis(20)))), "{holds:?}");
    assert!(holds.iter().flatten().all(|hold| *hold != CopyHold::Closed(SeqNo::ZERO)));
}

#[test]
fn a_copy_pauses_longer_and_longer_while_clients_wait_and_ends_where_there_is_no_room() {
    let said = Said::new();
    let surroundings = || Surroundings::of(Arc::clone(&said) as _, [0, 1].map(ShardId::new));
    let one = surroundings();
    let pauses = |count: usize| (0..count).map(|_| one.pause().as_millis()).collect::<Vec<_>>();
    assert_eq!(pauses(2), [0, 0]);
    said.recent_us.store(5_900, Relaxed);
    assert_eq!(pauses(1), [0], "twice as long is borne");
    said.recent_us.store(6_100, Relaxed);
    assert_eq!(pauses(8), [5, 10, 20, 40, 80, 160, 160, 160]);
    said.recent_us.store(0, Relaxed);
    assert_eq!(pauses(7), [80, 40, 20, 10, 5, 0, 0]);
    let progress = Arc::new(Progress::default());
    let throttle = Throttle::new(said.environment.clone(), Rates::default(), Arc::clone(&progress));
    let throttle = throttle.amid(surroundings());
    let spent = || throttle.spent(Spent { rows: 1, bytes: 1 });
    said.recent_us.store(1_000_000, Relaxed);
    let before_us = said.environment.clock().now_us();
    assert_eq!((spent(), progress.throttled()), (Ok(()), Throttled::ByLatency));
    assert!(said.environment.clock().now_us() >= before_us + 5_000);
    said.recent_us.store(0, Relaxed);
    assert_eq!((spent(), progress.throttled()), (Ok(()), Throttled::ByNothing));
    said.is_full.store(true, Relaxed);
    assert_eq!(spent(), Err(CopyError::NoRoom("7 MiB are free".into())));
    assert!(
        matches!(Trouble::from(spent().unwrap_err()), Trouble::Fatal(error) if error == "7 MiB are free")
    );
    assert_eq!(throttle.unlimited().spent(Spent::default()), Ok(()), "writers wait for what is left");
}
