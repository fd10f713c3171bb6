//! `pinyon doctor` on data of several indexes: looking changes no byte, a dry run shows what is then done, and a salvaged shard holds what
//! still could be read.

use crate::{
    older::unpacked,
    server::{Server, binary, scratch},
};
use pinyon_storage::{io::RealIo, manifest};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Every file with its bytes.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(tree(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn doctor(dir: &Path, more: &[&str]) -> Output {
    Command::new(binary()).args(["doctor", "--data-dir"]).arg(dir).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn diagnosis(dir: &Path) -> Value {
    let output = doctor(dir, &["--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

/// Golden data that this version has run on.
fn data() -> PathBuf {
    let dir = unpacked("v1", "sled");
    let mut server = Server::start(&dir, &[]);
    assert_eq!(server.get("/livez").unwrap().0, 200);
    server.kill();
    dir
}

fn largest_segment(shard: &Path) -> PathBuf {
    // A server that was killed may leave one that no manifest names.
    let manifest = manifest::load(&RealIo, shard).unwrap().unwrap();
    let segments = manifest.segments.iter().map(|entry| shard.join(format!("segment-{:016}.seg", entry.id)));
    segments.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_look_at_data_of_an_earlier_version_changes_no_byte() {
    let dir = unpacked("v1", "sled");
    let before = tree(&dir);
    let healthy = doctor(&dir, &[]);
    assert_eq!(healthy.status.code(), Some(0), "{}", said(&healthy));
    assert!(tree(&dir) == before);
}

/// Data with something wrong in three of their indexes.
fn damaged() -> PathBuf {
    let dir = data();
    // Lengths of vectors, which can be computed again.
    let segment = largest_segment(&dir.join("indexes/index-00000001/shards/shard-0001"));
    flip(&segment, section(&segment, 4));
    fs::remove_dir_all(dir.join("indexes/index-00000004/shards/shard-0000")).unwrap();
    fs::write(dir.join("indexes/index-00000003/catalog/sled/db"), [0x5a; 64]).unwrap();
    dir
}

#[test]
fn what_is_wrong_in_every_index_is_named_with_what_can_be_done() {
    let dir = damaged();
    let before = tree(&dir);
    let found = diagnosis(&dir);
    assert_eq!(found["healthy"], false);
    let by_index = |index: &str| {
        let all = found["findings"].as_array().unwrap();
        all.iter().find(|one| one["index"] == index).unwrap_or_else(|| panic!("{index}: {found}")).clone()
    };
    let dense = by_index("dense");
    assert_eq!((&dense["kind"], &dense["shard"]), (&"quarantined".into(), &"dense-1".into()));
    assert!(dense["left"]["problems"][0].as_str().unwrap().contains("is damaged"), "{dense}");
    assert_eq!(dense["left"]["lost_records"], 0, "{dense}");
    assert_eq!(by_index("far")["kind"], "quarantined");
    assert_eq!(by_index("sparse")["kind"], "unreadable");
    assert!(!found.to_string().contains("pinyon-doctor"), "no name of the copy: {found}");
    let text = said(&doctor(&dir, &[]));
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(place("1. restore") < place("2. salvage") && place("2. salvage") < place("3. drop"), "{text}");
    assert!(text.contains("--repair --index sparse"), "{text}");
    assert!(tree(&dir) == before);
}

#[test]
fn a_dry_run_and_a_wrong_name_change_no_byte() {
    let dir = damaged();
    let before = tree(&dir);
    for verb in [
        &["--salvage", "dense-1", "--dry-run"][..],
        &["--drop", "dense-1", "--dry-run"],
        &["--drop", "far-0", "--dry-run"],
        &["--repair", "--index", "sparse", "--dry-run"],
        &["--dry-run"],
    ] {
        let output = doctor(&dir, verb);
        assert!(said(&output).contains("nothing was changed"), "{verb:?}: {}", said(&output));
        assert_eq!(output.status.code(), Some(3), "{verb:?}: {}", said(&output));
        assert!(tree(&dir) == before, "{verb:?}");
    }
    for wrong in [&["--salvage", "dense-0"][..], &["--drop", "dense"], &["--salvage", "nobody-1"]] {
        let output = doctor(&dir, wrong);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("nothing was changed"), "{}", said(&output));
    }
}

/// Where a section of a segment begins.
fn section(segment: &Path, tag: u32) -> usize {
    let bytes = fs::read(segment).unwrap();
    let number =
        |at: usize| usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
    let table = number(bytes.len() - 32);
    let entries = bytes[table..bytes.len() - 32].chunks(24).enumerate();
    let entry = entries.into_iter().find(|(_, entry)| entry[..4] == tag.to_le_bytes()).unwrap().0;
    number(table + entry * 24 + 8)
}

const TENANTS: u32 = 6;
const RECORDS: u32 = 600;

fn text_of(tenant: u32, record: u32) -> String {
    format!("tenant {tenant} record {record} {}", "lorem ipsum ".repeat(80))
}

/// A server with an index whose shards have segments of many blocks.
fn filled(dir: &Path) -> Server {
    let server = Server::start_with(dir, &["--num-shards", "2"], &[("PINYON_SEAL_KIB", "512")]);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = json!({"name": "books", "dimension": 8, "metric": "cosine", "spec": spec});
    assert_eq!(server.post("/indexes", &made).unwrap().0, 201);
    for tenant in 0..TENANTS {
        for first in (0..RECORDS).step_by(100) {
            let vectors: Vec<Value> = (first..first + 100)
                .map(|at| json!({"id": format!("r-{at:04}"), "values": vec![at as f32 + 1.0; 8], "metadata": {"t": text_of(tenant, at)}}))
                .collect();
            let body = json!({"namespace": format!("t-{tenant}"), "vectors": vectors});
            assert_eq!(server.post("/indexes/books/vectors/upsert", &body).unwrap().0, 200);
        }
    }
    server
}

/// Records that are there and right, by tenant; nothing for a tenant whose shard is kept out.
fn right(server: &Server) -> Vec<Option<u64>> {
    let of_tenant = |tenant: u32| {
        let mut right = 0;
        for first in (0..RECORDS).step_by(50) {
            let ids: Vec<String> = (first..first + 50).map(|at| format!("r-{at:04}")).collect();
            let namespace = format!("t-{tenant}");
            let query: Vec<(&str, &str)> = std::iter::once(("namespace", namespace.as_str()))
                .chain(ids.iter().map(|id| ("ids", id.as_str())))
                .collect();
            let (status, found) = server.connection().get("/indexes/books/vectors/fetch", &query).unwrap();
            if status == 503 {
                return None;
            }
            for (at, id) in (first..).zip(&ids) {
                let found = &found["vectors"][id.as_str()];
                let expected = text_of(tenant, at);
                assert!(found.is_null() || found["metadata"]["t"] == expected.as_str(), "{id}: {found}");
                right += u64::from(!found.is_null());
            }
        }
        Some(right)
    };
    (0..TENANTS).map(of_tenant).collect()
}

#[test]
fn a_salvaged_shard_holds_what_could_be_read_and_what_is_lost_is_listed() {
    let dir = scratch("salvage");
    let mut server = filled(&dir);
    server.kill();
    let all = u64::from(TENANTS * RECORDS);
    let shard = dir.join("indexes/index-00000001/shards/shard-0001");
    let segment = largest_segment(&shard);
    // In the middle of the metadata.
    flip(&segment, section(&segment, 9) + 100_000);
    let server = Server::start(&dir, &[]);
    let served = right(&server);
    assert!(
        served.contains(&None) && served.iter().flatten().all(|right| *right == u64::from(RECORDS)),
        "{served:?}"
    );
    drop(server);
    let left = diagnosis(&dir)["findings"][0]["left"].clone();
    let (kept, lost) = (left["records"].as_u64().unwrap(), left["lost_records"].as_u64().unwrap());
    assert!((1..=150).contains(&lost), "what lies in a block of 64 KiB: {left}");
    assert_eq!(kept + lost + served.iter().flatten().sum::<u64>(), all, "{left}");
    let output = doctor(&dir, &["--salvage", "books-1"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains(&format!("{kept} records saved, {lost} lost")), "{}", said(&output));
    let list =
        fs::read_to_string(dir.join("indexes/index-00000001/dropped/shard-0001-1/SALVAGE.txt")).unwrap();
    assert_eq!(list.matches("  lost: r-").count() as u64, lost, "{list}");
    // Twice is once.
    let again = doctor(&dir, &["--salvage", "books-1"]);
    assert!(said(&again).contains("is not a shard that is quarantined"), "{}", said(&again));
    for _ in 0..2 {
        let server = Server::start(&dir, &[]);
        assert_eq!(right(&server).into_iter().flatten().sum::<u64>(), all - lost);
    }
}
