//! The gate: which routes a namespace's writes may have come by. It is asked where a change is appended to the log, under the
//! writer's lock, and not where the change arrives: what waits in the queue is turned back too, and once a namespace is closed
//! nothing of it can follow.

use crate::{Namespace, ShardError};
use pinyon_types::{Epoch, NamespaceId};
use std::collections::BTreeMap;

/// Namespaces that take no writes that were routed at these epochs or before. Holds until the shard is opened again.
#[derive(Debug, Default)]
pub(crate) struct Gate(BTreeMap<NamespaceId, Epoch>);

impl Gate {
    /// Closes a namespace for whatever was routed as this handle was or before.
    pub(crate) fn close(&mut self, namespace: &Namespace) {
        let closed = self.0.entry(namespace.id()).or_insert(namespace.epoch());
        *closed = namespace.epoch().max(*closed);
    }

    /// Opens a namespace.
    pub(crate) fn open(&mut self, namespace: NamespaceId) {
        self.0.remove(&namespace);
    }

    /// Lets a write pass, or says that it has to be routed again. `seen` is the highest epoch that the namespace was written with.
    pub(crate) fn check(&self, namespace: &Namespace, seen: Epoch) -> Result<(), ShardError> {
        let given = namespace.epoch();
        let is_closed = self.0.get(&namespace.id()).is_some_and(|closed| given <= *closed);
        let seen = if is_closed { given.next() } else { seen };
        if given < seen { Err(ShardError::StaleRoute { given, seen }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Change,
        tests::{keepers, namespace, open, upsert},
    };
    use pinyon_storage::io::{MemoryIo, SharedIo};
    use pinyon_types::{Metric, SeededRng, SeqNo};
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    #[test]
    fn nothing_follows_a_freeze_and_what_was_answered_is_there() {
        let io: SharedIo = Arc::new(MemoryIo::new());
        let shard = open(&io, Metric::Cosine).unwrap();
        let keepers = keepers();
        let keeping = keepers.keep(&shard);
        let answered = AtomicU64::new(0);
        let write_until_turned_back = |writer: u64| {
            let mut rng = SeededRng::new(writer);
            for number in 0.. {
                let Change::Upsert(mut records) = upsert(1, &mut rng) else { unreachable!() };
                records[0].id = crate::tests::id(&format!("{writer}-{number}"));
                match shard.write(&namespace(1), Change::Upsert(records)) {
                    Ok(_) => answered.fetch_add(1, SeqCst),
                    Err(ShardError::StaleRoute { .. }) => return,
                    Err(error) => panic!("{error}"),
                };
            }
        };
        let frozen = std::thread::scope(|scope| {
            for writer in 0..4 {
                let write = &write_until_turned_back;
                scope.spawn(move || write(writer));
            }
            while answered.load(SeqCst) < 100 {
                std::thread::yield_now();
            }
            let frozen = shard.close_namespace(&namespace(1)).unwrap();
            // Others are not held up.
            shard.write(&namespace(2), upsert(1, &mut SeededRng::new(9))).unwrap();
            frozen
        });
        assert_eq!(frozen.records, answered.load(SeqCst), "each record has an id of its own");
        assert_eq!(shard.count(&namespace(1), None).unwrap(), frozen.records);
        assert!(frozen.seq >= SeqNo::new(frozen.records) && frozen.seq < shard.last_seq());
        shard.open_namespace(&namespace(1)).unwrap();
        shard.write(&namespace(1), Change::DeleteAll).unwrap();
        drop(keeping);
    }
}
