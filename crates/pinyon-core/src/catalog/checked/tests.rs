//! Tests of the checked store.

use super::*;

/// Keeps nothing, and fails from the second commit on.
#[derive(Debug, Default)]
struct Failing(u32);

impl CatalogStore for Failing {
    fn load_all(&mut self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, CatalogError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _changes: &[Change]) -> Result<(), CatalogError> {
        self.0 += 1;
        let full = CatalogError::Store { path: "store".into(), problem: "no space left".into() };
        if self.0 == 1 { Ok(()) } else { Err(full) }
    }
}

#[test]
fn a_failed_change_is_seen_from_outside() {
    let (mut store, _) =
        CheckedStore::open(&crate::system_io(), Box::new(Failing::default()), Path::new("store")).unwrap();
    let takes_changes = store.takes_changes();
    assert!(store.commit(&[], Epoch::new(1)).is_ok() && takes_changes.load(Ordering::Relaxed));
    assert!(store.commit(&[], Epoch::new(2)).is_err() && !takes_changes.load(Ordering::Relaxed));
    let again = store.commit(&[], Epoch::new(2)).unwrap_err();
    assert!(matches!(again, CatalogError::Poisoned { .. }), "{again}");
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinyon-checked-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn change(key: &[u8]) -> [Change; 1] {
    [Change { key: key.to_vec(), value: Some(b"value".to_vec()) }]
}

fn close(store: &mut CheckedStore) {
    (0..=IDLE_LOOKS).for_each(|_| store.rest());
    assert!(!store.is_open());
}

#[test]
fn a_store_that_was_closed_takes_the_next_change_and_loses_none() {
    for kind in [CatalogKind::Sled, CatalogKind::Redb, CatalogKind::File] {
        let dir = scratch(kind.name());
        let (mut store, _) = CheckedStore::open_in(&dir, kind).unwrap();
        store.rest();
        assert!(!store.is_open(), "nobody has changed anything yet");
        store.commit(&change(b"a"), Epoch::new(1)).unwrap();
        store.rest();
        assert!(store.is_open(), "another change may follow");
        close(&mut store);
        store.commit(&change(b"b"), Epoch::new(2)).unwrap();
        drop(store);
        let (store, entries) = CheckedStore::open_in(&dir, kind).unwrap();
        assert_eq!((store.epoch(), entries.len()), (Epoch::new(2), 2));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_store_that_changed_while_it_was_closed_takes_no_more_changes() {
    let dir = scratch("changed");
    let (mut store, _) = CheckedStore::open_in(&dir, CatalogKind::Redb).unwrap();
    store.commit(&change(b"a"), Epoch::new(1)).unwrap();
    close(&mut store);
    let (mut other, _) = CheckedStore::open_in(&dir, CatalogKind::Redb).unwrap();
    other.commit(&change(b"b"), Epoch::new(1)).unwrap();
    drop(other);
    let refused = store.commit(&change(b"c"), Epoch::new(2)).unwrap_err();
    assert!(matches!(refused, CatalogError::Damaged { .. }), "{refused}");
    assert!(matches!(store.commit(&change(b"c"), Epoch::new(2)), Err(CatalogError::Poisoned { .. })));
    std::fs::remove_dir_all(&dir).unwrap();
}
