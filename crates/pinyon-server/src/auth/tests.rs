//! Tests of where keys come from.

use super::*;
use pinyon_core::{Readers, write_side_file};

fn headers(name: &'static str, value: &'static str) -> HeaderMap {
    [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect()
}

#[test]
fn keys_come_in_two_headers_and_bearer_has_any_case() {
    for (name, value, key) in [
        ("api-key", "k1", Some("k1")),
        ("authorization", "Bearer k1", Some("k1")),
        ("authorization", "bearer k1", Some("k1")),
        ("authorization", "BEARER  k1", Some("k1")),
        ("authorization", "Basic k1", None),
        ("authorization", "k1", None),
        ("x-api-key", "k1", None),
    ] {
        assert_eq!(given_key(&headers(name, value)), key, "{name}: {value}");
    }
}

#[test]
fn a_broken_file_keeps_the_old_keys_and_a_whole_one_replaces_them() {
    let dir = std::env::temp_dir().join(format!("pinyon-keys-{}", std::process::id()));
    let path = dir.join("keys");
    let write = |text: &str| write_side_file(&path, text.as_bytes(), Readers::Owner).unwrap();
    let source =
        KeySource::new(KeyRing::of_texts(["given-key-of-20-bytes"].into_iter()).unwrap(), Some(path.clone()));
    assert!(source.read().unwrap_err().contains("there is no such file"));
    write("ci first-key-of-20-bytes\n");
    let access = Access::new(source.read().unwrap(), source);
    let admits = |key: &'static str| access.admits(&headers("api-key", key));
    assert!(admits("first-key-of-20-bytes") && admits("given-key-of-20-bytes"));
    write("ci second-key-of-20-bytes extra\n");
    let problem = access.read_again(None).unwrap_err();
    assert!(problem.contains("keys: line 1") && !problem.contains("second"), "{problem}");
    assert!(admits("first-key-of-20-bytes") && !admits("second-key-of-20-bytes"));
    write("ci second-key-of-20-bytes\n");
    access.read_again(None).unwrap();
    assert!(!admits("first-key-of-20-bytes") && admits("second-key-of-20-bytes"));
    let none = Some(KeySource::default());
    assert!(access.read_again(none).unwrap_err().contains("restart"));
    assert!(admits("given-key-of-20-bytes"));
    std::fs::remove_dir_all(&dir).unwrap();
}
