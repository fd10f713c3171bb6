//! The model test: random operations with seals, merges and restarts in between; every answer is held against the model.

use super::{
    namespace, open, open_as,
    operations::{Model, NAMESPACES, random_change},
    shape, sparse_shape, upsert, without_dense,
};
use crate::{Change, Namespace, Shard, ShardError, Step};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Epoch, Metric, SeededRng, TenantId};
use std::sync::Arc;

fn disturb(shard: Shard, io: &SharedIo, rng: &mut SeededRng) -> Shard {
    match rng.below(12) {
        0..=2 => while shard.step().unwrap() != Step::Idle {},
        3 => drop(shard.seal().unwrap()),
        7 => drop(shard.inner.quiet_step(shard.last_seq()).unwrap()),
        4 => drop(shard.compact().unwrap()),
        5 => {
            shard.close().unwrap();
            drop(shard.clone());
            let shape = shard.shape();
            return open_as(io, shape).unwrap();
        }
        6 => {
            let shape = shard.shape();
            return open_as(io, shape).unwrap();
        }
        _ => {}
    }
    shard
}

#[test]
fn random_operations_give_what_the_model_gives() {
    let seed = std::env::var("PINYON_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = seed.map_or(1..=60, |seed: u64| seed..=seed);
    for seed in seeds {
        let mut rng = SeededRng::new(seed);
        let dense = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean].map(shape);
        let shape = [dense[0], dense[1], dense[2], sparse_shape()][rng.below(4) as usize];
        let io: SharedIo = Arc::new(MemoryIo::new());
        let mut shard = open_as(&io, shape).unwrap();
        let mut model = Model::default();
        for operation in 0..120 {
            let context = format!("PINYON_SEED={seed}, operation {operation}");
            let space = rng.below(NAMESPACES);
            let change = random_change(&mut rng);
            let change = if shape.dim.is_none() { without_dense(change) } else { change };
            let expected = model.apply(space, &change);
            let receipt = shard.write(&namespace(space), change.clone());
            let receipt = receipt.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(receipt.records, expected, "{context}: {change:?}");
            shard = disturb(shard, &io, &mut rng);
            if rng.below(4) == 0 {
                model.check(&shard, &mut rng, &context);
            }
        }
        model.check(&shard, &mut rng, &format!("PINYON_SEED={seed}, the end"));
    }
}

#[test]
fn concurrent_writers_are_all_heard_and_readers_see_whole_batches() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    let keepers = super::keepers();
    let keeping = keepers.keep(&shard);
    std::thread::scope(|scope| {
        for writer in 0..4_u64 {
            let shard = shard.clone();
            scope.spawn(move || {
                let mut rng = SeededRng::new(writer);
                for round in 0..60 {
                    // Twice the same batch of fresh ids: a reader must count 0 or all of them.
                    let Change::Upsert(records) = upsert(8, &mut rng) else { unreachable!() };
                    let named = records.into_iter().enumerate().map(|(at, record)| pinyon_types::Record {
                        id: super::id(&format!("{writer}-{round}-{at}")),
                        ..record
                    });
                    shard.write(&namespace(writer), Change::Upsert(named.collect())).unwrap();
                    assert_eq!(shard.count(&namespace(writer), None).unwrap(), (round + 1) * 8);
                }
            });
        }
        let reader = shard.clone();
        scope.spawn(move || {
            for _ in 0..500 {
                for space in 0..4 {
                    let seen = reader.count(&namespace(space), None).unwrap();
                    assert_eq!(seen % 8, 0, "half a batch was seen");
                }
            }
        });
    });
    drop(keeping);
    let reopened = open(&io, Metric::Cosine).unwrap();
    for space in 0..4 {
        assert_eq!(reopened.count(&namespace(space), None).unwrap(), 480);
    }
}

#[test]
fn a_stale_route_is_refused() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    let mut rng = SeededRng::new(1);
    let at_epoch = |epoch| {
        Namespace::routed(
            pinyon_types::NamespaceId::new(7),
            TenantId::new("seven").unwrap(),
            Epoch::new(epoch),
        )
    };
    shard.write(&at_epoch(5), upsert(1, &mut rng)).unwrap();
    let refused = shard.write(&at_epoch(4), upsert(1, &mut rng)).unwrap_err();
    assert!(matches!(refused, ShardError::StaleRoute { given, seen } if given.get() == 4 && seen.get() == 5));
    shard.write(&at_epoch(6), upsert(1, &mut rng)).unwrap();
    shard.compact().unwrap();
    let reopened = open(&io, Metric::Cosine).unwrap();
    assert!(matches!(reopened.write(&at_epoch(5), upsert(1, &mut rng)), Err(ShardError::StaleRoute { .. })));
    assert_eq!(reopened.epoch_seen(), Epoch::new(6));
}

#[test]
fn another_shape_is_refused_with_both_values_named() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    drop(open(&io, Metric::Cosine).unwrap());
    let refused = open(&io, Metric::Euclidean).unwrap_err().to_string();
    assert!(refused.contains("metric cosine, but euclidean was asked for"), "{refused}");
}
