//! Who may read the files of the data, those of sled and redb included.

use crate::server::{Server, scratch};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Every file and directory below this one with its mode.
fn modes(dir: &Path, found: &mut Vec<(String, u32)>) {
    let mode = fs::metadata(dir).unwrap().permissions().mode() & 0o7777;
    found.push((dir.display().to_string(), mode));
    if dir.is_dir() {
        for entry in fs::read_dir(dir).unwrap() {
            modes(&entry.unwrap().path(), found);
        }
    }
}

/// A directory of data that a server has written, been killed over and opened again.
fn written(dir: &Path, catalog: &str, access: Option<&str>) {
    let arguments = ["--vector-dimension", "8", "--catalog", catalog];
    let access = access.map(|access| ("PINYON_DATA_ACCESS", access));
    let environment: Vec<(&str, &str)> = [("PINYON_SEAL_KIB", "1")].into_iter().chain(access).collect();
    let mut server = Server::start_with(dir, &arguments, &environment);
    for batch in 0..20 {
        let document = |id| json!({"id": format!("{batch}-{id}"), "text": "dark beer and late trains"});
        let body = json!({"tenant_id": "acme", "documents": (0..20).map(document).collect::<Vec<_>>()});
        assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
    }
    server.kill();
    drop(Server::start_with(dir, &arguments, &environment));
}

#[test]
fn files_are_the_owners_alone_or_his_groups() {
    for (name, access, file, directory) in
        [("modes-owner", None, 0o600, 0o700), ("modes-group", Some("group"), 0o640, 0o750)]
    {
        for catalog in ["sled", "redb"] {
            let dir = scratch(&format!("{name}-{catalog}"));
            // What was there before may be open to everybody.
            fs::create_dir_all(&dir).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
            written(&dir, catalog, access);
            let mut found = Vec::new();
            modes(&dir, &mut found);
            assert!(found.iter().any(|(name, _)| name.contains(catalog)) && found.len() > 10, "{found:?}");
            for (path, mode) in found {
                let expected = if Path::new(&path).is_dir() { directory } else { file };
                assert_eq!(mode, expected, "{path}: {mode:o}");
            }
            fs::remove_dir_all(&dir).unwrap();
        }
    }
}
