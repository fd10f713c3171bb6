//! Data directories that earlier versions wrote (`golden/data/make.py`): every kind of file, both stores of the catalog, ended cleanly and
//! killed. They are opened, hold what they held, are verified, compacted and opened again.

use crate::server::{Server, binary, scratch};
use flate2::read::GzDecoder;
use pinyon_shard::{Shard, ShardOnDisk, ShardOptions};
use pinyon_storage::io::{RealIo, SharedIo};
use serde_json::Value;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Fetched at once.
const IDS: usize = 50;

pub fn golden(name: &str) -> GzDecoder<File> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/data");
    GzDecoder::new(File::open(dir.join(name)).unwrap())
}

pub fn unpacked(version: &str, catalog: &str) -> PathBuf {
    let dir = scratch(&format!("older-{version}-{catalog}"));
    tar::Archive::new(golden(&format!("{version}-{catalog}.tar.gz"))).unpack(&dir).unwrap();
    dir
}

/// Counts and records of every namespace, as the version that wrote them answered.
fn check_contents(server: &Server, expected: &Value) {
    for (index, namespaces) in expected.as_object().unwrap() {
        let (status, stats) =
            server.post(&format!("/indexes/{index}/describe_index_stats"), &serde_json::json!({})).unwrap();
        assert_eq!(status, 200, "{index}: {stats}");
        let namespaces = namespaces.as_object().unwrap();
        assert_eq!(stats["namespaces"].as_object().unwrap().len(), namespaces.len(), "{index}: {stats}");
        for (namespace, held) in namespaces {
            let name = name_of(namespace);
            assert_eq!(stats["namespaces"][name]["vectorCount"], held["count"], "{index}/{name}: {stats}");
            check_records(server, index, name, &held["records"]);
        }
    }
}

/// What clients that name no version call a namespace.
pub fn name_of(namespace: &str) -> &str {
    if namespace == "__default__" { "" } else { namespace }
}

fn check_records(server: &Server, index: &str, namespace: &str, records: &Value) {
    let records: Vec<(&String, &Value)> = records.as_object().unwrap().iter().collect();
    for some in records.chunks(IDS) {
        let ids = some.iter().map(|(id, _)| ("ids", id.as_str()));
        let query: Vec<(&str, &str)> = std::iter::once(("namespace", namespace)).chain(ids).collect();
        let (status, found) =
            server.connection().get(&format!("/indexes/{index}/vectors/fetch"), &query).unwrap();
        assert_eq!(status, 200, "{found}");
        for (id, expected) in some {
            let mut found = found["vectors"][id.as_str()].clone();
            if index == "tenants" {
                found.as_object_mut().unwrap().remove("values");
            }
            assert_eq!(found, **expected, "{index}: {id}");
        }
    }
}

/// A record is found by its own vector, in memory, in segments and through graphs.
fn check_search(server: &Server, expected: &Value) {
    for index in ["dense", "far"] {
        for (namespace, held) in expected[index].as_object().unwrap() {
            let name = name_of(namespace);
            for (id, record) in held["records"].as_object().unwrap().iter().step_by(40) {
                let body = serde_json::json!({"namespace": name, "topK": 1, "vector": record["values"], "includeValues": true});
                let (_, found) = server.post(&format!("/indexes/{index}/query"), &body).unwrap();
                assert_eq!(
                    found["matches"][0]["values"], record["values"],
                    "{index}/{namespace}/{id}: {found}"
                );
            }
        }
    }
}

fn doctor(dir: &Path) {
    let output = Command::new(binary()).args(["doctor", "--json", "--data-dir"]).arg(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn compact(dir: &Path) {
    let io: SharedIo = Arc::new(RealIo);
    for shards in [dir.to_owned()].into_iter().chain(below(&dir.join("indexes"))) {
        for shard in below(&shards.join("shards")) {
            let shape = ShardOnDisk::read(&*io, &shard).unwrap().unwrap().shape.unwrap();
            let shard = Shard::open(&io, &shard, shape, ShardOptions::server()).unwrap();
            shard.compact().unwrap();
            assert!(shard.stats().segments.len() <= 1);
            shard.close().unwrap();
        }
    }
}

/// The directories in one.
fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn check(version: &str, catalog: &str) {
    let dir = unpacked(version, catalog);
    let expected: Value = serde_json::from_reader(golden(&format!("{version}.json.gz"))).unwrap();
    doctor(&dir);
    for is_compacted in [false, true] {
        if is_compacted {
            compact(&dir);
            doctor(&dir);
        }
        let server = Server::start(&dir, &[]);
        let (_, health) = server.get("/health").unwrap();
        assert!(health["status"] == "healthy" && health["quarantined"].is_null(), "{health}");
        check_contents(&server, &expected);
        check_search(&server, &expected);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn data_of_version_1_in_sled_ended_cleanly_are_read() {
    check("v1", "sled");
}

#[test]
fn data_of_version_1_in_redb_killed_are_read() {
    check("v1", "redb");
}
