//! What a shard says it takes on disk is what lies there.

use super::{DIR, namespace, open, upsert};
use crate::Shard;
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{Metric, SeededRng};
use std::{path::Path, sync::Arc};

fn bytes_of_files(io: &SharedIo, end: &str) -> u64 {
    let dir = Path::new(DIR);
    let names = io.list(dir).unwrap().into_iter().filter(|name| name.ends_with(end));
    names.map(|name| io.len(&dir.join(name)).unwrap()).sum()
}

fn check(shard: &Shard, io: &SharedIo, what: &str) {
    let stats = shard.stats();
    assert_eq!(stats.log_bytes, bytes_of_files(io, ".log"), "{what}");
    assert_eq!(stats.disk_bytes(), stats.log_bytes + bytes_of_files(io, ".seg"), "{what}");
}

#[test]
fn every_log_file_counts_as_it_lies_on_disk() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let mut rng = SeededRng::new(1);
    let shard = open(&io, Metric::Cosine).unwrap();
    check(&shard, &io, "an empty shard");
    assert!(shard.stats().disk_bytes() < 200, "nothing is reserved before the first write");
    shard.write(&namespace(1), upsert(8, &mut rng)).unwrap();
    check(&shard, &io, "one log");
    // A start after a kill begins a log beside the old one.
    drop(shard);
    let shard = open(&io, Metric::Cosine).unwrap();
    let logs = io.list(Path::new(DIR)).unwrap().iter().filter(|name| name.ends_with(".log")).count();
    assert!(logs > 1, "{logs}");
    check(&shard, &io, "several logs");
    shard.seal().unwrap();
    check(&shard, &io, "a segment");
}

#[test]
fn statistics_do_not_wait_for_a_sync() {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let shard = open(&io, Metric::Cosine).unwrap();
    // The lock that is held through writes and syncs.
    let _syncing = shard.inner.writer.lock().unwrap();
    assert_eq!(shard.stats().disk_bytes(), bytes_of_files(&io, ".log"));
}
