//! A manifest that came back older than the files beside it, as a copy that was put back in part brings it: nothing is removed that it
//! does not name.

use super::{DIR, id, metadata, namespace, options, shape};
use crate::{Change, Shard, ShardError};
use pinyon_storage::{
    io::{MemoryIo, SharedIo, write_file_atomically},
    manifest::MANIFEST_FILE_NAME,
};
use pinyon_types::{Dim, Metric, Record, Vector};
use std::{collections::BTreeMap, path::Path, sync::Arc};

type Files = BTreeMap<String, Vec<u8>>;

fn open(io: &SharedIo) -> Result<Shard, ShardError> {
    Shard::open(io, Path::new(DIR), shape(Metric::Cosine), options())
}

fn put(shard: &Shard, ids: std::ops::Range<u32>) {
    let record = |number: u32| Record {
        id: id(&format!("r{number}")),
        vector: Vector::new(vec![1.0; super::DIM], Dim::new(super::DIM as u32).unwrap()).unwrap(),
        sparse: None,
        metadata: metadata(&[]),
    };
    shard.write(&namespace(1), Change::Upsert(ids.map(record).collect())).unwrap();
}

fn files(io: &SharedIo) -> Files {
    let names = io.list(Path::new(DIR)).unwrap();
    names.into_iter().map(|name| (name.clone(), io.read(&Path::new(DIR).join(name)).unwrap())).collect()
}

fn put_back(io: &SharedIo, name: &str, bytes: &[u8]) {
    write_file_atomically(&**io, &Path::new(DIR).join(name), bytes).unwrap();
}

fn asides(io: &SharedIo) -> Vec<String> {
    files(io).into_keys().filter(|name| name.ends_with(".aside")).collect()
}

/// States of one shard as time goes on: its files after every step, and how many records it has then.
fn history() -> (SharedIo, Vec<(Files, u64)>) {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let mut states = Vec::new();
    for step in 0..4 {
        let shard = open(&io).unwrap();
        put(&shard, step * 10..step * 10 + 10);
        shard.seal().unwrap();
        put(&shard, step * 10 + 5..step * 10 + 8);
        if step == 2 {
            shard.compact().unwrap();
        }
        shard.close().unwrap();
        states.push((files(&io), shard.count(&namespace(1), None).unwrap()));
    }
    (io, states)
}

#[test]
fn a_start_with_an_older_manifest_loses_nothing() {
    let (_, states) = history();
    let (latest, records) = states.last().unwrap();
    for (older, _) in &states[..states.len() - 1] {
        let io: SharedIo = Arc::new(MemoryIo::new());
        io.create_dir_all(Path::new(DIR)).unwrap();
        latest.iter().for_each(|(name, bytes)| put_back(&io, name, bytes));
        put_back(&io, MANIFEST_FILE_NAME, &older[MANIFEST_FILE_NAME]);
        let changed = files(&io);
        for _ in 0..2 {
            assert!(open(&io).is_err());
            assert_eq!(files(&io), changed, "a start that is refused changes nothing");
        }
        put_back(&io, MANIFEST_FILE_NAME, &latest[MANIFEST_FILE_NAME]);
        assert_eq!(open(&io).unwrap().count(&namespace(1), None).unwrap(), *records);
    }
}

/// The log that takes writes is gone, with all that was acknowledged in it.
#[test]
fn a_log_that_is_gone_is_missed_from_its_first_write_on() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    for round in 0..3 {
        let killed = open(&io).unwrap();
        put(&killed, round * 10..round * 10 + 10);
        drop(killed);
        let is_log = |name: &&String| name.ends_with(".log");
        let (name, bytes) = files(&io).into_iter().rfind(|(name, _)| is_log(&name)).unwrap();
        io.remove(&Path::new(DIR).join(&name)).unwrap();
        let refused = open(&io).unwrap_err().to_string();
        assert!(refused.contains(&name), "{refused}");
        put_back(&io, &name, &bytes);
    }
    assert_eq!(open(&io).unwrap().count(&namespace(1), None).unwrap(), 30);
}

/// What a crash leaves between writing a segment and naming it, and what an older manifest with all of its logs makes of a segment.
#[test]
fn a_segment_that_nothing_names_is_set_aside_until_a_later_clean_start() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io).unwrap();
    put(&shard, 0..10);
    let before = files(&io);
    shard.seal().unwrap();
    let (name, bytes) = files(&io).into_iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    drop(shard);
    before.iter().for_each(|(name, bytes)| put_back(&io, name, bytes));
    let killed = open(&io).unwrap();
    assert_eq!(killed.count(&namespace(1), None).unwrap(), 10);
    assert_eq!(asides(&io), [format!("{name}.aside")]);
    drop(killed);
    // The run before this start was killed.
    open(&io).unwrap().close().unwrap();
    assert_eq!(files(&io)[&format!("{name}.aside")], bytes);
    // The run before this one was not.
    assert_eq!(open(&io).unwrap().count(&namespace(1), None).unwrap(), 10);
    assert_eq!(asides(&io), [] as [String; 0]);
}
