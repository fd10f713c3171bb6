//! What an answer about all namespaces says of shards that it leaves out.

use super::*;
use pinyon_core::{EngineSettings, Indexes, Readers, write_side_file};

#[test]
fn what_leaves_a_quarantined_shard_out_names_it() {
    let dir = std::env::temp_dir().join(format!("pinyon-server-{}-position", std::process::id()));
    let settings = || EngineSettings::offline(2, 16).unwrap();
    let open = || Indexes::open(&dir, settings(), "tenants", |_| 0).unwrap();
    let whole = Position::of_all(&open().get("tenants").unwrap());
    assert_eq!(whole, Position::None);
    write_side_file(&dir.join("shards/shard-0001/MANIFEST"), b"none", Readers::Owner).unwrap();
    let found = Position::of_all(&open().get("tenants").unwrap());
    let name = settings().shard_prefix + "-1";
    assert_eq!(found, Position::Without(name.clone()));
    let (header, value) = found.header().unwrap();
    assert_eq!((header.as_str(), value.to_str().unwrap()), ("x-pinyon-partial", name.as_str()));
    std::fs::remove_dir_all(&dir).unwrap();
}
