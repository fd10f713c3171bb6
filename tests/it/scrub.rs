//! Files that are changed under a running server, by the real binary: what is kept out says so everywhere, what is shortened under its
//! feet ends it with one line that names the file, and the next start serves everything else.

use crate::{
    older::unpacked,
    server::{Server, Starting, scratch},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .collect();
    found.sort();
    found
}

/// Asks for every namespace of an index; how many were answered, and how many were refused by name.
fn ask(server: &Server, index: &str) -> Option<(usize, usize)> {
    let (_, listed) = server.get(&format!("/indexes/{index}/namespaces"))?;
    let mut counts = (0, 0);
    for one in listed["namespaces"].as_array().into_iter().flatten() {
        let name = one["name"].as_str().unwrap();
        let query = [("namespace", if name == "__default__" { "" } else { name }), ("limit", "5")];
        let (status, found) = server.connection().get(&format!("/indexes/{index}/vectors/list"), &query)?;
        match status {
            200 => counts.0 += 1,
            503 => {
                assert!(found["message"].as_str().unwrap().contains("quarantined"), "{found}");
                counts.1 += 1;
            }
            _ => panic!("{status} {found}"),
        }
    }
    Some(counts)
}

/// The shards that `/health` names as kept out.
fn kept_out(server: &Server) -> Vec<Value> {
    let (_, health) = server.get("/health").unwrap();
    health["quarantined"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_changed_file_is_noticed_within_seconds_and_the_shard_comes_back_when_it_is_whole() {
    let dir = unpacked("v1", "sled");
    let server = Server::start(&dir, &[]);
    let all = ask(&server, "dense").unwrap();
    assert!(all.0 > 2 && all.1 == 0, "{all:?}");
    let path = segments(&dir.join("indexes/index-00000001/shards/shard-0001")).remove(0);
    let whole = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[whole[800] ^ 1], 800).unwrap();
    let mut found = Vec::new();
    for _ in 0..100 {
        found = kept_out(&server);
        if !found.is_empty() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(found.len(), 1, "{found:?}");
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(found[0]["problem"].as_str().unwrap().contains(name), "{found:?}");
    let (answered, refused) = ask(&server, "dense").unwrap();
    assert!(answered > 0 && refused > 0, "{answered} {refused}");
    let metrics = server.agent().get(format!("{}/metrics", server.url)).call().unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    assert!(metrics.contains("\npinyon_scrub_quarantined{} 1.0\n"), "{metrics}");
    file.write_all_at(&whole, 0).unwrap();
    let reopen = "/admin/v1/indexes/dense/shards/dense-1/reopen";
    let (status, said) = server.post(reopen, &json!({})).unwrap();
    assert_eq!(status, 200, "{said}");
    assert_eq!(ask(&server, "dense").unwrap(), all);
    assert!(kept_out(&server).is_empty());
}

#[test]
fn a_file_that_is_shortened_while_it_is_read_ends_the_process_with_its_name() {
    let mut named = 0;
    for _ in 0..3 {
        let dir = unpacked("v1", "sled");
        let log = scratch("shortened-log");
        let errors = Stdio::from(fs::File::create(&log).unwrap());
        let mut server = Starting::new(&dir, &[], &[], errors).wait();
        let path = segments(&dir.join("indexes/index-00000001/shards/shard-0001")).remove(0);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        // The look that comes each second may be first.
        let answered = ask(&server, "dense");
        let said = || fs::read_to_string(&log).unwrap();
        match server.exit_code(Duration::from_secs(if answered.is_none() { 20 } else { 0 })) {
            Some(code) => {
                let last = said().lines().last().unwrap().to_owned();
                assert!(
                    code == 74 && last.starts_with("pinyon: ") && last.contains("was shortened"),
                    "{last}"
                );
                assert!(last.contains(path.to_str().unwrap()), "{last}");
                named += 1;
            }
            None => assert!(answered.is_some(), "{}", said()),
        }
        drop(server);
        let server = Server::start(&dir, &[]);
        let (answered, refused) = ask(&server, "dense").unwrap();
        assert!(answered > 0 && refused > 0, "{answered} {refused}");
        assert_eq!(kept_out(&server).len(), 1);
    }
    assert!(named > 0, "no read came before the look");
}
