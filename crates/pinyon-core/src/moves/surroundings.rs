//! What a copy looks at around it before each step: whether the disk has room for more, and whether clients wait longer than they did.

use super::{error::CopyError, ground::Ground};
use pinyon_types::ShardId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// So many times as long as before is too long for 99 of 100 searches.
const SLOWER_FACTOR: u64 = 2;
/// Nobody minds what takes less.
const UNNOTICED_US: u64 = 2_000;
/// Pauses between two steps while clients wait: from this on doubled until they do not, up to the longest.
const PAUSE_US_MIN: u64 = 5_000;
const PAUSE_US_MAX: u64 = 160_000;

/// The two shards of a copy.
#[derive(Debug)]
pub(super) struct Surroundings {
    ground: Arc<dyn Ground>,
    shards: [ShardId; 2],
    /// How long 99 of 100 searches of a shard took at most before the copy began.
    usual_us: [u64; 2],
    pause_us: AtomicU64,
}

impl Surroundings {
    /// As they are now, before the copy begins.
    pub(super) fn of(ground: Arc<dyn Ground>, shards: [ShardId; 2]) -> Self {
        let usual_us = shards.map(|shard| ground.latency(shard).usual_us);
        Self { ground, shards, usual_us, pause_us: AtomicU64::new(0) }
    }

    /// # Errors
    /// [`CopyError::NoRoom`].
    pub(super) fn check_room(&self) -> Result<(), CopyError> {
        self.ground.check_room().map_err(|error| CopyError::NoRoom(error.to_string()))
    }

    /// How long to wait before the next step: longer each time as long as clients wait longer than before.
    pub(super) fn pause(&self) -> Duration {
        let shards = self.shards.iter().zip(self.usual_us);
        let is_slower = |(shard, usual_us): (&ShardId, u64)| {
            self.ground.latency(*shard).recent_us > UNNOTICED_US.max(usual_us * SLOWER_FACTOR)
        };
        let before_us = self.pause_us.load(Relaxed);
        let pause_us = match shards.into_iter().any(is_slower) {
            true => (before_us * 2).clamp(PAUSE_US_MIN, PAUSE_US_MAX),
            false if before_us > PAUSE_US_MIN => before_us / 2,
            false => 0,
        };
        self.pause_us.store(pause_us, Relaxed);
        Duration::from_micros(pause_us)
    }
}
