//! What is empty costs next to nothing: threads, descriptors and disk of indexes that nobody has written to; and what is told when there
//! is no descriptor for one more.

use crate::server::{Server, scratch};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

const INDEXES: usize = 12;

fn create(server: &Server, name: &str) -> (u16, Value) {
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let body = json!({"name": name, "dimension": 8, "metric": "cosine", "spec": spec});
    server.post("/indexes", &body).unwrap()
}

fn threads(server: &Server) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Files of the data that are open; the test's own output may be a file too.
fn files(server: &Server, dir: &Path) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let targets = open.filter_map(|one| fs::read_link(one.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(dir)).map(|target| target.display().to_string()).collect()
}

/// Bytes that files and directories take on the disk.
fn disk(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let own = fs::metadata(dir).unwrap().blocks() * 512;
    own + entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => disk(&entry.path()),
            false => entry.metadata().unwrap().blocks() * 512,
        })
        .sum::<u64>()
}

fn logs(server: &Server, dir: &Path) -> usize {
    files(server, dir).iter().filter(|name| name.ends_with(".log")).count()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn empty_indexes_cost_no_threads_no_logs_and_little_disk() {
    let dir = scratch("empties");
    let server = Server::start(&dir, &["--vector-dimension", "8"]);
    wait_until("logs are closed", || logs(&server, &dir) == 0);
    let before = (threads(&server).len(), files(&server, &dir).len(), disk(&dir));
    for number in 0..INDEXES {
        let (status, answer) = create(&server, &format!("empty-{number}"));
        assert_eq!(status, 201, "{answer}");
    }
    wait_until("logs are closed", || logs(&server, &dir) == 0);
    // Threads that belong to nobody: sled's come and go with what there is to do for all of its trees.
    let own = threads(&server).iter().filter(|name| !name.starts_with("sled-io")).count();
    assert!(own <= before.0, "{own} threads, {} before: {:?}", before.0, threads(&server));
    let files_each = (files(&server, &dir).len() - before.1).div_ceil(INDEXES);
    assert!(files_each <= 3, "{files_each} files of an index are open: {:?}", files(&server, &dir));
    let bytes_each = (disk(&dir) - before.2) / INDEXES as u64;
    println!("an empty index: {bytes_each} bytes of disk, {files_each} open files");
    assert!(bytes_each < 700 << 10, "{bytes_each} bytes on disk for an empty index of four shards");
    for number in 0..INDEXES {
        let agent = server.agent();
        agent.delete(format!("{}/indexes/empty-{number}", server.url)).call().unwrap();
    }
    wait_until("files of deleted indexes are closed", || files(&server, &dir).len() <= before.1);
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_log_that_rested_takes_the_next_write() {
    let dir = scratch("empties-rested");
    let server = Server::start(&dir, &["--vector-dimension", "8"]);
    let ingest = |id: &str| {
        let body = json!({"tenant_id": "t", "documents": [{"id": id, "text": "dark beer"}]});
        assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
    };
    for id in ["a", "b"] {
        ingest(id);
        let reserved = disk(&dir);
        assert!(reserved < 2 << 20, "{reserved} bytes on disk for a record");
        wait_until("logs are closed", || logs(&server, &dir) == 0);
    }
    drop(server);
    let server = Server::start(&dir, &["--vector-dimension", "8"]);
    let query = json!({"tenant_id": "t", "query_text": "dark beer"});
    let (status, answer) = server.post("/query", &query).unwrap();
    assert_eq!((status, answer["results"].as_array().unwrap().len()), (200, 2), "{answer}");
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn without_descriptors_no_index_is_made_and_everything_else_goes_on() {
    let dir = scratch("empties-descriptors");
    let server = Server::start_limited(&dir, 180);
    let made = (0..100).map(|number| create(&server, &format!("one-{number}"))).find(|made| made.0 != 201);
    let (status, answer) = made.unwrap();
    assert_eq!(status, 503, "{answer}");
    assert!(answer.to_string().contains("ulimit -n"), "{answer}");
    let began = Instant::now();
    assert_eq!(server.get("/health").unwrap().0, 200);
    assert!(began.elapsed() < Duration::from_secs(5));
    let body = json!({"tenant_id": "t", "documents": [{"id": "a", "text": "dark beer"}]});
    assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
    server.agent().delete(format!("{}/indexes/one-0", server.url)).call().unwrap();
    // The room of one that is gone is enough for another.
    wait_until("an index can be made again", || create(&server, "again").0 == 201);
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}
