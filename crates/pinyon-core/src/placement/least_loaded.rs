//! Placement by load.

use super::ShardLoad;
use pinyon_types::ShardId;

/// The shard with the fewest vectors, then the fewest tenants, then the lowest number.
pub(super) fn place(shards: &[ShardLoad]) -> ShardId {
    let least = shards.iter().min_by_key(|load| (load.vectors, load.tenants, load.shard));
    least.map_or(ShardId::new(0), |load| load.shard)
}
