//! FORMAT.md shows a small routing table and a small registry of indexes byte for byte; these are what the code writes.

use super::{
    flips::{Kept, open},
    store::CatalogStore,
    *,
};
use pinyon_types::{Epoch, NamespaceId, ShardId, TenantId};
use std::path::Path;

/// Fails unless FORMAT.md shows these pairs, one a line: the key as text and the value as hexadecimal.
pub(crate) fn assert_format_shows<'a>(pairs: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line =
        |(key, value): (&Vec<u8>, &Vec<u8>)| format!("{} {}\n", String::from_utf8_lossy(key), hex(value));
    let shown: String = pairs.into_iter().map(line).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinyon-storage/FORMAT.md");
    let format = std::fs::read_to_string(path).unwrap();
    assert!(
        format.contains(&format!("```\n{shown}```\n")),
        "FORMAT.md does not show what is written:\n{shown}"
    );
}

#[test]
fn format_md_shows_a_routing_table_as_it_is_written() {
    let dir = std::env::temp_dir().join(format!("pinyon-catalog-golden-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let raw = Kept::default();
    let table = open(&raw, &dir).unwrap();
    let (metric, placement, embedder) = ("cosine".into(), "mmh3".into(), "hash-v1/8".into());
    table.store_settings(&StoredSettings { shards: 4, dimension: 8, metric, placement, embedder }).unwrap();
    let tenant = |name: &str| TenantId::new(name).unwrap();
    table.replace_all(vec![(tenant("acme"), NamespaceId::new(7), ShardId::new(2))], Epoch::ZERO).unwrap();
    let placed = AssignRequest { tenant: tenant("zoe"), shard: ShardId::new(3), pin: Pin::Placed };
    table.assign(vec![placed]).unwrap();
    table.declare(&tenant("acme"), Some(vec!["year".into()]), 1).unwrap();
    assert_format_shows(raw.clone().load_all().unwrap().iter().map(|(key, value)| (key, value)));
    std::fs::remove_dir_all(&dir).unwrap();
}
