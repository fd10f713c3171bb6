//! Placement against Python's mmh3, against another implementation, and against what consistent hashing promises.

use super::*;
use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use std::collections::HashMap;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn loads(weights: &[(u32, u32)]) -> Vec<ShardLoad> {
    let load = |&(shard, weight): &(u32, u32)| ShardLoad {
        shard: ShardId::new(shard),
        weight,
        tenants: 0,
        vectors: 0,
    };
    weights.iter().map(load).collect()
}

fn equal(shards: u32) -> Vec<ShardLoad> {
    loads(&(0..shards).map(|shard| (shard, 1)).collect::<Vec<_>>())
}

#[test]
fn placements_are_those_of_mmh3() {
    let long = "a".repeat(300);
    for (name, hash, of_4, of_16) in [
        ("tenant-001", -1_420_083_914, 2, 10),
        ("tenant-002", 74_121_714, 2, 2),
        ("tenant-003", 402_548_960, 0, 0),
        ("tenant-004", -1_932_620_303, 3, 15),
        ("tenant-005", -186_391_850, 2, 10),
        ("acme-corp", -312_285_692, 0, 12),
        ("日本語-テナント", 165_852_463, 3, 15),
        (long.as_str(), 1_124_864_243, 3, 3),
    ] {
        assert_eq!(murmur3_32(name.as_bytes(), 0).cast_signed(), hash, "{name}");
        assert_eq!(PlacementPolicy::Mmh3.place(&tenant(name), &equal(4)).get(), of_4, "{name}");
        assert_eq!(PlacementPolicy::Mmh3.place(&tenant(name), &equal(16)).get(), of_16, "{name}");
    }
}

/// The figures were computed with Python's mmh3 5 over the same names: the CRC-32C of all hashes as little-endian
/// i32, and how many of `abs(hash) % 4` and `% 16` fall on each shard.
#[test]
fn ten_thousand_names_land_where_python_puts_them() {
    let long = "a".repeat(300) + "-";
    let stems = ["tenant-", "acme/", "日本語-", "Ünï cödé ", &long, "x"];
    let (mut of_4, mut of_16, mut checksum) = ([0; 4], [0; 16], 0);
    for number in 0..10_000 {
        let name = tenant(&format!("{}{number}", stems[number % 6]));
        checksum = crc32c::crc32c_append(checksum, &murmur3_32(name.as_str().as_bytes(), 0).to_le_bytes());
        of_4[PlacementPolicy::Mmh3.place(&name, &equal(4)).get() as usize] += 1;
        of_16[PlacementPolicy::Mmh3.place(&name, &equal(16)).get() as usize] += 1;
    }
    assert_eq!(checksum, 0x6342_2643);
    assert_eq!(of_4, [2556, 2454, 2462, 2528]);
    assert_eq!(of_16, [627, 628, 623, 640, 657, 614, 631, 632, 659, 626, 623, 613, 613, 586, 585, 643]);
}

#[test]
fn the_smallest_hash_has_the_absolute_value_that_python_gives_it() {
    assert_eq!(slot_of(i32::MIN, 3), 2_147_483_648_usize % 3);
    assert_eq!(slot_of(i32::MIN, 16), 0);
    assert_eq!(slot_of(-7, 4), 3);
}

proptest! {
    #[test]
    fn our_hash_is_the_crates_hash(bytes in prop::collection::vec(any::<u8>(), 0..300), seed: u32) {
        prop_assert_eq!(murmur3_32(&bytes, seed), ::murmur3::murmur3_32(&mut &bytes[..], seed).unwrap());
    }
}

const TENANTS: usize = 20_000;

fn ring(shards: &[ShardLoad]) -> Vec<ShardId> {
    (0..TENANTS).map(|number| PlacementPolicy::Ring.place(&tenant(&format!("t{number}")), shards)).collect()
}

fn counts(placements: &[ShardId]) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    placements.iter().for_each(|shard| *counts.entry(shard.get()).or_default() += 1);
    counts
}

/// Three standard deviations of a binomial count.
fn assert_share(count: usize, share: f64) {
    let (mean, deviation) = (TENANTS as f64 * share, (TENANTS as f64 * share * (1.0 - share)).sqrt());
    assert!((count as f64 - mean).abs() <= 3.0 * deviation, "{count} where {mean:.0} are expected");
}

#[test]
fn the_ring_gives_every_shard_its_weight() {
    for (_, count) in counts(&ring(&equal(8))) {
        assert_share(count, 0.125);
    }
    let counts = counts(&ring(&loads(&[(0, 1), (1, 2), (2, 1), (3, 4)])));
    for (shard, share) in [(0, 0.125), (1, 0.25), (2, 0.125), (3, 0.5)] {
        assert_share(counts[&shard], share);
    }
}

#[test]
fn a_shard_that_comes_or_goes_moves_only_its_own() {
    let (eight, nine) = (ring(&equal(8)), ring(&equal(9)));
    let moved = eight.iter().zip(&nine).filter(|(old, new)| old != new);
    assert!(moved.clone().all(|(_, new)| new.get() == 8), "tenants moved to a shard that is not new");
    assert_share(moved.count(), 1.0 / 9.0);
    let without_3 = loads(&[(0, 1), (1, 1), (2, 1), (4, 1), (5, 1), (6, 1), (7, 1)]);
    let stayed = eight.iter().zip(ring(&without_3)).all(|(old, new)| *old == new || old.get() == 3);
    assert!(stayed, "a tenant of a shard that stayed has moved");
}

/// Frozen: another value means that placements differ from those of an earlier version.
#[test]
fn ring_placements_never_change() {
    let placements = ring(&loads(&[(0, 1), (1, 3), (2, 2), (7, 1)]));
    let bytes: Vec<u8> = placements[..1000].iter().map(|shard| shard.get() as u8).collect();
    assert_eq!(crc32c::crc32c(&bytes), 0xbe69_684d);
}

#[test]
fn the_least_loaded_shard_is_the_one_with_fewest_vectors_then_tenants() {
    let mut shards = equal(3);
    (shards[0].vectors, shards[1].vectors, shards[2].vectors) = (9, 4, 4);
    (shards[0].tenants, shards[1].tenants, shards[2].tenants) = (0, 7, 6);
    assert_eq!(PlacementPolicy::LeastLoaded.place(&tenant("t"), &shards).get(), 2);
}
