//! What a change of a large table costs, counted in values and bytes of the store; and that changes go on while the table is folded.

use super::{
    change_tests::{Asked, draft, scratch, tenant},
    flips::{self, Kept},
    routing_table::lock,
    store::{CatalogStore, Change, Entry},
    *,
};
use pinyon_storage::SystemClock;
use pinyon_types::{Clock, ShardId};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the commits of a store took: values and bytes.
#[derive(Debug, Clone, Default)]
struct Counted {
    kept: Kept,
    commits: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl Counted {
    /// The most values and the most bytes of one commit since the last look, and how many there were.
    fn largest(&self) -> (usize, usize, usize) {
        let commits = std::mem::take(&mut *self.commits.lock().unwrap());
        let values = commits.iter().map(|one| one.0).max().unwrap_or(0);
        (values, commits.iter().map(|one| one.1).max().unwrap_or(0), commits.len())
    }
}

impl CatalogStore for Counted {
    fn load_all(&mut self) -> Result<Vec<Entry>, CatalogError> {
        self.kept.load_all()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), CatalogError> {
        let bytes = changes.iter().map(|one| one.key.len() + one.value.as_ref().map_or(0, Vec::len)).sum();
        self.commits.lock().unwrap().push((changes.len(), bytes));
        self.kept.commit(changes)
    }
}

/// A table of so many tenants, each of them made explicitly too, which is to be folded.
fn filled(store: &Counted, dir: &Path, tenants: u64) -> RoutingTable {
    let raw = Box::new(store.clone());
    let opened = CheckedStore::open(&crate::system_io(), raw, Path::new("catalog/raw-store"));
    let (checked, image) = opened.unwrap();
    let table = RoutingTable::from_image(checked, &image, dir).unwrap();
    lock(&table.writer).fold_bytes_min = 1 << 16;
    let place = |number| AssignRequest { tenant: tenant(number), shard: ShardId::new(0), pin: Pin::Placed };
    for first in (0..tenants).step_by(5_000) {
        table.assign((first..(first + 5_000).min(tenants)).map(place).collect()).unwrap();
    }
    (0..tenants).for_each(|number| table.declare(&tenant(number), Some(Vec::new()), 1).unwrap());
    table
}

/// A switch among so many tenants, each of them made explicitly too. `PINYON_TEST_CATALOG_TENANTS` says how many, and the time that
/// it prints is worth something with `--release`.
#[test]
fn a_change_takes_as_much_as_it_changes_however_large_the_table_is() {
    let asked = std::env::var("PINYON_TEST_CATALOG_TENANTS").ok();
    let tenants: u64 = asked.map_or(30_000, |count| count.parse().unwrap());
    let (dir, store) = (scratch("cost"), Counted::default());
    let table = filled(&store, &dir, tenants);
    store.largest();
    let mut longest = Duration::ZERO;
    for number in 0..20 {
        let began_us = SystemClock::new().now_us();
        table.change(|one| draft(one, &Asked::Plan(tenant(number), ShardId::new(1)))).unwrap();
        let id = table.routes().jobs().iter().last().unwrap().0;
        table.change(|one| draft(one, &Asked::Switch(id))).unwrap();
        longest = longest.max(Duration::from_micros((SystemClock::new().now_us() - began_us) / 2));
    }
    println!("a change among {tenants} tenants took {longest:?} at most, without a disk");
    let (values, bytes, commits) = store.largest();
    assert!(
        values <= 7 && bytes < 1_000 && commits == 40,
        "{values} values, {bytes} bytes, {commits} commits"
    );
    // What was put off is done by whoever has the time, and in pieces.
    table.rest();
    let (values, bytes, commits) = store.largest();
    println!("folded in {commits} commits of at most {values} values and {bytes} bytes");
    assert!(
        commits > 3 && values <= 258 && bytes < 500_000,
        "{values} values, {bytes} bytes, {commits} commits"
    );
    assert_eq!(lock(&table.writer).stored.deltas.len(), 0);
    assert!(dir.join("catalog.json").exists());
    let again = flips::open(&store.kept, &dir).unwrap();
    assert!(again.all() == table.all() && again.len() as u64 == tenants);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Changes go on while the table is folded, and none of them is lost by it.
#[test]
fn changes_beside_a_fold_are_all_there_whenever_it_is_cut_off() {
    let dir = scratch("beside");
    let store = Counted::default();
    let table = Arc::new(flips::open(&store.kept, &dir).unwrap());
    let assign = |number, shard| AssignRequest { tenant: tenant(number), shard, pin: Pin::Explicit };
    table.assign((0..50_000).map(|number| assign(number, ShardId::new(0))).collect()).unwrap();
    let mut cut = Vec::new();
    std::thread::scope(|scope| {
        let folding = scope.spawn(|| table.rest());
        let mut round = 0;
        while !folding.is_finished() || round == 0 {
            round += 1;
            for number in 0..20 {
                table.assign(vec![assign(number * 2_500, ShardId::new(round))]).unwrap();
            }
            cut.push((store.kept.copied(), table.all()));
        }
    });
    println!("{} states beside the fold", cut.len());
    cut.push((store.kept.copied(), table.all()));
    for (kept, expected) in cut {
        assert!(flips::open(&kept, &dir).unwrap().all() == expected);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
