//! Placement: where a tenant goes when it is first seen. The answer is stored, so a policy is asked once per tenant and
//! changing it moves nobody.

mod least_loaded;
mod murmur3;
mod rendezvous;
#[cfg(test)]
mod tests;

pub use murmur3::murmur3_32;

use pinyon_types::{Invalid, ShardId, TenantId};

/// How a new tenant's shard is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementPolicy {
    /// `abs(mmh3.hash(tenant)) % shards`: exactly what the reference module computes.
    Mmh3,
    /// Weighted rendezvous hashing (the settings say `ring`, the word people look for): moves the least when shards
    /// come and go, and honours weights.
    Ring,
    /// The shard with the fewest vectors; of equals the one with the fewest tenants.
    LeastLoaded,
}

/// What a policy knows of a shard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShardLoad {
    /// Which shard.
    pub shard: ShardId,
    /// Its share relative to the others; 1 where nobody says otherwise.
    pub weight: u32,
    /// Tenants that are assigned to it.
    pub tenants: u64,
    /// Vectors that it holds.
    pub vectors: u64,
}

impl PlacementPolicy {
    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mmh3 => "mmh3",
            Self::Ring => "ring",
            Self::LeastLoaded => "least-loaded",
        }
    }

    /// Reads the name in settings.
    ///
    /// # Errors
    /// Any other text.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        let known = [Self::Mmh3, Self::Ring, Self::LeastLoaded];
        let found = known.into_iter().find(|policy| policy.name() == name);
        found.ok_or_else(|| {
            Invalid::new("placement", format!("must be mmh3, ring or least-loaded, is {name:?}"))
        })
    }

    /// Whether the choice needs the shards' loads, which cost more to know than their number.
    pub const fn needs_loads(self) -> bool {
        matches!(self, Self::LeastLoaded)
    }

    /// Chooses a shard for a new tenant.
    ///
    /// # Panics
    /// There are no shards.
    pub fn place(self, tenant: &TenantId, shards: &[ShardLoad]) -> ShardId {
        assert!(!shards.is_empty(), "an index has at least one shard");
        match self {
            Self::Mmh3 => {
                let hash = murmur3_32(tenant.as_str().as_bytes(), 0).cast_signed();
                shards[slot_of(hash, shards.len())].shard
            }
            Self::Ring => rendezvous::place(tenant, shards),
            Self::LeastLoaded => least_loaded::place(shards),
        }
    }
}

/// `abs(hash) % shards` as Python computes it, where the absolute value of the smallest number is 2^31.
fn slot_of(hash: i32, shards: usize) -> usize {
    hash.unsigned_abs() as usize % shards
}

/// The finaliser of 64-bit MurmurHash3: spreads every bit of the input over the output.
pub(crate) const fn fmix64(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}
