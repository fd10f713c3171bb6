//! Stores whose values somebody changed and sealed again: a table that opens can be asked and changed, and gives no namespace twice.

use super::{
    checked::CheckedStore,
    codec,
    flips::{self, Kept},
    identity::{self, Identity},
    store::{Change, VALUE_BYTES_MAX},
    *,
};
use pinyon_fuzz::{Seen, Target, bytes};
use pinyon_shard::Birth;
use pinyon_types::{Epoch, SeededRng, ShardId, TenantId, UniqueId};
use std::{collections::BTreeMap, path::Path};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

const STORE: &str = "catalog/raw-store";

fn checked(raw: &Kept) -> (CheckedStore, Entries) {
    let (store, image) =
        CheckedStore::open(&crate::system_io(), Box::new(raw.clone()), Path::new(STORE)).unwrap();
    (store, image.entries)
}

/// Keys and values one after the other, each with its length before it.
fn joined(entries: &Entries) -> Vec<u8> {
    let pieces = entries.iter().flat_map(|(key, value)| [key, value]);
    pieces.flat_map(|piece| [&(piece.len() as u32).to_le_bytes()[..], piece].concat()).collect()
}

fn split(mut input: &[u8]) -> Entries {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<4>() {
        let (piece, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        pieces.push(piece.to_vec());
        input = rest;
    }
    pieces.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn seeds(dir: &Path) -> Vec<Entries> {
    let raw = flips::golden(dir);
    let table = flips::open(&raw, dir).unwrap();
    let shards = (1..=4).map(|number| UniqueId::new([number; 16])).collect();
    let identity = Identity { index: UniqueId::new([9; 16]), shards, birth: Birth::Made };
    table.store_identity(&identity).unwrap();
    let whole = checked(&raw).1;
    let small = whole.iter().filter(|(key, _)| !key.starts_with(b"base/"));
    vec![small.map(|(key, value)| (key.clone(), value.clone())).collect(), whole, Entries::new()]
}

fn changed(rng: &mut SeededRng, seeds: &[Entries]) -> Entries {
    let mut entries: Vec<_> = bytes::pick(rng, seeds).clone().into_iter().collect();
    let others: Vec<Vec<u8>> = entries.iter().map(|(_, value)| value.clone()).collect();
    for _ in 0..=rng.below(2) {
        let at = bytes::below(rng, entries.len());
        let Some((key, value)) = entries.get_mut(at) else { break };
        match rng.below(10) {
            0 => drop(entries.remove(at)),
            1 => bytes::change(rng, key, &[]),
            2 => *value = bytes::pick(rng, &others).clone(),
            _ => bytes::change(rng, value, &others),
        }
    }
    entries.iter_mut().for_each(|(_, value)| value.truncate(VALUE_BYTES_MAX - 5));
    entries.into_iter().filter(|(key, _)| key != b"!meta").collect()
}

fn sealed(entries: Entries) -> Kept {
    let raw = Kept::default();
    let changes: Vec<Change> =
        entries.into_iter().map(|(key, value)| Change { key, value: Some(value) }).collect();
    checked(&raw).0.commit(&changes, Epoch::new(50)).unwrap();
    raw
}

/// What a table holds besides its tenants.
fn all_but_tenants(table: &RoutingTable) -> impl PartialEq + std::fmt::Debug {
    let routes = table.routes();
    let declared: BTreeMap<TenantId, Vec<String>> =
        routes.all_declared().map(|(name, fields)| (name.clone(), fields.to_vec())).collect();
    let copies = routes.copies_to_drop().iter();
    let copies: Vec<_> = copies.map(|(shard, number, copy)| (shard, number, copy.clone())).collect();
    (declared, routes.jobs().clone(), copies, table.settings(), table.identity())
}

/// A new tenant gets a namespace that nobody has, and all are there again.
fn use_it(raw: &Kept, dir: &Path, table: &RoutingTable) {
    let before = table.all();
    let new = TenantId::new("a tenant that nobody else is").unwrap();
    let request = AssignRequest { tenant: new.clone(), shard: ShardId::new(1), pin: Pin::Placed };
    let assigned = table.assign(vec![request]).unwrap()[0];
    let is_new =
        |(tenant, one): &(TenantId, Assignment)| *tenant == new || one.namespace != assigned.namespace;
    assert!(before.iter().all(is_new), "{assigned:?} is somebody else's");
    table.declare(&new, Some(vec!["colour".into()]), 1).unwrap();
    let again = flips::open(raw, dir).unwrap();
    assert_eq!(again.all(), table.all());
    assert_eq!(all_but_tenants(&again), all_but_tenants(table));
}

/// Found by the target below: two tenants would have read each other's records.
#[test]
fn a_namespace_that_somebody_has_is_not_given_again() {
    let dir = std::env::temp_dir().join(format!("pinyon-catalog-given-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for (next, is_good) in [(9_u64, true), (8, false), (0, false), (u64::MAX, false)] {
        let mut entries = seeds(&dir)[1].clone();
        let state = entries.get_mut(&b"state"[..]).unwrap();
        state[8..].copy_from_slice(&next.to_le_bytes());
        let opened = flips::open(&sealed(entries), &dir);
        assert_eq!(opened.is_ok(), is_good, "{next}: {:?}", opened.err());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn fuzz_catalog() {
    let dir = std::env::temp_dir().join(format!("pinyon-catalog-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let seeds = seeds(&dir);
    let target = Target { name: "catalog", cases: 20_000, bytes_per_byte: 60, bytes_besides: 128 << 10 };
    target.run(
        |rng| joined(&changed(rng, &seeds)),
        |input| {
            let raw = sealed(split(input));
            let opened = flips::open(&raw, &dir);
            match &opened {
                Ok(table) => use_it(&raw, &dir, table),
                Err(error) => assert!(error.to_string().contains(STORE), "{error}"),
            }
            Seen::of(&opened)
        },
    );
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Values of every kind that has bytes of its own.
fn values() -> [Vec<u8>; 4] {
    let index = StoredIndex {
        id: 7,
        name: "movies".into(),
        dimension: 3,
        metric: "cosine".into(),
        port: 5_081,
        is_protected: true,
        tags: [("k".into(), "v".into()), (String::new(), "é".into())].into(),
        attributes: "{}".into(),
    };
    let extras = |named: u8, scan_factor| IndexExtras { unique_id: UniqueId::new([named; 16]), scan_factor };
    let identity = Identity::drawn(UniqueId::NONE, 3, Birth::Upgrading).unwrap();
    [
        encode_index(&index, extras(0, None)).unwrap(),
        encode_index(&index, extras(3, Some(2.5))).unwrap(),
        identity::encode(&identity),
        codec::encode_fields(&vec!["colour".into(), "size".into()]).unwrap(),
    ]
}

fn read_value(input: &[u8]) -> Seen {
    let read = decode_index(input);
    if let Ok((index, extras)) = &read {
        let again = decode_index(&encode_index(index, *extras).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{:?}", (index, extras)));
    }
    let identity = identity::decode(input);
    if let Ok(identity) = &identity {
        assert!(identity::encode(identity) == input);
    }
    let fields = codec::decode_fields(input);
    if let Ok(fields) = &fields {
        assert!(codec::encode_fields(fields).unwrap() == input);
    }
    let _ = codec::decode(input);
    if read.is_ok() || identity.is_ok() || fields.is_ok() { Seen::Read } else { Seen::Refused }
}

#[test]
fn fuzz_catalog_values() {
    let target =
        Target { name: "catalog values", cases: 400_000, bytes_per_byte: 60, bytes_besides: 64 << 10 };
    let seeds = values();
    target.run(|rng| bytes::changed(rng, &seeds), read_value);
}
