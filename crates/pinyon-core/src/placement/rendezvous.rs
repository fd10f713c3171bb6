//! Weighted rendezvous hashing (Thaler and Ravishankar, 1998; weights after Schindelhauer and Schomaker, 2005): every
//! shard scores the tenant, the best score wins. A new shard takes only what it wins; a removed one gives only its own.

use super::{ShardLoad, fmix64, murmur3_32};
use pinyon_types::{ShardId, TenantId};

/// The shard with the best score; of equals the lowest number. Cost: one logarithm per shard.
pub(super) fn place(tenant: &TenantId, shards: &[ShardLoad]) -> ShardId {
    let bytes = tenant.as_str().as_bytes();
    // Two seeds make 64 bits out of a hash that tests hold against another implementation.
    let tenant = (u64::from(murmur3_32(bytes, 0x9747_b28c)) << 32) | u64::from(murmur3_32(bytes, 0));
    let scores = shards.iter().map(|load| (score(tenant, load), load.shard));
    let best = scores.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    best.map_or(ShardId::new(0), |(_, shard)| shard)
}

/// `-weight / ln(u)` with u uniform in (0, 1). The logarithm is the crate libm's, which gives the same bits on every
/// machine; the platform's may differ in the last one and move a tenant.
fn score(tenant: u64, load: &ShardLoad) -> f64 {
    let shard = fmix64(u64::from(load.shard.get()).wrapping_add(0x9e37_79b9_7f4a_7c15));
    let bits = fmix64(tenant ^ shard) >> 11;
    let uniform = (bits as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(load.weight) / libm::log(uniform)
}
