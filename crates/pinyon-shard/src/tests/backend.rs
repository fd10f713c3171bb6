//! The contracts of the router's seam, held by a shard, whatever it does behind its callers' backs.

use crate::{Shard, ShardShape, tests::options};
use pinyon_backend::conformance::{self, METRIC, Subject, dim};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::ShardId;
use std::{
    cell::{Cell, RefCell},
    path::Path,
    sync::Arc,
};

#[test]
fn a_shard_keeps_the_contracts() {
    let shape = ShardShape { shard: ShardId::new(0), dim: dim(), metric: METRIC };
    let (shard, turn): (RefCell<Option<Shard>>, _) = (RefCell::new(None), Cell::new(0_u64));
    let disturb = || {
        let shard = shard.borrow();
        let shard = shard.as_ref().unwrap();
        turn.set(turn.get() + 1);
        match turn.get() % 7 {
            0 | 3 => drop(shard.seal().unwrap()),
            5 => drop(shard.compact().unwrap()),
            _ => drop(shard.step().unwrap()),
        }
    };
    conformance::run(&mut || {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let made = Shard::open(&io, Path::new("shard"), shape, options()).unwrap();
        *shard.borrow_mut() = Some(made.clone());
        Subject { backend: Arc::new(made), disturb: &disturb }
    });
}
