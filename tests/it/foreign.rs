//! Files in others' places, and shards that are opened again, as clients and operators see them.

use crate::server::{Server, scratch};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const NAMES: [&str; 2] = ["left", "right"];

/// Two indexes of one shape, with a record each.
fn made(dir: &Path) {
    let mut server = Server::start(dir, &["--num-shards", "2"]);
    for name in NAMES {
        let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
        let index = json!({"name": name, "dimension": 2, "metric": "cosine", "spec": spec});
        assert_eq!(server.post("/indexes", &index).unwrap().0, 201);
        let vectors = json!({"vectors": [{"id": name, "values": [1.0, 2.0]}]});
        assert_eq!(server.post(&format!("/indexes/{name}/vectors/upsert"), &vectors).unwrap().0, 200);
    }
    server.kill();
}

fn fetch(server: &Server, index: &str) -> (u16, Value) {
    let ids = NAMES.map(|name| ("ids", name));
    server.connection().get(&format!("/indexes/{index}/vectors/fetch"), &ids).unwrap()
}

fn index_dir(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("indexes/index-{number:08}"))
}

fn swap(dir: &Path) {
    let between = dir.join("between");
    fs::rename(index_dir(dir, 1), &between).unwrap();
    fs::rename(index_dir(dir, 2), index_dir(dir, 1)).unwrap();
    fs::rename(between, index_dir(dir, 2)).unwrap();
}

#[test]
fn two_indexes_that_changed_places_answer_for_neither_and_the_tenants_are_served() {
    let dir = scratch("foreign");
    made(&dir);
    swap(&dir);
    let server = Server::start(&dir, &[]);
    for name in NAMES {
        let (status, said) = fetch(&server, name);
        assert_eq!(status, 503, "{said}");
        assert!(said["message"].as_str().is_some_and(|said| said.contains("of index")), "{said}");
    }
    let documents = json!({"tenant_id": "acme", "documents": [{"id": "a", "text": "beer"}]});
    assert_eq!(server.post("/ingest", &documents).unwrap().0, 200);
    let (_, health) = server.get("/health").unwrap();
    let quarantined = health["quarantined"].as_array().unwrap();
    assert_eq!((quarantined.len(), health["status"].as_str()), (4, Some("degraded")), "{health}");
    assert!(!health.to_string().contains(dir.to_str().unwrap()), "{health}");
    drop(server);
    swap(&dir);
    let server = Server::start(&dir, &[]);
    for name in NAMES {
        let (status, found) = fetch(&server, name);
        let ids: Vec<&str> = found["vectors"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((status, ids), (200, vec![name]), "{found}");
    }
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_shard_whose_file_was_put_back_is_opened_again_by_the_administration() {
    let dir = scratch("reopen");
    made(&dir);
    let manifests = [0, 1].map(|shard| index_dir(&dir, 1).join(format!("shards/shard-{shard:04}/MANIFEST")));
    let whole = manifests.clone().map(|file| fs::read(file).unwrap());
    manifests.iter().for_each(|file| fs::write(file, b"PNYMAN").unwrap());
    let server = Server::start(&dir, &[]);
    assert_eq!(fetch(&server, "left").0, 503);
    let reopen = |index: &str, shard: &str| {
        server.post(&format!("/admin/v1/indexes/{index}/shards/{shard}/reopen"), &json!({})).unwrap()
    };
    let (status, said) = reopen("left", "left-0");
    assert!(status == 503 && said.to_string().contains("MANIFEST"), "{said}");
    for (file, bytes) in manifests.iter().zip(&whole) {
        fs::write(file, bytes).unwrap();
    }
    for was_opened in [true, false] {
        for shard in ["left-0", "left-1"] {
            let (status, said) = reopen("left", shard);
            assert_eq!((status, &said["was_opened"]), (200, &json!(was_opened)), "{said}");
        }
    }
    assert_eq!(fetch(&server, "left").1["vectors"].as_object().unwrap().len(), 1);
    assert_eq!(fetch(&server, "right").0, 200);
    assert_eq!((reopen("nobody", "left-0").0, reopen("left", "left-9").0), (404, 404));
    let (_, health) = server.get("/health").unwrap();
    assert_eq!(health["status"], "healthy", "{health}");
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}
