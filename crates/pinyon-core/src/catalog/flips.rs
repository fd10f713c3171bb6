//! One byte of one key or value of the raw store is not what was written: whatever it is, the table does not open and
//! names the store. What sled and redb make of damage to their own files is in `conformance`.

use super::{
    checked::CheckedStore,
    store::{CatalogStore, Change, Entry},
    *,
};
use pinyon_types::{NamespaceId, ShardId, TenantId};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex},
};

const STORE: &str = "catalog/raw-store";

/// Keeps everything in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl Kept {
    /// What it holds now, as a store of its own.
    pub(super) fn copied(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }
}

impl CatalogStore for Kept {
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError> {
        Ok(self.0.lock().unwrap().clone().into_iter().collect())
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError> {
        let mut entries = self.0.lock().unwrap();
        for Change { key, value } in changes.iter().cloned() {
            match value {
                Some(value) => drop(entries.insert(key, value)),
                None => drop(entries.remove(&key)),
            }
        }
        Ok(())
    }
}

pub(super) fn open(raw: &Kept, dir: &Path) -> Result<RoutingTable, CatalogError> {
    let (store, image) = CheckedStore::open(&crate::system_io(), Box::new(raw.clone()), Path::new(STORE))?;
    RoutingTable::from_image(store, &image, dir)
}

fn request(number: u64) -> AssignRequest {
    let tenant = TenantId::new(&format!("tenant {number}")).unwrap();
    AssignRequest { tenant, shard: ShardId::new(number as u32 % 4), pin: Pin::Placed }
}

/// A base, deltas behind it, the settings, and namespaces that somebody made.
pub(super) fn golden(dir: &Path) -> Kept {
    let raw = Kept::default();
    let table = open(&raw, dir).unwrap();
    let embedder = "hash-v1/8".into();
    let (metric, placement) = ("cosine".into(), "mmh3".into());
    let settings = StoredSettings { shards: 4, dimension: 8, metric, placement, embedder };
    table.store_settings(&settings).unwrap();
    let placed = (0..5).map(request).enumerate();
    let placed =
        placed.map(|(number, one)| (one.tenant, NamespaceId::new(number as u64 + 1), one.shard)).collect();
    table.replace_all(placed, pinyon_types::Epoch::new(7)).unwrap();
    for number in 5..8 {
        table.assign(vec![request(number)]).unwrap();
        let fields = vec!["colour".into(), "size".into()];
        table.declare(&request(number).tenant, Some(fields), 1).unwrap();
    }
    raw
}

/// The store with a byte of a key (`key_or_value` 0) or of its value changed.
fn damaged(entries: &[Entry], entry: usize, key_or_value: usize, offset: usize, value: u8) -> Kept {
    let mut entries = entries.to_vec();
    let (key, stored) = &mut entries[entry];
    [key, stored][key_or_value][offset] = value;
    Kept(Arc::new(Mutex::new(entries.into_iter().collect())))
}

fn check(raw: &Kept, dir: &Path) -> Result<(), String> {
    let opened = catch_unwind(AssertUnwindSafe(|| open(raw, dir)));
    match opened.map_err(|_| "panicked".to_owned())? {
        Ok(_) => Err("not noticed".into()),
        Err(error) if error.to_string().contains(STORE) => Ok(()),
        Err(error) => Err(format!("refused without a word on the store: {error}")),
    }
}

#[test]
fn no_flip_in_the_raw_store_passes_unseen() {
    let dir = std::env::temp_dir().join(format!("pinyon-catalog-flips-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let raw = golden(&dir);
    assert_eq!(open(&raw, &dir).unwrap().len(), 8);
    let entries = raw.clone().load_all().unwrap();
    assert!(entries.len() >= 10, "meta, state, settings, base, deltas, namespaces: {}", entries.len());
    let mut flips = 0;
    for (entry, (key, value)) in entries.iter().enumerate() {
        for (part, bytes) in [key, value].into_iter().enumerate() {
            for (offset, byte) in bytes.iter().enumerate() {
                let others = (0..8).map(|bit| byte ^ (1 << bit)).chain([0x00, 0xff]);
                for other in others.filter(|other| other != byte) {
                    let checked = check(&damaged(&entries, entry, part, offset, other), &dir);
                    let key = String::from_utf8_lossy(key);
                    checked.unwrap_or_else(|problem| panic!("{key}, {part}, {offset}, {other}: {problem}"));
                    flips += 1;
                }
            }
        }
    }
    println!("{flips} flips");
    std::fs::remove_dir_all(&dir).unwrap();
}
